//! The statuses that a promotion goes through, built from what was observed. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::approvals;
use super::decide::timeout;
use super::decide::turn;
use super::facts;
use super::freezes;
use super::observe::Observed;
use super::pinned;
use super::plan::Plan;
use super::reads::current;
use super::work::progress::{Progress, State};
use super::work::variables;
use crate::api::condition::{self, ConditionType, Fact, Stamp, Standing};
use crate::api::v1alpha1::PromotionStatus;
use crate::api::v1alpha1::promotion_status::{DecidedOn, FailureRecord, RollbackRecord, StepRecord};
use crate::controllers::bound;
use crate::domain::promotion::machine::{End, Failure};
use crate::domain::promotion::mode::Mode;
use crate::domain::promotion::parts::Parts;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use crate::domain::promotion::rollback::Rollback;
use crate::domain::remade::are_two;

/// A step whose effects may have begun.
pub const STARTED: &str = "Started";
/// A step whose turn has not come.
pub const PENDING: &str = "Pending";
/// A step that did everything.
pub const SUCCEEDED: &str = "Succeeded";
/// A step that failed for good.
pub const FAILED: &str = "Failed";
/// A step that never ran.
pub const SKIPPED: &str = "Skipped";

/// How much of a requester's reason a sentence holds.
const REASON: usize = 256;

/// It waits.
#[must_use]
pub fn waiting(observed: &Observed, reason: &Reason, message: &str) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    if facts::phase(observed) == Phase::Pending {
        status.phase = Some(Phase::Pending.as_str().to_owned());
        approvals::write(&mut status, observed);
    }
    say(&mut status, observed, (reason, message));
    status
}

/// It starts: the first step that runs is recorded as started before its first effect.
#[must_use]
pub fn started(observed: &Observed, plan: &Plan, steps: Vec<StepRecord>) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.phase = Some(Phase::Running.as_str().to_owned());
    status.started_at = Some(MicroTime(observed.now));
    approvals::write(&mut status, observed);
    status.decided_on = decided_on(observed);
    status.recovery = pinned::recovered(observed).cloned();
    status.freeze_override = freezes::record(observed);
    status
        .snapshot
        .clone_from(&observed.release.as_ref().and_then(|release| release.status.as_ref()?.snapshot.clone()));
    status.packages.clone_from(&plan.packages);
    status.steps = steps;
    if let Some(first) = turn::next(&mut status) {
        begin(first, observed);
    }
    status.mode = Some(current::mode(observed).as_str().to_owned());
    status.previous = observed.current.as_ref().map(current::Current::row);
    say(&mut status, observed, (&Reason::InProgress, &starts(observed)));
    status
}

/// What starts, what it is to what runs there, and why, as the requester said.
#[must_use]
pub fn starts(observed: &Observed) -> String {
    let spec = &observed.promotion.spec;
    let what = format!("{} {} is being applied to {}", spec.project, spec.version, spec.environment);
    let current = observed.current.as_ref();
    let runs = current.map(|known| known.version.as_str()).filter(|runs| *runs != spec.version);
    let uid = observed.release.as_ref().and_then(|release| release.metadata.uid.as_deref());
    let another = current.is_some_and(|known| are_two(known.release_uid.as_deref(), uid));
    let what = match (current::mode(observed), runs) {
        (Mode::Deploy, None) if another => {
            format!("{what}, where another release of this version runs, which was deleted")
        }
        (Mode::Rollback, Some(runs)) => format!("{what}, where the newer {runs} runs"),
        (Mode::Redeploy, _) => format!("{what}, where it runs already"),
        (Mode::Deploy, Some(runs)) => format!("{what}, where {runs} runs"),
        (Mode::Deploy | Mode::Rollback, None) => what,
    };
    let what = if spec.is_partial() { format!("{what}, {}", left_out(&spec.parts())) } else { what };
    match spec.reason.as_deref().filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{what} ({})", condition::cut(reason, REASON)),
        None => what,
    }
}

/// What of a release is left out.
fn left_out(parts: &Parts) -> String {
    let targets = (!parts.targets.is_empty()).then(|| format!("in {} only", parts.targets.join(", ")));
    let steps = (!parts.skip_steps.is_empty()).then(|| format!("without {}", parts.skip_steps.join(", ")));
    targets.into_iter().chain(steps).collect::<Vec<_>>().join(" and ")
}

/// Its step takes a while: what it waits for.
#[must_use]
pub fn working(observed: &Observed, message: &str) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    say(&mut status, observed, (&Reason::InProgress, message));
    status
}

/// A step is done and the next one starts.
#[must_use]
pub fn advanced(observed: &Observed, progress: &Progress) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.applied = progress.applied;
    conclude(&mut status, observed, progress);
    if let Some(next) = turn::next(&mut status) {
        let message = begin(next, observed);
        say(&mut status, observed, (&Reason::InProgress, &message));
    }
    status
}

