//! Whose run a change asks for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use tokio::sync::watch;

use super::desired;
use super::furnishing::Kept;
use super::observed::row;
use super::provisioned::Provisioned;
use crate::api::condition::{self, ConditionType, Reason};
use crate::api::v1alpha1::{CommandRun, Environment, Promotion};
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{Cache, Change, Key};
use crate::cluster::runner::Queue;
use crate::controllers::stores::Stores;
use crate::domain::guard::Guard;

/// Asks for runs as long as anything that is watched changes: the environments, what they provisioned, and the promotions and
/// commands that some wait for.
pub async fn wake(stores: Stores, provisioned: Provisioned, queue: Queue) {
    let environments = stores.environments;
    let mut promotions = stores.unfinished.subscribe();
    let mut commands = stores.commands.subscribe();
    let mut own = environments.subscribe();
    let mut namespaces = provisioned.namespaces.subscribe();
    let [mut accounts, mut bindings, mut isolations, mut quotas, mut limits] =
        provisioned.inside().map(Cache::subscribe);
    loop {
        let keys = tokio::select! {
            Some(change) = own.recv() => affected(&environments, &change),
            Some(change) = namespaces.recv() => of_namespace(&environments, &change),
            Some(change) = accounts.recv() => of_kept(&environments, &change),
            Some(change) = bindings.recv() => of_kept(&environments, &change),
            Some(change) = isolations.recv() => of_kept(&environments, &change),
            Some(change) = quotas.recv() => of_kept(&environments, &change),
            Some(change) = limits.recv() => of_kept(&environments, &change),
            Some(change) = promotions.recv() => of_promotion(&environments, &change),
            Some(change) = commands.recv() => of_command(&environments, &change),
            else => return,
        };
        for key in keys {
            queue.add(key);
        }
    }
}

/// Asks for a run of every environment whenever the policies begin or cease to act.
pub async fn guarded(environments: Cache<Environment>, mut guard: watch::Receiver<Guard>, queue: Queue) {
    while guard.changed().await.is_ok() {
        environments.all().iter().for_each(|known| queue.add(Key::of(known.as_ref())));
    }
}

/// The environment itself; when it is gone, also those that wanted what it had.
fn affected(environments: &Cache<Environment>, change: &Change<Environment>) -> Vec<Key> {
    let mut keys = vec![change.key.clone()];
    if let (true, Some(gone)) = (change.gone, &change.object) {
        let held = gone.status.iter().flat_map(|status| &status.targets).map(|row| row.namespace.clone());
        let wanted = desired::targets(gone).into_iter().map(|target| target.namespace);
        for namespace in held.chain(wanted) {
            keys.extend(concerned(environments, &namespace));
        }
    }
    keys
}

/// The environment in which a promotion has ended, if it waits for that.
fn of_promotion(environments: &Cache<Environment>, change: &Change<Promotion>) -> Vec<Key> {
    let Some(ended) = change.object.as_ref().filter(|_| change.gone) else { return Vec::new() };
    let key = Key::new(change.key.namespace.as_str(), ended.spec.environment.as_str());
    waiting(environments, key, Reason::PromotionRunning)
}

/// The environment in which a command has ended, if it waits for that.
fn of_command(environments: &Cache<Environment>, change: &Change<CommandRun>) -> Vec<Key> {
    let ended = |known: &&Arc<CommandRun>| change.gone || known.status.as_ref().is_some_and(|status| status.finished);
    let Some(ended) = change.object.as_ref().filter(ended) else { return Vec::new() };
    let key = Key::new(change.key.namespace.as_str(), ended.spec.environment.as_str());
    waiting(environments, key, Reason::CommandRunning)
}

/// This environment, if it waits for that reason.
fn waiting(environments: &Cache<Environment>, key: Key, awaited: Reason) -> Vec<Key> {
    let waits = |known: Arc<Environment>| {
        let status = known.status.as_ref()?;
        let reason = condition::find(&status.conditions, ConditionType::Reconciling)?.reason.as_str();
        (reason == awaited.as_str()).then_some(())
    };
    environments.get(&key).and_then(waits).map(|()| key).into_iter().collect()
}

fn of_namespace(environments: &Cache<Environment>, change: &Change<Namespace>) -> Vec<Key> {
    let label = |name: &str| change.object.as_deref()?.labels().get(name).cloned();
    let named = label(SPACE_LABEL).zip(label(ENVIRONMENT_LABEL)).map(|(space, name)| Key::new(space, name));
    owners(environments, &change.key.name, named)
}

fn of_kept(environments: &Cache<Environment>, change: &Change<Kept>) -> Vec<Key> {
    owners(environments, &change.key.namespace, change.object.as_deref().and_then(|kept| kept.environment.clone()))
}

/// The environment that is named, if it has to do with the namespace; otherwise every one that has.
fn owners(environments: &Cache<Environment>, namespace: &str, named: Option<Key>) -> Vec<Key> {
    let is_its = |key: &Key| environments.get(key).is_some_and(|environment| is_concerned(&environment, namespace));
    match named.filter(is_its) {
        Some(key) => vec![key],
        None => concerned(environments, namespace),
    }
}

fn concerned(environments: &Cache<Environment>, namespace: &str) -> Vec<Key> {
    let all = environments.all();
    all.iter()
        .filter(|environment| is_concerned(environment, namespace))
        .map(|environment| Key::of(environment.as_ref()))
        .collect()
}

fn is_concerned(environment: &Environment, namespace: &str) -> bool {
    desired::wants(environment, namespace) || row(environment, namespace).is_some()
}
