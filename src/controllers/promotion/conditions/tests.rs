use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::api::v1alpha1::{Environment, Release};
use crate::controllers::promotion::decide::{Effect, decide, tests as example};
use crate::controllers::promotion::plan::PlanState;
use crate::controllers::promotion::reads::current::Current;
use crate::controllers::promotion::status::PENDING;
use crate::controllers::release::snapshot::SnapshotStep;
use crate::domain::variable::{Candidate, Content, Declared, Scope, Source, Variable};

/// A plan of these steps in the targets `eu`, which has the role `web`, and `us`, which has none.
fn plan(steps: &[SnapshotStep]) -> Plan {
    let planned = steps.iter().enumerate().flat_map(|(place, step)| {
        ["eu", "us"].map(|target| PlannedStep {
            record: StepRecord {
                name: step.name.clone(),
                target: target.into(),
                phase: PENDING.into(),
                ..StepRecord::default()
            },
            place,
            step: Arc::new(step.clone()),
        })
    });
    let value = Candidate { content: Content::Value(json!("yes")), scope: Scope::default() };
    let variable = Variable { name: "MIGRATE".into(), values: vec![value], prompt: None };
    let variables = vec![Declared { source: Source::Project, variables: vec![variable] }];
    Plan { steps: planned.collect(), packages: Vec::new(), variables }
}

/// A promotion to dev of a release of the channel `beta`, all of whose gates are open.
fn observed(plan: Plan) -> Observed {
    let mut observed = example::ready_to_start();
    let mut environment = Environment::clone(observed.environment.as_deref().unwrap());
    environment.spec = serde_json::from_value(json!({"order": 10, "targets": [
        {"name": "eu", "namespace": "shop-eu", "roles": ["web"]}, {"name": "us", "namespace": "shop-us"},
    ]}))
    .unwrap();
    let mut release = Release::clone(observed.release.as_deref().unwrap());
    release.status.get_or_insert_default().channel = Some("beta".into());
    (observed.environment, observed.release) = (Some(Arc::new(environment)), Some(Arc::new(release)));
    observed.plan = PlanState::Known(Arc::new(plan));
    observed
}

fn step(name: &str, change: impl Fn(&mut SnapshotStep)) -> SnapshotStep {
    let mut step = SnapshotStep { name: name.into(), ..SnapshotStep::default() };
    change(&mut step);
    step
}

fn when(name: &str, text: &str) -> SnapshotStep {
    step(name, |step| step.when = Some(text.into()))
}

fn runs(version: &str) -> Current {
    let since = jiff::Timestamp::UNIX_EPOCH;
    let (promotion, promotion_uid) = ("p".into(), "u".into());
    let release_uid = Some(format!("release-{version}"));
    Current { promotion, promotion_uid, version: version.into(), release_uid, since, made: None }
}

/// Step, target and why it was skipped, of those that were.
fn skips(records: &[StepRecord]) -> Vec<(&str, &str, &str)> {
    let reason = |step: &StepRecord| step.reason.as_ref().map(|_| ());
    let skipped = records.iter().filter(|step| reason(step).is_some());
    skipped.map(|step| (step.name.as_str(), step.target.as_str(), step.reason.as_deref().unwrap())).collect()
}

#[test]
fn a_step_that_does_not_run_has_a_row_that_says_why_and_the_first_that_runs_is_started() {
    let steps = [
        step("elsewhere", |step| step.environments = vec!["production".into()]),
        step("stable", |step| step.channels = vec!["stable".into()]),
        step("web", |step| step.roles = vec!["web".into()]),
        when("back", "promotion.mode == 'Rollback'"),
        when("here", "target.name == 'us' && variables.MIGRATE == 'yes' && environment.name == 'dev'"),
    ];
    let started = decide(&observed(plan(&steps))).status;
    assert_eq!(
        skips(&started.steps),
        [
            ("elsewhere", "eu", "Environment"),
            ("elsewhere", "us", "Environment"),
            ("stable", "eu", "Channel"),
            ("stable", "us", "Channel"),
            ("web", "us", "Roles"),
            ("back", "eu", "When"),
            ("back", "us", "When"),
            ("here", "eu", "When"),
        ]
    );
    let running: Vec<_> = started.steps.iter().filter(|step| step.phase == "Started").collect();
    assert_eq!(
        running.iter().map(|step| (step.name.as_str(), step.target.as_str())).collect::<Vec<_>>(),
        [("web", "eu")]
    );
    let message = started.steps[6].message.as_deref();
    assert_eq!(message, Some("its condition is false: promotion.mode == 'Rollback'"));
}

