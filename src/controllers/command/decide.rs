//! What a command does next: the rule of [`crate::domain::command`], with the status and the Events that belong to it. Pure.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::end::End;
use super::pin::Unpinned;
use super::{Observed, is_deleted, job, pace};
use crate::api::condition::{self, ConditionType, Fact, Stamp, Standing};
use crate::api::v1alpha1::command_run::{CommandRunStatus, CommandTarget};
use crate::api::v1alpha1::{CommandRun, CommandRunSpec, Environment};
use crate::controllers::decision::{self, Next, Note, Severity};
use crate::controllers::environment::desired;
use crate::controllers::guard::vouched::is_vouched;
use crate::domain::command::reason::Reason;
use crate::domain::command::{self, Cancel, Phase, Stand, Step};
use crate::domain::variable::function::sha256;

/// What one turn of a command will do.
pub type Decision = decision::Decision<CommandRunStatus, Effect>;

/// Something to do once the status is written. At most one a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask which digest the tag of its image has.
    Pin,
    /// Carry it out in this target.
    CarryOut {
        /// Its index in the status.
        target: usize,
    },
    /// Find out what became of it there.
    FindOut {
        /// Its index in the status.
        target: usize,
    },
    /// Stop it there.
    Stop {
        /// Its index in the status.
        target: usize,
    },
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its image has this digest, or none.
    Pinned(Result<String, Unpinned>),
    /// It goes on in a target.
    Goes {
        /// Its index in the status.
        target: usize,
        /// What it does or waits for.
        message: String,
    },
    /// It ended in a target.
    Ended {
        /// Its index in the status.
        target: usize,
        /// How.
        end: End,
    },
}

/// How old a command may be that has not begun: people mean now, and not whenever Gantry is back.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Decision {
    let spec = &observed.command.spec;
    let mut status = observed.command.status.clone().unwrap_or_default();
    if status.finished {
        return Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await };
    }
    status.command = Some(word(spec).to_owned());
    status.script_sha256 = spec.script.as_ref().map(|script| sha256(&script.run));
    if status.targets.is_empty() {
        let targets = match admit(observed) {
            Ok(targets) => targets,
            Err(why) => return end(observed, status, (Phase::Refused, &why)),
        };
        if spec.script.is_some() && cancel(&observed.command) == Cancel::No {
            match &observed.outcome {
                Some(Outcome::Pinned(Ok(image))) => status.image = Some(image.clone()),
                Some(Outcome::Pinned(Err(unpinned))) => return unpinned_yet(observed, status, unpinned),
                Some(Outcome::Goes { .. } | Outcome::Ended { .. }) | None => return go_on(status, vec![Effect::Pin]),
            }
        }
        status.targets = targets;
    }
    if let Some(Outcome::Ended { target, end }) = &observed.outcome {
        conclude(observed, &mut status, (*target, end));
    }
    let going = match &observed.outcome {
        Some(Outcome::Goes { target, message }) => Some((*target, message.as_str())),
        Some(Outcome::Pinned(_) | Outcome::Ended { .. }) | None => None,
    };
    match command::step(&stands(&status), cancel(&observed.command)) {
        Step::Begin(target) => begin(observed, status, target),
        Step::FindOut(target) | Step::Stop(target) if going.is_some_and(|(going, _)| going == target) => {
            wait(observed, status, going)
        }
        Step::FindOut(target) => go_on(status, vec![Effect::FindOut { target }]),
        Step::Stop(target) => stop(observed, status, target),
        Step::CancelRest => cancel_rest(observed, status),
        Step::End(phase) => ended_as(observed, status, phase),
    }
}

fn stands(status: &CommandRunStatus) -> Vec<Stand> {
    status.targets.iter().map(|row| Stand::parse(&row.phase)).collect()
}

/// What a cancel hinders: a script can be stopped, the others are done in a moment. Whoever deletes a command cancels it.
fn cancel(command: &CommandRun) -> Cancel {
    let canceled = command.spec.cancel.is_some() || is_deleted(command);
    match (canceled, &command.spec.script) {
        (false, _) => Cancel::No,
        (true, None) => Cancel::Rest,
        (true, Some(_)) => Cancel::All,
    }
}

fn go_on(status: CommandRunStatus, effects: Vec<Effect>) -> Decision {
    Decision { status, effects, events: Vec::new(), next: Next::Again }
}

/// Without its digest no image runs. Where asking again may help, it waits.
fn unpinned_yet(observed: &Observed, mut status: CommandRunStatus, unpinned: &Unpinned) -> Decision {
    if !unpinned.heals {
        let why = format!("{}; correct it, in a new command", unpinned.message);
        return end(observed, status, (Phase::Refused, &why));
    }
    say(observed, &mut status, (Phase::Running, &unpinned.message));
    Decision { status, effects: Vec::new(), events: Vec::new(), next: pace::after(observed.now, pace::REGISTRY) }
}

