use proptest::prelude::*;

use super::*;

fn entry(name: &str, created: i64) -> Entry {
    Entry {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        created: Timestamp::from_second(created).unwrap(),
        origin: Origin::Asked,
        running: false,
        claim: Claim::Fit,
        priority: 0,
        partial: false,
        passes_freezes: false,
        rollback_of: None,
    }
}

fn behind(promotion: &str) -> Standing {
    Standing::Behind { promotion: promotion.to_owned() }
}

fn superseded_by(promotion: &str) -> Standing {
    Standing::SupersededBy { promotion: promotion.to_owned() }
}

fn standings(entries: &[Entry], policy: Policy, history: bool) -> Vec<Standing> {
    entries.iter().map(|me| standing(me, entries, policy, history)).collect()
}

#[test]
fn a_lone_promotion_is_next_under_every_policy_with_and_without_history() {
    for policy in [Policy::Queue, Policy::Supersede] {
        for history in [true, false] {
            let me = entry("a", 1);
            assert_eq!(standing(&me, std::slice::from_ref(&me), policy, history), Standing::Next);
            assert_eq!(standing(&me, &[], policy, history), Standing::Next);
        }
    }
}

#[test]
fn promotions_queue_by_creation_and_then_by_name() {
    let entries = [entry("b", 2), entry("c", 2), entry("a", 3), entry("z", 1)];
    assert_eq!(standings(&entries, Policy::Queue, true), [behind("z"), behind("b"), behind("c"), Standing::Next]);
}

#[test]
fn of_one_second_the_release_that_was_made_earlier_comes_first_and_not_the_lower_name() {
    let automatic =
        |version: &str| Entry { origin: Origin::Lifecycle(made(1, version)), ..entry(&format!("c-{version}"), 2) };
    let (old, new) = (automatic("1.9.0"), automatic("1.10.0"));
    let both = [old.clone(), new.clone()];
    assert_eq!(standings(&both, Policy::Queue, true), [Standing::Next, behind("c-1.9.0")]);
    assert_eq!(standings(&both, Policy::Supersede, true), [superseded_by("c-1.10.0"), Standing::Next]);
    let begun = [old.clone(), Entry { running: true, ..new.clone() }];
    assert_eq!(standings(&begun, Policy::Supersede, true), [superseded_by("c-1.10.0"), Standing::Next]);
    let begun = [Entry { running: true, ..old }, new.clone()];
    assert_eq!(standings(&begun, Policy::Supersede, true), [Standing::Next, behind("c-1.9.0")]);
    // What somebody asks for in the same second is not undone by what goes on by itself.
    let asked = Entry { origin: Origin::Asked, ..entry("a", 2) };
    assert_eq!(standings(&[new.clone(), asked.clone()], Policy::Supersede, true), [superseded_by("a"), Standing::Next]);
    let begun = [new, Entry { running: true, ..asked }];
    assert_eq!(
        standings(&begun, Policy::Supersede, true),
        [behind("a"), Standing::Next],
        "nobody knows which came first"
    );
}

#[test]
fn what_goes_on_by_itself_never_goes_backwards_however_late_it_is_looked_at() {
    let automatic = Entry { origin: Origin::Lifecycle(made(1, "1.9.0")), ..entry("old", 2) };
    let newer = made(1, "1.10.0");
    assert_eq!(overtaken(&automatic, Some(("new", &newer))), Some(superseded_by("new")));
    assert_eq!(overtaken(&automatic, Some(("same", &made(1, "1.9.0")))), None);
    assert_eq!(overtaken(&automatic, Some(("older", &made(0, "2.0.0")))), None, "somebody went back there");
    assert_eq!(overtaken(&automatic, None), None);
    assert_eq!(overtaken(&Entry { running: true, ..automatic }, Some(("new", &newer))), None);
    for origin in [Origin::Asked, Origin::Pin(3)] {
        assert_eq!(overtaken(&Entry { origin, ..entry("asked", 2) }, Some(("new", &newer))), None, "that may go back");
    }
}