#[test]
fn a_condition_sees_what_the_promotion_is_to_what_runs_there() {
    for (current, mode) in [(None, "Deploy"), (Some(runs("1.0.0")), "Redeploy"), (Some(runs("1.1.0")), "Rollback")] {
        let steps = ["Deploy", "Redeploy", "Rollback"].map(|mode| when(mode, &format!("promotion.mode == '{mode}'")));
        let mut observed = observed(plan(&steps));
        observed.current = current;
        let records = decide(&observed).status.steps;
        let runs: Vec<_> = records.iter().filter(|step| step.reason.is_none()).map(|step| step.name.as_str()).collect();
        assert_eq!(runs, [mode, mode]);
    }
}

#[test]
fn conditions_that_cannot_be_decided_fail_the_promotion_before_it_takes_its_turn_all_of_them_at_once() {
    let steps = [step("fine", |_| {}), when("broken", "variables.NONE == 'x'"), when("word", "variables.MIGRATE")];
    let mut observed = observed(plan(&steps));
    observed.slot = crate::domain::promotion::machine::Slot::Free;
    assert_eq!(decide(&observed).effects, [Effect::LookForFaults], "whatever else is wrong is told with them");
    let other = Problem {
        step: "fine".into(),
        targets: vec!["eu".into()],
        object: "ConfigMap a".into(),
        path: "data.b".into(),
        reason: ProblemReason::Variable(FaultReason::SecretUnavailable),
        message: "no such Secret".into(),
    };
    observed.faults = Some(other.into());
    let decision = decide(&observed);
    assert!(decision.effects.is_empty(), "the slot is not taken");
    let status = decision.status;
    assert_eq!((status.phase.as_deref(), status.finished, status.applied), (Some("Failed"), true, false));
    let failure = status.failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.details.len()), ("UnresolvedVariable", 3));
    let first = "step broken (in eu, us): Project checkout: spec.process[1].when: variable NONE is declared nowhere";
    assert!(failure.details[0].starts_with(first), "{}", failure.details[0]);
    assert!(failure.details[1].starts_with("step word (in eu, us): Project checkout: spec.process[2].when: "));
    assert_eq!(failure.details[2], "step fine (in eu): ConfigMap a: data.b: no such Secret");
    let phases: Vec<&str> = status.steps.iter().map(|step| step.phase.as_str()).collect();
    assert_eq!(phases, ["Skipped", "Skipped", "Failed", "Failed", "Failed", "Failed"]);
}

