use super::*;
use crate::domain::promotion::outcome::example::success;

fn outcome(environment: &str, second: i64) -> Outcome {
    success(environment, Timestamp::from_second(second).unwrap())
}

fn exists(name: &str) -> bool {
    !name.starts_with("gone")
}

fn full() -> Vec<EnvironmentRow> {
    let ends: Vec<Outcome> = (0..MOST).map(|n| outcome(&format!("env-{n}"), 1000)).collect();
    join(Vec::new(), &ends)
}

fn has(rows: &[EnvironmentRow], name: &str) -> bool {
    rows.iter().any(|row| row.name == name)
}

#[test]
fn of_too_many_rows_the_oldest_goes_and_counts_as_recorded() {
    let (older, newer) = (outcome("older", 1), outcome("newer", 2000));
    assert!(!records(&full(), &newer, exists), "there is room for it");
    let rows = cut(join(full(), [&older, &newer]), exists);
    assert_eq!((rows.len(), has(&rows, "older"), has(&rows, "newer")), (MOST, false, true));
    assert!(records(&rows, &older, exists) && records(&rows, &newer, exists));
    let again = cut(join(rows.clone(), [&older, &newer]), exists);
    let by_name = |rows| sorted(rows, &BTreeMap::new());
    assert_eq!(by_name(again), by_name(rows), "the same ends again change nothing");
}

#[test]
fn rows_of_environments_that_are_gone_go_before_older_ones() {
    let gone = outcome("gone", 2000);
    let rows = cut(join(full(), [&gone]), exists);
    assert!(rows.len() == MOST && !has(&rows, "gone") && records(&rows, &gone, exists));
    let with_gone = cut(join(full().split_off(1), [&gone]), exists);
    assert!(has(&with_gone, "gone"), "as long as there is room, it stays");
    let older = outcome("older", 1);
    assert!(!records(&with_gone, &older, exists));
    let rows = cut(join(with_gone, [&older]), exists);
    assert!(has(&rows, "older") && !has(&rows, "gone") && records(&rows, &gone, exists));
}

#[test]
fn where_something_runs_or_waits_the_row_stays() {
    let mut waiting = Promotion::default();
    waiting.spec.environment = "new".into();
    waiting.status.get_or_insert_default().phase = Some("Pending".into());
    let rows = cut(underway(full(), &[&waiting]), exists);
    assert!(rows.len() == MOST && has(&rows, "new"));
}

#[test]
fn a_part_of_a_release_is_the_last_end_and_not_what_runs() {
    let whole = outcome("dev", 1);
    let part = Outcome {
        version: "1.1.0".parse().unwrap(),
        uid: "part".into(),
        partial: true,
        reason_given: Some("only the web servers".into()),
        ..outcome("dev", 2)
    };
    for ends in [[&whole, &part], [&part, &whole]] {
        let rows = join(Vec::new(), ends);
        let row = &rows[0];
        assert_eq!(row.current.as_ref().map(|current| current.version.as_str()), Some("1.0.0"));
        assert_eq!(row.previous, None);
        let last = row.last.as_ref().unwrap();
        assert_eq!((last.version.as_str(), last.phase.as_str(), last.partial), ("1.1.0", "Succeeded", true));
        assert_eq!(last.reason_given.as_deref(), Some("only the web servers"));
        assert!(records(&rows, &part, exists) && records(&rows, &whole, exists));
    }
}

#[test]
fn what_is_rolled_back_runs_as_long_as_nothing_else_does_and_what_comes_later_waits_last() {
    let promotion = |name: &str, phase: &str, reason: &str, priority: i32| {
        let mut promotion = Promotion::default();
        promotion.metadata.name = Some(name.into());
        (promotion.spec.environment, promotion.spec.priority) = ("dev".into(), priority);
        let status = promotion.status.get_or_insert_default();
        (status.phase, status.reason) = (Some(phase.into()), Some(reason.into()));
        promotion
    };
    let failed = promotion("a-failed", "RollingBack", "RollingBack", 0);
    let tonight = promotion("a-tonight", "Pending", "NotYet", 9);
    let (second, urgent) = (promotion("b", "Pending", "QueuedBehind", 0), promotion("c", "Pending", "QueuedBehind", 1));
    let rollback = promotion("rollback", "Running", "InProgress", 0);
    let shown = |all: &[&Promotion]| {
        let row = underway(Vec::new(), all).remove(0);
        (row.running.map(|one| one.promotion), row.waiting.map(|one| one.promotion))
    };
    let names = |running: &str, waiting: &str| (Some(running.to_owned()), Some(waiting.to_owned()));
    assert_eq!(shown(&[&failed, &tonight, &second, &urgent]), names("a-failed", "c"));
    assert_eq!(shown(&[&failed, &tonight, &second, &rollback]), names("rollback", "b"));
    assert_eq!(shown(&[&tonight, &rollback]), names("rollback", "a-tonight"));
}
