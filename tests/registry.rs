//! Tags and digests, asked of a real registry: anonymously, with a password, and while it is down.

use gantry::domain::image::{Digest, Repository, Tag};
use gantry::registry::{Access, Credentials, Listed, RegistryError, Resolver};
use gantry_plane::{Login, Registry, RegistryOptions};

use crate::support::image;
use crate::support::registry_front::RegistryFront;

async fn registry(auth: Option<Login>) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::start(RegistryOptions { auth, ..RegistryOptions::default() }).await.expect("a registry")
}

/// Registries of tests are on this machine.
fn access() -> Access {
    Access { internal: ["localhost", "127.0.0.1"].map(str::to_owned).into(), ..Access::default() }
}

async fn digest(
    (registry, path): (&Registry, &str),
    tag: &str,
    credentials: Option<&Credentials>,
) -> Result<Digest, RegistryError> {
    let resolver = Resolver::new(&access()).expect("a resolver");
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

/// The registry says nothing of versions of its lists, so a door in front of it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_two_pages_is_sent_again_only_when_one_of_them_changed() {
    let registry = registry(None).await;
    let front = RegistryFront::start(&registry.host()).await;
    image::push_tags(&registry.host(), "paged", (0..1000).map(|number| format!("1.0.{number}"))).await;
    let resolver = Resolver::new(&access()).expect("a resolver");
    let repository: Repository = format!("{}/paged", front.host).parse().expect("a repository");
    let tags = async |known| match resolver.tags(&repository, None, known).await.expect("tags") {
        Listed::Tags(list) => Some(list),
        Listed::Unchanged => None,
    };
    let full = tags(None).await.expect("tags");
    assert_eq!(full.tags.len(), 1000);
    assert!(tags(full.etags.as_ref()).await.is_none(), "a page that is full is followed by an empty one");
    image::push((&registry.host(), None), ("paged", "2.0.0"), "one").await;
    let first = tags(full.etags.as_ref()).await.expect("one more");
    assert_eq!(first.tags.len(), 1001);
    let before = front.lists("paged", 304);
    assert!(tags(first.etags.as_ref()).await.is_none() && front.lists("paged", 304) == before + 2, "nothing changed");
    // In the second page, then in the first one, which moves a tag into the second.
    for (tag, expected) in [("2.1.0", 1002), ("0.1.0", 1003)] {
        image::push((&registry.host(), None), ("paged", tag), "one").await;
        let changed = tags(first.etags.as_ref()).await.expect("what changed");
        assert_eq!((changed.tags.len(), changed.etags.is_some()), (expected, true), "{tag}");
    }
}
