//! Caches of what environments provision, kept by label so that no foreign object is in memory.

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::runtime::watcher;
use kube::{Api, Client};

use super::desired::{MANAGED_BY_LABEL, MANAGER};
use crate::api::SPACE_LABEL;
use crate::cluster::cache::Cache;
use crate::cluster::tasks::Tasks;

/// What Gantry provisioned, as the watches show it.
#[derive(Clone, Debug, Default)]
pub struct Provisioned {
    /// Namespaces with a space's label: ours, and those that somebody offers to a space.
    pub namespaces: Cache<Namespace>,
    /// Accounts with our label.
    pub accounts: Cache<ServiceAccount>,
    /// Bindings with our label.
    pub bindings: Cache<RoleBinding>,
}

impl Provisioned {
    /// Begins every watch; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        let ours = || watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
        let (namespaces, task) = Cache::watch(Api::all(client.clone()), watcher::Config::default().labels(SPACE_LABEL));
        tasks.spawn("the watch of namespaces", task);
        let (accounts, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of accounts", task);
        let (bindings, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of bindings", task);
        Self { namespaces, accounts, bindings }
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        self.namespaces.until_synced().await;
        self.accounts.until_synced().await;
        self.bindings.until_synced().await;
    }

    /// The kinds whose first list is not complete.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let known = [
            ("namespaces", self.namespaces.is_synced()),
            ("serviceaccounts", self.accounts.is_synced()),
            ("rolebindings", self.bindings.is_synced()),
        ];
        known.into_iter().filter(|(_, synced)| !synced).map(|(kind, _)| kind).collect()
    }
}
