use proptest::prelude::*;

use super::*;

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

fn set(names: &[&str]) -> BTreeSet<EnvironmentName> {
    names.iter().map(|name| environment(name)).collect()
}

fn by_order(environments: &[(&str, i64)]) -> Lifecycle {
    let environments: Vec<_> = environments.iter().map(|(name, order)| (environment(name), *order)).collect();
    Lifecycle::by_order(&environments)
}

fn phase(name: &str, environments: &[&str]) -> LifecyclePhase {
    LifecyclePhase {
        name: name.to_owned(),
        environments: environments.iter().map(|name| environment(name)).collect(),
        minimum: None,
        optional: false,
    }
}

fn names(environments: &[EnvironmentName]) -> Vec<&str> {
    environments.iter().map(EnvironmentName::as_str).collect()
}

fn progress(lifecycle: &Lifecycle, successes: &[&str]) -> Vec<Progress> {
    lifecycle.progress(&set(successes)).into_iter().map(|row| row.progress).collect()
}

#[test]
fn each_order_is_a_phase_lowest_first() {
    let lifecycle = by_order(&[("production", 30), ("dev", 10), ("test-us", 20), ("test-eu", 20)]);
    let phases: Vec<_> =
        lifecycle.phases().iter().map(|phase| (phase.name.as_str(), names(&phase.environments))).collect();
    assert_eq!(
        phases,
        [("dev", vec!["dev"]), ("order-20", vec!["test-eu", "test-us"]), ("production", vec!["production"])]
    );
}

#[test]
fn a_release_moves_phase_by_phase() {
    use Progress::{Complete, Current, Pending};
    let lifecycle = by_order(&[("dev", 10), ("test-eu", 20), ("test-us", 20), ("production", 30)]);
    for (successes, expected, next) in [
        (vec![], [Current, Pending, Pending], vec!["dev"]),
        (vec!["dev"], [Complete, Current, Pending], vec!["test-eu", "test-us"]),
        (vec!["dev", "test-eu"], [Complete, Current, Pending], vec!["test-us"]),
        (vec!["dev", "test-eu", "test-us"], [Complete, Complete, Current], vec!["production"]),
        (vec!["dev", "test-eu", "test-us", "production"], [Complete, Complete, Complete], vec![]),
        (vec!["production"], [Current, Pending, Complete], vec!["dev"]),
    ] {
        assert_eq!(progress(&lifecycle, &successes), expected, "{successes:?}");
        assert_eq!(names(&lifecycle.next(&set(&successes))), next, "{successes:?}");
    }
}

#[test]
fn a_minimum_opens_the_next_phase_early_and_keeps_the_rest_open() {
    let some = LifecyclePhase { minimum: Some(1), ..phase("test", &["eu", "us"]) };
    let lifecycle = Lifecycle::new(vec![some, phase("production", &["production"])]).unwrap();
    assert_eq!(progress(&lifecycle, &["us"]), [Progress::Complete, Progress::Current]);
    assert_eq!(names(&lifecycle.next(&set(&["us"]))), ["eu", "production"]);
}

#[test]
fn an_optional_phase_is_never_current_and_never_in_the_way() {
    let optional = LifecyclePhase { optional: true, ..phase("test", &["test"]) };
    let lifecycle =
        Lifecycle::new(vec![phase("dev", &["dev"]), optional, phase("production", &["production"])]).unwrap();
    assert_eq!(progress(&lifecycle, &[]), [Progress::Current, Progress::Pending, Progress::Pending]);
    assert_eq!(progress(&lifecycle, &["dev"]), [Progress::Complete, Progress::Pending, Progress::Current]);
    assert_eq!(names(&lifecycle.next(&set(&["dev"]))), ["test", "production"]);
}

#[test]
fn a_lifecycle_of_optional_phases_only_has_no_current_phase() {
    let optional = |name: &str| LifecyclePhase { optional: true, ..phase(name, &[name]) };
    let lifecycle = Lifecycle::new(vec![optional("dev"), optional("test")]).unwrap();
    assert_eq!(progress(&lifecycle, &[]), [Progress::Pending, Progress::Pending]);
    assert_eq!(names(&lifecycle.next(&set(&[]))), ["dev", "test"]);
}

#[test]
fn an_empty_lifecycle_lets_nothing_through() {
    let lifecycle = by_order(&[]);
    assert!(lifecycle.progress(&set(&["dev"])).is_empty());
    assert_eq!(lifecycle.reachable(&environment("dev"), &set(&[])), Reach::NotInLifecycle);
}

#[test]
fn what_is_not_reached_says_what_it_waits_for_and_what_to_do() {
    let lifecycle = by_order(&[("dev", 10), ("test-eu", 20), ("test-us", 20), ("production", 30)]);
    let message = |name: &str, successes: &[&str]| {
        let target = environment(name);
        lifecycle.reachable(&target, &set(successes)).message(&target, "checkout-1.4.2")
    };
    assert_eq!(
        message("production", &["dev", "test-eu"]).unwrap(),
        "production waits for phase order-20: 1 of 2 environments (test-eu) has checkout-1.4.2; promote it to test-us first"
    );
    assert_eq!(
        message("test-eu", &[]).unwrap(),
        "test-eu waits for phase dev: 0 of 1 environment has checkout-1.4.2; promote it to dev first"
    );
    assert_eq!(message("test-us", &["dev"]), None);
    assert_eq!(
        message("qa", &[]).unwrap(),
        "environment qa is not in the lifecycle of checkout-1.4.2: add it there, or promote to one that is"
    );
}

