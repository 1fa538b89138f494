use jiff::Timestamp;
use serde_json::json;

use super::super::seal;
use super::*;
use crate::api::v1alpha1::Project;
use crate::controllers::lifecycle::course::{Choice, Governing};
use crate::controllers::release::arrivals::Happened;
use crate::controllers::release::rows::Runs;
use crate::domain::promotion::outcome::example;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn observed(sealing: Option<Found>) -> Observed {
    let release = json!({
        "metadata": {"name": "checkout-1.0.0", "namespace": "shop", "uid": "r", "generation": 1},
        "spec": {"project": "checkout", "version": "1.0.0", "packages": [{"name": "api", "version": "1.0.0"}]},
    });
    let named = |name: &str, order| (name.parse().unwrap(), order);
    Observed {
        release: Arc::new(serde_json::from_value(release).unwrap()),
        sealing,
        outcomes: Vec::new(),
        runs: Vec::new(),
        environments: ["dev", "production"].map(String::from).into(),
        happened: Happened::default(),
        governing: Choice::ByOrder.governing(&[named("dev", 10), named("production", 30)]),
        unreadable: None,
        places: ["dev", "production"].map(|name| name.parse().unwrap()).into(),
        overtaken: [].into(),
        pinned: [].into(),
        underway: [].into(),
        unmade: [].into(),
        unvouched: false,
        secrets: [].into(),
        now: at(100),
    }
}

fn package() -> ResolvedPackage {
    ResolvedPackage {
        name: "api".into(),
        image: "ghcr.io/acme/checkout".into(),
        version: Some("1.0.0".into()),
        digest: format!("sha256:{}", "a".repeat(64)),
        resolved_from: Some("Highest".into()),
        resolved_at: None,
    }
}

fn sealable() -> Found {
    let mut project = Project::default();
    project.metadata.name = Some("checkout".into());
    let packages = (Some("stable".into()), vec![package()]);
    Found::Sealable(Arc::new(seal::seal(&project, (Vec::new(), Vec::new()), packages).unwrap()))
}

fn blocked(problems: &[(Reason, &str)], again: Option<Timestamp>) -> Found {
    Found::Blocked {
        problems: problems.iter().map(|(reason, message)| Problem::new(*reason, *message)).collect(),
        again,
    }
}

fn after(before: &Observed, decision: &Decision, sealing: Option<Found>) -> Observed {
    let mut release = before.release.as_ref().clone();
    release.status = Some(decision.status.clone());
    Observed { release: Arc::new(release), sealing, now: at(200), ..before.clone() }
}

