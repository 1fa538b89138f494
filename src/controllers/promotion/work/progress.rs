//! How far the step that runs now is. Kept in memory: after a restart the step is applied again, which changes nothing.

use jiff::Timestamp;

use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::promotion_status::{FailureRecord, StepRecord};
use crate::api::v1alpha1::variable::UsedVariable;
use crate::controllers::promotion::status::STARTED;

/// How far one step in one target is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Index of the step in the promotion's status.
    pub step: usize,
    /// Which time it was begun, where it may be more than once.
    pub attempt: Option<i32>,
    /// What was applied, as people read it: `Deployment/checkout`.
    pub objects: Vec<String>,
    /// What was deleted because this release has it no more.
    pub pruned: Vec<String>,
    /// The variables in what was applied.
    pub variables: Vec<UsedVariable>,
    /// When everything was applied.
    pub applied_at: Option<Timestamp>,
    /// Whether anything in the environment was changed, by this step or an earlier one.
    pub applied: bool,
    /// Where it stands.
    pub state: State,
    /// When the promotion's status last said what it waits for.
    pub told_at: Option<Timestamp>,
    /// What it waited for when its time was over.
    pub evidence: Option<Evidence>,
}

impl Progress {
    /// Whether it is of the step that runs now, and of this time.
    #[must_use]
    pub fn is_current(&self, promotion: &Promotion) -> bool {
        running(promotion).is_some_and(|(index, step)| (index, step.attempt) == (self.step, self.attempt))
    }
}

/// The step of a promotion that runs, with its place in the list.
#[must_use]
pub fn running(promotion: &Promotion) -> Option<(usize, &StepRecord)> {
    let steps = promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
    steps.iter().enumerate().find(|(_, step)| step.phase == STARTED)
}

/// The last words of a container that something waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The object that waits: `Deployment/checkout`.
    pub object: String,
    /// Pod and container: `checkout-6d5f/api`.
    pub container: String,
    /// The last lines that it logged.
    pub log: Vec<String>,
}

/// Where the step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It waits until everything is healthy.
    Waiting {
        /// What is not, in one sentence.
        message: String,
        /// When to look again although nothing changed.
        recheck: Option<Timestamp>,
    },
    /// Everything is applied, healthy and pruned.
    Done,
    /// It failed for good.
    Failed(FailureRecord),
}
