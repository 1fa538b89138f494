//! What runs after its promotion has ended: is it there, is it healthy, is it what was applied.
//!
//! One watch per kind, of every object with Gantry's labels, and one of the inventories. Of each object a few words are kept
//! ([`workload`]), of each inventory what should be there ([`expected`]); the comparison is [`standing`], and the project
//! controller writes it into its rows. Nothing is polled, and nothing that somebody changed is put back.

pub mod expected;
pub mod kind;
pub mod standing;
pub mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client};

use crate::api::{ENVIRONMENT_LABEL, PROJECT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{self, Cache, Key};
use crate::cluster::runner::Queue;
use crate::cluster::tasks::Tasks;
use expected::Expected;
use kind::{KINDS, WatchedKind};
use standing::Standing;
use workload::Workload;

/// Caches of what was applied and of what should be there.
#[derive(Clone, Debug)]
pub struct Workloads {
    objects: Arc<[(&'static WatchedKind, Cache<Workload>)]>,
    inventories: Cache<Expected>,
}

impl Workloads {
    /// Begins every watch; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        let applied = watcher::Config::default().labels(&format!("{SPACE_LABEL},{PROJECT_LABEL},{ENVIRONMENT_LABEL}"));
        let mut watch = |kind: &'static WatchedKind| {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
            let summarize = |object: &DynamicObject| Workload::of(kind, object);
            let (cache, task) = cache::summarized(kind.plural, (api, applied.clone()), summarize);
            tasks.spawn(format!("the watch of {}", kind.plural), task);
            (kind, cache)
        };
        let objects = KINDS.iter().map(&mut watch).collect();
        let listed = watcher::Config::default().labels(&format!("{PROJECT_LABEL},{ENVIRONMENT_LABEL}"));
        let api: Api<PartialObjectMeta<ControllerRevision>> = Api::all(client.clone());
        let summarize = |revision: &PartialObjectMeta<ControllerRevision>| Expected::of(&revision.metadata);
        let (inventories, task) = cache::summarized("inventories", (api, listed), summarize);
        tasks.spawn("the watch of inventories", task);
        Self { objects, inventories }
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        for (_, cache) in self.objects.iter() {
            cache.until_synced().await;
        }
        self.inventories.until_synced().await;
    }

    /// The kinds whose first list is not complete.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let objects = self.objects.iter().filter(|(_, cache)| !cache.is_synced()).map(|(kind, _)| kind.plural);
        objects.chain((!self.inventories.is_synced()).then_some("inventories")).collect()
    }

    /// How a project is doing in each of these environments, given with their targets; nothing where nothing was applied.
    #[must_use]
    pub fn of(&self, project: &Key, environments: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Standing> {
        // Neither name has a dot in it: `<project>.<environment>.<target>`.
        let inventories = self.inventories.starting_with(&project.namespace, &format!("{}.", project.name));
        let mut pieces: BTreeMap<String, Vec<Arc<Expected>>> = BTreeMap::new();
        for (key, expected) in inventories {
            let mut parts = key.name.split('.').skip(1);
            let (Some(environment), Some(target)) = (parts.next(), parts.next()) else { continue };
            if environments.get(environment).is_some_and(|targets| targets.iter().any(|known| known == target)) {
                pieces.entry(environment.to_owned()).or_default().push(expected);
            }
        }
        pieces.into_iter().map(|(environment, targets)| (environment, self.standing(&targets))).collect()
    }

    fn standing(&self, targets: &[Arc<Expected>]) -> Standing {
        let pieces = || targets.iter().flat_map(|target| target.pieces.iter());
        let found: Vec<Option<Arc<Workload>>> =
            pieces().map(|piece| self.cache(piece.kind).and_then(|cache| cache.get(&piece.key))).collect();
        standing::judge(pieces().zip(found.iter().map(Option::as_deref)))
    }

    fn cache(&self, kind: &WatchedKind) -> Option<&Cache<Workload>> {
        self.objects.iter().find(|(known, _)| *known == kind).map(|(_, cache)| cache)
    }

    /// The Jobs among them.
    #[must_use]
    pub fn jobs(&self) -> Option<&Cache<Workload>> {
        self.objects.iter().find(|(kind, _)| kind.plural == "jobs").map(|(_, cache)| cache)
    }

    /// Wakes the projects whose answer changes, until the caches end.
    pub async fn wake(self, projects: Queue) {
        let objects = self.objects.iter().map(|(_, cache)| {
            let (mut changes, projects) = (cache.subscribe(), projects.clone());
            async move {
                while let Some(change) = changes.recv().await {
                    for project in Workload::concerned(&change) {
                        projects.add(project);
                    }
                }
            }
        });
        let mut changes = self.inventories.subscribe();
        let inventories = async {
            while let Some(change) = changes.recv().await {
                if let Some((project, _)) = change.key.name.split_once('.') {
                    projects.add(Key::new(change.key.namespace.as_str(), project));
                }
            }
        };
        futures::join!(join_all(objects), inventories);
    }
}
