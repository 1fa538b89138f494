//! When a step that failed is begun again. Pure.

use jiff::Timestamp;

use super::timeout;
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::controllers::promotion::observe::Observed;
use crate::domain::step::retry::Attempts;

/// Failures of which the release alone is the cause: it is the same however often it is tried.
const FINAL: [&str; 12] = [
    "SnapshotMissing",
    "PlanChanged",
    "InvalidManifest",
    "InvalidImage",
    "ClusterScoped",
    "InvalidExpression",
    "UnresolvedVariable",
    "AmbiguousVariable",
    "VariableCycle",
    "ExpressionTooCostly",
    "SecretInPlainText",
    "PromptUnanswered",
];

/// How often a step was begun, and may be.
#[must_use]
pub fn attempts(step: &StepRecord) -> Attempts {
    let number = |field: Option<i32>| field.and_then(|number| u32::try_from(number).ok());
    Attempts { made: number(step.attempt).unwrap_or(1), retries: number(step.retries).unwrap_or(0) }
}

/// When the step that runs is begun again after this failure, if it is.
#[must_use]
pub fn again(observed: &Observed, failure: &FailureRecord) -> Option<Timestamp> {
    let (_, step) = timeout::current(observed)?;
    if FINAL.contains(&failure.reason.as_str()) {
        return None;
    }
    attempts(step).again(observed.now, timeout::deadline(observed)?)
}

/// What is said while the step waits to be begun again.
#[must_use]
pub fn sentence(step: &StepRecord, failure: &FailureRecord, at: Timestamp) -> String {
    let attempts = attempts(step);
    let at = at.strftime("%H:%M:%SZ");
    let (made, most) = (attempts.made, attempts.most());
    format!("step {} failed {made} of {most} times and is begun again at {at}: {}", step.name, failure.message)
}

#[cfg(test)]
mod tests;
