use proptest::prelude::*;

use super::*;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;

fn records(rows: &[ReleaseEnvironment], outcome: &Outcome) -> bool {
    super::records(&ReleaseStatus { environments: rows.to_vec(), ..ReleaseStatus::default() }, outcome)
}

fn outcome(environment: &str, second: i64, phase: Phase) -> Outcome {
    Outcome {
        finished: Timestamp::from_second(second).unwrap(),
        uid: format!("uid-{environment}-{second}"),
        promotion: format!("p-{second}"),
        space: "shop".into(),
        project: "checkout".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        environment: environment.parse().unwrap(),
        requested_by: "alice".into(),
        phase,
        reason: if phase == Phase::Succeeded { Reason::Deployed } else { Reason::Step("ImagePullBackOff".into()) },
        message: String::new(),
        started: None,
        packages: Vec::new(),
        applied: false,
    }
}

fn runs(environment: &str, version: &str, second: i64) -> Runs {
    Runs {
        environment: environment.into(),
        version: version.into(),
        since: Timestamp::from_second(second).unwrap(),
        promotion_uid: format!("uid-{version}-{second}"),
    }
}

#[test]
fn a_success_is_remembered_although_a_later_promotion_failed() {
    let ends = [outcome("dev", 1, Phase::Succeeded), outcome("dev", 2, Phase::Failed)];
    let rows = join(Vec::new(), &ends);
    let row = &rows[0];
    assert_eq!((row.succeeded, row.promotion.as_str(), row.phase.as_str()), (true, "p-2", "Failed"));
    assert!(ends.iter().all(|end| records(&rows, end)));
}

#[test]
fn what_is_not_written_is_not_recorded() {
    let rows = join(Vec::new(), &[outcome("dev", 2, Phase::Failed)]);
    assert!(!records(&rows, &outcome("dev", 1, Phase::Succeeded)), "an earlier success still counts");
    assert!(records(&rows, &outcome("dev", 1, Phase::Canceled)), "an earlier failure is covered by a later one");
    assert!(!records(&rows, &outcome("dev", 3, Phase::Failed)));
    assert!(!records(&rows, &outcome("test", 1, Phase::Failed)));
}

#[test]
fn the_end_of_a_reused_name_is_no_history() {
    let mut copy = outcome("dev", 5, Phase::Succeeded);
    copy.reason = Reason::AlreadyRecorded;
    assert_eq!(join(Vec::new(), &[copy.clone()]), Vec::new());
    assert!(records(&[], &copy));
}

#[test]
fn a_release_is_current_until_another_one_succeeds_there() {
    let rows = join(Vec::new(), &[outcome("dev", 1, Phase::Succeeded), outcome("test", 1, Phase::Succeeded)]);
    let rows = current(rows, "1.0.0", &[runs("dev", "1.0.0", 1), runs("dev", "1.1.0", 2), runs("test", "1.0.0", 1)]);
    assert_eq!(rows.iter().map(|row| row.current).collect::<Vec<_>>(), [false, true]);
    let rows = current(rows, "1.0.0", &[]);
    assert_eq!(rows.iter().map(|row| row.current).collect::<Vec<_>>(), [false, true], "nobody knows: it stays");
}

#[test]
fn phases_and_next_follow_the_lifecycle_and_successes_of_environments_that_are_gone_stay() {
    let named = |name: &str, order| (name.parse::<EnvironmentName>().unwrap(), order);
    let lifecycle = Lifecycle::by_order(&[named("dev", 10), named("test", 20), named("production", 30)]);
    let (phases, next) = progress(&lifecycle, &[]);
    let said: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.progress.as_str())).collect();
    assert_eq!(said, [("dev", "Current"), ("test", "Pending"), ("production", "Pending")]);
    assert_eq!(next, ["dev"]);
    let rows = join(Vec::new(), &[outcome("dev", 1, Phase::Succeeded), outcome("gone", 1, Phase::Succeeded)]);
    let (phases, next) = progress(&lifecycle, &rows);
    assert_eq!(phases[0].progress, "Complete");
    assert_eq!(next, ["test"]);
    assert!(rows.iter().any(|row| row.name == "gone" && row.succeeded));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn neither_order_nor_repetition_of_ends_matters(
        ends in proptest::collection::vec((0..3_usize, 0..20_i64, 0..3_usize), 0..12),
        seed in any::<u64>(),
    ) {
        let ends: Vec<Outcome> = ends
            .into_iter()
            .map(|(place, second, end)| {
                let phase = [Phase::Succeeded, Phase::Failed, Phase::Canceled][end];
                let mut outcome = outcome(["dev", "test", "production"][place], second, phase);
                outcome.uid = format!("{}-{end}", outcome.uid);
                outcome
            })
            .collect();
        let straight = join(Vec::new(), &ends);
        let mut shuffled = ends.clone();
        shuffled.extend(ends.iter().cloned());
        shuffled.sort_by_key(|end| end.uid.bytes().fold(seed, |sum, byte| sum.rotate_left(7) ^ u64::from(byte)));
        let (first, second) = shuffled.split_at(shuffled.len() / 2);
        prop_assert_eq!(&straight, &join(join(Vec::new(), first), second));
        prop_assert!(ends.iter().all(|end| records(&straight, end)));
        prop_assert_eq!(&straight, &join(straight.clone(), &ends));
    }
}
