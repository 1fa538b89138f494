//! Everything that one run of a release knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::attempts::Found;
use super::rows::Runs;
use crate::api::condition::Stamp;
use crate::api::convert;
use crate::api::v1alpha1::history::DeploymentRow;
use crate::api::v1alpha1::project::Current;
use crate::api::v1alpha1::{Environment, Release};
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::domain::lifecycle::Lifecycle;
use crate::domain::promotion::outcome::Outcome;

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The release.
    pub release: Arc<Release>,
    /// What is known of its sealing; nothing once it is sealed.
    pub sealing: Option<Found>,
    /// Ends of its promotions that may not be in its rows yet.
    pub outcomes: Vec<Arc<Outcome>>,
    /// What runs of its project, from everybody who knows.
    pub runs: Vec<Runs>,
    /// The environments of the space.
    pub environments: BTreeSet<String>,
    /// Its lifecycle as it is now.
    pub lifecycle: Lifecycle,
    /// The time of the run.
    pub now: Timestamp,
}

impl Observed {
    /// When and for which generation conditions are written.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { now: self.now, generation: self.release.metadata.generation }
    }
}

/// Reads the caches.
#[must_use]
pub fn observe(context: &Context, release: Arc<Release>, sealing: Option<Found>) -> Observed {
    let space = release.metadata.namespace.clone().unwrap_or_default();
    let spec = &release.spec;
    let environments = context.stores.environments.in_namespace(&space);
    let stay = environments.iter().filter(|environment| environment.metadata.deletion_timestamp.is_none());
    Observed {
        sealing,
        outcomes: context.outcomes.of_release(&space, &spec.project, &spec.version),
        runs: runs(context, &space, &spec.project, &environments),
        environments: environments.iter().filter_map(|known| known.metadata.name.clone()).collect(),
        lifecycle: convert::lifecycle(stay.map(AsRef::as_ref)),
        now: Timestamp::now(),
        release,
    }
}

/// What runs of a project: in the project's rows, in the environments' rows, and in ends that neither has yet.
fn runs(context: &Context, space: &str, project: &str, environments: &[Arc<Environment>]) -> Vec<Runs> {
    let known = context.stores.projects.get(&Key::new(space, project));
    let rows = known.as_ref().and_then(|project| project.status.as_ref()).map(|status| status.environments.as_slice());
    let by_project = rows
        .unwrap_or_default()
        .iter()
        .filter_map(|row| row.current.as_ref().map(|current| from_project(&row.name, current)));
    let by_environment = environments.iter().filter_map(|environment| {
        let row = environment.status.as_ref()?.deployments.iter().find(|row| row.project == project)?;
        Some(from_environment(environment.metadata.name.as_deref()?, row))
    });
    let outcomes = context.outcomes.of_project(space, project);
    let pending = outcomes.iter().filter(|outcome| outcome.is_success()).map(|outcome| from_outcome(outcome));
    by_project.chain(by_environment).chain(pending).collect()
}

fn from_project(environment: &str, current: &Current) -> Runs {
    Runs {
        environment: environment.to_owned(),
        version: current.version.clone(),
        since: current.since.0,
        promotion_uid: current.promotion_uid.clone(),
    }
}

fn from_environment(environment: &str, row: &DeploymentRow) -> Runs {
    Runs {
        environment: environment.to_owned(),
        version: row.version.clone(),
        since: row.since.0,
        promotion_uid: row.promotion_uid.clone(),
    }
}

fn from_outcome(outcome: &Outcome) -> Runs {
    Runs {
        environment: outcome.environment.to_string(),
        version: outcome.version.to_string(),
        since: outcome.finished,
        promotion_uid: outcome.uid.clone(),
    }
}
