use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::promotion::{Cancel, Cause, FreezeOverride};
use crate::api::v1alpha1::promotion_status::FailureRecord;
use crate::api::v1alpha1::{Freeze, PromotionStatus};
use crate::controllers::promotion::decide::decide;
use crate::controllers::promotion::decide::tests::{at, progress, running};
use crate::controllers::promotion::work::progress::State;
use crate::domain::promotion::machine::Slot;

/// A freeze from second 10 to second 100 with these fields besides.
fn freeze(spec: &Value) -> Arc<Freeze> {
    let mut whole = json!({"reason": "nobody is there", "start": at(10), "end": at(100), "running": "Pause"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "winter", "uid": "f", "generation": 1, "creationTimestamp": at(-100)});
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": whole})).unwrap())
}

/// A promotion of two steps, of which the first is done, where this freeze is known.
fn between(freeze: Arc<Freeze>) -> Observed {
    let mut observed = running();
    observed.progress = Some(progress(0, State::Done));
    observed.freezes.objects = vec![freeze];
    observed
}

fn phases(status: &PromotionStatus) -> Vec<&str> {
    status.steps.iter().map(|step| step.phase.as_str()).collect()
}

/// Writes what was decided, and looks again at this second.
fn written(mut observed: Observed, decision: &Decision, second: i64) -> Observed {
    Arc::make_mut(&mut observed.promotion).status = Some(decision.status.clone());
    (observed.progress, observed.now) = (None, at(second));
    observed
}

#[test]
fn a_step_that_is_done_ends_and_the_next_waits_for_the_freeze_and_then_begins() {
    let observed = between(freeze(&json!({})));
    let paused = decide(&observed);
    assert_eq!((phases(&paused.status), paused.next), (vec!["Succeeded", "Pending"], Next::At(at(100))));
    let said = |status: &PromotionStatus| (status.phase.clone().unwrap(), status.reason.clone().unwrap());
    assert_eq!(said(&paused.status), ("Running".to_owned(), "Frozen".to_owned()));
    let message = paused.status.message.clone().unwrap();
    assert!(message.starts_with("paused before its next step by freeze winter (nobody is there) until"), "{message}");
    assert_eq!(paused.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Paused"]);

    let later = written(observed, &paused, 50);
    assert!(is_paused(&later.promotion));
    let again = decide(&later);
    assert_eq!((&again.status, again.events.len(), again.next), (&paused.status, 0, Next::At(at(100))));

    let over = written(later, &again, 100);
    let resumed = decide(&over);
    assert_eq!((phases(&resumed.status), resumed.next), (vec!["Succeeded", "Started"], Next::Again));
    assert_eq!(said(&resumed.status).1, "InProgress");
    assert_eq!(resumed.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Resumed"]);
    assert_eq!(resumed.status.steps[1].started_at.as_ref().map(|time| time.0), Some(at(100)), "its time begins now");
}

#[test]
fn no_step_begins_before_freezes_were_read_live() {
    let mut observed = between(freeze(&json!({"end": at(11)})));
    observed.freezes.live = false;
    assert_eq!(decide(&observed).effects, [Effect::ReadFreezes]);
    observed.freezes.live = true;
    assert_eq!(phases(&decide(&observed).status), ["Succeeded", "Started"]);
    let mut paused = between(freeze(&json!({})));
    let decision = decide(&paused);
    paused.freezes.live = false;
    assert_eq!(decide(&paused).status, decision.status, "to wait, the cache is enough");
    let mut over = written(paused, &decision, 100);
    over.freezes.live = false;
    assert_eq!(decide(&over).effects, [Effect::ReadFreezes]);
}

#[test]
fn what_finishes_in_spite_of_a_freeze_begins_its_next_step() {
    let elsewhere = json!({"environments": ["production"]});
    for spec in [json!({"running": "Finish"}), json!({"end": at(11)}), json!({"start": at(12)}), elsewhere] {
        assert_eq!(phases(&decide(&between(freeze(&spec))).status), ["Succeeded", "Started"], "{spec}");
    }
    let mut overridden = between(freeze(&json!({})));
    let given = FreezeOverride { names: vec!["winter".to_owned()], reason: "x".to_owned() };
    Arc::make_mut(&mut overridden.promotion).spec.freeze_override = Some(given);
    assert_eq!(phases(&decide(&overridden).status), ["Succeeded", "Started"]);
    let mut rollback = between(freeze(&json!({})));
    Arc::make_mut(&mut rollback.promotion).spec.cause =
        Some(Cause { kind: "Promotion".to_owned(), ..Cause::default() });
    assert_eq!(phases(&decide(&rollback).status), ["Succeeded", "Started"]);
    let mut failing = between(freeze(&json!({})));
    let status = Arc::make_mut(&mut failing.promotion).status.get_or_insert_default();
    status.failure = Some(FailureRecord::default());
    status.steps[1].run_on = Some("Failure".to_owned());
    assert_eq!(phases(&decide(&failing).status), ["Succeeded", "Started"], "a clean-up belongs to the end");
}

#[test]
fn the_last_step_ends_the_promotion_whatever_is_frozen() {
    let mut last = between(freeze(&json!({})));
    Arc::make_mut(&mut last.promotion).status.get_or_insert_default().steps.truncate(1);
    assert_eq!(decide(&last).status.phase.as_deref(), Some("Succeeded"));
}

#[test]
fn a_paused_promotion_is_canceled_at_once_and_keeps_its_slot() {
    let observed = between(freeze(&json!({})));
    let paused = decide(&observed);
    let mut later = written(observed, &paused, 50);
    later.slot = Slot::Free;
    assert_eq!(decide(&later).effects, [Effect::TakeSlot]);
    later.slot = Slot::Mine;
    Arc::make_mut(&mut later.promotion).spec.cancel = Some(Cancel::default());
    let ended = decide(&later).status;
    assert_eq!((ended.phase.as_deref(), ended.applied), (Some("Canceled"), true));
    assert_eq!(phases(&ended), ["Succeeded", "Skipped"]);
}

#[test]
fn one_whose_status_has_no_step_that_could_run_is_ended_and_says_so() {
    let mut observed = running();
    Arc::make_mut(&mut observed.promotion).status.get_or_insert_default().steps.clear();
    let ended = decide(&observed).status;
    assert_eq!((ended.phase.as_deref(), ended.reason.as_deref()), (Some("Refused"), Some("Unreadable")));
}
