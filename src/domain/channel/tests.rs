use proptest::prelude::*;

use super::*;

fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn rule(packages: &[&str], versions: Option<&str>, prerelease: Option<&str>) -> Rule {
    let packages = packages.iter().map(|text| name(text)).collect();
    Rule::read(packages, (versions, prerelease), "spec.channels[0].rules[0]").unwrap()
}

fn channel(text: &str, default: bool, rules: Vec<Rule>) -> Channel {
    Channel { name: text.parse().unwrap(), default, lifecycle: None, rules }
}

fn said(channel: &Channel, tag: &str) -> Result<(), String> {
    accepts(Some(channel), &name("api"), Some(&tag.parse().unwrap())).map_err(|refused| refused.to_string())
}

fn chosen(channel: Option<&Channel>, texts: &[&str]) -> Option<String> {
    highest(channel, &name("api"), &tags(texts)).unwrap().map(|highest| highest.tag.to_string())
}

#[test]
fn a_version_outside_the_range_is_refused_by_a_sentence_that_names_everything() {
    let stable = channel("stable", true, vec![rule(&["api"], Some(">=1.4, <2"), None)]);
    assert_eq!(said(&stable, "1.4.2"), Ok(()));
    assert_eq!(
        said(&stable, "2.0.0").unwrap_err(),
        "channel stable does not take version 2.0.0 of package api: it is not in the range (rules[0] of the channel: versions >=1.4, <2, no prerelease); choose another version or channel, or change the rule in the project"
    );
    assert!(said(&stable, "1.5.0-rc.1").unwrap_err().contains("pre-release, and the rule takes none"));
    assert!(said(&stable, "main").unwrap_err().contains("it is no version"));
    assert!(said(&stable, "latest").unwrap_err().contains("it is no version"));
    assert_eq!(accepts(Some(&stable), &name("web"), Some(&"main".parse().unwrap())), Ok(()), "no rule speaks of web");
    let digest = accepts(Some(&stable), &name("api"), None).unwrap_err().to_string();
    assert!(digest.contains("does not take a digest without version of package api"), "{digest}");
}

#[test]
fn the_pattern_is_about_the_pre_release_part_which_is_empty_for_a_release() {
    let with = |pattern| channel("x", true, vec![rule(&[], None, Some(pattern))]);
    for (pattern, release, rc, beta) in [
        ("^$", true, false, false),
        ("^rc", false, true, false),
        ("^(rc.*)?$", true, true, false),
        (".", false, true, true),
        ("", true, true, true),
    ] {
        let channel = with(pattern);
        let taken = ["1.0.0", "1.0.0-rc.1", "1.0.0-beta"].map(|tag| said(&channel, tag).is_ok());
        assert_eq!(taken, [release, rc, beta], "{pattern}");
    }
}

#[test]
fn a_range_is_about_the_numbers_unless_it_names_a_pre_release() {
    let contains = |range: &str, version: &str| range.parse::<Range>().unwrap().contains(&version.parse().unwrap());
    for (range, inside, outside) in [
        (">=1.4, <2", vec!["1.4", "1.4.0-rc.1", "1.99.99.99"], vec!["1.3.9", "2.0.0", "2.0.0-rc.1"]),
        (">=2.0.0-rc.2, <2.1", vec!["2.0.0-rc.2", "2.0.0-rc.10", "2.0.0", "2.0.1-a"], vec!["2.0.0-rc.1", "2.1.0-a"]),
        (">=2.0.0-alpha.1, <2.0.0", vec!["2.0.0-beta"], vec!["2.0.0", "1.9.9"]),
        ("=1.2.3", vec!["1.2.3", "1.2.3.4"], vec!["1.2.4"]),
        (">1.2.3", vec!["1.2.4"], vec!["1.2.3", "1.2.3.4"]),
        ("1.4", vec!["1.4.0", "1.9.0"], vec!["2.0.0", "1.3.0"]),
        ("*", vec!["0.0.0", "9.9.9-x"], vec![]),
    ] {
        for version in inside {
            assert!(contains(range, version), "{range} has {version}");
        }
        for version in outside {
            assert!(!contains(range, version), "{range} has no {version}");
        }
    }
}

#[test]
fn the_highest_version_is_the_highest_that_the_channel_takes() {
    let all = ["1.9.0", "1.10.0", "2.0.0-rc1", "latest"];
    assert_eq!(chosen(None, &all).as_deref(), Some("1.10.0"));
    let channels = |pattern| channel("x", true, vec![rule(&[], None, Some(pattern))]);
    assert_eq!(chosen(Some(&channels("^$")), &all).as_deref(), Some("1.10.0"));
    assert_eq!(chosen(Some(&channels("")), &all).as_deref(), Some("2.0.0-rc1"));
    assert_eq!(chosen(Some(&channels("^beta")), &all), None);
    let other = channel("x", true, vec![rule(&["web"], Some("=1"), None)]);
    assert_eq!(chosen(Some(&other), &all).as_deref(), Some("1.10.0"), "no rule: the highest that is no pre-release");
    let narrow = channel("x", true, vec![rule(&["api"], Some("<1.10"), None), rule(&[], Some("=7"), None)]);
    assert_eq!(
        chosen(Some(&narrow), &all).as_deref(),
        Some("1.9.0"),
        "the rule that names it, not that for all others"
    );
}

