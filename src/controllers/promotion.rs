//! The promotion controller: gates → slot → steps → healthy → recorded.
//!
//! Reading order: `decide.rs` (what happens next), `facts.rs` and `status.rs` (its inputs and outputs), `work.rs` (the effects
//! in a target namespace), `recording.rs` (from the end to every history).

pub mod approvals;
pub mod conditions;
pub mod decide;
pub mod facts;
pub mod freezes;
pub mod observe;
pub mod pinned;
pub mod plan;
pub mod reads;
pub mod recording;
pub mod rollback;
pub mod slot;
pub mod status;
pub mod work;

use std::sync::Arc;

use kube::Api;

use crate::api::v1alpha1::Promotion;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::Next;
use crate::cluster::status as status_write;
use crate::cluster::watches::Watches;
use crate::controllers::context::Context;
use crate::controllers::pipeline;
use crate::domain::promotion::machine::Slot as Holder;
use crate::domain::promotion::outcome::Outcome;
use crate::error::Class;
use decide::between;
use decide::{Decision, Effect};
use observe::Observed;
use plan::PlanState;
use reads::snapshots::Snapshots;
use recording::{record, telling};
use slot::Slot;
use work::bench::Bench;
use work::progress::{Progress, State};
use work::survey::Survey;
use work::{faults, survey};

/// How many turns one run may need before its status is written: each effect at most once, the start, and one to spare.
const EFFECTS: usize = 8;

/// Runs promotions.
#[derive(Clone)]
pub struct PromotionController {
    /// What it works with.
    pub context: Arc<Context>,
    /// What this process knows of steps that run.
    pub bench: Bench,
    /// Watches of what steps have applied.
    pub watches: Watches,
    /// Snapshots that were read lately.
    pub snapshots: Snapshots,
}

impl PromotionController {
    /// One run: one live read of the promotion, then decide and act until a status is due.
    ///
    /// # Errors
    /// When something could not be read or written; it is tried again.
    pub async fn reconcile(&self, key: Key) -> Result<Next, ClusterError> {
        if recording::waits_for_rows(&self.context, &key) {
            return Ok(Next::Await);
        }
        if let Some(next) = self.glance(&key) {
            return Ok(next);
        }
        let client = self.context.cluster.client();
        let promotions: Api<Promotion> = Api::namespaced(client, &key.namespace);
        let read = promotions.get_opt(&key.name).await.map_err(|e| ClusterError::api("read the promotion", e))?;
        let Some(promotion) = read.map(Arc::new) else {
            self.bench.clear(&key);
            return Ok(Next::Await);
        };
        if reads::has_finished(&promotion) {
            self.bench.ended(&promotion);
            recording::record(&self.context, &promotion).await?;
            return Ok(Next::Await);
        }
        let mut observed = reads::cached(&self.context, promotion);
        observed.progress = self.bench.progress(&key, &observed.promotion);
        observed.trace = self.bench.trace(&observed.promotion);
        observed.hindrance = self.bench.hindrance(&observed.promotion);
        let begun = observed.clone();
        match Box::pin(self.advance(observed)).await {
            Err(error) => {
                let kept = self.bench.hindered(&begun.promotion, &error);
                let decision = match kept {
                    _ if error.class() == Class::Blocked => Some(decide::blocked(&begun, &error.to_string())),
                    Some(hindrance) if error.class() == Class::Retryable => decide::hindered(&begun, &hindrance),
                    Some(_) | None => None,
                };
                if let Some(decision) = decision {
                    self.conclude(&begun, decision).await?;
                }
                Err(error)
            }
            ended => ended,
        }
    }

    /// What a run would come to whose promotion nobody changed, and whose step waits: then nothing is read. Anything else is
    /// for a whole run.
    fn glance(&self, key: &Key) -> Option<Next> {
        let promotion = self.context.stores.unfinished.get(key)?;
        let job = self
            .bench
            .job(key, &promotion)
            .filter(|job| job.progress.is_current(&promotion) && !survey::needs_a_look(job))?;
        let mut observed = reads::alone(&self.context, promotion);
        let waiting = survey::survey(&observed, &job);
        let Survey::Waiting { message, recheck, .. } = waiting else { return None };
        observed.progress = Some(Progress { state: State::Waiting { message, recheck }, ..job.progress });
        observed.slot = Holder::Mine;
        observed.looked = true;
        let decision = decide::decide(&observed);
        let same = Some(&decision.status) == observed.promotion.status.as_ref();
        let nothing = same && decision.effects.is_empty() && reads::is_running(&observed.promotion);
        nothing.then(|| pipeline::from_now(decision.next))
    }

    /// Decides and acts until a status is due.
    async fn advance(&self, mut observed: Observed) -> Result<Next, ClusterError> {
        if reads::is_running(&observed.promotion) {
            observed.slot = Slot::of(&self.context.cluster.client(), &observed.promotion).look().await?.holder;
        }
        for _ in 0..EFFECTS {
            let decision = decide::decide(&observed);
            match decision.effects.first() {
                Some(effect) => observed = self.act(observed, *effect).await?,
                None => match self.conclude(&observed, decision).await? {
                    (_, Some(written)) if has_started(&observed.promotion, &written) => {
                        observed = self.underway(observed, written);
                    }
                    (next, _) => return Ok(next),
                },
            }
        }
        Ok(Next::Again)
    }

    /// What is known of a promotion that was started just now. What the API server gave back is as good as another read.
    fn underway(&self, observed: Observed, promotion: Promotion) -> Observed {
        let trace = self.bench.trace(&promotion);
        Observed { promotion: Arc::new(promotion), now: jiff::Timestamp::now(), trace, ..observed }
    }

