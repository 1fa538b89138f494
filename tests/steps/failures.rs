//! Steps that run after a failure, on the real cluster.

use gantry::api::v1alpha1::Promotion;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{config_maps, message, new_space, phase, release, rows, step};
use crate::support::manifest::failing;
use crate::support::space::Space;
use crate::support::wait;

fn bad(how: &str) -> Value {
    let image = format!("ghcr.io/acme/checkout@sha256:{}", "a".repeat(64));
    json!({"name": "deploy", "timeout": "2m", "apply": {"manifests": [failing("checkout", &image, how)]}})
}

/// A process whose second step is this one, with a step of each kind after it.
fn process(deploy: &Value) -> Value {
    json!([
        step("settings", &["settings"], json!({})),
        deploy,
        step("announce", &["announce"], json!({})),
        step("clean", &["clean"], json!({"runOn": "Failure"})),
        step("note", &["note"], json!({"runOn": "Always"})),
    ])
}

/// dev, where a crash is one at once, with this policy.
async fn dev(space: &Space, on_failure: &str) {
    let spec = json!({"order": 10, "onFailure": on_failure, "failAfter": {"crashLoop": 1}});
    space.environment_with("dev", spec).await;
}

/// What an environment was just given acts within a moment, in each of its targets.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_in_a_later_target_is_waited_for_before_anything_is_applied_in_the_first() {
    const SETTLING: i64 = 3;
    let space = new_space().await;
    let target = |name: &str| json!({"name": name, "namespace": format!("{}-{name}", space.name), "roles": [name]});
    space.environment_with("dev", json!({"order": 10, "targets": [target("eu"), target("us")]})).await;
    let power = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "power"}, "rules": []});
    let power = json!({"name": "power", "timeout": "1m", "roles": ["us"], "apply": {"manifests": [power]}});
    release(&space, "1.0.0", json!([step("settings", &["settings"], json!({})), power])).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&name).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!((phase(&ended), status.reason.as_deref(), status.applied), ("Failed", Some("Forbidden"), false));
    assert!(message(&ended).contains("Role power"), "{}", message(&ended));
    let (began, over) = (status.started_at.as_ref().expect("a start"), status.finished_at.as_ref().expect("an end"));
    assert!(over.0.duration_since(began.0).as_secs() >= SETTLING, "it was not waited for: {began:?} to {over:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_only_steps_for_that_run_nothing_is_pruned_and_the_promotion_has_failed() {
    let space = new_space().await;
    dev(&space, "Hold").await;
    release(&space, "1.0.0", process(&step("deploy", &["old"], json!({})))).await;
    let good = space.deploy("checkout", "1.0.0", "dev").await;
    let expected = [
        "settings in default: Succeeded",
        "deploy in default: Succeeded",
        "announce in default: Succeeded",
        "clean in default: Skipped NothingFailed",
        "note in default: Succeeded",
    ];
    assert_eq!(rows(&good), expected);

    release(&space, "1.1.0", process(&bad("crash-loop"))).await;
    let name = space.promote("checkout", "1.1.0", "dev").await;
    let failed = space.ended(&name).await;
    let status = failed.status.as_ref().expect("a status");
    assert_eq!((phase(&failed), status.reason.as_deref()), ("Failed", Some("CrashLoopBackOff")));
    let expected = [
        "settings in default: Succeeded",
        "deploy in default: Failed",
        "announce in default: Skipped AfterFailure",
        "clean in default: Succeeded",
        "note in default: Succeeded",
    ];
    assert_eq!(rows(&failed), expected);
    assert_eq!(status.steps[1].message, status.message, "what failed first is why it failed");
    assert!(status.steps[3].started_at >= status.steps[1].finished_at, "one after the other");
    assert_eq!(config_maps(&space, "dev").await, ["announce", "clean", "note", "old", "settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_for_a_failure_run_before_it_is_rolled_back() {
    let space = new_space().await;
    dev(&space, "Rollback").await;
    release(&space, "1.0.0", process(&step("deploy", &["old"], json!({})))).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    release(&space, "1.1.0", process(&bad("crash-loop"))).await;
    let name = space.promote("checkout", "1.1.0", "dev").await;
    let failed = space.ended(&name).await;
    assert_eq!(phase(&failed), "RolledBack", "{}", message(&failed));
    assert_eq!(rows(&failed)[3..], ["clean in default: Succeeded", "note in default: Succeeded"]);
    let status = failed.status.expect("a status");
    let rollback: Promotion = space.api().get(&status.rollback.expect("its rollback").promotion).await.expect("it");
    let began = rollback.status.as_ref().and_then(|status| status.started_at.clone()).expect("a start");
    assert!(status.steps[4].finished_at.as_ref().expect("an end") <= &began);
    assert_eq!(rows(&rollback)[3..], ["clean in default: Skipped NothingFailed", "note in default: Succeeded"]);
    // What the step for failures had applied is a step's that was skipped: it stays.
    assert_eq!(config_maps(&space, "dev").await, ["announce", "clean", "note", "old", "settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_while_steps_for_a_failure_run_ends_them_and_it_has_failed_all_the_same() {
    let space = new_space().await;
    dev(&space, "Rollback").await;
    let mut slow = bad("never-ready");
    (slow["name"], slow["runOn"]) = ("slow".into(), "Failure".into());
    slow["apply"]["manifests"][0]["metadata"]["name"] = "slow".into();
    let last = step("note", &["note"], json!({"runOn": "Always"}));
    release(&space, "1.0.0", json!([bad("crash-loop"), slow, last])).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&space.api(), &name, "cleans", |known: &Promotion| {
        known.status.as_ref().is_some_and(|status| status.steps.get(1).is_some_and(|step| step.phase == "Started"))
    })
    .await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<Promotion>().patch(&name, &PatchParams::default(), &cancel).await.expect("canceled");
    let ended = space.ended(&name).await;
    let reason = ended.status.as_ref().and_then(|status| status.reason.as_deref());
    assert_eq!((phase(&ended), reason), ("Failed", Some("CrashLoopBackOff")));
    assert_eq!(rows(&ended)[2], "note in default: Skipped Canceled");
}
