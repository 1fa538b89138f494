use proptest::prelude::*;

use super::*;
use crate::domain::name::{EnvironmentName, ProjectName, ReleaseVersion};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;

fn outcome(uid: usize, finished: i64, version: u8) -> Outcome {
    Outcome {
        finished: Timestamp::from_second(finished).unwrap(),
        uid: format!("{uid:03}"),
        promotion: format!("promotion-{uid}"),
        space: "shop".to_owned(),
        project: ProjectName::try_from("checkout").unwrap(),
        release_uid: None,
        version: ReleaseVersion::try_from(format!("1.{version}")).unwrap(),
        environment: EnvironmentName::try_from("production").unwrap(),
        requested_by: "ada".to_owned(),
        reason_given: None,
        mode: None,
        partial: false,
        phase: Phase::Succeeded,
        reason: Reason::Deployed,
        message: "every step is done and everything is healthy".to_owned(),
        started: None,
        packages: Vec::new(),
        applied: true,
    }
}

fn deployed(outcomes: &[Outcome]) -> Deployed<Outcome> {
    outcomes.iter().cloned().fold(Deployed { current: None, previous: None }, Deployed::join)
}

fn latest(outcomes: &[Outcome]) -> Latest<Outcome> {
    outcomes.iter().cloned().fold(Latest(None), Latest::join)
}

fn newest(outcomes: &[Outcome]) -> Newest<Outcome> {
    outcomes.iter().cloned().fold(Newest::of(Vec::new()), Newest::join)
}

#[test]
fn a_rollback_goes_to_the_version_before_not_to_the_promotion_before() {
    let row = deployed(&[outcome(1, 10, 0), outcome(2, 20, 1), outcome(3, 30, 1)]);
    assert_eq!(row.current, Some(outcome(3, 30, 1)));
    assert_eq!(row.previous, Some(outcome(1, 10, 0)));
}

#[test]
fn after_a_rollback_the_version_before_is_the_one_that_was_left() {
    let row = deployed(&[outcome(1, 10, 0), outcome(2, 20, 1), outcome(3, 30, 0)]);
    assert_eq!(row.current, Some(outcome(3, 30, 0)));
    assert_eq!(row.previous, Some(outcome(2, 20, 1)));
}

#[test]
fn an_older_success_that_arrives_late_is_not_recorded_by_what_came_after_it() {
    let row = deployed(&[outcome(2, 20, 1)]);
    let late = outcome(1, 10, 0);
    assert!(!row.records(&late));
    let row = row.join(late.clone());
    assert!(row.records(&late));
    assert_eq!(row.previous, Some(late));
}

#[test]
fn the_end_that_a_reused_name_takes_is_part_of_no_history() {
    let copy = Outcome { reason: Reason::AlreadyRecorded, ..outcome(1, 10, 0) };
    assert!(!copy.counts() && !copy.is_success());
    assert!(outcome(1, 10, 0).is_success());
    assert!(!Outcome { phase: Phase::Failed, ..outcome(1, 10, 0) }.is_success());
}

#[test]
fn an_end_that_was_read_back_from_a_status_is_the_same_end() {
    let decided = Outcome { finished: "2026-07-01T12:00:00.123456789Z".parse().unwrap(), ..outcome(1, 0, 0) };
    let written = jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S%.6fZ", decided.finished).unwrap();
    let read = Outcome { finished: written.parse().unwrap(), ..decided.clone() };
    assert_ne!(read.finished, decided.finished);
    assert!(latest(std::slice::from_ref(&read)).records(&decided));
    assert!(deployed(std::slice::from_ref(&read)).records(&decided));
    let full: Vec<_> = (1..=KEPT).map(|uid| Outcome { uid: format!("{uid:03}"), ..read.clone() }).collect();
    assert!(newest(&full).contains_or_older(&decided.uid, decided.finished));
    assert!(newest(&full).contains_or_older("000", decided.finished));
}

/// Some ends, and two sequences of them with repetitions, each holding every end at least once.
fn arrivals() -> impl Strategy<Value = (Vec<Outcome>, Vec<Outcome>, Vec<Outcome>)> {
    let ends = prop::collection::vec((0..8_i64, 0..3_u8), 1..45);
    ends.prop_flat_map(|seeds| {
        let ends: Vec<_> =
            seeds.into_iter().enumerate().map(|(uid, (finished, version))| outcome(uid, finished, version)).collect();
        let repeated = prop::sample::subsequence(ends.clone(), 0..=ends.len()).prop_map({
            let ends = ends.clone();
            move |more| [ends.clone(), more].concat()
        });
        (Just(ends), repeated.clone().prop_shuffle(), repeated.prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn rows_depend_on_neither_order_nor_repetition((ends, one, other) in arrivals()) {
        let mut sorted = ends;
        sorted.sort();
        sorted.reverse();
        let current = sorted[0].clone();
        let previous = sorted.iter().find(|end| end.version != current.version).cloned();
        for arrivals in [one, other] {
            prop_assert_eq!(latest(&arrivals).0, Some(current.clone()));
            prop_assert_eq!(deployed(&arrivals), Deployed { current: Some(current.clone()), previous: previous.clone() });
            let kept: Vec<_> = sorted.iter().take(KEPT).cloned().collect();
            prop_assert_eq!(Newest::of(arrivals.clone()).into_ends(), kept.clone());
            prop_assert_eq!(newest(&arrivals).into_ends(), kept);
        }
    }

    #[test]
    fn batches_end_like_single_joins((_, one, other) in arrivals(), cut in any::<prop::sample::Index>()) {
        let (first, second) = one.split_at(cut.index(one.len()));
        let batched = Newest::of([newest(first).into_ends(), newest(second).into_ends()].concat());
        prop_assert_eq!(batched, newest(&other));
    }

    #[test]
    fn what_is_recorded_once_is_recorded_for_ever((_, one, _) in arrivals()) {
        for length in 1..=one.len() {
            let joined = &one[..length];
            let (latest, deployed, newest) = (latest(joined), deployed(joined), newest(joined));
            for end in joined {
                prop_assert!(latest.records(end) && deployed.records(end));
                prop_assert!(newest.contains_or_older(&end.uid, end.finished));
            }
        }
    }

    #[test]
    fn recorded_means_that_joining_changes_nothing((ends, one, _) in arrivals(), cut in any::<prop::sample::Index>()) {
        let joined = &one[..cut.index(one.len())];
        for end in &ends {
            let (latest, deployed, newest) = (latest(joined), deployed(joined), newest(joined));
            prop_assert_eq!(latest.records(end), latest.clone().join(end.clone()) == latest);
            prop_assert_eq!(deployed.records(end), deployed.clone().join(end.clone()) == deployed);
            prop_assert_eq!(
                newest.contains_or_older(&end.uid, end.finished),
                newest.clone().join(end.clone()) == newest
            );
        }
    }
}
