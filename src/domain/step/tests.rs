use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn subject() -> Subject {
    Subject {
        environment: "dev".into(),
        target: "eu".into(),
        roles: names(&["web", "edge"]),
        channel: Some("beta".into()),
        step: "deploy".into(),
    }
}

#[test]
fn a_step_runs_where_every_kind_of_names_that_it_gives_has_one_that_fits() {
    for (environments, channels, roles, expected) in [
        (&[][..], &[][..], &[][..], None),
        (&["test", "dev"], &["beta"], &["edge", "db"], None),
        (&["test"], &["stable"], &["db"], Some((Skip::Environment, "it runs in test only, and this is dev"))),
        (
            &["dev"],
            &["stable", "hotfix"],
            &["db"],
            Some((
                Skip::Channel,
                "it runs for releases of channel stable or hotfix only, and this one is of channel beta",
            )),
        ),
        (
            &[],
            &[],
            &["a", "b", "c"],
            Some((Skip::Roles, "it runs in targets of role a, b or c only, and target eu has web or edge")),
        ),
    ] {
        let conditions =
            Conditions { environments: names(environments), channels: names(channels), roles: names(roles) };
        let skipped = conditions.skipped(&subject());
        assert_eq!(skipped.as_ref().map(|skipped| (skipped.reason, skipped.message.as_str())), expected);
    }
}

#[test]
fn a_release_without_channel_and_a_target_without_role_fit_no_name() {
    let plain = Subject { channel: None, roles: Vec::new(), ..subject() };
    let channels = Conditions { channels: names(&["beta"]), ..Conditions::default() };
    let message = channels.skipped(&plain).unwrap().message;
    assert_eq!(message, "it runs for releases of channel beta only, and this one has no channel");
    let roles = Conditions { roles: names(&["web"]), ..Conditions::default() };
    let message = roles.skipped(&plain).unwrap().message;
    assert_eq!(message, "it runs in targets of role web only, and target eu has no role");
}

#[test]
fn after_what_a_step_runs_reads_back_and_always_covers_both() {
    for one in RunOn::ALL {
        assert_eq!(RunOn::parse(one.as_str()), Some(one));
        assert_eq!(one.runs(true) && one.runs(false), one == RunOn::Always);
    }
    assert_eq!((RunOn::Success.runs(true), RunOn::Failure.runs(false), RunOn::parse("success")), (false, false, None));
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: BTreeSet<&str> = Skip::ALL.into_iter().map(Skip::as_str).collect();
    assert_eq!(words.len(), Skip::ALL.len());
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(of, 0..=of.len()).prop_map(|chosen| names(&chosen))
}

proptest! {
    #[test]
    fn more_names_of_a_kind_that_is_given_never_skip_what_ran(
        environments in some(&["dev", "test"]), channels in some(&["beta", "stable"]), roles in some(&["web", "db"]),
        one in prop::sample::select(&["dev", "test"][..]),
    ) {
        let conditions = Conditions { environments, channels, roles };
        prop_assume!(!conditions.environments.is_empty() && conditions.skipped(&subject()).is_none());
        let mut more = conditions;
        more.environments.push(one.to_owned());
        prop_assert_eq!(more.skipped(&subject()), None);
    }
}
