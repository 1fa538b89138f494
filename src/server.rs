//! `/metrics`, `/healthz` and `/readyz`. Nothing here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;

/// What the probes ask.
pub trait Probes: Send + Sync + 'static {
    /// What the process still waits for before it can do its work.
    fn waits_for(&self) -> Vec<String>;
    /// What is broken beyond repair, so that the process should be started again.
    fn broken(&self) -> Option<String>;
}

#[derive(Clone)]
struct Served {
    metrics: Metrics,
    probes: Arc<dyn Probes>,
}

/// Serves until the token is cancelled.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    (metrics, probes): (Metrics, Arc<dyn Probes>),
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Served { metrics, probes });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn metrics_text(State(served): State<Served>) -> (StatusCode, String) {
    match served.metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn healthz(State(served): State<Served>) -> (StatusCode, String) {
    match served.probes.broken() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(what) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}\n")),
    }
}

async fn readyz(State(served): State<Served>) -> (StatusCode, String) {
    let waits_for = served.probes.waits_for();
    if waits_for.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waits for {}\n", waits_for.join(", ")))
}
