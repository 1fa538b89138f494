//! As whom a step works: the one limited account of a target's namespace.

use kube::core::DynamicObject;
use kube::{Api, Client};

use crate::cluster::client::Cluster;
use crate::cluster::discovery::{Discovery, Kind};
use crate::cluster::error::ClusterError;

/// The account that every environment has in the namespace of each target.
pub const ACCOUNT: &str = "gantry-deployer";

/// The account of one namespace. It reaches that namespace only; the API server sees to it.
#[derive(Clone)]
pub struct Deployer {
    /// Acts as the account.
    pub client: Client,
    /// Which kinds there are.
    pub discovery: Discovery,
    /// The namespace.
    pub namespace: String,
}

impl Deployer {
    /// The deployer of a namespace.
    ///
    /// # Errors
    /// When the namespace is empty.
    pub fn of(cluster: &Cluster, discovery: &Discovery, namespace: &str) -> Result<Self, ClusterError> {
        Ok(Self {
            client: cluster.acting_as(namespace, ACCOUNT)?,
            discovery: discovery.clone(),
            namespace: namespace.to_owned(),
        })
    }

    pub(super) fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource)
    }
}