#[test]
fn of_one_second_the_newest_generation_of_a_pin_comes_last_also_when_it_goes_back() {
    let pinned = |name: &str, generation| Entry { origin: Origin::Pin(generation), ..entry(name, 2) };
    let both = [pinned("checkout-1.1.0-dev-ffff", 9), pinned("checkout-1.0.0-dev-0000", 10)];
    let expected = [superseded_by("checkout-1.0.0-dev-0000"), Standing::Next];
    assert_eq!(standings(&both, Policy::Supersede, true), expected);
    assert_eq!(standings(&both, Policy::Queue, true)[0], Standing::Next);
}

#[test]
fn a_higher_priority_goes_first() {
    let urgent = Entry { priority: 1, ..entry("urgent", 9) };
    let entries = [entry("a", 1), urgent];
    assert_eq!(standings(&entries, Policy::Queue, true), [behind("urgent"), Standing::Next]);
    assert_eq!(standings(&entries, Policy::Supersede, true), [superseded_by("urgent"), Standing::Next]);
}

#[test]
fn a_newer_promotion_of_lower_priority_replaces_nothing() {
    let idle = Entry { priority: -1, ..entry("idle", 9) };
    let entries = [entry("a", 1), idle];
    assert_eq!(standings(&entries, Policy::Supersede, true), [Standing::Next, behind("a")]);
}

#[test]
fn everybody_waits_for_the_one_that_runs() {
    let running = Entry { running: true, ..entry("b", 2) };
    let entries = [entry("a", 1), running, entry("c", 3)];
    assert_eq!(standings(&entries, Policy::Queue, true), [behind("b"), Standing::Next, behind("b")]);
    assert_eq!(standings(&entries, Policy::Queue, false), [behind("b"), Standing::Next, behind("b")]);
}

#[test]
fn the_newest_replaces_all_older_ones_that_wait_and_never_the_one_that_runs() {
    let running = Entry { running: true, ..entry("a", 1) };
    let entries = [running, entry("b", 2), entry("c", 3), entry("d", 4)];
    assert_eq!(
        standings(&entries, Policy::Supersede, true),
        [Standing::Next, superseded_by("d"), superseded_by("d"), behind("a")]
    );
}

#[test]
fn a_newer_one_that_runs_already_replaces_an_older_one_that_waits() {
    let running = Entry { running: true, ..entry("b", 2) };
    let entries = [entry("a", 1), running];
    assert_eq!(standings(&entries, Policy::Supersede, true), [superseded_by("b"), Standing::Next]);
}

#[test]
fn one_that_may_be_about_to_be_refused_replaces_nothing_yet() {
    let unjudged = Entry { claim: Claim::Unjudged, ..entry("typo", 2) };
    let entries = [entry("good", 1), unjudged];
    assert_eq!(standings(&entries, Policy::Supersede, true), [Standing::Next, behind("good")]);
}

#[test]
fn one_that_was_not_judged_yet_keeps_its_place() {
    let unjudged = Entry { claim: Claim::Unjudged, ..entry("first", 1) };
    let entries = [unjudged, entry("second", 2)];
    assert_eq!(standings(&entries, Policy::Queue, true), [Standing::Next, behind("first")]);
}

#[test]
fn of_those_that_were_held_together_an_older_one_waits_until_the_newest_is_judged_again() {
    let held = |name, created| Entry { claim: Claim::AllHeld, ..entry(name, created) };
    let entries = [held("a", 1), held("b", 2), held("c", 3)];
    assert_eq!(standings(&entries, Policy::Supersede, true), [behind("c"), behind("c"), behind("b")]);
    let judged = [held("a", 1), held("b", 2), entry("c", 3)];
    assert_eq!(
        standings(&judged, Policy::Supersede, true),
        [superseded_by("c"), superseded_by("c"), Standing::Next],
        "it says that it waits, which is enough to be found fit"
    );
    assert_eq!(standings(&entries, Policy::Queue, true), [Standing::Next, behind("a"), behind("b")]);
    let part = Entry { partial: true, ..held("part", 4) };
    assert_eq!(
        standings(&[held("a", 1), part], Policy::Supersede, true)[0],
        Standing::Next,
        "it would replace nothing"
    );
}

