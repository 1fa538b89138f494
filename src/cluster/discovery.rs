//! Which kinds the API server has, and whether they live in namespaces. Scope comes from here, never from a manifest.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{self, Scope};
use tokio::time::Instant;

use super::error::ClusterError;

/// How long a kind that is not there stays not there: its definition may be installed at any time.
const MISSING_FOR: Duration = Duration::from_secs(2);
/// How long a kind stays what it was: its definition may be deleted, and come back with another scope.
const FOUND_FOR: Duration = Duration::from_mins(1);

/// A kind that the API server has.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// How to address it.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// What is known of a kind, and since when.
#[derive(Clone)]
struct Known {
    kind: Option<Kind>,
    since: Instant,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < if self.kind.is_some() { FOUND_FOR } else { MISSING_FOR }
    }
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
        if let Some(known) = self.remembered(gvk).filter(Known::is_fresh) {
            return Ok(known.kind);
        }
        let kind = self.ask(gvk).await?;
        let known = Known { kind: kind.clone(), since: Instant::now() };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(gvk.clone(), known);
        Ok(kind)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use http::{Request, Response};
    use kube::client::Body;

    /// An API server that has these kinds of `example.dev/v1`, and how often it was asked.
    fn server(kinds: &Arc<Mutex<Vec<(&'static str, bool)>>>) -> (Discovery, Arc<Mutex<u32>>) {
        let (kinds, asked) = (Arc::clone(kinds), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            assert_eq!(request.uri().path(), "/apis/example.dev/v1");
            *counted.lock().unwrap() += 1;
            let resources: Vec<_> = kinds.lock().unwrap().iter().map(|(kind, namespaced)| serde_json::json!({
                "kind": kind, "name": format!("{}s", kind.to_lowercase()), "singularName": "", "namespaced": namespaced,
                "verbs": ["get", "list", "watch"],
            })).collect();
            let answer = serde_json::json!({"groupVersion": "example.dev/v1", "resources": resources}).to_string();
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::from(answer))))
        });
        (Discovery::new(Client::new(service, "default")), asked)
    }

    fn gvk(kind: &str) -> GroupVersionKind {
        GroupVersionKind::gvk("example.dev", "v1", kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_asked_for_once_a_minute_and_its_scope_is_the_servers_word() {
        let kinds = Arc::new(Mutex::new(vec![("Widget", true), ("Zone", false)]));
        let (discovery, asked) = server(&kinds);
        for _ in 0..10 {
            let widget = discovery.kind(&gvk("Widget")).await.unwrap().unwrap();
            assert_eq!((widget.resource.plural.as_str(), widget.namespaced), ("widgets", true));
        }
        assert!(!discovery.kind(&gvk("Zone")).await.unwrap().unwrap().namespaced);
        assert_eq!(*asked.lock().unwrap(), 2);
        *kinds.lock().unwrap() = vec![("Widget", false)];
        tokio::time::advance(FOUND_FOR).await;
        assert!(!discovery.kind(&gvk("Widget")).await.unwrap().unwrap().namespaced, "it came back with another scope");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_installed_later_is_found_soon() {
        let kinds = Arc::new(Mutex::new(Vec::new()));
        let (discovery, asked) = server(&kinds);
        for _ in 0..10 {
            assert_eq!(discovery.kind(&gvk("Widget")).await.unwrap(), None);
        }
        assert_eq!(*asked.lock().unwrap(), 1);
        kinds.lock().unwrap().push(("Widget", true));
        tokio::time::advance(MISSING_FOR).await;
        assert!(discovery.kind(&gvk("Widget")).await.unwrap().is_some());
    }
}
