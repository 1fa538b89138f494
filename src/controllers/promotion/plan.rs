//! What a promotion will do: the steps of its release in every target of its environment. Pure.

use std::sync::Arc;

use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::api::v1alpha1::release::ResolvedPackage;
use crate::api::v1alpha1::{Environment, Promotion, PromotionStatus, Release};
use crate::controllers::release::snapshot::{Snapshot, SnapshotStep};

use super::status::{PENDING, SKIPPED};
use super::work::variables;
use crate::domain::variable::Declared;
use crate::steps::apply::problem::Problems;

/// The steps in the order in which they run, and the images that they bring.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One entry a step and target.
    pub steps: Vec<PlannedStep>,
    /// The images of the release.
    pub packages: Vec<PinnedPackage>,
    /// The variables of the release.
    pub variables: Vec<Declared>,
}

impl Plan {
    /// The names of the steps, in the order in which they run.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.steps.iter().map(|step| step.record.name.clone()).collect();
        names.dedup();
        names
    }

    /// What is wrong with a step: where there are several targets, in which one.
    #[must_use]
    pub fn placed(&self, problems: Problems, planned: &PlannedStep) -> Problems {
        let target = &planned.record.target;
        let several = self.steps.iter().any(|step| step.record.target != *target);
        if several { problems.in_target(target) } else { problems }
    }

    /// The first step that runs, as the status of the promotion says.
    #[must_use]
    pub fn first<'a>(&'a self, promotion: &Promotion) -> Option<&'a PlannedStep> {
        self.steps.iter().enumerate().find(|(index, _)| !is_skipped(promotion, *index)).map(|(_, step)| step)
    }
}

/// Whether a step does not run, as the status of the promotion says.
#[must_use]
pub fn is_skipped(promotion: &Promotion, index: usize) -> bool {
    let record = promotion.status.as_ref().and_then(|status| status.steps.get(index));
    record.is_some_and(|record| record.phase == SKIPPED)
}

/// One step in one target.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// How it is written into status before it starts.
    pub record: StepRecord,
    /// Its place in the process.
    pub place: usize,
    /// What it does.
    pub step: Arc<SnapshotStep>,
}

/// Whether the plan of a promotion is known.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanState {
    /// Nobody looked yet.
    Unknown,
    /// It is known.
    Known(Arc<Plan>),
    /// The release's snapshot cannot be used; the sentence says why and what to do.
    Broken(String),
}

/// The plan of a promotion that runs: the steps as its status recorded them, wherever the environment's targets are by now.
/// A step that the snapshot does not have is left out, and its promotion fails.
#[must_use]
pub fn resumed(snapshot: &Snapshot, status: &PromotionStatus) -> Plan {
    let step = |record: &StepRecord| {
        let (place, step) = snapshot.process.iter().enumerate().find(|(_, step)| step.name == record.name)?;
        Some(PlannedStep { record: record.clone(), place, step: Arc::new(step.clone()) })
    };
    Plan {
        steps: status.steps.iter().filter_map(step).collect(),
        packages: status.packages.clone(),
        variables: variables::declared(snapshot),
    }
}

/// Every step in every target: a step is finished in all targets before the next one begins.
#[must_use]
pub fn plan(snapshot: &Snapshot, release: &Release, environment: &Environment) -> Plan {
    let targets = environment.status.as_ref().map(|status| status.targets.as_slice()).unwrap_or_default();
    let mut steps = Vec::new();
    for (place, step) in snapshot.process.iter().enumerate() {
        let shared = Arc::new(step.clone());
        steps.extend(targets.iter().map(|target| PlannedStep {
            record: StepRecord {
                name: step.name.clone(),
                target: target.name.clone(),
                namespace: target.namespace.clone(),
                phase: PENDING.to_owned(),
                timeout: step.timeout.clone(),
                run_on: step.run_on.clone(),
                retries: step.retries,
                ..StepRecord::default()
            },
            place,
            step: Arc::clone(&shared),
        }));
    }
    let packages = release.status.iter().flat_map(|status| &status.packages).map(ResolvedPackage::pinned).collect();
    Plan { steps, packages, variables: variables::declared(snapshot) }
}
