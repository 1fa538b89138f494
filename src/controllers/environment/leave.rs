//! Giving namespaces up: when the spec no longer wants them, and when the environment goes. Pure.
//!
//! Whatever runs there stays, with the pull secrets that it needs; what goes is Gantry's right to act there and the mark of the
//! environment. A namespace is deleted only if the spec says so and Gantry created it for this very environment.

use super::claim::is_created_for;
use super::decide::{GOING, later, only};
use super::desired::MANAGED_BY_LABEL;
use super::effect::{Effect, Identity};
use super::observed::{Observed, Place, Running};
use super::provision::{Work, reconciling};
use super::report;
use crate::api::condition::Reason;
use crate::api::v1alpha1::EnvironmentStatus;
use crate::api::v1alpha1::environment::{DeletionPolicy, TargetStatus};
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::controllers::decision::Decision;

/// Judges an environment that is being deleted.
#[must_use]
pub fn decide(observed: &Observed) -> Decision<EnvironmentStatus, Effect> {
    let mut work = Work::default();
    for place in &observed.former {
        release(observed, place, &mut work);
    }
    if work.problems.is_empty() || (observed.space_ends && observed.awaited().is_none()) {
        // Nothing that cannot be undone may hold back a space that goes away.
        work.effects.push(Effect::RemoveFinalizer);
        return only(observed, work.effects);
    }
    let (status, events) = report::status(observed, work.rows, &work.problems);
    Decision { status, effects: work.effects, events, next: later(observed, GOING) }
}

/// Adds what has to change in a namespace that is given up; its row stays until that is done.
pub(super) fn release(observed: &Observed, place: &Place, work: &mut Work) {
    let Some(row) = held(observed, place) else { return };
    let Some(found) = &place.found else { return };
    if let Some(running) = observed.awaited() {
        // Without the accounts it could neither go on nor end.
        let (reason, what) = match running {
            Running::Command(name) => (Reason::CommandRunning, format!("command {name}")),
            Running::Promotion(name) => (Reason::PromotionRunning, format!("promotion {name}")),
        };
        let message = format!(
            "namespace {} is given up once {what} has ended: wait for it, or cancel it (spec.cancel)",
            place.namespace
        );
        work.problems.push(reconciling(reason, message));
        work.rows.push(row);
        return;
    }
    let delete = observed.environment.spec.deletion_policy == DeletionPolicy::Delete && row.created;
    if delete {
        if !place.is_terminating() {
            work.effects.push(Effect::DeleteNamespace(Identity::of(found)));
        }
        let message = format!("namespace {} is being deleted with everything in it", place.namespace);
        work.problems.push(reconciling(Reason::NamespaceTerminating, message));
        work.rows.push(row);
        return;
    }
    if place.is_terminating() {
        return;
    }
    let bindings = place.inside.bindings.values();
    work.effects.extend(bindings.map(|binding| Effect::RemoveBinding(Identity::of(binding))));
    if [ENVIRONMENT_LABEL, MANAGED_BY_LABEL].iter().any(|mark| place.label(mark).is_some()) {
        work.effects.push(Effect::ReleaseNamespace(Box::new(found.clone())));
    }
}

/// What the environment holds there, by its status, or by the marks of a claim that never got into the status.
fn held(observed: &Observed, place: &Place) -> Option<TargetStatus> {
    let uid = place.uid()?;
    let (owner, label) = (&observed.owner, place.label(ENVIRONMENT_LABEL));
    if place.label(SPACE_LABEL) != Some(&owner.space) || label.is_some_and(|other| other != owner.environment) {
        // It was taken from the space, or another environment has it by now: nothing in it is ours to change.
        return None;
    }
    let marked = label.is_some();
    let row = observed.row(&place.namespace).filter(|row| row.uid.as_deref() == Some(uid)).cloned();
    row.or_else(|| {
        let (name, namespace) = (place.target.clone(), place.namespace.clone());
        marked.then(|| TargetStatus {
            name,
            namespace,
            uid: Some(uid.to_owned()),
            created: is_created_for(owner, place),
            ..TargetStatus::default()
        })
    })
}
