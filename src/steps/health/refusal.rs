//! Pods that are refused before they exist: from what their `ReplicaSet` or Deployment says; other kinds say it in Events only. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;

use super::{Assessment, Case, FailureReason};

/// The Events (core/v1) in which the controllers of `StatefulSet`s, `DaemonSet`s and Jobs say that they could not make a pod, as a
/// field selector.
pub const FIELDS: &str = "reason=FailedCreate";
/// The times of those Events are cut to whole seconds.
const PRECISION: SignedDuration = SignedDuration::from_secs(1);

/// Whether the pods of the release before may still make room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// They are there: when they go, a quota may have room.
    MayCome,
    /// They are gone.
    WillNotCome,
}

/// What the newest Event says about pods that the object with this uid could not make since the apply. Older ones prove nothing: the
/// cause may be gone, and controllers try again.
pub(super) fn told(case: &Case, uid: Option<&str>, room: Room) -> Assessment {
    let newest =
        case.related.refusals_of(uid).filter_map(|event| Some((last(event)?, event))).max_by_key(|(at, _)| *at);
    let (applied, whole) = (case.limits.applied, |at: Timestamp| at.saturating_add(PRECISION).unwrap_or(at));
    match newest.filter(|(at, _)| whole(*at) >= applied) {
        Some((_, event)) => {
            let first = event.first_timestamp.as_ref().map_or(applied, |time| time.0);
            assess(case, event.message.as_deref().unwrap_or_default(), Some(first.max(applied)), room)
        }
        None => Assessment::healthy(),
    }
}

/// When the Event happened last: one that repeats is counted up.
fn last(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let counted = event.last_timestamp.as_ref().map(|time| time.0);
    let once = event.event_time.as_ref().map(|time| time.0);
    [series, counted, once].into_iter().flatten().max()
}

/// What a `ReplicaFailure` condition, or an Event, says.
pub(super) fn assess(case: &Case, message: &str, since: Option<Timestamp>, room: Room) -> Assessment {
    let told = message.split_once(" is forbidden: ").map_or(message, |(_, told)| told);
    let patience = case.limits.fail_after.unschedulable;
    let (reason, delay) = if told.contains("exceeded quota") {
        (FailureReason::QuotaExceeded, if room == Room::MayCome { patience } else { Duration::ZERO })
    } else if told.contains("violates PodSecurity") {
        (FailureReason::PodSecurity, Duration::ZERO)
    } else if told.contains("error looking up service account") {
        // The account of a new namespace comes a moment after it.
        (FailureReason::PodsRefused, patience)
    } else if message.contains(" is forbidden: ") || message.contains("denied the request") {
        (FailureReason::PodsRefused, Duration::ZERO)
    } else {
        (FailureReason::PodsRefused, patience)
    };
    case.limits.certain(since.unwrap_or(case.limits.now), delay, case.failure(reason, told))
}
