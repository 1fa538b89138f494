//! Everything that one run of a promotion knows. Read here; nothing in `decide` reads again.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::plan::PlanState;
use super::progress::Progress;
use crate::api::v1alpha1::{Environment, Project, Promotion, Release};
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::machine::{NameUse, Slot};
use crate::domain::queue::Entry;

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The promotion, read live.
    pub promotion: Arc<Promotion>,
    /// The time of the run.
    pub now: Timestamp,
    /// Whether everything that gates look at was read live.
    pub fresh: bool,
    /// The project, if it exists.
    pub project: Option<Arc<Project>>,
    /// The release, if it exists.
    pub release: Option<Arc<Release>>,
    /// The environment, if it exists.
    pub environment: Option<Arc<Environment>>,
    /// Every environment of the space with its order: the default lifecycle.
    pub environments: Vec<(EnvironmentName, i64)>,
    /// Where the release has succeeded.
    pub successes: BTreeSet<EnvironmentName>,
    /// The unfinished promotions of the same project and environment, this one among them.
    pub rivals: Vec<Entry>,
    /// Whether anything was ever promoted in this space.
    pub history: bool,
    /// Whether the name was used before.
    pub name_use: NameUse,
    /// Who holds the slot.
    pub slot: Slot,
    /// What the promotion will do, once somebody looked.
    pub plan: PlanState,
    /// What this process knows of the step that runs; nothing after a restart.
    pub progress: Option<Progress>,
    /// Whether this process started the promotion and has written nothing for it since: only then is it certain that nothing was
    /// applied.
    pub untouched: bool,
    /// Whether this run has looked how far the step is; what is remembered of an earlier run is only that.
    pub looked: bool,
}
