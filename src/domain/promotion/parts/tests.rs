use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn parts(skip_steps: &[&str], targets: &[&str]) -> Parts {
    Parts { skip_steps: names(skip_steps), targets: names(targets) }
}

fn subject(step: &str, target: &str) -> Subject {
    Subject { step: step.into(), target: target.into(), ..Subject::default() }
}

#[test]
fn whoever_leaves_something_out_asks_for_a_part() {
    assert!(!parts(&[], &[]).is_partial());
    assert!(parts(&["migrate"], &[]).is_partial() && parts(&[], &["eu"]).is_partial());
}

#[test]
fn a_name_that_does_not_exist_is_said_with_its_field_and_what_exists() {
    let (steps, targets) = (names(&["migrate", "deploy"]), names(&["eu", "us"]));
    assert_eq!(parts(&["migrate"], &["us", "eu"]).unknown(&steps, &targets), None);
    let unknown = parts(&["migrate"], &["eu", "asia"]).unknown(&steps, &targets).unwrap();
    assert_eq!(
        unknown.sentence("environment dev"),
        "environment dev has no target asia (spec.targets[1]), it has eu, us: make a new promotion with one of these under another name"
    );
    let unknown = parts(&["migrate", "x"], &[]).unknown(&steps, &targets).unwrap();
    assert_eq!((unknown.kind, unknown.path.as_str()), (Missing::Step, "spec.skipSteps[1]"));
}

#[test]
fn a_step_is_left_out_by_its_name_or_in_targets_that_are_not_named() {
    let parts = parts(&["migrate"], &["eu"]);
    let reason = |step, target| parts.skipped(&subject(step, target)).map(|skipped| skipped.reason);
    assert_eq!(reason("migrate", "eu"), Some(Skip::SkippedByPerson));
    assert_eq!(reason("migrate", "us"), Some(Skip::TargetLeftOut));
    assert_eq!(reason("deploy", "us"), Some(Skip::TargetLeftOut));
    assert_eq!(reason("deploy", "eu"), None);
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(of, 0..=of.len()).prop_map(|chosen| names(&chosen))
}

proptest! {
    #[test]
    fn what_leaves_out_nothing_is_no_part_and_a_part_leaves_out_only_what_it_names(
        skip_steps in some(&["a", "b"]), targets in some(&["eu", "us"]),
        step in prop::sample::select(&["a", "b", "c"][..]), target in prop::sample::select(&["eu", "us"][..]),
    ) {
        let parts = Parts { skip_steps, targets };
        let skipped = parts.skipped(&subject(step, target)).is_some();
        prop_assert!(parts.is_partial() || !skipped);
        let named = parts.skip_steps.iter().any(|name| name == step);
        let elsewhere = !parts.targets.is_empty() && !parts.targets.iter().any(|name| name == target);
        prop_assert_eq!(skipped, named || elsewhere);
    }
}
