//! The rows of `Environment.status`: joins over ends of promotions. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::condition;
use crate::api::v1alpha1::EnvironmentStatus;
use crate::api::v1alpha1::history::{DeploymentRow, HistoryEntry};
use crate::controllers::bound::bounded;
use crate::domain::name::release_name;
use crate::domain::promotion::history::{Ended, Latest, Newest};
use crate::domain::promotion::outcome::Outcome;

/// The most rows of projects that the schema takes.
pub const MOST: usize = 1000;

impl Ended for DeploymentRow {
    fn finished(&self) -> Timestamp {
        self.since.0
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

impl Ended for HistoryEntry {
    fn finished(&self) -> Timestamp {
        self.finished.0
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// Whether the status already says everything about an end that it will ever say; a row for which there is no room says nothing.
/// `exists` tells whether a project is still there.
#[must_use]
pub fn records(status: &EnvironmentStatus, outcome: &Outcome, exists: impl Fn(&str) -> bool) -> bool {
    let rows = &status.deployments;
    let mine = |row: &&DeploymentRow| row.project == outcome.project.as_str();
    let deployed = match rows.iter().find(mine).cloned() {
        Some(known) => Latest(Some(known)).records(outcome),
        None if rows.len() >= MOST => {
            let with = rows.iter().cloned().chain([deployment(outcome)]).collect();
            !cut(with, exists).iter().any(|row| mine(&row))
        }
        None => false,
    };
    (deployed || !outcome.is_success())
        && Newest::of(status.history.clone()).contains_or_older(&outcome.uid, outcome.finished)
}

/// The rows that there is room for, by project: first goes what no longer exists, of that the oldest.
#[must_use]
pub fn cut(rows: Vec<DeploymentRow>, exists: impl Fn(&str) -> bool) -> Vec<DeploymentRow> {
    let worth = |row: &DeploymentRow| (exists(&row.project), row.since.0.as_microsecond(), row.promotion_uid.clone());
    let mut rows = bounded(rows, MOST, worth);
    rows.sort_by(|one, other| one.project.cmp(&other.project));
    rows
}

/// Whether there is so little room that [`cut`] asks which projects exist.
#[must_use]
pub fn is_full(status: &EnvironmentStatus, outcomes: usize) -> bool {
    status.deployments.len().saturating_add(outcomes) > MOST
}

/// The status with these ends joined in.
#[must_use]
pub fn join<'a>(status: EnvironmentStatus, outcomes: impl IntoIterator<Item = &'a Outcome>) -> EnvironmentStatus {
    let mut rows: BTreeMap<String, DeploymentRow> =
        status.deployments.iter().map(|row| (row.project.clone(), row.clone())).collect();
    let mut history = Newest::of(status.history.clone());
    for outcome in outcomes.into_iter().filter(|outcome| outcome.counts()) {
        history = history.join(entry(outcome));
        if outcome.is_success() {
            let project = outcome.project.to_string();
            let known = Latest(rows.remove(&project)).join(deployment(outcome));
            rows.extend(known.0.map(|row| (project, row)));
        }
    }
    EnvironmentStatus { deployments: rows.into_values().collect(), history: history.into_ends(), ..status }
}

fn deployment(outcome: &Outcome) -> DeploymentRow {
    DeploymentRow {
        project: outcome.project.to_string(),
        release: release_name(&outcome.project, &outcome.version),
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        promotion: outcome.promotion.clone(),
        promotion_uid: outcome.uid.clone(),
        by: outcome.requested_by.clone(),
        reason_given: outcome.reason_in_rows(),
        since: MicroTime(outcome.finished),
    }
}

fn entry(outcome: &Outcome) -> HistoryEntry {
    HistoryEntry {
        project: outcome.project.to_string(),
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        promotion: outcome.promotion.clone(),
        promotion_uid: outcome.uid.clone(),
        by: outcome.requested_by.clone(),
        reason_given: outcome.reason_in_rows(),
        mode: outcome.mode.map(|mode| mode.as_str().to_owned()),
        partial: outcome.partial,
        phase: outcome.phase.as_str().to_owned(),
        started: outcome.started.map(MicroTime),
        finished: MicroTime(outcome.finished),
        applied: outcome.applied,
        message: condition::cut(&outcome.message, 1024),
    }
}

#[cfg(test)]
mod tests;
