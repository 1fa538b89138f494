//! Environments: for each target a namespace with a limited account, and the right for Gantry to act as just that account there.
//!
//! `observe` reads, [`decide`] judges, `act` writes. Whose namespace it is says [`claim`], what it gets [`desired`] and [`bounds`], what
//! has to change [`provision`] and [`pull_secrets`], how it is given up [`leave`]. What runs in the namespaces, and the rows
//! of deployments and history in the same status, are not this controller's.

pub mod bounds;
pub mod claim;
pub mod decide;
pub mod desired;
pub mod differs;
pub mod effect;
pub mod furnishing;
pub mod leave;
pub mod observed;
pub mod provision;
pub mod provisioned;
pub mod pull_secret;
pub mod pull_secrets;
pub mod record;
pub mod recovery;
pub mod report;
pub mod wake;

mod act;
mod failure;
mod observe;

use self::effect::Effect;
use self::observed::Observed;
use self::provisioned::Provisioned;
use super::context::Context;
use super::decision::Decision;
use super::pipeline::Controller;
use crate::api::v1alpha1::{Environment, EnvironmentStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::error::Class;

/// The controller of environments.
#[derive(Clone)]
pub struct Environments {
    context: Context,
    provisioned: Provisioned,
}

impl Environments {
    /// The controller, over caches that something else keeps in step and [`wake::wake`] listens to.
    #[must_use]
    pub fn new(context: Context, provisioned: Provisioned) -> Self {
        Self { context, provisioned }
    }
}

impl Controller for Environments {
    type Kind = Environment;
    type Status = EnvironmentStatus;
    type Observed = Observed;
    type Effect = Effect;

    const NAME: &'static str = "environment";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        self.look(key).await
    }

    fn object(observed: &Observed) -> &Environment {
        &observed.environment
    }

    fn status(observed: &Observed) -> EnvironmentStatus {
        observed.status()
    }

    fn decide(observed: &Observed) -> Decision<EnvironmentStatus, Effect> {
        decide::decide(observed)
    }

    async fn act(&self, observed: &Observed, effect: &Effect) -> Result<(), ClusterError> {
        match self.carry_out(observed, effect).await {
            // The space goes away: whatever cannot be undone must not hold it back.
            Err(error) if observed.space_ends && error.class() == Class::Blocked => {
                tracing::warn!(%error, "something stays behind that an environment of a deleted space provisioned");
                Ok(())
            }
            result => result,
        }
    }

    fn failed(observed: &Observed, error: &ClusterError) -> Option<EnvironmentStatus> {
        failure::status(observed, error)
    }
}