#[test]
fn one_that_waits_for_its_own_release_keeps_nobody_waiting_and_replaces_nobody() {
    let held = |created| Entry { claim: Claim::Held, ..entry("held", created) };
    for policy in [Policy::Queue, Policy::Supersede] {
        for history in [true, false] {
            assert_eq!(standings(&[held(1), entry("fit", 2)], policy, history)[1], Standing::Next);
            assert_eq!(standings(&[entry("fit", 1), held(2)], policy, history)[0], Standing::Next);
        }
    }
}

#[test]
fn one_that_a_freeze_holds_keeps_its_place_but_to_those_that_pass_freezes() {
    let frozen = |name, created| Entry { claim: Claim::Frozen, ..entry(name, created) };
    for policy in [Policy::Queue, Policy::Supersede] {
        for history in [true, false] {
            let hotfix = Entry { passes_freezes: true, ..entry("hotfix", 2) };
            assert_eq!(standings(&[frozen("frozen", 1), hotfix], policy, history)[1], Standing::Next);
        }
        let both = [frozen("first", 1), frozen("second", 2)];
        assert_eq!(
            standings(&both, policy, true),
            [Standing::Next, behind("first")],
            "when it ends, the order is as before"
        );
        assert_eq!(standings(&[entry("fit", 1), frozen("second", 2)], policy, true)[0], Standing::Next);
    }
    let fit = [frozen("first", 1), entry("fit", 2)];
    assert_eq!(standings(&fit, Policy::Queue, true)[1], behind("first"));
    assert_eq!(standings(&fit, Policy::Supersede, true), [superseded_by("fit"), Standing::Next]);
}

#[test]
fn one_whose_time_has_not_come_keeps_nobody_waiting_replaces_nobody_and_is_not_replaced() {
    let scheduled = |created| Entry { claim: Claim::Scheduled, ..entry("tonight", created) };
    for policy in [Policy::Queue, Policy::Supersede] {
        assert_eq!(standings(&[scheduled(1), entry("now", 2)], policy, true)[1], Standing::Next);
        assert_eq!(standings(&[entry("now", 1), scheduled(2)], policy, true)[0], Standing::Next);
        assert_ne!(standings(&[scheduled(1), entry("now", 2)], policy, true)[0], superseded_by("now"));
        let running = Entry { running: true, ..entry("now", 2) };
        assert_eq!(standings(&[scheduled(1), running], policy, true)[0], behind("now"));
    }
}

#[test]
fn a_part_of_a_release_replaces_nothing_and_is_replaced_by_a_whole_one() {
    let part = |created| Entry { partial: true, ..entry("part", created) };
    assert_eq!(standings(&[entry("a", 1), part(2)], Policy::Supersede, true), [Standing::Next, behind("a")]);
    assert_eq!(standings(&[part(1), entry("a", 2)], Policy::Supersede, true), [superseded_by("a"), Standing::Next]);
    let running = Entry { running: true, ..part(2) };
    assert_eq!(standings(&[entry("a", 1), running], Policy::Supersede, true), [behind("part"), Standing::Next]);
}

