use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::api::condition::ConditionType;
use crate::api::v1alpha1::Project;
use crate::api::v1alpha1::project::{Apply, Manifest, Package, Step};
use crate::domain::promotion::outcome::example::success;
use crate::domain::promotion::phase::Phase;
use crate::domain::variable::stray::Names;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn project() -> Project {
    let mut project = Project::default();
    project.metadata.generation = Some(1);
    project.spec.packages =
        vec![Package { name: "api".into(), image: "ghcr.io/acme/checkout".into(), pull_secret: None }];
    let manifest = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    let apply = Apply { manifests: Some(vec![Manifest(manifest)]), ..Apply::default() };
    project.spec.process =
        vec![Step { name: "deploy".into(), apply: Some(apply), timeout: "5m".into(), ..Step::default() }];
    project
}

fn observed(outcomes: Vec<Outcome>, unfinished: Vec<Promotion>) -> Observed {
    Observed {
        variable_sets: Vec::new(),
        names: Names::default(),
        project: Arc::new(project()),
        outcomes: outcomes.into_iter().map(Arc::new).collect(),
        unfinished: unfinished.into_iter().map(Arc::new).collect(),
        order: BTreeMap::from([("test".into(), 20), ("dev".into(), 10)]),
        namespaces: BTreeMap::new(),
        standings: BTreeMap::new(),
        missing_lifecycle: None,
        triggers: Vec::new(),
        made: Vec::new(),
        now: at(100),
    }
}

fn outcome(environment: &str, version: &str, second: i64, phase: Phase) -> Outcome {
    Outcome {
        promotion: format!("checkout-{version}-{environment}"),
        version: version.try_into().unwrap(),
        phase,
        message: "done".into(),
        started: Some(at(second - 1)),
        ..success(environment, at(second))
    }
}

#[test]
fn rows_come_in_the_order_of_the_lifecycle_and_say_what_runs_and_what_ran_before() {
    let ends = vec![
        outcome("test", "1.0.0", 3, Phase::Succeeded),
        outcome("dev", "1.1.0", 2, Phase::Succeeded),
        outcome("dev", "1.0.0", 1, Phase::Succeeded),
    ];
    let status = decide(&observed(ends, Vec::new())).status;
    let names: Vec<_> = status.environments.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["dev", "test"]);
    let dev = &status.environments[0];
    assert_eq!(dev.current.as_ref().map(|current| current.version.as_str()), Some("1.1.0"));
    assert_eq!(dev.previous.as_ref().map(|previous| previous.version.as_str()), Some("1.0.0"));
    assert!(condition::is_true(&status.conditions, ConditionType::Ready));
}

#[test]
fn a_failure_is_the_last_end_and_leaves_what_runs_alone() {
    let ends = vec![outcome("dev", "1.0.0", 1, Phase::Succeeded), outcome("dev", "2.0.0", 2, Phase::Failed)];
    let status = decide(&observed(ends, Vec::new())).status;
    let dev = &status.environments[0];
    assert_eq!(dev.current.as_ref().map(|current| current.version.as_str()), Some("1.0.0"));
    let last = dev.last.as_ref().unwrap();
    assert_eq!((last.version.as_str(), last.phase.as_str(), last.applied), ("2.0.0", "Failed", true));
}

#[test]
fn the_same_ends_again_change_nothing() {
    let ends = vec![outcome("dev", "1.0.0", 1, Phase::Succeeded)];
    let mut seen = observed(ends, Vec::new());
    let first = decide(&seen).status;
    Arc::make_mut(&mut seen.project).status = Some(first.clone());
    seen.now = at(200);
    assert_eq!(decide(&seen).status, first);
}

#[test]
fn what_runs_and_what_waits_has_a_row_and_loses_it_with_its_end() {
    let mut running = Promotion::default();
    running.metadata.name = Some("checkout-1.0.0-dev".into());
    running.spec.environment = "dev".into();
    running.spec.version = "1.0.0".into();
    running.status.get_or_insert_default().phase = Some("Running".into());
    let mut waiting = running.clone();
    waiting.metadata.name = Some("checkout-1.1.0-dev".into());
    waiting.status.get_or_insert_default().phase = Some("Pending".into());
    let mut seen = observed(Vec::new(), vec![running, waiting]);
    let status = decide(&seen).status;
    let dev = &status.environments[0];
    assert_eq!(dev.running.as_ref().map(|entry| entry.promotion.as_str()), Some("checkout-1.0.0-dev"));
    assert_eq!(dev.waiting.as_ref().map(|entry| entry.promotion.as_str()), Some("checkout-1.1.0-dev"));
    Arc::make_mut(&mut seen.project).status = Some(status);
    seen.unfinished.clear();
    let after = decide(&seen).status;
    assert_eq!((after.environments[0].running.clone(), after.environments[0].waiting.clone()), (None, None));
}

#[test]
fn a_promotion_that_nobody_has_judged_yet_is_nothing_to_write_about() {
    let mut fresh = Promotion::default();
    fresh.spec.environment = "dev".into();
    let seen = observed(Vec::new(), vec![fresh]);
    assert_eq!(decide(&seen).status.environments, []);
}

#[test]
fn a_project_that_cannot_be_used_is_stalled_and_names_the_field() {
    let mut seen = observed(Vec::new(), Vec::new());
    Arc::make_mut(&mut seen.project).spec.packages[0].image = "ghcr.io/acme/checkout:1.0".into();
    let status = decide(&seen).status;
    let stalled = condition::find(&status.conditions, ConditionType::Stalled).unwrap();
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "Invalid"));
    assert!(stalled.message.contains("spec.packages[0].image"), "{}", stalled.message);
}

#[test]
fn a_scope_that_names_nothing_is_told_beside_a_project_that_can_be_released() {
    let mut seen = observed(Vec::new(), Vec::new());
    let scoped =
        serde_json::json!([{"name": "LEVEL", "values": [{"value": 1, "scope": {"environments": ["dev", "dve"]}}]}]);
    Arc::make_mut(&mut seen.project).spec.variables = serde_json::from_value(scoped).unwrap();
    seen.names.environments = Some(["dev".to_owned()].into());
    let status = decide(&seen).status;
    let known = condition::find(&status.conditions, ConditionType::ScopesKnown).unwrap();
    assert_eq!((known.status.as_str(), known.reason.as_str()), ("False", "UnknownName"));
    assert!(known.message.contains("environment dve (LEVEL, value 1)"), "{}", known.message);
    assert!(condition::is_true(&status.conditions, ConditionType::Ready));
    Arc::make_mut(&mut seen.project).spec.variables.clear();
    Arc::make_mut(&mut seen.project).status = Some(status);
    assert_eq!(condition::find(&decide(&seen).status.conditions, ConditionType::ScopesKnown), None);
}
