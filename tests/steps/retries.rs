//! Steps that fail and are begun again, on the real cluster.

use gantry::api::v1alpha1::Promotion;
use gantry::api::v1alpha1::promotion_status::StepRecord;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{config_maps, message, new_space, phase, release, rows, step};
use crate::support::manifest::failing;
use crate::support::space::Space;
use crate::support::wait;

/// A space with dev and a release that applies `settings`, of which somebody holds the field that it wants to set.
async fn contested(more: Value) -> (Space, Api<ConfigMap>) {
    let space = new_space().await;
    space.environment("dev", 10).await;
    release(&space, "1.0.0", json!([step("deploy", &["settings"], more)])).await;
    let settings: Api<ConfigMap> = space.in_environment("dev");
    let mine =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"text": "mine"}});
    let taken = Patch::Apply(mine);
    settings.patch("settings", &PatchParams::apply("somebody"), &taken).await.expect("taken");
    (space, settings)
}

fn first(promotion: &Promotion) -> &StepRecord {
    &promotion.status.as_ref().expect("a status").steps[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_failed_is_begun_again_later_and_succeeds_if_the_cause_is_gone_by_then() {
    let (space, settings) = contested(json!({"retries": 2})).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waits = wait::object(&space.api(), &name, "waits to be begun again", |known: &Promotion| {
        known.status.as_ref().and_then(|status| status.steps.first()).is_some_and(|step| step.retry_at.is_some())
    })
    .await;
    assert_eq!((phase(&waits), first(&waits).attempt), ("Running", Some(1)));
    let says = "step deploy failed 1 of 3 times and is begun again at ";
    assert!(message(&waits).starts_with(says) && message(&waits).contains("somebody"), "{}", message(&waits));
    settings.delete("settings", &DeleteParams::default()).await.expect("deleted");
    let ended = space.ended(&name).await;
    assert_eq!(phase(&ended), "Succeeded", "{}", message(&ended));
    let step = first(&ended);
    assert_eq!((step.attempt, &step.retry_at), (Some(2), &None));
    assert!(step.attempted_at.is_some() && step.attempted_at > step.started_at);
    assert_eq!(config_maps(&space, "dev").await, ["settings"]);
    wait::eventually("an Event says so", || async {
        let about = ListParams::default().fields(&format!("regarding.kind=Promotion,regarding.name={name}"));
        let events = space.api::<Event>().list(&about).await.expect("events").items;
        events.into_iter().find(|event| event.reason.as_deref() == Some("Retrying"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_as_often_as_it_may_ends_the_promotion_with_its_last_failure() {
    let (space, _) = contested(json!({"retries": 1})).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&name).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!((phase(&ended), status.reason.as_deref(), status.applied), ("Failed", Some("Conflict"), false));
    assert_eq!(first(&ended).attempt, Some(2));
    assert!(status.message.as_deref().is_some_and(|message| message.contains("somebody")), "{}", message(&ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_longer_than_its_time_fails_however_often_it_may_be_begun() {
    let space = new_space().await;
    space.environment("dev", 10).await;
    let image = format!("ghcr.io/acme/checkout@sha256:{}", "a".repeat(64));
    let manifests = json!([failing("checkout", &image, "never-ready")]);
    let process = json!([
        {"name": "slow", "timeout": "3s", "retries": 3, "apply": {"manifests": manifests}},
        step("next", &["next"], json!({})),
    ]);
    release(&space, "1.0.0", process).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&name).await;
    let reason = ended.status.as_ref().and_then(|status| status.reason.as_deref());
    assert_eq!((phase(&ended), reason), ("Failed", Some("Timeout")));
    assert!(message(&ended).starts_with("step slow did not finish within 3s: "), "{}", message(&ended));
    assert_eq!(rows(&ended), ["slow in default: Failed", "next in default: Skipped AfterFailure"]);
}
