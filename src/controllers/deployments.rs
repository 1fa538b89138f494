//! Keeps `Environment.status.deployments` (what runs here) and `.history` (the newest ends) in step with ends of promotions.
//!
//! The environment controller provisions and writes the other fields of the same status; both write only what changed, with
//! the resourceVersion that they read.

pub mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::v1alpha1::environment::EnvironmentColumns;
use crate::api::v1alpha1::{Environment, EnvironmentStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::columns;
use crate::controllers::context::Context;
use crate::controllers::decision::{Decision, Next};
use crate::controllers::pipeline::Controller;
use crate::domain::promotion::outcome::Outcome;

/// Keeps the rows of `Environment.status` true.
#[derive(Clone)]
pub struct DeploymentsController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The environment.
    pub environment: Arc<Environment>,
    /// Ends that may not be in its rows yet.
    pub outcomes: Vec<Arc<Outcome>>,
    /// The projects of the space, where there may be no room for all rows.
    pub projects: BTreeSet<String>,
}

impl Controller for DeploymentsController {
    type Kind = Environment;
    type Status = EnvironmentStatus;
    type Observed = Observed;
    type Effect = ();

    const NAME: &'static str = "deployments";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let Some(environment) = self.context.stores.environments.get(key) else { return Ok(None) };
        let outcomes = self.context.outcomes.of_environment(&key.namespace, &key.name);
        let full = environment.status.as_ref().is_some_and(|status| rows::is_full(status, outcomes.len()));
        let known = if full { self.context.stores.projects.in_namespace(&key.namespace) } else { Vec::new() };
        let projects = known.iter().filter_map(|project| project.metadata.name.clone()).collect();
        Ok(Some(Observed { environment, outcomes, projects }))
    }

    fn object(observed: &Observed) -> &Environment {
        &observed.environment
    }

    fn status(observed: &Observed) -> EnvironmentStatus {
        observed.environment.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> Decision<EnvironmentStatus, ()> {
        let outcomes = observed.outcomes.iter().map(AsRef::<Outcome>::as_ref);
        let mut status = rows::join(Self::status(observed), outcomes);
        status.deployments = rows::cut(status.deployments, |project| observed.projects.contains(project));
        let deployed = status.deployments.iter().map(|row| format!("{} {}", row.project, row.version));
        let deployed = columns::line(deployed);
        status.columns = columns::shown(EnvironmentColumns { deployed, ..status.columns.unwrap_or_default() });
        Decision { status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
    }

    async fn act(&self, _: &Observed, (): &()) -> Result<(), ClusterError> {
        Ok(())
    }
}
