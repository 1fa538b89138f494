//! Is the project well-formed, and what runs where. Pure.

use super::observe::Observed;
use super::rows;
use crate::api::condition::{self, Reason, Stamp, Standing};
use crate::api::convert;
use crate::api::v1alpha1::{ProjectStatus, Promotion};
use crate::controllers::decision::{self, Next};
use crate::domain::promotion::outcome::Outcome;

/// A project changes nothing but its own status.
pub type Decision = decision::Decision<ProjectStatus, ()>;

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let project = &observed.project;
    let mut status = project.status.clone().unwrap_or_default();
    status.observed_generation = project.metadata.generation;
    let stamp = Stamp { now: observed.now, generation: project.metadata.generation };
    let wrong = convert::validate(&project.spec);
    let (standing, reason, message) = match wrong.as_slice() {
        [] => (Standing::Ready, Reason::Valid, "the project can be released".to_owned()),
        wrong => (Standing::Stalled, Reason::Invalid, sentence(wrong)),
    };
    condition::set_standing(&mut status.conditions, &standing, (reason.as_str(), &message), stamp);
    let outcomes = observed.outcomes.iter().map(std::convert::AsRef::<Outcome>::as_ref);
    let unfinished: Vec<&Promotion> = observed.unfinished.iter().map(std::convert::AsRef::as_ref).collect();
    let known = std::mem::take(&mut status.environments);
    let rows = rows::underway(rows::join(known, outcomes), &unfinished);
    let rows = rows::cut(rows, |name| observed.order.contains_key(name));
    status.environments = rows::sorted(rows, &observed.order);
    Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
}

/// Everything that is wrong, as one message.
fn sentence(wrong: &[crate::domain::invalid::Invalid]) -> String {
    let each: Vec<String> = wrong.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests;
