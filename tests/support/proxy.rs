//! A proxy between one operator and the API server that can stop the world at the n-th write of a space, be late with one, or let
//! something else go wrong with it.
//!
//! Plain HTTP towards the operator, TLS towards the API server; the operator's credentials pass through untouched, so RBAC and
//! admission judge it as ever.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::StreamExt as _;
use gantry_plane::{Identity, Plane};
use http::request::Parts;
use http::{Method, StatusCode};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast, oneshot};

/// When, relative to the write, the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never sees the write.
    Before,
    /// The API server has taken the write, and the operator never hears of it.
    AfterCommit,
}

/// What goes wrong with one write, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The API server never sees it; the answer is an error of this HTTP status, as the API server would write it.
    Refused(u16),
    /// The API server has taken it, and the connection ends without an answer.
    Unanswered,
    /// The API server has taken it, and the answer is 500.
    FailedAfterCommit,
    /// The API server sees it twice, and its second answer counts.
    Repeated,
    /// Just before it, this happens to all watches.
    Watches(WatchFault),
}

/// What goes wrong with all watches that there are; later ones are as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFault {
    /// They end.
    Cut,
    /// They end because what they ask for is too old.
    Expired,
    /// Nothing comes any more, and the connections stay open.
    Silent,
}

/// The proxy. In a space that is watched every write is counted; from the armed one on, everything that the operator writes there
/// is held until it is dead.
#[derive(Clone)]
pub struct Proxy {
    state: Arc<Inner>,
    /// A kubeconfig that leads through the proxy, as the operator's ServiceAccount.
    pub kubeconfig: PathBuf,
}

struct Inner {
    upstream: Client,
    watched: Mutex<BTreeMap<String, Watched>>,
    changed: Notify,
    trap: Mutex<Option<Trap>>,
    taken: Mutex<Vec<String>>,
    watches: broadcast::Sender<WatchFault>,
}

/// One space.
#[derive(Default)]
struct Watched {
    seen: Vec<String>,
    /// Which write is the last one, and when.
    armed: Option<(usize, Moment)>,
    /// Of which kind the last one is, whichever write that is.
    armed_at: Option<String>,
    /// With which write something goes wrong, and what.
    faulty: Option<(usize, Fault)>,
    /// What goes wrong with the next write of which [`kind`].
    faulty_at: Option<(String, Fault)>,
    reached: bool,
    over: bool,
}

/// What is needed to be late with one write.
struct Trap {
    path_end: String,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
    answered: oneshot::Sender<StatusCode>,
}

/// A write that is on its way and does not arrive before it is released.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
    answered: oneshot::Receiver<StatusCode>,
}

impl Held {
    /// Waits until the operator has sent it.
    pub async fn reached(&mut self) {
        let sent = tokio::time::timeout(super::wait::PATIENCE, &mut self.reached).await;
        sent.expect("the write comes").expect("the proxy runs");
    }

    /// Lets it arrive, and gives back what the API server says to it.
    pub async fn release(self) -> StatusCode {
        self.release.send(()).expect("the write is held");
        self.answered.await.expect("an answer")
    }
}

impl Proxy {
    /// Starts a proxy that lets everything through.
    pub async fn start(plane: &Plane, name: &str) -> Self {
        let upstream = anonymous(plane).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Inner {
            upstream,
            watched: Mutex::default(),
            changed: Notify::new(),
            trap: Mutex::default(),
            taken: Mutex::default(),
            watches: broadcast::Sender::new(64),
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

    /// Watches a space: its writes are counted from now on, and let through.
    pub fn count(&self, space: &str) {
        self.watched().insert(space.to_owned(), Watched::default());
    }

    /// Watches a space: the operator is to die at its n-th write from now on (the first is 1).
    pub fn arm(&self, space: &str, n: usize, moment: Moment) {
        self.watched().insert(space.to_owned(), Watched { armed: Some((n, moment)), ..Watched::default() });
    }

    /// Watches a space: the operator is to die after its first write of this [`kind`] from now on.
    pub fn arm_at(&self, space: &str, kind: &str) {
        self.watched().insert(space.to_owned(), Watched { armed_at: Some(kind.to_owned()), ..Watched::default() });
    }

    /// Watches a space: something goes wrong with its n-th write from now on (the first is 1).
    pub fn fail(&self, space: &str, n: usize, fault: Fault) {
        self.watched().insert(space.to_owned(), Watched { faulty: Some((n, fault)), ..Watched::default() });
    }

    /// Besides, something goes wrong with the next write of this [`kind`] in a space that is watched.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub fn fail_at(&self, space: &str, kind: &str, fault: Fault) {
        self.watched().entry(space.to_owned()).or_default().faulty_at = Some((kind.to_owned(), fault));
    }

    /// Lets something go wrong with all watches that there are now.
    pub fn break_watches(&self, fault: WatchFault) {
        self.state.watches.send(fault).expect("somebody watches");
    }

    /// Says that there will be no more writes in a space.
    pub fn is_over(&self, space: &str) {
        if let Some(watched) = self.watched().get_mut(space) {
            watched.over = true;
        }
        self.state.changed.notify_one();
    }

    /// Waits until every space that is watched has reached its armed write, or is over. Gives back how many reached it:
    /// nothing leaves the operator for them any more; kill it, and disarm.
    pub async fn until_stopped(&self) -> usize {
        loop {
            {
                let watched = self.watched();
                if watched.values().all(|space| space.reached || space.over) {
                    return watched.values().filter(|space| space.reached).count();
                }
            }
            self.state.changed.notified().await;
        }
    }

    /// The writes of a space that is watched, `PATCH /apis/…`.
    pub fn seen(&self, space: &str) -> Vec<String> {
        self.watched().get(space).map(|space| space.seen.clone()).unwrap_or_default()
    }

    /// Whether a space that is watched has come to its armed write.
    pub fn has_reached(&self, space: &str) -> bool {
        self.watched().get(space).is_some_and(|space| space.reached)
    }

    /// Lets everything through again.
    pub fn disarm(&self) {
        self.watched().values_mut().for_each(|space| (space.armed, space.armed_at) = (None, None));
    }

    /// Watches no space any more.
    pub fn forget(&self) {
        self.watched().clear();
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.state.watched.lock().expect("a lock")
    }

    /// From now on what is created under paths that end so is taken, and answered as the API server would, which never sees it.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn take(&self, path_ends: &[&str]) {
        self.state.taken.lock().expect("a lock").extend(path_ends.iter().map(|&end| end.to_owned()));
    }

