use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::CommandRun;
use crate::domain::command::output::Output;
use crate::domain::guard::{self, Guard};

const NOW: &str = "2026-12-24T12:00:00Z";

/// A restart in an environment with the targets eu and us, with these fields of its spec besides.
fn observed(spec: &Value) -> Observed {
    let mut whole = json!({
        "environment": "production", "project": "checkout", "reason": "it leaks", "by": {"username": "ada"},
        "restart": {"workload": "Deployment/checkout"},
    });
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "x", "namespace": "shop", "uid": "u", "generation": 1, "creationTimestamp": NOW});
    let targets = json!([{"name": "eu", "namespace": "shop-eu"}, {"name": "us", "namespace": "shop-us"}]);
    let ready =
        json!({"type": "Ready", "status": "True", "reason": "Provisioned", "message": "", "lastTransitionTime": NOW});
    let environment = json!({
        "metadata": {"name": "production", "namespace": "shop", "generation": 2}, "spec": {"order": 1, "targets": targets},
        "status": {"observedGeneration": 2, "conditions": [ready]},
    });
    Observed {
        command: Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": whole})).unwrap()),
        environment: Some(Arc::new(serde_json::from_value(environment).unwrap())),
        guard: guard::always(),
        outcome: None,
        now: NOW.parse().unwrap(),
    }
}

/// What is observed once a decision is written, with what came of its effect.
fn next(mut observed: Observed, decision: &Decision, outcome: Option<(usize, Stand)>) -> Observed {
    let mut command: CommandRun = observed.command.as_ref().clone();
    command.status = Some(decision.status.clone());
    observed.command = Arc::new(command);
    observed.outcome = outcome.map(|(target, stand)| {
        let output = Some(Output { text: "said".to_owned(), truncated: true });
        let end = End::failed(Reason::ExitCode, format!("it is {}", stand.as_str()));
        Outcome::Ended { target, end: End { stand, output, exit_code: Some(3), ..end } }
    });
    observed
}

