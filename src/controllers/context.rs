//! What every controller is given: the way to the cluster, the caches, and what is remembered between runs.

use std::sync::Arc;

use crate::cluster::client::Cluster;
use crate::cluster::discovery::Discovery;
use crate::cluster::events::Events;
use crate::controllers::outcomes::Outcomes;
use crate::controllers::stores::Stores;
use crate::registry::Resolver;
use crate::settings::Settings;
use crate::telemetry::metrics::Metrics;

/// Shared by all controllers. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Clients and identities.
    pub cluster: Cluster,
    /// Which kinds the API server has.
    pub discovery: Discovery,
    /// Events to be written.
    pub events: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// Tags to digests.
    pub registry: Arc<Resolver>,
    /// Caches of Gantry's kinds.
    pub stores: Stores,
    /// Ends of promotions that are still to be recorded.
    pub outcomes: Outcomes,
    /// How the operator runs.
    pub settings: Arc<Settings>,
}
