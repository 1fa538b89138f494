//! Whose run a change asks for.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use tokio::sync::watch;

use super::desired;
use super::furnishing::Kept;
use super::observed::row;
use super::provisioned::Provisioned;
use crate::api::v1alpha1::Environment;
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{Cache, Change, Key};
use crate::cluster::runner::Queue;
use crate::domain::guard::Guard;

/// Asks for runs as long as anything that is watched changes: the environments, and what they provisioned.
pub async fn wake(environments: Cache<Environment>, provisioned: Provisioned, queue: Queue) {
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
