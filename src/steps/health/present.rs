//! How an object is while nothing is being deployed: by itself, without its pods, and the same answer whenever it is asked. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use super::{Assessment, Case, FailAfter, FailureReason, Health, Limits, Related, assess};
use crate::steps::apply::object::ObjectRef;

/// What the object says of itself. Nobody waits for it any more, so what may heal by itself gets no time.
#[must_use]
pub fn assess_present(what: &ObjectRef, object: &DynamicObject) -> Health {
    let fail_after = FailAfter { image_pull: Duration::ZERO, crash_loop: 0, unschedulable: Duration::ZERO };
    // At the end of all time every delay is over, and nothing has to be looked at again.
    let limits = Limits { fail_after, applied: Timestamp::MIN, now: Timestamp::MAX };
    let related = Related::default();
    let found = assess(what, object, &related, &limits).health;
    match (&found, unavailable(what, &object.data)) {
        (Health::Progressing { .. }, Some(pods)) if object.metadata.deletion_timestamp.is_none() => {
            let case = Case { what: what.to_string(), related: &related, limits: &limits };
            let message = format!("none of its {pods} pods is available");
            Assessment::from(case.failure(FailureReason::Unavailable, &message)).health
        }
        _ => found,
    }
}

/// How many pods there are, if a rollout has ended and none of them is available now.
fn unavailable(what: &ObjectRef, object: &Value) -> Option<i64> {
    let status = |field: &str| object.pointer("/status").and_then(|status| status.get(field)).and_then(Value::as_i64);
    let (wanted, updated, available) = match (what.group.as_str(), what.kind.as_str()) {
        ("apps", "Deployment") if !has_ended(object) => return None,
        ("apps", "Deployment" | "StatefulSet") => {
            let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            (wanted, status("updatedReplicas"), status("availableReplicas"))
        }
        ("apps", "DaemonSet") => {
            (status("desiredNumberScheduled")?, status("updatedNumberScheduled"), status("numberAvailable"))
        }
        _ => return None,
    };
    (wanted > 0 && updated == Some(wanted) && available.unwrap_or(0) == 0).then_some(wanted)
}

/// Whether a Deployment says that its newest pods were available once.
fn has_ended(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition.get("reason") == Some(&"NewReplicaSetAvailable".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn present(group: &str, kind: &str, value: &Value) -> (String, String) {
        let what = ObjectRef {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "shop-dev".into(),
            name: "checkout".into(),
        };
        let object = json!({"metadata": {"name": "checkout", "generation": 2}});
        let mut object: DynamicObject = serde_json::from_value(object).unwrap();
        object.data = value.clone();
        match assess_present(&what, &object) {
            Health::Healthy => ("healthy".into(), String::new()),
            Health::Progressing { message, .. } => ("progressing".into(), message),
            Health::Failed(failure) => ("failed".into(), failure.message),
        }
    }

    fn deployment(wanted: i64, updated: i64, available: i64, reason: &str) -> Value {
        json!({"spec": {"replicas": wanted, "selector": {}, "template": {}}, "status": {
            "observedGeneration": 2, "replicas": updated, "updatedReplicas": updated, "availableReplicas": available,
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}]}})
    }

    #[test]
    fn a_deployment_without_an_available_pod_is_degraded_once_it_was_rolled_out() {
        let out = "NewReplicaSetAvailable";
        for (object, expected) in [
            (deployment(2, 2, 2, out), "healthy"),
            (deployment(2, 2, 1, out), "progressing"),
            (deployment(2, 2, 0, out), "failed"),
            (deployment(0, 0, 0, out), "healthy"),
            (deployment(2, 1, 0, out), "progressing"),
            (deployment(2, 2, 0, "ReplicaSetUpdated"), "progressing"),
        ] {
            assert_eq!(present("apps", "Deployment", &object).0, expected, "{object}");
        }
        let (_, message) = present("apps", "Deployment", &deployment(2, 2, 0, out));
        assert_eq!(message, "Deployment checkout: Unavailable: none of its 2 pods is available");
    }

    #[test]
    fn what_may_heal_by_itself_gets_no_time() {
        let mut refused = deployment(2, 0, 0, "ReplicaSetUpdated");
        refused["status"]["conditions"] = json!([{"type": "ReplicaFailure", "status": "True",
            "lastTransitionTime": "2999-01-01T00:00:00Z", "message": "pods \"x\" is forbidden: exceeded quota: q"}]);
        assert_eq!(present("apps", "Deployment", &refused).0, "failed");
    }

    #[test]
    fn other_kinds_say_it_by_their_own_rules() {
        let set = |available: i64| {
            json!({"spec": {"replicas": 1, "selector": {}, "serviceName": "x", "template": {}}, "status": {
            "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available}})
        };
        let daemon = |available: i64| {
            json!({"spec": {"selector": {}, "template": {}}, "status": {"observedGeneration": 2,
            "currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": available,
            "updatedNumberScheduled": 3, "numberAvailable": available}})
        };
        for (group, kind, object, expected) in [
            ("apps", "StatefulSet", set(1), "healthy"),
            ("apps", "StatefulSet", set(0), "failed"),
            ("apps", "DaemonSet", daemon(3), "healthy"),
            ("apps", "DaemonSet", daemon(2), "progressing"),
            ("apps", "DaemonSet", daemon(0), "failed"),
            ("", "Service", json!({"spec": {"type": "ClusterIP"}}), "healthy"),
            ("", "Service", json!({"spec": {"type": "LoadBalancer"}}), "progressing"),
            ("", "PersistentVolumeClaim", json!({"status": {"phase": "Lost"}}), "failed"),
            ("batch", "CronJob", json!({"spec": {}, "status": {}}), "healthy"),
            ("networking.k8s.io", "Ingress", json!({"spec": {}}), "healthy"),
            ("batch", "Job", json!({"spec": {"template": {}}, "status": {}}), "progressing"),
        ] {
            assert_eq!(present(group, kind, &object).0, expected, "{kind} {object}");
        }
    }
}
