//! What a promotion is to what runs where it goes, and what follows a failure, on the real cluster.

use gantry::api::v1alpha1::{AuditRecord, Environment, Promotion, Release};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// A space with dev and the project `checkout` of one Deployment, and the image.
async fn shop(environment: Value) -> (Space, String) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment_with("dev", environment).await;
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    (space, image)
}

/// Where a failure is undone, and a crash is one at once.
fn undoing(more: Value) -> Value {
    let mut spec = json!({"order": 10, "onFailure": "Rollback", "failAfter": {"crashLoop": 1}});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    spec
}

/// A release that runs in dev, and one whose container crashes.
async fn good_and_bad(environment: Value) -> (Space, String) {
    let (space, image) = shop(environment).await;
    space.release("checkout", "1.0.0").await;
    space.project("checkout", &image, json!([failing("checkout", &image, "crash-loop")])).await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    (space, image)
}

async fn promote(space: &Space, name: &str, version: &str, more: Value) -> Promotion {
    let mut spec = json!({"project": "checkout", "version": version, "environment": "dev"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    space.apply(space.object("Promotion", name, spec)).await;
    space.ended(name).await
}

/// The promotions that Gantry made by itself.
async fn caused(space: &Space) -> Vec<Promotion> {
    let mut all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    all.retain(|promotion| promotion.spec.cause.is_some());
    all
}

fn phase(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn mode(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.mode.as_deref()).unwrap_or_default()
}

fn message(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

async fn image_in_dev(space: &Space) -> Option<String> {
    let deployed: Deployment = space.in_environment("dev").get("checkout").await.expect("the Deployment");
    deployed.spec.expect("a spec").template.spec.expect("a pod").containers[0].image.clone()
}

/// Waits for an Event of this reason about a promotion, and gives back what it says.
async fn said(space: &Space, promotion: &str, reason: &str) -> String {
    wait::eventually(&format!("an Event {reason} on {promotion}"), || async {
        let about = ListParams::default().fields(&format!("regarding.kind=Promotion,regarding.name={promotion}"));
        let events = space.api::<Event>().list(&about).await.expect("events").items;
        events.into_iter().find(|event| event.reason.as_deref() == Some(reason)).and_then(|event| event.note)
    })
    .await
}

/// Phases and modes in the history of dev, newest first, once it has as many rows.
async fn history(space: &Space, rows: usize) -> Vec<(String, String, Option<String>)> {
    let known = wait::object(&space.api(), "dev", "recorded", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| status.history.len() == rows)
    })
    .await;
    let history = known.status.expect("a status").history;
    history.into_iter().map(|entry| (entry.promotion, entry.phase, entry.mode)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_1_0_then_1_1_then_1_0_again_is_a_rollback_to_the_images_of_the_first() {
    let (space, _) = shop(json!({"order": 10})).await;
    space.release("checkout", "1.0.0").await;
    space.release("checkout", "1.1.0").await;
    let first = space.deploy("checkout", "1.0.0", "dev").await;
    let first_image = image_in_dev(&space).await;
    let second = space.deploy("checkout", "1.1.0", "dev").await;
    assert_eq!((mode(&first), mode(&second)), ("Deploy", "Deploy"));
    assert_ne!(image_in_dev(&space).await, first_image);

    let back = promote(&space, "back", "1.0.0", json!({"reason": "CHG-1"})).await;
    assert_eq!((phase(&back), mode(&back)), ("Succeeded", "Rollback"));
    let packages = |promotion: &Promotion| promotion.status.clone().expect("a status").packages;
    assert_eq!(packages(&back), packages(&first));
    assert_eq!(image_in_dev(&space).await, first_image);
    let record = space.audit_record("back").await;
    assert_eq!((record.mode.as_deref(), record.reason_given.as_deref()), (Some("Rollback"), Some("CHG-1")));
    assert_eq!(record.packages, packages(&first));
    space
        .project_says("checkout", "at 1.0.0 by the way back", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            let current = rows.iter().find(|row| row.name == "dev").and_then(|row| row.current.as_ref());
            current.is_some_and(|current| (current.version.as_str(), current.promotion.as_str()) == ("1.0.0", "back"))
        })
        .await;

    let again = promote(&space, "again", "1.0.0", json!({})).await;
    assert_eq!((phase(&again), mode(&again)), ("Succeeded", "Redeploy"));
    let modes: Vec<_> = history(&space, 4).await.into_iter().map(|(_, _, mode)| mode.unwrap_or_default()).collect();
    assert_eq!(modes, ["Redeploy", "Rollback", "Deploy", "Deploy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_and_the_mode_of_a_promotion_are_shown_wherever_it_is() {
    let (space, _) = shop(json!({"order": 10})).await;
    space.release("checkout", "1.0.0").await;
    promote(&space, "first", "1.0.0", json!({"reason": "CHG-7"})).await;
    let started = said(&space, "first", "Started").await;
    assert_eq!(started, "checkout 1.0.0 is being applied to dev (CHG-7)");
    let project = space
        .project_says("checkout", "recorded", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.last.is_some())
        })
        .await;
    let row = project.status.expect("a status").environments.remove(0);
    let (current, last) = (row.current.expect("what runs"), row.last.expect("an end"));
    assert_eq!((current.reason_given.as_deref(), current.mode.as_deref()), (Some("CHG-7"), Some("Deploy")));
    assert_eq!((last.reason_given.as_deref(), last.mode.as_deref()), (Some("CHG-7"), Some("Deploy")));
    let environment = wait::object(&space.api(), "dev", "recorded", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| !status.history.is_empty())
    })
    .await;
    let status = environment.status.expect("a status");
    assert_eq!(status.history[0].reason_given.as_deref(), Some("CHG-7"));
    assert_eq!(status.deployments[0].reason_given.as_deref(), Some("CHG-7"));
    assert_eq!(space.audit_record("first").await.reason_given.as_deref(), Some("CHG-7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_undone_once_before_anything_else_runs_and_both_promotions_name_each_other() {
    let (space, image) = good_and_bad(undoing(json!({"queue": "Queue"}))).await;
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    space.release("checkout", "2.0.0").await;
    let paused = |paused: bool| undoing(json!({"queue": "Queue", "paused": paused}));
    space.apply(space.object("Environment", "dev", paused(true))).await;
    let bad = space.promote("checkout", "1.1.0", "dev").await;
    let next = space.promote("checkout", "2.0.0", "dev").await;
    space.in_phase(&next, "Pending", Some("EnvironmentPaused")).await;
    space.apply(space.object("Environment", "dev", paused(false))).await;

    let failed = space.ended(&bad).await;
    assert_eq!(phase(&failed), "RolledBack", "{}", message(&failed));
    let status = failed.status.clone().expect("a status");
    assert_eq!((status.reason.as_deref(), status.applied), (Some("CrashLoopBackOff"), true));
    let written = status.rollback.expect("its rollback");
    assert_eq!((written.version.as_str(), written.again.as_str()), ("1.0.0", "checkout-1.0.0-dev"));
    let rollback: Promotion = space.api().get(&written.promotion).await.expect("the rollback");
    let cause = rollback.spec.cause.clone().expect("a cause");
    assert_eq!((cause.kind.as_str(), &cause.name, Some(&cause.uid)), ("Promotion", &bad, failed.metadata.uid.as_ref()));
    assert_eq!(rollback.spec.requested_by, failed.spec.requested_by);
    assert_eq!((phase(&rollback), mode(&rollback)), ("Succeeded", "Rollback"));
    let says = format!("it failed, and promotion {} put 1.0.0 back: ", written.promotion);
    assert!(message(&failed).starts_with(&says), "{}", message(&failed));

    let after = space.ended(&next).await;
    assert_eq!(phase(&after), "Succeeded");
    let (rollback, after) = (rollback.status.expect("a status"), after.status.expect("a status"));
    assert!(rollback.finished_at.expect("an end").0 <= after.started_at.expect("a start").0, "the rollback came first");
    assert!(status.finished_at.expect("an end").0 <= rollback.started_at.expect("a start").0, "it had ended before");
    assert_eq!(caused(&space).await.len(), 1);
    let told = history(&space, 4).await;
    let told: Vec<_> = told.iter().map(|(name, phase, _)| (name.as_str(), phase.as_str())).collect();
    let expected = [
        (next.as_str(), "Succeeded"),
        (written.promotion.as_str(), "Succeeded"),
        (bad.as_str(), "RolledBack"),
        ("checkout-1.0.0-dev", "Succeeded"),
    ];
    assert_eq!(told, expected);
    let record = space.audit_record(&bad).await;
    assert_eq!((record.phase.as_str(), record.rollback.as_ref()), ("RolledBack", Some(&written.promotion)));
    assert_eq!(space.audit_record(&written.promotion).await.cause, Some(cause));
    for reason in ["RollingBack", "RolledBack"] {
        assert!(said(&space, &bad, reason).await.contains(&written.promotion));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_left_alone_where_the_environment_does_not_say_otherwise() {
    let (space, _) = good_and_bad(json!({"order": 10, "failAfter": {"crashLoop": 1}})).await;
    let failed = promote(&space, "bad", "1.1.0", json!({})).await;
    assert_eq!((phase(&failed), failed.status.clone().expect("a status").rollback), ("Failed", None));
    assert_eq!(history(&space, 2).await[0].1, "Failed");
    assert_eq!(caused(&space).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_had_succeeded_before_nothing_is_put_back_and_the_failure_says_so() {
    let (space, image) = shop(undoing(json!({}))).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "crash-loop")])).await;
    space.release("checkout", "1.1.0").await;
    let failed = promote(&space, "bad", "1.1.0", json!({})).await;
    assert_eq!(phase(&failed), "Failed");
    let says = "; nothing was rolled back: nothing had succeeded there before; promote a release that works";
    assert!(message(&failed).ends_with(says), "{}", message(&failed));
    assert_eq!(caused(&space).await.len(), 0);
}

// Attack T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_made_again_is_not_put_back_for_the_one_that_ran() {
    let (space, image) = good_and_bad(undoing(json!({}))).await;
    let releases: Api<Release> = space.api();
    releases.delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&releases, "checkout-1.0.0").await;
    space.project("checkout", &image, json!([config_map("settings", "of another")])).await;
    space.release("checkout", "1.0.0").await;
    let failed = promote(&space, "bad", "1.1.0", json!({})).await;
    assert_eq!(phase(&failed), "Failed");
    let why = "the release of 1.0.0 was made again since, and is not the one that ran there; promote one that works";
    assert!(message(&failed).contains(why), "{}", message(&failed));
    assert!(caused(&space).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_is_not_followed_by_another() {
    let (space, image) = shop(undoing(json!({}))).await;
    space.project("checkout", &image, json!([deployment("checkout", &image), config_map("settings", "one")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space.project("checkout", &image, json!([failing("checkout", &image, "crash-loop")])).await;
    space.release("checkout", "1.1.0").await;
    // Somebody takes a field that only the old release has: it cannot be applied again.
    let settings: Api<ConfigMap> = space.in_environment("dev");
    let taken = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"text": "mine"}}));
    settings.patch("settings", &PatchParams::apply("somebody").force(), &taken).await.expect("taken");
    let failed = promote(&space, "bad", "1.1.0", json!({})).await;
    assert_eq!(phase(&failed), "Failed");
    assert_eq!(failed.status.as_ref().and_then(|status| status.reason.as_deref()), Some("CrashLoopBackOff"));
    let caused = caused(&space).await;
    assert_eq!(caused.len(), 1, "{caused:#?}");
    let ended = format!("promotion {}, which was to put 1.0.0 back, ended as Failed: promote a", caused[0].name_any());
    assert!(message(&failed).contains(&ended), "{}", message(&failed));
    assert_eq!(caused[0].status.as_ref().and_then(|status| status.reason.as_deref()), Some("Conflict"));
    let told = history(&space, 3).await;
    assert_eq!(told.iter().map(|(_, phase, _)| phase.as_str()).collect::<Vec<_>>(), ["Failed", "Failed", "Succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_its_rollback_waits_a_failure_says_so_and_who_cancels_it_leaves_the_rollback_alone() {
    let (space, image) = shop(undoing(json!({}))).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let step = json!({"name": "deploy", "timeout": "10s", "apply": {"manifests": [failing("checkout", &image, "never-ready")]}});
    let spec = json!({"packages": [{"name": "api", "image": image}], "process": [step]});
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.1.0").await;
    let bad = space.promote("checkout", "1.1.0", "dev").await;
    space.in_phase(&bad, "Running", None).await;
    space.apply(space.object("Environment", "dev", undoing(json!({"paused": true})))).await;
    let waits = space.in_phase(&bad, "RollingBack", Some("RollingBack")).await;
    let conditions = &waits.status.as_ref().expect("a status").conditions;
    let holds = |kind: &str| conditions.iter().find(|known| known.type_ == kind).map(|known| known.status.as_str());
    assert_eq!((holds("Succeeded"), holds("Finished")), (Some("False"), Some("False")), "it has failed already");
    let rollback = waits.status.clone().expect("a status").rollback.expect("its rollback").promotion;
    space.in_phase(&rollback, "Pending", Some("EnvironmentPaused")).await;
    let row = space
        .project_says("checkout", "being rolled back", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.waiting.as_ref().is_some_and(|waiting| waiting.promotion == rollback))
        })
        .await;
    let row = row.status.expect("a status").environments.remove(0);
    assert_eq!(row.running.map(|running| running.promotion).as_deref(), Some(bad.as_str()));

    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<Promotion>().patch(&bad, &PatchParams::default(), &cancel).await.expect("the cancel is taken");
    let failed = space.ended(&bad).await;
    assert_eq!(
        (phase(&failed), &failed.status.as_ref().expect("a status").rollback.as_ref().expect("named").promotion),
        ("Failed", &rollback)
    );
    assert!(message(&failed).contains("its rollback was not waited for"), "{}", message(&failed));
    space.apply(space.object("Environment", "dev", undoing(json!({"paused": false})))).await;
    assert_eq!(phase(&space.ended(&rollback).await), "Succeeded");
    let records = space.api::<AuditRecord>();
    wait::object(&records, &format!("promotion-{rollback}"), "written", |_: &AuditRecord| true).await;
    assert_eq!(caused(&space).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_given_what_the_last_success_was_given() {
    let (space, image) = shop(undoing(json!({}))).await;
    let variables = json!([{"name": "TICKET", "prompt": {"label": "Ticket", "required": true}}]);
    let settings = config_map("settings", "${{ variables.TICKET }}");
    let with = |manifests: Value| {
        json!({
            "packages": [{"name": "api", "image": image}], "variables": variables,
            "process": [{"name": "deploy", "timeout": "1m", "apply": {"manifests": manifests}}],
        })
    };
    space.apply(space.object("Project", "checkout", with(json!([settings.clone()])))).await;
    space.release("checkout", "1.0.0").await;
    let given = |value: &str| json!({"variables": [{"name": "TICKET", "value": value}]});
    assert_eq!(phase(&promote(&space, "good", "1.0.0", given("CHG-1")).await), "Succeeded");
    let crash = failing("checkout", &image, "crash-loop");
    space.apply(space.object("Project", "checkout", with(json!([settings, crash])))).await;
    space.release("checkout", "1.1.0").await;
    let failed = promote(&space, "bad", "1.1.0", given("CHG-2")).await;
    assert_eq!(phase(&failed), "RolledBack", "{}", message(&failed));
    let settings: ConfigMap = space.in_environment("dev").get("settings").await.expect("the ConfigMap");
    assert_eq!(settings.data.expect("data")["text"], "CHG-1");
}
