//! How a freeze stands, and what it holds back. Pure.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Observed;
use crate::api::condition::{self, Reason, Stamp, Standing};
use crate::api::convert::freezes as convert;
use crate::api::v1alpha1::FreezeStatus;
use crate::api::v1alpha1::freeze::FreezePeriod;
use crate::controllers::decision::{self, Next, Note, Severity};
use crate::controllers::promotion::freezes;
use crate::controllers::promotion::reads;
use crate::domain::freeze::{Freeze, Hold};

/// A freeze changes nothing but its own status.
pub type Decision = decision::Decision<FreezeStatus, ()>;

/// How many promotions the status lists.
const LISTED: usize = 32;

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let freeze = convert::freeze(&observed.freeze);
    let hold = freeze.hold(observed.now);
    let mut status = observed.freeze.status.clone().unwrap_or_default();
    status.observed_generation = observed.freeze.metadata.generation;
    status.active = hold.is_some();
    status.until = match &hold {
        Some(Hold::Until(end)) => Some(Time(*end)),
        Some(Hold::Unknown { .. }) | None => None,
    };
    let next = freeze.next(observed.now);
    status.next = next.map(|period| FreezePeriod { start: Time(period.start), end: Time(period.end) });
    status.held = held(observed, &freeze);
    status.holds = i32::try_from(status.held.len()).unwrap_or(i32::MAX);
    status.held.truncate(LISTED);
    let (standing, reason, message) = judge(observed, &freeze, hold.as_ref());
    let stamp = Stamp { now: observed.now, generation: observed.freeze.metadata.generation };
    condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    let events = note(observed, &status, &message).into_iter().collect();
    let next = freeze.border(observed.now).map_or(Next::Await, Next::At);
    Decision { status, effects: Vec::new(), events, next }
}

/// The promotions that it holds back, by name.
fn held(observed: &Observed, freeze: &Freeze) -> Vec<String> {
    let waits = observed.unfinished.iter().filter(|promotion| !reads::has_finished(promotion));
    let held = waits.filter(|promotion| freezes::holds(freeze, promotion, observed.now));
    let mut names: Vec<String> = held.filter_map(|promotion| promotion.metadata.name.clone()).collect();
    names.sort();
    names
}

fn judge(observed: &Observed, freeze: &Freeze, hold: Option<&Hold>) -> (Standing, Reason, String) {
    if let Some(Hold::Unknown { why }) = hold {
        let message = format!("{why}; until then it holds back whatever it names");
        return (Standing::Stalled, Reason::Invalid, message);
    }
    // What it names may be made after it: then it heals by itself.
    for (reason, what, named, known) in [
        (Reason::UnknownEnvironment, "environment", &freeze.environments, &observed.environments),
        (Reason::UnknownProject, "project", &freeze.projects, &observed.projects),
    ] {
        if let Some(unknown) = unknown(named, known) {
            let message = format!(
                "this space has no {what} {unknown} (spec.{what}s): create it, or correct the name; until then the freeze holds nothing there"
            );
            return (Standing::Reconciling, reason, message);
        }
    }
    let places =
        if freeze.environments.is_empty() { "any environment".to_owned() } else { freeze.environments.join(", ") };
    let next = freeze.next(observed.now);
    match (hold, next) {
        (Some(Hold::Until(end)), _) => {
            (Standing::Ready, Reason::Frozen, format!("nothing is promoted to {places} until {end}"))
        }
        (_, Some(next)) => {
            let message = format!("nothing is promoted to {places} from {} until {}", next.start, next.end);
            (Standing::Ready, Reason::NotFrozen, message)
        }
        (_, None) => (Standing::Ready, Reason::Over, "it is over and holds nothing any more: delete it".to_owned()),
    }
}

/// The names that do not exist, as a part of a sentence.
fn unknown(named: &[String], known: &BTreeSet<String>) -> Option<String> {
    let unknown: Vec<&str> = named.iter().filter(|name| !known.contains(*name)).map(String::as_str).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// A word when it begins and when it ends.
fn note(observed: &Observed, status: &FreezeStatus, message: &str) -> Option<Note> {
    let was = observed.freeze.status.as_ref().is_some_and(|known| known.active);
    let (reason, said) = match (was, status.active) {
        (false, true) => ("Frozen", format!("{} ({message})", observed.freeze.spec.reason)),
        (true, false) => ("Thawed", "it holds nothing any more for now".to_owned()),
        (true, true) | (false, false) => return None,
    };
    Some(Note { severity: Severity::Normal, reason, action: "Freeze", message: said })
}

#[cfg(test)]
mod tests;
