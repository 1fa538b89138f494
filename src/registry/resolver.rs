//! From a tag to the digest that it names now, and from a repository to its tags.

mod tags;

pub use self::tags::{ETags, Listed, TagList};

use super::address::{Addresses, Internal, Judged, Names};
use super::challenge::{Challenge, challenge, may_receive_password};
use super::credentials::Credentials;
use super::error::{Identity, RegistryError, printable};
use crate::domain::image::{Digest, Repository, Tag};
use reqwest::dns::Resolve;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The longest time that one question may take, all its requests together.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest time to a connection, so that a dead address is told from a slow registry.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The largest manifest that is read; the OCI distribution specification asks registries to accept 4 MiB.
const LARGEST_MANIFEST: usize = 4 * 1024 * 1024;
/// The largest answer of a token address that is read. Tokens in use are below 10 KiB.
const LARGEST_TOKEN_ANSWER: usize = 64 * 1024;
/// What may stand behind a tag: an image or an index of images, as OCI and as Docker write them.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Which registries may be reached how. The default trusts the system's certificates, asks nobody inside the network, and allows no
/// plain HTTP but to this machine.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Hosts (with port, as images write them) that are asked over plain HTTP, also inside the network.
    pub plain_http: BTreeSet<String>,
    /// Hosts (with port, if only that) that may have addresses inside the network.
    pub internal: BTreeSet<String>,
    /// Certificates to trust besides the system's, as PEM.
    pub certificates: Vec<u8>,
}

impl Access {
    /// Whether the certificates can be used.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let found = reqwest::Certificate::from_pem_bundle(&self.certificates).map_err(|error| deepest_cause(&error))?;
        if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(()) }
    }
}

/// Resolves tags. Cheap to clone; keeps connections, but neither tokens nor credentials.
#[derive(Clone)]
pub struct Resolver {
    secure: Result<Client, String>,
    plain: Client,
    plain_http: BTreeSet<String>,
    addresses: Addresses,
}

impl Resolver {
    /// A resolver for these settings. The process must have installed its rustls provider before.
    ///
    /// # Errors
    /// If `certificates` is not PEM or the HTTP client cannot be made.
    pub fn new(access: &Access) -> Result<Self, reqwest::Error> {
        Self::with_names(access, &(Arc::new(Names) as Arc<dyn Resolve>))
    }

    /// The same with other names than the system's.
    fn with_names(access: &Access, names: &Arc<dyn Resolve>) -> Result<Self, reqwest::Error> {
        let certificates = reqwest::Certificate::from_pem_bundle(&access.certificates)?;
        let addresses = Addresses::new(&access.internal, &access.plain_http).behind_proxy_of_environment();
        let client = || {
            let builder = Client::builder().connect_timeout(CONNECT_DEADLINE).redirect(addresses.redirects());
            let judged = Judged { addresses: addresses.clone(), names: Arc::clone(names) };
            builder.dns_resolver(judged).user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        };
        let plain = client().no_proxy().tls_certs_only([]).build()?;
        // A container without any trusted certificate can still use registries that are asked over plain HTTP.
        let secure = client().https_only(true).tls_certs_merge(certificates).build();
        let secure = secure.map_err(|error| deepest_cause(&error));
        Ok(Self { secure, plain, plain_http: access.plain_http.clone(), addresses })
    }

    /// The digest that `tag` has in `repository` now, asked anonymously or with `credentials`.
    ///
    /// # Errors
    /// A [`RegistryError`] whose message says which image or registry it is about and what to do.
    pub async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        credentials: Option<&Credentials>,
    ) -> Result<Digest, RegistryError> {
        let question = self.question(repository, credentials)?;
        tokio::time::timeout(DEADLINE, question.ask(tag))
            .await
            .unwrap_or_else(|_| Err(question.unreachable(&format!("no answer within {} seconds", DEADLINE.as_secs()))))
    }

    fn question<'a>(
        &'a self,
        repository: &'a Repository,
        credentials: Option<&'a Credentials>,
    ) -> Result<Question<'a>, RegistryError> {
        let host = repository.registry();
        let plain = is_this_machine(host) || self.plain_http.contains(host);
        let (scheme, client) = if plain { ("http", Ok(&self.plain)) } else { ("https", self.secure.as_ref()) };
        let client = client.map_err(|cause| RegistryError::Unreachable {
            host: host.to_owned(),
            cause: printable(&format!("no trusted certificates ({cause})")),
        })?;
        let base =
            Url::parse(&format!("{scheme}://{}/v2/{}/", api_host(host), repository.path())).map_err(|error| {
                RegistryError::BadAnswer {
                    host: host.to_owned(),
                    cause: printable(&format!("its name makes no address, {error}")),
                }
            })?;
        Ok(Question { client, addresses: &self.addresses, base, repository, credentials })
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    name == "localhost" || name == "127.0.0.1"
}

