use super::*;
use crate::domain::promotion::outcome::example::success;

fn outcome(project: &str, second: i64) -> Outcome {
    Outcome {
        uid: format!("uid-{project}-{second}"),
        project: project.parse().unwrap(),
        ..success("dev", Timestamp::from_second(second).unwrap())
    }
}

fn exists(name: &str) -> bool {
    !name.starts_with("gone")
}

fn with(status: EnvironmentStatus, ends: &[Outcome]) -> EnvironmentStatus {
    let mut status = join(status, ends);
    status.deployments = cut(status.deployments, exists);
    status
}

fn full() -> EnvironmentStatus {
    let ends: Vec<Outcome> = (0..MOST).map(|n| outcome(&format!("project-{n}"), 1000)).collect();
    with(EnvironmentStatus::default(), &ends)
}

fn has(status: &EnvironmentStatus, project: &str) -> bool {
    status.deployments.iter().any(|row| row.project == project)
}

#[test]
fn of_too_many_rows_the_oldest_goes_and_counts_as_recorded() {
    let (older, newer) = (outcome("older", 1), outcome("newer", 2000));
    assert!(is_full(&full(), 1) && !is_full(&EnvironmentStatus::default(), MOST));
    assert!(!records(&full(), &newer, exists), "there is room for it");
    let status = with(full(), &[older.clone(), newer.clone()]);
    assert_eq!((status.deployments.len(), has(&status, "older"), has(&status, "newer")), (MOST, false, true));
    assert!(records(&status, &older, exists) && records(&status, &newer, exists));
    assert_eq!(with(status.clone(), &[older, newer]), status, "the same ends again change nothing");
}

#[test]
fn rows_of_projects_that_are_gone_go_before_older_ones() {
    let (gone, older) = (outcome("gone", 2000), outcome("older", 1));
    let status = with(full(), std::slice::from_ref(&gone));
    assert!(status.deployments.len() == MOST && !has(&status, "gone") && records(&status, &gone, exists));
    let mut with_gone = full();
    with_gone.deployments.pop();
    let with_gone = with(with_gone, std::slice::from_ref(&gone));
    assert!(has(&with_gone, "gone"), "as long as there is room, it stays");
    let status = with(with_gone, std::slice::from_ref(&older));
    assert!(has(&status, "older") && !has(&status, "gone"));
}
