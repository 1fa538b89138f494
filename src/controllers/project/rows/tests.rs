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
