//! Tags and digests, asked of a real registry: anonymously, with a password, and while it is down.

use gantry::domain::image::{Digest, Repository, Tag};
use gantry::registry::{Access, Credentials, RegistryError, Resolver};
use gantry_plane::{Login, Registry, RegistryOptions};

use crate::support::image;

async fn registry(auth: Option<Login>) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await.expect("a registry")
}

async fn digest(
    (registry, path): (&Registry, &str),
    tag: &str,
    credentials: Option<&Credentials>,
) -> Result<Digest, RegistryError> {
    let resolver = Resolver::new(&Access::default()).expect("a resolver");
    let repository: Repository = format!("{}/{path}", registry.host()).parse().expect("a repository");
    let tag: Tag = tag.parse().expect("a tag");
    resolver.digest(&repository, &tag, credentials).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_has_the_digest_that_was_pushed_and_what_is_missing_is_told_apart() {
    let registry = registry(None).await;
    let pushed = image::push((&registry.host(), None), ("checkout", "1.0.0"), "one").await;
    let found = digest((&registry, "checkout"), "1.0.0", None).await.expect("a digest");
    assert_eq!(found.as_str(), pushed);

    let missing = digest((&registry, "checkout"), "9.9.9", None).await.expect_err("no such tag");
    let expected = format!("image {}/checkout:9.9.9 does not exist in its registry", registry.host());
    assert!(matches!(missing, RegistryError::TagNotFound { .. }), "{missing}");
    assert!(missing.to_string().starts_with(&expected), "{missing}");

    let missing = digest((&registry, "chekout"), "1.0.0", None).await.expect_err("no such repository");
    assert!(matches!(missing, RegistryError::RepositoryNotFound { .. }), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_password_says_whether_it_was_missing_or_wrong() {
    let login = Login { user: "ann".to_owned(), password: "pa55:word".to_owned() };
    let registry = registry(Some(login.clone())).await;
    let pushed = image::push((&registry.host(), Some(&login)), ("checkout", "1.0.0"), "one").await;
    let ask =
        async |credentials: Option<Credentials>| digest((&registry, "checkout"), "1.0.0", credentials.as_ref()).await;

    let said = ask(None).await.expect_err("no credentials").to_string();
    assert!(said.contains("without credentials; name a Secret"), "{said}");
    let said = ask(Some(Credentials::new("ann".to_owned(), "wrong".to_owned()))).await.expect_err("a wrong password");
    assert!(matches!(said, RegistryError::Unauthorized { .. }) && !said.heals_by_itself());
    let said = said.to_string();
    assert!(said.contains("credentials of the package's pullSecret; correct that Secret"), "{said}");
    assert!(!said.contains("wrong"), "a message shows no password: {said}");
    let found = ask(Some(Credentials::new(login.user, login.password))).await.expect("a digest");
    assert_eq!(found.as_str(), pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_unreachable_until_it_answers_again() {
    let registry = registry(None).await;
    image::push((&registry.host(), None), ("checkout", "1.0.0"), "one").await;
    registry.halt().expect("it ends");
    let said = digest((&registry, "checkout"), "1.0.0", None).await.expect_err("nobody answers");
    assert!(said.heals_by_itself() && said.to_string().contains(&registry.host()), "{said}");
    registry.resume().await.expect("it starts again");
    digest((&registry, "checkout"), "1.0.0", None).await.expect("a digest");
}