    /// Carries out one effect; what it found becomes part of what is observed.
    async fn act(&self, observed: Observed, effect: Effect) -> Result<Observed, ClusterError> {
        let client = self.context.cluster.client();
        let promotion = Arc::clone(&observed.promotion);
        match effect {
            Effect::LookUpName => {
                let name_use = record::look_up(&client, &promotion).await?;
                Ok(Observed { name_use, ..observed })
            }
            Effect::ReadLive => {
                let observed = Box::pin(reads::live(&self.context, observed)).await?;
                let observed = approvals::reads::live(&client, observed).await?;
                let names_steps = !promotion.spec.skip_steps.is_empty() && observed.plan == PlanState::Unknown;
                if names_steps { Ok(Observed { plan: self.plan(&observed).await?, ..observed }) } else { Ok(observed) }
            }
            Effect::ReadFreezes => {
                let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
                let freezes = freezes::reads::live(&client, space).await?;
                Ok(Observed { freezes, now: jiff::Timestamp::now(), ..observed })
            }
            Effect::TakeSlot => {
                let slot = Slot::of(&client, &promotion).take(jiff::Timestamp::now()).await?;
                Ok(Observed { slot, ..observed })
            }
            Effect::LookForRollback => {
                let observed = Box::pin(reads::live(&self.context, observed)).await?;
                let rollback = rollback::look(&client, &observed).await?;
                Ok(Observed { rollback, ..observed })
            }
            Effect::MakeRollback => {
                self.context.guard.admits()?;
                rollback::make(&client, &promotion).await?;
                let rollback = rollback::look(&client, &observed).await?;
                Ok(Observed { rollback, ..observed })
            }
            Effect::LoadPlan => {
                let plan = self.plan(&observed).await?;
                Ok(Observed { plan, ..observed })
            }
            Effect::LookForFaults => {
                let faults = faults::faults(&self.context, &observed).await?;
                Ok(Observed { faults: Some(faults), ..observed })
            }
            Effect::Work { step } => {
                let observed = match observed.plan {
                    PlanState::Unknown => Observed { plan: self.plan(&observed).await?, ..observed },
                    PlanState::Known(_) | PlanState::Broken(_) => observed,
                };
                let progress = work::work(self, &observed, step).await?;
                Ok(Observed { progress: Some(progress), looked: true, now: jiff::Timestamp::now(), ..observed })
            }
        }
    }

    /// Loads the snapshot of the release and lays out its steps.
    async fn plan(&self, observed: &Observed) -> Result<PlanState, ClusterError> {
        let space = observed.promotion.metadata.namespace.as_deref().unwrap_or_default();
        // What was written when it started decides, not what the release says now: they are the same, since it is sealed.
        let started = observed.promotion.status.as_ref().and_then(|status| status.snapshot.clone());
        let release = observed.release.as_ref();
        let sealed = release.and_then(|release| release.status.as_ref()?.snapshot.clone());
        let Some(name) = started.or(sealed) else {
            return Ok(PlanState::Broken("its release has no snapshot; make a new release".to_owned()));
        };
        match self.snapshots.load(&self.context.cluster.client(), space, &name).await? {
            Ok(snapshot) => Ok(match (&observed.promotion.status, release, &observed.environment) {
                (Some(status), _, _) if !status.steps.is_empty() => {
                    PlanState::Known(Arc::new(plan::resumed(&snapshot, status)))
                }
                (_, Some(release), Some(environment)) => {
                    PlanState::Known(Arc::new(plan::plan(&snapshot, release, environment)))
                }
                (_, None, _) | (_, _, None) => PlanState::Broken("release or environment are gone".to_owned()),
            }),
            Err(broken) => Ok(PlanState::Broken(broken.to_string())),
        }
    }

    /// Writes the status on the version that was read, then says what happened.
    async fn conclude(
        &self,
        observed: &Observed,
        decision: Decision,
    ) -> Result<(Next, Option<Promotion>), ClusterError> {
        let promotion = &observed.promotion;
        let space = promotion.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Promotion> = Api::namespaced(self.context.cluster.client(), space);
        let before = promotion.status.clone().unwrap_or_default();
        let written = status_write::write(&api, promotion.as_ref(), (&before, &decision.status)).await?;
        if written.is_some() {
            for (note, approval) in approvals::notes(observed, &decision.status) {
                let about = pipeline::reference(promotion.as_ref());
                pipeline::say(&self.context.events, note, (about, Some(approval)));
            }
        }
        for note in decision.events {
            telling::tell(&self.context, promotion, note);
        }
        if let Some(written) = &written {
            self.remember(observed, written);
        }
        if let Some(ended) = written.as_ref().filter(|written| reads::has_finished(written)) {
            recording::record(&self.context, ended).await?;
        }
        Ok((pipeline::from_now(decision.next), written))
    }

    /// Keeps in mind what was just written.
    fn remember(&self, observed: &Observed, written: &Promotion) {
        if reads::has_finished(written) {
            self.bench.ended(written);
            if self.context.outcomes.told(written.metadata.uid.as_deref().unwrap_or_default()) {
                telling::count(&self.context, written);
            }
            if let Some(outcome) = record::outcome(written).filter(Outcome::counts) {
                self.context.outcomes.add(outcome);
            }
        } else if reads::is_rolling_back(written) || between::is_paused(written) {
            self.bench.ended(written);
        } else if reads::is_running(written) {
            if has_started(&observed.promotion, written) {
                self.bench.started(written);
            } else {
                self.bench.told(&Key::of(written), observed.now);
            }
        }
    }
}

/// Whether a write was the one that started the promotion.
fn has_started(before: &Promotion, written: &Promotion) -> bool {
    reads::is_running(written) && !reads::is_running(before)
}
