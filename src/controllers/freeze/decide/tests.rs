use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::condition::ConditionType;

const NOW: &str = "2026-12-24T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A freeze of production with these fields besides, where these promotions have not ended.
fn observed(spec: &Value, unfinished: &[Value]) -> Observed {
    let mut whole = json!({
        "reason": "nobody is there", "environments": ["production"],
        "start": "2026-12-20T00:00:00Z", "end": "2027-01-04T00:00:00Z",
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "winter", "generation": 3, "creationTimestamp": "2026-12-01T00:00:00Z"});
    let promotion = |object: &Value| Arc::new(serde_json::from_value(object.clone()).unwrap());
    Observed {
        freeze: Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": whole})).unwrap()),
        environments: ["production", "test"].map(str::to_owned).into(),
        projects: ["checkout"].map(str::to_owned).into(),
        unfinished: unfinished.iter().map(promotion).collect(),
        now: at(NOW),
    }
}

fn recurring() -> Value {
    let schedule = json!({"cron": "0 18 * * FRI", "timeZone": "Europe/Berlin", "duration": "62h"});
    json!({"start": null, "end": null, "schedule": schedule})
}

/// A promotion that waits, with these fields of its spec besides.
fn promotion(name: &str, spec: &Value) -> Value {
    let mut whole = json!({"project": "checkout", "version": "1.0.0", "environment": "production"});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"metadata": {"name": name, "creationTimestamp": NOW}, "spec": whole, "status": {"phase": "Pending"}})
}

fn said(decision: &Decision) -> (String, String, String) {
    let conditions = &decision.status.conditions;
    let kinds = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
    let standing = kinds.into_iter().find(|kind| condition::is_true(conditions, *kind)).unwrap();
    let ready = condition::find(conditions, ConditionType::Ready).unwrap();
    (standing.as_str().to_owned(), ready.reason.clone(), ready.message.clone())
}

#[test]
fn it_says_whether_it_holds_until_when_and_when_it_begins_next() {
    let over = json!({"start": "2025-12-20T00:00:00Z", "end": "2026-01-04T00:00:00Z"});
    let always = "any environment";
    for (spec, reason, says, until, next, border) in [
        (
            json!({}),
            "Frozen",
            "to production until 2027-01-04T00:00:00Z",
            Some("2027-01-04T00:00:00Z"),
            None,
            Some("2027-01-04T00:00:00Z"),
        ),
        (
            json!({"environments": []}),
            "Frozen",
            always,
            Some("2027-01-04T00:00:00Z"),
            None,
            Some("2027-01-04T00:00:00Z"),
        ),
        (
            json!({"start": "2026-12-25T00:00:00Z"}),
            "NotFrozen",
            "from 2026-12-25T00:00:00Z until 2027-01-04T00:00:00Z",
            None,
            Some("2026-12-25T00:00:00Z"),
            Some("2026-12-25T00:00:00Z"),
        ),
        (
            recurring(),
            "NotFrozen",
            "from 2026-12-25T17:00:00Z",
            None,
            Some("2026-12-25T17:00:00Z"),
            Some("2026-12-25T17:00:00Z"),
        ),
        (over, "Over", "delete it", None, None, None),
    ] {
        let decision = decide(&observed(&spec, &[]));
        let (standing, found, message) = said(&decision);
        assert_eq!((standing.as_str(), found.as_str()), ("Ready", reason), "{message}");
        assert!(message.contains(says), "{message}");
        let status = &decision.status;
        assert_eq!((status.active, status.observed_generation), (until.is_some(), Some(3)));
        assert_eq!(status.until.as_ref().map(|time| time.0), until.map(at));
        assert_eq!(status.next.as_ref().map(|period| period.start.0), next.map(at));
        assert_eq!(decision.next, border.map_or(Next::Await, |border| Next::At(at(border))));
    }
}