/// It goes on in a target: whatever changes there wakes it, but for some things that are looked for.
fn wait(observed: &Observed, mut status: CommandRunStatus, going: Option<(usize, &str)>) -> Decision {
    let Some((target, message)) = going else { return go_on(status, Vec::new()) };
    let mut place = String::new();
    let mut next = pace::after(observed.now, pace::LOOK);
    if let Some(row) = status.targets.get_mut(target) {
        row.message = Some(condition::cut(message, 512));
        place = format!("{} (namespace {})", row.name, row.namespace);
        if let Some((script, began)) = observed.command.spec.script.as_ref().zip(row.started_at.as_ref()) {
            next = next.sooner(pace::deadline(job::Span::of(script, began.0), observed.now));
        }
    }
    let message = format!("{} in target {place}: {message}", word(&observed.command.spec));
    say(observed, &mut status, (Phase::Running, &message));
    Decision { status, effects: Vec::new(), events: Vec::new(), next }
}

/// That it is to be stopped is written before it is stopped.
fn stop(observed: &Observed, mut status: CommandRunStatus, target: usize) -> Decision {
    if let Some(row) = status.targets.get_mut(target) {
        Stand::Stopping.as_str().clone_into(&mut row.phase);
        let message = format!("{} in target {} is being stopped", word(&observed.command.spec), row.name);
        say(observed, &mut status, (Phase::Running, &message));
    }
    go_on(status, vec![Effect::Stop { target }])
}

fn cancel_rest(observed: &Observed, mut status: CommandRunStatus) -> Decision {
    for row in status.targets.iter_mut().filter(|row| Stand::parse(&row.phase) == Stand::Pending) {
        Stand::Canceled.as_str().clone_into(&mut row.phase);
        row.reason = Some(Reason::Canceled.as_str().to_owned());
        row.message = Some(format!("{} before it began", canceled(&observed.command)));
    }
    match command::step(&stands(&status), cancel(&observed.command)) {
        Step::End(phase) => ended_as(observed, status, phase),
        Step::Begin(_) | Step::FindOut(_) | Step::Stop(_) | Step::CancelRest => go_on(status, Vec::new()),
    }
}

/// How it was canceled.
#[must_use]
pub fn canceled(command: &CommandRun) -> &'static str {
    if is_deleted(command) { "the command was deleted" } else { "canceled" }
}

/// The command in one word.
#[must_use]
pub fn word(spec: &CommandRunSpec) -> &'static str {
    match (&spec.restart, &spec.script) {
        (Some(_), _) => "restart",
        (None, Some(_)) => "script",
        (None, None) => "logs",
    }
}

/// The targets in which it is carried out.
///
/// # Errors
/// Why it must not be, or cannot.
fn admit(observed: &Observed) -> Result<Vec<CommandTarget>, String> {
    let spec = &observed.command.spec;
    if let Some(why) = observed.guard.broken() {
        return Err(format!("nothing is carried out while Gantry's admission policies do not act: {why}"));
    }
    if spec.by.is_none() || !is_vouched(&observed.guard, observed.command.as_ref()) {
        return Err("the API server did not record who asked, or nobody knows that it did: install Gantry's admission policies, then make the command again under another name".to_owned());
    }
    let made = observed.command.metadata.creation_timestamp.as_ref();
    if made.is_some_and(|made| observed.now.duration_since(made.0) > FRESH) {
        return Err("it was asked for more than ten minutes ago and had not begun: make it again under another name, if it is still wanted".to_owned());
    }
    let environment = observed.environment.as_deref().filter(|known| known.metadata.deletion_timestamp.is_none());
    let Some(environment) = environment else {
        return Err(format!(
            "environment {} (spec.environment) does not exist in this space: correct the name, in a new command",
            spec.environment
        ));
    };
    targets(spec, environment)
}

fn targets(spec: &CommandRunSpec, environment: &Environment) -> Result<Vec<CommandTarget>, String> {
    let status = environment.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let current = status.and_then(|status| status.observed_generation) == environment.metadata.generation;
    if !current || !condition::is_true(conditions, ConditionType::Ready) {
        let why =
            condition::find(conditions, ConditionType::Ready).map(|ready| ready.message.as_str()).unwrap_or_default();
        return Err(format!(
            "environment {} is not ready ({why}): wait until it is, and make a new command",
            spec.environment
        ));
    }
    let known = desired::targets(environment);
    let names: Vec<&str> = known.iter().map(|target| target.name.as_str()).collect();
    if let Some(unknown) = spec.targets.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!(
            "environment {} has no target {unknown} (spec.targets), it has {}: make a new command with one of these",
            spec.environment,
            names.join(", ")
        ));
    }
    let wanted = known.iter().filter(|target| spec.targets.is_empty() || spec.targets.contains(&target.name));
    Ok(wanted
        .map(|target| CommandTarget {
            name: target.name.clone(),
            namespace: target.namespace.clone(),
            phase: Stand::Pending.as_str().to_owned(),
            ..CommandTarget::default()
        })
        .collect())
}

