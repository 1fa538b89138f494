//! The effects of a promotion in a target's namespace: check everything, apply, wait until healthy, prune.
//!
//! Harmless to repeat: what is applied again does not change, and what is pruned is gone. Before the first effect of a step,
//! its status said that it started, and the inventory lists what it is about to apply.

pub mod bench;
pub mod faults;
pub mod inventory;
pub mod lookout;
pub mod manifests;
pub mod progress;
pub mod pruning;
pub mod redaction;
pub mod rendering;
pub mod room;
pub mod survey;
pub mod variables;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::PromotionController;
use super::decide::turn;
use super::facts;
use super::observe::Observed;
use super::plan;
use super::plan::{Plan, PlanState, PlannedStep};
use super::slot::Slot;
use crate::api::v1alpha1::promotion_status::FailureRecord;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::domain::variable::SecretText;
use crate::error::Class;
use crate::steps::apply::check::{Checked, Terms, check};
use crate::steps::apply::deployer::Deployer;
use crate::steps::apply::fence::{Lost, Shared};
use crate::steps::apply::inventory::Inventory;
use crate::steps::apply::problem::{ProblemReason, Problems};
use crate::steps::apply::write::{Applied, WriteError, write};
use bench::Job;
use inventory::Stored;
use progress::{Progress, State, running};
use rendering::{Rendered, Renderer};

/// How long rights that were just given may take to act (the API server's caches follow within milliseconds, here and there
/// within a second).
const SETTLING: SignedDuration = SignedDuration::from_secs(3);

/// Takes the step one stage further, and says where it stands.
///
/// # Errors
/// When something could not be read or written that may go better next time.
pub async fn work(
    controller: &PromotionController,
    observed: &Observed,
    step: usize,
) -> Result<Progress, ClusterError> {
    let plan = match &observed.plan {
        PlanState::Known(plan) => Arc::clone(plan),
        PlanState::Broken(message) => return Ok(failed(step, observed, failure("SnapshotMissing", message))),
        PlanState::Unknown => return Err(ClusterError::Bug("a step runs whose plan nobody loaded".to_owned())),
    };
    let Some(planned) = plan.steps.get(step) else {
        return Ok(failed(step, observed, failure("PlanChanged", "its release has fewer steps than its status")));
    };
    let promotion = &observed.promotion;
    let key = Key::of(promotion.as_ref());
    let bench = Workbench { controller, observed, plan: &plan, planned, step };
    let job = match controller
        .bench
        .job(&key, promotion)
        .filter(|job| job.progress.step == step && job.progress.is_current(promotion))
    {
        Some(job) => job,
        None => match bench.apply().await? {
            Ok(job) => job,
            Err(progress) => return Ok(progress),
        },
    };
    // Kept before it is looked at: a change that comes in between must find whom to wake.
    controller.bench.put(key.clone(), job.clone());
    let job = bench.look(job).await?;
    let progress = job.progress.clone();
    controller.bench.put(key, job);
    Ok(progress)
}

/// One step, and everything that it needs.
struct Workbench<'a> {
    controller: &'a PromotionController,
    observed: &'a Observed,
    plan: &'a Plan,
    planned: &'a PlannedStep,
    step: usize,
}

/// A stage that went wrong for good ends with the step's progress.
type Stage<T> = Result<Result<T, Progress>, ClusterError>;

