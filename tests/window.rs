//! When a promotion may start, and when it is too late, on the real cluster.

use gantry::api::v1alpha1::{Environment, Promotion};
use gantry_plane::{Identity, Options};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::manifest::{config_map, failing};
use crate::support::operator::Operator;
use crate::support::shared::{OPERATOR, own, shared};
use crate::support::space::Space;
use crate::support::wait;

/// In so many seconds, as YAML has it.
fn in_seconds(seconds: i64) -> Timestamp {
    let time = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(time.as_second()).expect("a time")
}

/// Dev, and a project that needs no registry.
async fn fill(space: &Space) {
    space.environment("dev", 10).await;
    fill_project(space, json!([config_map("settings", "one")])).await;
    release(space, "1.0.0").await;
}

async fn fill_project(space: &Space, manifests: Value) {
    space.project("checkout", "ghcr.io/acme/checkout", manifests).await;
}

async fn release(space: &Space, version: &str) {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let name = format!("checkout-{version}");
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
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

fn message(promotion: &Promotion) -> String {
    promotion.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default()
}

fn phase(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn started(promotion: &Promotion) -> Timestamp {
    promotion.status.as_ref().and_then(|status| status.started_at.as_ref()).expect("a start").0
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_time_a_promotion_asks_nothing_of_the_api_server_then_it_starts_at_once_also_after_a_restart() {
    let plane = own(Options::default()).await;
    let operator = Operator::start(&plane, "window").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    fill(&space).await;
    let (time, mark) = (in_seconds(8), plane.audit().mark());
    promote(&space, "tonight", "1.0.0", json!({"notBefore": time.to_string()})).await;
    let waits = space.in_phase("tonight", "Pending", Some("NotYet")).await;
    assert!(message(&waits).starts_with(&format!("its time has not come: it starts at {time} or later")), "{waits:?}");
    let ended = space.ended("tonight").await;
    assert_eq!(phase(&ended), "Succeeded");
    let late = started(&ended).duration_since(time);
    assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(2), "{late:?}");
    // Once it had said so, and heard itself say so, it waited for a timer.
    let requests = plane.audit().since(mark).expect("an audit log");
    let asked = requests.iter().filter(|event| {
        let received: Timestamp = event.received.parse().expect("a time");
        let waited = received < time && received > time - SignedDuration::from_secs(3);
        event.user == OPERATOR && event.namespace == space.name && waited
    });
    let asked: Vec<_> = asked.map(|event| (&event.verb, &event.resource, &event.received)).collect();
    assert!(asked.is_empty(), "{asked:?}");

    let (time, over) = (in_seconds(5), in_seconds(6));
    promote(&space, "tomorrow", "1.0.0", json!({"notBefore": time.to_string()})).await;
    space.in_phase("tomorrow", "Pending", Some("NotYet")).await;
    let expiring = json!({"notBefore": time.to_string(), "expiresAt": over.to_string()});
    promote(&space, "too-late", "1.0.0", expiring).await;
    space.in_phase("too-late", "Pending", Some("NotYet")).await;
    operator.kill(&plane);
    wait::eventually("both times are over", || async { (Timestamp::now() > over).then_some(()) }).await;
    let resumed = Timestamp::now();
    operator.resume(&plane).await;
    let ended = space.ended("tomorrow").await;
    assert_eq!(phase(&ended), "Succeeded");
    assert!(started(&ended) >= resumed);
    assert_eq!(phase(&space.ended("too-late").await), "Expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_started_in_time_expires_whatever_it_waits_for_and_every_history_says_so() {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space).await;
    space.apply(space.object("Environment", "dev", json!({"order": 10, "paused": true}))).await;
    let time = in_seconds(4);
    promote(&space, "now-or-never", "1.0.0", json!({"expiresAt": time.to_string(), "reason": "CHG-1"})).await;
    let waits = space.in_phase("now-or-never", "Pending", Some("EnvironmentPaused")).await;
    let until = format!("; if it has not started by {time}, it expires");
    assert!(message(&waits).ends_with(&until), "{}", message(&waits));
    let ended = space.ended("now-or-never").await;
    let status = ended.status.clone().expect("a status");
    assert_eq!((phase(&ended), status.reason.as_deref(), status.applied), ("Expired", Some("Expired"), false));
    assert!(message(&ended).contains("make a new promotion with another name"), "{}", message(&ended));
    let late = status.finished_at.expect("an end").0.duration_since(time);
    assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(2), "{late:?}");
    let about = ListParams::default().fields("regarding.kind=Promotion,regarding.name=now-or-never");
    wait::eventually("an Event says that it has expired", || async {
        let events = space.api::<Event>().list(&about).await.expect("events").items;
        events.iter().any(|event| event.reason.as_deref() == Some("Expired")).then_some(())
    })
    .await;
    let record = space.audit_record("now-or-never").await;
    assert_eq!((record.phase.as_str(), record.expires_at.map(|time| time.0)), ("Expired", Some(time)));
    let environment = wait::object(&space.api(), "dev", "recorded", |known: &Environment| {
        known.status.as_ref().is_some_and(|status| !status.history.is_empty())
    })
    .await;
    let entry = environment.status.expect("a status").history.remove(0);
    assert_eq!((entry.phase.as_str(), entry.mode, entry.reason_given.as_deref()), ("Expired", None, Some("CHG-1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_its_time_is_over_goes_on() {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space).await;
    fill_project(&space, json!([failing("checkout", "ghcr.io/acme/checkout", "never-ready")])).await;
    release(&space, "1.1.0").await;
    let time = in_seconds(6);
    promote(&space, "long", "1.1.0", json!({"expiresAt": time.to_string()})).await;
    space.in_phase("long", "Running", None).await;
    promote(&space, "clock", "1.0.0", json!({"expiresAt": time.to_string()})).await;
    assert_eq!(phase(&space.ended("clock").await), "Expired", "it waited for the one that runs");
    let promotions: Api<Promotion> = space.api();
    assert_eq!(phase(&promotions.get("long").await.expect("the promotion")), "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_start_later_is_not_replaced_by_what_is_promoted_now_and_does_not_replace_it() {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space).await;
    release(&space, "1.1.0").await;
    release(&space, "1.2.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let time = in_seconds(8);
    promote(&space, "tonight", "1.2.0", json!({"notBefore": time.to_string()})).await;
    space.in_phase("tonight", "Pending", Some("NotYet")).await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let ended = space.ended("tonight").await;
    assert_eq!(phase(&ended), "Succeeded", "{}", message(&ended));
    assert!(started(&ended) >= time);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_waits_for_its_night() {
    let space = Space::create(shared().await.admin().await).await;
    let sample = |file: &'static str| {
        let path = format!("{}/deploy/samples/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the sample");
        let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
        let client = &space.client;
        async move { gantry_plane::manifests::apply(client, "test", &text).await.expect("it is taken") }
    };
    sample("checkout/2-environments").await;
    fill_project(&space, json!([config_map("settings", "one")])).await;
    release(&space, "1.0.0").await;
    for environment in ["dev", "test"] {
        space.deploy("checkout", "1.0.0", environment).await;
    }
    sample("more/promotion-at-night").await;
    let waits = space.in_phase("checkout-1.0.0-production-at-night", "Pending", Some("NotYet")).await;
    let message = message(&waits);
    assert!(message.ends_with("; if it has not started by 2035-01-02T02:00:00Z, it expires"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_time_under_a_used_name_is_another_promotion_and_the_same_is_not() {
    let space = Space::create(shared().await.admin().await).await;
    fill(&space).await;
    let given = json!({"notBefore": "2026-01-01T00:00:00.5Z", "priority": 3});
    promote(&space, "once", "1.0.0", given.clone()).await;
    assert_eq!(phase(&space.ended("once").await), "Succeeded");
    let promotions: Api<Promotion> = space.api();
    for (spec, reason) in [(given, "AlreadyRecorded"), (json!({"notBefore": "2026-01-02T00:00:00Z"}), "NameUsed")] {
        wait::object(&promotions, "once", "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
        promotions.delete("once", &kube::api::DeleteParams::default()).await.expect("deleted");
        wait::gone(&promotions, "once").await;
        promote(&space, "once", "1.0.0", spec).await;
        let ended = space.ended("once").await.status.expect("a status");
        assert_eq!(ended.reason.as_deref(), Some(reason));
    }
}
