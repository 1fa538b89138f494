//! Which change wakes whom. Nothing is polled: every run has a row here, or asked for itself.
//!
//! | change | wakes |
//! |---|---|
//! | a promotion that has not ended | itself, its project's rows, its approvals, and the pin and freezes of its place; when it waits or is gone, those that wait for the same slot |
//! | a promotion that has ended and is not recorded everywhere | itself |
//! | a promotion that is gone | its approvals |
//! | a project | itself, its promotions that wait, its releases, and its ends that are still to be recorded; when its spec changes, the freezes, and the variable sets that it uses or used |
//! | a lifecycle | itself, and the projects that follow it with their releases and promotions that wait |
//! | a release | itself, its promotions that wait, and its ends that are still to be recorded; its project when a trigger made it just now, and when it is gone |
//! | an environment | its rows, its promotions that wait, and its ends; when its order or existence changes, the rows and lifecycles of the space; with its targets, too, the projects and variable sets, whose scopes may name them, and the freezes |
//! | a freeze | itself; when its spec changes, the promotions of the space that wait or are kept from their next step: `wakes/freezes.rs` |
//! | a pin | itself, and promotions that wait in its place |
//! | an approval | itself, and the promotion that it names |
//! | a command | itself |
//! | the Job of a script | its command: `command/wake.rs` |
//! | the guard | everything |
//! | a variable set | itself, and the projects that use it when its spec changes |
//! | an end | the rows of project, environment and release, the pin of its place, and promotions of the project that wait |
//! | what an environment provisioned | that environment: `environment/wake.rs` |
//! | how an applied object is doing, or what should be there | the rows of its project: `workloads.rs` |
//! | an object in a namespace where a step runs | the promotions of its project whose steps run there |

mod freezes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube::Resource;
use kube::core::{DynamicObject, PartialObjectMeta};
use tokio::sync::{broadcast, mpsc};

use super::context::Context;
use super::lifecycle::course;
use super::promotion::work::bench::Bench;
use super::promotion::{approvals, reads};
use super::variable_set;
use crate::api::v1alpha1::environment::Target;
use crate::api::v1alpha1::{Approval, Environment, Lifecycle, Pin, Project, Promotion, Release, VariableSet};
use crate::api::{PROJECT_LABEL, RECORDED_FINALIZER};
use crate::cluster::cache::{Change, Key};
use crate::cluster::runner::Queue;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::reason::Reason;

/// The ways into all runners.
#[derive(Clone)]
pub struct Queues {
    /// Promotions.
    pub promotions: Queue,
    /// Projects and their rows.
    pub projects: Queue,
    /// Releases and their rows.
    pub releases: Queue,
    /// Environments: their rows.
    pub deployments: Queue,
    /// Lifecycles.
    pub lifecycles: Queue,
    /// Freezes.
    pub freezes: Queue,
    /// Pins.
    pub pins: Queue,
    /// Variable sets.
    pub variable_sets: Queue,
    /// Approvals.
    pub approvals: Queue,
    /// Commands.
    pub commands: Queue,
}

/// The spec that was last seen of each object of a kind: UID and generation.
#[derive(Default)]
struct Specs {
    known: HashMap<Key, (Option<String>, Option<i64>)>,
}

impl Specs {
    /// Whether the spec is another one than before. A status tells nobody else anything.
    fn changed<K: Resource>(&mut self, change: &Change<K>) -> bool {
        let spec = change.object.as_ref().filter(|_| !change.gone).map(|known| known.meta());
        let spec = spec.map(|meta| (meta.uid.clone(), meta.generation));
        let before = match spec.clone() {
            Some(spec) => self.known.insert(change.key.clone(), spec),
            None => self.known.remove(&change.key),
        };
        spec.is_none() || before != spec
    }
}

/// What of an environment concerns more than itself.
#[derive(Clone, PartialEq)]
struct Shape {
    order: i64,
    targets: Vec<Target>,
}

/// Wakes runners until the caches end.
pub struct Wakes {
    /// What is read to find out whom to wake.
    pub context: Arc<Context>,
    /// Whom to wake.
    pub queues: Queues,
    /// Which steps run where.
    pub bench: Bench,
}

