//! What this process knows of steps that run, between two runs of their promotion. Lost with the process, and not missed: a
//! step whose progress is not known is applied again, which changes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::progress::{self, Progress};
use crate::api::v1alpha1::Promotion;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::watches::Subscription;
use crate::controllers::promotion::decide::hindrance::Hindrance;
use crate::controllers::promotion::observe::Trace;
use crate::domain::variable::SecretText;
use crate::steps::apply::Applied;
use crate::steps::apply::inventory::Inventory;

/// One promotion whose step runs.
#[derive(Clone)]
pub struct Job {
    /// UID of the promotion.
    pub uid: String,
    /// The project.
    pub project: String,
    /// Namespace that the step changes.
    pub namespace: String,
    /// What was applied.
    pub applied: Vec<Applied>,
    /// The secrets in what was applied: what containers log is shown without them.
    pub secrets: Vec<SecretText>,
    /// How far the step is.
    pub progress: Progress,
    /// The inventory after everything was applied.
    pub inventory: Inventory,
    /// The watches that wake the promotion; they end with the job.
    pub watches: Vec<Arc<Subscription>>,
}

/// All promotions whose steps run in this process.
#[derive(Clone, Default)]
pub struct Bench {
    jobs: Arc<Mutex<HashMap<Key, Job>>>,
    untouched: Arc<Mutex<HashSet<String>>>,
    hindered: Arc<Mutex<HashMap<String, Hindrance>>>,
}

impl Bench {
    /// The job of a promotion, if it is this very promotion's.
    #[must_use]
    pub fn job(&self, key: &Key, promotion: &Promotion) -> Option<Job> {
        self.lock().get(key).filter(|job| Some(&job.uid) == promotion.metadata.uid.as_ref()).cloned()
    }

    /// How far the step of a promotion is.
    #[must_use]
    pub fn progress(&self, key: &Key, promotion: &Promotion) -> Option<Progress> {
        self.job(key, promotion).map(|job| job.progress).filter(|progress| progress.is_current(promotion))
    }

    /// Keeps a job. Nothing hinders it, since it was just carried on.
    pub fn put(&self, key: Key, job: Job) {
        self.hindrances().remove(&job.uid);
        self.lock().insert(key, job);
    }

    /// A run of a promotion failed: what keeps the step that runs from going on, if one runs.
    #[must_use]
    pub fn hindered(&self, promotion: &Promotion, error: &ClusterError) -> Option<Hindrance> {
        let (step, _) = progress::running(promotion)?;
        let uid = promotion.metadata.uid.clone()?;
        let mut hindrances = self.hindrances();
        let hindrance = Hindrance::after(hindrances.get(&uid), (step, error), Timestamp::now());
        hindrances.insert(uid, hindrance.clone());
        Some(hindrance)
    }

    /// What keeps the step of a promotion from going on.
    #[must_use]
    pub fn hindrance(&self, promotion: &Promotion) -> Option<Hindrance> {
        self.hindrances().get(promotion.metadata.uid.as_deref()?).cloned()
    }

    /// Drops the job of a promotion, and with it its watches.
    pub fn clear(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// A promotion has ended: nothing of it is kept.
    pub fn ended(&self, promotion: &Promotion) {
        self.clear(&Key::of(promotion));
        self.hindrances().remove(promotion.metadata.uid.as_deref().unwrap_or_default());
        self.touch(promotion);
    }

    /// A promotion's status says since now what it waits for.
    pub fn told(&self, key: &Key, now: Timestamp) {
        if let Some(job) = self.lock().get_mut(key) {
            job.progress.told_at = Some(now);
        }
    }

    /// A promotion was started by this process; nothing is applied yet.
    pub fn started(&self, promotion: &Promotion) {
        self.untouched().extend(promotion.metadata.uid.clone());
    }

    /// The first effect of a promotion comes next.
    pub fn touch(&self, promotion: &Promotion) {
        self.untouched().remove(promotion.metadata.uid.as_deref().unwrap_or_default());
    }

    /// What a promotion may have changed so far.
    #[must_use]
    pub fn trace(&self, promotion: &Promotion) -> Trace {
        let untouched = self.untouched().contains(promotion.metadata.uid.as_deref().unwrap_or_default());
        if untouched { Trace::Nothing } else { Trace::Perhaps }
    }

    /// The promotions whose steps change a namespace: those of one project, or all.
    #[must_use]
    pub fn concerned(&self, namespace: &str, project: Option<&str>) -> Vec<Key> {
        let concerned = |job: &Job| job.namespace == namespace && project.is_none_or(|project| job.project == project);
        self.lock().iter().filter(|(_, job)| concerned(job)).map(|(key, _)| key.clone()).collect()
    }

    fn hindrances(&self) -> MutexGuard<'_, HashMap<String, Hindrance>> {
        self.hindered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn untouched(&self) -> MutexGuard<'_, HashSet<String>> {
        self.untouched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the lock was held left a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
