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
        Some(NOT_REPLACED) => {
            let old = |pod: &&Pod| !is_new(pod);
            let stuck =
                case.related.pods_of(set.metadata.uid.as_deref()).filter(old).find(|pod| keeps_its_place(set, pod));
            let stuck = stuck.and_then(|pod| pod.metadata.name.as_deref());
            found.worse(case.progressing(&stuck.map_or_else(|| NOT_REPLACED.to_owned(), broken)))
        }
        Some(message) => found.worse(case.progressing(message)),
        None => Assessment::healthy(),
    }
}

/// What is said while pods are of an older template.
const NOT_REPLACED: &str = "waits for its pods to be replaced";

fn broken(pod: &str) -> String {
    format!(
        "{NOT_REPLACED}, but pod {pod} of an older template is not ready, and none is replaced before it is: delete that pod"
    )
}

/// Whether a pod of an older template may stay for ever: one that is not ready is waited for, not replaced
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).
fn keeps_its_place(set: &StatefulSet, pod: &Pod) -> bool {
    let policy = set.spec.as_ref().and_then(|spec| spec.pod_management_policy.as_deref());
    let ordered = policy.is_none_or(|policy| policy == "OrderedReady");
    ordered && !pod::is_ready(pod)
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
        return Some(NOT_REPLACED);
    }
    (status.available_replicas.unwrap_or(0) < wanted).then_some("waits for its pods to become available")
}