#[test]
fn a_message_has_a_bound_however_large_the_phase() {
    let mut environments: Vec<_> = (0..500).map(|index| (environment(&format!("e{index:03}")), 1)).collect();
    environments.push((environment("production"), 2));
    let target = environment("production");
    let message =
        Lifecycle::by_order(&environments).reachable(&target, &set(&[])).message(&target, "checkout-1.4.2").unwrap();
    assert!(message.ends_with("promote it to e000, e001, e002, e003, e004, 495 more first"), "{message}");
}

#[test]
fn a_lifecycle_that_cannot_work_is_refused_with_every_mistake() {
    let wrong = Lifecycle::new(vec![
        LifecyclePhase { minimum: Some(3), ..phase("test", &["eu", "us"]) },
        LifecyclePhase { minimum: Some(0), ..phase("test", &["eu"]) },
    ])
    .unwrap_err();
    let found: Vec<_> = wrong.iter().map(|invalid| (invalid.path.as_str(), invalid.reason)).collect();
    assert_eq!(
        found,
        [
            ("spec.phases[0].minimum", InvalidReason::Forbidden),
            ("spec.phases[1].name", InvalidReason::Duplicate),
            ("spec.phases[1].environments", InvalidReason::Duplicate),
            ("spec.phases[1].minimum", InvalidReason::Forbidden),
        ]
    );
}

/// Up to six phases over up to eight environments, any of them optional or with a minimum.
fn lifecycles() -> impl Strategy<Value = Lifecycle> {
    let places = prop::collection::btree_map("[a-h]", 0..6_usize, 0..8);
    let rules = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 6);
    (places, rules).prop_map(|(places, rules)| {
        let phases = rules.into_iter().enumerate().map(|(index, (minimum, limited, optional))| {
            let environments: Vec<_> =
                places.iter().filter(|(_, place)| **place == index).map(|(name, _)| environment(name)).collect();
            let minimum = (limited && !environments.is_empty())
                .then(|| u32::try_from(minimum.index(environments.len()) + 1).unwrap());
            LifecyclePhase { name: format!("phase-{index}"), environments, minimum, optional }
        });
        Lifecycle::new(phases.collect()).unwrap()
    })
}

fn successes() -> impl Strategy<Value = BTreeSet<EnvironmentName>> {
    prop::collection::btree_set("[a-j]", 0..10).prop_map(|names| names.iter().map(|name| environment(name)).collect())
}

fn held(lifecycle: &Lifecycle) -> impl Iterator<Item = &EnvironmentName> {
    lifecycle.phases().iter().flat_map(|phase| &phase.environments)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_phase_never_opens_before_those_it_waits_for(lifecycle in lifecycles(), successes in successes()) {
        for (index, later) in lifecycle.phases().iter().enumerate() {
            let waits = lifecycle.phases()[..index].iter().any(|earlier| {
                let done = earlier.environments.iter().filter(|name| successes.contains(*name)).count();
                let needed = earlier.minimum.map_or(earlier.environments.len(), |minimum| minimum as usize);
                !earlier.optional && done < needed
            });
            for target in &later.environments {
                prop_assert_eq!(lifecycle.reachable(target, &successes) == Reach::Reachable, !waits);
            }
        }
    }

    #[test]
    fn next_is_what_is_reachable_and_not_done(lifecycle in lifecycles(), successes in successes()) {
        let next = lifecycle.next(&successes);
        for target in held(&lifecycle) {
            let expected = lifecycle.reachable(target, &successes) == Reach::Reachable && !successes.contains(target);
            prop_assert_eq!(next.contains(target), expected, "{}", target);
        }
        prop_assert!(next.iter().all(|target| held(&lifecycle).any(|held| held == target)));
    }

    #[test]
    fn a_success_never_closes_anything(lifecycle in lifecycles(), successes in successes(), more in successes()) {
        let both: BTreeSet<_> = successes.union(&more).cloned().collect();
        for target in held(&lifecycle) {
            if lifecycle.reachable(target, &successes) == Reach::Reachable {
                prop_assert_eq!(lifecycle.reachable(target, &both), Reach::Reachable);
            }
        }
        for (before, after) in lifecycle.progress(&successes).iter().zip(lifecycle.progress(&both)) {
            prop_assert!(before.progress != Progress::Complete || after.progress == Progress::Complete);
            prop_assert!(!before.reachable || after.reachable);
        }
    }

    #[test]
    fn following_next_reaches_everything(lifecycle in lifecycles()) {
        let mut successes = BTreeSet::new();
        while let Some(first) = lifecycle.next(&successes).first() {
            successes.insert(first.clone());
        }
        prop_assert!(held(&lifecycle).all(|target| successes.contains(target)));
    }

    #[test]
    fn environments_come_and_go_and_no_success_is_lost(
        orders in prop::collection::btree_map("[a-j]", 0..4_i64, 0..10), gone in "[a-j]", successes in successes(),
    ) {
        let environments: Vec<_> = orders.iter().map(|(name, order)| (environment(name), *order)).collect();
        let fewer: Vec<_> = environments.iter().filter(|(name, _)| name.as_str() != gone).cloned().collect();
        for environments in [&fewer, &environments] {
            let lifecycle = Lifecycle::by_order(environments);
            let shown: BTreeSet<_> = lifecycle.progress(&successes).into_iter().flat_map(|row| row.succeeded).collect();
            let expected: BTreeSet<_> =
                environments.iter().map(|(name, _)| name.clone()).filter(|name| successes.contains(name)).collect();
            prop_assert_eq!(shown, expected);
        }
    }
}
