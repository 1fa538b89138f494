//! How what runs is doing, in every row; and what is said when that changes. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;

use super::observe::Observed;
use crate::api::condition;
use crate::api::v1alpha1::project::{EnvironmentRow, Health};
use crate::controllers::decision::{Next, Note, Severity};
use crate::controllers::workloads::standing::{Finding, Standing};
use crate::domain::promotion::phase::Phase;
use crate::steps::apply::object::ObjectRef;

/// How long after a success the promotion's own word counts: it saw everything healthy, and the watches of whole kinds may be
/// a moment behind its own.
const SETTLES: SignedDuration = SignedDuration::from_secs(2);

/// The longest message, as the definition of the kind bounds it.
const LONGEST: usize = 1024;

/// The rows with how everything is doing now, and when to look again.
#[must_use]
pub fn judged(mut rows: Vec<EnvironmentRow>, observed: &Observed) -> (Vec<EnvironmentRow>, Next) {
    let mut next = Next::Await;
    for row in &mut rows {
        if !observed.order.contains_key(&row.name) {
            set(row, None);
            continue;
        }
        // What runs changes things, and says itself how they are.
        if row.running.is_some() {
            continue;
        }
        if let Some(settled) = settles(row).filter(|settled| observed.now < *settled) {
            set(row, Some(&Standing::default()));
            next = next.sooner(Next::At(settled));
            continue;
        }
        set(row, observed.standings.get(&row.name));
    }
    (rows, next)
}

/// Until when the last end, if it was a success, is the newest word on how things are.
fn settles(row: &EnvironmentRow) -> Option<Timestamp> {
    let last = row.last.as_ref().filter(|last| last.phase == Phase::Succeeded.as_str())?;
    last.at.0.checked_add(SETTLES).ok()
}

fn set(row: &mut EnvironmentRow, standing: Option<&Standing>) {
    let said = |finding: &Option<Finding>| finding.as_ref().map(|finding| condition::cut(&finding.message, LONGEST));
    row.health = standing.map(|standing| standing.health);
    row.health_message = standing.and_then(|standing| said(&standing.because));
    row.drifted = standing.filter(|standing| standing.drift.is_some()).map(|_| true);
    row.drift_message = standing.and_then(|standing| said(&standing.drift));
}

/// Something that is said of an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The environment.
    pub environment: String,
    /// What is said.
    pub note: Note,
    /// The object that it is about.
    pub object: Option<ObjectReference>,
}

/// What has changed between two states of the rows.
#[must_use]
pub fn changes(before: &[EnvironmentRow], after: &[EnvironmentRow], observed: &Observed) -> Vec<Said> {
    let mut said = Vec::new();
    for row in after {
        let known = before.iter().find(|known| known.name == row.name);
        let standing = observed.standings.get(&row.name);
        let mut say = |(severity, reason): (Severity, &'static str), finding: Option<&Finding>, otherwise: &str| {
            let sentence = finding.map_or(otherwise, |finding| &finding.message);
            let message = format!("{} in {}: {sentence}", observed.name(), row.name);
            let note = Note { severity, reason, action: "Watch", message };
            let object = finding.map(|finding| reference(&finding.object));
            said.push(Said { environment: row.name.clone(), note, object });
        };
        let was = known.and_then(|known| known.health);
        let because = standing.and_then(|standing| standing.because.as_ref());
        match row.health {
            Some(bad @ (Health::Degraded | Health::Missing)) if was != Some(bad) => {
                say((Severity::Warning, bad.as_str()), because, "something is not as it should be");
            }
            Some(Health::Healthy) if was.is_some_and(|was| was != Health::Healthy) => {
                say((Severity::Normal, Health::Healthy.as_str()), None, "everything is healthy again");
            }
            Some(_) | None => {}
        }
        if row.drifted.is_some() && known.is_none_or(|known| known.drifted.is_none()) {
            let drift = standing.and_then(|standing| standing.drift.as_ref());
            say((Severity::Warning, "Drifted"), drift, "something was changed");
        }
    }
    said
}

fn reference(object: &ObjectRef) -> ObjectReference {
    let group = if object.group.is_empty() { String::new() } else { format!("{}/", object.group) };
    ObjectReference {
        api_version: Some(format!("{group}{}", object.version)),
        kind: Some(object.kind.clone()),
        namespace: Some(object.namespace.clone()),
        name: Some(object.name.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests;
