//! From what was observed to the facts that the promotion machine decides on. Pure.

use crate::api::condition::{self, ConditionType};
use crate::api::v1alpha1::environment::QueuePolicy;
use crate::api::v1alpha1::promotion::WhenNotReady as WhenNotReadyField;
use crate::controllers::environment::desired;
use crate::controllers::guard::vouched::is_vouched;
use crate::controllers::release::automatic;
use crate::domain::lifecycle::overtaken::Made;
use crate::domain::name::{EnvironmentName, InvalidName, ProjectName, ReleaseVersion};
use crate::domain::promotion::approval::Person;
use crate::domain::promotion::gate::{
    self, EnvironmentFact, GateFacts, PartsFact, Presence, ReleaseFact, Subject, WhenNotReady,
};
use crate::domain::promotion::machine::{CancelCause, Facts, Failure, Slot, Work};
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::window::Window;
use crate::domain::queue::{self, Entry, Policy, Standing};

use super::approvals;
use super::decide::timeout;
use super::decide::turn;
use super::freezes;
use super::observe::{Observed, Trace};
use super::pinned;
use super::plan::PlanState;
use super::status::SKIPPED;
use super::work::progress::{Progress, State};

/// The phase that the promotion's status says; a status that says none is `Pending`.
#[must_use]
pub fn phase(observed: &Observed) -> Phase {
    let said = observed.promotion.status.as_ref().and_then(|status| status.phase.as_deref());
    said.and_then(Phase::parse).unwrap_or(Phase::Pending)
}

/// What the promotion asks for, as checked names.
///
/// # Errors
/// When a name in the spec is none; the definition of the kind refuses those, so only an edited definition lets one through.
pub fn subject(observed: &Observed) -> Result<Subject, InvalidName> {
    let spec = &observed.promotion.spec;
    Ok(Subject {
        project: ProjectName::try_from(spec.project.as_str())?,
        version: ReleaseVersion::try_from(spec.version.as_str())?,
        environment: EnvironmentName::try_from(spec.environment.as_str())?,
    })
}

/// Everything that the machine wants to know.
#[must_use]
pub fn facts(observed: &Observed, subject: Subject) -> Facts {
    let standing = standing(observed);
    let environment = subject.environment.clone();
    let gates = GateFacts {
        subject,
        unguarded: observed.guard.broken().map(str::to_owned),
        stamped: stamped(observed),
        project: project(observed),
        release: release(observed),
        environment: environment_fact(observed),
        lifecycle: observed.course.reach(&environment),
        recovering: pinned::recovery(observed).is_some(),
        blocked: observed.course.block(&environment),
        parts: parts(observed),
        when_not_ready: match observed.promotion.spec.when_not_ready {
            WhenNotReadyField::Refuse => WhenNotReady::Refuse,
            WhenNotReadyField::Wait => WhenNotReady::Wait,
        },
        approvals: approvals::tally(observed),
        freezes: freezes::concerning(observed),
        window: window(observed),
        asked: freezes::asked(observed),
        now: observed.now,
        standing: standing.clone(),
        fresh: observed.fresh,
    };
    Facts {
        used_name: observed.name_use.clone(),
        cancel: cancel(observed),
        verdict: gate::judge(&gates),
        standing,
        slot: observed.slot.clone(),
        work: work(observed),
        rollback: observed.rollback.clone(),
    }
}

/// Who asked, if the API server can have written it.
fn stamped(observed: &Observed) -> Option<Person> {
    let vouched = is_vouched(&observed.guard, observed.promotion.as_ref());
    observed.promotion.spec.requested_by.as_ref().filter(|_| vouched).map(approvals::person)
}

/// When the promotion may start.
#[must_use]
pub fn window(observed: &Observed) -> Window {
    let spec = &observed.promotion.spec;
    Window {
        not_before: spec.not_before.as_ref().map(|time| time.0),
        expires_at: spec.expires_at.as_ref().map(|time| time.0),
    }
}

