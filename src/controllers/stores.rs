//! The caches that controllers read: one per kind, shared.

use std::collections::BTreeSet;

use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};

use crate::api::v1alpha1::{
    Approval, CommandRun, Environment, Freeze, Lifecycle, Pin, Project, Promotion, Release, VariableSet,
};
use crate::cluster::cache::{self, Cache};
use crate::cluster::tasks::Tasks;

/// Everything that is cached of Gantry's own kinds.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Every project.
    pub projects: Cache<Project>,
    /// Every environment.
    pub environments: Cache<Environment>,
    /// Every lifecycle.
    pub lifecycles: Cache<Lifecycle>,
    /// Every freeze.
    pub freezes: Cache<Freeze>,
    /// Every pin.
    pub pins: Cache<Pin>,
    /// Every approval and rejection.
    pub approvals: Cache<Approval>,
    /// Every command.
    pub commands: Cache<CommandRun>,
    /// Every release.
    pub releases: Cache<Release>,
    /// Every variable set.
    pub variable_sets: Cache<VariableSet>,
    /// Promotions that have not ended, in full.
    pub unfinished: Cache<Promotion>,
    /// Promotions that have ended: their metadata is all that is kept in memory.
    pub finished: Cache<PartialObjectMeta<Promotion>>,
}

impl Stores {
    /// Begins every watch; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        let all = watcher::Config::default;
        let (projects, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of projects", task);
        let (environments, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of environments", task);
        let (lifecycles, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of lifecycles", task);
        let (freezes, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of freezes", task);
        let (pins, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of pins", task);
        let (approvals, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of approvals", task);
        let (commands, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of commands", task);
        let (releases, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of releases", task);
        let (variable_sets, task) = Cache::watch(Api::all(client.clone()), all());
        tasks.spawn("the watch of variable sets", task);
        let (unfinished, task) = Cache::watch(Api::all(client.clone()), all().fields("status.finished!=true"));
        tasks.spawn("the watch of promotions", task);
        let (finished, task) = cache::metadata(Api::all(client.clone()), all().fields("status.finished=true"));
        tasks.spawn("the watch of finished promotions", task);
        Self {
            projects,
            environments,
            lifecycles,
            freezes,
            pins,
            approvals,
            commands,
            releases,
            variable_sets,
            unfinished,
            finished,
        }
    }

    /// Every namespace that has a project, an environment, a lifecycle, a release or a promotion.
    #[must_use]
    pub fn spaces(&self) -> BTreeSet<String> {
        let projects = self.projects.all().into_iter().map(|known| known.metadata.namespace.clone());
        let environments = self.environments.all().into_iter().map(|known| known.metadata.namespace.clone());
        let lifecycles = self.lifecycles.all().into_iter().map(|known| known.metadata.namespace.clone());
        let freezes = self.freezes.all().into_iter().map(|known| known.metadata.namespace.clone());
        let releases = self.releases.all().into_iter().map(|known| known.metadata.namespace.clone());
        let ended = self.finished.all().into_iter().map(|known| known.metadata.namespace.clone());
        projects.chain(environments).chain(lifecycles).chain(freezes).chain(releases).chain(ended).flatten().collect()
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        self.projects.until_synced().await;
        self.environments.until_synced().await;
        self.lifecycles.until_synced().await;
        self.freezes.until_synced().await;
        self.pins.until_synced().await;
        self.approvals.until_synced().await;
        self.commands.until_synced().await;
        self.releases.until_synced().await;
        self.variable_sets.until_synced().await;
        self.unfinished.until_synced().await;
        self.finished.until_synced().await;
    }

    /// The kinds whose first list is not complete.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let known = [
            ("projects", self.projects.is_synced()),
            ("environments", self.environments.is_synced()),
            ("lifecycles", self.lifecycles.is_synced()),
            ("freezes", self.freezes.is_synced()),
            ("pins", self.pins.is_synced()),
            ("approvals", self.approvals.is_synced()),
            ("commandruns", self.commands.is_synced()),
            ("releases", self.releases.is_synced()),
            ("variablesets", self.variable_sets.is_synced()),
            ("promotions", self.unfinished.is_synced() && self.finished.is_synced()),
        ];
        known.into_iter().filter(|(_, synced)| !synced).map(|(kind, _)| kind).collect()
    }
}
