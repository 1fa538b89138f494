//! Which kinds the API server has, and whether they live in namespaces. Scope comes from here, never from a manifest.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{self, Scope};

use super::error::ClusterError;

/// How long a kind that is not there stays not there: its definition may be installed at any time.
const MISSING_FOR: Duration = Duration::from_secs(2);

/// A kind that the API server has.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// How to address it.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// What is known of a kind.
#[derive(Clone)]
enum Known {
    Found(Kind),
    MissingSince(Instant),
}

/// Kinds by their group, version and kind, remembered.
#[derive(Clone)]
pub struct Discovery {
    client: Client,
    known: Arc<RwLock<HashMap<GroupVersionKind, Known>>>,
}

impl Discovery {
    /// Discovery with the operator's own client: every authenticated account may discover.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, known: Arc::default() }
    }

    /// The kind, if the API server has it.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn kind(&self, gvk: &GroupVersionKind) -> Result<Option<Kind>, ClusterError> {
        match self.remembered(gvk) {
            Some(Known::Found(kind)) => return Ok(Some(kind)),
            Some(Known::MissingSince(since)) if since.elapsed() < MISSING_FOR => return Ok(None),
            Some(Known::MissingSince(_)) | None => {}
        }
        let found = self.ask(gvk).await?;
        let known = found.clone().map_or_else(|| Known::MissingSince(Instant::now()), Known::Found);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(gvk.clone(), known);
        Ok(found)
    }

    fn remembered(&self, gvk: &GroupVersionKind) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(gvk).cloned()
    }

    async fn ask(&self, gvk: &GroupVersionKind) -> Result<Option<Kind>, ClusterError> {
        match discovery::oneshot::pinned_kind(&self.client, gvk).await {
            Ok((resource, capabilities)) => {
                Ok(Some(Kind { resource, namespaced: capabilities.scope == Scope::Namespaced }))
            }
            Err(kube::Error::Discovery(_)) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(ClusterError::api(format!("discover {}", gvk.kind), error)),
        }
    }
}
