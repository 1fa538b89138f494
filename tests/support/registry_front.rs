//! A door in front of the real registry that can be slow, refuse, or talk nonsense.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use tokio::net::TcpListener;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As the registry does, with an ETag for each list of tags.
    Honest,
    /// It takes longer than anybody waits.
    Slow,
    /// It answers this status, with `Retry-After: 1`.
    Refusing(u16),
    /// It answers 429, with a `Retry-After` that is a time so many seconds from now.
    BusyUntil(i64),
    /// It answers 200 and something that is no list of tags.
    Malformed,
}

/// The door.
#[derive(Clone)]
pub struct RegistryFront {
    state: Arc<Inner>,
    /// Host and port to write in images.
    pub host: String,
}

struct Inner {
    upstream: String,
    client: reqwest::Client,
    mood: Mutex<Mood>,
    seen: Mutex<Vec<(String, StatusCode)>>,
}

impl RegistryFront {
    /// A door to the registry at this host.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Inner {
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            mood: Mutex::new(Mood::Honest),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { state, host }
    }

    /// From now on it behaves so.
    pub fn set(&self, mood: Mood) {
        *self.state.mood.lock().expect("a lock") = mood;
    }

    /// How many requests it has answered.
    pub fn requests(&self) -> usize {
        self.state.seen.lock().expect("a lock").len()
    }

    /// How many requests for lists of tags of a repository were answered with this status.
    pub fn lists(&self, repository: &str, status: u16) -> usize {
        let path = format!("/v2/{repository}/tags/list");
        let seen = self.state.seen.lock().expect("a lock");
        seen.iter().filter(|(asked, answered)| *asked == path && answered.as_u16() == status).count()
    }
}

async fn pass(State(state): State<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mood = *state.mood.lock().expect("a lock");
    let answer = match mood {
        Mood::Honest => forward(&state, request).await,
        Mood::Slow => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            Response::default()
        }
        Mood::Refusing(status) => {
            let answer = Response::builder().status(status).header(header::RETRY_AFTER, "1");
            let answer = answer.header(header::WWW_AUTHENTICATE, "Basic realm=\"front\"");
            answer.body(Body::empty()).expect("an answer")
        }
        Mood::BusyUntil(seconds) => {
            let now = jiff::Timestamp::now();
            let date = |time: jiff::Timestamp| {
                jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a date")
            };
            let until = now + jiff::SignedDuration::from_secs(seconds);
            let answer = Response::builder().status(429).header(header::RETRY_AFTER, date(until));
            answer.header(header::DATE, date(now)).body(Body::empty()).expect("an answer")
        }
        Mood::Malformed => Response::new(Body::from("{\"tags\": 7")),
    };
    state.seen.lock().expect("a lock").push((path, answer.status()));
    answer
}

async fn forward(state: &Inner, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut asked = state.client.request(parts.method, format!("http://{}{target}", state.upstream));
    if let Some(accept) = parts.headers.get(header::ACCEPT) {
        asked = asked.header(header::ACCEPT, accept);
    }
    let Ok(answer) = asked.send().await else { return status(StatusCode::BAD_GATEWAY) };
    let (code, mut headers) = (answer.status(), answer.headers().clone());
    let content = answer.bytes().await.unwrap_or_default();
    // What comes in pieces goes on whole.
    headers.remove(header::TRANSFER_ENCODING);
    if target.contains("/tags/list") && code.is_success() {
        let etag = HeaderValue::from_str(&format!("\"{:x}\"", hash(&content))).expect("a header");
        if parts.headers.get(header::IF_NONE_MATCH) == Some(&etag) {
            return status(StatusCode::NOT_MODIFIED);
        }
        headers.insert(header::ETAG, etag);
    }
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    response
}

fn status(code: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = code;
    response
}

fn hash(content: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
