use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::*;
use crate::api::v1alpha1::Project;
use crate::api::v1alpha1::project::{Last, Underway};
use crate::domain::variable::stray::Names;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn finding(message: &str) -> Finding {
    let object = ObjectRef {
        group: "apps".into(),
        version: "v1".into(),
        kind: "Deployment".into(),
        namespace: "shop-dev".into(),
        name: "checkout".into(),
    };
    Finding { object, message: message.into() }
}

fn standing(health: Health) -> Standing {
    let because = (health != Health::Healthy).then(|| finding("Deployment checkout: bad"));
    Standing { health, because, drift: None }
}

fn drifted() -> Standing {
    Standing { drift: Some(finding("Deployment checkout: changed")), ..Standing::default() }
}

/// Ten seconds after the start, with this known of dev.
fn observed(dev: Option<Standing>) -> Observed {
    let mut project = Project::default();
    project.metadata.name = Some("checkout".into());
    Observed {
        variable_sets: Vec::new(),
        names: Names::default(),
        project: Arc::new(project),
        outcomes: Vec::new(),
        unfinished: Vec::new(),
        order: BTreeMap::from([("dev".into(), 10)]),
        namespaces: BTreeMap::new(),
        standings: dev.map(|standing| ("dev".to_owned(), standing)).into_iter().collect(),
        missing_lifecycle: None,
        triggers: Vec::new(),
        made: Vec::new(),
        now: at(10),
    }
}

/// A row of dev whose last promotion ended so at a second.
fn row(phase: Phase, second: i64) -> EnvironmentRow {
    let last = Last {
        version: "1.0.0".into(),
        release_uid: None,
        promotion: "p".into(),
        promotion_uid: "u".into(),
        reason_given: None,
        mode: None,
        partial: false,
        phase: phase.as_str().into(),
        at: MicroTime(at(second)),
        applied: true,
        message: "done".into(),
    };
    EnvironmentRow { name: "dev".into(), last: Some(last), ..EnvironmentRow::default() }
}

fn with(row: EnvironmentRow, health: Health) -> EnvironmentRow {
    EnvironmentRow { health: Some(health), ..row }
}

fn judged_row(row: EnvironmentRow, dev: Option<Standing>) -> (EnvironmentRow, Next) {
    let (mut rows, next) = judged(vec![row], &observed(dev));
    (rows.remove(0), next)
}

#[test]
fn a_row_says_what_the_watches_show_once_the_last_success_has_settled() {
    let missing = || Some(standing(Health::Missing));
    let (fresh, settled) = (row(Phase::Succeeded, 9), row(Phase::Succeeded, 8));
    for (name, row, found, health, next) in [
        ("a success is healthy at once", fresh.clone(), missing(), Some(Health::Healthy), Next::At(at(11))),
        ("even if no inventory was seen yet", fresh, None, Some(Health::Healthy), Next::At(at(11))),
        ("two seconds later the watches count", settled, missing(), Some(Health::Missing), Next::Await),
        ("after a failure at once", row(Phase::Failed, 9), missing(), Some(Health::Missing), Next::Await),
        ("nothing was applied", row(Phase::Refused, 1), None, None, Next::Await),
    ] {
        let (row, asked) = judged_row(row, found);
        assert_eq!((row.health, asked), (health, next), "{name}");
    }
}

#[test]
fn a_row_keeps_what_it_said_while_a_promotion_runs_and_says_nothing_of_what_is_gone() {
    let running =
        EnvironmentRow { running: Some(Underway::default()), ..with(row(Phase::Succeeded, 1), Health::Degraded) };
    assert_eq!(judged_row(running.clone(), Some(standing(Health::Missing))), (running, Next::Await));
    let gone = EnvironmentRow { name: "gone".into(), ..with(row(Phase::Succeeded, 1), Health::Missing) };
    assert_eq!(judged_row(gone, None).0.health, None);
}

#[test]
fn messages_come_and_go_with_what_they_speak_of() {
    let (bad, _) = judged_row(row(Phase::Succeeded, 1), Some(standing(Health::Degraded)));
    assert_eq!(bad.health_message.as_deref(), Some("Deployment checkout: bad"));
    let (changed, _) = judged_row(bad, Some(drifted()));
    assert_eq!((changed.health_message.clone(), changed.drifted), (None, Some(true)));
    assert_eq!(changed.drift_message.as_deref(), Some("Deployment checkout: changed"));
    let (good, _) = judged_row(changed, Some(Standing::default()));
    assert_eq!(good, with(row(Phase::Succeeded, 1), Health::Healthy));
}

#[test]
fn what_is_said_is_what_changed() {
    let known = |health: Option<Health>| EnvironmentRow { health, ..row(Phase::Succeeded, 1) };
    let (healthy, progressing) = (Some(Health::Healthy), Some(Health::Progressing));
    let (degraded, missing) = (Some(Health::Degraded), Some(Health::Missing));
    for (before, after, expected) in [
        (None, healthy, None),
        (healthy, healthy, None),
        (healthy, progressing, None),
        (healthy, degraded, Some("Degraded")),
        (healthy, missing, Some("Missing")),
        (progressing, degraded, Some("Degraded")),
        (degraded, degraded, None),
        (degraded, missing, Some("Missing")),
        (degraded, healthy, Some("Healthy")),
        (progressing, healthy, Some("Healthy")),
        (missing, None, None),
    ] {
        let found = after.map(standing);
        let said = changes(&[known(before)], &[known(after)], &observed(found));
        let reasons: Vec<&str> = said.iter().map(|said| said.note.reason).collect();
        assert_eq!(reasons, expected.into_iter().collect::<Vec<_>>(), "{before:?} {after:?}");
    }
}

#[test]
fn drift_is_said_once_with_its_object() {
    let before = row(Phase::Succeeded, 1);
    let after = EnvironmentRow { drifted: Some(true), ..before.clone() };
    let said = changes(std::slice::from_ref(&before), std::slice::from_ref(&after), &observed(Some(drifted())));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].note.message, "checkout in dev: Deployment checkout: changed");
    assert_eq!(said[0].object.as_ref().and_then(|object| object.api_version.as_deref()), Some("apps/v1"));
    assert_eq!(changes(std::slice::from_ref(&after), std::slice::from_ref(&after), &observed(Some(drifted()))), []);
}
