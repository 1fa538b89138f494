//! Pods: one that was applied, and the new ones of a workload. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};

use super::container::Container;
use super::{Assessment, Case, FailureReason, Health};

/// A pod that was applied itself: ready, or done.
pub(super) fn assess(case: &Case, pod: &Pod) -> Assessment {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if phase == "Succeeded" {
        return Assessment::healthy();
    }
    if phase == "Failed" {
        let status = pod.status.as_ref();
        let said = status.and_then(|status| status.message.as_deref().or(status.reason.as_deref()));
        let failure = case.failure(FailureReason::PodFailed, said.unwrap_or("a container of it ended with an error"));
        return match ended_badly(case, pod) {
            Some(container) => failure.of(container.reference()).into(),
            None => failure.into(),
        };
    }
    let found = finding(case, pod);
    if is_ready(pod) && found.health == Health::Healthy {
        return Assessment::healthy();
    }
    found.worse(case.progressing("waits to become ready"))
}

/// Whether it takes requests.
pub(super) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// The worst of a workload's new pods; healthy if there is nothing to say of any.
pub(super) fn worst<'a>(case: &Case, pods: impl Iterator<Item = &'a Pod>) -> Assessment {
    pods.map(|pod| finding(case, pod)).fold(Assessment::healthy(), Assessment::worse)
}

/// What stands in a pod's way.
fn finding(case: &Case, pod: &Pod) -> Assessment {
    let found = containers(case, pod).filter_map(|container| container.assess());
    let found = found.fold(scheduling(case, pod), Assessment::worse);
    if found.health != Health::Healthy {
        return found;
    }
    let started = |container: &Container| container.status.state.as_ref().is_some_and(|state| state.running.is_some());
    let unready = mains(case, pod).find(|container| started(container) && !container.status.ready);
    match unready {
        Some(container) => {
            let message = format!("{}: waits for a container to become ready {}", case.what, container.place());
            Assessment::progressing(message, Some(container.reference()))
        }
        None => found,
    }
}

fn scheduling(case: &Case, pod: &Pod) -> Assessment {
    let Some(scheduled) = condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False") else {
        return Assessment::healthy();
    };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let message = scheduled.message.as_deref().unwrap_or("no node takes it");
    let failure = case.failure(FailureReason::Unschedulable, &format!("{message} (pod {name})"));
    if scheduled.reason.as_deref() != Some("Unschedulable") {
        return Assessment::progressing(failure.message, None);
    }
    let since: Timestamp = scheduled.last_transition_time.as_ref().map_or(case.limits.now, |time| time.0);
    case.limits.certain(since, case.limits.fail_after.unschedulable, failure)
}

/// The first container that ended with an error.
pub(super) fn ended_badly<'a>(case: &'a Case<'a>, pod: &'a Pod) -> Option<Container<'a>> {
    containers(case, pod).find(|container| {
        let states = [container.status.state.as_ref(), container.status.last_state.as_ref()];
        states.into_iter().flatten().any(|state| state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0))
    })
}

fn containers<'a>(case: &'a Case<'a>, pod: &'a Pod) -> impl Iterator<Item = Container<'a>> {
    let inits = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    inits.iter().map(move |status| Container { case, pod, status }).chain(mains(case, pod))
}

fn mains<'a>(case: &'a Case<'a>, pod: &'a Pod) -> impl Iterator<Item = Container<'a>> {
    let mains = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    mains.iter().map(move |status| Container { case, pod, status })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_deref()?.iter().find(|condition| condition.type_ == kind)
}
