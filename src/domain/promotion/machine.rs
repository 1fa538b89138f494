//! What a promotion does next. Everything that can happen to one is a row of [`step`].
//!
//! `Pending` → `Running` → `Succeeded | Failed`; from `Pending` also to `Refused`, `Rejected`, `Superseded`, `Expired`, and
//! from both to `Canceled`. Where the environment wants a failure undone, `Running` → `RollingBack` → `RolledBack | Failed`:
//! another promotion puts back what ran before, and this one waits for its end. An end is never left. There is one way to `Running`: every gate open on
//! facts read live, its turn, and the slot held.

use super::gate::Verdict;
use super::phase::Phase;
use super::reason::Reason;
use super::rollback::Rollback;
use crate::domain::queue::Standing;

/// Everything the next step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether a promotion of this name had ended before.
    pub used_name: NameUse,
    /// Whether somebody wants it to stop.
    pub cancel: Option<CancelCause>,
    /// What the gates say; they hold only what has not started.
    pub verdict: Verdict,
    /// Its place among the promotions that want the same slot.
    pub standing: Standing,
    /// Who holds the slot.
    pub slot: Slot,
    /// How far its steps are.
    pub work: Work,
    /// What follows if they fail.
    pub rollback: Rollback,
}

/// What is recorded under a promotion's name. Names are used once, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameUse {
    /// Nobody looked yet.
    Unknown,
    /// Nothing: the name is new.
    Fresh,
    /// The end of a promotion with the same content.
    RecordedSame {
        /// The end.
        phase: Phase,
    },
    /// The end of a promotion with other content.
    RecordedOther,
}

/// Why a promotion should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelCause {
    /// Its spec says so.
    Requested,
    /// It is being deleted.
    Deleted,
    /// The pin that it was made for says something else by now. Ends only what has not started.
    Repinned,
}

/// Who holds the slot of the promotion's project and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// This promotion.
    Mine,
    /// Nobody, or one that is finished.
    Free,
    /// Another unfinished promotion.
    Held {
        /// Its name, or its uid if the name is not known.
        by: String,
    },
    /// Nobody looked yet; to take it is to look.
    Unknown,
}

/// How far the steps of a promotion are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// No effect was begun.
    NotStarted,
    /// Some effect may have been.
    InProgress {
        /// What it waits for or does, in one sentence.
        message: String,
        /// Whether anything in the environment was changed.
        applied: bool,
    },
    /// Every step that runs is done, everything is healthy.
    Done,
    /// No step runs, since what runs there already needs none.
    Nothing,
    /// A step failed for good.
    Failed(Failure),
}

/// Why the steps of a promotion failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The cause in one word: `ImagePullBackOff`.
    pub reason: String,
    /// The object, the cause and what to do, in one sentence.
    pub message: String,
    /// Whether anything in the environment was changed.
    pub applied: bool,
}

impl Work {
    /// Why the steps failed; of a promotion that says that it did and not why, just that.
    fn failure(&self) -> Failure {
        match self {
            Self::Failed(failure) => failure.clone(),
            Self::NotStarted | Self::InProgress { .. } | Self::Done | Self::Nothing => Failure {
                reason: "Unknown".to_owned(),
                message: "its status does not say what failed".to_owned(),
                applied: true,
            },
        }
    }
}

/// What to do next. At most one of these per run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Nothing, for ever.
    Rest,
    /// Look up whether the name is recorded, then ask again.
    LookUpName,
    /// Read everything live, then ask again.
    Recheck,
    /// Nothing until something changes.
    Wait {
        /// Why, in one word.
        reason: Reason,
        /// Why, and what to do, in one sentence.
        message: String,
    },
    /// Take the slot, then ask again.
    TakeSlot,
    /// Write `Running`, then ask again. No effect comes before that write.
    Start,
    /// Go on with the steps.
    Work,
    /// Find out what follows the failure, then ask again.
    LookForRollback,
    /// Write that it failed and is rolled back, then ask again. The promotion that does so is made after that write.
    RollBack {
        /// What failed.
        failure: Failure,
        /// Why, and what happens next, in one sentence.
        message: String,
    },
    /// Make the promotion that puts back what ran before, then ask again.
    MakeRollback,
    /// Write this end.
    Finish(End),
}

/// How a promotion ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The phase that it never leaves.
    pub phase: Phase,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, and what to do, in one sentence.
    pub message: String,
    /// Whether this promotion changed anything in the environment.
    pub applied: bool,
}

impl Facts {
    /// Why it should stop although it has started.
    fn stop(&self) -> Option<CancelCause> {
        self.cancel.filter(|cause| *cause != CancelCause::Repinned)
    }
}

