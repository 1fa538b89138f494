//! What must be watched to know whether an object is healthy: as little as possible, since every watch of a namespace costs the API
//! server and us. Pure.

use serde_json::Value;

use crate::steps::apply::object::ObjectRef;

/// Kinds that are healthy as soon as they are there.
const ALWAYS_HEALTHY: [(&str, &str); 13] = [
    ("", "ConfigMap"),
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

/// What is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Nothing: it is healthy as soon as it is there.
    Nothing,
    /// The object.
    Itself,
    /// The object, and the pods of its namespace.
    WithPods,
    /// The object, the pods of its namespace, and the `ReplicaSet`s in between.
    WithReplicaSets,
}

impl Interest {
    /// What health needs to know of this object.
    #[must_use]
    pub fn of(object: &ObjectRef, body: &Value) -> Self {
        let (group, kind) = (object.group.as_str(), object.kind.as_str());
        let no_pods = body.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0);
        match (group, kind) {
            ("", "Service") if body.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer") => {
                Self::Itself
            }
            _ if ALWAYS_HEALTHY.contains(&(group, kind)) => Self::Nothing,
            ("apps", "Deployment" | "ReplicaSet" | "StatefulSet") if no_pods => Self::Itself,
            ("apps", "Deployment") => Self::WithReplicaSets,
            ("apps", "DaemonSet" | "ReplicaSet" | "StatefulSet") | ("batch", "Job") | ("", "PersistentVolumeClaim") => {
                Self::WithPods
            }
            _ => Self::Itself,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_more_is_watched_than_health_looks_at() {
        for (group, kind, spec, expected) in [
            ("", "ConfigMap", json!({}), Interest::Nothing),
            ("", "Secret", json!({}), Interest::Nothing),
            ("", "Service", json!({}), Interest::Nothing),
            ("", "Service", json!({"type": "LoadBalancer"}), Interest::Itself),
            ("networking.k8s.io", "Ingress", json!({}), Interest::Nothing),
            ("", "Pod", json!({}), Interest::Itself),
            ("", "PersistentVolumeClaim", json!({}), Interest::WithPods),
            ("apps", "Deployment", json!({}), Interest::WithReplicaSets),
            ("apps", "Deployment", json!({"replicas": 2}), Interest::WithReplicaSets),
            ("apps", "Deployment", json!({"replicas": 0}), Interest::Itself),
            ("apps", "StatefulSet", json!({"replicas": 1}), Interest::WithPods),
            ("batch", "Job", json!({}), Interest::WithPods),
            ("example.com", "Service", json!({}), Interest::Itself),
        ] {
            let object = ObjectRef {
                group: group.into(),
                version: "v1".into(),
                kind: kind.into(),
                namespace: "shop-dev".into(),
                name: "x".into(),
            };
            assert_eq!(Interest::of(&object, &json!({"spec": spec})), expected, "{group}/{kind} {spec}");
        }
    }
}