fn cancel(observed: &Observed) -> Option<CancelCause> {
    if observed.promotion.metadata.deletion_timestamp.is_some() {
        return Some(CancelCause::Deleted);
    }
    if observed.promotion.spec.cancel.is_some() {
        return Some(CancelCause::Requested);
    }
    pinned::is_outdated(observed).then_some(CancelCause::Repinned)
}

fn project(observed: &Observed) -> Presence {
    match (&observed.project, &observed.unreadable.project) {
        (Some(_), _) => Presence::Found,
        (None, Some(why)) => Presence::Unreadable { why: why.to_string() },
        (None, None) => Presence::Absent,
    }
}

/// What is known of the release.
#[must_use]
pub fn release(observed: &Observed) -> ReleaseFact {
    let Some(release) = &observed.release else {
        let why = observed.unreadable.release.as_ref();
        return why.map_or(ReleaseFact::Absent, |why| ReleaseFact::Unreadable { why: why.to_string() });
    };
    // What Gantry made for a release is in the name of whoever made that one.
    let cause = observed.promotion.spec.cause.as_ref().filter(|cause| cause.kind == automatic::CAUSE);
    if cause.is_some_and(|cause| release.metadata.uid.as_ref() != Some(&cause.uid)) {
        return ReleaseFact::MadeAgain;
    }
    let conditions = release.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if condition::is_true(conditions, ConditionType::Sealed) {
        return match &observed.plan {
            PlanState::Broken(message) => ReleaseFact::NotSealed { message: message.clone(), stalled: true },
            PlanState::Unknown | PlanState::Known(_) => ReleaseFact::Sealed,
        };
    }
    let message = condition::find(conditions, ConditionType::Ready).map(|ready| ready.message.clone());
    ReleaseFact::NotSealed {
        message: message.unwrap_or_else(|| "it was not looked at yet".to_owned()),
        stalled: condition::is_true(conditions, ConditionType::Stalled),
    }
}

fn environment_fact(observed: &Observed) -> EnvironmentFact {
    let mine = &observed.promotion.spec.environment;
    let unreadable = &observed.unreadable.environments;
    let others = || unreadable.iter().find(|(name, _)| observed.course.concerns(name));
    if let Some((name, why)) = unreadable.get_key_value(mine).or_else(others) {
        return EnvironmentFact::Unreadable { name: name.clone(), why: why.to_string() };
    }
    let Some(environment) = &observed.environment else { return EnvironmentFact::Absent };
    if environment.metadata.deletion_timestamp.is_some() {
        return EnvironmentFact::NotReady { message: "it is being deleted".to_owned() };
    }
    let status = environment.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let current = status.and_then(|status| status.observed_generation) == environment.metadata.generation;
    if !condition::is_true(conditions, ConditionType::Ready) || !current {
        let message = condition::find(conditions, ConditionType::Ready)
            .filter(|_| current)
            .map_or_else(|| "it is being provisioned".to_owned(), |ready| ready.message.clone());
        return EnvironmentFact::NotReady { message };
    }
    if environment.spec.paused { EnvironmentFact::Paused } else { EnvironmentFact::Ready }
}

/// Whether what the promotion names exists. The gates before wait for the release and the environment.
fn parts(observed: &Observed) -> PartsFact {
    let parts = observed.promotion.spec.parts();
    let Some(environment) = observed.environment.as_ref().filter(|_| parts.is_partial()) else {
        return PartsFact::Known;
    };
    let targets: Vec<String> = desired::targets(environment).into_iter().map(|target| target.name).collect();
    let steps = match &observed.plan {
        _ if parts.skip_steps.is_empty() => Vec::new(),
        PlanState::Unknown => return PartsFact::Unread,
        PlanState::Broken(_) => return PartsFact::Known,
        PlanState::Known(plan) => plan.names(),
    };
    parts.unknown(&steps, &targets).map_or(PartsFact::Known, PartsFact::Unknown)
}

