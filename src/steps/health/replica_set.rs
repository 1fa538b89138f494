//! `ReplicaSet`s: those that were applied themselves, and what the new one of a Deployment says. Pure.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition};

use super::refusal::{self, Room};
use super::{Assessment, Case, Health, pod};

/// A `ReplicaSet` that was applied itself.
pub(super) fn assess(case: &Case, set: &ReplicaSet) -> Assessment {
    let status = set.status.as_ref();
    if let Err(unseen) = case.seen(set.metadata.generation, status.and_then(|status| status.observed_generation)) {
        return unseen;
    }
    let found = finding(case, set, Room::WillNotCome);
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = status.and_then(|status| status.available_replicas).unwrap_or(0);
    if available < wanted {
        found.worse(case.progressing("waits for its pods to become available"))
    } else {
        Assessment::healthy()
    }
}

/// What stands in the way of a `ReplicaSet`'s pods.
pub(super) fn finding(case: &Case, set: &ReplicaSet, room: Room) -> Assessment {
    let pods = pod::worst(case, case.related.pods_of(set.metadata.uid.as_deref()));
    match refused(set) {
        Some(condition) => {
            let since = condition.last_transition_time.as_ref().map(|time| time.0);
            pods.worse(refusal::assess(case, condition.message.as_deref().unwrap_or_default(), since, room))
        }
        None => pods,
    }
}

fn refused(set: &ReplicaSet) -> Option<&ReplicaSetCondition> {
    let conditions = set.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")
}