impl Workbench<'_> {
    /// Checks and applies everything.
    async fn apply(&self) -> Stage<Job> {
        let deployer = self.deployer()?;
        let (checked, rendered) = match self.check(&deployer).await? {
            Ok(checked) => checked,
            Err(progress) => return Ok(Err(progress)),
        };
        let client = self.controller.context.cluster.client();
        let slot = Shared::new(Slot::of(&client, &self.observed.promotion));
        let mut stored = Stored::read(&client, &self.observed.promotion, &self.planned.record.target).await?;
        // Written before the first effect, so that no crash leaves an object that nobody knows of.
        let step = self.planned.record.name.as_str();
        stored.write(stored.inventory.merged(&Inventory::planned(&room::objects(&checked)).by(step))).await?;
        self.controller.bench.touch(&self.observed.promotion);
        let mut applied = Vec::with_capacity(checked.len());
        for one in &checked {
            match write(&deployer, one, (&self.terms(self.planned)?, &slot)).await {
                Ok(written) => applied.push(written),
                Err(error) => {
                    let ended = self.stopped(error, &applied)?;
                    // What was applied is known from now on, although the rest was not.
                    stored.write(stored.inventory.merged(&Inventory::of(&applied).by(step))).await?;
                    return Ok(Err(ended));
                }
            }
        }
        stored.write(stored.inventory.merged(&Inventory::of(&applied).by(step))).await?;
        let watches = lookout::watch(self.controller, &deployer, &applied).await?;
        let secrets = self.secrets(rendered.secrets).await?;
        Ok(Ok(Job {
            uid: self.observed.promotion.metadata.uid.clone().unwrap_or_default(),
            project: self.observed.promotion.spec.project.clone(),
            namespace: self.planned.record.namespace.clone(),
            progress: Progress {
                variables: rendered.used,
                pruned: stored.pruned().to_vec(),
                ..self.progress(&applied, waiting("its objects were just applied"))
            },
            applied,
            secrets,
            inventory: stored.inventory,
            watches,
        }))
    }

    /// What this step has used of secrets, and what the others have: a container may be given what an earlier step wrote.
    async fn secrets(&self, own: Vec<SecretText>) -> Result<Vec<SecretText>, ClusterError> {
        let mut secrets = own;
        for planned in self.plan.steps.iter().filter(|planned| *planned != self.planned) {
            let scope = self.terms(planned)?.scope;
            // One that does not render has written nothing.
            if let Ok(rendered) = self.renderer().render(planned, &scope).await? {
                secrets.extend(rendered.secrets);
            }
        }
        Ok(secrets)
    }

    /// Before the first effect of the promotion, every step that runs is checked in every target; later ones check their own again.
    async fn check(&self, deployer: &Deployer) -> Stage<(Vec<Checked>, Rendered)> {
        let own = self.check_one(deployer, self.planned).await?;
        let mut problems =
            own.as_ref().err().cloned().map(|found| self.plan.placed(found, self.planned)).unwrap_or_default();
        if self.plan.first(&self.observed.promotion) == Some(self.planned) {
            let mut planned: Vec<_> = own.iter().map(|(checked, _)| (self.planned, room::objects(checked))).collect();
            for later in self.after() {
                let deployer = self.deployer_of(&later.record.namespace)?;
                match self.check_one(&deployer, later).await? {
                    Ok((checked, _)) => planned.push((later, room::objects(&checked))),
                    Err(found) => problems.append(self.plan.placed(found, later)),
                }
            }
            if own.is_ok() {
                let client = self.controller.context.cluster.client();
                problems.append(room::missing(&client, &self.observed.promotion, &planned).await?);
            }
        }
        let status = self.observed.promotion.status.as_ref();
        let began = status.and_then(|status| status.started_at.as_ref()).map(|time| time.0);
        if is_too_early(&problems, began, Timestamp::now()) {
            return Err(ClusterError::Early { what: problems.to_string() });
        }
        match own {
            Ok(checked) if problems.is_empty() => Ok(Ok(checked)),
            Ok(_) | Err(_) => Ok(Err(self.refused(&problems))),
        }
    }

    async fn check_one(
        &self,
        deployer: &Deployer,
        planned: &PlannedStep,
    ) -> Result<Result<(Vec<Checked>, Rendered), Problems>, ClusterError> {
        let terms = self.terms(planned)?;
        match self.renderer().render(planned, &terms.scope).await? {
            Ok(mut rendered) => {
                let prepared = std::mem::take(&mut rendered.prepared);
                let checked = check(deployer, prepared, &terms).await?;
                Ok(checked.map(|checked| (checked, rendered)))
            }
            Err(problems) => Ok(Err(problems)),
        }
    }

    fn renderer(&self) -> Renderer<'_> {
        Renderer { context: &self.controller.context, observed: self.observed, plan: self.plan }
    }

    /// Looks whether everything is healthy; if so, prunes what is left over.
    async fn look(&self, job: Job) -> Result<Job, ClusterError> {
        let mut job = job;
        let (state, evidence) = lookout::assess(self.controller, self.observed, &mut job).await;
        let mut job = Job { progress: Progress { state, evidence, ..job.progress.clone() }, ..job };
        // After a failure, what the last release had may be all that still works.
        let is_well = turn::has_failed(&self.observed.promotion).is_none();
        if job.progress.state == State::Done && is_well && self.is_last_of_target() {
            match self.prune(&job).await {
                Ok(pruned) => job.progress.pruned = pruned,
                Err(ClusterError::Refused { what }) => {
                    job.progress.state = State::Failed(failure("PruneFailed", &what));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(job)
    }

    fn is_last_of_target(&self) -> bool {
        let records = self.observed.promotion.status.as_ref().map(|status| status.steps.as_slice()).unwrap_or_default();
        let mut later = records.iter().skip(self.step + 1).filter(|later| turn::may_run(later, false));
        !later.any(|later| later.target == self.planned.record.target)
    }

    /// The steps after this one that run.
    fn after(&self) -> impl Iterator<Item = &PlannedStep> {
        let runs = |(index, planned)| (!self.is_skipped(index)).then_some(planned);
        self.plan.steps.iter().enumerate().skip(self.step + 1).filter_map(runs)
    }

    fn is_skipped(&self, index: usize) -> bool {
        plan::is_skipped(&self.observed.promotion, index)
    }

    fn deployer(&self) -> Result<Deployer, ClusterError> {
        self.deployer_of(&self.planned.record.namespace)
    }

    fn deployer_of(&self, namespace: &str) -> Result<Deployer, ClusterError> {
        let context = &self.controller.context;
        Deployer::of(&context.cluster, &context.discovery, namespace)
    }

    fn terms(&self, planned: &PlannedStep) -> Result<Terms, ClusterError> {
        let scope = manifests::scope(&self.observed.promotion, &planned.record);
        Ok(Terms { scope: scope?, force: planned.step.apply.force_conflicts })
    }

    fn refused(&self, problems: &Problems) -> Progress {
        failed(self.step, self.observed, refusal(problems))
    }

    /// An apply that did not go through: what may go better next time is tried again, the rest is the end of the step.
    fn stopped(&self, error: WriteError, applied: &[Applied]) -> Result<Progress, ClusterError> {
        let record = match error {
            WriteError::Refused(problems) => refusal(&problems),
            WriteError::Cluster(error) if error.class() == Class::Blocked => failure("ApplyFailed", &error.to_string()),
            error => return Err(into_cluster(error)),
        };
        Ok(Progress { state: State::Failed(record), ..self.progress(applied, waiting("")) })
    }

    fn progress(&self, applied: &[Applied], state: State) -> Progress {
        let earlier = facts::may_have_applied(self.observed);
        Progress {
            step: self.step,
            attempt: attempt(self.observed),
            objects: applied.iter().map(|one| one.object.slashed()).collect(),
            pruned: Vec::new(),
            variables: Vec::new(),
            applied_at: Some(Timestamp::now()),
            applied: earlier || !applied.is_empty(),
            state,
            evidence: None,
            told_at: None,
        }
    }
}

/// Whether a missing right, in whichever target, may be one that an environment was given a moment ago.
fn is_too_early(found: &Problems, began: Option<Timestamp>, now: Timestamp) -> bool {
    let young = began.is_none_or(|began| now.duration_since(began) < SETTLING);
    young && found.has(ProblemReason::Forbidden)
}

fn waiting(message: &str) -> State {
    State::Waiting { message: message.to_owned(), recheck: None }
}

fn failure(reason: &str, message: &str) -> FailureRecord {
    FailureRecord { reason: reason.to_owned(), message: message.to_owned(), ..FailureRecord::default() }
}

/// Everything that stands in the way.
fn refusal(problems: &Problems) -> FailureRecord {
    FailureRecord {
        object: problems.told().first().map(|problem| problem.object.clone()),
        reason: problems.reason().as_str().to_owned(),
        message: problems.to_string(),
        details: problems.sentences(),
        ..FailureRecord::default()
    }
}

/// Which time the step that runs was begun.
fn attempt(observed: &Observed) -> Option<i32> {
    running(&observed.promotion).and_then(|(_, step)| step.attempt)
}

/// A step that failed before this run changed anything; an earlier one may have.
fn failed(step: usize, observed: &Observed, record: FailureRecord) -> Progress {
    Progress {
        step,
        attempt: attempt(observed),
        objects: Vec::new(),
        pruned: Vec::new(),
        variables: Vec::new(),
        applied_at: None,
        applied: facts::may_have_applied(observed),
        state: State::Failed(record),
        evidence: None,
        told_at: None,
    }
}

/// What is tried again, as the runner takes it. A refusal is not: it never comes here.
fn into_cluster(error: WriteError) -> ClusterError {
    match error {
        WriteError::Cluster(error) | WriteError::Lost(Lost::Unknown(error)) => error,
        WriteError::Lost(Lost::Taken { by }) => ClusterError::Fenced { by },
        WriteError::Refused(problems) => ClusterError::Refused { what: problems.to_string() },
        WriteError::Busy(object) => ClusterError::Busy { object: object.to_string() },
        error @ WriteError::Leaving(_) => ClusterError::Later { what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::apply::problem::Problem;

    fn problems(target: &str, reason: ProblemReason) -> Problems {
        let problem = Problem {
            step: "deploy".to_owned(),
            targets: Vec::new(),
            object: "Role power".to_owned(),
            path: String::new(),
            reason,
            message: "no".to_owned(),
        };
        Problems::from(problem).in_target(target)
    }

    #[test]
    fn a_right_that_is_missing_in_any_target_is_waited_for_while_it_may_be_young_and_nothing_else_is() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let (invalid, forbidden) = (ProblemReason::InvalidManifest, ProblemReason::Forbidden);
        for (found, began, now, early) in [
            (vec![("eu", forbidden)], Some(at(10)), 12, true),
            (vec![("eu", invalid), ("us", forbidden)], Some(at(10)), 12, true),
            (vec![("eu", forbidden), ("us", invalid)], Some(at(10)), 12, true),
            (vec![("eu", invalid), ("us", forbidden)], None, 12, true),
            (vec![("eu", invalid), ("us", forbidden)], Some(at(10)), 13, false),
            (vec![("eu", invalid), ("us", invalid)], Some(at(10)), 12, false),
            (vec![], Some(at(10)), 12, false),
        ] {
            let mut all = Problems::default();
            for (target, reason) in &found {
                all.append(problems(target, *reason));
            }
            assert_eq!(is_too_early(&all, began, at(now)), early, "{found:?} at {now}");
        }
    }
}
