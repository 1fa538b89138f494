//! What happens to a promotion, on the real cluster: order, queue, names, cancel, history.

use gantry::api::v1alpha1::{AuditRecord, Environment, Promotion, Release};
use gantry_plane::AuditEvent;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::{OPERATOR, Shared, shared};
use crate::support::space::Space;
use crate::support::wait;

async fn space(cluster: &Shared) -> (Space, String) {
    let space = Space::create(cluster.admin().await).await;
    (space, format!("{}/checkout", cluster.plane.registry().host()))
}

/// A space with dev and test, and the project `checkout` of one Deployment.
async fn shop(cluster: &Shared) -> (Space, String) {
    let (space, image) = space(cluster).await;
    space.environment("dev", 10).await;
    space.environment("test", 20).await;
    space.project("checkout", &image, json!([deployment("checkout", &image), config_map("settings", "one")])).await;
    (space, image)
}

fn message(promotion: &Promotion) -> String {
    promotion.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default()
}

fn reason(promotion: &Promotion) -> String {
    promotion.status.as_ref().and_then(|status| status.reason.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_moves_through_its_environments_in_order_and_every_history_says_so() {
    let cluster = shared().await;
    let (space, image) = shop(cluster).await;
    let release = space.release("checkout", "1.0.0").await;
    let digest = release.status.expect("a status").packages[0].digest.clone();
    let first = space.deploy("checkout", "1.0.0", "dev").await;
    let second = space.deploy("checkout", "1.0.0", "test").await;

    let deployed: Deployment = space.in_environment("test").get("checkout").await.expect("the Deployment");
    let container = &deployed.spec.expect("a spec").template.spec.expect("a pod").containers[0];
    assert_eq!(container.image.as_deref(), Some(format!("{image}:1.0.0@{digest}").as_str()));
    is_marked_and_remembered(&space, &deployed.metadata, &second).await;

    let project = space
        .project_says("checkout", "in both environments", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().filter(|row| row.current.as_ref().is_some_and(|current| current.version == "1.0.0")).count()
                == 2
        })
        .await;
    let rows = project.status.expect("a status").environments;
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["dev", "test"], "in lifecycle order");
    let current = rows[1].current.clone().expect("a current version");
    assert_eq!((current.promotion.as_str(), current.by.as_str()), ("checkout-1.0.0-test", "gantry-plane-admin"));
    assert_eq!(current.packages[0].digest, digest);

    wait::object(&space.api(), "dev", "showing the deployment", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| {
            status.deployments.iter().any(|row| row.release == "checkout-1.0.0")
                && status.history.iter().any(|entry| entry.promotion == "checkout-1.0.0-dev")
        })
    })
    .await;
    let release = wait::object(&space.api(), "checkout-1.0.0", "in both environments", |known: &Release| {
        let rows = known.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
        rows.iter().filter(|row| row.succeeded && row.current).count() == 2
    })
    .await;
    let status = release.status.expect("a status");
    assert!(status.phases.iter().all(|phase| phase.progress == "Complete"), "{:?}", status.phases);
    assert_eq!((status.next, status.due), (vec!["dev".to_owned(), "test".to_owned()], Vec::new()));

    for promotion in [first, second] {
        let name = promotion.metadata.name.expect("a name");
        let record = space.audit_record(&name).await;
        assert_eq!(record.phase, "Succeeded");
        assert_eq!(Some(record.promotion_uid), promotion.metadata.uid);
        assert_eq!(record.requested_by.expect("a requester").username, "gantry-plane-admin");
        wait::object(&space.api(), &name, "released", |known: &Promotion| known.metadata.finalizers.is_none()).await;
    }
}

