//! Clients: the operator's own, and one for each account that it acts as, over one pool of connections.

pub(in crate::cluster) mod acting;
mod exchange;

use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::AuthInfo;
use kube::{Client, Config};

use self::acting::ActingAs;
use self::exchange::Exchange;
use super::error::ClusterError;
use super::gate::Gate;
use crate::telemetry::metrics::Metrics;

/// How long a connection may take to come about; the next try is better than a long wait.
const CONNECT: Duration = Duration::from_secs(5);
/// What asks, in the API server's audit log; the part before the slash is the field manager of writes that name none.
const AGENT: &str = concat!("gantry/", env!("CARGO_PKG_VERSION"));

/// The way to one API server. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    election: Client,
    gate: Gate,
}

impl Cluster {
    /// Connects with a kubeconfig, or with what the environment offers when none is given. The audit log names the process by
    /// its identity.
    ///
    /// # Errors
    /// When there is no usable configuration.
    pub async fn connect(kubeconfig: Option<&Path>, identity: &str, metrics: Metrics) -> Result<Self, ClusterError> {
        let config = super::kubeconfig::read(kubeconfig).await.map_err(ClusterError::Config)?;
        Self::with(config, identity, &metrics)
    }

    /// Connects with a configuration.
    ///
    /// # Errors
    /// When the configuration cannot be used, or acts as somebody else.
    pub fn with(mut config: Config, identity: &str, metrics: &Metrics) -> Result<Self, ClusterError> {
        if acts_as_another(&config.auth_info) {
            return Err(ClusterError::ActsAsAnother);
        }
        // Retries are the controllers' business: kube's own would repeat a create whose answer was lost.
        config.default_retry = false;
        // Watches are long; everything else has a deadline of ours.
        config.read_timeout = None;
        config.connect_timeout = Some(CONNECT);
        config.headers.push((USER_AGENT, agent(identity)?));
        let connect = || Client::try_from(config.clone()).map_err(|error| ClusterError::Config(error.to_string()));
        // The election has connections of its own: no burst of work may delay a renewal.
        Ok(Self::over((connect()?, connect()?), metrics))
    }

    fn over((work, election): (Client, Client), metrics: &Metrics) -> Self {
        let gate = Gate::default();
        let client = Exchange::client(work, Some(gate.clone()), metrics.clone());
        let election = Exchange::client(election, None, metrics.clone());
        Self { client, election, gate }
    }

    /// The operator's own client. Its writes are held back while this process does not lead.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The client of the leader election, whose writes are never held back.
    #[must_use]
    pub fn election_client(&self) -> Client {
        self.election.clone()
    }

    /// The gate that holds writes back.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// A client that acts as an account of a namespace: every request of it carries that identity and no other, and its
    /// writes are held back as the operator's own are.
    ///
    /// # Errors
    /// When namespace or account is no name of Kubernetes: an empty identity would be the operator itself.
    pub fn acting_as(&self, namespace: &str, account: &str) -> Result<Client, ClusterError> {
        let identity = acting::identity(namespace, account)?;
        Ok(Client::new(ActingAs::new(self.client.clone(), identity), namespace.to_owned()))
    }
}

/// What asks, and which process of it: `gantry/0.1.0 (gantry-7d4b9)`.
fn agent(identity: &str) -> Result<HeaderValue, ClusterError> {
    let plain = |c: char| if c.is_ascii_graphic() && !"()\\".contains(c) { c } else { '_' };
    let identity: String = identity.chars().map(plain).collect();
    let agent = HeaderValue::from_str(&format!("{AGENT} ({identity})"));
    agent.map_err(|error| ClusterError::Bug(format!("the identity makes no user agent: {error}")))
}

/// Whether a configuration impersonates. Its groups would be added to those of every account that the operator acts as.
fn acts_as_another(auth: &AuthInfo) -> bool {
    auth.impersonate.is_some()
        || auth.impersonate_uid.is_some()
        || auth.impersonate_groups.is_some()
        || auth.impersonate_user_extra.is_some()
}

#[cfg(test)]
mod tests;