    /// Is late with the next write whose path ends so.
    pub fn hold(&self, path_end: &str) -> Held {
        let ((reached, is_reached), (release, released)) = (oneshot::channel(), oneshot::channel());
        let (answered, answer) = oneshot::channel();
        let trap = Trap { path_end: path_end.to_owned(), reached, released, answered };
        *self.state.trap.lock().expect("a lock") = Some(trap);
        Held { reached: is_reached, release, answered: answer }
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
    let (parts, body) = request.into_parts();
    if let Some(trap) = trap_for(&state, &parts) {
        return late(&state, Request::from_parts(parts, body), trap).await;
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if is_taken(&state, &parts) {
        return created(&body);
    }
    let stop = stop_at(&state, &parts, &body);
    let is_watch = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
    let request = Request::from_parts(parts, Body::from(body));
    if is_watch {
        let faults = state.watches.subscribe();
        return faulty(forward(&state, request).await, faults);
    }
    match stop {
        Stop::No => forward(&state, request).await,
        Stop::Here(space, Moment::Before) => halt(&state, &space).await,
        Stop::Here(space, Moment::AfterCommit) => {
            drop(forward(&state, request).await);
            halt(&state, &space).await
        }
        Stop::Passed => std::future::pending().await,
        Stop::Fault(fault) => go_wrong(&state, request, fault).await,
    }
}

async fn go_wrong(state: &Inner, request: Request, fault: Fault) -> Response {
    match fault {
        Fault::Refused(code) => refusal(code),
        Fault::Unanswered => {
            drop(forward(state, request).await);
            // Ends the task of this connection, and with it the connection; no other request uses it.
            std::panic::resume_unwind(Box::new("no answer"))
        }
        Fault::FailedAfterCommit => {
            drop(forward(state, request).await);
            refusal(500)
        }
        Fault::Repeated => {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            drop(forward(state, Request::from_parts(parts.clone(), Body::from(body.clone()))).await);
            forward(state, Request::from_parts(parts, Body::from(body))).await
        }
        Fault::Watches(fault) => {
            // Nobody may be watching.
            let _ = state.watches.send(fault);
            forward(state, request).await
        }
    }
}

fn is_taken(state: &Inner, request: &Parts) -> bool {
    let taken = state.taken.lock().expect("a lock");
    request.method == Method::POST && taken.iter().any(|end| request.uri.path().ends_with(end.as_str()))
}

/// What the API server would answer to whoever creates this.
fn created(body: &[u8]) -> Response {
    let mut object: serde_json::Value = serde_json::from_slice(body).expect("an object");
    let name = object["metadata"]["name"].clone();
    (object["metadata"]["uid"], object["metadata"]["resourceVersion"]) = (name, "1".into());
    let answer = Response::builder().status(201).header(http::header::CONTENT_TYPE, "application/json");
    answer.body(Body::from(object.to_string())).expect("an answer")
}

/// An error as the API server would write it.
fn refusal(code: u16) -> Response {
    let reason = match code {
        403 => "Forbidden",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = status(code, reason);
    let answer = Response::builder().status(code).header(http::header::CONTENT_TYPE, "application/json");
    let answer = if code == 429 { answer.header(http::header::RETRY_AFTER, "1") } else { answer };
    answer.body(Body::from(status.to_string())).expect("an answer")
}

fn status(code: u16, reason: &str) -> serde_json::Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": format!("{reason}: a fault that the test made"),
    })
}

