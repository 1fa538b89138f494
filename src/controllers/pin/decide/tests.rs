use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::Pin;
use crate::api::v1alpha1::pin::Witness;
use crate::controllers::place::Past;
use crate::domain::pin::Running;
use crate::domain::promotion::reason::Reason as Why;

fn pin(generation: i64) -> Pin {
    let object = json!({
        "metadata": {"name": "checkout.dev", "namespace": "shop", "uid": "u", "generation": generation},
        "spec": {"project": "checkout", "environment": "dev", "version": "2.0.0", "requestedBy": {"username": "alice"}},
    });
    serde_json::from_value(object).unwrap()
}

fn observed(own: Option<Own>) -> Observed {
    let pin = pin(3);
    Observed {
        own: own.map(|own| (promote::name(&pin), own)),
        past: Past::default(),
        release_uid: Some("release".to_owned()),
        running: None,
        witnessed: Some(Witness { generation: 3, vouched: true, seen_at: None }),
        unguarded: None,
        now: Timestamp::from_second(100).unwrap(),
        pin: Arc::new(pin),
    }
}

fn ended(phase: Phase) -> Own {
    Own::Ended { phase, at: Timestamp::from_second(50).unwrap(), message: "because".to_owned() }
}

fn waits(reason: Why) -> Own {
    Own::Underway { phase: Phase::Pending, reason: Some(reason), message: "because".to_owned() }
}

/// Ready, Reconciling, Stalled and Diverged, and why.
fn said(decision: &Decision) -> (Value, String, String) {
    let conditions = &decision.status.conditions;
    let of = |kind| condition::is_true(conditions, kind);
    let holds =
        [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled, ConditionType::Diverged].map(of);
    let ready = condition::find(conditions, ConditionType::Ready).unwrap();
    assert_eq!(ready.observed_generation, Some(3));
    (json!(holds), ready.reason.clone(), ready.message.clone())
}

#[test]
fn a_generation_makes_one_promotion_as_its_author_and_remembers_it() {
    let decision = decide(&observed(None));
    assert_eq!(decision.effects, [Effect::Promote]);
    let name = promote::name(&pin(3));
    assert!(name.starts_with("checkout-2.0.0-dev-") && name != promote::name(&pin(4)), "{name}");
    let status = &decision.status;
    assert_eq!(
        (status.carried_out, status.promotion.as_deref(), status.phase.as_deref()),
        (Some(3), Some(&*name), Some("Pending"))
    );
    assert_eq!(said(&decision).0, json!([false, true, false, false]));
    let made = promote::promotion(&pin(3)).spec;
    assert_eq!(made.requested_by.unwrap().username, "alice");
    let cause = made.cause.unwrap();
    assert_eq!(
        (cause.kind.as_str(), cause.name.as_str(), cause.uid.as_str(), cause.generation),
        ("Pin", "checkout.dev", "u", Some(3))
    );
    assert_eq!(made.reason.as_deref(), Some("pin checkout.dev"));
}

#[test]
fn while_people_or_a_time_are_waited_for_it_is_ready_and_says_why() {
    let (holds, reason, message) = said(&decide(&observed(Some(waits(Why::EnvironmentPaused)))));
    assert_eq!((holds, reason.as_str()), (json!([true, false, false, false]), "Waiting"));
    assert!(message.ends_with("waits: because"), "{message}");
    let (holds, reason, _) = said(&decide(&observed(Some(waits(Why::ReleaseNotFound)))));
    assert_eq!((holds, reason.as_str()), (json!([false, true, false, false]), "Deploying"));
}

#[test]
fn where_nothing_but_an_edit_helps_it_is_stalled_and_says_so_before_a_tool_gives_up() {
    for (why, expected) in [(Why::NotInLifecycle, "NotInLifecycle"), (Why::ChannelNotFound, "ChannelNotFound")] {
        let decision = decide(&observed(Some(waits(why))));
        let (holds, reason, message) = said(&decision);
        assert_eq!((holds, reason.as_str()), (json!([false, false, true, false]), expected));
        assert!(message.ends_with("waits: because") && decision.effects.is_empty(), "{message}");
        assert_eq!(decision.events[0].severity, Severity::Warning);
    }
}

#[test]
fn a_promotion_that_did_not_succeed_needs_a_person_and_says_how_to_try_again() {
    for (phase, expected) in [(Phase::Failed, "Failed"), (Phase::Canceled, "Canceled"), (Phase::Refused, "Refused")] {
        let decision = decide(&observed(Some(ended(phase))));
        let (holds, reason, message) = said(&decision);
        assert_eq!((holds, reason.as_str()), (json!([false, false, true, false]), expected));
        assert!(message.contains(": because; change spec.retry of the pin to try again"), "{message}");
        assert!(decision.effects.is_empty());
        assert_eq!(decision.events.len(), 1);
        assert_eq!(decision.events[0].severity, Severity::Warning);
    }
}

