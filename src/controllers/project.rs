//! The project controller: is the project well-formed, and what runs where (one row an environment).

pub mod decide;
pub mod observe;
pub mod rows;

use std::sync::Arc;

use crate::api::v1alpha1::{Project, ProjectStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::Controller;

/// Keeps `Project.status` true.
#[derive(Clone)]
pub struct ProjectController {
    /// What it works with.
    pub context: Arc<Context>,
}

impl Controller for ProjectController {
    type Kind = Project;
    type Status = ProjectStatus;
    type Observed = observe::Observed;
    type Effect = ();

    const NAME: &'static str = "project";

    async fn observe(&self, key: &Key) -> Result<Option<Self::Observed>, ClusterError> {
        Ok(observe::observe(&self.context, key))
    }

    fn object(observed: &Self::Observed) -> &Project {
        &observed.project
    }

    fn status(observed: &Self::Observed) -> ProjectStatus {
        observed.project.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Self::Observed) -> decide::Decision {
        decide::decide(observed)
    }

    async fn act(&self, _: &Self::Observed, (): &()) -> Result<(), ClusterError> {
        Ok(())
    }

    fn failed(_: &Self::Observed, _: &ClusterError) -> Option<ProjectStatus> {
        None
    }
}
