//! The release controller: seals a release once, and shows where it has been and may go.
//!
//! Sealing asks registries, which may take seconds, so it runs beside the reconciles (`sealing.rs`) and hands what it found to
//! them (`attempts.rs`); `decide.rs` makes it the status. Rows are joins over ends of promotions (`rows.rs`) and never wait
//! for a registry. Once sealed, nothing is asked again, whatever becomes of project and registry.

pub mod arrivals;
pub mod attempts;
pub mod automatic;
pub mod block;
pub mod credentials;
pub mod decide;
pub mod made_again;
pub mod manifests;
pub mod observe;
pub mod packages;
pub mod phases;
pub mod pinning;
pub mod problem;
pub mod promote;
pub mod read;
pub mod recent;
pub mod revision;
pub mod rows;
pub mod seal;
pub mod sealing;
pub mod secrets;
pub mod snapshot;

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::api::condition::{self, Reason, Standing};
use crate::api::v1alpha1::variable::SecretFrom;
use crate::api::v1alpha1::{Release, ReleaseStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::Queue;
use crate::controllers::beside::{self, Panicked};
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;
use attempts::{Attempts, Basis, Found};
use automatic::Wanted;
use decide::{Decision, Effect};
use observe::Observed;
use problem::Problem;
use recent::Recent;
use sealing::Sealing;

/// How many releases are looked at at once: a registry that does not answer holds each for 10 seconds at most.
const LOOKING: usize = 64;

/// Seals releases and keeps their rows true.
#[derive(Clone)]
pub struct ReleaseController {
    context: Arc<Context>,
    queue: Queue,
    attempts: Attempts,
    looking: Arc<Semaphore>,
    recent: Recent,
}

impl ReleaseController {
    /// The controller; `queue` leads to its own runner, for when a registry has answered.
    #[must_use]
    pub fn new(context: Arc<Context>, queue: Queue) -> Self {
        Self {
            context,
            queue,
            attempts: Attempts::default(),
            looking: Arc::new(Semaphore::new(LOOKING)),
            recent: Recent::default(),
        }
    }

    /// What is known of the sealing; looks in the background when it is time to.
    fn find(&self, key: &Key, release: &Arc<Release>) -> Found {
        let project = self.context.stores.projects.get(&Key::new(&key.namespace, &release.spec.project));
        let basis = Basis {
            release: release.metadata.uid.clone(),
            project: project.map(|project| (project.metadata.uid.clone(), project.metadata.generation)),
        };
        let known = self.attempts.look(key, &basis, Timestamp::now());
        known.unwrap_or_else(|| {
            tokio::spawn(self.clone().look(key.clone(), Arc::clone(release), basis));
            Found::Underway
        })
    }

    /// Looks at the Secrets that a release refers to, in the background, when it is time to.
    fn look_at_secrets(&self, key: &Key, release: &Release) {
        let rows = release.status.as_ref().map(|status| status.secrets.as_slice()).unwrap_or_default();
        let of_space = rows.iter().filter(|row| row.from == SecretFrom::Space);
        let named = of_space.map(|row| Key::new(&key.namespace, &row.name));
        let due = self.context.secret_versions.due(named, Timestamp::now());
        if due.is_empty() {
            return;
        }
        let (context, queue, key) = (Arc::clone(&self.context), self.queue.clone(), key.clone());
        tokio::spawn(async move {
            let client = context.cluster.client();
            join_all(due.into_iter().map(|secret| context.secret_versions.look(&client, secret))).await;
            queue.add(key);
        });
    }

    /// Makes a promotion, unless one of a later release was made just now that caches do not have yet.
    async fn promote(&self, release: &Release, wanted: &Wanted) -> Result<(), ClusterError> {
        let space = release.metadata.namespace.as_deref().unwrap_or_default();
        let place = (Key::new(space, &release.spec.project), wanted.environment.clone());
        let made = observe::made(release);
        if !self.recent.admits(place.clone(), &made, Timestamp::now()) {
            let what = format!("a release that was made later is on its way to {} just now", wanted.environment);
            return Err(ClusterError::Refused { what });
        }
        let promoted = promote::promote(&self.context, release, wanted).await;
        if promoted.is_err() {
            self.recent.forget(&place, &made);
        }
        promoted
    }

    /// Looks, keeps what was found, and asks for a run.
    async fn look(self, key: Key, release: Arc<Release>, basis: Basis) {
        // The semaphore is never closed.
        let _turn = self.looking.acquire().await;
        let sealing = Sealing { context: &self.context, release: &release, space: &key.namespace };
        let failed = |panic: Panicked| Err(vec![Problem::new(Reason::Failed, panic.to_string())]);
        let result = beside::caught(sealing.run()).await.unwrap_or_else(failed);
        self.attempts.found(&key, &basis, (result, Timestamp::now()));
        self.queue.add(key);
    }
}

impl Controller for ReleaseController {
    type Kind = Release;
    type Status = ReleaseStatus;
    type Observed = Observed;
    type Effect = Effect;

    const NAME: &'static str = "release";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let Some(release) = self.context.stores.releases.get(key) else {
            self.attempts.forget(key);
            return Ok(None);
        };
        let sealing = if decide::is_sealed(&release) {
            self.attempts.forget(key);
            None
        } else {
            Some(self.find(key, &release))
        };
        self.look_at_secrets(key, &release);
        Ok(Some(observe::observe(&self.context, release, sealing)))
    }

    fn object(observed: &Observed) -> &Release {
        &observed.release
    }

    fn status(observed: &Observed) -> ReleaseStatus {
        observed.release.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> Decision {
        decide::decide(observed)
    }

    async fn act(&self, observed: &Observed, effect: &Effect) -> Result<(), ClusterError> {
        let seal = match effect {
            Effect::StoreSnapshot(seal) => seal,
            Effect::Promote(wanted) => return self.promote(&observed.release, wanted).await,
        };
        let space = observed.release.metadata.namespace.as_deref().unwrap_or_default();
        let place = (space, observed.release.spec.project.as_str());
        revision::store(&self.context.cluster.client(), place, (&seal.name, &seal.content)).await
    }

    fn stands_alone(effect: &Effect) -> bool {
        matches!(effect, Effect::Promote(_))
    }

    fn after(observed: Observed, failed: &[(Effect, ClusterError)]) -> Observed {
        let unmade = failed.iter().filter_map(|(effect, error)| match effect {
            Effect::Promote(wanted) => Some((wanted.environment.clone(), error.to_string())),
            Effect::StoreSnapshot(_) => None,
        });
        Observed { unmade: unmade.collect(), ..observed }
    }

    fn failed(observed: &Observed, error: &ClusterError) -> Option<ReleaseStatus> {
        let mut status = Self::status(observed);
        let because = (Reason::Failed.as_str(), error.to_string());
        let stamp = observed.stamp();
        condition::set_standing(&mut status.conditions, &Standing::Reconciling, (because.0, &because.1), stamp);
        Some(status)
    }
}