#[test]
fn a_rollback_takes_the_turn_of_the_one_that_failed_before_all_others_and_replaces_none() {
    let failed = Entry { running: true, ..entry("failed", 1) };
    let rollback = Entry { rollback_of: Some(failed.uid.clone()), ..entry("rollback", 3) };
    let urgent = Entry { priority: 9, ..entry("urgent", 2) };
    for policy in [Policy::Queue, Policy::Supersede] {
        let entries = [failed.clone(), urgent.clone(), rollback.clone()];
        assert_eq!(standings(&entries, policy, true), [Standing::Next, behind("failed"), Standing::Next]);
        let underway = Entry { running: true, ..rollback.clone() };
        let entries = [urgent.clone(), underway];
        assert_eq!(standings(&entries, policy, true), [behind("rollback"), Standing::Next]);
    }
    // Who promotes something while it still waits wants that.
    let newer = entry("newer", 4);
    let entries = [failed, rollback, newer];
    assert_eq!(standings(&entries, Policy::Supersede, true)[1], superseded_by("newer"));
}

#[test]
fn without_history_nothing_says_which_of_several_comes_first() {
    let entries = [entry("c", 1), entry("a", 2), entry("b", 3)];
    let ambiguous = |others: [&str; 2]| Standing::Ambiguous { others: others.map(str::to_owned).to_vec() };
    for policy in [Policy::Queue, Policy::Supersede] {
        assert_eq!(
            standings(&entries, policy, false),
            [ambiguous(["a", "b"]), ambiguous(["b", "c"]), ambiguous(["a", "c"])]
        );
    }
}

fn entries(running: impl Strategy<Value = Option<prop::sample::Index>>) -> impl Strategy<Value = Vec<Entry>> {
    let claims = prop_oneof![1 => Just(Claim::Unjudged), 4 => Just(Claim::Fit)];
    let one = (0..4_i64, -1..=1_i32, claims, any::<bool>(), origins());
    (prop::collection::vec(one, 1..8), running).prop_map(|(seeds, running)| {
        let mut entries: Vec<Entry> = seeds
            .into_iter()
            .enumerate()
            .map(|(index, (created, priority, claim, partial, origin))| Entry {
                origin,
                claim,
                priority,
                partial,
                ..entry(&format!("p{index}"), created)
            })
            .collect();
        if let Some(index) = running {
            let index = index.index(entries.len());
            entries[index].running = true;
        }
        entries
    })
}

fn made(second: i64, version: &str) -> Made {
    Made::new(Timestamp::from_second(second).unwrap(), version)
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![
        2 => (0..2_i64, 0..12_i32).prop_map(|(second, minor)| Origin::Lifecycle(made(second, &format!("1.{minor}.0")))),
        2 => Just(Origin::Asked),
        1 => (1..12_i64).prop_map(Origin::Pin),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Queue), Just(Policy::Supersede)]
}

