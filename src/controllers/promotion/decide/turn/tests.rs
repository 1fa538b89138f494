use std::sync::Arc;

use super::*;
use crate::api::v1alpha1::promotion::Cancel;
use crate::controllers::promotion::decide::tests::{at, progress, running};
use crate::controllers::promotion::decide::{Effect, decide};
use crate::controllers::promotion::status::STARTED;
use crate::controllers::promotion::work::progress::Progress;
use crate::domain::promotion::rollback::Rollback;

/// A promotion that runs, with steps of these kinds, of which the first is started.
fn process(kinds: &[RunOn]) -> Observed {
    let mut observed = running();
    let status = Arc::make_mut(&mut observed.promotion).status.get_or_insert_default();
    let (started, waiting) = (status.steps[0].clone(), status.steps[1].clone());
    let row = |(index, kind): (usize, &RunOn)| StepRecord {
        name: format!("step-{index}"),
        run_on: (*kind != RunOn::Success).then(|| kind.as_str().to_owned()),
        ..if index == 0 { started.clone() } else { waiting.clone() }
    };
    status.steps = kinds.iter().enumerate().map(row).collect();
    observed
}

fn failure(message: &str) -> FailureRecord {
    FailureRecord { reason: "CrashLoopBackOff".into(), message: message.into(), ..FailureRecord::default() }
}

/// Ends the step that runs, and writes what was decided.
fn end(observed: &mut Observed, state: State) -> PromotionStatus {
    let (step, _) = running_step(observed);
    observed.progress = Some(progress(step, state));
    let decision = decide(observed);
    assert!(decision.effects.is_empty(), "{decision:?}");
    Arc::make_mut(&mut observed.promotion).status = Some(decision.status.clone());
    observed.progress = None;
    decision.status
}

fn running_step(observed: &Observed) -> (usize, String) {
    let (index, step) = timeout::current(observed).unwrap();
    (index, step.name.clone())
}

/// Each step's phase, and why where it was passed over.
fn rows(status: &PromotionStatus) -> Vec<String> {
    let row = |step: &StepRecord| {
        let reason = step.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{}{reason}", step.phase)
    };
    status.steps.iter().map(row).collect()
}

const KINDS: [RunOn; 5] = [RunOn::Success, RunOn::Failure, RunOn::Success, RunOn::Failure, RunOn::Always];

#[test]
fn after_a_success_steps_for_failures_are_passed_over_and_the_promotion_succeeds() {
    let mut observed = process(&KINDS);
    let first = end(&mut observed, State::Done);
    assert_eq!(rows(&first), ["Succeeded", "Skipped NothingFailed", "Started", "Pending", "Pending"]);
    let second = end(&mut observed, State::Done);
    assert_eq!(rows(&second)[3..], ["Skipped NothingFailed", "Started"]);
    let ended = end(&mut observed, State::Done);
    assert_eq!((ended.phase.as_deref(), rows(&ended)[4].as_str()), (Some("Succeeded"), "Succeeded"));
}

#[test]
fn a_step_for_failures_at_the_end_of_a_success_never_has_its_turn() {
    let mut observed = process(&[RunOn::Success, RunOn::Failure]);
    let ended = end(&mut observed, State::Done);
    assert_eq!(
        (ended.phase.as_deref(), rows(&ended)),
        (Some("Succeeded"), vec!["Succeeded".into(), "Skipped NothingFailed".into()])
    );
}

#[test]
fn after_a_failure_only_the_steps_for_that_run_and_the_promotion_fails_for_its_first_cause() {
    let mut observed = process(&KINDS);
    end(&mut observed, State::Done);
    let failing = end(&mut observed, State::Failed(failure("it crashes")));
    let expected = ["Succeeded", "Skipped NothingFailed", "Failed", "Started", "Pending"];
    assert_eq!(rows(&failing), expected);
    assert_eq!((failing.phase.as_deref(), failing.finished, failing.applied), (Some("Running"), false, true));
    assert_eq!(failing.failure, Some(failure("it crashes")));
    assert!(failing.message.unwrap().ends_with("since the promotion failed: it crashes"));
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 3 }]);
    // One of them fails, too: the last one runs all the same.
    let again = end(&mut observed, State::Failed(failure("the cleaning broke")));
    assert_eq!(rows(&again)[3..], ["Failed", STARTED]);
    assert_eq!(again.steps[3].message.as_deref(), Some("the cleaning broke"));
    let ended = end(&mut observed, State::Done);
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Failed"), Some("CrashLoopBackOff")));
    assert_eq!((ended.message.as_deref(), ended.failure), (Some("it crashes"), Some(failure("it crashes"))));
    assert_eq!(rows(&observed.promotion.status.clone().unwrap())[4], "Succeeded");
}

#[test]
fn when_the_last_step_fails_it_says_why_itself_whatever_had_failed_before() {
    let mut observed = process(&[RunOn::Success, RunOn::Always]);
    end(&mut observed, State::Failed(failure("it crashes")));
    let ended = end(&mut observed, State::Failed(failure("the cleaning broke")));
    assert_eq!((ended.phase.as_deref(), ended.message.as_deref()), (Some("Failed"), Some("it crashes")));
    let said: Vec<_> = ended.steps.iter().map(|step| step.message.as_deref().unwrap()).collect();
    assert_eq!(said, ["it crashes", "the cleaning broke"]);
}

#[test]
fn a_step_that_took_too_long_is_followed_by_the_steps_for_failures_too() {
    let mut observed = process(&[RunOn::Success, RunOn::Success, RunOn::Failure]);
    observed.now = at(10 + 300);
    let failing = end(&mut observed, State::Waiting { message: "1 of 2 pods are ready".into(), recheck: None });
    assert_eq!(rows(&failing), ["Failed", "Skipped AfterFailure", "Started"]);
    assert_eq!(failing.failure.map(|failure| failure.reason).as_deref(), Some("Timeout"));
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 2 }], "its own time begins with it");
}

#[test]
fn what_is_rolled_back_is_so_once_the_steps_for_failures_have_run() {
    let mut observed = process(&[RunOn::Success, RunOn::Failure]);
    observed.rollback = Rollback::Unknown;
    end(&mut observed, State::Failed(failure("it crashes")));
    observed.progress = Some(progress(1, State::Failed(failure("the cleaning broke"))));
    assert_eq!(decide(&observed).effects, [Effect::LookForRollback]);
    observed.rollback = Rollback::Wanted { promotion: "back".into(), version: "0.9.0".into(), again: "good".into() };
    let status = decide(&observed).status;
    assert_eq!((status.phase.as_deref(), rows(&status)), (Some("RollingBack"), vec!["Failed".into(), "Failed".into()]));
    assert_eq!(status.failure, Some(failure("it crashes")));
}

#[test]
fn whoever_cancels_after_a_failure_ends_the_steps_for_it_and_the_promotion_has_failed() {
    let mut observed = process(&[RunOn::Success, RunOn::Failure, RunOn::Always, RunOn::Success]);
    end(&mut observed, State::Failed(failure("it crashes")));
    observed.progress =
        Some(Progress { step: 1, ..progress(1, State::Waiting { message: "x".into(), recheck: None }) });
    Arc::make_mut(&mut observed.promotion).spec.cancel = Some(Cancel { reason: None });
    let ended = decide(&observed).status;
    assert_eq!((ended.phase.as_deref(), ended.message.as_deref()), (Some("Failed"), Some("it crashes")));
    assert_eq!(rows(&ended), ["Failed", "Failed", "Skipped Canceled", "Skipped AfterFailure"]);
}