/// Docker's registry has another name as a server than in images.
fn api_host(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// One question to one registry.
struct Question<'a> {
    client: &'a Client,
    addresses: &'a Addresses,
    base: Url,
    repository: &'a Repository,
    credentials: Option<&'a Credentials>,
}

/// How a request says who asks.
enum Authorization<'a> {
    Anonymous,
    Password(&'a Credentials),
    Token(String),
}

/// The two names under which token addresses answer.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Question<'_> {
    async fn ask(&self, tag: &Tag) -> Result<Digest, RegistryError> {
        let manifest = self.address(&format!("manifests/{tag}"))?;
        let mut authorization = Authorization::Anonymous;
        let mut answer = self.send(Method::HEAD, &manifest, &authorization).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            authorization = self.authorize(answer.headers()).await?;
            answer = self.send(Method::HEAD, &manifest, &authorization).await?;
        }
        match answer.status() {
            StatusCode::OK => match answer.headers().get("docker-content-digest") {
                Some(digest) => self.digest(&String::from_utf8_lossy(digest.as_bytes())),
                None => self.digest_of_content(&manifest, &authorization).await,
            },
            StatusCode::NOT_FOUND => Err(self.missing(tag, &authorization).await),
            _ => Err(self.refusal(&answer)),
        }
    }

    /// Older registries leave the digest to the reader: it is the hash of the manifest's bytes.
    async fn digest_of_content(
        &self,
        manifest: &Url,
        authorization: &Authorization<'_>,
    ) -> Result<Digest, RegistryError> {
        let answer = self.send(Method::GET, manifest, authorization).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(&answer));
        }
        let content = self.read(answer, LARGEST_MANIFEST).await?;
        let mut text = "sha256:".to_owned();
        for byte in Sha256::digest(&content) {
            write!(text, "{byte:02x}").map_err(|_| self.bad("a manifest without a hash"))?;
        }
        self.digest(&text)
    }

    fn digest(&self, text: &str) -> Result<Digest, RegistryError> {
        text.parse().map_err(|_| self.bad(&format!("{text:?} as a digest")))
    }

    async fn authorize(&self, headers: &HeaderMap) -> Result<Authorization<'_>, RegistryError> {
        match (challenge(headers), self.credentials) {
            (Some(Challenge::Bearer { realm, service }), _) => {
                Ok(Authorization::Token(self.token(realm, service.as_deref()).await?))
            }
            (Some(Challenge::Basic), Some(credentials)) => Ok(Authorization::Password(credentials)),
            (Some(Challenge::Basic), None) => Err(self.unauthorized()),
            (None, _) => Err(self.bad("401 without a challenge that is Basic or Bearer")),
        }
    }

    async fn token(&self, mut realm: Url, service: Option<&str>) -> Result<String, RegistryError> {
        let authorization = match self.credentials {
            Some(_) if !may_receive_password(&self.base, &realm) => {
                let place = realm.host_str().unwrap_or_default();
                return Err(self.bad(&format!(
                    "it wants the password sent to {}://{place}, which is not its own",
                    realm.scheme()
                )));
            }
            Some(credentials) => Authorization::Password(credentials),
            None => Authorization::Anonymous,
        };
        realm.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.repository.path()));
        if let Some(service) = service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let answer = self.send(Method::GET, &realm, &authorization).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(&answer));
        }
        let content = self.read(answer, LARGEST_TOKEN_ANSWER).await?;
        serde_json::from_slice(&content)
            .ok()
            .and_then(|answer: TokenAnswer| answer.token.or(answer.access_token))
            .ok_or_else(|| self.bad("a token answer without a token"))
    }

    async fn missing(&self, tag: &Tag, authorization: &Authorization<'_>) -> RegistryError {
        let tags = match self.address("tags/list?n=1") {
            Ok(tags) => self.send(Method::GET, &tags, authorization).await,
            Err(error) => Err(error),
        };
        if tags.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND) {
            return RegistryError::RepositoryNotFound { repository: self.repository.to_string() };
        }
        RegistryError::TagNotFound { repository: self.repository.to_string(), tag: tag.to_string() }
    }

    async fn send(
        &self,
        method: Method,
        address: &Url,
        authorization: &Authorization<'_>,
    ) -> Result<Response, RegistryError> {
        let request = self.request(method, address, authorization)?.header(ACCEPT, MANIFESTS);
        request.send().await.map_err(|error| self.failure(&error))
    }

    fn request(
        &self,
        method: Method,
        address: &Url,
        authorization: &Authorization<'_>,
    ) -> Result<RequestBuilder, RegistryError> {
        self.addresses.admit(address).map_err(|internal| self.internal(&internal))?;
        let request = self.client.request(method, address.clone());
        Ok(match authorization {
            Authorization::Anonymous => request,
            Authorization::Password(credentials) => {
                request.basic_auth(&credentials.username, Some(&credentials.password))
            }
            Authorization::Token(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
        })
    }

    async fn read(&self, mut answer: Response, largest: usize) -> Result<Vec<u8>, RegistryError> {
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failure(&error))? {
            if content.len() + chunk.len() > largest {
                return Err(self.bad(&format!("more than {largest} bytes")));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }

    fn address(&self, relative: &str) -> Result<Url, RegistryError> {
        self.base.join(relative).map_err(|error| self.bad(&error.to_string()))
    }

    fn refusal(&self, answer: &Response) -> RegistryError {
        let status = answer.status();
        match status.as_u16() {
            401 | 403 => self.unauthorized(),
            429 | 503 => {
                let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
                let pause = text(RETRY_AFTER).and_then(|wish| retry_after(wish, text(DATE)));
                RegistryError::Busy { host: self.host(), status: status.to_string(), pause }
            }
            500..=599 => self.unreachable(&format!("it answers {status}")),
            _ => self.bad(&format!("status {status}")),
        }
    }

    fn failure(&self, error: &reqwest::Error) -> RegistryError {
        if let Some(internal) = causes(error).find_map(|cause| cause.downcast_ref::<Internal>()) {
            return self.internal(internal);
        }
        if answered_without_tls(error) {
            return RegistryError::PlainHttpRefused { host: self.host() };
        }
        if let Some(cause) = distrust(error) {
            return RegistryError::Untrusted { host: self.host(), cause: printable(&cause) };
        }
        if error.is_redirect() {
            return self.bad(&format!("a redirect that is not followed ({})", deepest_cause(error)));
        }
        self.unreachable(&deepest_cause(error))
    }

    fn unauthorized(&self) -> RegistryError {
        let with = if self.credentials.is_some() { Identity::PullSecret } else { Identity::Anonymous };
        RegistryError::Unauthorized { repository: self.repository.to_string(), with }
    }

    fn internal(&self, internal: &Internal) -> RegistryError {
        RegistryError::Internal { host: self.host(), place: printable(&internal.place) }
    }

    fn unreachable(&self, cause: &str) -> RegistryError {
        RegistryError::Unreachable { host: self.host(), cause: printable(cause) }
    }

    fn bad(&self, cause: &str) -> RegistryError {
        RegistryError::BadAnswer { host: self.host(), cause: printable(cause) }
    }

    fn host(&self) -> String {
        self.repository.registry().to_owned()
    }
}

/// The pause that a `Retry-After` asks for (RFC 9110, section 10.2.3): so many seconds, or until a time. That one is compared
/// with the answer's own `Date`, since the registry's clock is not ours; without one it is no wish.
fn retry_after(wish: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = wish.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    // The form of HTTP dates in use is that of mail (RFC 9110, section 5.6.7).
    let time = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|time| time.timestamp());
    let pause = time(wish)?.duration_since(time(date?)?);
    Some(Duration::try_from(pause).unwrap_or(Duration::ZERO))
}

/// The chain of causes, outermost first, an I/O error's own content included (its `source` skips it).
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

fn deepest_cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// A server that speaks HTTP answers a TLS greeting with text, which is no TLS record.
fn answered_without_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))
        )
    })
}

/// What is wrong with the certificate that was shown.
fn distrust(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(wrong)) => Some(match wrong {
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature => {
                "its issuer is not known".to_owned()
            }
            other => other.to_string(),
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
