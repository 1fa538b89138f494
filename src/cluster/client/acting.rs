//! Acting as an account: the identity is set on every request, by the client and not by its user.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response};
use kube::Client;
use kube::client::Body;
use tower::{BoxError, Service};

use super::exchange::innermost;
use crate::cluster::error::ClusterError;

/// The header that an API server takes as "act as".
const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");
/// What the names of all such headers begin with: user, uid, group, extra.
const IMPERSONATE_PREFIX: &str = "impersonate-";
/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// The identity of an account.
///
/// # Errors
/// When namespace or account is no name of Kubernetes. A colon in one of them would be another account's identity.
pub(super) fn identity(namespace: &str, account: &str) -> Result<HeaderValue, ClusterError> {
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain)
    };
    if !is_name(namespace) || !is_name(account) {
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