#[test]
fn a_release_without_a_channel_belongs_to_the_default() {
    let channels = Channels::new(vec![channel("beta", false, vec![]), channel("stable", true, vec![])], &[]).unwrap();
    assert_eq!(channels.of(None).unwrap().unwrap().name.as_str(), "stable");
    assert_eq!(channels.of(Some("beta")).unwrap().unwrap().name.as_str(), "beta");
    let said = channels.of(Some("hotfix")).unwrap_err().to_string();
    assert!(said.contains("no channel hotfix, only beta, stable"), "{said}");
    assert_eq!(Channels::default().of(None), Ok(None));
    assert!(Channels::default().of(Some("x")).is_err());
}

#[test]
fn every_mistake_is_named_with_its_path_and_a_remedy() {
    let wrong = |channels| {
        let wrong = Channels::new(channels, &[name("api")]).unwrap_err();
        wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let said = wrong(vec![channel("a", false, vec![])]);
    assert_eq!(said, "spec.channels: no channel is the default: write default: true at exactly one");
    let said = wrong(vec![channel("a", true, vec![]), channel("a", true, vec![])]);
    assert!(said.contains("spec.channels[1].name: channel a is given twice"), "{said}");
    assert!(said.contains("a, a are all the default"), "{said}");
    let (one, all) = (|| rule(&["api"], Some("1"), None), || rule(&[], Some("1"), None));
    let said = wrong(vec![channel("a", true, vec![one(), one(), all(), all(), rule(&["x"], Some("1"), None)])]);
    assert!(said.contains("spec.channels[0].rules[1].packages: package api has a rule already, rules[0]"), "{said}");
    assert!(said.contains("spec.channels[0].rules[3].packages: rules[2] is already the rule for all"), "{said}");
    assert!(said.contains("spec.channels[0].rules[4].packages: the project has no package x"), "{said}");
}

#[test]
fn a_rule_that_cannot_be_read_says_what_to_write() {
    let wrong = |versions: Option<&str>, prerelease: Option<&str>| {
        let wrong = Rule::read(vec![], (versions, prerelease), "r").unwrap_err();
        wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(wrong(None, None).starts_with("r: a rule needs a range or a pattern"));
    let both = wrong(Some("one"), Some("(rc"));
    assert!(both.contains("r.versions: \"one\" is no range of versions") && both.contains("~1.4"), "{both}");
    assert!(both.contains("r.prerelease: \"(rc\" is no regular expression (unclosed group)"), "{both}");
    for large in ["(((a{100}){100}){100})".to_owned(), "\\w{500}".to_owned(), "(".repeat(40), "a".repeat(257)] {
        let said = wrong(None, Some(&large));
        assert!(said.starts_with("r.prerelease: ") && said.len() < 500, "{said}");
    }
    assert!(wrong(Some(&"1".repeat(300)), None).contains("at most 256"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_is_chosen_is_accepted_and_nothing_accepted_is_higher(
        texts in prop::collection::vec("[0-2](\\.[0-2]){0,3}(-(rc|beta)\\.[0-2])?", 0..12),
        versions in prop::option::of(prop_oneof![Just(">=1"), Just("<2"), Just("~1.1"), Just(">=1.0.0-rc.1")]),
        prerelease in prop::option::of(prop_oneof![Just("^$"), Just("^rc"), Just("")]),
    ) {
        prop_assume!(versions.is_some() || prerelease.is_some());
        let channel = channel("x", true, vec![rule(&[], versions, prerelease)]);
        let tags: Vec<Tag> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let accepted = tags.iter().filter(|tag| accepts(Some(&channel), &name("api"), Some(tag)).is_ok());
        let best = accepted.map(|tag| tag.to_string().parse::<Version>().unwrap()).max();
        match highest(Some(&channel), &name("api"), &tags) {
            Ok(found) => prop_assert_eq!(found.map(|found| found.version), best),
            Err(ambiguous) => {
                prop_assert_eq!(Some(ambiguous.version), best);
                prop_assert_ne!(ambiguous.first, ambiguous.second);
            }
        }
    }

    #[test]
    fn any_pattern_is_compiled_or_refused_in_a_bounded_message(text in any::<String>()) {
        if let Err((_, message)) = text.parse::<Pattern>() {
            prop_assert!(message.len() < 5000);
        }
    }
}
