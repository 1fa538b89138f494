//! `DaemonSet`s. Pure.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;

use super::refusal::{self, Room};
use super::{Assessment, Case, Health, pod};

/// The generation of the template: on the `DaemonSet` as an annotation, on its pods as a label.
const GENERATION_OF_SET: &str = "deprecated.daemonset.template.generation";
const GENERATION_OF_POD: &str = "pod-template-generation";

pub(super) fn assess(case: &Case, set: &DaemonSet) -> Assessment {
    let Some(status) = set.status.as_ref() else {
        return case.progressing("waits for its controller to see the change");
    };
    if let Err(unseen) = case.seen(set.metadata.generation, status.observed_generation) {
        return unseen;
    }
    let newest = set.metadata.annotations.as_ref().and_then(|annotations| annotations.get(GENERATION_OF_SET));
    let is_new = |pod: &&Pod| pod.metadata.labels.as_ref().and_then(|labels| labels.get(GENERATION_OF_POD)) == newest;
    let found = pod::worst(case, case.related.pods_of(set.metadata.uid.as_deref()).filter(is_new));
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    if lacks_pods(set) {
        // While pods are replaced, a quota counts the one that went a moment longer.
        let room = if set.metadata.generation == Some(1) { Room::WillNotCome } else { Room::MayCome };
        let told = refusal::told(case, set.metadata.uid.as_deref(), room);
        if told != Assessment::healthy() {
            return told;
        }
    }
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref()?.type_.as_deref());
    let wanted = status.desired_number_scheduled;
    if strategy != Some("OnDelete") && status.updated_number_scheduled.unwrap_or(0) < wanted {
        return found.worse(case.progressing("waits for its pods to be replaced on every node"));
    }
    if status.number_available.unwrap_or(0) < wanted {
        return found.worse(case.progressing("waits for its pods to become available"));
    }
    Assessment::healthy()
}

/// Whether there are fewer pods than there should be.
pub(super) fn lacks_pods(set: &DaemonSet) -> bool {
    set.status.as_ref().is_none_or(|status| status.current_number_scheduled < status.desired_number_scheduled)
}
