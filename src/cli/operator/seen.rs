//! What a process has seen of the cluster, and so whether it is ready.

use std::sync::{Arc, OnceLock};

use super::LEASE;
use crate::cluster::account;
use crate::cluster::client::Cluster;
use crate::controllers::environment::provisioned::Provisioned;
use crate::controllers::guard::{Guard, Own};
use crate::controllers::stores::Stores;
use crate::controllers::workloads::Workloads;
use crate::server::Probes;

/// The process is ready when it has seen everything; it does not need to lead for that.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) stores: Stores,
    pub(super) provisioned: Provisioned,
    pub(super) workloads: Workloads,
    pub(super) guard: Guard,
    pub(super) broken: Arc<OnceLock<String>>,
}

impl Seen {
    /// Waits until it has, and the guard has looked; gives back who this process is.
    pub(super) async fn everything(&self, cluster: &Cluster, own_namespace: &str) -> Own {
        self.stores.until_synced().await;
        self.provisioned.until_synced().await;
        self.workloads.until_synced().await;
        self.guard.until_synced().await;
        let own = Own::new(own_namespace, account::own(&cluster.election_client()).await);
        self.guard.recall(&cluster.client(), &own, LEASE).await;
        self.guard.look(&cluster.client(), &own).await;
        own
    }
}

impl Probes for Seen {
    fn waits_for(&self) -> Vec<String> {
        let missing =
            self.stores.missing().into_iter().chain(self.provisioned.missing()).chain(self.workloads.missing());
        let lists = missing.map(|kind| format!("the list of {kind}"));
        let known = self.guard.known();
        lists.chain(known.broken().map(|why| format!("Gantry's admission policies: {why}"))).collect()
    }

    fn broken(&self) -> Option<String> {
        self.broken.get().cloned()
    }
}
