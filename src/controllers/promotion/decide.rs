//! What a promotion does next: the machine of [`crate::domain::promotion::machine`], with the status and the Events that
//! belong to each transition. Pure and total.

pub mod between;
pub mod hindrance;
pub mod retry;
pub mod timeout;
pub mod turn;

use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::{self, Chosen};
use super::facts::{self, facts, phase};
use super::freezes;
use super::observe::Observed;
use super::pinned;
use super::plan::PlanState;
use super::recording::news::News;
use super::status;
use super::work::progress::{Progress, State};
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::api::v1alpha1::{Promotion, PromotionSpec, PromotionStatus};
use crate::controllers::decision::{self, Next, Note};
use crate::domain::promotion::machine::{self, End, Failure, Transition};
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use hindrance::Hindrance;

/// What one run of a promotion will do.
pub type Decision = decision::Decision<PromotionStatus, Effect>;

/// Something to do before the next decision. At most one a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look up whether the name was used before.
    LookUpName,
    /// Read everything that gates look at live.
    ReadLive,
    /// Read the freezes live.
    ReadFreezes,
    /// Take the slot's Lease.
    TakeSlot,
    /// Find out what follows the failure, live.
    LookForRollback,
    /// Make the promotion that puts back what ran before.
    MakeRollback,
    /// Load the release's snapshot.
    LoadPlan,
    /// Find everything that is wrong with the steps, since it cannot start anyway.
    LookForFaults,
    /// Go on with this step of the status.
    Work {
        /// Its index.
        step: usize,
    },
}

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let subject = match facts::subject(observed) {
        Ok(subject) => subject,
        Err(wrong) => return finish(observed, &unreadable(&wrong.to_string())),
    };
    match machine::step(phase(observed), &facts(observed, subject)) {
        Transition::Rest => rest(observed),
        Transition::LookUpName => effect(observed, Effect::LookUpName),
        Transition::Recheck => effect(observed, Effect::ReadLive),
        // What cannot be started takes no slot.
        Transition::TakeSlot if observed.plan == PlanState::Unknown => effect(observed, Effect::LoadPlan),
        Transition::TakeSlot if cannot_start(observed) => start(observed),
        Transition::TakeSlot => effect(observed, Effect::TakeSlot),
        Transition::Wait { reason, message } => wait(observed, &reason, &message),
        Transition::Start => start(observed),
        Transition::Work => work(observed),
        Transition::LookForRollback => effect(observed, Effect::LookForRollback),
        Transition::RollBack { failure, message } => roll_back(observed, &failure, &message),
        Transition::MakeRollback => effect(observed, Effect::MakeRollback),
        Transition::Finish(end) => finish(observed, &of_a_part(observed, end)),
    }
}

/// The success of a part of a release says that it is one.
fn of_a_part(observed: &Observed, end: End) -> End {
    let spec = &observed.promotion.spec;
    if end.phase != Phase::Succeeded || !spec.is_partial() || end.reason == Reason::AlreadyRecorded {
        return end;
    }
    let message = format!(
        "{}, and it brought only a part of the release, which does not count as what runs in {}",
        end.message, spec.environment
    );
    End { message, ..end }
}

/// Whether a promotion that has not started will fail as soon as it does.
fn cannot_start(observed: &Observed) -> bool {
    let PlanState::Known(plan) = &observed.plan else { return false };
    phase(observed) == Phase::Pending && conditions::choose(observed, plan).failure.is_some()
}

pub(super) fn rest(observed: &Observed) -> Decision {
    Decision {
        status: observed.promotion.status.clone().unwrap_or_default(),
        effects: Vec::new(),
        events: Vec::new(),
        next: Next::Await,
    }
}

pub(super) fn effect(observed: &Observed, effect: Effect) -> Decision {
    Decision { effects: vec![effect], next: Next::Again, ..rest(observed) }
}

