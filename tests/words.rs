//! What people write in their own words, and how it comes out: nowhere as something that a terminal or a program would obey.

use gantry::api::v1alpha1::{Approval, Environment, Freeze, Project, Promotion, Release};
use gantry_plane::{Identity, Options};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// It would color a terminal, ring its bell, begin a line of its own, and look like a line of the log.
const WORDS: &str = "because\u{1b}[31m\u{7}\r\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"forged\"}}\u{202e}";

/// Every text of an object that says something for people, but for what somebody else wrote into its spec.
fn said(object: &Value, found: &mut Vec<String>) {
    match object {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| said(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| said(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The statuses of all objects of a kind.
async fn statuses<K>(space: &Space) -> Vec<Value>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let all = space.api::<K>().list(&ListParams::default()).await.expect("objects").items;
    all.iter().map(|object| json!(object)["status"].clone()).collect()
}

/// What a space's statuses and Events say with one of these characters.
async fn obeyed(space: &Space) -> Vec<String> {
    let mut found = Vec::new();
    let mut all = statuses::<Promotion>(space).await;
    all.extend(statuses::<Release>(space).await);
    all.extend(statuses::<Project>(space).await);
    all.extend(statuses::<Environment>(space).await);
    all.extend(statuses::<Freeze>(space).await);
    all.extend(statuses::<Approval>(space).await);
    let events = space.api::<Event>().list(&ListParams::default()).await.expect("events").items;
    all.extend(events.into_iter().map(|event| json!(event.note)));
    for one in &all {
        said(one, &mut found);
    }
    found.retain(|text| text.chars().any(|c| c.is_control() || c == '\u{202e}'));
    found
}

// Attack T29.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_reaches_no_log_status_or_event_as_anything_but_text() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let operator = Operator::start_logging_json(&plane, "words").await;
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    let approvals = json!({"required": 1, "allowRequester": true});
    space.environment_with("dev", json!({"order": 10, "approvals": approvals})).await;
    space.project("checkout", "localhost:1/checkout", json!([config_map("settings", "x")])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages, "notes": WORDS});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let promote = |more: Value| {
        let mut spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev", "reason": WORDS, "onBehalfOf": WORDS});
        spec.as_object_mut().expect("fields").extend(more.as_object().cloned().unwrap_or_default());
        spec
    };
    // Approved, rejected, canceled, held back by a freeze, passed in spite of it, and of a release that is blocked.
    for (name, decision) in [("approved", "Approve"), ("rejected", "Reject")] {
        space.apply(space.object("Promotion", name, promote(json!({})))).await;
        let waiting = space.in_phase(name, "Pending", Some("ApprovalsMissing")).await;
        let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
        let spec = json!({"promotion": name, "promotionUid": waiting.uid(), "environment": "dev", "planDigest": digest,
            "decision": decision, "comment": WORDS});
        space.apply(space.object("Approval", name, spec)).await;
        space.ended(name).await;
    }
    space.apply(space.object("Promotion", "canceled", promote(json!({})))).await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": WORDS}}}));
    space.api::<Promotion>().patch("canceled", &PatchParams::default(), &cancel).await.expect("canceled");
    space.ended("canceled").await;
    let freeze = json!({"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z", "reason": WORDS});
    space.apply(space.object("Freeze", "always", freeze)).await;
    wait::object(&space.api(), "always", "active", |known: &Freeze| {
        known.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
    })
    .await;
    space.apply(space.object("Promotion", "frozen", promote(json!({})))).await;
    space.ended("frozen").await;
    let overrides = json!({"freezeOverride": {"names": ["always"], "reason": WORDS}});
    space.apply(space.object("Promotion", "passed", promote(overrides))).await;
    let block = Patch::Merge(json!({"spec": {"blocked": {"reason": WORDS}}}));
    space.api::<Release>().patch("checkout-1.0.0", &PatchParams::default(), &block).await.expect("blocked");
    space.in_phase("passed", "Pending", None).await;
    space.apply(space.object("Promotion", "blocked", promote(json!({})))).await;
    space.ended("blocked").await;

    assert_eq!(obeyed(&space).await, [""; 0], "in statuses and Events");
    let log = operator.log(&plane);
    for line in log.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(parsed["fields"]["message"], "forged", "{line}");
    }
    assert!(log.chars().all(|c| c == '\n' || !c.is_control()), "the log has characters that a terminal obeys");
    let (_, metrics) = operator.get("/metrics").await.expect("metrics");
    assert!(metrics.chars().all(|c| c == '\n' || !c.is_control()) && !metrics.contains("forged"));
}