fn next(entries: &[Entry], policy: Policy, history: bool) -> Vec<&Entry> {
    entries.iter().filter(|me| standing(me, entries, policy, history) == Standing::Next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn exactly_one_is_next_when_nothing_runs(entries in entries(Just(None)), policy in policies()) {
        prop_assert_eq!(next(&entries, policy, true).len(), 1);
    }

    #[test]
    fn of_those_that_were_held_together_at_most_one_is_next_and_one_is_when_the_newest_is_judged(
        entries in entries(Just(None)), held in prop::collection::vec(any::<bool>(), 8), policy in policies(),
    ) {
        let mut entries = entries;
        for (entry, held) in entries.iter_mut().zip(held) {
            entry.claim = if held { Claim::AllHeld } else { entry.claim };
        }
        prop_assert!(next(&entries, policy, true).len() <= 1);
        // Each says in its turn what it waits for, or starts.
        while next(&entries, policy, true).is_empty() {
            let held = entries.iter_mut().filter(|entry| entry.claim == Claim::AllHeld);
            held.max_by_key(|entry| (entry.created, entry.name.clone())).expect("nothing else holds them").claim = Claim::Fit;
        }
    }

    #[test]
    fn only_the_one_that_runs_is_next_while_it_runs(
        entries in entries(any::<prop::sample::Index>().prop_map(Some)), policy in policies(), history in any::<bool>(),
    ) {
        let next = next(&entries, policy, history);
        prop_assert_eq!(next.len(), 1);
        prop_assert!(next[0].running);
    }

    #[test]
    fn without_history_nobody_is_next_among_several(entries in entries(Just(None)), policy in policies()) {
        let expected = usize::from(entries.len() == 1);
        prop_assert_eq!(next(&entries, policy, false).len(), expected);
    }

    #[test]
    fn the_order_of_the_list_decides_nothing(
        (entries, shuffled) in entries(any::<Option<prop::sample::Index>>()).prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        policy in policies(), history in any::<bool>(),
    ) {
        for me in &entries {
            prop_assert_eq!(standing(me, &entries, policy, history), standing(me, &shuffled, policy, history));
        }
    }

    #[test]
    fn whoever_is_next_has_nobody_to_give_way_to(entries in entries(Just(None)), policy in policies()) {
        let next = next(&entries, policy, true)[0].clone();
        for other in entries.iter().filter(|other| other.uid != next.uid) {
            let replaces = policy == Policy::Supersede
                && other.claim == Claim::Fit
                && !other.partial
                && other.priority >= next.priority
                && (other.created, &other.origin, &other.name) > (next.created, &next.origin, &next.name);
            prop_assert!(!replaces, "{} should have replaced {}", other.name, next.name);
        }
    }

    #[test]
    fn whoever_runs_is_never_replaced(
        entries in entries(any::<prop::sample::Index>().prop_map(Some)), policy in policies(), history in any::<bool>(),
    ) {
        for me in entries.iter().filter(|me| me.running) {
            prop_assert_eq!(standing(me, &entries, policy, history), Standing::Next);
        }
    }

    #[test]
    fn no_part_of_a_release_replaces_anything(
        entries in entries(any::<Option<prop::sample::Index>>()), history in any::<bool>(),
    ) {
        for me in &entries {
            if let Standing::SupersededBy { promotion } = standing(me, &entries, Policy::Supersede, history) {
                let by = entries.iter().find(|entry| entry.name == promotion).unwrap();
                prop_assert!(!by.partial && by.rollback_of.is_none(), "{promotion} replaced {}", me.name);
            }
        }
    }

    #[test]
    fn whose_time_has_not_come_changes_nothing_for_the_others(
        entries in entries(any::<Option<prop::sample::Index>>()), created in 0..4_i64, partial in any::<bool>(),
        policy in policies(), history in any::<bool>(),
    ) {
        let scheduled = Entry { claim: Claim::Scheduled, partial, ..entry("scheduled", created) };
        let with: Vec<Entry> = entries.iter().cloned().chain([scheduled]).collect();
        for me in &entries {
            prop_assert_eq!(standing(me, &with, policy, history), standing(me, &entries, policy, history));
        }
    }

    #[test]
    fn while_one_is_rolled_back_only_its_rollback_is_next(
        entries in entries(any::<prop::sample::Index>().prop_map(Some)), policy in policies(), history in any::<bool>(),
    ) {
        let failed = entries.iter().find(|entry| entry.running).unwrap();
        let rollback = Entry { rollback_of: Some(failed.uid.clone()), ..entry("rollback", 9) };
        let with: Vec<Entry> = entries.iter().cloned().chain([rollback]).collect();
        let next: Vec<&str> = next(&with, policy, history).into_iter().map(|entry| entry.name.as_str()).collect();
        prop_assert_eq!(next, [failed.name.as_str(), "rollback"]);
    }

    #[test]
    fn a_queue_serves_everybody_in_order(entries in entries(Just(None))) {
        let mut left = entries.clone();
        let mut served = Vec::new();
        while let Some(first) = next(&left, Policy::Queue, true).first().map(|entry| (*entry).clone()) {
            left.retain(|entry| entry.uid != first.uid);
            served.push(first);
        }
        let mut expected = entries;
        expected.sort_by_key(|entry| (-entry.priority, entry.created, entry.origin.clone(), entry.name.clone()));
        prop_assert_eq!(served, expected);
    }
}
