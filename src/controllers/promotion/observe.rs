//! Everything that one run of a promotion knows. Read here; nothing in `decide` reads again.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::decide::hindrance::Hindrance;
use super::freezes::Read;
use super::pinned::Pinned;
use super::plan::PlanState;
use super::reads::current::Current;
use super::work::progress::Progress;
use crate::api::v1alpha1::{Approval, Environment, Project, Promotion, Release};
use crate::controllers::lifecycle::course::Course;
use crate::domain::guard::Guard;
use crate::domain::promotion::machine::{NameUse, Slot};
use crate::domain::promotion::rollback::Rollback;
use crate::domain::queue::Entry;
use crate::steps::apply::problem::Problems;

/// What a promotion has left in its environment before a run, as far as this process can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Nothing: this process started it and has written nothing for it since.
    Nothing,
    /// Perhaps something.
    Perhaps,
}

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
    /// What of it exists and does not read as its kind.
    pub unreadable: Unreadable,
    /// How far the release is on the lifecycle that counts for it.
    pub course: Course,
    /// What runs there now, as far as this run looked.
    pub current: Option<Current>,
    /// The unfinished promotions of the same project and environment, this one among them.
    pub rivals: Vec<Entry>,
    /// Whether the API server enforces who may do what, and did when things were made.
    pub guard: Guard,
    /// Gantry's own account; empty while nobody knows it.
    pub account: String,
    /// The freezes of the space.
    pub freezes: Read,
    /// What people decided on it.
    pub approvals: Vec<Arc<Approval>>,
    /// The pin of the place, and what happened there.
    pub pinned: Pinned,
    /// Whether anything was ever promoted in this space.
    pub history: bool,
    /// Whether the name was used before.
    pub name_use: NameUse,
    /// Who holds the slot.
    pub slot: Slot,
    /// What the promotion will do, once somebody looked.
    pub plan: PlanState,
    /// What is wrong with its steps, once somebody looked because it cannot start.
    pub faults: Option<Problems>,
    /// What this process knows of the step that runs; nothing after a restart.
    pub progress: Option<Progress>,
    /// What kept the step that runs from going on when this process tried it last.
    pub hindrance: Option<Hindrance>,
    /// What follows its failure, once somebody looked.
    pub rollback: Rollback,
    /// What the promotion may have changed before this run.
    pub trace: Trace,
    /// Whether this run has looked how far the step is; what is remembered of an earlier run is only that.
    pub looked: bool,
}

/// Objects that exist, do not read as their kind, and so are in no other field: why, in the words of the reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The project.
    pub project: Option<Arc<str>>,
    /// The release.
    pub release: Option<Arc<str>>,
    /// Environments of the space, by name: nobody knows a lifecycle that depends on one of them.
    pub environments: BTreeMap<String, Arc<str>>,
}
