//! `StatefulSet`s. Pure.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::refusal::{self, Room};
use super::{Assessment, Case, Health, pod};

/// The label of a pod that says of which template it is.
const REVISION: &str = "controller-revision-hash";

pub(super) fn assess(case: &Case, set: &StatefulSet) -> Assessment {
    let none = StatefulSetStatus::default();
    let status = set.status.as_ref().unwrap_or(&none);
    if let Err(unseen) = case.seen(set.metadata.generation, status.observed_generation) {
        return unseen;
    }
    let newest = status.update_revision.as_deref();
    let is_new =
        |pod: &&Pod| pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION)).map(String::as_str) == newest;
    let found = pod::worst(case, case.related.pods_of(set.metadata.uid.as_deref()).filter(is_new));
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    if lacks_pods(set) {
        let told = refusal::told(case, set.metadata.uid.as_deref(), room(status));
        if told != Assessment::healthy() {
            return told;
        }
    }
    match waits_for(set, status) {
        Some(message) => found.worse(case.progressing(message)),
        None => Assessment::healthy(),
    }
}

/// Whether there are fewer pods than there should be.
pub(super) fn lacks_pods(set: &StatefulSet) -> bool {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    set.status.as_ref().is_none_or(|status| status.replicas < wanted)
}

/// While pods are replaced, a quota counts the one that went a moment longer.
fn room(status: &StatefulSetStatus) -> Room {
    if status.current_revision == status.update_revision { Room::WillNotCome } else { Room::MayCome }
}

fn waits_for(set: &StatefulSet, status: &StatefulSetStatus) -> Option<&'static str> {
    let spec = set.spec.as_ref();
    let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    if status.replicas < wanted {
        return Some("waits for its pods to be created");
    }
    if status.replicas > wanted {
        return Some("waits for pods that are too many to end");
    }
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
    let on_delete = strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    let kept = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition).unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    if !on_delete && updated < wanted - kept.clamp(0, wanted) {
        return Some("waits for its pods to be replaced");
    }
    (status.available_replicas.unwrap_or(0) < wanted).then_some("waits for its pods to become available")
}
