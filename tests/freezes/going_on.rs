//! What runs when a freeze begins, what wakes up when it ends, and what survives the operator meanwhile.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Freeze, Promotion};
use gantry_plane::{Identity, Options};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{ending, fill, freeze, freeze_for, in_seconds, message, promote, release, says, shop, started_at};
use crate::support::manifest::{config_map, failing};
use crate::support::operator::Operator;
use crate::support::shared::{OPERATOR, own};
use crate::support::space::Space;
use crate::support::wait;

/// Release 2.0.0 of three steps, of which the first waits until somebody mends its Deployment.
async fn three_steps(space: &Space) {
    let image = "ghcr.io/acme/checkout";
    let step = |name: &str, manifest: Value| json!({"name": name, "timeout": "5m", "apply": {"manifests": [manifest]}});
    let process = [
        step("first", failing("first", image, "never-ready")),
        step("second", config_map("second", "x")),
        step("third", config_map("third", "x")),
    ];
    let spec = json!({"packages": [{"name": "api", "image": image}], "process": process});
    space.apply(space.object("Project", "checkout", spec)).await;
    release(space, "2.0.0").await;
}

/// Lets the first step become healthy.
async fn mend(space: &Space) {
    let whole = json!({"spec": {"template": {"metadata": {"annotations": null}}}});
    let deployments = space.in_environment::<Deployment>("production");
    deployments.patch("first", &PatchParams::default(), &Patch::Merge(whole)).await.expect("mended");
}

/// Promotes it, and waits until its first step is applied.
async fn running(space: &Space, name: &str) {
    promote(space, name, "2.0.0", json!({})).await;
    space.in_phase(name, "Running", None).await;
    wait::object(&space.in_environment::<Deployment>("production"), "first", "applied", |_| true).await;
}

fn phases(promotion: &Promotion) -> Vec<&str> {
    let steps = promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
    steps.iter().map(|step| step.phase.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_a_freeze_begins_finishes() {
    let space = shop().await;
    three_steps(&space).await;
    running(&space, "runs").await;
    freeze_for(&space, "winter", 3600).await;
    mend(&space).await;
    let ended = space.ended("runs").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"), "{}", message(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_paused_before_its_next_step_where_the_freeze_says_so_and_can_be_canceled() {
    let space = shop().await;
    three_steps(&space).await;
    running(&space, "paused").await;
    let always = json!({"start": in_seconds(-60).to_string(), "end": in_seconds(3600).to_string(), "running": "Pause"});
    freeze(&space, "winter", always).await;
    mend(&space).await;
    let paused = space.in_phase("paused", "Running", Some("Frozen")).await;
    assert_eq!(phases(&paused), ["Succeeded", "Pending", "Pending"]);
    let conditions = &paused.status.as_ref().expect("a status").conditions;
    let ready = condition::find(conditions, ConditionType::Ready).expect("a condition");
    assert_eq!(ready.reason, "Frozen");
    assert!(
        ready.message.starts_with("paused before its next step by freeze winter (nobody is there) until"),
        "{}",
        ready.message
    );
    says(&space, "winter", "holding it", |status| status.held == ["paused"]).await;
    promote(&space, "behind", "1.0.0", json!({"freezeOverride": {"names": ["winter"], "reason": "x"}})).await;
    let waits = space.in_phase("behind", "Pending", Some("QueuedBehind")).await;
    assert!(message(&waits).contains("promotion paused"), "it keeps its slot: {}", message(&waits));
    let cancel = Patch::Merge(json!({"spec": {"cancel": {}}}));
    space.api::<Promotion>().patch("paused", &PatchParams::default(), &cancel).await.expect("canceled");
    let ended = space.ended("paused").await;
    assert_eq!((ending(&ended).0, phases(&ended)), ("Canceled", vec!["Succeeded", "Skipped", "Skipped"]));
    assert!(ended.status.expect("a status").applied);
    assert!(space.in_environment::<ConfigMap>("production").get_opt("second").await.expect("an answer").is_none());
    assert_eq!(ending(&space.ended("behind").await), ("Succeeded", "Deployed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_is_deleted_or_changed_lets_go_at_once() {
    let space = shop().await;
    three_steps(&space).await;
    running(&space, "paused").await;
    let until = |seconds| json!({"start": in_seconds(-60).to_string(), "end": in_seconds(seconds).to_string(), "running": "Pause"});
    freeze(&space, "winter", until(3600)).await;
    mend(&space).await;
    space.in_phase("paused", "Running", Some("Frozen")).await;
    freeze(&space, "winter", until(-30)).await;
    assert_eq!(ending(&space.ended("paused").await), ("Succeeded", "Deployed"));
    freeze(&space, "winter", until(3600)).await;
    promote(&space, "waits", "1.0.0", json!({"whenNotReady": "Wait"})).await;
    space.in_phase("waits", "Pending", Some("Frozen")).await;
    space.api::<Freeze>().delete("winter", &kube::api::DeleteParams::default()).await.expect("deleted");
    assert_eq!(ending(&space.ended("waits").await), ("Succeeded", "Deployed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_asks_nothing_of_the_api_server_until_it_ends_and_then_all_goes_on_also_after_a_restart() {
    let plane = own(Options::default()).await;
    let operator = Operator::start(&plane, "freezes").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    fill(&space, json!({"order": 10})).await;
    let (end, mark) = (freeze_for(&space, "winter", 9).await, plane.audit().mark());
    promote(&space, "patient", "1.0.0", json!({"whenNotReady": "Wait"})).await;
    space.in_phase("patient", "Pending", Some("Frozen")).await;
    let ended = space.ended("patient").await;
    started_at(&ended, end);
    let requests = plane.audit().since(mark).expect("an audit log");
    let asked = requests.iter().filter(|event| {
        let received: Timestamp = event.received.parse().expect("a time");
        let waited = received < end && received > end - SignedDuration::from_secs(3);
        event.user == OPERATOR && event.namespace == space.name && waited
    });
    let asked: Vec<_> = asked.map(|event| (&event.verb, &event.resource, &event.received)).collect();
    assert!(asked.is_empty(), "{asked:?}");

    // The operator dies while one is paused, another waits, and the freeze ends.
    three_steps(&space).await;
    running(&space, "paused").await;
    let (end, mark) = (in_seconds(8), plane.audit().mark());
    let spec = json!({"start": in_seconds(-60).to_string(), "end": end.to_string(), "running": "Pause"});
    freeze(&space, "spring", spec).await;
    mend(&space).await;
    let paused = space.in_phase("paused", "Running", Some("Frozen")).await;
    assert_eq!(phases(&paused), ["Succeeded", "Pending", "Pending"]);
    operator.kill(&plane);
    wait::eventually("the freeze is over", || async { (Timestamp::now() > end).then_some(()) }).await;
    operator.resume(&plane).await;
    let ended = space.ended("paused").await;
    assert_eq!((ending(&ended), phases(&ended)), (("Succeeded", "Deployed"), vec!["Succeeded"; 3]));
    // What was done before the freeze is not done again.
    let namespace = format!("{}-production", space.name);
    let requests = plane.audit().since(mark).expect("an audit log");
    let again = requests.iter().filter(|event| {
        event.namespace == namespace && event.name == "first" && event.verb == "patch" && event.user == OPERATOR
    });
    assert_eq!(again.count(), 0, "the first step is over");
    let applied = requests
        .iter()
        .filter(|event| event.namespace == namespace && event.name == "second" && event.code == 201 && !event.dry_run);
    assert_eq!(applied.count(), 1);
}