#[test]
fn a_step_that_is_skipped_anyway_needs_no_condition_that_can_be_decided() {
    let elsewhere = step("elsewhere", |step| {
        (step.environments, step.when) = (vec!["production".into()], Some("variables.NONE".into()));
    });
    let status = decide(&observed(plan(&[elsewhere, step("fine", |_| {})]))).status;
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

#[test]
fn what_a_person_leaves_out_is_skipped_before_its_condition_is_looked_at() {
    let steps = [step("migrate", |step| step.roles = vec!["web".into()]), when("deploy", "target.name == 'us'")];
    let mut observed = observed(plan(&steps));
    let spec = &mut Arc::make_mut(&mut observed.promotion).spec;
    (spec.targets, spec.skip_steps) = (vec!["us".into()], vec!["migrate".into()]);
    let started = decide(&observed).status;
    let expected = [("migrate", "eu", "TargetLeftOut"), ("migrate", "us", "Roles"), ("deploy", "eu", "TargetLeftOut")];
    assert_eq!(skips(&started.steps), expected);
    let message = started.message.as_deref();
    assert_eq!(message, Some("checkout 1.0.0 is being applied to dev, in us only and without migrate"));
}

#[test]
fn a_name_that_does_not_exist_refuses_the_promotion_once_the_process_was_read() {
    let mut observed = observed(plan(&[step("deploy", |_| {})]));
    let spec = &mut Arc::make_mut(&mut observed.promotion).spec;
    spec.skip_steps = vec!["migrate".into()];
    let refused = decide(&observed).status;
    assert_eq!((refused.phase.as_deref(), refused.reason.as_deref()), (Some("Refused"), Some("StepNotFound")));
    let known = std::mem::replace(&mut observed.plan, PlanState::Unknown);
    observed.fresh = false;
    assert_eq!(decide(&observed).effects, [crate::controllers::promotion::decide::Effect::ReadLive]);
    (observed.plan, observed.fresh) = (known, true);
    let spec = &mut Arc::make_mut(&mut observed.promotion).spec;
    (spec.targets, spec.skip_steps) = (vec!["asia".into()], Vec::new());
    let refused = decide(&observed).status;
    assert_eq!(refused.reason.as_deref(), Some("TargetNotFound"));
    let message = "environment dev has no target asia (spec.targets[0]), it has eu, us: make a new promotion with one of these under another name";
    assert_eq!(refused.message.as_deref(), Some(message));
}

#[test]
fn the_success_of_a_part_says_that_it_is_one() {
    let mut observed = observed(plan(&[step("deploy", |_| {}), step("banner", |_| {})]));
    Arc::make_mut(&mut observed.promotion).spec.skip_steps = vec!["banner".into(), "deploy".into()];
    observed.current = Some(runs("1.0.0"));
    let nothing = decide(&observed).status;
    assert_eq!(nothing.reason.as_deref(), Some("NothingToDo"), "not even where it runs already");
    assert!(nothing.message.unwrap().ends_with("leave out less, in a new promotion with another name"));

    Arc::make_mut(&mut observed.promotion).spec.skip_steps = vec!["banner".into()];
    let mut status = decide(&observed).status;
    status.steps.iter_mut().for_each(|step| step.phase = SKIPPED.into());
    Arc::make_mut(&mut observed.promotion).status = Some(status);
    let ended = decide(&observed).status;
    let message = ended.message.unwrap();
    assert!(
        message.ends_with("it brought only a part of the release, which does not count as what runs in dev"),
        "{message}"
    );
}

#[test]
fn a_promotion_that_would_do_nothing_is_no_success_except_where_its_release_runs_already() {
    let steps = [step("elsewhere", |step| step.environments = vec!["production".into()])];
    let nothing = decide(&observed(plan(&steps))).status;
    assert_eq!((nothing.phase.as_deref(), nothing.reason.as_deref()), (Some("Failed"), Some("NothingToDo")));
    let message = "every step of checkout 1.0.0 is skipped in dev (step elsewhere: it runs in production only, and this is dev), so \
                   nothing would be deployed: let a step run there, and make a new release";
    assert_eq!(nothing.message.as_deref(), Some(message));

    let mut clean = plan(&[step("clean", |_| {})]);
    clean.steps.iter_mut().for_each(|step| step.record.run_on = Some("Failure".into()));
    let nothing = decide(&observed(clean)).status;
    assert_eq!(nothing.reason.as_deref(), Some("NothingToDo"), "a step for failures deploys nothing");

    let mut again = observed(plan(&[when("changed", "promotion.mode != 'Redeploy'")]));
    again.current = Some(runs("1.0.0"));
    let started = decide(&again).status;
    assert_eq!(started.phase.as_deref(), Some("Running"));
    Arc::make_mut(&mut again.promotion).status = Some(started);
    let ended = decide(&again).status;
    assert_eq!((ended.phase.as_deref(), ended.applied), (Some("Succeeded"), false));
}
