//! What becomes of a pin: the rule of [`crate::domain::pin`], with the status and the Events that belong to it. Pure and total.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::observe::Observed;
use super::{promote, witness};
use crate::api::condition::{self, ConditionType, Fact, Reason, Standing};
use crate::api::v1alpha1::PinStatus;
use crate::controllers::decision::{self, Next, Note, Severity};
use crate::domain::pin::{self, Facts, Own, State, Step, Touch};
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason as Why;

/// What one run of a pin will do.
pub type Decision = decision::Decision<PinStatus, Effect>;

/// A change of another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Makes the promotion of this generation: before the status remembers it.
    Promote,
}

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let mut status = observed.pin.status.clone().unwrap_or_default();
    status.observed_generation = observed.pin.metadata.generation;
    status.witnessed = observed.witnessed.clone().or(status.witnessed);
    let step = pin::step(&facts(observed));
    let effects = if step == Step::Promote { vec![Effect::Promote] } else { Vec::new() };
    remember(observed, &mut status, &step);
    let said = say(observed, &step);
    let events = note(observed, &said).into_iter().collect();
    write(observed, &mut status, &said);
    Decision { status, effects, events, next: Next::Await }
}

fn facts(observed: &Observed) -> Facts {
    Facts {
        version: observed.pin.spec.version.clone(),
        release_uid: observed.release_uid.clone(),
        // While nobody knows, it is tried, and refused where it is made.
        stamped: observed.pin.spec.requested_by.is_some() && is_believed(observed).unwrap_or(true),
        own: observed.own.clone(),
        newest: observed.past.newest.clone(),
        running: observed.running.clone(),
    }
}

/// Whether the policies acted when this generation was written, once somebody knows.
fn is_believed(observed: &Observed) -> Option<bool> {
    let witness = observed.witnessed.as_ref().or_else(|| witness::current(&observed.pin));
    witness.map(|witness| witness.vouched)
}

/// Writes down by which promotion the generation is carried out, and how that one is doing.
fn remember(observed: &Observed, status: &mut PinStatus, step: &Step) {
    let (name, phase, ended, message) = match (step, &observed.own) {
        (Step::Promote, _) => (promote::name(&observed.pin), Phase::Pending, None, "it was just made"),
        (Step::Adopt(touch), _) => {
            (touch.promotion.clone(), Phase::Succeeded, Some(touch.at), "its version ran already")
        }
        (Step::Follow(_), Some((name, Own::Underway { phase, message, .. }))) => {
            // What a running one does at the moment is nothing to be written here every time.
            let message = if *phase == Phase::Running { "it runs" } else { message };
            (name.clone(), *phase, None, message)
        }
        (Step::Follow(_), Some((name, Own::Ended { phase, at, message }))) => {
            (name.clone(), *phase, Some(*at), message.as_str())
        }
        (Step::Follow(_) | Step::Await(_) | Step::Unstamped, _) => return,
    };
    if status.carried_out != observed.pin.metadata.generation {
        status.carried_out = observed.pin.metadata.generation;
        status.version = Some(observed.pin.spec.version.clone());
    }
    status.promotion = Some(name);
    status.phase = Some(phase.as_str().to_owned());
    status.finished_at = ended.map(MicroTime);
    status.message = Some(condition::cut(message, 1024));
}

/// How the pin stands, why, and whether something else came after it.
struct Said {
    standing: Standing,
    reason: Reason,
    message: String,
}

