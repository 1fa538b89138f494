use proptest::prelude::*;

use super::*;
use crate::api::v1alpha1::release::StayRow;
use crate::controllers::release::arrivals::Happened;
use crate::domain::lifecycle::Lifecycle;
use crate::domain::lifecycle::journey::Situation;
use crate::domain::name::EnvironmentName;
use crate::domain::promotion::outcome::example::success;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;

/// The release that everything here is about.
const UID: &str = "uid-1.0.0";

fn records(rows: &[ReleaseEnvironment], outcome: &Outcome) -> bool {
    let status = ReleaseStatus { environments: rows.to_vec(), ..ReleaseStatus::default() };
    super::records((UID, &status), outcome, |_| true)
}

fn join<'a>(rows: Vec<ReleaseEnvironment>, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<ReleaseEnvironment> {
    super::join(rows, UID, outcomes)
}

fn outcome(environment: &str, second: i64, phase: Phase) -> Outcome {
    Outcome {
        promotion: format!("p-{second}"),
        phase,
        reason: if phase == Phase::Succeeded { Reason::Deployed } else { Reason::Step("ImagePullBackOff".into()) },
        applied: false,
        ..success(environment, Timestamp::from_second(second).unwrap())
    }
}

fn runs(environment: &str, version: &str, second: i64) -> Runs {
    Runs {
        environment: environment.into(),
        version: version.into(),
        release_uid: Some(format!("uid-{version}")),
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
    let rows =
        current(rows, ("1.0.0", UID), &[runs("dev", "1.0.0", 1), runs("dev", "1.1.0", 2), runs("test", "1.0.0", 1)]);
    assert_eq!(rows.iter().map(|row| row.current).collect::<Vec<_>>(), [false, true]);
    let rows = current(rows, ("1.0.0", UID), &[]);
    assert_eq!(rows.iter().map(|row| row.current).collect::<Vec<_>>(), [false, true], "nobody knows: it stays");
    let another = Runs { release_uid: Some("made-again".into()), ..runs("test", "1.0.0", 2) };
    assert!(!current(rows, ("1.0.0", UID), &[another]).iter().any(|row| row.current), "that is another release");
}

// Attack T20.
#[test]
fn what_another_release_of_its_name_achieved_is_none_of_its_own_and_keeps_nobody_waiting() {
    let another = |known: Outcome| Outcome { release_uid: Some("before".into()), ..known };
    let unknown = |known: Outcome| Outcome { release_uid: None, started: Some(known.finished), ..known };
    for end in [another(outcome("dev", 3, Phase::Succeeded)), unknown(outcome("dev", 3, Phase::Succeeded))] {
        assert_eq!(join(Vec::new(), [&end]), []);
        assert!(records(&[], &end), "there is nothing to be written of it");
        let mine = outcome("dev", 1, Phase::Failed);
        let rows = join(Vec::new(), [&mine, &end]);
        assert_eq!((rows[0].succeeded, rows[0].phase.as_str(), rows[0].promotion.as_str()), (false, "Failed", "p-1"));
    }
    // What never started is told by whichever has the version, and is no success.
    let refused = Outcome { release_uid: None, started: None, ..outcome("dev", 3, Phase::Refused) };
    assert!(!records(&[], &refused));
    let rows = join(Vec::new(), [&refused]);
    assert_eq!((rows[0].succeeded, rows[0].phase.as_str(), records(&rows, &refused)), (false, "Refused", true));
}

// Attack T20.
#[test]
fn a_row_whose_success_is_not_known_to_be_its_own_counts_for_nothing_until_it_succeeds_itself() {
    let success = outcome("dev", 5, Phase::Succeeded);
    for written in [None, Some("before".to_owned())] {
        let mut rows = join(Vec::new(), [&success]);
        rows[0].release_uid = written;
        rows[0].stays = vec![StayRow { from: MicroTime(Timestamp::from_second(5).unwrap()), until: None }];
        assert!(!records(&rows, &success), "that it is its own is yet to be written");
        let own = join(rows.clone(), []);
        assert_eq!((own[0].succeeded, &own[0].succeeded_at, own[0].stays.len()), (false, &None, 0));
        let later = outcome("dev", 9, Phase::Succeeded);
        let own = join(rows, [&later]);
        assert_eq!((own[0].succeeded, own[0].release_uid.as_deref()), (true, Some(UID)));
        assert_eq!(own[0].succeeded_at, Some(MicroTime(later.finished)));
    }
}

/// How far the lifecycle says that a release with these rows is.
fn shown(lifecycle: &Lifecycle, rows: &[ReleaseEnvironment]) -> ReleaseStatus {
    let environments = lifecycle.phases().iter().flat_map(|phase| phase.environments.clone()).collect();
    let arrivals = Happened::default().arrivals(rows);
    let now = Timestamp::from_second(1000).unwrap();
    let situation = Situation { environments: &environments, arrivals: &arrivals, blocked: false, now };
    let mut status = ReleaseStatus::default();
    progress(&mut status, Some(&lifecycle.journey(&situation)));
    status
}

#[test]
fn phases_and_next_follow_the_lifecycle_and_successes_of_environments_that_are_gone_stay() {
    let named = |name: &str, order| (name.parse::<EnvironmentName>().unwrap(), order);
    let lifecycle = Lifecycle::by_order(&[named("dev", 10), named("test", 20), named("production", 30)]);
    let ReleaseStatus { phases, next, .. } = shown(&lifecycle, &[]);
    let said: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.progress.as_str())).collect();
    assert_eq!(said, [("dev", "Current"), ("test", "Pending"), ("production", "Pending")]);
    assert_eq!(next, ["dev"]);
    let rows = join(Vec::new(), &[outcome("dev", 1, Phase::Succeeded), outcome("gone", 1, Phase::Succeeded)]);
    let mut status = shown(&lifecycle, &rows);
    assert_eq!(status.phases[0].progress, "Complete");
    assert_eq!(status.phases[0].completed_at, Some(MicroTime(Timestamp::from_second(1).unwrap())));
    assert_eq!((&status.next, &status.due), (&vec!["dev".to_owned(), "test".into()], &vec!["test".into()]));
    assert!(rows.iter().any(|row| row.name == "gone" && row.succeeded));
    progress(&mut status, None);
    assert_eq!(status, ReleaseStatus::default(), "nobody knows");
}

