//! One request and its answer: asks the gate, bounds the time, counts.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tower::{BoxError, Service};

use super::acting;
use crate::cluster::gate::Gate;
use crate::cluster::request::{self, Call};
use crate::telemetry::metrics::Metrics;

/// How long an answer may take, to its last byte (kube has no deadline of its own, and a connection can go silent).
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// How long a watch, which has no end, may take to begin.
pub(super) const WATCH_BEGINS: Duration = Duration::from_secs(30);

/// An answer took too long. Whether a write happened is not known.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} seconds", .0.as_secs())]
pub(super) struct TooLate(Duration);

/// What every request of this process goes through.
#[derive(Clone)]
pub(super) struct Exchange {
    inner: Client,
    gate: Option<Gate>,
    metrics: Metrics,
}

impl Exchange {
    /// A client whose requests go through the gate, if there is one, and are bounded and counted.
    pub(super) fn client(inner: Client, gate: Option<Gate>, metrics: Metrics) -> Client {
        let namespace = inner.default_namespace().to_owned();
        Client::new(Self { inner, gate, metrics }, namespace)
    }

    async fn carry_out(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if let Some(gate) = &self.gate {
            gate.admit(&request)?;
        }
        acting::admit(&request)?;
        let call = Call::of(&request);
        let begun = Instant::now();
        let answer = if call.watch {
            within(WATCH_BEGINS, self.inner.send(request)).await
        } else {
            within(DEADLINE, whole(&self.inner, request)).await
        };
        let code = answer.as_ref().map_or("error", |response| request::code_class(response.status()));
        self.metrics.api_request((call.verb, &call.resource), code, begun.elapsed());
        answer
    }
}

impl Service<Request<Body>> for Exchange {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().carry_out(request))
    }
}

/// The answer with all of its body: a deadline that ends at the headers would not bound anything.
async fn whole(client: &Client, request: Request<Body>) -> kube::Result<Response<Body>> {
    let (head, body) = client.send(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect_bytes().await?.into()))
}

async fn within<T>(time: Duration, answer: impl Future<Output = kube::Result<T>>) -> Result<T, BoxError> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => answer.map_err(innermost),
        Err(_) => Err(TooLate(time).into()),
    }
}

/// kube wraps a service's error again; the innermost one says what happened.
pub(super) fn innermost(error: kube::Error) -> BoxError {
    match error {
        kube::Error::Service(inner) => inner,
        other => other.into(),
    }
}
