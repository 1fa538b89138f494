//! Jobs: healthy when complete. Pure.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use super::refusal::{self, Room};
use super::{Assessment, Case, FailureReason, Health, pod};

pub(super) fn assess(case: &Case, job: &Job) -> Assessment {
    if condition(job, "Complete").is_some() {
        return Assessment::healthy();
    }
    let failed = condition(job, "Failed").or_else(|| condition(job, "FailureTarget"));
    if let Some(failed) = failed {
        return failure(case, job, failed);
    }
    let found = pod::worst(case, case.related.pods_of(job.metadata.uid.as_deref()));
    if matches!(found.health, Health::Failed(_)) {
        return found;
    }
    if lacks_pods(job) {
        let told = refusal::told(case, job.metadata.uid.as_deref(), Room::WillNotCome);
        if told != Assessment::healthy() {
            return told;
        }
    }
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false);
    found.worse(case.progressing(if suspended {
        "is suspended: set spec.suspend to false"
    } else {
        "waits to complete"
    }))
}

/// Whether it has not ended, and no pod works on it.
pub(super) fn lacks_pods(job: &Job) -> bool {
    let ended = ["Complete", "Failed", "FailureTarget"].into_iter().any(|kind| condition(job, kind).is_some());
    !ended && job.status.as_ref().and_then(|status| status.active).unwrap_or(0) == 0
}

fn failure(case: &Case, job: &Job, failed: &JobCondition) -> Assessment {
    let said = failed.message.as_deref().or(failed.reason.as_deref()).unwrap_or("its pods failed");
    let mut pods: Vec<&Pod> = case.related.pods_of(job.metadata.uid.as_deref()).collect();
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let last = pods.iter().rev().find_map(|pod| pod::ended_badly(case, pod));
    match last {
        Some(container) => {
            let message = format!("{said} {}", container.place());
            case.failure(FailureReason::JobFailed, &message).of(container.reference()).into()
        }
        None => case.failure(FailureReason::JobFailed, said).into(),
    }
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}
