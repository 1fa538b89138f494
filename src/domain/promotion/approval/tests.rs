use proptest::prelude::*;

use super::*;

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), uid: None }
}

fn proposal() -> Proposal {
    Proposal {
        uid: "u".to_owned(),
        environment: "production".to_owned(),
        plan_digest: Some("plan".to_owned()),
        requested_by: Some(person("alice")),
        on_behalf_of: None,
        unasked: false,
    }
}

fn two() -> Rule {
    Rule { required: 2, rollback: 1, allow_requester: false, allow_service_accounts: false }
}

/// The approval of somebody, in its second.
fn yes(by: &str, second: i64) -> Decision {
    Decision {
        approval: format!("{by}-{second}"),
        approval_uid: format!("uid of {by}-{second}"),
        at: Timestamp::from_second(second).unwrap(),
        by: Some(person(by)),
        choice: Choice::Approve,
        promotion_uid: "u".to_owned(),
        environment: "production".to_owned(),
        plan_digest: "plan".to_owned(),
        comment: None,
    }
}

fn no(by: &str, second: i64) -> Decision {
    Decision { choice: Choice::Reject, ..yes(by, second) }
}

fn of(decisions: Vec<Decision>) -> Tally {
    tally(proposal(), (two(), two()), Before::Never, decisions)
}

fn voids(tally: &Tally) -> Vec<(&str, Option<Void>)> {
    tally.judged.iter().map(|known| (known.decision.approval.as_str(), known.void)).collect()
}

#[test]
fn a_decision_counts_for_its_promotion_environment_and_plan_alone() {
    for (decision, void) in [
        (yes("bob", 1), None),
        (Decision { by: None, ..yes("bob", 1) }, Some(Void::NotStamped)),
        (Decision { promotion_uid: "v".to_owned(), ..yes("bob", 1) }, Some(Void::OtherPromotion)),
        (Decision { environment: "test".to_owned(), ..yes("bob", 1) }, Some(Void::OtherEnvironment)),
        (Decision { plan_digest: "other".to_owned(), ..yes("bob", 1) }, Some(Void::OtherPlan)),
        (Decision { plan_digest: "other".to_owned(), ..no("bob", 1) }, Some(Void::OtherPlan)),
    ] {
        let said = of(vec![decision.clone()]);
        assert_eq!(said.judged[0].void, void, "{decision:?}");
        assert_eq!(said.missing(), if void.is_none() { 1 } else { 2 });
        assert_eq!(said.rejection(), None);
    }
    let unknown = Proposal { plan_digest: None, ..proposal() };
    let said = tally(unknown, (two(), two()), Before::Never, vec![yes("bob", 1)]);
    assert_eq!(said.judged[0].void, Some(Void::OtherPlan), "nobody can approve what nobody knows");
}

#[test]
fn whoever_asked_cannot_approve_in_whatever_way_they_asked() {
    let pinned = Proposal {
        requested_by: Some(person("system:serviceaccount:shop:flux")),
        on_behalf_of: Some(" Carol@Example.com ".to_owned()),
        ..proposal()
    };
    let open = Rule { allow_service_accounts: true, ..two() };
    for (asked, by, void) in [
        (proposal(), "alice", Some(Void::Requester)),
        (proposal(), "bob", None),
        (pinned.clone(), "carol@example.com", Some(Void::Requester)),
        (pinned.clone(), "system:serviceaccount:shop:flux", Some(Void::Requester)),
        (pinned, "system:serviceaccount:shop:scanner", None),
    ] {
        assert_eq!(tally(asked, (open, open), Before::Never, vec![yes(by, 1)]).judged[0].void, void, "{by}");
    }
    let renamed = Person { uid: Some("1".to_owned()), ..person("alice.new") };
    let asked = Proposal { requested_by: Some(Person { uid: Some("1".to_owned()), ..person("alice") }), ..proposal() };
    let said = tally(asked, (two(), two()), Before::Never, vec![Decision { by: Some(renamed), ..yes("x", 1) }]);
    assert_eq!(said.judged[0].void, Some(Void::Requester), "the uid says that they are one");
    let allowed = Rule { allow_requester: true, ..two() };
    assert_eq!(tally(proposal(), (allowed, allowed), Before::Never, vec![yes("alice", 1)]).judged[0].void, None);
}

#[test]
fn a_service_account_approves_only_where_it_may_and_rejects_everywhere() {
    let robot = "system:serviceaccount:shop:scanner";
    assert_eq!(of(vec![yes(robot, 1)]).judged[0].void, Some(Void::ServiceAccount));
    assert!(of(vec![no(robot, 1)]).rejection().is_some());
}

#[test]
fn a_person_counts_once_and_their_first_approval_that_counts_is_the_one() {
    let stale = Decision { plan_digest: "other".to_owned(), ..yes("bob", 1) };
    let said = of(vec![yes("bob", 3), yes("bob", 2), stale]);
    let expected = [("bob-1", Some(Void::OtherPlan)), ("bob-2", None), ("bob-3", Some(Void::Repeated))];
    assert_eq!(voids(&said), expected);
    assert_eq!(said.missing(), 1);
}

