//! The metrics of a project's rows. A series goes with what it spoke of: version, reason, environment or project.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::observe::Observed;
use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::project::{EnvironmentRow, Health};
use crate::cluster::cache::Key;
use crate::controllers::promotion::reads;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use crate::telemetry::metrics::{Metrics, Place, Standing};

/// What is shown of one row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    /// Version and namespace that run.
    deployed: Option<(String, String)>,
    /// Why the oldest waiting promotion waits, and since when (Unix time in seconds).
    waiting: Option<(String, f64)>,
    /// How many promotions run.
    running: i64,
    /// How what runs is doing, and where.
    standing: Option<(Standing, String)>,
    /// When the last promotion failed, if it did (Unix time in seconds).
    failed: Option<f64>,
}

/// What is shown of every project.
#[derive(Clone)]
pub struct Series {
    metrics: Metrics,
    shown: Arc<Mutex<BTreeMap<Key, BTreeMap<String, Shown>>>>,
}

impl Series {
    /// Nothing shown yet.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, shown: Arc::default() }
    }

    /// Shows these rows of the project, and nothing else of it.
    pub fn show(&self, key: &Key, observed: &Observed, rows: &[EnvironmentRow]) {
        let now = rows.iter().map(|row| (row.name.clone(), shown(observed, row))).collect();
        self.replace(key, &now);
    }

    /// Shows nothing of a project that is gone.
    pub fn forget(&self, key: &Key) {
        self.replace(key, &BTreeMap::new());
    }

    fn replace(&self, key: &Key, now: &BTreeMap<String, Shown>) {
        // A panic while the lock was held left a map that is still whole.
        let mut all = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if now.is_empty() { all.remove(key) } else { all.insert(key.clone(), now.clone()) };
        let before = before.unwrap_or_default();
        let place = |environment: &String| Place {
            space: key.namespace.clone(),
            project: key.name.clone(),
            environment: environment.clone(),
        };
        for environment in before.keys().filter(|name| !now.contains_key(*name)) {
            self.metrics.forget(&place(environment));
        }
        for (environment, shown) in now {
            self.update(&place(environment), &before.get(environment).cloned().unwrap_or_default(), shown);
        }
    }

    fn update(&self, place: &Place, before: &Shown, now: &Shown) {
        self.metrics.deployed(place, version_and_namespace(before), version_and_namespace(now));
        let reason = before.waiting.as_ref().map(|(reason, _)| reason.as_str());
        self.metrics.waiting(place, reason, now.waiting.as_ref().map(|(reason, since)| (reason.as_str(), *since)));
        self.metrics.running(place, now.running);
        let namespace = before.standing.as_ref().map(|(_, namespace)| namespace.as_str());
        self.metrics.standing(place, namespace, now.standing.as_ref().map(|(standing, at)| (*standing, at.as_str())));
        self.metrics.failed_since(place, now.failed);
    }
}

fn shown(observed: &Observed, row: &EnvironmentRow) -> Shown {
    let here = || observed.unfinished.iter().filter(|promotion| promotion.spec.environment == row.name);
    let oldest = here()
        .filter(|promotion| waits(promotion))
        .min_by_key(|promotion| promotion.metadata.creation_timestamp.clone());
    let namespace = observed.namespaces.get(&row.name).cloned().unwrap_or_default();
    let failed = row.last.as_ref().filter(|last| last.phase == Phase::Failed.as_str());
    Shown {
        standing: row.health.map(|health| {
            let standing = Standing { healthy: health == Health::Healthy, drifted: row.drifted == Some(true) };
            (standing, namespace.clone())
        }),
        deployed: row.current.as_ref().map(|current| (current.version.clone(), namespace)),
        waiting: oldest.and_then(|promotion| {
            let reason = promotion.status.as_ref()?.reason.clone()?;
            Some((reason, seconds(promotion.metadata.creation_timestamp.as_ref()?.0)))
        }),
        running: i64::try_from(here().filter(|known| reads::is_running(known)).count()).unwrap_or(i64::MAX),
        failed: failed.map(|last| seconds(last.at.0)),
    }
}

/// Whether it waits to start: what failed no longer does, and what is to start later is not late.
fn waits(promotion: &Promotion) -> bool {
    let reason = promotion.status.as_ref().and_then(|status| status.reason.as_deref());
    !reads::is_underway(promotion) && reason != Some(Reason::NotYet.as_str())
}

fn version_and_namespace(shown: &Shown) -> Option<(&str, &str)> {
    shown.deployed.as_ref().map(|(version, namespace)| (version.as_str(), namespace.as_str()))
}

/// Unix time. Whole milliseconds fit into an f64 for some hundred thousand years.
fn seconds(at: jiff::Timestamp) -> f64 {
    at.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64()
}