fn say(observed: &Observed, step: &Step) -> Said {
    let spec = &observed.pin.spec;
    let what = format!("{} {}", spec.project, spec.version);
    let said = |standing, reason, message| Said { standing, reason, message };
    let own = observed.own.as_ref();
    let name = own.map(|(name, _)| name.clone()).unwrap_or_default();
    let told = match own {
        Some((_, Own::Underway { message, .. } | Own::Ended { message, .. })) => message.as_str(),
        None => "",
    };
    match step {
        Step::Unstamped => said(
            Standing::Stalled,
            Reason::NotStamped,
            "the API server did not record who changed this pin, or nobody knows that it did: install Gantry's admission policies, then change spec.retry, which makes it yours"
                .to_owned(),
        ),
        Step::Await(promotion) => said(
            Standing::Reconciling,
            Reason::Deploying,
            format!("promotion {promotion} brings {what} to {} just now", spec.environment),
        ),
        Step::Promote => said(
            Standing::Reconciling,
            Reason::Deploying,
            format!("promotion {} was made", promote::name(&observed.pin)),
        ),
        Step::Adopt(_) | Step::Follow(State::Deployed) => {
            said(Standing::Ready, Reason::Deployed, format!("{what} runs in {}", spec.environment))
        }
        Step::Follow(State::Deploying) => {
            let doing = match own {
                Some((_, Own::Underway { phase: Phase::Running, .. })) => "runs".to_owned(),
                Some((_, Own::Underway { phase: Phase::RollingBack, .. })) => format!("is rolled back: {told}"),
                _ => format!("waits: {told}"),
            };
            said(Standing::Reconciling, Reason::Deploying, format!("promotion {name} {doing}"))
        }
        Step::Follow(State::Waiting) => {
            said(Standing::Ready, Reason::Waiting, format!("promotion {name} waits: {told}"))
        }
        Step::Follow(State::Stuck(reason)) => {
            let because =
                if *reason == Why::ChannelNotFound { Reason::ChannelNotFound } else { Reason::NotInLifecycle };
            said(Standing::Stalled, because, format!("promotion {name} waits: {told}"))
        }
        Step::Follow(State::Diverged(touch)) => {
            said(Standing::Ready, Reason::Diverged, diverged(observed, touch.as_ref(), (&name, told)))
        }
        Step::Follow(State::MadeAgain(touch)) => said(Standing::Ready, Reason::Diverged, made_again(observed, touch)),
        Step::Follow(State::Ended(phase)) => said(Standing::Stalled, ended(*phase), unsuccessful(observed, (&name, told))),
    }
}

fn ended(phase: Phase) -> Reason {
    match phase {
        Phase::Canceled => Reason::Canceled,
        Phase::Refused => Reason::Refused,
        Phase::Rejected => Reason::Rejected,
        _ => Reason::Failed,
    }
}

fn unsuccessful(observed: &Observed, (name, told): (&str, &str)) -> String {
    let phase = match &observed.own {
        Some((_, Own::Ended { phase, .. } | Own::Underway { phase, .. })) => phase.as_str(),
        None => "",
    };
    format!(
        "promotion {name} is {phase}: {told}; change spec.retry of the pin to try again, or spec.version to promote another one"
    )
}

fn diverged(observed: &Observed, touch: Option<&Touch>, (name, told): (&str, &str)) -> String {
    let spec = &observed.pin.spec;
    let again = format!("change spec.retry of the pin to promote {} again", spec.version);
    match touch {
        Some(Touch { promotion, version, arrived: true, .. }) => format!(
            "{} {version} came to {} by promotion {promotion} after this pin, and is not fought: pin {version}, or {again}",
            spec.project, spec.environment
        ),
        Some(Touch { promotion, version, arrived: false, .. }) => format!(
            "promotion {promotion} of {} {version} to {} came after this pin and changed only a part of what runs there: {again}",
            spec.project, spec.environment
        ),
        None => format!("promotion {name} is Superseded: {told}; {again}"),
    }
}

fn made_again(observed: &Observed, touch: &Touch) -> String {
    let spec = &observed.pin.spec;
    format!(
        "release {}-{} was deleted and made again since promotion {} brought it to {}, where the one of then runs: change spec.retry of the pin to promote the one of now",
        spec.project, spec.version, touch.promotion, spec.environment
    )
}

fn write(observed: &Observed, status: &mut PinStatus, said: &Said) {
    let stamp = observed.stamp();
    condition::set_standing(&mut status.conditions, &said.standing, (said.reason.as_str(), &said.message), stamp);
    let is_diverged = said.reason == Reason::Diverged;
    let fact = Fact {
        kind: ConditionType::Diverged,
        holds: Some(is_diverged),
        reason: if is_diverged { Reason::Diverged } else { Reason::Following }.as_str(),
        message: if is_diverged { said.message.clone() } else { String::new() },
    };
    condition::set(&mut status.conditions, &fact, stamp);
}

/// Says once for each generation and reason how the pin stands.
fn note(observed: &Observed, said: &Said) -> Option<Note> {
    let conditions = observed.pin.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let known = condition::find(conditions, ConditionType::Ready);
    let same = known.is_some_and(|known| {
        known.reason == said.reason.as_str() && known.observed_generation == observed.pin.metadata.generation
    });
    let severity = if said.standing == Standing::Stalled || said.reason == Reason::Diverged {
        Severity::Warning
    } else {
        Severity::Normal
    };
    (!same).then(|| Note { severity, reason: said.reason.as_str(), action: "Promote", message: said.message.clone() })
}

#[cfg(test)]
mod tests;
