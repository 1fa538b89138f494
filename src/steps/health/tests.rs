//! Statuses as a real cluster writes them, shortened to what rules read.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

mod failures;
mod kinds;

const APPLIED: &str = "2026-03-01T12:00:00Z";
const CREATED: &str = "2026-03-01T12:00:01Z";

/// Judges after `seconds` since the apply.
fn limits(seconds: i64) -> Limits {
    let applied: Timestamp = APPLIED.parse().unwrap();
    Limits {
        fail_after: FailAfter {
            image_pull: Duration::from_mins(2),
            crash_loop: 3,
            unschedulable: Duration::from_mins(5),
        },
        applied,
        now: applied + jiff::SignedDuration::from_secs(seconds),
    }
}

fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

fn shared(values: &[Value]) -> Vec<Arc<DynamicObject>> {
    values.iter().map(|value| Arc::new(object(value))).collect()
}

fn judge(value: &Value, pods: &[Value], sets: &[Value], seconds: i64) -> Assessment {
    let (group, version) = value["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
    let what = ObjectRef {
        group: group.into(),
        version: version.into(),
        kind: value["kind"].as_str().unwrap().into(),
        namespace: "shop-dev".into(),
        name: value["metadata"]["name"].as_str().unwrap().into(),
    };
    assess(&what, &object(value), &Related::new(&shared(pods), &shared(sets)), &limits(seconds))
}

fn alone(value: &Value) -> Assessment {
    judge(value, &[], &[], 10)
}

/// The sentence of what is not healthy.
fn sentence(assessment: &Assessment) -> String {
    match &assessment.health {
        Health::Healthy => "healthy".to_owned(),
        Health::Progressing { message, .. } => format!("progressing: {message}"),
        Health::Failed(failure) => format!("failed: {}", failure.message),
    }
}

/// Changes fields of a fixture: pointer and value.
fn but(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, change) in changes {
        let (holder, key) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(holder).unwrap().as_object_mut().unwrap().insert(key.to_owned(), change.clone());
    }
    value
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "uid": "d1", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 2, "progressDeadlineSeconds": 600, "selector": {}, "template": {}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]},
    })
}

/// A Deployment whose new pods are not there yet.
fn rolling() -> Value {
    but(
        deployment(),
        &[
            ("/status/updatedReplicas", json!(1)),
            ("/status/replicas", json!(3)),
            ("/status/availableReplicas", json!(2)),
        ],
    )
}

fn replica_set(name: &str, revision: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "uid": name, "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "d1", "controller": true}]},
        "spec": {"selector": {}}, "status": {"replicas": 1},
    })
}

/// A pod whose one container is in a state.
fn pod(owner: &str, container: Value) -> Value {
    let mut container = but(container, &[("/name", json!("api"))]);
    for (key, default) in
        [("image", json!("")), ("imageID", json!("")), ("ready", json!(false)), ("restartCount", json!(0))]
    {
        container.as_object_mut().unwrap().entry(key).or_insert(default);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{owner}-x2x4v"), "uid": "p1", "creationTimestamp": CREATED,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Any", "name": owner, "uid": owner, "controller": true}]},
        "spec": {"containers": [{"name": "api", "image": format!("localhost:5000/checkout:9.9.9@sha256:{}", "a".repeat(64))}]},
        "status": {"phase": "Pending", "startTime": "2026-03-01T12:00:02Z", "containerStatuses": [container],
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]},
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}