/// The answer to a watch, until something goes wrong with it.
fn faulty(answer: Response, faults: broadcast::Receiver<WatchFault>) -> Response {
    answer.map(|body| {
        let watch = (body.into_data_stream(), Some(faults));
        Body::from_stream(futures::stream::unfold(watch, |(mut events, faults)| async move {
            let mut faults = faults?;
            tokio::select! {
                biased;
                Ok(fault) = faults.recv() => match fault {
                    WatchFault::Cut => None,
                    WatchFault::Expired => {
                        let event = serde_json::json!({"type": "ERROR", "object": status(410, "Expired")});
                        Some((Ok(format!("{event}\n").into()), (events, None)))
                    }
                    WatchFault::Silent => std::future::pending().await,
                },
                event = events.next() => event.map(|event| (event, (events, Some(faults)))),
            }
        }))
    })
}

fn trap_for(state: &Inner, request: &Parts) -> Option<Trap> {
    let mut trap = state.trap.lock().expect("a lock");
    trap.take_if(|trap| is_write(request) && request.uri.path().ends_with(&trap.path_end))
}

/// Forwards the write once it is released.
async fn late(state: &Inner, request: Request, trap: Trap) -> Response {
    let _ = trap.reached.send(());
    let _ = trap.released.await;
    let answer = forward(state, request).await;
    let _ = trap.answered.send(answer.status());
    answer
}

/// Says that the write is reached, and never answers.
async fn halt(state: &Inner, space: &str) -> Response {
    if let Some(watched) = state.watched.lock().expect("a lock").get_mut(space) {
        watched.reached = true;
    }
    state.changed.notify_one();
    std::future::pending().await
}

enum Stop {
    No,
    /// The armed write of this space.
    Here(String, Moment),
    /// The armed write has been reached: a dead operator writes nothing.
    Passed,
    /// Something goes wrong with this write.
    Fault(Fault),
}

fn stop_at(state: &Inner, request: &Parts, body: &[u8]) -> Stop {
    if !is_write(request) {
        return Stop::No;
    }
    let mut watched = state.watched.lock().expect("a lock");
    let Some(space) = watched.keys().find(|space| is_of(space, request, body)).cloned() else { return Stop::No };
    let Some(known) = watched.get_mut(&space) else { return Stop::No };
    known.seen.push(format!("{} {}", request.method, request.uri));
    if let Some((_, fault)) = known.faulty.take_if(|(n, _)| *n == known.seen.len()) {
        known.reached = true;
        return Stop::Fault(fault);
    }
    let last = known.seen.last().map(|write| kind(write)).unwrap_or_default();
    if let Some((_, fault)) = known.faulty_at.take_if(|(awaited, _)| *awaited == last) {
        return Stop::Fault(fault);
    }
    if known.armed_at.as_ref().is_some_and(|awaited| *awaited == last) {
        // Whatever comes after it is one too many.
        (known.armed, known.armed_at) = (Some((known.seen.len(), Moment::AfterCommit)), None);
    }
    let Some((n, moment)) = known.armed else { return Stop::No };
    match known.seen.len().cmp(&n) {
        std::cmp::Ordering::Less => Stop::No,
        std::cmp::Ordering::Equal => Stop::Here(space, moment),
        std::cmp::Ordering::Greater => Stop::Passed,
    }
}

/// What a write does to what: `PATCH projects/status`.
pub fn kind(write: &str) -> String {
    let (verb, path) = write.split_once(' ').unwrap_or((write, ""));
    let path = path.split('?').next().unwrap_or_default();
    let inside =
        path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')).map_or(path, |(_, rest)| rest);
    let mut parts = inside.split('/');
    let (resource, subresource) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    format!("{verb} {resource}/{subresource}")
}

/// Whether a write is in the space or in the namespace of one of its environments. The path of a new namespace has no name.
fn is_of(space: &str, request: &Parts, body: &[u8]) -> bool {
    let path = request.uri.path();
    let of_space = |name: &str| name == space || name.strip_prefix(space).is_some_and(|rest| rest.starts_with('-'));
    if let Some((_, rest)) = path.split_once("/namespaces/") {
        return rest.split('/').next().is_some_and(of_space);
    }
    let sent: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    path.ends_with("/namespaces") && sent["metadata"]["name"].as_str().is_some_and(of_space)
}

/// A write that changes something: the leader Lease, dry runs, reviews and Events do not count.
fn is_write(request: &Parts) -> bool {
    let path = request.uri.path();
    let query = request.uri.query().unwrap_or_default();
    !matches!(request.method, Method::GET | Method::HEAD)
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
