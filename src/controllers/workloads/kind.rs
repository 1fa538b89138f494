//! The kinds of which every object that Gantry applied is watched, in all namespaces. Pure.
//!
//! Never Secrets and never `ConfigMap`s: nobody watches those of a whole cluster just to show how things are.

use kube::core::{ApiResource, GroupVersionKind};

use crate::steps::apply::object::ObjectRef;

/// One kind.
#[derive(Debug, PartialEq, Eq)]
pub struct WatchedKind {
    /// API group; empty for the core kinds.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// The kind as the API server's paths and the operator's rights name it.
    pub plural: &'static str,
    /// Whether it is to stay: an object of another kind may be deleted when it has done its work.
    pub stays: bool,
}

/// All of them, each in its version `v1`.
pub static KINDS: [WatchedKind; 8] = [
    kind("apps", "Deployment", "deployments"),
    kind("apps", "StatefulSet", "statefulsets"),
    kind("apps", "DaemonSet", "daemonsets"),
    WatchedKind { stays: false, ..kind("batch", "Job", "jobs") },
    kind("batch", "CronJob", "cronjobs"),
    kind("", "Service", "services"),
    kind("networking.k8s.io", "Ingress", "ingresses"),
    kind("", "PersistentVolumeClaim", "persistentvolumeclaims"),
];

const fn kind(group: &'static str, kind: &'static str, plural: &'static str) -> WatchedKind {
    WatchedKind { group, kind, plural, stays: true }
}

impl WatchedKind {
    /// The kind of an object, if it is watched.
    #[must_use]
    pub fn of(group: &str, kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.group == group && known.kind == kind)
    }

    /// How its objects are asked for.
    #[must_use]
    pub fn resource(&self) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, "v1", self.kind), self.plural)
    }

    /// One of its objects.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}
