//! Caches of what environments provision, kept by label so that no foreign object is in memory.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::desired::{MANAGED_BY_LABEL, MANAGER};
use super::furnishing::{Furnishing, Kept};
use crate::api::SPACE_LABEL;
use crate::cluster::cache::{self, Cache};
use crate::cluster::tasks::Tasks;

/// What Gantry provisioned, as the watches show it.
#[derive(Clone, Debug, Default)]
pub struct Provisioned {
    /// Namespaces with a space's label: ours, and those that somebody offers to a space.
    pub namespaces: Cache<Namespace>,
    /// Accounts with our label.
    pub accounts: Cache<Kept>,
    /// Bindings with our label.
    pub bindings: Cache<Kept>,
    /// Network policies with our label.
    pub isolations: Cache<Kept>,
    /// Quotas with our label.
    pub quotas: Cache<Kept>,
    /// Limit ranges with our label.
    pub limits: Cache<Kept>,
}

impl Provisioned {
    /// Begins every watch; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        let (namespaces, task) = Cache::watch(Api::all(client.clone()), watcher::Config::default().labels(SPACE_LABEL));
        tasks.spawn("the watch of namespaces", task);
        Self {
            namespaces,
            accounts: kept::<ServiceAccount>(client, tasks, "serviceaccounts"),
            bindings: kept::<RoleBinding>(client, tasks, "rolebindings"),
            isolations: kept::<NetworkPolicy>(client, tasks, "networkpolicies"),
            quotas: kept::<ResourceQuota>(client, tasks, "resourcequotas"),
            limits: kept::<LimitRange>(client, tasks, "limitranges"),
        }
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        self.namespaces.until_synced().await;
        for cache in self.inside() {
            cache.until_synced().await;
        }
    }

    /// What is inside the namespaces.
    #[must_use]
    pub fn inside(&self) -> [&Cache<Kept>; 5] {
        [&self.accounts, &self.bindings, &self.isolations, &self.quotas, &self.limits]
    }

    /// The kinds whose first list is not complete.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let known = [
            ("namespaces", self.namespaces.is_synced()),
            ("serviceaccounts", self.accounts.is_synced()),
            ("rolebindings", self.bindings.is_synced()),
            ("networkpolicies", self.isolations.is_synced()),
            ("resourcequotas", self.quotas.is_synced()),
            ("limitranges", self.limits.is_synced()),
        ];
        known.into_iter().filter(|(_, synced)| !synced).map(|(kind, _)| kind).collect()
    }
}

/// Begins a watch of a kind of which little is kept.
fn kept<K>(client: &Client, tasks: &mut Tasks, what: &'static str) -> Cache<Kept>
where
    K: Furnishing + Debug + DeserializeOwned + Send + 'static,
{
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
    let (cache, task) = cache::summarized(what, (Api::<K>::all(client.clone()), ours), Kept::of);
    tasks.spawn(format!("the watch of {what}"), task);
    cache
}
