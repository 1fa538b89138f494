//! What the status and the Events say. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::observed::Observed;
use super::recovery;
use crate::api::condition::{self, ConditionType, Fact, Reason, Stamp, Standing};
use crate::api::v1alpha1::EnvironmentStatus;
use crate::api::v1alpha1::environment::{EnvironmentColumns, TargetStatus};
use crate::controllers::columns;
use crate::controllers::decision::{Note, Severity};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Whether it heals by itself.
    pub standing: Standing,
    /// One word from a closed set.
    pub reason: Reason,
    /// One sentence with the field and the remedy.
    pub message: String,
}

/// The status, and the transitions that it stands for. Rows of deployments and of history are somebody else's and stay.
#[must_use]
pub fn status(observed: &Observed, targets: Vec<TargetStatus>, problems: &[Problem]) -> (EnvironmentStatus, Vec<Note>) {
    let before = observed.status();
    let generation = observed.environment.metadata.generation;
    let (standing, reason, message) = summary(problems, &targets);
    let mut conditions = before.conditions.clone();
    let stamp = Stamp { now: observed.now, generation };
    condition::set_standing(&mut conditions, &standing, (reason.as_str(), &message), stamp);
    guarded(&mut conditions, observed, stamp);
    let namespaces = columns::line(targets.iter().map(|target| target.namespace.clone()));
    let columns = columns::shown(EnvironmentColumns { namespaces, ..before.columns.clone().unwrap_or_default() });
    let mut after =
        EnvironmentStatus { observed_generation: generation, conditions, targets, columns, ..before.clone() };
    let void = recovery::judged(&observed.environment, &mut after);
    let mut notes = transition(&before, &after, &standing, reason);
    notes.extend(void);
    (after, notes)
}

/// Says while the policies do not act that nothing is promoted, and that they do again.
fn guarded(conditions: &mut Vec<Condition>, observed: &Observed, stamp: Stamp) {
    let known = condition::find(conditions, ConditionType::Guarded).is_some();
    let (holds, reason, message) = match &observed.unguarded {
        Some(why) => (false, Reason::PoliciesMissing, format!("nothing is promoted here: {why}")),
        None if known => (true, Reason::PoliciesAct, String::new()),
        None => return,
    };
    let fact = Fact { kind: ConditionType::Guarded, holds: Some(holds), reason: reason.as_str(), message };
    condition::set(conditions, &fact, stamp);
}

/// A person's work comes first, then what heals by itself; the first of each speaks, the others are counted.
fn summary(problems: &[Problem], targets: &[TargetStatus]) -> (Standing, Reason, String) {
    let stalled: Vec<_> = problems.iter().filter(|problem| problem.standing == Standing::Stalled).collect();
    let worst = if stalled.is_empty() { problems.iter().collect() } else { stalled };
    if let Some((first, others)) = worst.split_first() {
        let message = match others.len() {
            0 => first.message.clone(),
            more => format!("{} (and {more} more)", first.message),
        };
        return (first.standing.clone(), first.reason, message);
    }
    let names: Vec<&str> = targets.iter().map(|target| target.namespace.as_str()).collect();
    let message = match names.as_slice() {
        [one] => format!("namespace {one} is provisioned"),
        several => format!("namespaces {} are provisioned", several.join(", ")),
    };
    (Standing::Ready, Reason::Provisioned, message)
}

fn transition(before: &EnvironmentStatus, after: &EnvironmentStatus, standing: &Standing, reason: Reason) -> Vec<Note> {
    let told = |status: &EnvironmentStatus| {
        let ready = condition::find(&status.conditions, ConditionType::Ready)?;
        Some((ready.status.clone(), ready.reason.clone(), ready.message.clone()))
    };
    let (was, is) = (told(before), told(after));
    let severity = match standing {
        Standing::Ready => Severity::Normal,
        Standing::Stalled => Severity::Warning,
        Standing::Reconciling => return Vec::new(),
    };
    match is {
        Some((_, _, message)) if was != told(after) => {
            vec![Note { severity, reason: reason.as_str(), action: "Provision", message }]
        }
        Some(_) | None => Vec::new(),
    }
}

/// Something that this version of Gantry has in every namespace, and an older one did not.
#[must_use]
pub fn added(action: &'static str, what: &str, environment: &str) -> Note {
    let message = format!(
        "{what} was added or changed: an older version of Gantry provisioned environment {environment}, and this one has more in it"
    );
    Note { severity: Severity::Normal, reason: Reason::Upgraded.as_str(), action, message }
}

/// Something that somebody changed, and that is as it should be again. Actions differ by object, since Events that are alike
/// are folded and keep the first text.
#[must_use]
pub fn corrected(action: &'static str, what: &str, environment: &str) -> Note {
    let message =
        format!("{what} was changed or removed by somebody and is again as environment {environment} wants it");
    Note { severity: Severity::Warning, reason: Reason::DriftCorrected.as_str(), action, message }
}
