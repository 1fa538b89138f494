use proptest::prelude::*;

use super::*;

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn top(tags: &[&str]) -> Result<Option<String>, String> {
    let tags: Vec<Tag> = tags.iter().map(|text| tag(text)).collect();
    let found = highest(&tags, |_, version| !version.is_prerelease());
    found.map(|found| found.map(|found| found.tag.to_string())).map_err(|error| error.to_string())
}

#[test]
fn a_version_has_one_to_four_numbers_and_may_begin_with_v() {
    for (text, meaning) in [
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("1.2.3", "1.2.3"),
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.0", "1.2.3"),
        ("v1.2", "1.2.0"),
        ("1.2.0-rc.1", "1.2.0-rc.1"),
        ("1.2-rc.1", "1.2.0-rc.1"),
        ("1.2.3.4-alpha-2", "1.2.3.4-alpha-2"),
        ("1.2.3+build.7", "1.2.3"),
        ("0", "0.0.0"),
        ("18446744073709551615", "18446744073709551615.0.0"),
    ] {
        assert_eq!(version(text).to_string(), meaning, "{text}");
    }
}

#[test]
fn what_is_no_version_is_none() {
    for text in [
        "",
        "v",
        "latest",
        "main",
        "1.",
        ".1",
        "1..2",
        "1.2.3.4.5",
        "01.2",
        "1.02",
        "2026.07.01",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-rc..1",
        "1.2.3_rc1",
        "vv1",
        "V1",
        "-1",
        "1.x",
        "18446744073709551616",
        "1.2.3+",
        "1.2.3-rc+",
        "4f2a9c1",
    ] {
        assert!(text.parse::<Version>().is_err(), "{text}");
    }
    assert!("x".repeat(10_000).parse::<Version>().unwrap_err().to_string().len() < 300);
}

#[test]
fn tags_are_in_the_order_that_people_mean() {
    let order = [
        "latest",
        "2026.07.01",
        "main",
        "stable",
        "0.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.0.1",
        "1.0.1-rc.1",
        "v1.2",
        "1.9.0",
        "v1.10.0",
        "2",
    ];
    let mut tags: Vec<Tag> = order.iter().rev().map(|text| tag(text)).collect();
    tags.sort_by(compare);
    assert_eq!(tags.iter().map(ToString::to_string).collect::<Vec<_>>(), order);
}

#[test]
fn a_number_counts_as_a_number_and_latest_never_does() {
    assert_eq!(top(&["1.9.0", "1.10.0", "2.0.0-rc1", "latest", "stable"]), Ok(Some("1.10.0".to_owned())));
    assert_eq!(top(&["latest", "stable", "2.0.0-rc1"]), Ok(None));
    assert_eq!(top(&[]), Ok(None));
    // As SemVer says, and as people do not expect: beta10 is a word, and comes before beta9.
    assert!(version("1.0.0-beta10") < version("1.0.0-beta9"));
}

#[test]
fn two_tags_that_are_the_highest_version_are_both_named() {
    assert_eq!(
        top(&["1.1", "1.2.0", "1.2"]),
        Err("tags 1.2 and 1.2.0 are the same version 1.2.0: name one of them, or delete the other in the registry"
            .to_owned())
    );
    assert_eq!(top(&["1.2", "1.2.0", "1.3"]), Ok(Some("1.3".to_owned())), "only the highest has to be clear");
    assert_eq!(top(&["1.2", "1.2"]), Ok(Some("1.2".to_owned())), "a list may say a tag twice");
}

fn any_tag() -> impl Strategy<Value = Tag> {
    let few = prop_oneof![
        3 => "v?[0-2](\\.[0-2]){0,3}(-(rc|beta)(\\.[0-2])?)?",
        1 => "latest|main|[a-z0-9_][a-z0-9._-]{0,4}",
    ];
    few.prop_filter_map("a tag", |text| text.parse::<Tag>().ok())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_order_of_tags_is_total(a in any_tag(), b in any_tag(), c in any_tag()) {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }

    #[test]
    fn versions_of_three_numbers_are_in_the_order_of_semver(
        a in "[0-3]\\.[0-3]\\.[0-3](-[a-b0-2](\\.[a-b0-2])?)?", b in "[0-3]\\.[0-3]\\.[0-3](-[a-b0-2](\\.[a-b0-2])?)?",
    ) {
        let theirs = semver::Version::parse(&a).unwrap().cmp(&semver::Version::parse(&b).unwrap());
        prop_assert_eq!(version(&a).cmp(&version(&b)), theirs);
    }

    #[test]
    fn the_highest_does_not_depend_on_the_order_of_the_list(
        (tags, shuffled) in prop::collection::vec(any_tag(), 0..12)
            .prop_flat_map(|tags| (Just(tags.clone()), Just(tags).prop_shuffle())),
    ) {
        prop_assert_eq!(highest(&tags, |_, _| true), highest(&shuffled, |_, _| true));
    }

    #[test]
    fn nothing_in_the_list_is_higher_than_the_highest(tags in prop::collection::vec(any_tag(), 0..12)) {
        if let Ok(found) = highest(&tags, |_, version| !version.is_prerelease()) {
            let versions = tags.iter().filter_map(|tag| tag.as_str().parse::<Version>().ok());
            let best = versions.filter(|version| !version.is_prerelease()).max();
            prop_assert_eq!(found.map(|found| found.version), best);
        }
    }

    #[test]
    fn any_text_is_a_version_or_a_refusal(text in any::<String>()) {
        if let Ok(version) = text.parse::<Version>() {
            prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        }
    }
}
