//! Whose turn it is, on the real cluster.

use futures::StreamExt as _;
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::{Environment, Promotion};
use gantry_plane::{Identity, Options};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::operator::Operator;
use crate::support::shared::{own, shared};
use crate::support::space::Space;
use crate::support::wait;

const IMAGE: &str = "ghcr.io/acme/checkout";

async fn by_digest(space: &Space, project: &str, version: &str) {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let name = format!("{project}-{version}");
    let spec = json!({"project": project, "version": version, "packages": packages});
    space.apply(space.object("Release", &name, spec)).await;
    space.sealed(&name).await;
}

async fn promote(space: &Space, name: &str, version: &str, more: Value) {
    let mut spec = json!({"project": "checkout", "version": version, "environment": "dev"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    space.apply(space.object("Promotion", name, spec)).await;
}

async fn dev(space: &Space, queue: &str, paused: bool) {
    space.environment_with("dev", json!({"order": 10, "queue": queue, "paused": paused})).await;
}

async fn cancel(space: &Space, name: &str) {
    let patch = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<Promotion>().patch(name, &PatchParams::default(), &patch).await.expect("the cancel is taken");
}

fn phase(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn message(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

fn started(promotion: &Promotion) -> Timestamp {
    promotion.status.as_ref().and_then(|status| status.started_at.as_ref()).expect("a start").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_promotion_of_a_project_waits_for_the_first_and_one_of_another_project_starts_at_once() {
    let space = Space::create(shared().await.admin().await).await;
    dev(&space, "Queue", false).await;
    space.project("checkout", IMAGE, json!([failing("checkout", IMAGE, "never-ready")])).await;
    space.project("billing", IMAGE, json!([config_map("billing", "one")])).await;
    by_digest(&space, "checkout", "1.0.0").await;
    by_digest(&space, "billing", "1.0.0").await;
    promote(&space, "first", "1.0.0", json!({})).await;
    space.in_phase("first", "Running", None).await;
    promote(&space, "second", "1.0.0", json!({})).await;
    let waits = space.in_phase("second", "Pending", Some("QueuedBehind")).await;
    assert_eq!(message(&waits), "promotion first of checkout to dev comes first");
    space.deploy("billing", "1.0.0", "dev").await;
    let promotions: Api<Promotion> = space.api();
    assert_eq!(phase(&promotions.get("first").await.expect("the promotion")), "Running");
    assert_eq!(phase(&promotions.get("second").await.expect("the promotion")), "Pending");
    cancel(&space, "first").await;
    space.in_phase("second", "Running", None).await;
}

/// How many promotions of one project wait at once: several times what is worked on at once.
const MANY: usize = 64;

// Attack T33.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_promotions_of_one_project_wait_no_other_project_and_no_other_space_waits_for_them() {
    let space = Space::create(shared().await.admin().await).await;
    dev(&space, "Queue", false).await;
    space.project("checkout", IMAGE, json!([failing("checkout", IMAGE, "never-ready")])).await;
    by_digest(&space, "checkout", "1.0.0").await;
    promote(&space, "first", "1.0.0", json!({})).await;
    space.in_phase("first", "Running", None).await;
    let names: Vec<_> = (0..MANY).map(|number| format!("waits-{number}")).collect();
    let asked = names.iter().map(|name| promote(&space, name, "1.0.0", json!({"priority": 100})));
    futures::stream::iter(asked).buffer_unordered(16).collect::<Vec<()>>().await;
    let other = Space::create(space.client.clone()).await;
    for space in [&space, &other] {
        dev(space, "Queue", false).await;
        space.project("billing", IMAGE, json!([config_map("billing", "one")])).await;
        by_digest(space, "billing", "1.0.0").await;
        space.deploy("billing", "1.0.0", "dev").await;
    }
    let all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    let waiting = all.iter().filter(|known| known.spec.project == "checkout" && phase(known) != "Running");
    assert!(waiting.clone().all(|known| ["", "Pending"].contains(&phase(known))), "they wait for the first");
    assert_eq!(waiting.count(), MANY);
    for name in &names {
        space.in_phase(name, "Pending", None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priority_goes_first_then_the_older_and_nobody_is_forgotten() {
    let space = Space::create(shared().await.admin().await).await;
    dev(&space, "Queue", false).await;
    space.project("checkout", IMAGE, json!([config_map("settings", "one")])).await;
    by_digest(&space, "checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    dev(&space, "Queue", true).await;
    for (name, priority) in [("a-idle", -1), ("b", 0), ("c", 0), ("d-urgent", 10)] {
        promote(&space, name, "1.0.0", json!({"priority": priority})).await;
        space.in_phase(name, "Pending", Some("EnvironmentPaused")).await;
    }
    dev(&space, "Queue", false).await;
    let mut starts = Vec::new();
    for name in ["a-idle", "b", "c", "d-urgent"] {
        let ended = space.ended(name).await;
        assert_eq!(phase(&ended), "Succeeded", "{}", message(&ended));
        starts.push((started(&ended), name));
    }
    starts.sort();
    assert_eq!(starts.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["d-urgent", "b", "c", "a-idle"]);
    assert_eq!(space.audit_record("d-urgent").await.priority, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_urgent_is_not_replaced_by_what_is_newer() {
    let space = Space::create(shared().await.admin().await).await;
    dev(&space, "Supersede", false).await;
    space.project("checkout", IMAGE, json!([config_map("settings", "one")])).await;
    by_digest(&space, "checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.project("checkout", IMAGE, json!([failing("checkout", IMAGE, "never-ready")])).await;
    by_digest(&space, "checkout", "1.1.0").await;
    promote(&space, "running", "1.1.0", json!({})).await;
    space.in_phase("running", "Running", None).await;
    promote(&space, "urgent", "1.0.0", json!({"priority": 1})).await;
    space.in_phase("urgent", "Pending", Some("QueuedBehind")).await;
    promote(&space, "usual-1", "1.0.0", json!({})).await;
    space.in_phase("usual-1", "Pending", Some("QueuedBehind")).await;
    promote(&space, "usual-2", "1.0.0", json!({})).await;
    assert_eq!(phase(&space.ended("usual-1").await), "Superseded");
    cancel(&space, "running").await;
    let (urgent, usual) = (space.ended("urgent").await, space.ended("usual-2").await);
    assert_eq!((phase(&urgent), phase(&usual)), ("Succeeded", "Succeeded"));
    assert!(started(&urgent) < started(&usual));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_space_without_history_several_wait_until_a_person_decides() {
    let space = Space::create(shared().await.admin().await).await;
    dev(&space, "Supersede", true).await;
    space.project("checkout", IMAGE, json!([config_map("settings", "one")])).await;
    for (name, version) in [("a", "1.0.0"), ("b", "1.1.0"), ("c", "1.2.0")] {
        by_digest(&space, "checkout", version).await;
        promote(&space, name, version, json!({})).await;
        space.in_phase(name, "Pending", Some("EnvironmentPaused")).await;
    }
    dev(&space, "Supersede", false).await;
    for name in ["a", "b", "c"] {
        let waits = space.in_phase(name, "Pending", Some("AmbiguousOrder")).await;
        let says =
            "2 more promotions of checkout wait for dev and this space has no history that says which comes first";
        assert!(message(&waits).starts_with(says), "{}", message(&waits));
    }
    let environment: Environment = space.api().get("dev").await.expect("dev");
    assert!(environment.status.expect("a status").history.is_empty(), "nothing has happened");
    let patch = |name: &'static str| {
        let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "not this one"}}}));
        let promotions: Api<Promotion> = space.api();
        async move { promotions.patch(name, &PatchParams::default(), &cancel).await.expect("canceled") }
    };
    // The first end is a history of the space: from then on the order is known.
    patch("c").await;
    assert_eq!(phase(&space.ended("a").await), "Superseded");
    assert_eq!(phase(&space.ended("b").await), "Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_applied_twice_across_a_restart_is_one_record_and_no_new_rollout() {
    let plane = own(Options::default()).await;
    let operator = Operator::start(&plane, "twice").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    dev(&space, "Supersede", false).await;
    space.project("checkout", IMAGE, json!([deployment("checkout", IMAGE)])).await;
    by_digest(&space, "checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let promotions: Api<Promotion> = space.api();
    let name = "checkout-1.0.0-dev";
    let before = wait::object(&promotions, name, "recorded", |known| known.metadata.finalizers.is_none()).await;
    let deployments: Api<Deployment> = space.in_environment("dev");
    let deployed = deployments.get("checkout").await.expect("the Deployment").metadata;
    space.promote("checkout", "1.0.0", "dev").await;
    operator.kill(&plane);
    operator.resume(&plane).await;
    space.promote("checkout", "1.0.0", "dev").await;
    // Whoever does something afterwards shows that the operator has seen everything before.
    space.project("billing", IMAGE, json!([config_map("billing", "one")])).await;
    by_digest(&space, "billing", "1.0.0").await;
    space.deploy("billing", "1.0.0", "dev").await;
    let after = promotions.get(name).await.expect("the promotion").metadata;
    assert_eq!(after.resource_version, before.metadata.resource_version);
    assert_eq!(deployments.get("checkout").await.expect("the Deployment").metadata.generation, deployed.generation);
    let records = space.audit_records(AuditKind::Promotion).await;
    let mine = records.iter().filter(|record| record.spec.project.as_deref() == Some("checkout"));
    assert_eq!(mine.count(), 1);
}
