//! The lifecycle controller: does everything that a lifecycle names exist, and does the rest make sense. What the definition
//! of the kind refuses never comes here.
//!
//! [`course`] is what releases and promotions ask: which lifecycle counts, and how far a release is on it.

pub mod course;
pub mod decide;
pub mod reads;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::convert;
use crate::api::v1alpha1::{Lifecycle, LifecycleStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;
use crate::domain::name::EnvironmentName;

/// Keeps `Lifecycle.status` true.
#[derive(Clone)]
pub struct LifecycleController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The lifecycle.
    pub lifecycle: Arc<Lifecycle>,
    /// The environments of the space.
    pub environments: BTreeSet<EnvironmentName>,
    /// The time of the run.
    pub now: Timestamp,
}

impl Controller for LifecycleController {
    type Kind = Lifecycle;
    type Status = LifecycleStatus;
    type Observed = Observed;
    type Effect = ();

    const NAME: &'static str = "lifecycle";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let stores = &self.context.stores;
        let Some(lifecycle) = stores.lifecycles.get(key) else { return Ok(None) };
        let environments = stores.environments.in_namespace(&key.namespace);
        let orders = convert::orders(course::staying(environments.iter().map(AsRef::as_ref)));
        let environments = orders.into_iter().map(|(name, _)| name).collect();
        Ok(Some(Observed { lifecycle, environments, now: Timestamp::now() }))
    }

    fn object(observed: &Observed) -> &Lifecycle {
        &observed.lifecycle
    }

    fn status(observed: &Observed) -> LifecycleStatus {
        observed.lifecycle.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> decide::Decision {
        decide::decide(observed)
    }

    async fn act(&self, _: &Observed, (): &()) -> Result<(), ClusterError> {
        Ok(())
    }
}