/// A step is done, if there is progress of one, and a freeze keeps the next one from starting.
#[must_use]
pub fn paused(observed: &Observed, progress: Option<&Progress>, message: &str) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    if let Some(progress) = progress {
        status.applied = progress.applied;
        conclude(&mut status, observed, progress);
    }
    say(&mut status, observed, (&Reason::Frozen, message));
    status
}

/// The freeze is over that kept the next step from starting: it starts.
#[must_use]
pub fn resumed(observed: &Observed) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    if let Some(next) = turn::next(&mut status) {
        let message = begin(next, observed);
        say(&mut status, observed, (&Reason::InProgress, &message));
    }
    status
}

/// A step failed for good, and one that runs after a failure starts.
#[must_use]
pub fn failing(observed: &Observed, failed: &FailureRecord) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.applied = facts::applied(observed);
    if let Some(progress) = &observed.progress {
        conclude(&mut status, observed, progress);
    }
    for step in &mut status.steps {
        end_step(step, observed, &failed.message);
    }
    let first = status.failure.get_or_insert_with(|| failed.clone()).message.clone();
    if let Some(next) = turn::next(&mut status) {
        let message = format!("{}, since the promotion failed: {first}", begin(next, observed));
        say(&mut status, observed, (&Reason::InProgress, &message));
    }
    status
}

/// Its step failed, and is begun again at a time.
#[must_use]
pub fn retrying(observed: &Observed, progress: &Progress, (at, message): (Timestamp, &str)) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.applied = progress.applied;
    conclude(&mut status, observed, progress);
    if let Some(step) = status.steps.get_mut(progress.step) {
        step.retry_at = Some(MicroTime(at));
        step.message = Some(condition::cut(message, 1024));
    }
    say(&mut status, observed, (&Reason::InProgress, message));
    status
}

/// A step that had failed is begun again.
#[must_use]
pub fn retried(observed: &Observed, step: usize) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    if let Some(step) = status.steps.get_mut(step) {
        let started = step.started_at.clone();
        let attempt = step.attempt.unwrap_or(1).saturating_add(1);
        (step.retry_at, step.applied_at) = (None, None);
        let message = begin(step, observed);
        (step.started_at, step.attempt) = (started, Some(attempt));
        step.attempted_at = Some(MicroTime(observed.now));
        let message = format!("{message}, for the {attempt}. time");
        say(&mut status, observed, (&Reason::InProgress, &message));
    }
    status
}

/// It has failed, and another promotion is to put back what ran before. Whatever comes of that, it has done its own part.
#[must_use]
pub fn rolling_back(observed: &Observed, failed: &Failure, message: &str) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.phase = Some(Phase::RollingBack.as_str().to_owned());
    status.applied = failed.applied;
    status.failure.get_or_insert_with(|| failure(observed, (&failed.reason, &failed.message)));
    status.rollback = match &observed.rollback {
        Rollback::Wanted { promotion, version, again } => {
            Some(RollbackRecord { promotion: promotion.clone(), version: version.clone(), again: again.clone() })
        }
        Rollback::Unknown | Rollback::Nothing { .. } | Rollback::Underway { .. } | Rollback::Ended { .. } => {
            status.rollback
        }
    };
    end_steps(&mut status, observed, &failed.message);
    say(&mut status, observed, (&Reason::RollingBack, message));
    status
}

/// It has ended.
#[must_use]
pub fn finished(observed: &Observed, end: &End) -> PromotionStatus {
    let mut status = observed.promotion.status.clone().unwrap_or_default();
    status.phase = Some(end.phase.as_str().to_owned());
    status.finished = true;
    status.applied = end.applied;
    if facts::phase(observed) == Phase::Pending && matches!(end.phase, Phase::Rejected | Phase::Failed) {
        approvals::write(&mut status, observed);
    }
    if end.phase == Phase::Failed && status.failure.is_none() {
        status.failure = Some(failure(observed, (end.reason.as_str(), &end.message)));
    }
    end_steps(&mut status, observed, &end.message);
    say(&mut status, observed, (&end.reason, &end.message));
    status
}

/// Nothing of it runs any more, since now, or since it failed.
fn end_steps(status: &mut PromotionStatus, observed: &Observed, message: &str) {
    status.finished_at.get_or_insert(MicroTime(observed.now));
    if let Some(progress) = &observed.progress {
        conclude(status, observed, progress);
    }
    let ended = status.phase.clone().unwrap_or_default();
    // A step that failed says why itself; the promotion may have failed before.
    let own = turn::failed(observed).map_or_else(|| message.to_owned(), |failure| failure.message);
    for step in &mut status.steps {
        if step.phase == PENDING {
            turn::never_came(step, &ended);
        }
        end_step(step, observed, &own);
    }
}

