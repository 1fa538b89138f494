//! The controller of variable sets: can the variables be used, who uses them, and does everything exist that their scopes name.

pub mod decide;

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::v1alpha1::{Project, VariableSet, VariableSetStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;
use crate::controllers::scopes;
use crate::domain::variable::stray::Names;

/// Keeps `VariableSet.status` true.
#[derive(Clone)]
pub struct VariableSetController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The set.
    pub set: Arc<VariableSet>,
    /// The projects that use it, by name.
    pub projects: Vec<String>,
    /// What its scopes may name.
    pub names: Names,
    /// The time of the run.
    pub now: Timestamp,
}

/// Whether a project uses a set.
#[must_use]
pub fn uses(project: &Project, set: &str) -> bool {
    project.spec.variable_sets.iter().any(|used| used == set)
}

impl Controller for VariableSetController {
    type Kind = VariableSet;
    type Status = VariableSetStatus;
    type Observed = Observed;
    type Effect = ();

    const NAME: &'static str = "variableset";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let stores = &self.context.stores;
        let Some(set) = stores.variable_sets.get(key) else { return Ok(None) };
        let mut users = stores.projects.in_namespace(&key.namespace);
        users.retain(|project| uses(project, &key.name));
        let environments = stores.environments.in_namespace(&key.namespace);
        let names = scopes::names(environments.iter().map(AsRef::as_ref), users.iter().map(AsRef::as_ref));
        let mut projects: Vec<String> = users.iter().filter_map(|project| project.metadata.name.clone()).collect();
        projects.sort();
        Ok(Some(Observed { set, projects, names, now: Timestamp::now() }))
    }

    fn object(observed: &Observed) -> &VariableSet {
        &observed.set
    }

    fn status(observed: &Observed) -> VariableSetStatus {
        observed.set.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> decide::Decision {
        decide::decide(observed)
    }

    async fn act(&self, _: &Observed, (): &()) -> Result<(), ClusterError> {
        Ok(())
    }
}
