use proptest::prelude::*;

use super::*;
use crate::domain::channel::Rule;

fn trigger(packages: &[&str], same_version: bool) -> Trigger {
    let packages: Vec<PackageName> = packages.iter().map(|name| name.parse().unwrap()).collect();
    Trigger {
        name: "new".parse().unwrap(),
        channel: Some("stable".parse().unwrap()),
        version_of: VersionOf::Package(packages[0].clone()),
        packages,
        same_version,
        settle: SignedDuration::from_secs(30),
        interval: SignedDuration::from_mins(5),
    }
}

fn tags(lists: &[(&str, &[&str])]) -> BTreeMap<PackageName, Vec<Tag>> {
    let list =
        |(name, tags): &(&str, &[&str])| (name.parse().unwrap(), tags.iter().map(|tag| tag.parse().unwrap()).collect());
    lists.iter().map(list).collect()
}

fn found(trigger: &Trigger, lists: &[(&str, &[&str])]) -> Option<(String, Vec<String>)> {
    let found = candidate(trigger, None, &tags(lists)).unwrap()?;
    Some((found.version.to_string(), found.packages.values().map(ToString::to_string).collect()))
}

fn expected(version: &str, tags: &[&str]) -> (String, Vec<String>) {
    (version.to_owned(), tags.iter().map(|tag| (*tag).to_owned()).collect())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seen(since: i64, last: i64) -> Seen {
    Seen { since: at(since), last: at(last) }
}

fn made(version: &str, channel: &str) -> Made {
    Made { version: version.to_owned(), channel: Some(channel.to_owned()), packages: BTreeMap::new() }
}

#[test]
fn a_release_is_made_of_the_highest_version_of_each_package() {
    let both = trigger(&["api", "web"], false);
    let lists: [(&str, &[&str]); 2] = [("api", &["1.0.0", "1.1.0", "2.0.0-rc.1"]), ("web", &["7", "6", "latest"])];
    assert_eq!(found(&both, &lists), Some(expected("1.1.0", &["1.1.0", "7"])));
    assert_eq!(found(&both, &[("api", &["1.0.0"]), ("web", &["latest"])]), None, "web has no version yet");
    assert_eq!(found(&both, &[("api", &["1.0.0"])]), None);
}

#[test]
fn with_the_same_version_it_waits_until_every_package_has_it() {
    let both = trigger(&["api", "web"], true);
    assert_eq!(
        found(&both, &[("api", &["1.0.0", "1.1.0"]), ("web", &["1.0.0"])]),
        Some(expected("1.0.0", &["1.0.0", "1.0.0"]))
    );
    assert_eq!(
        found(&both, &[("api", &["1.0.0", "1.1.0"]), ("web", &["v1.1.0", "1.0.0", "9"])]),
        Some(expected("1.1.0", &["1.1.0", "v1.1.0"]))
    );
    assert_eq!(found(&both, &[("api", &["1.0.0"]), ("web", &["2.0.0"])]), None);
    assert_eq!(found(&both, &[("api", &["1.0.0-rc"]), ("web", &["1.0.0-rc"])]), None, "no pre-releases without a rule");
}

#[test]
fn the_rules_of_the_channel_are_asked() {
    let rule = Rule::read(Vec::new(), (Some("<2"), Some("^$")), "r").unwrap();
    let stable = Channel { name: "stable".parse().unwrap(), default: true, lifecycle: None, rules: vec![rule] };
    for same_version in [false, true] {
        let trigger = trigger(&["api"], same_version);
        let lists = tags(&[("api", &["1.0.0", "1.9.0-rc", "2.0.0"])]);
        let found = candidate(&trigger, Some(&stable), &lists).unwrap().unwrap();
        assert_eq!(found.version.as_str(), "1.0.0");
    }
}

#[test]
fn what_cannot_be_chosen_or_named_is_said() {
    for same_version in [false, true] {
        let twins =
            candidate(&trigger(&["api"], same_version), None, &tags(&[("api", &["1.0", "1.0.0"])])).unwrap_err();
        assert!(twins.to_string().starts_with("package api: tags 1.0 and 1.0.0 are the same version"), "{twins}");
    }
    let rule = Rule::read(Vec::new(), (None, Some("")), "r").unwrap();
    let any = Channel { name: "any".parse().unwrap(), default: true, lifecycle: None, rules: vec![rule] };
    let loud = candidate(&trigger(&["api"], false), Some(&any), &tags(&[("api", &["1.0.0-RC1"])])).unwrap_err();
    assert!(loud.to_string().contains("tag 1.0.0-RC1 of package api cannot be the version of a release"), "{loud}");
}

#[test]
fn one_release_for_a_version_and_none_older_than_the_newest_of_the_channel() {
    let trigger = trigger(&["api"], false);
    let candidate = candidate(&trigger, None, &tags(&[("api", &["1.1.0"])])).unwrap().unwrap();
    let verdict = |made: &[Made], seen| judge(&trigger, &candidate, (made, None), seen);
    let quiet = seen(0, 30);
    assert_eq!(verdict(&[], quiet), Verdict::Make);
    assert_eq!(verdict(&[made("1.0.0", "stable"), made("nightly", "stable")], quiet), Verdict::Make);
    assert_eq!(verdict(&[made("1.1.0", "stable")], quiet), Verdict::Released);
    assert_eq!(verdict(&[made("1.2.0", "stable")], quiet), Verdict::Older);
    assert_eq!(verdict(&[made("1.1", "stable")], quiet), Verdict::Older, "the same, written otherwise");
    assert_eq!(verdict(&[made("9.0.0", "beta")], quiet), Verdict::Make, "another channel is another stream");
    assert_eq!(
        verdict(&[made("1.1.0", "beta")], quiet),
        Verdict::Taken { why: "it is in channel beta, not in channel stable".to_owned() }
    );
    let other = Made { packages: [("api".to_owned(), "0.9".to_owned())].into(), ..made("1.1.0", "stable") };
    assert_eq!(
        verdict(&[other], quiet),
        Verdict::Taken { why: "it has version 0.9 of package api, not 1.1.0".to_owned() }
    );
}

fn highest(version: &str, channel: &str) -> Highest {
    Highest { version: version.to_owned(), channel: Some(channel.to_owned()) }
}

#[test]
fn what_was_released_and_deleted_is_not_made_again_until_there_is_something_newer() {
    let trigger = trigger(&["api"], false);
    let candidate = candidate(&trigger, None, &tags(&[("api", &["1.1.0"])])).unwrap().unwrap();
    let verdict = |highest| judge(&trigger, &candidate, (&[made("1.0.0", "stable")], Some(&highest)), seen(0, 30));
    assert_eq!(verdict(highest("1.1.0", "stable")), Verdict::Gone);
    assert_eq!(verdict(highest("1.1", "stable")), Verdict::Gone, "the same, written otherwise");
    assert_eq!(verdict(highest("1.2.0", "stable")), Verdict::Older);
    assert_eq!(verdict(highest("1.0.0", "stable")), Verdict::Make);
    assert_eq!(verdict(highest("9.0.0", "beta")), Verdict::Make, "it went to another channel before");
    assert_eq!(verdict(highest("edited", "stable")), Verdict::Make, "what is no version says nothing");
    let joined = |known, other| Highest::joined(Some(known), other).version;
    assert_eq!(joined(highest("1.2.0", "stable"), highest("1.10.0", "stable")), "1.10.0");
    assert_eq!(joined(highest("1.10.0", "stable"), highest("1.2.0", "stable")), "1.10.0");
    assert_eq!(joined(highest("9.0.0", "beta"), highest("1.2.0", "stable")), "1.2.0");
}

#[test]
fn nothing_is_made_before_it_was_quiet_and_the_registries_were_asked_once_more() {
    let trigger = trigger(&["api"], false);
    let candidate = candidate(&trigger, None, &tags(&[("api", &["1.1.0"])])).unwrap().unwrap();
    assert_eq!(judge(&trigger, &candidate, (&[], None), seen(100, 100)), Verdict::Settling { until: at(130) });
    assert_eq!(judge(&trigger, &candidate, (&[], None), seen(100, 129)), Verdict::Settling { until: at(130) });
    assert_eq!(judge(&trigger, &candidate, (&[], None), seen(100, 130)), Verdict::Make);
    // One of several packages came first, and the one that gives the version did not come yet.
    let other = Made { packages: [("api".to_owned(), "0.9".to_owned())].into(), ..made("1.1.0", "stable") };
    assert_eq!(judge(&trigger, &candidate, (&[other], None), seen(100, 129)), Verdict::Settling { until: at(130) });
    let eager = Trigger { settle: SignedDuration::ZERO, ..trigger };
    assert_eq!(judge(&eager, &candidate, (&[], None), seen(100, 100)), Verdict::Make);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn releases_only_go_forward_and_end_also_when_somebody_deletes_them(
        pushes in prop::collection::vec(("[0-2]\\.[0-2](\\.[0-2])?(-rc)?", any::<bool>()), 1..20),
        same_version in any::<bool>(),
    ) {
        let trigger = Trigger { settle: SignedDuration::ZERO, ..trigger(&["api"], same_version) };
        let (mut tags, mut made): (Vec<Tag>, Vec<Made>) = (Vec::new(), Vec::new());
        let mut memory: Option<Highest> = None;
        for (push, deleted) in pushes {
            if deleted {
                made.clear();
            }
            tags.push(push.parse().unwrap());
            let lists = BTreeMap::from([("api".parse().unwrap(), tags.clone())]);
            // Whatever was pushed, one round is enough: the next has nothing more to do.
            for round in 0..2 {
                let Ok(Some(candidate)) = candidate(&trigger, None, &lists) else { break };
                if judge(&trigger, &candidate, (&made, memory.as_ref()), seen(0, 0)) != Verdict::Make {
                    break;
                }
                prop_assert_eq!(round, 0);
                let newest = memory.as_ref().map(|known| known.version.parse::<Version>().unwrap());
                prop_assert!(newest.is_none_or(|newest| newest < candidate.rank));
                memory = Some(Highest::joined(memory, highest(candidate.version.as_str(), "stable")));
                made.push(Made {
                    version: candidate.version.to_string(), channel: Some("stable".into()), packages: BTreeMap::new(),
                });
            }
        }
    }
}

#[test]
fn a_template_makes_the_version_of_several_packages() {
    let templated =
        |text: &str| Trigger { version_of: VersionOf::Template(text.to_owned()), ..trigger(&["api", "web"], false) };
    let lists = tags(&[("api", &["1.4.0", "1.3.0"]), ("web", &["v7.1.2"])]);
    let version =
        |text: &str| candidate(&templated(text), None, &lists).map(|found| found.unwrap().version.to_string());
    for (text, expected) in [
        ("${{ packages.api.version }}-web.${{ packages.web.version.replace('v', '') }}", "1.4.0-web.7.1.2"),
        ("${{ packages.api.version }}.${{ semver(packages.web.version).major }}", "1.4.0.7"),
        ("${{ packages.web.version }}-${{ channel.name }}", "v7.1.2-stable"),
        ("${{ semver(packages.web.version).major }}", "7"),
    ] {
        assert_eq!(version(text).unwrap(), expected, "{text}");
    }
    for (text, part) in [
        ("${{ packages.worker.version }}", "spec.versioning.template: there is no field worker"),
        ("${{ packages.api.version }}_x", "it makes \"1.4.0_x\", which cannot be the version of a release"),
        ("${{ packages.api.version }}-RC", "cannot be the version of a release"),
        ("build-${{ packages.api.version }}", "let it make one to four numbers"),
        ("${{ variables.A }}", "variable A is declared nowhere"),
    ] {
        let wrong = version(text).unwrap_err().to_string();
        assert!(wrong.contains(part), "{text}: {wrong}");
    }
    // It is judged by the version that it makes.
    let (trigger, seen) =
        (templated("${{ packages.api.version }}.${{ semver(packages.web.version).major }}"), seen(0, 30));
    let candidate = candidate(&trigger, None, &lists).unwrap().unwrap();
    assert_eq!(judge(&trigger, &candidate, (&[made("1.4.0.6", "stable")], None), seen), Verdict::Make);
    assert_eq!(judge(&trigger, &candidate, (&[made("1.4.0.8", "stable")], None), seen), Verdict::Older);
    assert_eq!(judge(&trigger, &candidate, (&[made("1.4.0.7", "stable")], None), seen), Verdict::Released);
}
