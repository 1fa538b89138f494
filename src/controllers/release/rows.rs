//! The rows of `Release.status`: where it has been and is, its phases, and what may follow. Joins over ends of promotions, so
//! neither order nor repetition matters, and a success is never forgotten. Which ends are of a release says its UID: what another one
//! of its name achieved, which was deleted, is not its own. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::v1alpha1::ReleaseStatus;
use crate::api::v1alpha1::release::{ReleaseEnvironment, ReleasePhase};
use crate::controllers::bound::bounded;
use crate::domain::lifecycle::journey::{Journey, PhaseProgress};
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::history::{Ended, Latest};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::remade::are_two;

/// The most rows, phases, and environments of a phase that the schema takes.
pub const MOST: usize = 256;

impl Ended for ReleaseEnvironment {
    fn finished(&self) -> Timestamp {
        self.at.0
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// The newest success of any release of a project in an environment, from whoever knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The environment.
    pub environment: String,
    /// The version that runs.
    pub version: String,
    /// The UID of its release, where that was written down.
    pub release_uid: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// UID of the promotion that put it there.
    pub promotion_uid: String,
}

impl Ended for Runs {
    fn finished(&self) -> Timestamp {
        self.since
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// Whether the status of the release with this UID already says everything about an end that it will ever say; a row for which there
/// is no room says nothing, and neither does an end of another release. `exists` tells whether an environment is still there.
#[must_use]
pub fn records((uid, status): (&str, &ReleaseStatus), outcome: &Outcome, exists: impl Fn(&str) -> bool) -> bool {
    if !outcome.counts() || !outcome.is_of(uid) {
        return true;
    }
    let (rows, name) = (&status.environments, outcome.environment.as_str());
    let Some(row) = rows.iter().find(|row| row.name == name) else {
        let kept = || cut(join(rows.clone(), uid, [outcome]), exists).iter().any(|row| row.name == name);
        return rows.len() >= MOST && !kept();
    };
    let own = Some(row).filter(|row| row.release_uid.as_deref() == Some(uid));
    let since = own.and_then(|row| row.succeeded_at.as_ref());
    let first = since.is_some_and(|at| at.0.as_microsecond() <= outcome.finished.as_microsecond());
    Latest(Some(row.clone())).records(outcome) && (first || !outcome.is_success_of(uid))
}

/// The rows of the release with this UID with those of these ends joined in that are of it, sorted by name.
#[must_use]
pub fn join<'a>(
    rows: Vec<ReleaseEnvironment>,
    uid: &str,
    outcomes: impl IntoIterator<Item = &'a Outcome>,
) -> Vec<ReleaseEnvironment> {
    let own = rows.into_iter().map(|row| (row.name.clone(), own(row, uid)));
    let mut rows: BTreeMap<String, ReleaseEnvironment> = own.collect();
    for outcome in outcomes.into_iter().filter(|outcome| outcome.counts() && outcome.is_of(uid)) {
        let known = rows.remove(outcome.environment.as_str());
        let before = known.clone();
        let joined = Latest(known).join(row(outcome)).0;
        let success = outcome.is_success_of(uid).then_some((uid, outcome));
        rows.extend(joined.map(|row| (row.name.clone(), kept(before, (row, success)))));
    }
    rows.into_values().collect()
}

/// A row without a success that is not known to be of the release with this UID.
fn own(row: ReleaseEnvironment, uid: &str) -> ReleaseEnvironment {
    if !row.succeeded || row.release_uid.as_deref() == Some(uid) {
        return row;
    }
    ReleaseEnvironment { succeeded: false, release_uid: None, succeeded_at: None, stays: Vec::new(), ..row }
}

/// The newest row with what is remembered of all ends and not only of the newest.
fn kept(
    before: Option<ReleaseEnvironment>,
    (row, success): (ReleaseEnvironment, Option<(&str, &Outcome)>),
) -> ReleaseEnvironment {
    let first = success.map(|(_, outcome)| MicroTime(outcome.finished));
    let uid = success.map(|(uid, _)| uid.to_owned());
    let Some(before) = before else {
        return ReleaseEnvironment { succeeded: first.is_some(), release_uid: uid, succeeded_at: first, ..row };
    };
    ReleaseEnvironment {
        succeeded: before.succeeded || first.is_some(),
        release_uid: before.release_uid.or(uid),
        succeeded_at: before.succeeded_at.into_iter().chain(first).min(),
        stays: before.stays,
        current: before.current,
        ..row
    }
}

/// The rows that there is room for, by name: first goes what no longer exists, of that what never succeeded, since the lifecycle
/// counts successes, of that the oldest.
#[must_use]
pub fn cut(rows: Vec<ReleaseEnvironment>, exists: impl Fn(&str) -> bool) -> Vec<ReleaseEnvironment> {
    let mut rows = bounded(rows, MOST, |row| {
        (exists(&row.name), row.succeeded, row.at.0.as_microsecond(), row.promotion_uid.clone())
    });
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

/// Says in each row whether the release of `version` with this UID is what runs there now. Where nobody knows, what was said stays.
#[must_use]
pub fn current(
    mut rows: Vec<ReleaseEnvironment>,
    (version, uid): (&str, &str),
    runs: &[Runs],
) -> Vec<ReleaseEnvironment> {
    for row in &mut rows {
        let there = runs.iter().filter(|one| one.environment == row.name).cloned();
        let newest = there.fold(Latest(None), Latest::join).0;
        if let Some(newest) = newest {
            row.current = newest.version == version && !are_two(newest.release_uid.as_deref(), Some(uid));
        }
    }
    rows
}

/// Writes how far the release is in each phase of its lifecycle, and the environments that it may go to next. Where nobody knows
/// that there are neither.
pub fn progress(status: &mut ReleaseStatus, journey: Option<&Journey>) {
    let phase = |row: &PhaseProgress| ReleasePhase {
        name: row.name.clone(),
        progress: row.progress.as_str().to_owned(),
        environments: row.stops.iter().take(MOST).map(|stop| stop.environment.to_string()).collect(),
        completed_at: row.completed_at.map(MicroTime),
    };
    let names = |names: Vec<EnvironmentName>| names.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>();
    status.phases = journey.map(Journey::phases).unwrap_or_default().iter().take(MOST).map(phase).collect();
    status.next = journey.map(Journey::next).map(names).unwrap_or_default();
    status.due = journey.map(Journey::due).map(names).unwrap_or_default();
}

fn row(outcome: &Outcome) -> ReleaseEnvironment {
    ReleaseEnvironment {
        name: outcome.environment.to_string(),
        succeeded: false,
        release_uid: None,
        succeeded_at: None,
        stays: Vec::new(),
        current: false,
        promotion: outcome.promotion.clone(),
        promotion_uid: outcome.uid.clone(),
        phase: outcome.phase.as_str().to_owned(),
        partial: outcome.partial,
        at: MicroTime(outcome.finished),
    }
}

#[cfg(test)]
mod tests;