fn script(more: &Value) -> Value {
    let mut spec = json!({"restart": null, "script": {"image": "tools:1", "run": "ls", "timeout": "1m"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The same with another outcome.
fn came(observed: Observed, decision: &Decision, outcome: Outcome) -> Observed {
    Observed { outcome: Some(outcome), ..next(observed, decision, None) }
}

#[test]
fn the_image_of_a_script_has_its_digest_before_it_begins_anywhere() {
    let first = observed(&script(&json!({})));
    let asked = decide(&first);
    assert_eq!((rows(&asked), asked.effects.as_slice()), (vec![], [Effect::Pin].as_slice()));
    assert_eq!(asked.status.script_sha256, Some(sha256("ls")));
    let wait = Unpinned { heals: true, message: "registry x did not answer".to_owned() };
    let waits = decide(&came(first.clone(), &asked, Outcome::Pinned(Err(wait))));
    assert_eq!((said(&waits), waits.effects.len()), (("Running", "registry x did not answer"), 0));
    assert!(matches!(waits.next, Next::At(_)));
    let no = Unpinned { heals: false, message: "spec.script.image: it is none".to_owned() };
    let refused = decide(&came(first.clone(), &asked, Outcome::Pinned(Err(no))));
    assert_eq!(said(&refused), ("Refused", "spec.script.image: it is none; correct it, in a new command"));
    let begun = decide(&came(first.clone(), &asked, Outcome::Pinned(Ok("tools:1@sha256:x".to_owned()))));
    assert_eq!(
        (rows(&begun), begun.effects.as_slice()),
        (vec!["Started", "Pending"], [Effect::CarryOut { target: 0 }].as_slice())
    );
    assert_eq!(begun.status.image.as_deref(), Some("tools:1@sha256:x"));
    assert!(begun.status.targets[0].job.as_deref().is_some_and(|job| job.starts_with("gantry-run-")));
    let mut late = came(first, &asked, Outcome::Pinned(Ok("tools:1@sha256:x".to_owned())));
    late.now = "2026-12-24T12:10:01Z".parse().unwrap();
    assert_eq!(said(&decide(&late)).0, "Refused", "people mean now");
}

#[test]
fn a_script_that_goes_on_is_looked_at_again_and_never_begun_again() {
    let first = observed(&script(&json!({})));
    let begun = decide(&came(first.clone(), &decide(&first), Outcome::Pinned(Ok("i".to_owned()))));
    let going = Outcome::Goes { target: 0, message: "its Job x runs".to_owned() };
    let waits = decide(&came(first.clone(), &begun, going));
    assert_eq!((rows(&waits), waits.effects.len()), (vec!["Started", "Pending"], 0));
    assert_eq!(said(&waits).1, "script in target eu (namespace shop-eu): its Job x runs");
    assert!(matches!(waits.next, Next::At(at) if at > first.now));
    let again = decide(&next(first.clone(), &waits, None));
    assert_eq!(again.effects, [Effect::FindOut { target: 0 }]);
    let ended = decide(&next(first, &waits, Some((0, Stand::Failed))));
    assert_eq!(rows(&ended), ["Failed", "Started"]);
    let row = &ended.status.targets[0];
    assert_eq!((row.exit_code, row.reason.as_deref()), (Some(3), Some("ExitCode")));
}

#[test]
fn that_a_script_is_to_be_stopped_is_written_before_it_is_stopped() {
    let first = observed(&script(&json!({})));
    let begun = decide(&came(first.clone(), &decide(&first), Outcome::Pinned(Ok("i".to_owned()))));
    let canceled = observed(&script(&json!({"cancel": {"reason": "wrong"}})));
    let stops = decide(&next(canceled.clone(), &begun, None));
    assert_eq!(
        (rows(&stops), stops.effects.as_slice()),
        (vec!["Stopping", "Pending"], [Effect::Stop { target: 0 }].as_slice())
    );
    let died = decide(&next(canceled.clone(), &stops, None));
    assert_eq!((&died.status, died.effects.as_slice()), (&stops.status, [Effect::Stop { target: 0 }].as_slice()));
    let cannot = Outcome::Goes { target: 0, message: "its Job x cannot be deleted".to_owned() };
    let waits = decide(&came(canceled.clone(), &stops, cannot));
    assert_eq!((rows(&waits), waits.effects.len()), (vec!["Stopping", "Pending"], 0));
    let ended = decide(&next(canceled, &stops, Some((0, Stand::Canceled))));
    assert_eq!((rows(&ended), said(&ended).0), (vec!["Canceled", "Canceled"], "Canceled"));
    let never = decide(&observed(&script(&json!({"cancel": {"reason": "wrong"}}))));
    assert_eq!((rows(&never), never.status.finished), (vec!["Canceled", "Canceled"], true));
}

fn rows(decision: &Decision) -> Vec<&str> {
    decision.status.targets.iter().map(|row| row.phase.as_str()).collect()
}

fn said(decision: &Decision) -> (&str, &str) {
    let text = |field: &'static str| match field {
        "phase" => decision.status.phase.as_deref().unwrap_or_default(),
        _ => decision.status.message.as_deref().unwrap_or_default(),
    };
    (text("phase"), text("message"))
}

#[test]
fn that_it_begins_is_written_before_it_is_done_one_target_after_the_other() {
    let first = observed(&json!({}));
    let begun = decide(&first);
    assert_eq!(
        (rows(&begun), begun.effects.as_slice()),
        (vec!["Started", "Pending"], [Effect::CarryOut { target: 0 }].as_slice())
    );
    assert_eq!(said(&begun), ("Running", "restart in target eu (namespace shop-eu)"));
    let second = next(first, &begun, Some((0, Stand::Succeeded)));
    let gone_on = decide(&second);
    assert_eq!(
        (rows(&gone_on), gone_on.effects.as_slice()),
        (vec!["Succeeded", "Started"], [Effect::CarryOut { target: 1 }].as_slice())
    );
    let row = &gone_on.status.targets[0];
    assert_eq!(
        (row.output.as_deref(), row.truncated, row.message.as_deref()),
        (Some("said"), true, Some("it is Succeeded"))
    );
    let third = next(second, &gone_on, Some((1, Stand::Failed)));
    let ended = decide(&third);
    assert_eq!((rows(&ended), ended.effects.len(), ended.status.finished), (vec!["Succeeded", "Failed"], 0, true));
    assert_eq!(said(&ended), ("Failed", "eu: it is Succeeded; us: it is Failed"));
    assert_eq!(ended.events.len(), 1);
    assert!(
        ended.events[0].message.starts_with("restart of checkout in production by ada (it leaks): "),
        "{:?}",
        ended.events
    );
    let rest = decide(&next(third, &ended, None));
    assert_eq!((rest.status, rest.events.len()), (ended.status, 0), "an end is never left");
}

#[test]
fn what_was_begun_and_has_no_end_is_never_begun_again() {
    let first = observed(&json!({}));
    let begun = decide(&first);
    let died = next(first, &begun, None);
    let found = decide(&died);
    assert_eq!((&found.status, found.effects.as_slice()), (&begun.status, [Effect::FindOut { target: 0 }].as_slice()));
    let unknown = decide(&next(died, &found, Some((0, Stand::Unknown))));
    assert_eq!(rows(&unknown), ["Unknown", "Started"], "other targets are not concerned");
    let ended = decide(&next(observed(&json!({})), &unknown, Some((1, Stand::Succeeded))));
    assert_eq!(
        said(&ended),
        ("Unknown", "eu: it is Unknown; us: it is Succeeded; it is not tried again, look there yourself")
    );
}

#[test]
fn a_cancel_keeps_it_from_where_it_has_not_begun() {
    let canceled = decide(&observed(&json!({"cancel": {"reason": "wrong"}})));
    assert_eq!((rows(&canceled), canceled.effects.len()), (vec!["Canceled", "Canceled"], 0));
    assert_eq!((said(&canceled).0, canceled.status.finished), ("Canceled", true));
    let first = observed(&json!({}));
    let begun = decide(&first);
    let late = decide(&next(observed(&json!({"cancel": {}})), &begun, Some((0, Stand::Succeeded))));
    assert_eq!((rows(&late), said(&late).0), (vec!["Succeeded", "Canceled"], "Canceled"));
}

/// The same, and somebody deletes it.
fn deleted(mut observed: Observed) -> Observed {
    let meta = &mut Arc::make_mut(&mut observed.command).metadata;
    meta.deletion_timestamp.clone_from(&meta.creation_timestamp);
    observed
}

#[test]
fn whoever_deletes_it_cancels_it() {
    let never = decide(&deleted(observed(&json!({}))));
    assert_eq!((rows(&never), never.effects.len(), never.status.finished), (vec!["Canceled", "Canceled"], 0, true));
    let says = "eu: the command was deleted before it began; us: the command was deleted before it began";
    assert_eq!(said(&never), ("Canceled", says));
    let unpinned = decide(&deleted(observed(&script(&json!({})))));
    assert_eq!((said(&unpinned).0, unpinned.effects.len()), ("Canceled", 0), "no registry is asked any more");
    let first = observed(&script(&json!({})));
    let begun = decide(&came(first.clone(), &decide(&first), Outcome::Pinned(Ok("i".to_owned()))));
    let stops = decide(&deleted(next(first, &begun, None)));
    assert_eq!(
        (rows(&stops), stops.effects.as_slice()),
        (vec!["Stopping", "Pending"], [Effect::Stop { target: 0 }].as_slice())
    );
}

#[test]
fn it_is_carried_out_in_the_targets_that_it_names() {
    let one = decide(&observed(&json!({"targets": ["us"]})));
    assert_eq!(one.status.targets.iter().map(|row| row.namespace.as_str()).collect::<Vec<_>>(), ["shop-us"]);
    let logs = json!({"restart": null, "logs": {"workload": "Deployment/checkout", "tail": 5}});
    assert_eq!(decide(&observed(&logs)).status.command.as_deref(), Some("logs"));
}

#[test]
fn what_cannot_or_must_not_be_is_refused_with_a_remedy_and_nothing_is_done() {
    let with = |change: fn(&mut Observed)| {
        let mut observed = observed(&json!({}));
        change(&mut observed);
        observed
    };
    for (case, says) in [
        (observed(&json!({"targets": ["asia"]})), "has no target asia (spec.targets), it has eu, us"),
        (observed(&json!({"by": null})), "did not record who asked"),
        (with(|case| case.environment = None), "environment production (spec.environment) does not exist"),
        (with(|case| case.guard = Guard::default()), "policies do not act"),
        (with(|case| case.now = "2026-12-24T12:10:01Z".parse::<Timestamp>().unwrap()), "more than ten minutes ago"),
        (
            with(|case| Arc::make_mut(case.environment.as_mut().unwrap()).metadata.generation = Some(3)),
            "environment production is not ready",
        ),
        (
            with(|case| {
                let meta = &mut Arc::make_mut(case.environment.as_mut().unwrap()).metadata;
                meta.deletion_timestamp.clone_from(&case.command.metadata.creation_timestamp);
            }),
            "does not exist in this space",
        ),
    ] {
        let refused = decide(&case);
        assert_eq!((said(&refused).0, refused.effects.len(), refused.status.finished), ("Refused", 0, true), "{says}");
        assert!(said(&refused).1.contains(says), "{}", said(&refused).1);
        assert!(refused.status.targets.is_empty());
    }
}
