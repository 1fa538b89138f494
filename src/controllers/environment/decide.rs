//! What to do about an environment: a total function of what was observed.

use std::time::Duration;

use jiff::Timestamp;

use super::effect::Effect;
use super::observed::Observed;
use super::provision::{self, Work};
use super::report::{self, Problem};
use super::{leave, pull_secrets, record};
use crate::api::PROVISIONED_FINALIZER;
use crate::api::condition::{Reason, Standing};
use crate::api::v1alpha1::EnvironmentStatus;
use crate::controllers::decision::{Decision, Next};

/// How soon something that a person must change, and that is not watched, is looked at again.
const REFUSED: Duration = Duration::from_mins(1);
/// How often pull secrets of the space are read: Gantry has no right to watch Secrets.
const PULL_SECRETS: Duration = Duration::from_secs(270);
/// The safety net for changes that a watch missed.
const AT_REST: Duration = Duration::from_mins(55);
/// How soon a namespace that goes away is looked at again, should its end not be watched.
pub(super) const GOING: Duration = Duration::from_secs(10);

/// Judges an environment.
#[must_use]
pub fn decide(observed: &Observed) -> Decision<EnvironmentStatus, Effect> {
    let meta = &observed.environment.metadata;
    let ours = meta.finalizers.iter().flatten().any(|finalizer| finalizer == PROVISIONED_FINALIZER);
    match (meta.deletion_timestamp.is_some(), ours) {
        (false, true) => provisioned(observed),
        (false, false) => only(observed, vec![Effect::AddFinalizer]),
        (true, true) => leave::decide(observed),
        (true, false) => only(observed, Vec::new()),
    }
}

/// These effects, and the status as it is: they change the environment itself, which wakes the next run.
pub(super) fn only(observed: &Observed, effects: Vec<Effect>) -> Decision<EnvironmentStatus, Effect> {
    Decision { status: observed.status(), effects, events: Vec::new(), next: Next::Await }
}

fn provisioned(observed: &Observed) -> Decision<EnvironmentStatus, Effect> {
    let mut work = Work::default();
    for place in &observed.former {
        leave::release(observed, place, &mut work);
    }
    for place in &observed.places {
        provision::provision(observed, place, &mut work);
    }
    work.problems.extend(pull_secrets::problems(observed));
    if let Some(corrections) = record::intent(observed, &work) {
        // Intent before effect: what is put back is written down first, so that a death in between loses no record of it.
        let status = EnvironmentStatus { corrections: Some(corrections), ..observed.status() };
        return Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Again };
    }
    let next = next(observed, &work);
    let mut effects: Vec<Effect> = record::correction(observed).into_iter().map(record::effect).collect();
    effects.append(&mut work.effects);
    effects.extend(work.claimed.iter().map(|claimed| record::effect(record::claim(observed, claimed))));
    work.effects = effects;
    let (mut status, mut notes) = report::status(observed, work.rows, &work.problems);
    if let Some(corrections) = &mut status.corrections {
        corrections.underway.clear();
    }
    work.notes.append(&mut notes);
    Decision { status, effects: work.effects, events: work.notes, next }
}

/// When to look again although nothing that is watched changed.
fn next(observed: &Observed, work: &Work) -> Next {
    if work.again {
        return Next::Again;
    }
    let is = |standing: Standing| move |problem: &Problem| problem.standing == standing;
    if work.problems.iter().any(is(Standing::Reconciling)) {
        return later(observed, GOING);
    }
    if work
        .problems
        .iter()
        .any(|problem| problem.reason != Reason::PullSecretInvalid && problem.standing == Standing::Stalled)
    {
        return later(observed, REFUSED);
    }
    if !observed.sources.is_empty() {
        let unusable = work.problems.iter().any(is(Standing::Stalled));
        return later(observed, if unusable { REFUSED } else { PULL_SECRETS });
    }
    later(observed, AT_REST)
}

/// This much later, and up to a fifth more: spread over environments, the same for each at every run.
pub(super) fn later(observed: &Observed, pause: Duration) -> Next {
    let spread = observed.owner.uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let jitter = pause.mul_f64(f64::from(spread % 1000) / 5000.0);
    Next::At(observed.now.checked_add(pause + jitter).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests;
