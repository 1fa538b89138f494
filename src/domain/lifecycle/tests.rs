use super::journey::tests::{environment, journey, phase, set};
use super::reach::Reach;
use super::*;

fn by_order(environments: &[(&str, i64)]) -> Lifecycle {
    let environments: Vec<_> = environments.iter().map(|(name, order)| (environment(name), *order)).collect();
    Lifecycle::by_order(&environments)
}

fn message(lifecycle: &Lifecycle, name: &str, successes: &[&str]) -> Option<String> {
    let target = environment(name);
    journey(lifecycle, successes).reach(&target).message(&target, "checkout-1.4.2")
}

#[test]
fn each_order_is_a_phase_lowest_first() {
    let lifecycle = by_order(&[("production", 30), ("dev", 10), ("test-us", 20), ("test-eu", 20)]);
    let phases: Vec<_> = lifecycle
        .phases()
        .iter()
        .map(|phase| (phase.name.as_str(), phase.environments.iter().map(EnvironmentName::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        phases,
        [("dev", vec!["dev"]), ("order-20", vec!["test-eu", "test-us"]), ("production", vec!["production"])]
    );
}

#[test]
fn an_empty_lifecycle_lets_nothing_through() {
    let journey = journey(&by_order(&[]), &["dev"]);
    assert!(journey.phases().is_empty());
    assert_eq!(journey.reach(&environment("dev")), Reach::NotInLifecycle);
}

#[test]
fn what_is_not_reached_says_what_it_waits_for_and_what_to_do() {
    let lifecycle = by_order(&[("dev", 10), ("test-eu", 20), ("test-us", 20), ("production", 30)]);
    assert_eq!(
        message(&lifecycle, "production", &["dev", "test-eu"]).unwrap(),
        "production waits for phase order-20: 1 of 2 environments (test-eu) has checkout-1.4.2; promote it to test-us first"
    );
    assert_eq!(
        message(&lifecycle, "test-eu", &[]).unwrap(),
        "test-eu waits for phase dev: 0 of 1 environment has checkout-1.4.2; promote it to dev first"
    );
    assert_eq!(message(&lifecycle, "test-us", &["dev"]), None);
    assert_eq!(
        message(&lifecycle, "qa", &[]).unwrap(),
        "environment qa is not in the lifecycle of checkout-1.4.2: add it there, or promote to one that is"
    );
}

// Attack T20.
#[test]
fn where_another_release_of_its_name_succeeded_it_says_that_this_does_not_count() {
    let lifecycle = by_order(&[("test-eu", 20), ("test-us", 20), ("production", 30)]);
    let target = environment("production");
    let said = |places: &[&str]| {
        let places = places.iter().map(|name| environment(name)).collect();
        journey(&lifecycle, &[]).reach(&target).made_again(&places).message(&target, "checkout-1.4.2").unwrap()
    };
    let head = "production waits for phase order-20: 0 of 2 environments have checkout-1.4.2; promote it to test-eu, test-us first";
    let tail = "was deleted, and this one was made again under its name";
    assert_eq!(said(&[]), head);
    assert_eq!(said(&["production"]), head, "that is not what it waits for");
    assert_eq!(said(&["test-us"]), format!("{head}: the checkout-1.4.2 that succeeded in test-us {tail}"));
    assert_eq!(said(&["test-eu", "test-us"]), format!("{head}: the checkout-1.4.2 that succeeded there {tail}"));
}

#[test]
fn a_soak_is_said_with_its_end_and_a_disturbed_one_with_what_to_do() {
    let unreached = super::reach::Unreached {
        phase: "test".into(),
        needed: 2,
        soak: SignedDuration::from_hours(2),
        soaking: vec![(environment("eu"), "2026-01-01T12:00:00.5Z".parse().unwrap())],
        disturbed: vec![environment("us")],
        ..super::reach::Unreached::default()
    };
    let message = Reach::Unreached(unreached).message(&environment("production"), "checkout-1.4.2").unwrap();
    assert_eq!(
        message,
        "production waits for phase test: 0 of 2 environments have had checkout-1.4.2 for 2h; it soaks in eu until 2026-01-01T12:00:00Z; it was replaced or failed in us too early, promote it there again"
    );
}

#[test]
fn a_lifecycle_that_is_not_there_or_broken_is_named() {
    let target = environment("dev");
    let said = |reach: Reach| reach.message(&target, "checkout-1.4.2").unwrap();
    assert_eq!(
        said(Reach::NoLifecycle { name: "hotfix".into() }),
        "lifecycle hotfix of checkout-1.4.2 does not exist in this space: create it, or correct the project's lifecycle"
    );
    assert_eq!(
        said(Reach::NoChannel { name: "beta".into() }),
        "channel beta of checkout-1.4.2 is no longer in the project, so nothing says where it may go: add the channel again, or make a release of another one"
    );
    assert_eq!(
        said(Reach::BrokenLifecycle { name: "hotfix".into(), problem: "spec.phases[0].soak: x".into() }),
        "lifecycle hotfix of checkout-1.4.2 cannot be used: spec.phases[0].soak: x"
    );
}

#[test]
fn a_message_has_a_bound_however_large_the_phase() {
    let mut environments: Vec<_> = (0..500).map(|index| (environment(&format!("e{index:03}")), 1)).collect();
    environments.push((environment("production"), 2));
    let message = message(&Lifecycle::by_order(&environments), "production", &[]).unwrap();
    assert!(message.ends_with("promote it to e000, e001, e002, e003, e004, 495 more first"), "{message}");
}

#[test]
fn a_lifecycle_that_cannot_work_is_refused_with_every_mistake() {
    let wrong = Lifecycle::new(vec![
        LifecyclePhase { minimum: Some(3), ..phase("test", &["eu", "us"]) },
        LifecyclePhase { minimum: Some(0), automatic: vec![environment("asia")], ..phase("test", &["eu"]) },
        LifecyclePhase { minimum: Some(9), ..phase("rest", &[]) },
        LifecyclePhase { automatic: vec![environment("us")], ..phase("more", &[]) },
        LifecyclePhase { optional: true, automatic: vec![environment("late")], ..phase("late", &["late"]) },
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
            ("spec.phases[1].automatic", InvalidReason::Unknown),
            ("spec.phases[3].environments", InvalidReason::Required),
            ("spec.phases[3].automatic", InvalidReason::Unknown),
            ("spec.phases[4].automatic", InvalidReason::Forbidden),
        ]
    );
}

#[test]
fn environments_that_the_space_does_not_have_are_found_wherever_they_are_named() {
    let rest = LifecyclePhase { automatic: vec![environment("prod"), environment("prdo")], ..phase("rest", &[]) };
    let lifecycle = Lifecycle::new(vec![phase("dev", &["dev", "dve"]), rest]).unwrap();
    let unknown = lifecycle.unknown(&set(&["dev", "prod"]));
    let found: Vec<_> = unknown.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
    assert_eq!(found, [("spec.phases[0].environments", "dve"), ("spec.phases[1].automatic", "prdo")]);
}
