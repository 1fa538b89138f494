//! Kinds that Gantry does not know: what their conditions say, by the conventions of Kubernetes. Pure.

use kube::core::DynamicObject;
use serde_json::Value;

use super::{Assessment, Case, FailureReason};

/// Conditions that say that an object is as it should be.
const GOOD: [&str; 4] = ["Ready", "Available", "Healthy", "Established"];

/// A kind with conditions; without any it is healthy as soon as it is there.
pub(super) fn assess(case: &Case, object: &DynamicObject) -> Assessment {
    let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if observed.is_some()
        && let Err(unseen) = case.seen(object.metadata.generation, observed)
    {
        return unseen;
    }
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = conditions.map(Vec::as_slice).unwrap_or_default();
    if let Some(stalled) = find(conditions, "Stalled").filter(|stalled| text(stalled, "status") == "True") {
        return case.failure(FailureReason::Stalled, &said(stalled)).into();
    }
    if let Some(busy) = find(conditions, "Reconciling").filter(|busy| text(busy, "status") == "True") {
        return case.progressing(&format!("waits until it is reconciled: {}", said(busy)));
    }
    let good = GOOD.iter().filter_map(|kind| find(conditions, kind));
    let unseen = |condition: &Value| {
        let observed = condition.get("observedGeneration").and_then(Value::as_i64);
        observed.is_some_and(|observed| object.metadata.generation.is_some_and(|generation| observed < generation))
    };
    for condition in good {
        let kind = text(condition, "type");
        if unseen(condition) {
            return case.progressing(&format!("waits for its condition {kind} to speak of the change"));
        }
        if text(condition, "status") != "True" {
            return case.progressing(&format!("waits to be {kind}: {}", said(condition)));
        }
    }
    Assessment::healthy()
}

fn find<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|condition| text(condition, "type") == kind)
}

fn said(condition: &Value) -> String {
    let (reason, message) = (text(condition, "reason"), text(condition, "message"));
    let parts: Vec<&str> = [reason, message].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "no reason is given".to_owned() } else { parts.join(": ") }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
