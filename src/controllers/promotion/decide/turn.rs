//! Which step's turn it is after another has ended, well or not. Pure.

use super::retry;
use super::timeout;
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::api::v1alpha1::{Promotion, PromotionStatus};
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::status::{PENDING, SKIPPED};
use crate::controllers::promotion::work::progress::{State, running};
use crate::domain::promotion::phase::Phase;
use crate::domain::step::{RunOn, Skip};

/// Why the step that runs has failed for good.
#[must_use]
pub fn failed(observed: &Observed) -> Option<FailureRecord> {
    if let Some(failure) = timeout::expired(observed) {
        return Some(failure);
    }
    let (index, step) = timeout::current(observed)?;
    let progress = observed.progress.as_ref().filter(|progress| progress.step == index && step.retry_at.is_none())?;
    match &progress.state {
        State::Failed(failure) if retry::again(observed, failure).is_none() => Some(failure.clone()),
        State::Failed(_) | State::Waiting { .. } | State::Done => None,
    }
}

/// Why a promotion that still runs has failed: a step before the one that runs now.
#[must_use]
pub fn has_failed(promotion: &Promotion) -> Option<&FailureRecord> {
    let status = promotion.status.as_ref()?;
    let runs = status.phase.as_deref() == Some(Phase::Running.as_str());
    status.failure.as_ref().filter(|_| runs)
}

/// Whether a step runs after the one that runs now, when something has failed or nothing has.
#[must_use]
pub fn goes_on(promotion: &Promotion, failed: bool) -> bool {
    let after = running(promotion).map_or(0, |(index, _)| index + 1);
    let steps = promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
    steps.iter().skip(after).any(|step| may_run(step, failed))
}

/// Whether a step may still run, when something has failed or nothing has.
#[must_use]
pub fn may_run(step: &StepRecord, failed: bool) -> bool {
    step.phase == PENDING && run_on(step).runs(failed)
}

/// The step whose turn is next; those before it are passed over.
pub fn next(status: &mut PromotionStatus) -> Option<&mut StepRecord> {
    let failed = status.failure.is_some();
    for step in status.steps.iter_mut().filter(|step| step.phase == PENDING) {
        if may_run(step, failed) {
            return Some(step);
        }
        pass_over(step, if failed { Skip::AfterFailure } else { Skip::NothingFailed });
    }
    None
}

/// What becomes of a step whose turn never came, when the promotion ends.
pub fn never_came(step: &mut StepRecord, ended: &str) {
    let waited_for_failure = run_on(step) != RunOn::Success;
    let reason = match Phase::parse(ended) {
        Some(Phase::Succeeded) => Skip::NothingFailed,
        Some(Phase::Canceled) => Skip::Canceled,
        // Nothing but a wish to cancel keeps it from running then.
        _ if waited_for_failure => Skip::Canceled,
        _ => Skip::AfterFailure,
    };
    pass_over(step, reason);
}

fn pass_over(step: &mut StepRecord, reason: Skip) {
    SKIPPED.clone_into(&mut step.phase);
    step.reason = Some(reason.as_str().to_owned());
    step.message = Some(reason.sentence().to_owned());
}

fn run_on(step: &StepRecord) -> RunOn {
    step.run_on.as_deref().and_then(RunOn::parse).unwrap_or_default()
}

#[cfg(test)]
mod tests;
