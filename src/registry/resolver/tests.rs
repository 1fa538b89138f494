//! The resolver against small HTTP servers that answer as registries do, rightly and wrongly.
//! The real registry program is asked by the integration tests.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response as Answer;
use std::sync::{Arc, Mutex};

const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A server on a free port; `answer` sees method, path with query, and the Authorization header.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) seen: Arc<Mutex<Vec<String>>>,
}

pub(super) async fn server(
    answer: impl Fn(&str, &str, &str, &str) -> Answer + Clone + Send + Sync + 'static,
) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (name, log) = (host.clone(), Arc::clone(&seen));
    let app = Router::new().fallback(move |request: Request| {
        let path = request.uri().path_and_query().unwrap().to_string();
        let authorization = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        log.lock().unwrap().push(format!("{} {path} {authorization}", request.method()));
        let answer = answer(request.method().as_str(), &path, authorization, &name);
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { host, seen }
}

pub(super) fn status(code: u16) -> Answer {
    Answer::builder().status(code).body(Body::empty()).unwrap()
}

pub(super) fn with_header(code: u16, name: &str, value: &str) -> Answer {
    Answer::builder().status(code).header(name, value).body(Body::empty()).unwrap()
}

pub(super) fn text(content: impl Into<Body>) -> Answer {
    Answer::new(content.into())
}

/// The servers are on this machine.
pub(super) fn access() -> Access {
    Access { internal: ["localhost", "127.0.0.1", "127.0.0.2"].map(str::to_owned).into(), ..Access::default() }
}

async fn resolve(host: &str, credentials: Option<&Credentials>) -> Result<Digest, RegistryError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let resolver = Resolver::new(&access()).unwrap();
    let repository = format!("{host}/acme/api").parse::<Repository>().unwrap();
    resolver.digest(&repository, &"1.0.0".parse().unwrap(), credentials).await
}

pub(super) fn ann() -> Credentials {
    Credentials::new("ann".to_owned(), "pa55".to_owned())
}

#[tokio::test]
async fn the_digest_of_the_header_is_taken_with_one_request() {
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    assert_eq!(resolve(&registry.host, None).await, Ok(DIGEST.parse::<Digest>().unwrap()));
    assert_eq!(*registry.seen.lock().unwrap(), ["HEAD /v2/acme/api/manifests/1.0.0 "]);
}

#[tokio::test]
async fn without_the_header_the_manifest_is_hashed() {
    let registry = server(|_, _, _, _| text("test")).await;
    let expected = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert_eq!(resolve(&registry.host, None).await, Ok(expected.parse::<Digest>().unwrap()));
}