#[test]
fn one_that_cannot_be_understood_says_so_and_holds_what_it_names() {
    let schedule = json!({"cron": "0 25 * * FRI", "timeZone": "Europe/Berln", "duration": "62h"});
    let waits = [promotion("a", &json!({})), promotion("b", &json!({"environment": "test"}))];
    let decision = decide(&observed(&json!({"start": null, "end": null, "schedule": schedule}), &waits));
    let (standing, reason, message) = said(&decision);
    assert_eq!((standing.as_str(), reason.as_str()), ("Stalled", "Invalid"));
    assert!(message.contains("spec.schedule.cron") && message.contains("spec.schedule.timeZone"), "{message}");
    let status = decision.status;
    assert_eq!((status.active, status.until, status.holds, status.held), (true, None, 1, vec!["a".to_owned()]));
}

#[test]
fn what_it_names_and_does_not_exist_is_told_and_waited_for() {
    for (spec, reason, says) in [
        (
            json!({"environments": ["prodction", "production"]}),
            "UnknownEnvironment",
            "no environment prodction (spec.environments)",
        ),
        (json!({"projects": ["checkot"]}), "UnknownProject", "no project checkot (spec.projects)"),
    ] {
        let decision = decide(&observed(&spec, &[]));
        let (standing, found, message) = said(&decision);
        assert_eq!((standing.as_str(), found.as_str()), ("Reconciling", reason));
        assert!(message.contains(says) && decision.status.active, "{message}");
    }
}

#[test]
fn it_lists_what_it_holds_back_and_nothing_else() {
    let with = |mut promotion: Value, field: &str, value: Value| {
        promotion["status"][field] = value;
        promotion
    };
    let step = json!([{"name": "a", "target": "default", "namespace": "x", "phase": "Succeeded"}, {"name": "b", "target": "default", "namespace": "x", "phase": "Pending"}]);
    let paused = with(with(promotion("paused", &json!({})), "phase", json!("Running")), "steps", step);
    let names = json!({"names": ["winter"], "reason": "x"});
    let cause = json!({"kind": "Promotion", "name": "failed", "uid": "u"});
    let waits = [
        promotion("b", &json!({})),
        promotion("a", &json!({"whenNotReady": "Wait"})),
        promotion("elsewhere", &json!({"environment": "test"})),
        promotion("later", &json!({"notBefore": "2027-02-01T00:00:00Z"})),
        promotion("tonight", &json!({"notBefore": "2026-12-24T20:00:00Z"})),
        promotion("override", &json!({"freezeOverride": names})),
        promotion("rollback", &json!({"cause": cause})),
        with(promotion("running", &json!({})), "phase", json!("Running")),
        with(promotion("over", &json!({})), "finished", json!(true)),
        paused,
    ];
    let status = decide(&observed(&json!({}), &waits)).status;
    assert_eq!((status.holds, status.held), (3, ["a", "b", "tonight"].map(str::to_owned).to_vec()));
    let pausing = decide(&observed(&json!({"running": "Pause"}), &waits)).status;
    // One whose status names no step that runs is kept from its next.
    assert_eq!(pausing.held, ["a", "b", "paused", "running", "tonight"].map(str::to_owned));
}

#[test]
fn of_very_many_it_lists_the_first_and_counts_all() {
    let many: Vec<Value> = (10..60).map(|n| promotion(&format!("p{n}"), &json!({}))).collect();
    let status = decide(&observed(&json!({}), &many)).status;
    assert_eq!((status.holds, status.held.len(), status.held[0].as_str()), (50, LISTED, "p10"));
}

#[test]
fn it_says_once_that_it_begins_and_ends_and_a_repeated_run_changes_nothing() {
    let mut freeze = observed(&json!({}), &[promotion("a", &json!({}))]);
    let begun = decide(&freeze);
    let reasons = |decision: &Decision| decision.events.iter().map(|note| note.reason).collect::<Vec<_>>();
    assert_eq!(reasons(&begun), ["Frozen"]);
    Arc::make_mut(&mut freeze.freeze).status = Some(begun.status.clone());
    let again = decide(&freeze);
    assert_eq!((again.status, again.events), (begun.status.clone(), Vec::new()));
    freeze.now = at("2027-01-04T00:00:00Z");
    let ended = decide(&freeze);
    assert_eq!((reasons(&ended), ended.status.active, ended.status.holds), (vec!["Thawed"], false, 0));
}
