//! A service that gives tokens for a registry to whoever knows a password, as those of public registries do
//! (<https://distribution.github.io/distribution/spec/auth/token/>). The registry checks their signature.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gantry_plane::{Login, TokenAuth};
use http::{HeaderMap, StatusCode, header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SERVICE: &str = "gantry-registry";
const ISSUER: &str = "gantry-tokens";
const KEY: &str = "first";

/// The service.
pub struct TokenService {
    state: Arc<Inner>,
    realm: String,
    keys: Value,
}

struct Inner {
    login: Login,
    key: EcdsaKeyPair,
    scopes: Mutex<Vec<String>>,
}

impl TokenService {
    /// Starts it. Whoever logs in so may read and write, everybody else gets a token for nothing.
    pub async fn start(login: Login) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        let key = key.expect("a key");
        // Uncompressed: a byte that says so, and the two coordinates.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}]});
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let realm = format!("http://localhost:{}/token", listener.local_addr().expect("an address").port());
        let state = Arc::new(Inner { login, key, scopes: Mutex::default() });
        let router = Router::new().route("/token", get(token)).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { state, realm, keys }
    }

    /// What a registry needs to take its tokens.
    pub fn auth(&self) -> TokenAuth {
        TokenAuth {
            realm: self.realm.clone(),
            service: SERVICE.to_owned(),
            issuer: ISSUER.to_owned(),
            keys: self.keys.clone(),
        }
    }

    /// Every scope that somebody asked a token for.
    pub fn scopes(&self) -> Vec<String> {
        self.state.scopes.lock().expect("a lock").clone()
    }
}

async fn token(State(state): State<Arc<Inner>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let address = format!("http://localhost/token?{}", query.unwrap_or_default());
    let address = reqwest::Url::parse(&address).expect("an address");
    let all = |name: &str| -> Vec<String> {
        address.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    let scopes = all("scope");
    state.scopes.lock().expect("a lock").extend(scopes.clone());
    let Login { user, password } = &state.login;
    let known = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let access = match headers.get(header::AUTHORIZATION) {
        None => Vec::new(),
        Some(given) if given.as_bytes() == known.as_bytes() && all("service") == [SERVICE] => {
            scopes.iter().filter_map(|scope| granted(scope)).collect()
        }
        Some(_) => return StatusCode::UNAUTHORIZED.into_response(),
    };
    json!({"token": signed(&state.key, &access)}).to_string().into_response()
}

/// `repository:private/api:pull,push`
fn granted(scope: &str) -> Option<Value> {
    let mut parts = scope.splitn(3, ':');
    let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
    Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
}

fn signed(key: &EcdsaKeyPair, access: &[Value]) -> String {
    let now = jiff::Timestamp::now().as_second();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"typ": "JWT", "alg": "ES256", "kid": KEY}));
    let claims = json!({"iss": ISSUER, "sub": "somebody", "aud": SERVICE, "jti": now.to_string(),
        "iat": now, "nbf": now - 10, "exp": now + 300, "access": access});
    let text = format!("{head}.{}", part(claims));
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