/// What a promotion in `phase` does next, given these facts. Total.
#[must_use]
pub fn step(phase: Phase, facts: &Facts) -> Transition {
    match phase {
        Phase::Pending => pending(facts),
        Phase::Running => running(facts),
        Phase::RollingBack => rolling_back(facts),
        Phase::Succeeded
        | Phase::Failed
        | Phase::RolledBack
        | Phase::Refused
        | Phase::Rejected
        | Phase::Canceled
        | Phase::Superseded
        | Phase::Expired => Transition::Rest,
    }
}

fn pending(facts: &Facts) -> Transition {
    match (&facts.used_name, facts.cancel, &facts.verdict) {
        (NameUse::Unknown, _, _) => Transition::LookUpName,
        (NameUse::RecordedSame { phase }, _, _) => recorded(*phase),
        (NameUse::RecordedOther, _, _) => name_used(),
        (NameUse::Fresh, Some(CancelCause::Repinned), _) => repinned(),
        (NameUse::Fresh, Some(cause), _) => canceled(cause, false),
        (NameUse::Fresh, None, Verdict::Expired { message }) => finish(Phase::Expired, Reason::Expired, message),
        (NameUse::Fresh, None, Verdict::Rejected { message }) => finish(Phase::Rejected, Reason::Rejected, message),
        (NameUse::Fresh, None, Verdict::Closed { gate: _, reason, message }) => {
            finish(Phase::Refused, reason.clone(), message.clone())
        }
        (NameUse::Fresh, None, Verdict::Recheck) => Transition::Recheck,
        (NameUse::Fresh, None, Verdict::Waiting { gate: _, reason, message }) => match &facts.standing {
            Standing::SupersededBy { promotion } => superseded(promotion),
            Standing::Next | Standing::Behind { .. } | Standing::Ambiguous { .. } => {
                Transition::Wait { reason: reason.clone(), message: message.clone() }
            }
        },
        (NameUse::Fresh, None, Verdict::Open) => enter(facts),
    }
}

/// Every gate is open. The turn is looked at once more, so that no mistake in the gates can skip it.
fn enter(facts: &Facts) -> Transition {
    match (&facts.standing, &facts.slot) {
        (Standing::SupersededBy { promotion }, _) => superseded(promotion),
        (Standing::Behind { promotion }, _) => {
            Transition::Wait { reason: Reason::QueuedBehind, message: format!("promotion {promotion} comes first") }
        }
        (Standing::Ambiguous { others }, _) => Transition::Wait {
            reason: Reason::AmbiguousOrder,
            message: format!("{} more promotions wait for the same environment: cancel all but one", others.len()),
        },
        (Standing::Next, Slot::Held { by }) => slot_held(by),
        (Standing::Next, Slot::Free | Slot::Unknown) => Transition::TakeSlot,
        (Standing::Next, Slot::Mine) => Transition::Start,
    }
}

/// The gates hold only what has not started, so neither verdict nor turn is looked at. An end that the
/// steps reached is the truth about the environment; a wish to cancel comes too late for it.
fn running(facts: &Facts) -> Transition {
    let cancel = facts.stop();
    match (&facts.used_name, &facts.work, cancel, &facts.slot) {
        (NameUse::RecordedSame { phase }, _, _, _) => recorded(*phase),
        (NameUse::RecordedOther, _, _, _) => name_used(),
        (NameUse::Unknown | NameUse::Fresh, Work::Done, _, _) => {
            succeeded("every step is done and everything is healthy", true)
        }
        (NameUse::Unknown | NameUse::Fresh, Work::Nothing, _, _) => {
            succeeded("every step was skipped, so nothing was changed where the release runs already", false)
        }
        (NameUse::Unknown | NameUse::Fresh, Work::Failed(failure), _, _) => failing(failure, facts),
        (NameUse::Unknown | NameUse::Fresh, Work::NotStarted, Some(cause), _) => canceled(cause, false),
        (NameUse::Unknown | NameUse::Fresh, Work::InProgress { message: _, applied }, Some(cause), _) => {
            canceled(cause, *applied)
        }
        (NameUse::Unknown | NameUse::Fresh, Work::NotStarted | Work::InProgress { .. }, None, slot) => match slot {
            Slot::Mine => Transition::Work,
            Slot::Free | Slot::Unknown => Transition::TakeSlot,
            Slot::Held { by } => slot_held(by),
        },
    }
}

fn succeeded(message: &str, applied: bool) -> Transition {
    let (phase, reason) = (Phase::Succeeded, Reason::Deployed);
    Transition::Finish(End { phase, reason, message: message.to_owned(), applied })
}

