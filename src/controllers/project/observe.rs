//! Everything that one run of a project knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::looks::Known;
use crate::api::v1alpha1::{Project, Promotion, VariableSet};
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::controllers::lifecycle::course;
use crate::controllers::scopes;
use crate::controllers::workloads::standing::Standing;
use crate::domain::promotion::outcome::Outcome;
use crate::domain::trigger::{Made, Trigger};
use crate::domain::variable::stray::Names;

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The project.
    pub project: Arc<Project>,
    /// Ends that may not be in its rows yet.
    pub outcomes: Vec<Arc<Outcome>>,
    /// Its promotions that have not ended.
    pub unfinished: Vec<Arc<Promotion>>,
    /// The environments of the space, with their order.
    pub order: BTreeMap<String, i64>,
    /// The namespace of the first target of each environment.
    pub namespaces: BTreeMap<String, String>,
    /// How what was applied is doing in each environment, as the watches show it.
    pub standings: BTreeMap<String, Standing>,
    /// The variable sets that it uses, with those that do not exist.
    pub variable_sets: Vec<(String, Option<Arc<VariableSet>>)>,
    /// What the scopes of its variables may name.
    pub names: Names,
    /// A lifecycle that it or one of its channels names and that does not exist.
    pub missing_lifecycle: Option<String>,
    /// Its triggers, and what is known of them.
    pub triggers: Vec<Watched>,
    /// Its releases, where it has triggers.
    pub made: Vec<Made>,
    /// The time of the run.
    pub now: Timestamp,
}

/// A trigger, and what is known of it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The trigger.
    pub trigger: Trigger,
    /// What registries said; nothing before the first answer.
    pub known: Option<Known>,
    /// When they are to be asked again; nothing while they are.
    pub next: Option<Timestamp>,
}

impl Observed {
    /// The project's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.project.metadata.name.as_deref().unwrap_or_default()
    }
}

/// Reads the caches; a project that is gone has nothing to be written.
#[must_use]
pub fn observe(context: &Context, key: &Key) -> Option<Observed> {
    let project = context.stores.projects.get(key)?;
    let environments = context.stores.environments.in_namespace(&key.namespace);
    let order = environments.iter().map(|known| (known.metadata.name.clone().unwrap_or_default(), known.spec.order));
    let namespaces = environments.iter().filter_map(|known| {
        let target = known.status.as_ref()?.targets.first()?;
        Some((known.metadata.name.clone()?, target.namespace.clone()))
    });
    let targets: BTreeMap<String, Vec<String>> = environments
        .iter()
        .filter_map(|known| {
            let targets = known.status.as_ref()?.targets.iter().map(|target| target.name.clone()).collect();
            Some((known.metadata.name.clone()?, targets))
        })
        .collect();
    let mut unfinished = context.stores.unfinished.in_namespace(&key.namespace);
    unfinished.retain(|promotion| promotion.spec.project == key.name);
    let set = |name: &String| (name.clone(), context.stores.variable_sets.get(&Key::new(&key.namespace, name)));
    Some(Observed {
        names: scopes::names(environments.iter().map(AsRef::as_ref), [project.as_ref()]),
        variable_sets: project.spec.variable_sets.iter().map(set).collect(),
        outcomes: context.outcomes.of_project(&key.namespace, &key.name),
        unfinished,
        order: order.collect(),
        namespaces: namespaces.collect(),
        standings: context.workloads.of(key, &targets),
        missing_lifecycle: missing_lifecycle(context, key, &project),
        triggers: Vec::new(),
        made: Vec::new(),
        now: Timestamp::now(),
        project,
    })
}

fn missing_lifecycle(context: &Context, key: &Key, project: &Project) -> Option<String> {
    let lifecycles = &context.stores.lifecycles;
    let missing = |name: &&str| {
        let lifecycle = Key::new(&key.namespace, *name);
        lifecycles.get(&lifecycle).is_none() && lifecycles.broken(&lifecycle).is_none()
    };
    course::named(project).find(missing).map(str::to_owned)
}