#[test]
fn what_came_after_it_is_shown_as_divergence_and_not_fought() {
    let mut observed = observed(Some(ended(Phase::Succeeded)));
    assert_eq!(
        said(&decide(&observed)),
        (json!([true, false, false, false]), "Deployed".into(), "checkout 2.0.0 runs in dev".into())
    );
    observed.past.newest = Some(Touch {
        at: Timestamp::from_second(60).unwrap(),
        uid: "m".to_owned(),
        promotion: "manual".to_owned(),
        version: "3.0.0".to_owned(),
        release_uid: Some("release".to_owned()),
        arrived: true,
    });
    let decision = decide(&observed);
    let (holds, reason, message) = said(&decision);
    assert_eq!((holds, reason.as_str()), (json!([true, false, false, true]), "Diverged"));
    assert!(
        message.starts_with("checkout 3.0.0 came to dev by promotion manual after this pin, and is not fought"),
        "{message}"
    );
    assert!(decision.effects.is_empty());
    observed.own = Some((promote::name(&observed.pin), ended(Phase::Superseded)));
    observed.past.newest = None;
    let (holds, _, message) = said(&decide(&observed));
    assert_eq!(holds, json!([true, false, false, true]));
    assert!(message.contains("is Superseded: because; change spec.retry"), "{message}");
}

#[test]
fn a_version_that_runs_already_makes_no_promotion_and_names_the_one_that_brought_it() {
    let mut observed = observed(None);
    observed.past.newest = Some(Touch {
        at: Timestamp::from_second(60).unwrap(),
        uid: "m".to_owned(),
        promotion: "manual".to_owned(),
        version: "2.0.0".to_owned(),
        release_uid: Some("release".to_owned()),
        arrived: true,
    });
    let decision = decide(&observed);
    assert!(decision.effects.is_empty());
    let status = &decision.status;
    assert_eq!(
        (status.carried_out, status.promotion.as_deref(), status.phase.as_deref()),
        (Some(3), Some("manual"), Some("Succeeded"))
    );
    assert_eq!(said(&decision).1, "Deployed");
}

// Attack T20.
#[test]
fn what_runs_of_a_release_that_was_made_again_is_shown_and_the_next_change_promotes_the_one_of_now() {
    let brought = Touch {
        at: Timestamp::from_second(50).unwrap(),
        uid: "m".to_owned(),
        promotion: promote::name(&pin(3)),
        version: "2.0.0".to_owned(),
        release_uid: Some("the one before".to_owned()),
        arrived: true,
    };
    let mut observed = observed(Some(ended(Phase::Succeeded)));
    observed.past.newest = Some(brought);
    let decision = decide(&observed);
    let (holds, reason, message) = said(&decision);
    assert_eq!((holds, reason.as_str(), decision.effects.len()), (json!([true, false, false, true]), "Diverged", 0));
    assert_eq!(
        message,
        format!(
            "release checkout-2.0.0 was deleted and made again since promotion {} brought it to dev, where the one of then runs: change spec.retry of the pin to promote the one of now",
            promote::name(&pin(3))
        )
    );
    observed.own = None;
    assert_eq!(decide(&observed).effects, [Effect::Promote]);
}

#[test]
fn a_pin_that_nobody_answers_for_and_one_whose_version_is_on_its_way_make_nothing() {
    let mut unstamped = pin(3);
    unstamped.spec.requested_by = None;
    let observed = Observed { pin: Arc::new(unstamped), ..observed(None) };
    let decision = decide(&observed);
    assert_eq!((decision.effects.len(), decision.status.carried_out), (0, None));
    assert_eq!(said(&decision).1, "NotStamped");
    let doubted = Witness { generation: 3, vouched: false, seen_at: None };
    let in_a_gap = Observed { witnessed: Some(doubted.clone()), pin: Arc::new(pin(3)), ..observed.clone() };
    let decision = decide(&in_a_gap);
    assert_eq!((decision.effects.len(), decision.status.carried_out), (0, None));
    assert_eq!((said(&decision).1.as_str(), decision.status.witnessed), ("NotStamped", Some(doubted)));
    let (promotion, version) = ("manual".to_owned(), "2.0.0".to_owned());
    let running = Some(Running { promotion, version, release_uid: Some("release".to_owned()) });
    let decision = decide(&Observed { running, pin: Arc::new(pin(3)), ..observed });
    assert_eq!((decision.effects.len(), decision.status.carried_out), (0, None));
    assert_eq!(said(&decision).2, "promotion manual brings checkout 2.0.0 to dev just now");
}

#[test]
fn the_same_again_says_nothing_and_changes_nothing() {
    let first = observed(Some(ended(Phase::Failed)));
    let once = decide(&first);
    let mut pin = pin(3);
    pin.status = Some(once.status.clone());
    let again = decide(&Observed { pin: Arc::new(pin), now: Timestamp::from_second(200).unwrap(), ..first });
    assert_eq!((again.status, again.events.len()), (once.status, 0));
}