/// Waits, and says so once for every new reason.
fn wait(observed: &Observed, reason: &Reason, message: &str) -> Decision {
    let (window, pending) = (facts::window(observed), phase(observed) == Phase::Pending);
    let until = window.until().filter(|_| pending);
    let message = until.map_or_else(|| message.to_owned(), |until| format!("{message}; {until}"));
    let known = observed.promotion.status.as_ref().and_then(|status| status.reason.as_deref());
    let event = News::Waiting.note(format!("{}: {message}", reason.as_str()));
    let events = if known == Some(reason.as_str()) { Vec::new() } else { vec![event] };
    let status = status::waiting(observed, reason, &message);
    // One that runs and must wait for its slot is looked at again at its deadline at the latest, one that has not started when
    // its time comes or is over.
    let by = window.look_again(observed.now).filter(|_| pending);
    let next = timeout::deadline(observed).map_or(Next::Await, Next::At).sooner(by.map_or(Next::Await, Next::At));
    let next = if pending { next.sooner(freezes::look_again(observed)) } else { next };
    Decision { status, effects: Vec::new(), events, next }
}

/// Says what keeps a run from being carried out, which somebody must clear; it is tried again all the same.
#[must_use]
pub fn blocked(observed: &Observed, message: &str) -> Decision {
    wait(observed, &Reason::Blocked, message)
}

/// Says what keeps the step that runs from going on, once that has lasted.
#[must_use]
pub fn hindered(observed: &Observed, hindrance: &Hindrance) -> Option<Decision> {
    let message = hindrance::telling(observed, hindrance)?;
    Some(Decision { status: status::working(observed, message), ..rest(observed) })
}

/// Starts, once it is known what to do.
fn start(observed: &Observed) -> Decision {
    let plan = match &observed.plan {
        PlanState::Unknown => return effect(observed, Effect::LoadPlan),
        PlanState::Broken(message) => return wait(observed, &Reason::ReleaseNotSealed, message),
        PlanState::Known(plan) => plan,
    };
    let Chosen { records, failure, unclear } = conditions::choose(observed, plan);
    if unclear && observed.faults.is_none() {
        return effect(observed, Effect::LookForFaults);
    }
    if let Some(failure) = failure {
        return fail_at_start(observed, (records, failure));
    }
    let event = News::Started.note(status::starts(observed));
    let status = status::started(observed, plan, records);
    let events = std::iter::once(event).chain(recovered(observed)).chain(freezes::overridden(observed)).collect();
    Decision { status, effects: Vec::new(), events, next: Next::Again }
}

/// Fails before anything is applied: what its steps do cannot be decided.
fn fail_at_start(observed: &Observed, (records, failure): (Vec<StepRecord>, FailureRecord)) -> Decision {
    let end = End {
        phase: Phase::Failed,
        reason: Reason::Step(failure.reason.clone()),
        message: failure.message.clone(),
        applied: false,
    };
    let mut failing = observed.clone();
    let status = Arc::make_mut(&mut failing.promotion).status.get_or_insert_default();
    (status.steps, status.failure) = (records, Some(failure));
    finish(&failing, &end)
}

/// A word on a promotion that went around lifecycle or approvals.
fn recovered(observed: &Observed) -> Option<Note> {
    let recovery = pinned::recovered(observed)?;
    let by = recovery.by.as_ref().map(|by| by.username.as_str()).unwrap_or_default();
    let spec = &observed.promotion.spec;
    let message = format!(
        "{} {} goes to {} without earlier phases and approvals, since {by} opened a recovery: {}",
        spec.project, spec.version, spec.environment, recovery.reason
    );
    Some(News::Recovered.note(message))
}

