//! The project controller: is the project well-formed, what runs where (one row an environment), and which releases its
//! triggers want.
//!
//! Asking registries takes seconds, so it runs beside the reconciles (`look.rs`) and hands what it heard to them (`looks.rs`);
//! `trigger.rs` decides what becomes of it.

pub mod decide;
pub mod health;
pub mod look;
pub mod looks;
pub mod observe;
pub mod rows;
pub mod series;
pub mod trigger;

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use crate::api::condition::Reason;
use crate::api::convert;
use crate::api::v1alpha1::{Project, ProjectStatus, Release};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::Queue;
use crate::controllers::beside::{self, Panicked};
use crate::controllers::context::Context;
use crate::controllers::decision::{Note, Severity};
use crate::controllers::pipeline::{self, Controller};
use crate::controllers::release::problem::Problem;
use crate::domain::name::{ReleaseVersion, TriggerName};
use crate::domain::trigger::Trigger;
use decide::Effect;
use look::Asking;
use looks::{Basis, ETags, Heard, Looks};
use observe::{Observed, Watched};

/// Keeps `Project.status` true, and makes the releases that triggers want.
#[derive(Clone)]
pub struct ProjectController {
    context: Arc<Context>,
    series: series::Series,
    queue: Queue,
    looks: Looks,
}

impl ProjectController {
    /// The controller; `queue` leads to its own runner, for when registries have answered.
    #[must_use]
    pub fn new(context: Arc<Context>, series: series::Series, queue: Queue) -> Self {
        Self { context, series, queue, looks: Looks::default() }
    }

    /// What is known of the triggers; registries are asked in the background when it is time to.
    fn watch(&self, key: &Key, observed: &mut Observed) {
        let project = &observed.project;
        let leaves = project.metadata.deletion_timestamp.is_some();
        let channels = convert::channels(&project.spec).unwrap_or_default();
        // What is wrong with them is told as a condition of the project.
        let triggers = convert::triggers(&project.spec, &channels).ok().filter(|_| !leaves).unwrap_or_default();
        self.looks.keep(key, &triggers);
        if triggers.is_empty() {
            return;
        }
        let basis = Basis { uid: project.metadata.uid.clone(), generation: project.metadata.generation };
        let mut watched = Vec::with_capacity(triggers.len());
        for trigger in triggers {
            let look = self.looks.look(&(key.clone(), trigger.name.clone()), &basis, observed.now);
            if let Some(etags) = look.ask {
                let asked = (Arc::clone(project), trigger.clone());
                tokio::spawn(self.clone().look(key.clone(), asked, (basis.clone(), etags)));
            }
            watched.push(Watched { trigger, known: look.known, next: look.next });
        }
        observed.triggers = watched;
        let default = channels.all().iter().find(|channel| channel.default).map(|channel| &channel.name);
        let releases = self.context.stores.releases.in_namespace(&key.namespace);
        let own = releases.iter().filter(|release| release.spec.project == key.name);
        observed.made = own.map(|release| trigger::made(release, default)).collect();
    }

    /// Asks, keeps what was heard, and asks for a run. However many look, a registry is asked by one of them at a time.
    async fn look(self, key: Key, (project, trigger): (Arc<Project>, Trigger), (basis, etags): (Basis, ETags)) {
        let asking = Asking { context: &self.context, project: &project, trigger: &trigger };
        let failed = |panic: Panicked| Heard::Problems(vec![Problem::new(Reason::Failed, panic.to_string())]);
        let heard = beside::caught(asking.run(&etags)).await.unwrap_or_else(failed);
        self.looks.heard((&key, &trigger), &basis, (heard, Timestamp::now()));
        self.queue.add(key);
    }

    /// Makes a release. One that is there already is judged when the cache has it.
    async fn make(&self, project: &Project, release: &Release) {
        let space = release.namespace().unwrap_or_default();
        let releases: Api<Release> = Api::namespaced(self.context.cluster.client(), &space);
        let cause = release.spec.cause.as_ref().and_then(|cause| TriggerName::try_from(cause.name.as_str()).ok());
        let id = cause.map(|trigger| (Key::of(project), trigger));
        match releases.create(&PostParams::default(), release).await {
            Ok(made) => {
                // Whoever deletes it before the cache has it has deleted it all the same.
                if let Some((id, version)) = id.zip(ReleaseVersion::try_from(release.spec.version.as_str()).ok()) {
                    self.looks.made(&id, version);
                }
                let trigger = release.spec.cause.as_ref().map(|cause| cause.name.as_str()).unwrap_or_default();
                let note = Note {
                    severity: Severity::Normal,
                    reason: Reason::ReleaseMade.as_str(),
                    action: "Trigger",
                    message: format!("trigger {trigger} made release {}", release.name_any()),
                };
                let about = (pipeline::reference(project), Some(pipeline::reference(&made)));
                pipeline::say(&self.context.events, note, about);
            }
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
            Err(error) => {
                if let Some(id) = id {
                    self.looks.refused(&id, error.to_string());
                }
                self.queue.add(Key::of(project));
            }
        }
    }
}

impl Controller for ProjectController {
    type Kind = Project;
    type Status = ProjectStatus;
    type Observed = Observed;
    type Effect = Effect;

    const NAME: &'static str = "project";

    async fn observe(&self, key: &Key) -> Result<Option<Self::Observed>, ClusterError> {
        let Some(mut observed) = observe::observe(&self.context, key) else {
            self.series.forget(key);
            self.looks.keep(key, &[]);
            return Ok(None);
        };
        self.watch(key, &mut observed);
        Ok(Some(observed))
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

    async fn act(&self, observed: &Self::Observed, effect: &Effect) -> Result<(), ClusterError> {
        let Effect::MakeRelease(release) = effect;
        self.make(&observed.project, release).await;
        Ok(())
    }
}
