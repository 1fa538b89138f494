//! What every controller is given: the way to the cluster, the caches, and what is remembered between runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::v1alpha1::Release;
use crate::cluster::client::Cluster;
use crate::cluster::discovery::Discovery;
use crate::cluster::events::Events;
use crate::controllers::audit::ledger::Ledger;
use crate::controllers::guard::Guard;
use crate::controllers::hosts::Hosts;
use crate::controllers::outcomes::Outcomes;
use crate::controllers::secret_versions::SecretVersions;
use crate::controllers::stores::Stores;
use crate::controllers::workloads::Workloads;
use crate::domain::promotion::outcome::Outcome;
use crate::registry::Resolver;
use crate::settings::Settings;
use crate::telemetry::metrics::{Metrics, Place};

/// Shared by all controllers. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Clients and identities.
    pub cluster: Cluster,
    /// The account that the API server knows this process by, e.g. `system:serviceaccount:gantry-system:gantry`.
    pub account: String,
    /// Which kinds the API server has.
    pub discovery: Discovery,
    /// Events to be written.
    pub events: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// Tags to digests.
    pub registry: Arc<Resolver>,
    /// Whose turn it is to ask which registry.
    pub hosts: Hosts,
    /// Whether the API server enforces who may do what.
    pub guard: Guard,
    /// Caches of Gantry's kinds.
    pub stores: Stores,
    /// What was applied, as it is now.
    pub workloads: Workloads,
    /// Which versions of Secrets were seen.
    pub secret_versions: SecretVersions,
    /// Ends of promotions that are still to be recorded.
    pub outcomes: Outcomes,
    /// Audit records that are still to be sealed.
    pub ledger: Ledger,
    /// How the operator runs.
    pub settings: Arc<Settings>,
}

impl Context {
    /// Counts the end of a promotion.
    pub fn count(&self, outcome: &Outcome, release: Option<&Release>) {
        let place = Place {
            space: outcome.space.clone(),
            project: outcome.project.to_string(),
            environment: outcome.environment.to_string(),
        };
        let seconds = |from: Timestamp| Duration::try_from(outcome.finished.duration_since(from)).unwrap_or_default();
        self.metrics.promotion_ended(&place, outcome.phase.as_str(), outcome.started.map(seconds));
        let made = release.and_then(|release| release.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        if let Some(made) = made.filter(|_| outcome.is_success()) {
            self.metrics.lead_time(&place, seconds(made));
        }
    }
}
