//! The pods and `ReplicaSet`s of a namespace, and whose they are, and what was said about pods that could not be made: owners are
//! followed by uid, never by name or label. Pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

/// What is beneath workloads.
#[derive(Clone, Debug, Default)]
pub struct Related {
    pods: Vec<Pod>,
    replica_sets: Vec<ReplicaSet>,
    refusals: Vec<Event>,
}

impl Related {
    /// Reads the objects of a watch; those that do not read as their kind are left out.
    #[must_use]
    pub fn new(pods: &[Arc<DynamicObject>], replica_sets: &[Arc<DynamicObject>]) -> Self {
        Self { pods: typed(pods), replica_sets: typed(replica_sets), refusals: Vec::new() }
    }

    /// The same with Events of pods that could not be made ([`refusal::FIELDS`](super::refusal::FIELDS)).
    #[must_use]
    pub fn with_refusals(self, events: &[Arc<DynamicObject>]) -> Self {
        Self { refusals: typed(events), ..self }
    }

    /// The pods that the object with this uid controls and that are not on their way out, by name.
    pub(super) fn pods_of<'a>(&'a self, uid: Option<&'a str>) -> impl Iterator<Item = &'a Pod> {
        self.pods
            .iter()
            .filter(move |pod| is_controlled(&pod.metadata, uid) && pod.metadata.deletion_timestamp.is_none())
    }

    /// The `ReplicaSet`s that the object with this uid controls.
    pub(super) fn replica_sets_of<'a>(&'a self, uid: Option<&'a str>) -> impl Iterator<Item = &'a ReplicaSet> {
        self.replica_sets.iter().filter(move |set| is_controlled(&set.metadata, uid))
    }

    /// What was said about pods that the object with this uid could not make.
    pub(super) fn refusals_of<'a>(&'a self, uid: Option<&'a str>) -> impl Iterator<Item = &'a Event> {
        let mine = move |event: &&Event| uid.is_some() && event.involved_object.uid.as_deref() == uid;
        self.refusals.iter().filter(mine)
    }

    /// Whether a pod of the namespace mounts the claim.
    pub(super) fn is_claim_used(&self, claim: &str) -> bool {
        self.pods.iter().any(|pod| {
            let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
            let claims = volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
            claims.into_iter().any(|source| source.claim_name == claim)
        })
    }
}

fn typed<K: DeserializeOwned>(objects: &[Arc<DynamicObject>]) -> Vec<K> {
    let read = |object: &Arc<DynamicObject>| serde_json::from_value(serde_json::to_value(&**object).ok()?).ok();
    objects.iter().filter_map(read).collect()
}

fn is_controlled(meta: &ObjectMeta, uid: Option<&str>) -> bool {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    uid.is_some_and(|uid| owners.iter().any(|owner| owner.controller == Some(true) && owner.uid == uid))
}