/// A step failed. What changed nothing has nothing to undo, and who wanted it to stop decides what comes next.
fn failing(failure: &Failure, facts: &Facts) -> Transition {
    if !failure.applied || facts.stop().is_some() {
        return failed(failure, failure.message.clone());
    }
    match &facts.rollback {
        Rollback::Unknown => Transition::LookForRollback,
        Rollback::Nothing { why: None } => failed(failure, failure.message.clone()),
        Rollback::Nothing { why: Some(why) } => {
            failed(failure, format!("{}; nothing was rolled back: {why}", failure.message))
        }
        Rollback::Wanted { promotion, version, .. }
        | Rollback::Underway { promotion, version }
        | Rollback::Ended { promotion, version, .. } => Transition::RollBack {
            failure: failure.clone(),
            message: format!("it failed, and promotion {promotion} puts {version} back: {}", failure.message),
        },
    }
}

/// It failed, and waits for the promotion that puts back what ran before. A wish to cancel ends the waiting; the rollback, where
/// it was made, is a promotion of its own and goes on.
fn rolling_back(facts: &Facts) -> Transition {
    match &facts.used_name {
        NameUse::RecordedSame { phase } => return recorded(*phase),
        NameUse::RecordedOther => return name_used(),
        NameUse::Unknown | NameUse::Fresh => {}
    }
    let failure = facts.work.failure();
    let said = &failure.message;
    if facts.stop().is_some() {
        let message = format!("it failed, and its rollback was not waited for, since it was canceled: {said}");
        return failed(&failure, message);
    }
    match &facts.rollback {
        Rollback::Unknown => Transition::LookForRollback,
        Rollback::Nothing { why } => {
            let why = why.as_deref().unwrap_or("its environment no longer wants that");
            failed(&failure, format!("{said}; nothing was rolled back: {why}"))
        }
        Rollback::Wanted { .. } => Transition::MakeRollback,
        Rollback::Underway { promotion, version } => Transition::Wait {
            reason: Reason::RollingBack,
            message: format!("it failed, and promotion {promotion} puts {version} back: {said}"),
        },
        Rollback::Ended { promotion, version, phase: Phase::Succeeded } => Transition::Finish(End {
            phase: Phase::RolledBack,
            reason: Reason::Step(failure.reason.clone()),
            message: format!("it failed, and promotion {promotion} put {version} back: {said}"),
            applied: failure.applied,
        }),
        Rollback::Ended { promotion, version, phase } => failed(
            &failure,
            format!(
                "it failed, and promotion {promotion}, which was to put {version} back, ended as {phase}: promote a release that works; what failed first: {said}"
            ),
        ),
    }
}

fn failed(failure: &Failure, message: String) -> Transition {
    Transition::Finish(End {
        phase: Phase::Failed,
        reason: Reason::Step(failure.reason.clone()),
        message,
        applied: failure.applied,
    })
}

/// The name had its promotion; an end is all that a record can hold, so one that holds no end is not
/// trusted to be the same.
fn recorded(phase: Phase) -> Transition {
    if !phase.is_finished() {
        return name_used();
    }
    finish(
        phase,
        Reason::AlreadyRecorded,
        format!(
            "a promotion of this name already ended as {phase}, nothing was done: use another name to promote again"
        ),
    )
}

fn name_used() -> Transition {
    finish(
        Phase::Refused,
        Reason::NameUsed,
        "a promotion of this name with another spec already ended: use another name".to_owned(),
    )
}

fn superseded(by: &str) -> Transition {
    finish(
        Phase::Superseded,
        Reason::Superseded,
        format!("promotion {by} is newer and replaced this one while it waited"),
    )
}

fn repinned() -> Transition {
    finish(
        Phase::Superseded,
        Reason::Superseded,
        "the pin that it was made for was changed while it waited; nothing was applied".to_owned(),
    )
}

fn canceled(cause: CancelCause, applied: bool) -> Transition {
    let (reason, how) = match cause {
        CancelCause::Requested => (Reason::CancelRequested, "canceled on request"),
        CancelCause::Deleted => (Reason::Deleted, "canceled because it was deleted"),
        CancelCause::Repinned => (Reason::Superseded, "canceled because its pin was changed"),
    };
    let effect = if applied {
        "some of the release was already applied: promote a release to bring the environment to a known state"
    } else {
        "nothing was applied"
    };
    Transition::Finish(End { phase: Phase::Canceled, reason, message: format!("{how}; {effect}"), applied })
}

fn slot_held(by: &str) -> Transition {
    Transition::Wait {
        reason: Reason::SlotHeld,
        message: format!("promotion {by} holds the slot of this project and environment"),
    }
}

fn finish(phase: Phase, reason: Reason, message: impl Into<String>) -> Transition {
    Transition::Finish(End { phase, reason, message: message.into(), applied: false })
}

#[cfg(test)]
mod tests;