/// That it begins in a target is written before anything is done there.
fn begin(observed: &Observed, mut status: CommandRunStatus, target: usize) -> Decision {
    let mut place = String::new();
    if let Some(row) = status.targets.get_mut(target) {
        Stand::Started.as_str().clone_into(&mut row.phase);
        row.started_at = Some(MicroTime(observed.now));
        let uid = observed.command.metadata.uid.as_deref().unwrap_or_default();
        row.job = observed.command.spec.script.as_ref().map(|_| job::name(uid, &row.name));
        place = format!("{} (namespace {})", row.name, row.namespace);
    }
    let message = format!("{} in target {place}", word(&observed.command.spec));
    say(observed, &mut status, (Phase::Running, &message));
    go_on(status, vec![Effect::CarryOut { target }])
}

fn conclude(observed: &Observed, status: &mut CommandRunStatus, (target, end): (usize, &End)) {
    let under_way = [Stand::Started, Stand::Stopping];
    let row = status.targets.get_mut(target).filter(|row| under_way.contains(&Stand::parse(&row.phase)));
    let Some(row) = row else { return };
    end.stand.as_str().clone_into(&mut row.phase);
    row.finished_at = Some(MicroTime(observed.now));
    row.reason = Some(end.reason.as_str().to_owned());
    row.message = Some(condition::cut(&end.message, 512));
    row.exit_code = end.exit_code;
    if let Some(output) = &end.output {
        row.output = Some(output.text.clone());
        row.truncated = output.truncated;
    }
}

fn ended_as(observed: &Observed, status: CommandRunStatus, phase: Phase) -> Decision {
    let told = |row: &CommandTarget| format!("{}: {}", row.name, row.message.as_deref().unwrap_or(&row.phase));
    let rows: Vec<String> = status.targets.iter().map(told).collect();
    let remedy = if phase == Phase::Unknown { "; it is not tried again, look there yourself" } else { "" };
    let message = format!("{}{remedy}", rows.join("; "));
    end(observed, status, (phase, &message))
}

/// Ends, and says so.
fn end(observed: &Observed, mut status: CommandRunStatus, (phase, message): (Phase, &str)) -> Decision {
    status.finished = true;
    status.finished_at = Some(MicroTime(observed.now));
    say(observed, &mut status, (phase, message));
    let spec = &observed.command.spec;
    let by = spec.by.as_ref().map_or("nobody", |by| by.username.as_str());
    let severity = match phase {
        Phase::Running | Phase::Succeeded | Phase::Canceled => Severity::Normal,
        Phase::Failed | Phase::Refused | Phase::Unknown => Severity::Warning,
    };
    let message = format!(
        "{} of {} in {} by {by} ({}): {message}",
        word(spec),
        spec.project,
        spec.environment,
        condition::cut(&spec.reason, 256)
    );
    let note = Note { severity, reason: phase.as_str(), action: "Command", message };
    Decision { status, effects: Vec::new(), events: vec![note], next: Next::Await }
}

/// Phase, message and conditions.
fn say(observed: &Observed, status: &mut CommandRunStatus, (phase, message): (Phase, &str)) {
    let message = condition::cut(message, 1024);
    status.observed_generation = observed.command.metadata.generation;
    status.phase = Some(phase.as_str().to_owned());
    status.message = Some(message.clone());
    let stamp = Stamp { now: observed.now, generation: observed.command.metadata.generation };
    let (standing, succeeded) = match phase {
        Phase::Running => (Standing::Reconciling, None),
        Phase::Succeeded => (Standing::Ready, Some(true)),
        Phase::Failed | Phase::Refused | Phase::Canceled | Phase::Unknown => (Standing::Stalled, Some(false)),
    };
    let fact = |kind, holds| Fact { kind, holds, reason: phase.as_str(), message: message.clone() };
    condition::set(&mut status.conditions, &fact(ConditionType::Finished, Some(status.finished)), stamp);
    condition::set(&mut status.conditions, &fact(ConditionType::Succeeded, succeeded), stamp);
    condition::set_standing(&mut status.conditions, &standing, (phase.as_str(), &message), stamp);
}

#[cfg(test)]
mod tests;