/// What was applied to test says whose it is, the inventory has it, and the slot names the promotion.
async fn is_marked_and_remembered(space: &Space, applied: &ObjectMeta, promotion: &Promotion) {
    let managers = applied.managed_fields.iter().flatten().filter_map(|one| one.manager.as_deref());
    assert!(managers.into_iter().any(|manager| manager == "gantry/checkout"), "{applied:?}");
    let labels = applied.labels.clone().unwrap_or_default();
    let expected = [("project", "checkout"), ("environment", "test"), ("release", "1.0.0")];
    for (label, value) in expected {
        let found = labels.get(&format!("gantry.dev/{label}")).map(String::as_str);
        assert_eq!(found, Some(value), "{labels:?}");
    }
    let revisions: Api<ControllerRevision> = space.api();
    let inventory = revisions.get("checkout.test.default").await.expect("an inventory");
    let inventory = serde_json::to_string(&inventory.metadata.annotations).expect("JSON");
    let uid = applied.uid.as_deref().expect("a uid");
    assert!(inventory.contains("Deployment") && inventory.contains(uid), "{inventory}");
    let slot = space.api::<Lease>().get("checkout.test").await.expect("a slot").spec.expect("a spec");
    assert_eq!(slot.holder_identity, promotion.metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_is_an_event_on_promotion_release_and_environment() {
    let (space, _) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    for (kind, name) in [("Promotion", "checkout-1.0.0-dev"), ("Release", "checkout-1.0.0"), ("Environment", "dev")] {
        for reason in ["Started", "Succeeded"] {
            told(&space, (kind, name), (reason, "Normal")).await;
        }
    }
}

/// Waits for the Event of this reason and type that is about the object.
async fn told(space: &Space, (kind, name): (&str, &str), (reason, severity): (&str, &str)) {
    wait::eventually(&format!("an Event {reason} on {kind} {name}"), || async {
        let listed = events_on(space, (kind, name)).await;
        let found = listed.iter().find(|event| event.reason.as_deref() == Some(reason))?;
        assert_eq!(found.type_.as_deref(), Some(severity), "{found:?}");
        Some(())
    })
    .await;
}

async fn events_on(space: &Space, (kind, name): (&str, &str)) -> Vec<Event> {
    let about = ListParams::default().fields(&format!("regarding.kind={kind},regarding.name={name}"));
    space.api::<Event>().list(&about).await.expect("events").items
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_an_event_on_promotion_release_and_environment() {
    let (space, image) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    let early = space.promote("checkout", "1.0.0", "test").await;
    space.ended(&early).await;
    for about in [("Promotion", early.as_str()), ("Release", "checkout-1.0.0"), ("Environment", "test")] {
        told(&space, about, ("Refused", "Warning")).await;
    }

    space.project("checkout", &image, json!([failing("checkout", &image, "image-pull")])).await;
    space.release("checkout", "1.1.0").await;
    let bad = space.promote("checkout", "1.1.0", "dev").await;
    space.ended(&bad).await;
    for about in [("Promotion", bad.as_str()), ("Release", "checkout-1.1.0"), ("Environment", "dev")] {
        told(&space, about, ("Failed", "Warning")).await;
    }

    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "2.0.0").await;
    let running = space.promote("checkout", "2.0.0", "dev").await;
    space.in_phase(&running, "Running", None).await;
    // Within one second the name decides which is newer.
    for name in ["again-1", "again-2"] {
        let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
        space.apply(space.object("Promotion", name, spec)).await;
        told(&space, ("Promotion", name), ("Waiting", "Normal")).await;
    }
    for about in [("Promotion", "again-1"), ("Release", "checkout-1.0.0"), ("Environment", "dev")] {
        told(&space, about, ("Superseded", "Normal")).await;
    }
    cancel(&space, &running).await;
    space.ended(&running).await;
    for about in [("Promotion", running.as_str()), ("Release", "checkout-2.0.0"), ("Environment", "dev")] {
        told(&space, about, ("Canceled", "Normal")).await;
    }
    // What happens within a phase is news for whoever looks at the promotion alone.
    for about in [("Release", "checkout-1.0.0"), ("Environment", "test"), ("Environment", "dev")] {
        let said = events_on(&space, about).await;
        assert!(!said.iter().any(|event| event.reason.as_deref() == Some("Waiting")), "{about:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_ahead_of_its_lifecycle_is_refused_and_says_what_is_missing() {
    let (space, _) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "test").await;
    let ended = space.ended(&name).await;
    assert_eq!(reason(&ended), "LifecycleNotReached");
    assert!(message(&ended).contains("test waits for phase dev"), "{}", message(&ended));
    assert_eq!(space.audit_record(&name).await.phase, "Refused");
    // The same under a new name, once the phase is reached.
    space.deploy("checkout", "1.0.0", "dev").await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "test"});
    space.apply(space.object("Promotion", "again", spec)).await;
    assert_eq!(space.ended("again").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_may_wait_goes_on_as_soon_as_the_lifecycle_lets_it() {
    let (space, _) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "test", "whenNotReady": "Wait"});
    space.apply(space.object("Promotion", "patient", spec)).await;
    space.in_phase("patient", "Pending", Some("LifecycleNotReached")).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let ended = space.ended("patient").await;
    assert_eq!(ended.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_yet_is_waited_for_and_named() {
    let (space, image) = space(shared().await).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waits = space.in_phase(&name, "Pending", Some("ProjectNotFound")).await;
    assert!(message(&waits).contains("checkout"), "{}", message(&waits));
    space.project("checkout", &image, json!([config_map("settings", "one")])).await;
    space.in_phase(&name, "Pending", Some("ReleaseNotFound")).await;
    space.release("checkout", "1.0.0").await;
    space.in_phase(&name, "Pending", Some("EnvironmentNotFound")).await;
    space.environment("dev", 10).await;
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_promotion_waits_for_the_first_one_where_the_environment_queues() {
    let (space, image) = space(shared().await).await;
    space.environment_with("dev", json!({"order": 10, "queue": "Queue"})).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let first = space.promote("checkout", "1.0.0", "dev").await;
    space.in_phase(&first, "Running", None).await;
    space.project("checkout", &image, json!([config_map("settings", "two")])).await;
    space.release("checkout", "1.1.0").await;
    let second = space.promote("checkout", "1.1.0", "dev").await;
    let waits = space.in_phase(&second, "Pending", None).await;
    assert!(message(&waits).contains(&first), "{}", message(&waits));
    // Another project's turn is its own.
    space.project("payments", &image, json!([config_map("payments", "one")])).await;
    space.release("payments", "1.0.0").await;
    space.deploy("payments", "1.0.0", "dev").await;
    space.in_phase(&second, "Pending", None).await;
    cancel(&space, &first).await;
    assert_eq!(space.ended(&first).await.status.expect("a status").phase.as_deref(), Some("Canceled"));
    assert_eq!(space.ended(&second).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_waiting_promotion_supersedes_older_waiting_ones() {
    let (space, image) = space(shared().await).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([config_map("settings", "one")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.1.0").await;
    let running = space.promote("checkout", "1.1.0", "dev").await;
    space.in_phase(&running, "Running", None).await;
    let promote_again = |name: &'static str| {
        let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
        space.apply(space.object("Promotion", name, spec))
    };
    promote_again("again-1").await;
    space.in_phase("again-1", "Pending", None).await;
    // Within one second the name decides which is newer.
    promote_again("again-2").await;
    let older = space.ended("again-1").await;
    assert_eq!(older.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Superseded"));
    assert!(message(&older).contains("again-2"), "{}", message(&older));
    cancel(&space, &running).await;
    assert_eq!(space.ended("again-2").await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

async fn cancel(space: &Space, name: &str) {
    let promotions: Api<Promotion> = space.api();
    let patch = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    promotions.patch(name, &PatchParams::default(), &patch).await.expect("the cancel is taken");
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_used_once_applied_again_and_after_deletion() {
    let (space, _) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let promotions: Api<Promotion> = space.api();
    let name = "checkout-1.0.0-dev";
    let kept = wait::object(&promotions, name, "recorded", |known| known.metadata.finalizers.is_none()).await;
    space.promote("checkout", "1.0.0", "dev").await;
    let again = promotions.get(name).await.expect("the promotion");
    assert_eq!(again.metadata.resource_version, kept.metadata.resource_version, "applied again, nothing changes");

    let deployments: Api<Deployment> = space.in_environment("dev");
    let before = deployments.get("checkout").await.expect("the Deployment").metadata.generation;
    promotions.delete(name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&promotions, name).await;
    space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(name).await;
    assert_eq!(reason(&ended), "AlreadyRecorded");
    assert_eq!(ended.status.expect("a status").phase.as_deref(), Some("Succeeded"));
    let after = deployments.get("checkout").await.expect("the Deployment").metadata.generation;
    assert_eq!(before, after, "no effect");
    wait::object(&promotions, name, "released", |known| known.metadata.finalizers.is_none()).await;
    promotions.delete(name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&promotions, name).await;

    let other = json!({"project": "checkout", "version": "1.0.0", "environment": "test"});
    space.apply(space.object("Promotion", name, other)).await;
    assert_eq!(reason(&space.ended(name).await), "NameUsed");
    let records: Api<AuditRecord> = space.api();
    let records = records.list(&ListParams::default()).await.expect("records").items;
    let of_promotions = records.iter().filter(|record| record.name_any().starts_with("promotion-"));
    assert_eq!(of_promotions.count(), 1, "one record a name");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_running_promotion_cancels_it_first_and_leaves_its_record() {
    let (space, image) = space(shared().await).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    space.in_phase(&name, "Running", None).await;
    let deployments: Api<Deployment> = space.in_environment("dev");
    wait::object(&deployments, "checkout", "applied", |_| true).await;
    let promotions: Api<Promotion> = space.api();
    promotions.delete(&name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&promotions, &name).await;
    let record = space.audit_record(&name).await;
    assert_eq!((record.phase.as_str(), record.reason.as_str(), record.applied), ("Canceled", "Deleted", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_promotion_that_waits_cancels_it_first_and_leaves_its_record() {
    let (space, _) = shop(shared().await).await;
    let name = space.promote("checkout", "9.9.9", "dev").await;
    space.in_phase(&name, "Pending", None).await;
    let promotions: Api<Promotion> = space.api();
    promotions.delete(&name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&promotions, &name).await;
    let record = space.audit_record(&name).await;
    assert_eq!((record.phase.as_str(), record.reason.as_str(), record.applied), ("Canceled", "Deleted", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_survives_the_promotions_that_made_it() {
    let (space, _) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let promotions: Api<Promotion> = space.api();
    promotions.delete("checkout-1.0.0-dev", &DeleteParams::default()).await.expect("deleted");
    wait::gone(&promotions, "checkout-1.0.0-dev").await;
    let project = space.project_says("checkout", "there", |_| true).await.status.expect("a status");
    let row = project.environments.iter().find(|row| row.name == "dev").expect("a row");
    assert_eq!(row.last.as_ref().expect("a last end").promotion, "checkout-1.0.0-dev");
    let release = wait::object(&space.api(), "checkout-1.0.0", "still in dev", |known: &Release| {
        let rows = known.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
        rows.iter().any(|row| row.name == "dev" && row.succeeded && row.current)
    })
    .await;
    assert_eq!(release.status.expect("a status").environments.iter().filter(|row| row.succeeded).count(), 1);

    // What follows is joined to all that, and takes nothing away.
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let dev = wait::object(&space.api(), "dev", "the history of both", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| status.history.len() == 2)
    })
    .await;
    let dev = dev.status.expect("a status");
    let promotions: Vec<_> = dev.history.iter().map(|entry| entry.promotion.as_str()).collect();
    assert!(promotions.contains(&"checkout-1.0.0-dev"), "{promotions:?}");
    assert_eq!(dev.deployments.iter().map(|row| row.release.as_str()).collect::<Vec<_>>(), ["checkout-1.1.0"]);
    let project = space
        .project_says("checkout", "at 1.1.0, before at 1.0.0", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.current.as_ref().is_some_and(|current| current.version == "1.1.0"))
        })
        .await;
    let row = project.status.expect("a status").environments.into_iter().find(|row| row.name == "dev").expect("a row");
    assert_eq!(row.previous.map(|previous| previous.version).as_deref(), Some("1.0.0"));
    for about in [("Promotion", "checkout-1.0.0-dev"), ("Release", "checkout-1.0.0"), ("Environment", "dev")] {
        told(&space, about, ("Succeeded", "Normal")).await;
    }
    let record = space.audit_record("checkout-1.0.0-dev").await;
    assert_eq!(record.phase, "Succeeded");
    let steps: Vec<_> = record.steps.iter().map(|step| (step.name.as_str(), step.phase.as_str())).collect();
    assert_eq!(steps, [("deploy", "Succeeded")]);
    assert!(record.steps.iter().all(|step| step.started_at.is_some() && step.finished_at.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_release_had_and_this_one_has_not_is_pruned_once_it_is_healthy() {
    let (space, image) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let config_maps: Api<ConfigMap> = space.in_environment("dev");
    config_maps.get("settings").await.expect("the ConfigMap of 1.0.0");
    let strangers = config_map("strangers", "not ours");
    let mut strangers: ConfigMap = serde_json::from_value(strangers).expect("a ConfigMap");
    strangers.metadata.namespace = Some(format!("{}-dev", space.name));
    config_maps.create(&kube::api::PostParams::default(), &strangers).await.expect("a stranger's object");
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    space.release("checkout", "1.1.0").await;
    let ended = space.deploy("checkout", "1.1.0", "dev").await;
    assert!(config_maps.get_opt("settings").await.expect("an answer").is_none(), "pruned");
    assert!(config_maps.get_opt("strangers").await.expect("an answer").is_some(), "not ours, so not touched");
    assert_eq!(ended.status.expect("a status").steps[0].pruned, ["ConfigMap/settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_promotion_left_behind_is_pruned_by_the_next_success() {
    let (space, image) = shop(shared().await).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let broken = failing("checkout", &image, "image-pull");
    space.project("checkout", &image, json!([config_map("settings", "one"), config_map("left", "x"), broken])).await;
    space.release("checkout", "1.1.0").await;
    let failed = space.promote("checkout", "1.1.0", "dev").await;
    assert_eq!(space.ended(&failed).await.status.expect("a status").phase.as_deref(), Some("Failed"));
    let config_maps: Api<ConfigMap> = space.in_environment("dev");
    config_maps.get("left").await.expect("a failure takes nothing away");

    space.project("checkout", &image, json!([deployment("checkout", &image), config_map("settings", "one")])).await;
    space.release("checkout", "2.0.0").await;
    let ended = space.deploy("checkout", "2.0.0", "dev").await;
    assert!(config_maps.get_opt("left").await.expect("an answer").is_none());
    assert_eq!(ended.status.expect("a status").steps[0].pruned, ["ConfigMap/left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_environment_is_not_ready_waits_and_goes_on_once_it_is() {
    let (space, image) = space(shared().await).await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(space.client.clone());
    let taken = format!("{}-taken", space.name);
    let namespace = serde_json::from_value(json!({"metadata": {"name": taken}})).expect("a namespace");
    namespaces.create(&PostParams::default(), &namespace).await.expect("somebody's namespace");
    let spec = json!({"order": 10, "targets": [{"name": "default", "namespace": taken}]});
    space.apply(space.object("Environment", "dev", spec)).await;
    space.project("checkout", &image, json!([config_map("settings", "one")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waiting = space.in_phase(&name, "Pending", Some("EnvironmentNotReady")).await;
    let said = message(&waiting);
    assert!(said.contains("environment dev is not ready") && said.contains(&taken), "{said}");

    let given = Patch::Merge(json!({"metadata": {"labels": {"gantry.dev/space": space.name}}}));
    namespaces.patch(&taken, &PatchParams::default(), &given).await.expect("an administrator may");
    let ended = space.ended(&name).await;
    assert_eq!(ended.status.as_ref().expect("a status").phase.as_deref(), Some("Succeeded"), "{}", message(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_step_waits_nothing_is_read_but_by_watches() {
    let cluster = shared().await;
    let (space, image) = space(cluster).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    // It says so ten seconds after it was applied; from then on nothing changes.
    wait::object(&space.api(), &name, "waiting for its pods", |known: &Promotion| {
        message(known).contains("Deployment checkout")
    })
    .await;
    let audit = cluster.plane.audit();
    let mark = audit.mark();
    let deployments: Api<Deployment> = space.in_environment("dev");
    // Each is a change that the operator hears of; the last one shows that it has heard of all before.
    for n in 0..5 {
        let note = Patch::Merge(json!({"metadata": {"annotations": {"example.com/note": n.to_string()}}}));
        deployments.patch("checkout", &PatchParams::default(), &note).await.expect("an administrator may");
    }
    cancel(&space, &name).await;
    let ended = |event: &AuditEvent| event.name == name && event.subresource == "status" && event.code == 200;
    audit.find(mark, wait::PATIENCE, ended).await.expect("its end");
    let place = format!("{}-dev", space.name);
    let seen = audit.since(mark).expect("the audit log");
    let reads = seen.iter().take_while(|event| !ended(event)).filter(|event| {
        let reads = ["get", "list"].contains(&event.verb.as_str());
        event.user == OPERATOR && reads && event.namespace == place
    });
    let reads: Vec<_> = reads.map(|event| &event.request_uri).collect();
    assert!(reads.is_empty(), "{reads:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_space_does_not_hang_while_a_promotion_runs_and_the_log_has_its_last_records() {
    let cluster = shared().await;
    let (space, image) = space(cluster).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    space.in_phase(&name, "Running", None).await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(space.client.clone());
    namespaces.delete(&space.name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&namespaces, &space.name).await;
    // Nothing can be created in a namespace that goes, so this is where an auditor finds them.
    let log = cluster.operator.log(&cluster.plane);
    let of_space = format!("space=\"{}\"", space.name);
    let last: Vec<&str> =
        log.lines().filter(|line| line.contains("this is its audit record") && line.contains(&of_space)).collect();
    let of_promotion = last.iter().find(|line| line.contains(&format!("name=\"promotion-{name}\""))).expect("its end");
    assert!(of_promotion.contains("WARN") && of_promotion.contains(r#"\"phase\":\"Canceled\""#), "{of_promotion}");
    assert!(of_promotion.contains(r#"\"requestedBy\":{\"username\":\"gantry-plane-admin\""#), "{of_promotion}");
    let deleted = last.iter().filter(|line| line.contains(r#"\"action\":\"Deleted\""#)).count();
    assert!(deleted >= 1, "the environment and the project went, too: {last:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_a_release_that_is_not_there_keeps_nobody_waiting() {
    let (space, _) = space(shared().await).await;
    space.environment_with("dev", json!({"order": 10, "queue": "Queue"})).await;
    let image = "registry.example/checkout";
    space.project("checkout", image, json!([config_map("settings", "one")])).await;
    let early = space.promote("checkout", "9.9.9", "dev").await;
    space.in_phase(&early, "Pending", Some("ReleaseNotFound")).await;
    let digest = format!("sha256:{}", "1".repeat(64));
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": digest}]);
    space
        .apply(space.object(
            "Release",
            "checkout-1.0.0",
            json!({"project": "checkout", "version": "1.0.0", "packages": packages}),
        ))
        .await;
    space.sealed("checkout-1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.in_phase(&early, "Pending", Some("ReleaseNotFound")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_blocks_a_promotion_is_said_at_once_and_it_goes_on_when_that_is_cleared() {
    let cluster = shared().await;
    let (space, _) = shop(cluster).await;
    space.release("checkout", "1.0.0").await;
    let leases: Api<Lease> = space.api();
    let foreign = serde_json::from_value(json!({"metadata": {"name": "checkout.dev"}})).expect("a Lease");
    leases.create(&PostParams::default(), &foreign).await.expect("a Lease that is no slot");
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let blocked = space.in_phase(&name, "Pending", Some("Blocked")).await;
    assert!(message(&blocked).contains("Lease checkout.dev"), "{}", message(&blocked));
    leases.delete("checkout.dev", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_a_while_says_what_it_waits_for_in_its_status_and_in_the_overview() {
    let (space, image) = space(shared().await).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&space.api(), &name, "telling what it waits for", |known: &Promotion| {
        reason(known) == "InProgress" && message(known).contains("Deployment checkout: waits for a container")
    })
    .await;
    space
        .project_says("checkout", "telling it, too", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            let running =
                rows.first().and_then(|row| row.running.as_ref()).and_then(|running| running.message.as_ref());
            running.is_some_and(|message| message.contains("Deployment checkout: waits for a container"))
        })
        .await;
}