impl Wakes {
    /// Listens to everything.
    pub async fn run(self, mut objects: mpsc::UnboundedReceiver<Change<DynamicObject>>) {
        let stores = self.context.stores.clone();
        let mut projects = stores.projects.subscribe();
        let mut releases = stores.releases.subscribe();
        let mut lifecycles = stores.lifecycles.subscribe();
        let mut environments = stores.environments.subscribe();
        let mut freezes = stores.freezes.subscribe();
        let mut pins = stores.pins.subscribe();
        let mut approvals = stores.approvals.subscribe();
        let mut commands = stores.commands.subscribe();
        let mut variable_sets = stores.variable_sets.subscribe();
        let mut unfinished = stores.unfinished.subscribe();
        let mut finished = stores.finished.subscribe();
        let mut outcomes = self.context.outcomes.subscribe();
        let mut guard = self.context.guard.changes();
        let (mut shapes, mut of_lifecycles) = (HashMap::new(), Specs::default());
        let (mut of_projects, mut of_sets, mut of_freezes) = (Specs::default(), Specs::default(), Specs::default());
        loop {
            tokio::select! {
                Some(change) = unfinished.recv() => self.unfinished(&change),
                Some(change) = finished.recv() => self.finished(change),
                Some(change) = projects.recv() => self.project(&change, &mut of_projects),
                Some(change) = releases.recv() => self.release(&change),
                Some(change) = variable_sets.recv() => self.variable_set(&change, &mut of_sets),
                Some(change) = lifecycles.recv() => self.lifecycle(&change, &mut of_lifecycles),
                Some(change) = freezes.recv() => self.freeze(&change, &mut of_freezes),
                Some(change) = pins.recv() => self.pin(&change),
                Some(change) = approvals.recv() => self.approval(&change),
                Some(change) = commands.recv() => self.queues.commands.add(change.key),
                Some(change) = environments.recv() => self.environment(&change, &mut shapes),
                ended = outcomes.recv() => match ended {
                    Ok(outcome) => self.ended(&outcome),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.everything(),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(change) = objects.recv() => self.object(&change),
                Ok(()) = guard.changed() => self.everything(),
                else => return,
            }
        }
    }

    fn unfinished(&self, change: &Change<Promotion>) {
        self.queues.promotions.add(change.key.clone());
        let Some(promotion) = &change.object else { return };
        let space = &change.key.namespace;
        self.queues.projects.add(Key::new(space, &promotion.spec.project));
        self.pinned(space, (&promotion.spec.project, &promotion.spec.environment));
        self.approvals_of(&change.key);
        self.freezes_of(space, promotion);
        // One that is fit to wait may supersede others, one that is gone makes room for them.
        let judged = promotion.status.as_ref().is_some_and(|status| status.reason.is_some());
        if change.gone || judged {
            let (project, environment) = (&promotion.spec.project, &promotion.spec.environment);
            let mine = &change.key.name;
            self.waiting(space, |other| {
                (&other.spec.project, &other.spec.environment) == (project, environment)
                    && other.metadata.name.as_ref() != Some(mine)
            });
        }
    }

    fn finished(&self, change: Change<PartialObjectMeta<Promotion>>) {
        if change.gone {
            self.approvals_of(&change.key);
        }
        let held = change.object.iter().flat_map(|known| known.metadata.finalizers.iter().flatten());
        if held.into_iter().any(|finalizer| finalizer == RECORDED_FINALIZER) {
            self.queues.promotions.add(change.key);
        }
    }

    fn project(&self, change: &Change<Project>, specs: &mut Specs) {
        let Key { namespace, name } = &change.key;
        self.queues.projects.add(change.key.clone());
        self.waiting(namespace, |promotion| &promotion.spec.project == name);
        for release in self.context.stores.releases.in_namespace(namespace) {
            if &release.spec.project == name {
                self.queues.releases.add(Key::of(release.as_ref()));
            }
        }
        self.recorded(&self.context.outcomes.of_project(namespace, name));
        if specs.changed(change) {
            self.sets_of(change);
            self.freezes(namespace);
        }
    }

    /// The variable sets that a project uses, or used before.
    fn sets_of(&self, change: &Change<Project>) {
        let Key { namespace, name } = &change.key;
        let project = change.object.as_ref().filter(|_| !change.gone);
        for set in self.context.stores.variable_sets.in_namespace(namespace) {
            let used = set.status.as_ref().is_some_and(|status| status.projects.contains(name));
            let of_set = set.metadata.name.as_deref().unwrap_or_default();
            if used || project.is_some_and(|project| variable_set::uses(project, of_set)) {
                self.queues.variable_sets.add(Key::of(set.as_ref()));
            }
        }
    }

    /// Whoever follows it is judged anew.
    fn lifecycle(&self, change: &Change<Lifecycle>, specs: &mut Specs) {
        let Key { namespace, name } = &change.key;
        self.queues.lifecycles.add(change.key.clone());
        if !specs.changed(change) {
            return;
        }
        let mut followers = self.context.stores.projects.in_namespace(namespace);
        followers.retain(|project| course::named(project).any(|named| named == name));
        let followers: BTreeSet<&str> =
            followers.iter().filter_map(|project| project.metadata.name.as_deref()).collect();
        for project in &followers {
            self.queues.projects.add(Key::new(namespace, *project));
        }
        for release in self.context.stores.releases.in_namespace(namespace) {
            if followers.contains(release.spec.project.as_str()) {
                self.queues.releases.add(Key::of(release.as_ref()));
            }
        }
        self.waiting(namespace, |promotion| followers.contains(promotion.spec.project.as_str()));
    }

    fn pin(&self, change: &Change<Pin>) {
        self.queues.pins.add(change.key.clone());
        let Some(pin) = &change.object else { return };
        let place = (&pin.spec.project, &pin.spec.environment);
        self.waiting(&change.key.namespace, |promotion| {
            (&promotion.spec.project, &promotion.spec.environment) == place
        });
    }

    /// The decisions on a promotion.
    fn approvals_of(&self, promotion: &Key) {
        for approval in approvals::reads::cached(&self.context, promotion) {
            self.queues.approvals.add(Key::of(approval.as_ref()));
        }
    }

    fn approval(&self, change: &Change<Approval>) {
        self.queues.approvals.add(change.key.clone());
        let Some(approval) = &change.object else { return };
        let promotion = Key::new(&change.key.namespace, &approval.spec.promotion);
        if self.context.stores.unfinished.get(&promotion).is_some_and(|known| !reads::is_running(&known)) {
            self.queues.promotions.add(promotion);
        }
    }

    /// The pin of a place, if it has one.
    fn pinned(&self, space: &str, (project, environment): (&str, &str)) {
        let key = Key::new(space, format!("{project}.{environment}"));
        if self.context.stores.pins.get(&key).is_some() {
            self.queues.pins.add(key);
        }
    }

    fn release(&self, change: &Change<Release>) {
        self.queues.releases.add(change.key.clone());
        let Some(release) = &change.object else { return };
        let (space, spec) = (&change.key.namespace, &release.spec);
        // What a trigger made is remembered as soon as it is seen, not at the next look at the registry.
        if spec.cause.is_some() && (release.status.is_none() || change.gone) {
            self.queues.projects.add(Key::new(space, &spec.project));
        }
        self.waiting(space, |promotion| {
            (&promotion.spec.project, &promotion.spec.version) == (&spec.project, &spec.version)
        });
        // Whether what it says runs may depend on which release of that version there is.
        for (key, pin) in self.context.stores.pins.starting_with(space, &format!("{}.", spec.project)) {
            if (&pin.spec.project, &pin.spec.version) == (&spec.project, &spec.version) {
                self.queues.pins.add(key);
            }
        }
        self.recorded(&self.context.outcomes.of_version(space, &spec.project, &spec.version));
    }

    fn variable_set(&self, change: &Change<VariableSet>, specs: &mut Specs) {
        let Key { namespace, name } = &change.key;
        self.queues.variable_sets.add(change.key.clone());
        if !specs.changed(change) {
            return;
        }
        for project in self.context.stores.projects.in_namespace(namespace) {
            if variable_set::uses(&project, name) {
                self.queues.projects.add(Key::of(project.as_ref()));
            }
        }
    }

    fn environment(&self, change: &Change<Environment>, shapes: &mut HashMap<Key, Shape>) {
        let Key { namespace, name } = &change.key;
        self.queues.deployments.add(change.key.clone());
        let shape = change.object.as_ref().filter(|_| !change.gone);
        let shape = shape.map(|known| Shape { order: known.spec.order, targets: known.spec.targets.clone() });
        let before = match shape.clone() {
            Some(shape) => shapes.insert(change.key.clone(), shape),
            None => shapes.remove(&change.key),
        };
        let order = |shape: &Option<Shape>| shape.as_ref().map(|shape| shape.order);
        // One that does not read holds up its whole space, and lets it go on when it is gone.
        if order(&before) == order(&shape) && change.object.is_some() {
            self.waiting(namespace, |promotion| &promotion.spec.environment == name);
        } else {
            self.space(namespace);
        }
        if before != shape {
            self.scopes(namespace);
        }
        self.recorded(&self.context.outcomes.of_environment(namespace, name));
    }

    /// What scopes of variables, and freezes, may name changed.
    fn scopes(&self, namespace: &str) {
        self.freezes(namespace);
        for set in self.context.stores.variable_sets.in_namespace(namespace) {
            self.queues.variable_sets.add(Key::of(set.as_ref()));
        }
        for project in self.context.stores.projects.in_namespace(namespace) {
            self.queues.projects.add(Key::of(project.as_ref()));
        }
    }

    /// The environments of a space changed, and with them every lifecycle.
    fn space(&self, namespace: &str) {
        for lifecycle in self.context.stores.lifecycles.in_namespace(namespace) {
            self.queues.lifecycles.add(Key::of(lifecycle.as_ref()));
        }
        self.waiting(namespace, |_| true);
        for project in self.context.stores.projects.in_namespace(namespace) {
            self.queues.projects.add(Key::of(project.as_ref()));
        }
        for release in self.context.stores.releases.in_namespace(namespace) {
            self.queues.releases.add(Key::of(release.as_ref()));
        }
    }

    fn ended(&self, outcome: &Outcome) {
        let space = &outcome.space;
        self.queues.projects.add(Key::new(space, outcome.project.as_str()));
        self.queues.deployments.add(Key::new(space, outcome.environment.as_str()));
        self.queues.releases.add(reads::release_key(outcome));
        self.pinned(space, (outcome.project.as_str(), outcome.environment.as_str()));
        // Its own run found no finalizer to keep, or must now see its rows.
        self.queues.promotions.add(Key::new(space, &outcome.promotion));
        // The first end of a space is its history, which those of ambiguous order wait for.
        let ambiguous = |promotion: &Promotion| {
            let reason = promotion.status.as_ref().and_then(|status| status.reason.as_deref());
            reason == Some(Reason::AmbiguousOrder.as_str())
        };
        self.waiting(space, |promotion| promotion.spec.project == outcome.project.as_str() || ambiguous(promotion));
    }

    /// Something changed where a step runs. What has no label of a project (an object that a controller made) may belong to any.
    fn object(&self, change: &Change<DynamicObject>) {
        let labels = change.object.as_ref().and_then(|object| object.metadata.labels.as_ref());
        let project = labels.and_then(|labels| labels.get(PROJECT_LABEL)).map(String::as_str);
        for promotion in self.bench.concerned(&change.key.namespace, project) {
            self.queues.promotions.add(promotion);
        }
    }

    /// Ends whose rows may now be written: their promotions look again.
    fn recorded(&self, outcomes: &[Arc<Outcome>]) {
        for outcome in outcomes {
            self.queues.promotions.add(Key::new(&outcome.space, &outcome.promotion));
        }
    }

    /// Promotions of a space that have not started.
    fn waiting(&self, space: &str, concerned: impl Fn(&Promotion) -> bool) {
        for promotion in self.context.stores.unfinished.in_namespace(space) {
            if concerned(&promotion) && !reads::is_running(&promotion) {
                self.queues.promotions.add(Key::of(promotion.as_ref()));
            }
        }
    }

    /// More ends arrived at once than were remembered: look at everything.
    fn everything(&self) {
        let stores = &self.context.stores;
        stores.projects.all().iter().for_each(|known| self.queues.projects.add(Key::of(known.as_ref())));
        stores.pins.all().iter().for_each(|known| self.queues.pins.add(Key::of(known.as_ref())));
        stores.approvals.all().iter().for_each(|known| self.queues.approvals.add(Key::of(known.as_ref())));
        stores.releases.all().iter().for_each(|known| self.queues.releases.add(Key::of(known.as_ref())));
        stores.environments.all().iter().for_each(|known| self.queues.deployments.add(Key::of(known.as_ref())));
        stores.unfinished.all().iter().for_each(|known| self.queues.promotions.add(Key::of(known.as_ref())));
    }
}
