//! Which steps run in which targets: decided once, on what was read live, and written with the start of the promotion. Pure.

use serde_json::{Value, json};

use super::decide::turn;
use super::observe::Observed;
use super::plan::{Plan, PlannedStep};
use super::reads::current;
use super::status::{FAILED, SKIPPED};
use super::work::variables;
use crate::api::condition::cut;
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::api::variables as wire;
use crate::domain::promotion::mode::Mode;
use crate::domain::step::{Conditions, Skip, Skipped};
use crate::domain::variable::bindings::Secrets;
use crate::domain::variable::{Bindings, Fault, FaultReason, Given};
use crate::steps::apply::problem::{Problem, ProblemReason, Problems};

/// The reason of a promotion none of whose steps runs.
const NOTHING_TO_DO: &str = "NothingToDo";

/// How much of a condition a row shows: a status may have many.
const CONDITION: usize = 128;

/// The steps as they are recorded when the promotion starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// One a step and target: those that do not run say why.
    pub records: Vec<StepRecord>,
    /// Why the promotion cannot start, if it cannot.
    pub failure: Option<FailureRecord>,
    /// Whether that is because a condition cannot be evaluated: then everything else that is wrong is told with it.
    pub unclear: bool,
}

/// Decides which steps run.
#[must_use]
pub fn choose(observed: &Observed, plan: &Plan) -> Chosen {
    let given = wire::given(&observed.promotion.spec.variables);
    let mut problems = Problems::default();
    let records: Vec<StepRecord> = plan
        .steps
        .iter()
        .map(|planned| match skipped(observed, plan, (planned, &given)) {
            Ok(None) => planned.record.clone(),
            Ok(Some(skipped)) => ended(planned, (SKIPPED, Some(skipped.reason), &skipped.message)),
            Err(fault) => {
                let problem = problem(observed, planned, &fault);
                let record = ended(planned, (FAILED, None, &problem.to_string()));
                problems.append(plan.placed(problem.into(), planned));
                record
            }
        })
        .collect();
    let unclear = !problems.is_empty();
    if let Some(faults) = observed.faults.as_ref().filter(|_| unclear) {
        problems.append(faults.clone());
    }
    let failure = if problems.is_empty() {
        nothing_to_do(observed, &records)
    } else {
        Some(FailureRecord {
            reason: problems.reason().as_str().to_owned(),
            message: problems.to_string(),
            details: problems.sentences(),
            ..FailureRecord::default()
        })
    };
    Chosen { records, failure, unclear }
}

/// Why a step does not run in its target, if it does not.
fn skipped(
    observed: &Observed,
    plan: &Plan,
    (planned, given): (&PlannedStep, &[Given]),
) -> Result<Option<Skipped>, Fault> {
    let subject = variables::subject(observed, &planned.record);
    let step = &planned.step;
    let conditions = Conditions {
        environments: step.environments.clone(),
        channels: step.channels.clone(),
        roles: step.roles.clone(),
    };
    let parts = observed.promotion.spec.parts();
    let without = conditions.skipped(&subject).or_else(|| parts.skipped(&subject));
    let (Some(when), None) = (&step.when, &without) else {
        return Ok(without);
    };
    let mut names = variables::names(&observed.promotion, plan, &planned.record);
    names.insert("promotion".to_owned(), promotion(observed));
    let none = Secrets::new();
    let mut bindings = Bindings::new((&plan.variables, given), &subject, (&names, &none));
    let message = || format!("its condition is false: {}", cut(when, CONDITION));
    Ok((!bindings.condition(when)?).then(|| Skipped { reason: Skip::When, message: message() }))
}

/// What conditions see of the promotion.
fn promotion(observed: &Observed) -> Value {
    json!({"mode": current::mode(observed).as_str()})
}

fn ended(planned: &PlannedStep, (phase, reason, message): (&str, Option<Skip>, &str)) -> StepRecord {
    StepRecord {
        phase: phase.to_owned(),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        message: Some(cut(message, 1024)),
        ..planned.record.clone()
    }
}

fn problem(observed: &Observed, planned: &PlannedStep, fault: &Fault) -> Problem {
    let reason: FaultReason = fault.reason;
    Problem {
        step: planned.record.name.clone(),
        targets: Vec::new(),
        object: format!("Project {}", observed.promotion.spec.project),
        path: format!("spec.process[{}].when", planned.place),
        reason: ProblemReason::Variable(reason),
        message: fault.to_string(),
    }
}

/// A promotion that would do nothing is no success, since nothing of its release would run. Where it runs already, it may be one.
fn nothing_to_do(observed: &Observed, records: &[StepRecord]) -> Option<FailureRecord> {
    let spec = &observed.promotion.spec;
    let again = current::mode(observed) == Mode::Redeploy && !spec.is_partial();
    if records.iter().any(|record| turn::may_run(record, false)) || again {
        return None;
    }
    let first = records.first().and_then(|record| Some((&record.name, record.message.as_ref()?)));
    let first = first.map(|(name, message)| format!(" (step {name}: {message})")).unwrap_or_default();
    let remedy = if spec.is_partial() {
        "leave out less, in a new promotion with another name"
    } else {
        "let a step run there, and make a new release"
    };
    Some(FailureRecord {
        reason: NOTHING_TO_DO.to_owned(),
        message: format!(
            "every step of {} {} is skipped in {}{first}, so nothing would be deployed: {remedy}",
            spec.project, spec.version, spec.environment
        ),
        ..FailureRecord::default()
    })
}

#[cfg(test)]
mod tests;