/// Goes on with the step that runs, or starts the next one.
fn work(observed: &Observed) -> Decision {
    let Some((step, record)) = timeout::current(observed) else {
        return between::steps(observed);
    };
    if let Some(failure) = turn::failed(observed) {
        return fail_step(observed, (&record.name, &failure));
    }
    let by = timeout::deadline(observed).map_or(Next::Await, Next::At);
    match record.retry_at.as_ref().map(|time| time.0) {
        Some(at) if at > observed.now => return Decision { next: by.sooner(Next::At(at)), ..rest(observed) },
        // That it is begun again is written before its first effect.
        Some(_) => return Decision { status: status::retried(observed, step), next: Next::Again, ..rest(observed) },
        None => {}
    }
    let Some(progress) = observed.progress.as_ref().filter(|known| known.step == step && observed.looked) else {
        return effect(observed, Effect::Work { step });
    };
    match &progress.state {
        State::Done => between::done(observed, progress),
        State::Waiting { message, recheck } => {
            let next = by.sooner(recheck.map_or(Next::Await, Next::At));
            match timeout::telling(observed, progress, message) {
                Some(at) if at <= observed.now => {
                    Decision { status: status::working(observed, message), next, ..rest(observed) }
                }
                Some(at) => Decision { next: next.sooner(Next::At(at)), ..rest(observed) },
                None => Decision { next, ..rest(observed) },
            }
        }
        State::Failed(failure) => match retry::again(observed, failure) {
            Some(at) => retry(observed, progress, (record, failure, at)),
            // The machine ends a promotion whose step failed for good before it asks for more work.
            None => Decision { next: by, ..rest(observed) },
        },
    }
}

/// A step failed for good, and steps run that are there for that.
fn fail_step(observed: &Observed, (name, failure): (&str, &FailureRecord)) -> Decision {
    let message = format!("step {name} failed, and steps for that case run now: {}", failure.message);
    let event = News::StepFailed.note(message);
    let status = status::failing(observed, failure);
    Decision { status, effects: Vec::new(), events: vec![event], next: Next::Again }
}

/// A step failed and is begun again later.
fn retry(
    observed: &Observed,
    progress: &Progress,
    (record, failure, at): (&StepRecord, &FailureRecord, Timestamp),
) -> Decision {
    let message = retry::sentence(record, failure, at);
    let event = News::Retrying.note(message.clone());
    let status = status::retrying(observed, progress, (at, &message));
    Decision { status, effects: Vec::new(), events: vec![event], next: Next::At(at) }
}

/// Failed, and is rolled back: the promotion that does so is named before it is made.
fn roll_back(observed: &Observed, failure: &Failure, message: &str) -> Decision {
    let spec = &observed.promotion.spec;
    let said = format!("{} {} to {}: {message}", spec.project, spec.version, spec.environment);
    let event = News::Became(Phase::RollingBack).note(said);
    let status = status::rolling_back(observed, failure, message);
    Decision { status, effects: Vec::new(), events: vec![event], next: Next::Again }
}

/// Ends, and says so.
pub(super) fn finish(observed: &Observed, end: &End) -> Decision {
    let event = end_note(&observed.promotion.spec, end.phase, &end.message);
    Decision { status: status::finished(observed, end), effects: Vec::new(), events: vec![event], next: Next::Again }
}

/// What is said of a promotion that its status says has ended.
#[must_use]
pub fn ended(promotion: &Promotion) -> Option<Note> {
    let status = promotion.status.as_ref().filter(|status| status.finished)?;
    let phase = Phase::parse(status.phase.as_deref()?)?;
    Some(end_note(&promotion.spec, phase, status.message.as_deref().unwrap_or_default()))
}

fn end_note(spec: &PromotionSpec, phase: Phase, message: &str) -> Note {
    News::Became(phase).note(format!("{} {} to {}: {message}", spec.project, spec.version, spec.environment))
}

/// The end of a promotion that nobody can make sense of.
pub(super) fn unreadable(what: &str) -> End {
    End {
        phase: Phase::Refused,
        reason: Reason::Step("Unreadable".to_owned()),
        message: format!("{what}; make a new promotion with another name"),
        applied: false,
    }
}

#[cfg(test)]
pub(super) mod tests;
