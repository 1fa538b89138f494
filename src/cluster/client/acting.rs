//! Acting as an account: the identity is set on every request, by the client and not by its user.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method, Request, Response};
use kube::Client;
use kube::client::Body;
use tower::{BoxError, Service};

use super::exchange::innermost;
use crate::cluster::error::ClusterError;
use crate::cluster::request::Call;

/// The header that an API server takes as "act as".
const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");
/// What the names of all such headers begin with: user, uid, group, extra.
const IMPERSONATE_PREFIX: &str = "impersonate-";
/// The accounts that the operator may act as: those that it makes for every environment. Its own rights say the same.
const ACCOUNTS: [&str; 2] = ["gantry-deployer", "gantry-console"];
/// The group of the kinds that the operator writes as itself.
const OWN_GROUP: &str = "/apis/gantry.dev/";
/// The other resources that it writes as itself, with or without a subresource. Whatever else is written, is written as an account.
const OWN: [&str; 12] = [
    "controllerrevisions",
    "events",
    "leases",
    "limitranges",
    "namespaces",
    "networkpolicies",
    "resourcequotas",
    "rolebindings",
    "secrets",
    // A question, not a write: who this process is, and what it may.
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "serviceaccounts",
];

/// A write that only an account may make was to be sent without one.
#[derive(Debug, thiserror::Error)]
#[error("a write of {0} without an account to act as; it was not sent")]
pub(in crate::cluster) struct NobodyToActAs(String);

/// Judges a request on its last way out: it acts as one of the accounts, or is what the operator may send as itself.
///
/// # Errors
/// When it acts as nobody or as somebody else, or should act as an account and does not.
pub(super) fn admit<B>(request: &Request<B>) -> Result<(), NobodyToActAs> {
    let call = Call::of(request);
    let refused = || Err(NobodyToActAs(call.resource.clone()));
    let headers = request.headers();
    let mut identities = headers.get_all(IMPERSONATE).iter();
    let acts = headers.keys().any(|name| name.as_str().starts_with(IMPERSONATE_PREFIX));
    if acts {
        let others = headers.keys().any(|name| name.as_str().starts_with(IMPERSONATE_PREFIX) && *name != IMPERSONATE);
        let one = identities.next().is_some_and(is_account) && identities.next().is_none();
        return if one && !others { Ok(()) } else { refused() };
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let resource = call.resource.split('/').next().unwrap_or_default();
    let own = request.uri().path().starts_with(OWN_GROUP) || OWN.contains(&resource);
    if reads || own { Ok(()) } else { refused() }
}

fn is_account(identity: &HeaderValue) -> bool {
    let name = identity.to_str().ok().and_then(|text| text.strip_prefix("system:serviceaccount:"));
    name.and_then(|name| name.split_once(':'))
        .is_some_and(|(namespace, account)| self::identity(namespace, account).is_ok())
}

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// The identity of an account.
///
/// # Errors
/// When the namespace is no name of Kubernetes, or the account none of the two. A colon in it would be another account's identity.
pub(super) fn identity(namespace: &str, account: &str) -> Result<HeaderValue, ClusterError> {
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain)
    };
    if !is_name(namespace) || !ACCOUNTS.contains(&account) {
        return Err(ClusterError::NoIdentity);
    }
    let name = format!("system:serviceaccount:{namespace}:{account}");
    HeaderValue::from_str(&name).map_err(|_| ClusterError::NoIdentity)
}

/// Sets one identity on every request, in place of any that the request had.
#[derive(Clone)]
pub(super) struct ActingAs {
    inner: Client,
    identity: HeaderValue,
}

impl ActingAs {
    pub(super) fn new(inner: Client, identity: HeaderValue) -> Self {
        Self { inner, identity }
    }
}

impl Service<Request<Body>> for ActingAs {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let headers = request.headers_mut();
        let others: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(IMPERSONATE_PREFIX)).cloned().collect();
        for other in others {
            headers.remove(other);
        }
        headers.insert(IMPERSONATE, self.identity.clone());
        let client = self.inner.clone();
        Box::pin(async move { client.send(request).await.map_err(innermost) })
    }
}