#[tokio::test]
async fn a_token_is_fetched_with_the_password_and_only_the_token_goes_to_the_registry() {
    let registry = server(|method, path, authorization, host| match (method, authorization) {
        ("GET", "Basic YW5uOnBhNTU=") if path.starts_with("/token?") => text(r#"{"token":"t0k"}"#),
        ("HEAD", "Bearer t0k") => with_header(200, "docker-content-digest", DIGEST),
        _ => with_header(401, "www-authenticate", &format!(r#"Bearer realm="http://{host}/token",service="s""#)),
    })
    .await;
    assert!(resolve(&registry.host, Some(&ann())).await.is_ok());
    let seen = registry.seen.lock().unwrap();
    assert_eq!(
        *seen,
        [
            "HEAD /v2/acme/api/manifests/1.0.0 ",
            "GET /token?scope=repository%3Aacme%2Fapi%3Apull&service=s Basic YW5uOnBhNTU=",
            "HEAD /v2/acme/api/manifests/1.0.0 Bearer t0k",
        ]
    );
}

// Attack T24.
#[tokio::test]
async fn a_password_is_not_sent_to_the_host_that_a_registry_names() {
    let registry =
        server(|_, _, _, _| with_header(401, "www-authenticate", r#"Bearer realm="http://thief.example/token""#)).await;
    let error = resolve(&registry.host, Some(&ann())).await.unwrap_err();
    assert!(matches!(&error, RegistryError::BadAnswer { cause, .. } if cause.contains("thief.example")), "{error}");
}

// Attack T24.
#[tokio::test]
async fn a_redirect_to_another_host_does_not_carry_the_password() {
    let other = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let target = format!("http://{}/elsewhere", other.host);
    let registry = server(move |_, _, authorization, _| match authorization {
        "" => with_header(401, "www-authenticate", r#"Basic realm="r""#),
        _ => with_header(307, "location", &target),
    })
    .await;
    assert!(resolve(&registry.host, Some(&ann())).await.is_ok());
    assert_eq!(*other.seen.lock().unwrap(), ["HEAD /elsewhere "]);
}

#[tokio::test]
async fn each_refusal_has_its_own_error() {
    let basic = r#"Basic realm="r""#;
    let registry = server(move |_, _, _, _| with_header(401, "www-authenticate", basic)).await;
    let error = resolve(&registry.host, None).await.unwrap_err();
    assert!(error.to_string().contains("without credentials"), "{error}");
    let error = resolve(&registry.host, Some(&ann())).await.unwrap_err();
    assert!(error.to_string().contains("correct that Secret") && !error.to_string().contains("pa55"), "{error}");

    let registry = server(|_, path, _, _| if path.contains("tags") { text("{}") } else { status(404) }).await;
    assert!(matches!(resolve(&registry.host, None).await, Err(RegistryError::TagNotFound { .. })));
    let registry = server(|_, _, _, _| status(404)).await;
    assert!(matches!(resolve(&registry.host, None).await, Err(RegistryError::RepositoryNotFound { .. })));
    let registry = server(|_, _, _, _| status(403)).await;
    assert!(matches!(resolve(&registry.host, None).await, Err(RegistryError::Unauthorized { .. })));
    for busy in [429, 503] {
        let registry = server(move |_, _, _, _| status(busy)).await;
        assert!(resolve(&registry.host, None).await.unwrap_err().heals_by_itself());
    }
    let registry = server(|_, _, _, _| status(418)).await;
    assert!(matches!(resolve(&registry.host, None).await, Err(RegistryError::BadAnswer { .. })));
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", "sha256:nonsense")).await;
    assert!(matches!(resolve(&registry.host, None).await, Err(RegistryError::BadAnswer { .. })));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let registry = server(|method, _, _, _| match method {
        "HEAD" => status(200),
        _ => text(vec![b'x'; LARGEST_MANIFEST + 1]),
    })
    .await;
    let error = resolve(&registry.host, None).await.unwrap_err();
    assert!(matches!(&error, RegistryError::BadAnswer { cause, .. } if cause.contains("more than")), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_down_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = resolve(&host, None).await.unwrap_err();
    assert!(matches!(&error, RegistryError::Unreachable { cause, .. } if cause.contains("refused")), "{error}");
}

#[tokio::test]
async fn plain_http_is_refused_unless_the_host_is_listed() {
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let port = registry.host.rsplit_once(':').unwrap().1;
    // Another name of this machine that is not among those allowed by default.
    let host = format!("127.0.0.2:{port}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.2", port.parse::<u16>().unwrap())).await.unwrap();
    let app = Router::new().fallback(|| async { with_header(200, "docker-content-digest", DIGEST) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(resolve(&host, None).await, Err(RegistryError::PlainHttpRefused { host: host.clone() }));

    let access = Access { plain_http: [host.clone()].into(), ..access() };
    let repository = format!("{host}/acme/api").parse::<Repository>().unwrap();
    let found = Resolver::new(&access).unwrap().digest(&repository, &"1.0.0".parse().unwrap(), None).await;
    assert!(found.is_ok());
}

/// Names that lead to these addresses, another with each question, and the last one from then on.
struct Turning(Mutex<Vec<Vec<&'static str>>>);

impl Resolve for Turning {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let mut answers = self.0.lock().unwrap();
        let now = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let found: Vec<_> = now.into_iter().map(|ip| std::net::SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs) })
    }
}

async fn resolve_inside(host: &str, internal: &[&str], answers: &[&[&'static str]]) -> Result<Digest, RegistryError> {
    let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
    let access = Access { internal: hosts(internal), ..Access::default() };
    resolve_among(&access, host, answers).await
}

async fn resolve_among(access: &Access, host: &str, answers: &[&[&'static str]]) -> Result<Digest, RegistryError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names: Arc<dyn Resolve> = Arc::new(Turning(Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect())));
    let resolver = Resolver::with_names(access, &names).unwrap();
    let repository = format!("{host}/acme/api").parse::<Repository>().unwrap();
    resolver.digest(&repository, &"1.0.0".parse().unwrap(), None).await
}

fn leads_to(found: &Result<Digest, RegistryError>, at: &str) {
    let Err(RegistryError::Internal { place, .. }) = found else { panic!("{found:?}") };
    assert_eq!(place, at);
}

// Attack T23.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_nobody_is_asked() {
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let port = registry.host.rsplit_once(':').unwrap().1;
    let host = format!("rebound.example:{port}");
    for answers in [
        &["127.0.0.1"][..],
        &["169.254.169.254"],
        &["10.96.0.1"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["fd00:ec2::254"],
        &["1.1.1.1", "127.0.0.1"],
    ] {
        let found = resolve_inside(&host, &[], &[answers]).await;
        leads_to(&found, "rebound.example");
        let said = found.unwrap_err();
        assert_eq!(
            said.to_string(),
            format!(
                "registry {host} leads to rebound.example, which is inside the operator's network; correct the package's \
                 image, or let the cluster's administrator list rebound.example in the operator's setting internalRegistries"
            )
        );
        assert!(!said.heals_by_itself());
    }
    assert!(registry.seen.lock().unwrap().is_empty());
    leads_to(&resolve_inside(&host, &["rebound.example:1"], &[&["127.0.0.1"]]).await, &host);
    let here = format!("localhost:{port}");
    leads_to(&resolve_inside(&here, &[], &[&["127.0.0.1"]]).await, "localhost");
    assert!(resolve_inside(&here, &[&here], &[&["127.0.0.1"]]).await.is_ok(), "an administrator listed it");
    let plain = |host: &str| Access { plain_http: [host.to_owned()].into(), ..Access::default() };
    let found = resolve_among(&plain(&host), &host, &[&["127.0.0.1"]]).await;
    assert!(found.is_ok(), "an administrator listed it for plain HTTP: {found:?}");
    leads_to(&resolve_among(&plain("rebound.example"), &host, &[&["127.0.0.1"]]).await, &host);
}

// Attack T23.
#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_asked() {
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let port = registry.host.rsplit_once(':').unwrap().1;
    let host = format!("localhost:{port}");
    // Whoever resolved the name again to connect would ask an address where nobody answers.
    let found = resolve_inside(&host, &[&host], &[&["127.0.0.1"], &["192.0.2.1"]]).await;
    assert_eq!(found, Ok(DIGEST.parse::<Digest>().unwrap()));
}

// Attack T23.
#[tokio::test]
async fn neither_a_redirect_nor_where_tokens_are_given_out_leads_inside() {
    let inside = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let target = format!("http://{}/latest/meta-data", inside.host);
    let bearer = format!(r#"Bearer realm="{target}",service="s""#);
    let named = "http://localhost:1/x".to_owned();
    for (code, header, value, place) in [
        (307, "location", target, inside.host.as_str()),
        (401, "www-authenticate", bearer, &inside.host),
        (302, "location", "http://169.254.169.254/latest/meta-data/iam".to_owned(), "169.254.169.254:80"),
        (302, "location", "http://[::ffff:a9fe:a9fe]/".to_owned(), "[::ffff:a9fe:a9fe]:80"),
        (307, "location", named, "localhost"),
    ] {
        let registry = server(move |_, _, _, _| with_header(code, header, &value)).await;
        // The registry itself may be where it is; its other names lead to this machine, as those of this test all do.
        leads_to(&resolve_inside(&registry.host, &[&registry.host], &[&["127.0.0.1"]]).await, place);
    }
    assert!(inside.seen.lock().unwrap().is_empty());
}

// Attack T23.
#[tokio::test]
async fn this_machine_is_inside_by_default() {
    let registry = server(|_, _, _, _| with_header(200, "docker-content-digest", DIGEST)).await;
    let port = registry.host.rsplit_once(':').unwrap().1;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let resolver = Resolver::new(&Access::default()).unwrap();
    for (host, place) in [(format!("localhost:{port}"), "localhost"), (registry.host.clone(), &*registry.host)] {
        let repository = format!("{host}/acme/api").parse::<Repository>().unwrap();
        leads_to(&resolver.digest(&repository, &"1.0.0".parse().unwrap(), None).await, place);
        let listed = resolver.tags(&repository, None, None).await;
        assert!(matches!(listed, Err(RegistryError::Internal { .. })), "{listed:?}");
    }
    assert!(registry.seen.lock().unwrap().is_empty());
}

#[test]
fn a_wish_to_be_left_alone_is_so_many_seconds_or_until_a_time_by_the_registrys_own_clock() {
    let date = Some("Wed, 21 Oct 2015 07:27:00 GMT");
    for (wish, date, expected) in [
        ("120", None, Some(120)),
        (" 0 ", date, Some(0)),
        ("Wed, 21 Oct 2015 07:28:30 GMT", date, Some(90)),
        ("Wed, 21 Oct 2015 07:26:00 GMT", date, Some(0)),
        ("Wed, 21 Oct 2015 07:28:30 GMT", None, None),
        ("Wed, 21 Oct 2015 07:28:30 GMT", Some("today"), None),
        ("soon", date, None),
        ("-1", date, None),
    ] {
        assert_eq!(super::retry_after(wish, date).map(|pause| pause.as_secs()), expected, "{wish} {date:?}");
    }
}
