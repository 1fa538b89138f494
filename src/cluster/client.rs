//! Clients: the operator's own, and one for each account that it acts as, over one pool of connections.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use super::error::ClusterError;
use super::gate::Gate;
use crate::telemetry::metrics::Metrics;

/// How long a request that is no watch may take (kube has no deadline of its own for those).
const DEADLINE: Duration = Duration::from_secs(15);

/// The header that an API server takes as "act as".
const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");

/// The way to one API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    election: Client,
    gate: Gate,
}

impl Cluster {
    /// Connects with a kubeconfig, or with what the environment offers when none is given.
    ///
    /// # Errors
    /// When there is no usable configuration.
    pub async fn connect(kubeconfig: Option<&std::path::Path>, metrics: Metrics) -> Result<Self, ClusterError> {
        let mut config = match kubeconfig {
            Some(path) => read(path).await?,
            None => Config::infer().await.map_err(|error| ClusterError::Config(error.to_string()))?,
        };
        // Retries are the controllers' business: kube's own would repeat a create whose answer was lost.
        config.default_retry = false;
        config.read_timeout = None;
        Self::with(&config, &metrics)
    }

    /// Connects with a configuration.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn with(config: &Config, metrics: &Metrics) -> Result<Self, ClusterError> {
        let gate = Gate::default();
        let build = |gate: Option<Gate>| {
            let layer = WatchfulLayer { gate, metrics: metrics.clone() };
            let builder = ClientBuilder::try_from(config.clone()).map_err(|e| ClusterError::Config(e.to_string()))?;
            Ok::<_, ClusterError>(builder.with_layer(&layer).build())
        };
        Ok(Self { client: build(Some(gate.clone()))?, election: build(None)?, gate })
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

    /// A client that acts as an account of a namespace: every request of it carries the identity.
    ///
    /// # Errors
    /// When namespace or account is empty: an empty identity would be the operator itself.
    pub fn acting_as(&self, namespace: &str, account: &str) -> Result<Client, ClusterError> {
        if namespace.is_empty() || account.is_empty() {
            return Err(ClusterError::NoIdentity);
        }
        let identity = HeaderValue::from_str(&format!("system:serviceaccount:{namespace}:{account}"))
            .map_err(|_| ClusterError::NoIdentity)?;
        Ok(Client::new(ActingAs { inner: self.client.clone(), identity }, namespace.to_owned()))
    }
}

async fn read(path: &std::path::Path) -> Result<Config, ClusterError> {
    let unusable = |error: kube::config::KubeconfigError| ClusterError::Config(format!("{}: {error}", path.display()));
    let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await.map_err(unusable)
}

/// Sets the identity on every request.
#[derive(Clone)]
struct ActingAs {
    inner: Client,
    identity: HeaderValue,
}

impl Service<Request<Body>> for ActingAs {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(IMPERSONATE, self.identity.clone());
        let client = self.inner.clone();
        Box::pin(async move { client.send(request).await.map_err(unwrapped) })
    }
}

/// kube wraps a service's error again; the innermost one says what happened.
fn unwrapped(error: kube::Error) -> BoxError {
    match error {
        kube::Error::Service(inner) => inner,
        other => Box::new(other),
    }
}

/// Counts requests, bounds their time, and asks the gate.
#[derive(Clone)]
struct WatchfulLayer {
    gate: Option<Gate>,
    metrics: Metrics,
}

impl<S> Layer<S> for WatchfulLayer {
    type Service = Watchful<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Watchful { inner, gate: self.gate.clone(), metrics: self.metrics.clone() }
    }
}

#[derive(Clone)]
struct Watchful<S> {
    inner: S,
    gate: Option<Gate>,
    metrics: Metrics,
}

impl<S, B> Service<Request<Body>> for Watchful<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let admitted = match &self.gate {
            Some(gate) => gate.admit(&request),
            None => Ok(()),
        };
        if let Err(held_back) = admitted {
            return Box::pin(async move { Err(held_back.into()) });
        }
        let call = super::request::Call::of(&request);
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let begun = Instant::now();
            let answer = if call.watch { answer.await } else { within_deadline(answer).await };
            let code = answer.as_ref().map_or("error", |response| super::request::code_class(response.status()));
            metrics.api_request(call.verb, &call.resource, code, begun.elapsed());
            answer
        })
    }
}

async fn within_deadline<T>(answer: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Box::new(TooLate)),
    }
}

/// A request took longer than [`DEADLINE`].
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} seconds", DEADLINE.as_secs())]
struct TooLate;
