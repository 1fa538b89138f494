//! The freeze controller: whether a freeze holds, when it begins next, and what it holds back. What it means for a promotion is
//! decided by the promotion alone (`promotion/freezes.rs`), with the same rules.

pub mod decide;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::v1alpha1::{Freeze, FreezeStatus, Promotion};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;

/// Keeps `Freeze.status` true.
#[derive(Clone)]
pub struct FreezeController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The freeze.
    pub freeze: Arc<Freeze>,
    /// The environments of the space.
    pub environments: BTreeSet<String>,
    /// Its projects.
    pub projects: BTreeSet<String>,
    /// Its promotions that have not ended.
    pub unfinished: Vec<Arc<Promotion>>,
    /// The time of the run.
    pub now: Timestamp,
}

impl Controller for FreezeController {
    type Kind = Freeze;
    type Status = FreezeStatus;
    type Observed = Observed;
    type Effect = ();

    const NAME: &'static str = "freeze";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let stores = &self.context.stores;
        let Some(freeze) = stores.freezes.get(key) else { return Ok(None) };
        let environments = stores.environments.in_namespace(&key.namespace);
        let projects = stores.projects.in_namespace(&key.namespace);
        Ok(Some(Observed {
            freeze,
            environments: environments.iter().filter_map(|known| known.metadata.name.clone()).collect(),
            projects: projects.iter().filter_map(|known| known.metadata.name.clone()).collect(),
            unfinished: stores.unfinished.in_namespace(&key.namespace),
            now: Timestamp::now(),
        }))
    }

    fn object(observed: &Observed) -> &Freeze {
        &observed.freeze
    }

    fn status(observed: &Observed) -> FreezeStatus {
        observed.freeze.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> decide::Decision {
        decide::decide(observed)
    }

    async fn act(&self, _: &Observed, (): &()) -> Result<(), ClusterError> {
        Ok(())
    }
}