#[test]
fn the_first_success_is_remembered_whatever_comes_later_and_in_which_order() {
    let second = |second| Some(MicroTime(Timestamp::from_second(second).unwrap()));
    let ends =
        [outcome("dev", 5, Phase::Succeeded), outcome("dev", 2, Phase::Failed), outcome("dev", 9, Phase::Failed)];
    let rows = join(Vec::new(), &ends);
    assert_eq!(rows[0].succeeded_at, second(5));
    let earlier = outcome("dev", 3, Phase::Succeeded);
    assert!(!records(&rows, &earlier));
    let rows = join(rows, [&earlier]);
    assert_eq!((rows[0].succeeded_at.clone(), records(&rows, &earlier)), (second(3), true));
}

#[test]
fn of_too_many_rows_those_of_gone_environments_go_first_and_successes_last() {
    let exists = |name: &str| !name.starts_with("gone");
    let phase = |n: usize| if n.is_multiple_of(2) { Phase::Succeeded } else { Phase::Failed };
    let mut ends: Vec<Outcome> = (0..MOST).map(|n| outcome(&format!("env-{n}"), 1000, phase(n))).collect();
    ends.push(outcome("gone", 2000, Phase::Succeeded));
    let rows = cut(join(Vec::new(), &ends), exists);
    assert!(rows.len() == MOST && rows.iter().all(|row| row.name != "gone"));
    let all = |rows: &[ReleaseEnvironment], outcome: &Outcome| {
        let status = ReleaseStatus { environments: rows.to_vec(), ..ReleaseStatus::default() };
        super::records((UID, &status), outcome, exists)
    };
    assert!(ends.iter().all(|end| all(&rows, end)), "what was cut is recorded");
    let success = outcome("older", 1, Phase::Succeeded);
    assert!(!all(&rows, &success), "a success has room as long as there are failures");
    assert!(all(&rows, &outcome("older", 1, Phase::Failed)), "a failure that is older than all others has none");
    let rows = cut(join(rows, [&success]), exists);
    assert!(rows.len() == MOST && all(&rows, &success) && rows.is_sorted_by_key(|row| row.name.clone()));
    assert_eq!(rows.iter().filter(|row| row.succeeded).count(), MOST / 2 + 1);
}

#[test]
fn a_lifecycle_of_too_many_phases_shows_the_first() {
    let named: Vec<_> = (0..300).map(|n| (format!("env-{n}").parse::<EnvironmentName>().unwrap(), n)).collect();
    let phases = shown(&Lifecycle::by_order(&named), &[]).phases;
    assert_eq!((phases.len(), phases[0].name.as_str()), (MOST, "env-0"));
    let together: Vec<_> = named.into_iter().map(|(name, _)| (name, 10)).collect();
    let status = shown(&Lifecycle::by_order(&together), &[]);
    assert_eq!((status.phases[0].environments.len(), status.next.len(), status.due.len()), (MOST, MOST, MOST));
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

#[test]
fn a_part_of_a_release_is_no_success_of_it() {
    let part = Outcome { partial: true, ..outcome("dev", 2, Phase::Succeeded) };
    let rows = join(Vec::new(), std::slice::from_ref(&part));
    let row = &rows[0];
    assert_eq!((row.succeeded, &row.succeeded_at, row.phase.as_str(), row.partial), (false, &None, "Succeeded", true));
    assert!(records(&rows, &part));
    let rows = join(rows, &[outcome("dev", 1, Phase::Succeeded)]);
    assert!(rows[0].succeeded, "the whole of it is, before or after");
}