fn standing(observed: &Observed) -> Standing {
    let uid = observed.promotion.metadata.uid.as_deref().unwrap_or_default();
    // Until the environment says how it queues, nobody supersedes anybody.
    let policy = match observed.environment.as_ref().map(|environment| environment.spec.queue) {
        Some(QueuePolicy::Supersede) => Policy::Supersede,
        Some(QueuePolicy::Queue) | None => Policy::Queue,
    };
    // Whoever holds the slot runs as far as the queue is concerned.
    let mut rivals = observed.rivals.clone();
    for entry in &mut rivals {
        entry.running |= match &observed.slot {
            Slot::Mine => entry.uid == uid,
            Slot::Held { by } => entry.name == *by,
            Slot::Free | Slot::Unknown => false,
        };
    }
    match rivals.iter().find(|entry| entry.uid == uid) {
        Some(me) => overtaken(observed, me).unwrap_or_else(|| pinned::standing(observed, (me, &rivals), policy)),
        None => Standing::Next,
    }
}

/// The place of a promotion that goes on by itself where a release runs that was made later.
fn overtaken(observed: &Observed, me: &Entry) -> Option<Standing> {
    let current = observed.current.as_ref()?;
    let made = Made::new(current.made?, &current.version);
    queue::overtaken(me, Some((&current.promotion, &made)))
}

/// How far the steps are, from the status (what was written) and the progress (what this process did since).
fn work(observed: &Observed) -> Work {
    let status = observed.promotion.status.as_ref();
    match (phase(observed), status.and_then(|status| status.failure.as_ref())) {
        (Phase::Pending, _) => return Work::NotStarted,
        (Phase::RollingBack, Some(failure)) => {
            let (reason, message) = (failure.reason.clone(), failure.message.clone());
            return Work::Failed(Failure { reason, message, applied: true });
        }
        _ => {}
    }
    let steps = status.map(|status| status.steps.as_slice()).unwrap_or_default();
    if !steps.is_empty() && steps.iter().all(|step| step.phase == SKIPPED) {
        return Work::Nothing;
    }
    let failed = turn::failed(observed);
    let before = turn::has_failed(&observed.promotion);
    let step = timeout::current(observed).map(|(index, _)| index);
    let progress = observed.progress.as_ref().filter(|progress| Some(progress.step) == step);
    let is_done = progress.is_some_and(|progress| progress.state == State::Done);
    let failure = before.cloned().or_else(|| failed.clone());
    let is_over = (is_done || failed.is_some()) && !turn::goes_on(&observed.promotion, failure.is_some());
    // For whoever wants it to stop, nothing more is done after a failure, and it has failed all the same.
    let is_stopped = matches!(cancel(observed), Some(CancelCause::Requested | CancelCause::Deleted));
    match failure {
        Some(failure) if is_over || is_stopped => {
            Work::Failed(Failure { reason: failure.reason, message: failure.message, applied: applied(observed) })
        }
        None if is_over => Work::Done,
        Some(_) | None => Work::InProgress { message: does(observed, progress), applied: applied(observed) },
    }
}

/// What the step that runs does, in one sentence.
fn does(observed: &Observed, progress: Option<&Progress>) -> String {
    let again = timeout::current(observed).and_then(|(_, step)| step.retry_at.as_ref().and(step.message.clone()));
    again.unwrap_or_else(|| match progress.map(|progress| &progress.state) {
        Some(State::Waiting { message, .. }) => message.clone(),
        Some(State::Failed(failure)) => failure.message.clone(),
        Some(State::Done) | None => "applies its manifests".to_owned(),
    })
}

/// Whether anything in the environment was changed. After a restart nobody knows, and a step that was begun counts.
#[must_use]
pub fn applied(observed: &Observed) -> bool {
    match &observed.progress {
        Some(progress) => progress.applied,
        None => may_have_applied(observed),
    }
}

/// The same where a step has no progress.
#[must_use]
pub fn may_have_applied(observed: &Observed) -> bool {
    let status = observed.promotion.status.as_ref();
    observed.trace == Trace::Perhaps && status.is_some_and(|status| status.applied || status.started_at.is_some())
}
