//! Pods that are refused before they exist, from what their `ReplicaSet` or Deployment says. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{Assessment, Case, FailureReason};

/// Whether the pods of the release before may still make room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// They are there: when they go, a quota may have room.
    MayCome,
    /// They are gone.
    WillNotCome,
}

/// What a `ReplicaFailure` condition says.
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