#[test]
fn a_rejection_counts_whoever_approved_and_whoever_asked() {
    assert_eq!(of(vec![yes("bob", 1), no("bob", 2)]).rejection().unwrap().approval, "bob-2");
    let both = of(vec![yes("bob", 1), yes("carol", 2), no("alice", 3)]);
    assert_eq!((both.missing(), both.rejection().unwrap().approval.as_str()), (0, "alice-3"));
}

#[test]
fn a_return_to_what_succeeded_there_has_a_rule_of_its_own() {
    let none = Rule { rollback: 0, ..two() };
    assert_eq!(tally(proposal(), (none, none), Before::Itself, Vec::new()).missing(), 0);
    assert_eq!(tally(proposal(), (two(), two()), Before::Itself, Vec::new()).missing(), 1);
    assert_eq!(tally(proposal(), (none, none), Before::Never, Vec::new()).missing(), 2);
    // Another release of that name is not what succeeded there.
    let another = tally(proposal(), (none, none), Before::Another, Vec::new());
    assert_eq!((another.missing(), another.is_no_return()), (2, true));
    let strict = Rule { rollback: 2, ..two() };
    assert!(!tally(proposal(), (strict, strict), Before::Another, Vec::new()).is_no_return(), "a return needs as many");
}

#[test]
fn only_a_robot_that_names_nobody_is_anonymous_and_only_where_that_matters() {
    let robot = Proposal { requested_by: Some(person("system:serviceaccount:shop:flux")), ..proposal() };
    let named = Proposal { on_behalf_of: Some("carol".to_owned()), ..robot.clone() };
    let blank = Proposal { on_behalf_of: Some(" ".to_owned()), ..robot.clone() };
    let said = |proposal: &Proposal, rule: Rule| {
        tally(proposal.clone(), (rule, rule), Before::Never, Vec::new()).is_anonymous()
    };
    assert!(said(&robot, two()) && said(&blank, two()));
    assert!(said(&Proposal { requested_by: None, ..robot.clone() }, two()));
    assert!(!said(&named, two()) && !said(&proposal(), two()));
    assert!(!said(&robot, Rule { allow_requester: true, ..two() }) && !said(&robot, Rule::NONE));
}

#[test]
fn every_void_decision_says_what_to_do() {
    for void in [
        Void::NotStamped,
        Void::OtherPromotion,
        Void::OtherEnvironment,
        Void::OtherPlan,
        Void::Requester,
        Void::ServiceAccount,
        Void::Repeated,
    ] {
        let sentence = void.sentence();
        assert!(sentence.contains("decide again") || sentence.contains(": ask "), "{sentence}");
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    (0..4_u32, 0..4_u32, any::<bool>(), any::<bool>()).prop_map(|(required, rollback, requester, accounts)| Rule {
        required,
        rollback,
        allow_requester: requester,
        allow_service_accounts: accounts,
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    let names = prop_oneof![Just("alice"), Just("bob"), Just("carol"), Just("system:serviceaccount:shop:scanner")];
    (names, 0..6_i64, any::<bool>(), any::<bool>()).prop_map(|(by, second, approves, current)| Decision {
        choice: if approves { Choice::Approve } else { Choice::Reject },
        plan_digest: if current { "plan".to_owned() } else { "other".to_owned() },
        ..yes(by, second)
    })
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![Just(Before::Never), Just(Before::Itself), Just(Before::Another)]
}

proptest! {
    #[test]
    fn the_stricter_of_two_rules_needs_no_less_than_either_and_takes_no_more(
        one in rule(), other in rule(), before in before(), decisions in prop::collection::vec(decision(), 0..6),
    ) {
        let both = one.stricter(other);
        let missing = |rule: Rule| tally(proposal(), (rule, rule), before, decisions.clone()).missing();
        prop_assert_eq!(both, other.stricter(one));
        prop_assert!(both.needed(before) >= one.needed(before).max(other.needed(before)));
        prop_assert!(missing(both) >= missing(one).max(missing(other)));
        prop_assert_eq!(Rule::NONE.stricter(one), one);
    }

    #[test]
    fn nothing_starts_on_fewer_people_than_needed(
        rule in rule(), decisions in prop::collection::vec(decision(), 0..8),
    ) {
        let said = tally(proposal(), (rule, rule), Before::Never, decisions.clone());
        let mut people: Vec<&str> = said.given().filter_map(|known| Some(known.by.as_ref()?.name.as_str())).collect();
        people.sort_unstable();
        people.dedup();
        prop_assert_eq!(people.len(), said.given().count(), "one decision a person");
        prop_assert_eq!(said.missing() == 0, people.len() >= rule.required as usize);
        for name in people {
            prop_assert!(rule.allow_requester || name != "alice");
            prop_assert!(rule.allow_service_accounts || !name.starts_with("system:"));
        }
    }

    #[test]
    fn the_order_in_which_decisions_become_known_changes_nothing(
        decisions in prop::collection::vec(decision(), 0..8).prop_shuffle(),
    ) {
        let mut names = std::collections::BTreeSet::new();
        let unique: Vec<_> = decisions.into_iter().filter(|one| names.insert(one.approval.clone())).collect();
        let mut reversed = unique.clone();
        reversed.reverse();
        prop_assert_eq!(of(unique), of(reversed));
    }
}
