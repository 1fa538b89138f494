//! The rows of `Project.status.environments`: joins over ends of promotions, so neither order nor repetition matters. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::api::condition;
use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::project::{Current, EnvironmentRow, Last, Underway};
use crate::controllers::bound::bounded;
use crate::domain::promotion::history::{Deployed, Ended, Latest, Success};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;

/// The most rows that the schema takes.
pub const MOST: usize = 256;

impl Ended for Current {
    fn finished(&self) -> Timestamp {
        self.since.0
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

impl Success for Current {
    fn version(&self) -> &str {
        &self.version
    }
}

impl Ended for Last {
    fn finished(&self) -> Timestamp {
        self.at.0
    }
    fn uid(&self) -> &str {
        &self.promotion_uid
    }
}

/// Whether the rows already say everything about an end that they will ever say; a row for which there is no room says nothing.
/// `exists` tells whether an environment is still there.
#[must_use]
pub fn records(rows: &[EnvironmentRow], outcome: &Outcome, exists: impl Fn(&str) -> bool) -> bool {
    let name = outcome.environment.as_str();
    let Some(row) = rows.iter().find(|row| row.name == name) else {
        return rows.len() >= MOST && !cut(join(rows.to_vec(), [outcome]), exists).iter().any(|row| row.name == name);
    };
    let latest = Latest(row.last.clone()).records(outcome);
    let deployed = Deployed { current: row.current.clone(), previous: row.previous.clone() };
    latest && (!outcome.is_success() || deployed.records(outcome))
}

/// The rows with these ends joined in.
#[must_use]
pub fn join<'a>(rows: Vec<EnvironmentRow>, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<EnvironmentRow> {
    let mut rows: BTreeMap<String, EnvironmentRow> = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
    for outcome in outcomes.into_iter().filter(|outcome| outcome.counts()) {
        let name = outcome.environment.as_str().to_owned();
        let row = rows.entry(name.clone()).or_insert_with(|| EnvironmentRow { name, ..EnvironmentRow::default() });
        row.last = Latest(row.last.take()).join(last(outcome)).0;
        if outcome.is_success() {
            let known = Deployed { current: row.current.take(), previous: row.previous.take() };
            let Deployed { current, previous } = known.join(current(outcome));
            row.current = current;
            row.previous = previous;
        }
    }
    rows.into_values().collect()
}

/// The rows with what runs and waits now, and no row for what neither was nor is. What failed and is rolled back runs as long as
/// nothing else does. One that was not judged yet is about to say
/// why it waits, or not to wait at all: until then it is nothing to write about.
#[must_use]
pub fn underway(mut rows: Vec<EnvironmentRow>, unfinished: &[&Promotion]) -> Vec<EnvironmentRow> {
    for row in &mut rows {
        (row.running, row.waiting) = (None, None);
    }
    let mut promotions = unfinished.to_vec();
    let reason = |promotion: &Promotion| promotion.status.as_ref().and_then(|status| status.reason.clone());
    let is_scheduled = |promotion: &Promotion| reason(promotion).as_deref() == Some(Reason::NotYet.as_str());
    let is_rolling_back = |promotion: &Promotion| phase(promotion) == Some(Phase::RollingBack);
    promotions.sort_by_key(|promotion| {
        let meta = &promotion.metadata;
        let order = (Reverse(promotion.spec.priority), meta.creation_timestamp.clone(), meta.name.clone());
        (is_rolling_back(promotion), is_scheduled(promotion), order)
    });
    for promotion in promotions {
        let Some(status) = promotion.status.as_ref().filter(|status| status.phase.is_some()) else { continue };
        let name = &promotion.spec.environment;
        let place = rows.iter().position(|row| &row.name == name).unwrap_or_else(|| {
            rows.push(EnvironmentRow { name: name.clone(), ..EnvironmentRow::default() });
            rows.len() - 1
        });
        let Some(row) = rows.get_mut(place) else { continue };
        let entry = Underway {
            promotion: promotion.metadata.name.clone().unwrap_or_default(),
            version: promotion.spec.version.clone(),
            message: status.message.clone(),
        };
        let runs = matches!(phase(promotion), Some(Phase::Running | Phase::RollingBack));
        let slot = if runs { &mut row.running } else { &mut row.waiting };
        slot.get_or_insert(entry);
    }
    rows
}

fn phase(promotion: &Promotion) -> Option<Phase> {
    promotion.status.as_ref().and_then(|status| Phase::parse(status.phase.as_deref()?))
}

/// The rows that there is room for: first goes what nothing happens in, of that what no longer exists, of that the oldest.
#[must_use]
pub fn cut(rows: Vec<EnvironmentRow>, exists: impl Fn(&str) -> bool) -> Vec<EnvironmentRow> {
    bounded(rows, MOST, |row| {
        let underway = row.running.is_some() || row.waiting.is_some();
        let last = row.last.as_ref().map(|last| (last.at.0.as_microsecond(), last.promotion_uid.clone()));
        (underway, exists(&row.name), last)
    })
}

/// The rows in the order of the lifecycle; environments that are gone come last, by name.
#[must_use]
pub fn sorted(mut rows: Vec<EnvironmentRow>, order: &BTreeMap<String, i64>) -> Vec<EnvironmentRow> {
    rows.sort_by_key(|row| (order.get(&row.name).copied().unwrap_or(i64::MAX), row.name.clone()));
    rows
}

fn current(outcome: &Outcome) -> Current {
    Current {
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        promotion: outcome.promotion.clone(),
        promotion_uid: outcome.uid.clone(),
        by: outcome.requested_by.clone(),
        reason_given: outcome.reason_in_rows(),
        mode: outcome.mode.map(|mode| mode.as_str().to_owned()),
        since: MicroTime(outcome.finished),
        packages: outcome
            .packages
            .iter()
            .map(|package| PinnedPackage {
                name: package.name.to_string(),
                image: package.image.clone(),
                version: package.version.clone(),
                digest: package.digest.to_string(),
            })
            .collect(),
    }
}

fn last(outcome: &Outcome) -> Last {
    Last {
        version: outcome.version.to_string(),
        release_uid: outcome.release_uid.clone(),
        promotion: outcome.promotion.clone(),
        promotion_uid: outcome.uid.clone(),
        reason_given: outcome.reason_in_rows(),
        mode: outcome.mode.map(|mode| mode.as_str().to_owned()),
        partial: outcome.partial,
        phase: outcome.phase.as_str().to_owned(),
        at: MicroTime(outcome.finished),
        applied: outcome.applied,
        message: condition::cut(&outcome.message, 1024),
    }
}

#[cfg(test)]
mod tests;
