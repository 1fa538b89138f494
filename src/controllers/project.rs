//! The project controller: is the project well-formed, and what runs where (one row an environment).

pub mod decide;
pub mod health;
pub mod observe;
pub mod rows;
pub mod series;

use std::sync::Arc;

use crate::api::v1alpha1::{Project, ProjectStatus};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::pipeline::{self, Controller};

/// Keeps `Project.status` true.
#[derive(Clone)]
pub struct ProjectController {
    /// What it works with.
    pub context: Arc<Context>,
    /// The metrics of its rows.
    pub series: series::Series,
}

impl Controller for ProjectController {
    type Kind = Project;
    type Status = ProjectStatus;
    type Observed = observe::Observed;
    type Effect = ();

    const NAME: &'static str = "project";

    async fn observe(&self, key: &Key) -> Result<Option<Self::Observed>, ClusterError> {
        let observed = observe::observe(&self.context, key);
        if observed.is_none() {
            self.series.forget(key);
        }
        Ok(observed)
    }

    fn show(&self, key: &Key, observed: &Self::Observed, status: &ProjectStatus) {
        self.series.show(key, observed, &status.environments);
    }

    fn tell(&self, observed: &Self::Observed, status: &ProjectStatus) {
        let before = Self::status(observed);
        let project = pipeline::reference(observed.project.as_ref());
        let space = observed.project.metadata.namespace.as_deref().unwrap_or_default();
        for said in health::changes(&before.environments, &status.environments, observed) {
            let environment = self.context.stores.environments.get(&Key::new(space, &said.environment));
            let environment = environment.map(|known| pipeline::reference(known.as_ref()));
            let events = &self.context.events;
            let related = said.object.clone();
            pipeline::say(events, said.note.clone(), (project.clone(), related.or_else(|| environment.clone())));
            if let Some(environment) = environment {
                pipeline::say(events, said.note, (environment, said.object.or_else(|| Some(project.clone()))));
            }
        }
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
