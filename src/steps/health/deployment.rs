//! Deployments. Pure.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::time::Duration;

use super::refusal::{self, Room};
use super::{Assessment, Case, FailureReason, Health, replica_set};

/// The revision of a Deployment's template, on it and on its `ReplicaSet`s.
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn assess(case: &Case, deployment: &Deployment) -> Assessment {
    let none = DeploymentStatus::default();
    let status = deployment.status.as_ref().unwrap_or(&none);
    if let Err(unseen) = case.seen(deployment.metadata.generation, status.observed_generation) {
        return unseen;
    }
    let found = finding(case, deployment, status);
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    let found = found.worse(deadline(case, deployment, status));
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    match waits_for(deployment, status) {
        // What its pods say is more than what it says itself.
        Some(message) => found.worse(case.progressing(message)),
        None => Assessment::healthy(),
    }
}

/// What the new pods, or those who refuse them, say.
fn finding(case: &Case, deployment: &Deployment, status: &DeploymentStatus) -> Assessment {
    let old = status.replicas.unwrap_or(0) > status.updated_replicas.unwrap_or(0);
    let room = if old { Room::MayCome } else { Room::WillNotCome };
    if let Some(set) = newest(case, deployment) {
        return replica_set::finding(case, set, room);
    }
    // Its own condition may speak of an old ReplicaSet: it counts only while the new one is not known.
    match condition(status, "ReplicaFailure").filter(|condition| condition.status == "True") {
        Some(refused) => {
            let since = refused.last_transition_time.as_ref().map(|time| time.0);
            refusal::assess(case, refused.message.as_deref().unwrap_or_default(), since, room)
        }
        None => Assessment::healthy(),
    }
}

/// The `ReplicaSet` of the present template.
fn newest<'a>(case: &'a Case, deployment: &'a Deployment) -> Option<&'a ReplicaSet> {
    let revision = revision(&deployment.metadata)?;
    let mut sets = case.related.replica_sets_of(deployment.metadata.uid.as_deref());
    sets.find(|set| revision_of(set) == Some(revision))
}

fn revision_of(set: &ReplicaSet) -> Option<&str> {
    revision(&set.metadata)
}

fn revision(meta: &ObjectMeta) -> Option<&str> {
    meta.annotations.as_ref()?.get(REVISION).map(String::as_str)
}

/// Whether the rollout took longer than the Deployment itself allows.
fn deadline(case: &Case, deployment: &Deployment, status: &DeploymentStatus) -> Assessment {
    let progressing = condition(status, "Progressing").filter(|condition| {
        condition.status == "False" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    });
    let Some(progressing) = progressing else { return Assessment::healthy() };
    let seconds = deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds).unwrap_or(600);
    let message = format!("its pods did not become available within {seconds} seconds");
    let failure = case.failure(FailureReason::ProgressDeadlineExceeded, &message);
    // Going back to an older template can leave the condition of the failed one there for a while.
    let since = progressing.last_transition_time.as_ref().map_or(case.limits.now, |time| time.0);
    case.limits.certain(since, Duration::ZERO, failure)
}

fn waits_for(deployment: &Deployment, status: &DeploymentStatus) -> Option<&'static str> {
    let spec = deployment.spec.as_ref();
    let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or(0);
    if updated < wanted {
        let paused = spec.and_then(|spec| spec.paused).unwrap_or(false);
        return Some(if paused {
            "is paused: set spec.paused to false"
        } else {
            "waits for its new pods to be created"
        });
    }
    if status.replicas.unwrap_or(0) > updated {
        return Some("waits for pods of the release before to end");
    }
    (status.available_replicas.unwrap_or(0) < updated).then_some("waits for its new pods to become available")
}

fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.as_deref()?.iter().find(|condition| condition.type_ == kind)
}
