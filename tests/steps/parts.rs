//! Promotions of a part of a release, on the real cluster: what they leave out, and for what they do not count.

use gantry::api::v1alpha1::promotion::Cause;
use gantry::api::v1alpha1::{Environment, Project, Promotion, Release};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::{config_maps, message, new_space, phase, promote, release, rows, step, two_targets};
use crate::support::manifest::failing;
use crate::support::space::Space;
use crate::support::wait;

/// A step whose container crashes, or never becomes ready.
fn bad(how: &str) -> Value {
    let image = format!("ghcr.io/acme/checkout@sha256:{}", "a".repeat(64));
    json!({"name": "bad", "timeout": "2m", "apply": {"manifests": [failing("checkout", &image, how)]}})
}

fn reason(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default()
}

/// The row of dev in the project, once it shows the end of this promotion.
async fn row_after(space: &Space, promotion: &str) -> gantry::api::v1alpha1::project::EnvironmentRow {
    let is_last = |known: &Project| {
        let rows = known.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
        let last = rows.iter().find(|row| row.name == "dev").and_then(|row| row.last.as_ref());
        last.is_some_and(|last| last.promotion == promotion)
    };
    let project = space.project_says("checkout", &format!("{promotion} recorded"), is_last).await;
    project.status.expect("a status").environments.into_iter().find(|row| row.name == "dev").expect("the row")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_leaves_out_what_it_says_and_is_no_success_of_the_environment() {
    let space = new_space().await;
    two_targets(&space).await;
    space.environment("test", 20).await;
    release(&space, "1.0.0", json!([step("one", &["one"], json!({})), step("two", &["two"], json!({}))])).await;
    let part = promote(&space, "part", "1.0.0", json!({"targets": ["web"], "skipSteps": ["two"]})).await;
    assert_eq!(phase(&part), "Succeeded", "{}", message(&part));
    let expected = [
        "one in web: Succeeded",
        "one in jobs: Skipped TargetLeftOut",
        "two in web: Skipped SkippedByPerson",
        "two in jobs: Skipped TargetLeftOut",
    ];
    assert_eq!(rows(&part), expected);
    let says = "every step is done and everything is healthy, and it brought only a part of the release, which does not count as what runs in dev";
    assert_eq!(message(&part), says);
    assert_eq!(
        (config_maps(&space, "web").await, config_maps(&space, "jobs").await),
        (vec!["one".to_owned()], Vec::new())
    );

    let row = row_after(&space, "part").await;
    assert_eq!(
        (row.current, row.last.map(|last| (last.phase, last.partial))),
        (None, Some(("Succeeded".to_owned(), true)))
    );
    let record = space.audit_record("part").await;
    assert_eq!(record.steps[2].reason.as_deref(), Some("SkippedByPerson"));
    assert_eq!(
        (record.partial, record.targets, record.skip_steps),
        (true, vec!["web".to_owned()], vec!["two".to_owned()])
    );
    let seen = wait::object(&space.api(), "checkout-1.0.0", "recorded", |known: &Release| {
        known.status.as_ref().is_some_and(|status| status.environments.iter().any(|row| row.promotion == "part"))
    })
    .await;
    let status = seen.status.expect("a status");
    assert!(status.environments[0].partial && !status.environments[0].succeeded && !status.environments[0].current);
    assert_eq!((status.phases[0].progress.as_str(), &status.next), ("Current", &vec!["dev".to_owned()]));
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "test"});
    space.apply(space.object("Promotion", "early", spec)).await;
    assert_eq!(reason(&space.ended("early").await), "LifecycleNotReached");

    space.deploy("checkout", "1.0.0", "dev").await;
    space.deploy("checkout", "1.0.0", "test").await;
    assert_eq!(config_maps(&space, "jobs").await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_or_target_that_does_not_exist_is_refused_with_the_field_and_what_exists() {
    let space = new_space().await;
    two_targets(&space).await;
    release(&space, "1.0.0", json!([step("one", &["one"], json!({})), step("two", &["two"], json!({}))])).await;
    let refused = promote(&space, "target", "1.0.0", json!({"targets": ["web", "asia"], "whenNotReady": "Wait"})).await;
    assert_eq!((phase(&refused), reason(&refused)), ("Refused", "TargetNotFound"));
    let says = "environment dev has no target asia (spec.targets[1]), it has web, jobs: ";
    assert!(message(&refused).starts_with(says), "{}", message(&refused));
    let refused = promote(&space, "step", "1.0.0", json!({"skipSteps": ["three"]})).await;
    assert_eq!((phase(&refused), reason(&refused)), ("Refused", "StepNotFound"));
    let says = "release checkout-1.0.0 has no step three (spec.skipSteps[0]), it has one, two: ";
    assert!(message(&refused).starts_with(says), "{}", message(&refused));
    assert!(config_maps(&space, "web").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_replaces_nothing_that_waits_and_a_newer_whole_one_replaces_it() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    release(&space, "1.0.0", json!([bad("never-ready")])).await;
    release(&space, "1.1.0", json!([step("one", &["one"], json!({})), step("two", &["two"], json!({}))])).await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let ask = async |name: &str, version: &str, more: Value| {
        let mut spec = json!({"project": "checkout", "version": version, "environment": "dev"});
        spec.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        space.apply(space.object("Promotion", name, spec)).await;
    };
    ask("a-runs", "1.0.0", json!({})).await;
    space.in_phase("a-runs", "Running", None).await;
    ask("b-whole", "1.1.0", json!({})).await;
    space.in_phase("b-whole", "Pending", Some("QueuedBehind")).await;
    ask("c-part", "1.1.0", json!({"skipSteps": ["two"]})).await;
    let waits = space.in_phase("c-part", "Pending", Some("QueuedBehind")).await;
    assert!(!message(&waits).contains("replaces"), "{}", message(&waits));
    assert_eq!(
        phase(&space.api::<Promotion>().get("b-whole").await.expect("it")),
        "Pending",
        "the part replaced nothing"
    );
    ask("d-whole", "1.1.0", json!({})).await;
    for replaced in ["b-whole", "c-part"] {
        let ended = space.ended(replaced).await;
        assert_eq!((phase(&ended), message(&ended).contains("promotion d-whole is newer")), ("Superseded", true));
    }
    space.api::<Promotion>().delete("a-runs", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(phase(&space.ended("d-whole").await), "Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_a_part_goes_to_the_last_whole_success_and_a_part_that_fails_is_not_rolled_back() {
    let space = new_space().await;
    let spec = json!({"order": 10, "onFailure": "Rollback", "failAfter": {"crashLoop": 1}});
    space.environment_with("dev", spec).await;
    release(&space, "1.0.0", json!([step("one", &["one"], json!({})), step("two", &["two"], json!({}))])).await;
    release(&space, "1.1.0", json!([step("one", &["new"], json!({})), bad("crash-loop")])).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let part = promote(&space, "part", "1.1.0", json!({"skipSteps": ["bad"]})).await;
    assert_eq!(phase(&part), "Succeeded", "{}", message(&part));
    let row = row_after(&space, "part").await;
    let current = row.current.expect("what runs");
    assert_eq!((current.version.as_str(), current.promotion.as_str()), ("1.0.0", "checkout-1.0.0-dev"));

    let failed = promote(&space, "failing-part", "1.1.0", json!({"skipSteps": ["one"]})).await;
    assert_eq!(phase(&failed), "Failed");
    let says = "; nothing was rolled back: it brought only a part of its release; promote a release that works";
    assert!(message(&failed).ends_with(says), "{}", message(&failed));

    let failed = promote(&space, "failing", "1.1.0", json!({})).await;
    assert_eq!(phase(&failed), "RolledBack", "{}", message(&failed));
    let rollback = failed.status.expect("a status").rollback.expect("its rollback");
    assert_eq!((rollback.version.as_str(), rollback.again.as_str()), ("1.0.0", "checkout-1.0.0-dev"));
    assert_eq!(config_maps(&space, "dev").await, ["one", "two"], "what the part had brought is gone");
    let all = space.api::<Promotion>().list(&ListParams::default()).await.expect("promotions").items;
    let caused: Vec<&Cause> = all.iter().filter_map(|promotion| promotion.spec.cause.as_ref()).collect();
    assert_eq!(caused.iter().map(|cause| cause.name.as_str()).collect::<Vec<_>>(), ["failing"]);
    assert!(all.iter().filter(|known| known.spec.cause.is_some()).all(|known| !known.spec.is_partial()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_part_under_a_used_name_is_another_promotion_and_the_same_is_not() {
    let space = new_space().await;
    two_targets(&space).await;
    release(&space, "1.0.0", json!([step("one", &["one"], json!({}))])).await;
    promote(&space, "once", "1.0.0", json!({"targets": ["web"]})).await;
    let promotions = space.api::<Promotion>();
    for (targets, expected) in [(json!(["web"]), "AlreadyRecorded"), (json!(["jobs"]), "NameUsed")] {
        wait::object(&promotions, "once", "recorded", |known: &Promotion| known.finalizers().is_empty()).await;
        promotions.delete("once", &DeleteParams::default()).await.expect("deleted");
        wait::gone(&promotions, "once").await;
        assert_eq!(reason(&promote(&space, "once", "1.0.0", json!({"targets": targets})).await), expected);
    }
    assert!(config_maps(&space, "jobs").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_of_a_part_leaves_out_the_banner() {
    let space = new_space().await;
    let sample = async |file: &str| {
        let path = format!("{}/deploy/samples/more/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the sample");
        let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
        gantry_plane::manifests::apply(&space.client, "test", &text).await.expect("it is taken");
    };
    sample("project-with-steps").await;
    space.environment("production", 10).await;
    space.apply(space.object("Release", "notes-1.0.0", json!({"project": "notes", "version": "1.0.0"}))).await;
    sample("promotion-of-a-part").await;
    let ended = space.ended("notes-1.0.0-production-without-banner").await;
    let expected = ["settings in default: Succeeded", "banner in default: Skipped SkippedByPerson"];
    assert_eq!(rows(&ended)[..2], expected);
    let environment = wait::object(&space.api(), "production", "recorded", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| !status.history.is_empty())
    })
    .await
    .status
    .expect("a status");
    assert!(environment.history[0].partial && environment.deployments.is_empty());
}
