//! `/metrics`, `/healthz` and `/readyz`. Nothing here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics::Metrics;
use crate::telemetry::pulse::SILENT_AFTER;

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

/// Whether the process should be started again: something is broken beyond repair, or a loop of it hangs.
async fn healthz(State(served): State<Served>) -> (StatusCode, String) {
    if let Some(what) = served.probes.broken() {
        return (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}\n"));
    }
    let silent = served.metrics.pulse().silent(SILENT_AFTER);
    if silent.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::INTERNAL_SERVER_ERROR, format!("no sign of life from {}\n", silent.join(", ")))
}

/// Whether the process could do its work at once. One that stands by could, so it is ready too.
async fn readyz(State(served): State<Served>) -> (StatusCode, String) {
    let role = if served.metrics.is_leader() { "this process leads" } else { "this process stands by" };
    let waits_for = served.probes.waits_for();
    if waits_for.is_empty() {
        return (StatusCode::OK, format!("ok; {role}\n"));
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waits for {}; {role}\n", waits_for.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    #[derive(Default)]
    struct Told {
        waits_for: Mutex<Vec<String>>,
        broken: Mutex<Option<String>>,
    }

    impl Probes for Told {
        fn waits_for(&self) -> Vec<String> {
            self.waits_for.lock().unwrap().clone()
        }
        fn broken(&self) -> Option<String> {
            self.broken.lock().unwrap().clone()
        }
    }

    struct Running {
        address: std::net::SocketAddr,
        metrics: Metrics,
        told: Arc<Told>,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<std::io::Result<()>>,
    }

    async fn running() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, metrics) = (listener.local_addr().unwrap(), Metrics::new().unwrap());
        let (told, stop) = (Arc::new(Told::default()), CancellationToken::new());
        let probes: Arc<dyn Probes> = Arc::<Told>::clone(&told);
        let task = tokio::spawn(serve(listener, (metrics.clone(), probes), stop.clone()));
        Running { address, metrics, told, stop, task }
    }

    impl Running {
        async fn get(&self, path: &str) -> (u16, String) {
            // A TLS stack is chosen at build time for clients that never use it.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    }

    #[tokio::test]
    async fn ready_once_nothing_is_waited_for_and_standing_by_is_ready() {
        let running = running().await;
        *running.told.waits_for.lock().unwrap() = vec!["the list of projects".into(), "the list of releases".into()];
        let waits = "waits for the list of projects, the list of releases; this process stands by\n";
        assert_eq!(running.get("/readyz").await, (503, waits.into()));
        running.told.waits_for.lock().unwrap().clear();
        assert_eq!(running.get("/readyz").await, (200, "ok; this process stands by\n".into()));
        running.metrics.leads(true);
        assert_eq!(running.get("/readyz").await, (200, "ok; this process leads\n".into()));
    }

    #[tokio::test]
    async fn alive_until_something_is_broken() {
        let running = running().await;
        running.metrics.pulse().beat("promotion");
        assert_eq!(running.get("/healthz").await, (200, "ok\n".into()));
        *running.told.broken.lock().unwrap() = Some("a controller ended".into());
        assert_eq!(running.get("/healthz").await, (500, "a controller ended\n".into()));
    }

    #[tokio::test]
    async fn metrics_are_served_until_the_process_stops() {
        let running = running().await;
        running.metrics.leads(true);
        let (code, text) = running.get("/metrics").await;
        assert!(code == 200 && text.contains("gantry_leader 1"), "{text}");
        assert_eq!(running.get("/anything").await.0, 404);
        running.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), running.task).await.expect("it ends").unwrap().unwrap();
    }
}