/// A step that had not ended takes the end of the promotion.
fn end_step(step: &mut StepRecord, observed: &Observed, message: &str) {
    if step.phase == STARTED {
        FAILED.clone_into(&mut step.phase);
        step.finished_at = Some(MicroTime(observed.now));
        step.retry_at = None;
        step.message = Some(condition::cut(message, 1024));
    }
}

/// What failed: what the step said, or that it took too long.
fn failure(observed: &Observed, (reason, message): (&str, &str)) -> FailureRecord {
    let said = observed.progress.as_ref().and_then(|progress| match &progress.state {
        State::Failed(failure) => Some(failure.clone()),
        State::Waiting { .. } | State::Done => None,
    });
    said.or_else(|| timeout::expired(observed)).unwrap_or_else(|| FailureRecord {
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..FailureRecord::default()
    })
}

/// A step starts; gives what it does now.
fn begin(step: &mut StepRecord, observed: &Observed) -> String {
    STARTED.clone_into(&mut step.phase);
    step.attempt = step.retries.map(|_| 1);
    step.started_at = Some(MicroTime(observed.now));
    let message = format!("applies to namespace {} and waits until healthy", step.namespace);
    step.message = Some(message.clone());
    format!("step {} {message}", step.name)
}

/// Writes what a step did into its record.
fn conclude(status: &mut PromotionStatus, observed: &Observed, progress: &Progress) {
    status.variables = variables::joined(&status.variables, &progress.variables);
    let steps = status.steps.len();
    let Some(step) = status.steps.get_mut(progress.step) else { return };
    step.objects = bound::listed(&progress.objects, steps);
    step.pruned = bound::listed(&progress.pruned, steps);
    step.applied_at = progress.applied_at.map(MicroTime);
    if progress.state == State::Done {
        SUCCEEDED.clone_into(&mut step.phase);
        step.finished_at = Some(MicroTime(observed.now));
        step.message = Some("everything is applied and healthy".to_owned());
    }
}

/// UID and generation of every object that the gates looked at.
fn decided_on(observed: &Observed) -> Vec<DecidedOn> {
    fn of(kind: &str, meta: &kube::core::ObjectMeta) -> DecidedOn {
        DecidedOn {
            kind: kind.to_owned(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
        }
    }
    let project = observed.project.as_ref().map(|object| of("Project", &object.metadata));
    let release = observed.release.as_ref().map(|object| of("Release", &object.metadata));
    let environment = observed.environment.as_ref().map(|object| of("Environment", &object.metadata));
    let lifecycle = observed.course.lifecycle.as_ref().map(|object| of("Lifecycle", &object.metadata));
    let pin = observed.pinned.pin.as_ref().filter(|_| pinned::is_of_a_pin(&observed.promotion));
    let pin = pin.map(|object| of("Pin", &object.metadata));
    let freezes = freezes::decided_on(observed).map(|object| of("Freeze", &object.metadata));
    let approvals = approvals::decided_on(observed).chain(freezes);
    project.into_iter().chain(release).chain(environment).chain(lifecycle).chain(pin).chain(approvals).collect()
}

/// Reason, message and conditions for the phase that the status has.
fn say(status: &mut PromotionStatus, observed: &Observed, because: (&Reason, &str)) {
    let (reason, message) = (because.0.as_str().to_owned(), condition::cut(because.1, 1024));
    status.observed_generation = observed.promotion.metadata.generation;
    status.reason = Some(condition::cut(&reason, 64));
    status.message = Some(message.clone());
    let stamp = Stamp { now: observed.now, generation: observed.promotion.metadata.generation };
    let phase = status.phase.as_deref().and_then(Phase::parse).unwrap_or(Phase::Pending);
    let standing = match phase {
        Phase::Pending | Phase::Running | Phase::RollingBack => Standing::Reconciling,
        // One that was replaced needs nobody; a repository that still has it is in order.
        Phase::Succeeded | Phase::Superseded => Standing::Ready,
        Phase::Failed | Phase::RolledBack | Phase::Refused | Phase::Rejected | Phase::Canceled | Phase::Expired => {
            Standing::Stalled
        }
    };
    let succeeded = match phase {
        Phase::Pending | Phase::Running => None,
        Phase::Succeeded => Some(true),
        Phase::RollingBack
        | Phase::Failed
        | Phase::RolledBack
        | Phase::Refused
        | Phase::Rejected
        | Phase::Canceled
        | Phase::Superseded
        | Phase::Expired => Some(false),
    };
    let fact = |kind, holds| Fact { kind, holds, reason: &reason, message: message.clone() };
    condition::set(&mut status.conditions, &fact(ConditionType::Finished, Some(phase.is_finished())), stamp);
    condition::set(&mut status.conditions, &fact(ConditionType::Succeeded, succeeded), stamp);
    condition::set_standing(&mut status.conditions, &standing, (&reason, &message), stamp);
}
