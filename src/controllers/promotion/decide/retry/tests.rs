use std::sync::Arc;

use super::*;
use crate::api::v1alpha1::promotion::Cancel;
use crate::controllers::decision::Next;
use crate::controllers::promotion::decide::tests::{at, progress, running};
use crate::controllers::promotion::decide::{Effect, decide};
use crate::controllers::promotion::work::progress::{Progress, State};

/// A promotion whose first step may be begun again twice within five minutes, and failed now for this reason.
fn failed(reason: &str) -> Observed {
    let mut observed = running();
    let steps = &mut Arc::make_mut(&mut observed.promotion).status.get_or_insert_default().steps;
    (steps[0].retries, steps[0].attempt) = (Some(2), Some(1));
    fail(&mut observed, (1, reason));
    observed
}

fn fail(observed: &mut Observed, (attempt, reason): (i32, &str)) {
    let failure = FailureRecord { reason: reason.into(), message: "it is broken".into(), ..FailureRecord::default() };
    observed.progress = Some(Progress { attempt: Some(attempt), ..progress(0, State::Failed(failure)) });
}

/// Writes what was decided.
fn write(observed: &mut Observed) -> Next {
    let decision = decide(observed);
    assert!(decision.effects.is_empty(), "{decision:?}");
    Arc::make_mut(&mut observed.promotion).status = Some(decision.status);
    decision.next
}

#[test]
fn a_step_that_failed_waits_and_is_begun_again_and_each_is_written_before_it_happens() {
    let mut observed = failed("Conflict");
    let decision = decide(&observed);
    assert_eq!(decision.events.first().map(|event| event.reason), Some("Retrying"));
    assert_eq!(write(&mut observed), Next::At(at(16)));
    let status = observed.promotion.status.clone().unwrap();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Running"), Some("InProgress")));
    assert_eq!((status.steps[0].phase.as_str(), status.steps[0].attempt), ("Started", Some(1)));
    let message = "step step-0 failed 1 of 3 times and is begun again at 08:00:16Z: it is broken";
    assert_eq!((status.message.as_deref(), status.steps[0].message.as_deref()), (Some(message), Some(message)));

    observed.now = at(15);
    let waits = decide(&observed);
    assert_eq!((Some(&waits.status), waits.next), (Some(&status), Next::At(at(16))), "waiting writes nothing");
    observed.now = at(16);
    assert_eq!(write(&mut observed), Next::Again);
    let step = observed.promotion.status.as_ref().unwrap().steps[0].clone();
    assert_eq!((step.attempt, &step.retry_at, step.applied_at.as_ref()), (Some(2), &None, None));
    assert_eq!(step.started_at.map(|time| time.0), Some(at(10)), "its time does not begin again");
    assert_eq!(step.attempted_at.map(|time| time.0), Some(at(16)));
    assert!(!observed.progress.as_ref().unwrap().is_current(&observed.promotion), "what failed was the time before");
    observed.progress = None;
    assert_eq!(decide(&observed).effects, [Effect::Work { step: 0 }]);
}

#[test]
fn the_last_failure_is_the_end_and_a_success_forgets_the_earlier_ones() {
    let mut observed = failed("Conflict");
    write(&mut observed);
    observed.now = at(16);
    write(&mut observed);
    fail(&mut observed, (2, "Conflict"));
    assert_eq!(write(&mut observed), Next::At(at(26)), "the second wait is longer");
    observed.now = at(26);
    write(&mut observed);
    let mut done = observed.clone();
    done.progress = Some(Progress { attempt: Some(3), ..progress(0, State::Done) });
    let advanced = decide(&done).status;
    assert_eq!((advanced.steps[0].phase.as_str(), advanced.steps[0].attempt), ("Succeeded", Some(3)));
    assert_eq!((advanced.steps[1].phase.as_str(), advanced.steps[1].attempt), ("Started", None));
    fail(&mut observed, (3, "Conflict"));
    let ended = decide(&observed).status;
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Failed"), Some("Conflict")));
    assert_eq!((ended.message.as_deref(), ended.steps[0].attempt), (Some("it is broken"), Some(3)));
}

#[test]
fn what_the_release_alone_is_the_cause_of_and_a_timeout_are_not_tried_again() {
    let ends = |observed: &Observed| decide(observed).status.phase;
    assert_eq!(ends(&failed("UnresolvedVariable")).as_deref(), Some("Failed"));
    let mut late = failed("Conflict");
    late.now = at(10 + 296);
    assert_eq!(ends(&late).as_deref(), Some("Failed"), "its time would be over");
    let mut slow = failed("Conflict");
    slow.progress =
        Some(Progress { attempt: Some(1), ..progress(0, State::Waiting { message: "x".into(), recheck: None }) });
    slow.now = at(10 + 300);
    assert_eq!(decide(&slow).status.reason.as_deref(), Some("Timeout"));
}

#[test]
fn an_operator_that_comes_back_too_late_says_what_had_failed() {
    let mut observed = failed("Conflict");
    write(&mut observed);
    (observed.progress, observed.looked) = (None, false);
    observed.now = at(10 + 330);
    let ended = decide(&observed).status;
    assert_eq!(ended.reason.as_deref(), Some("Timeout"));
    assert!(ended.message.unwrap().ends_with(": it is broken"));
    assert_eq!(ended.steps[0].retry_at, None);
}

#[test]
fn whoever_cancels_does_not_wait_for_another_time() {
    let mut observed = failed("Conflict");
    write(&mut observed);
    Arc::make_mut(&mut observed.promotion).spec.cancel = Some(Cancel { reason: None });
    assert_eq!(decide(&observed).status.phase.as_deref(), Some("Canceled"));
}
