//! A proxy between one operator and the API server that can stop the world at the n-th write.
//!
//! Plain HTTP towards the operator, TLS towards the API server; the operator's credentials pass through untouched, so RBAC and
//! admission judge it as ever.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use gantry_plane::{Identity, Plane};
use http::{Method, StatusCode};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// When, relative to the write, the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never sees the write.
    Before,
    /// The API server has taken the write, and the operator never hears of it.
    AfterCommit,
}

/// The proxy. Every write is counted; at the armed one it holds the operator's connection until it is dead.
#[derive(Clone)]
pub struct Proxy {
    state: Arc<Inner>,
    /// A kubeconfig that leads through the proxy, as the operator's ServiceAccount.
    pub kubeconfig: PathBuf,
}

struct Inner {
    upstream: Client,
    writes: AtomicUsize,
    armed: Mutex<Option<(usize, Moment)>>,
    reached: Notify,
    is_reached: AtomicBool,
    seen: Mutex<Vec<String>>,
}

impl Proxy {
    /// Starts a proxy that lets everything through.
    pub async fn start(plane: &Plane, name: &str) -> Self {
        let upstream = anonymous(plane).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Inner {
            upstream,
            writes: AtomicUsize::new(0),
            armed: Mutex::new(None),
            reached: Notify::new(),
            is_reached: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let token = plane.token("gantry-system", "gantry").await.expect("a token");
        let kubeconfig = plane.directory().join(format!("proxy-{name}.kubeconfig"));
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "proxy", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(&kubeconfig, text.to_string()).expect("a kubeconfig");
        Self { state, kubeconfig }
    }

    /// Arms the proxy: the operator is to die at the n-th write from now on (the first is 1).
    pub fn arm(&self, n: usize, moment: Moment) {
        self.state.writes.store(0, Ordering::SeqCst);
        self.state.is_reached.store(false, Ordering::SeqCst);
        self.state.seen.lock().expect("a lock").clear();
        *self.state.armed.lock().expect("a lock") = Some((n, moment));
    }

    /// Counts from now on, and lets everything through.
    pub fn count(&self) {
        self.arm(usize::MAX, Moment::Before);
    }

    /// How many writes there were since the last arming.
    pub fn writes(&self) -> usize {
        self.state.writes.load(Ordering::SeqCst)
    }

    /// What those writes were: `PATCH /apis/…`.
    pub fn seen(&self) -> Vec<String> {
        self.state.seen.lock().expect("a lock").clone()
    }

    /// Waits until the armed write is reached. Nothing leaves the operator any more then; kill it, and disarm.
    pub async fn reached(&self) {
        self.state.reached.notified().await;
    }

    /// Whether the armed write was reached since the last arming.
    pub fn is_reached(&self) -> bool {
        self.state.is_reached.load(Ordering::SeqCst)
    }

    /// Lets everything through again.
    pub fn disarm(&self) {
        *self.state.armed.lock().expect("a lock") = None;
    }
}

/// A client that knows the API server's certificate and nobody's credentials.
async fn anonymous(plane: &Plane) -> Client {
    let path = plane.kubeconfig(&Identity::Admin).await.expect("a kubeconfig");
    let mut kubeconfig = kube::config::Kubeconfig::read_from(path).expect("a readable kubeconfig");
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(kube::config::AuthInfo::default());
    }
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a configuration");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

async fn pass(State(state): State<Arc<Inner>>, request: Request) -> Response {
    match stop_at(&state, &request) {
        Stop::No => forward(&state, request).await,
        Stop::Here(Moment::Before) => halt(&state).await,
        Stop::Here(Moment::AfterCommit) => {
            drop(forward(&state, request).await);
            halt(&state).await
        }
        Stop::Passed => std::future::pending().await,
    }
}

/// Says that the write is reached, and never answers.
async fn halt(state: &Inner) -> Response {
    state.is_reached.store(true, Ordering::SeqCst);
    state.reached.notify_one();
    std::future::pending().await
}

enum Stop {
    No,
    Here(Moment),
    /// The armed write has been reached: a dead operator writes nothing.
    Passed,
}

fn stop_at(state: &Inner, request: &Request) -> Stop {
    let armed = *state.armed.lock().expect("a lock");
    let Some((n, moment)) = armed.filter(|_| is_write(request)) else { return Stop::No };
    let mine = state.writes.fetch_add(1, Ordering::SeqCst) + 1;
    state.seen.lock().expect("a lock").push(format!("{} {}", request.method(), request.uri()));
    match mine.cmp(&n) {
        std::cmp::Ordering::Less => Stop::No,
        std::cmp::Ordering::Equal => Stop::Here(moment),
        std::cmp::Ordering::Greater => Stop::Passed,
    }
}

/// A write that changes something: the leader Lease, dry runs, reviews and Events do not count.
fn is_write(request: &Request) -> bool {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    !matches!(*request.method(), Method::GET | Method::HEAD)
        && !path.contains("/namespaces/gantry-system/leases")
        && !path.contains("/events")
        && !query.contains("dryRun=All")
}

async fn forward(state: &Inner, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(http::header::HOST);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    match state.upstream.send(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => {
            let mut answer = Response::new(Body::from(error.to_string()));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    }
}
