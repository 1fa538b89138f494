use proptest::prelude::*;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn repository(text: &str) -> Repository {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_name_without_a_registry_is_dockers() {
    for (text, full) in [
        ("nginx", "docker.io/library/nginx"),
        ("bitnami/nginx", "docker.io/bitnami/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx"),
        ("ghcr.io/acme/checkout", "ghcr.io/acme/checkout"),
        ("localhost/checkout", "localhost/checkout"),
        ("localhost:5000/acme/checkout", "localhost:5000/acme/checkout"),
        ("127.0.0.1:5000/checkout", "127.0.0.1:5000/checkout"),
        ("[::1]:5000/checkout", "[::1]:5000/checkout"),
        ("registry:5000/a/b/c", "registry:5000/a/b/c"),
        ("MyHost/checkout", "MyHost/checkout"),
        ("a-b/c_d/e__f/g.h/i---j", "docker.io/a-b/c_d/e__f/g.h/i---j"),
    ] {
        assert_eq!(repository(text).to_string(), full, "{text}");
    }
}

#[test]
fn the_same_place_is_the_same_however_it_is_written() {
    for (a, b) in [
        ("nginx", "docker.io/library/nginx"),
        ("nginx", "index.docker.io/library/nginx"),
        ("GHCR.io/acme/checkout", "ghcr.io/acme/checkout"),
    ] {
        assert!(repository(a).same_as(&repository(b)), "{a} {b}");
    }
    for (a, b) in [
        ("nginx", "ghcr.io/library/nginx"),
        ("acme/checkout", "ghcr.io/acme/checkout"),
        ("localhost:5000/a", "localhost:5001/a"),
        ("ghcr.io/acme/checkout", "ghcr.io/acme/checkout2"),
    ] {
        assert!(!repository(a).same_as(&repository(b)), "{a} {b}");
    }
}

#[test]
fn a_name_that_breaks_the_grammar_is_refused() {
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "Checkout",
        "ghcr.io/Acme/checkout",
        "ghcr.io/acme/.a",
        "ghcr.io/acme/a.",
        "ghcr.io/acme/a..b",
        "ghcr.io/acme/a___b",
        "ghcr.io/acme/a.-b",
        "-host.io/a",
        "host-.io/a",
        "host:port/a",
        "host:/a",
        "https://ghcr.io/acme/a",
        "ghcr.io/acme/a b",
        "ghcr.io/ä",
        "[::1/a",
        "[]/a",
        HEX,
        &format!("ghcr.io/{}", "a".repeat(250)),
    ] {
        assert!(
            matches!(ImageReference::from_str(text), Err(InvalidImage::Name { .. } | InvalidImage::Tag(_))),
            "{text}"
        );
    }
}

#[test]
fn a_reference_has_a_tag_a_digest_both_or_neither() {
    let digest = format!("sha256:{HEX}");
    for (text, tag, pinned) in [
        ("ghcr.io/acme/checkout".to_owned(), None, false),
        ("ghcr.io/acme/checkout:1.4.2".to_owned(), Some("1.4.2"), false),
        (format!("ghcr.io/acme/checkout@{digest}"), None, true),
        (format!("ghcr.io/acme/checkout:v1_2-rc.1@{digest}"), Some("v1_2-rc.1"), true),
        ("localhost:5000/checkout:5000".to_owned(), Some("5000"), false),
    ] {
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(reference.tag.as_ref().map(Tag::as_str), tag, "{text}");
        assert_eq!(reference.digest.is_some(), pinned, "{text}");
        assert_eq!(reference.to_string(), text);
    }
    assert_eq!("localhost:5000".parse::<ImageReference>().unwrap().to_string(), "docker.io/library/localhost:5000");
}

#[test]
fn a_tag_and_a_digest_have_their_grammar() {
    for tag in ["", ".1", "-1", "a+b", "a/b", "a b", &"a".repeat(129)] {
        assert!(tag.parse::<Tag>().is_err(), "{tag}");
    }
    for digest in
        ["", HEX, "sha256:", "sha256:abc", &format!("sha512:{HEX}"), &format!("sha256:{}", HEX.to_uppercase())]
    {
        assert!(digest.parse::<Digest>().is_err(), "{digest}");
    }
}

#[test]
fn a_repository_takes_no_version_and_says_what_to_write() {
    let refusal = |text: &str| text.parse::<Repository>().unwrap_err().to_string();
    assert_eq!(
        refusal("ghcr.io/acme/api:1.2"),
        "image ghcr.io/acme/api:1.2 names a version: write ghcr.io/acme/api, a release gives it the version"
    );
    assert_eq!(
        refusal(&format!("nginx@sha256:{HEX}")),
        format!("image nginx@sha256:{HEX} names a version: write nginx, a release gives it the version")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_text_is_a_reference_or_a_refusal_of_bounded_length(text in any::<String>()) {
        if let Err(error) = text.parse::<ImageReference>() {
            prop_assert!(error.to_string().chars().count() < 2500);
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same(text in "([a-z]{1,3}(\\.[a-z]{1,3})?(:[0-9]{1,4})?/)?[a-z0-9]{1,4}([._-][a-z0-9]{1,3}){0,2}(:[a-zA-Z0-9._-]{1,5})?") {
        if let Ok(reference) = text.parse::<ImageReference>() {
            prop_assert_eq!(reference.to_string().parse::<ImageReference>(), Ok(reference));
        }
    }
}