fn condition(status: &ReleaseStatus, kind: ConditionType) -> (&str, &str, &str) {
    let found = condition::find(&status.conditions, kind).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn success(environment: &str, second: i64) -> Arc<Outcome> {
    Arc::new(Outcome { release_uid: Some("r".into()), ..example::success(environment, at(second)) })
}

#[test]
fn while_somebody_looks_nothing_is_written() {
    let observed = observed(Some(Found::Underway));
    let decision = decide(&observed);
    assert_eq!((decision.status, decision.effects.len(), decision.next), (ReleaseStatus::default(), 0, Next::Await));
}

#[test]
fn sealing_stores_the_snapshot_first_and_then_fixes_packages_and_snapshot() {
    let observed = observed(Some(sealable()));
    let decision = decide(&observed);
    let status = &decision.status;
    assert!(
        matches!(&decision.effects[..], [Effect::StoreSnapshot(seal)] if Some(&seal.name) == status.snapshot.as_ref())
    );
    assert_eq!(status.sealed_at, Some(MicroTime(at(100))));
    assert_eq!((status.channel.as_deref(), status.packages.as_slice()), (Some("stable"), [package()].as_slice()));
    assert_eq!(condition(status, ConditionType::Sealed).0, "True");
    assert_eq!(condition(status, ConditionType::Ready).0, "True");
    assert_eq!(status.next, ["dev"]);
    assert_eq!(status.observed_generation, Some(1));
    let [event] = &decision.events[..] else { panic!("{:?}", decision.events) };
    assert_eq!((event.reason, event.severity), ("Sealed", Severity::Normal));
    assert_eq!(event.message, "checkout 1.0.0 is sealed: api 1.0.0 is sha256:aaaaaaaaaaaa");
}

#[test]
fn a_release_made_of_the_tag_latest_is_warned_of() {
    let packages = vec![ResolvedPackage { version: Some("latest".into()), ..package() }];
    let events: Vec<_> = super::moving(&packages).into_iter().map(|note| (note.severity, note.reason)).collect();
    assert_eq!(events, [(Severity::Warning, "MovingTag")]);
    assert_eq!(super::moving(&[package()]), None);
}

#[test]
fn a_sealed_release_is_at_rest_and_nothing_is_ever_asked_again() {
    let first = observed(Some(sealable()));
    let sealed = decide(&first);
    let again = after(&first, &sealed, None);
    assert!(is_sealed(&again.release) && !is_sealed(&first.release));
    let decision = decide(&again);
    assert_eq!(
        decision,
        Decision { status: sealed.status, effects: Vec::new(), events: Vec::new(), next: Next::Await }
    );
}

#[test]
fn what_can_heal_is_reconciling_and_looked_at_again() {
    let down = blocked(&[(Reason::RegistryUnreachable, "registry r did not answer")], Some(at(107)));
    let first = observed(Some(down.clone()));
    let decision = decide(&first);
    let status = &decision.status;
    assert_eq!(condition(status, ConditionType::Ready), ("False", "RegistryUnreachable", "registry r did not answer"));
    assert_eq!(condition(status, ConditionType::Sealed).0, "False");
    assert_eq!(condition(status, ConditionType::Reconciling).0, "True");
    assert_eq!(condition(status, ConditionType::Stalled).0, "False");
    assert_eq!((decision.next, decision.events.len(), status.next.len()), (Next::At(at(107)), 1, 0));
    let repeated = decide(&after(&first, &decision, Some(down)));
    assert_eq!((&repeated.status, repeated.events.len()), (status, 0), "the same again is neither written nor said");
}

#[test]
fn what_needs_a_person_is_stalled_and_every_problem_is_said() {
    let problems = [(Reason::TagNotFound, "no 9.9.9"), (Reason::UnknownPackage, "no package x")];
    let decision = decide(&observed(Some(blocked(&problems, None))));
    let stalled = condition(&decision.status, ConditionType::Stalled);
    assert_eq!(stalled, ("True", "UnknownPackage", "no 9.9.9; no package x"));
    assert_eq!((decision.next, decision.events[0].severity), (Next::Await, Severity::Warning));
}

#[test]
fn rows_do_not_wait_for_a_registry() {
    let observed = Observed { outcomes: vec![success("dev", 50)], ..observed(Some(Found::Underway)) };
    assert_eq!(decide(&observed).status.environments.len(), 1);
}

#[test]
fn a_success_moves_the_phases_on_and_shows_what_is_next() {
    let first = observed(Some(sealable()));
    let sealed = decide(&first);
    let ran = Runs {
        environment: "dev".into(),
        version: "1.0.0".into(),
        release_uid: Some("r".into()),
        since: at(150),
        promotion_uid: "uid-dev-150".into(),
    };
    let again =
        Observed { outcomes: vec![success("dev", 150)], runs: vec![ran.clone()], ..after(&first, &sealed, None) };
    let decision = decide(&again);
    assert_eq!(
        (&decision.status.next[..], &decision.status.due[..]),
        (["dev".to_owned(), "production".into()].as_slice(), ["production".to_owned()].as_slice())
    );
    assert_eq!(decision.status.phases[0].progress, "Complete");
    assert!(decision.status.environments[0].succeeded && decision.status.environments[0].current);
    let replaced = Runs { version: "1.1.0".into(), since: at(160), promotion_uid: "other".into(), ..ran };
    let later = Observed { runs: vec![replaced], outcomes: Vec::new(), ..after(&again, &decision, None) };
    let row = &decide(&later).status.environments[0];
    assert!(row.succeeded && !row.current);
}

#[test]
fn a_block_and_its_end_are_a_condition_and_said_once() {
    let mut first = observed(None);
    let mut blocked = first.release.as_ref().clone();
    blocked.spec.blocked = Some(crate::api::v1alpha1::release::Block { reason: "bug 42".into(), by: None });
    first.release = Arc::new(blocked);
    let decision = decide(&first);
    let (status, reason, message) = condition(&decision.status, ConditionType::Blocked);
    assert_eq!((status, reason), ("True", "Blocked"));
    assert!(message.starts_with("bug 42: it may go only to environments of its first phase"), "{message}");
    assert_eq!(decision.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Blocked"]);
    let again = after(&first, &decision, None);
    assert!(decide(&again).events.is_empty());
    let mut free = again.release.as_ref().clone();
    free.spec.blocked = None;
    let decision = decide(&Observed { release: Arc::new(free), ..again });
    assert_eq!(condition(&decision.status, ConditionType::Blocked).0, "False");
    assert_eq!(decision.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Unblocked"]);
}

#[test]
fn where_nobody_knows_how_far_a_release_is_it_shows_no_phases_and_says_why_once() {
    let named = |broken: Option<&str>| {
        Choice::Named { name: "hotfix".into(), object: None, broken: broken.map(Into::into) }.governing(&[])
    };
    let place = Some(("test".to_owned(), Arc::from("spec.order: not a number")));
    for (governing, unreadable, reason, says) in [
        (named(None), place.clone(), "LifecycleNotFound", "lifecycle hotfix of checkout-1.0.0 does not exist"),
        (named(Some("no phases")), None, "Invalid", "lifecycle hotfix of checkout-1.0.0 cannot be used: no phases"),
        (Governing::NoChannel { name: "beta".into() }, None, "ChannelNotFound", "channel beta of checkout-1.0.0 is no"),
        (
            observed(None).governing,
            place,
            "EnvironmentUnreadable",
            "environment test exists and cannot be read: spec.order: not a number; apply it again",
        ),
    ] {
        let first = Observed { governing, unreadable, ..observed(None) };
        let decision = decide(&first);
        let status = &decision.status;
        assert!(status.phases.is_empty() && status.next.is_empty() && status.due.is_empty(), "{reason}");
        let said = condition(status, ConditionType::PhasesKnown);
        assert!((said.0, said.1) == ("False", reason) && said.2.starts_with(says), "{said:?}");
        assert!(decision.events.iter().any(|note| note.reason == reason), "{reason}");
        let again = after(&first, &decision, None);
        assert_eq!((decide(&again).status, decide(&again).events.len()), (decision.status, 0), "{reason}");
        let known = decide(&Observed { governing: observed(None).governing, unreadable: None, ..again }).status;
        assert_eq!((condition::find(&known.conditions, ConditionType::PhasesKnown), known.phases.len()), (None, 2));
    }
}
