//! Whether what was applied has become healthy, still may, or certainly never will. Pure, but for [`logs`].
//!
//! The rules are kstatus': an object is healthy when its controller has seen its newest generation and says that all of it is
//! there. A failure is reported when it is *certain*, which is long before a timeout: an image that is not there, a container
//! that keeps crashing, pods that admission refuses. What may heal by itself gets the time that [`FailAfter`] gives it.
//!
//! Only pods of the newest template count: those of the release before may fail as they like. A pod that is older than the apply
//! (the same template, applied again after its cause was removed) is given time before its failure counts again.

pub mod assessment;
mod claim;
mod condition;
mod container;
mod daemon_set;
mod deployment;
mod image_pull;
pub mod interest;
mod job;
pub mod logs;
mod pod;
pub mod present;
pub mod refusal;
mod related;
mod replica_set;
mod service;
mod stateful_set;
pub mod trim;

use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use super::apply::object::ObjectRef;
pub use assessment::{Assessment, ContainerRef, FailAfter, Failure, FailureReason, Health, Limits};
pub use related::Related;

/// Judges one object.
#[must_use]
pub fn assess(what: &ObjectRef, object: &DynamicObject, related: &Related, limits: &Limits) -> Assessment {
    let case = Case { what: what.to_string(), related, limits };
    if object.metadata.deletion_timestamp.is_some() {
        return case.progressing("is being deleted");
    }
    match (what.group.as_str(), what.kind.as_str()) {
        ("apps", "Deployment") => read(&case, object, deployment::assess),
        ("apps", "ReplicaSet") => read(&case, object, replica_set::assess),
        ("apps", "StatefulSet") => read(&case, object, stateful_set::assess),
        ("apps", "DaemonSet") => read(&case, object, daemon_set::assess),
        ("batch", "Job") => read(&case, object, job::assess),
        ("", "Pod") => read(&case, object, pod::assess),
        ("", "PersistentVolumeClaim") => read(&case, object, claim::assess),
        ("", "Service") => read(&case, object, service::assess),
        _ => condition::assess(&case, object),
    }
}

/// Whether an object lacks pods whose refusal its controller says in Events only ([`refusal::FIELDS`]).
#[must_use]
pub fn needs_events(what: &ObjectRef, object: &DynamicObject) -> bool {
    match (what.group.as_str(), what.kind.as_str()) {
        ("apps", "StatefulSet") => is(object, stateful_set::lacks_pods),
        ("apps", "DaemonSet") => is(object, daemon_set::lacks_pods),
        ("batch", "Job") => is(object, job::lacks_pods),
        _ => false,
    }
}

fn is<K: DeserializeOwned>(object: &DynamicObject, rule: fn(&K) -> bool) -> bool {
    serde_json::to_value(object).and_then(serde_json::from_value).is_ok_and(|object| rule(&object))
}

/// Hands the object to its kind's rule. What does not read as its kind is never healthy.
fn read<K: DeserializeOwned>(case: &Case, object: &DynamicObject, rule: fn(&Case, &K) -> Assessment) -> Assessment {
    match serde_json::to_value(object).and_then(serde_json::from_value) {
        Ok(object) => rule(case, &object),
        Err(error) => case.progressing(&format!("does not read as its kind: {error}")),
    }
}

/// What a rule knows besides the object.
struct Case<'a> {
    /// The object in messages: `Deployment checkout`.
    what: String,
    related: &'a Related,
    limits: &'a Limits,
}

impl Case<'_> {
    fn progressing(&self, message: &str) -> Assessment {
        Assessment::progressing(format!("{}: {message}", self.what), None)
    }

    /// What would be a failure, in the object's name.
    fn failure(&self, reason: FailureReason, message: &str) -> Failure {
        Failure::new(reason, &format!("{}: {reason}: {message}", self.what))
    }

    /// Whether the newest generation was seen, for kinds that say so.
    fn seen(&self, generation: Option<i64>, observed: Option<i64>) -> Result<(), Assessment> {
        let unseen = generation.is_some_and(|generation| observed.unwrap_or(0) < generation);
        if unseen { Err(self.progressing("waits for its controller to see the change")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
