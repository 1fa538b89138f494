use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::Release;
use crate::controllers::lifecycle::course::Choice;
use crate::controllers::release::arrivals::Happened;
use crate::controllers::secret_versions::Sighting;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A release with these rows, that runs in dev or not, when these Secrets were seen.
fn observed((secrets, runs): (Value, bool), seen: &[(&str, Seen)]) -> Observed {
    let row = json!({"name": "dev", "succeeded": true, "current": runs, "promotion": "p", "promotionUid": "u",
        "phase": "Succeeded", "at": "2026-01-01T00:00:00.000000Z"});
    let release: Release = serde_json::from_value(json!({
        "metadata": {"name": "checkout-1.0.0", "namespace": "shop", "generation": 1},
        "spec": {"project": "checkout", "version": "1.0.0"}, "status": {"secrets": secrets, "environments": [row]},
    }))
    .unwrap();
    Observed {
        release: Arc::new(release),
        sealing: None,
        outcomes: Vec::new(),
        runs: Vec::new(),
        environments: ["dev".to_owned()].into(),
        happened: Happened::default(),
        governing: Choice::ByOrder.governing(&[]),
        unreadable: None,
        places: [].into(),
        overtaken: [].into(),
        pinned: [].into(),
        underway: [].into(),
        unmade: [].into(),
        unvouched: false,
        secrets: seen
            .iter()
            .map(|(name, seen)| ((*name).to_owned(), Sighting { seen: seen.clone(), at: at(100) }))
            .collect(),
        now: at(200),
    }
}

fn there(version: &str) -> Seen {
    Seen::There(version.to_owned())
}

fn told(observed: &Observed) -> (ReleaseStatus, Option<Note>) {
    let mut status = observed.release.status.clone().unwrap();
    let note = tell(&mut status, observed);
    (status, note)
}

fn said(status: &ReleaseStatus) -> (&str, &str, &str) {
    let found = condition::find(&status.conditions, ConditionType::SecretsChanged).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn database(version: &str) -> Value {
    json!([{"name": "database", "from": "Space", "resourceVersion": version}])
}

#[test]
fn a_secret_that_changed_is_told_once_as_an_event_and_stays_told() {
    let same = observed((database("7"), true), &[("database", there("7"))]);
    let (status, note) = told(&same);
    assert_eq!((said(&status).0, said(&status).1, note), ("False", "Unchanged", None));
    let changed = observed((database("7"), true), &[("database", there("8"))]);
    let (status, note) = told(&changed);
    assert_eq!((said(&status).0, said(&status).1), ("True", "SecretChanged"));
    assert!(said(&status).2.starts_with("Secret database changed since it was sealed: "), "{:?}", said(&status));
    assert_eq!(note.unwrap().reason, "SecretChanged");
    assert_eq!(status.secrets[0].resource_version.as_deref(), Some("7"), "what it was sealed with stays");

    let mut again = changed.clone();
    Arc::make_mut(&mut again.release).status = Some(status.clone());
    assert_eq!(told(&again), (status.clone(), None));
    again.secrets.clear();
    assert_eq!(told(&again), (status, None), "after a restart, before anybody looked");
}

#[test]
fn one_that_was_not_there_counts_from_when_it_is_seen_first() {
    let row = json!([{"name": "database", "from": "Space"}]);
    let (status, _) = told(&observed((row.clone(), true), &[("database", Seen::Missing)]));
    assert_eq!((said(&status).0, &status.secrets[0].resource_version), ("False", &None));
    let (status, _) = told(&observed((row, true), &[("database", there("9"))]));
    assert_eq!((said(&status).0, status.secrets[0].resource_version.as_deref()), ("False", Some("9")));
}

#[test]
fn what_is_gone_or_cannot_be_read_and_what_is_never_read_say_so() {
    let (status, _) = told(&observed((database("7"), true), &[("database", Seen::Missing)]));
    assert_eq!((said(&status).0, said(&status).1), ("True", "SecretChanged"));
    assert!(said(&status).2.contains("Secret database is gone since it was sealed: create it again"));
    let (status, _) = told(&observed((database("7"), true), &[("database", Seen::Unreadable)]));
    assert_eq!((said(&status).0, said(&status).1), ("Unknown", "SecretUnreadable"));
    assert!(said(&status).2.contains("bind ClusterRole gantry-space"), "{:?}", said(&status));
    let target = json!([{"name": "tls", "from": "Target"}]);
    let (status, _) = told(&observed((target, true), &[("tls", there("1"))]));
    let sentence = "Secret tls of targets is never read, so nothing is known of its changes";
    assert_eq!(said(&status), ("Unknown", "NotRead", sentence));
    assert_eq!(status.secrets[0].resource_version, None);
}

#[test]
fn a_release_without_secrets_says_nothing_of_them() {
    let (status, note) = told(&observed((json!([]), true), &[]));
    assert_eq!((status.conditions.len(), note), (0, None));
}

#[test]
fn secrets_are_looked_at_again_only_where_the_release_runs() {
    let next = |runs| {
        let observed = observed((database("7"), runs), &[("database", there("7"))]);
        look_again(&observed.release.status.clone().unwrap(), &observed)
    };
    assert_eq!((next(true), next(false)), (Next::At(at(400)), Next::Await));
}

#[test]
fn every_secret_that_variables_refer_to_is_a_row() {
    let reference = |name: &str, from: &str| json!({"secretKeyRef": {"name": name, "key": "k", "from": from}});
    let variables: Vec<Variable> = serde_json::from_value(json!([
        {"name": "A", "values": [reference("b", "Space"), reference("a", "Target"), {"value": 1}]},
        {"name": "B", "values": [reference("b", "Space"), reference("b", "Target")]},
    ]))
    .unwrap();
    let rows = referenced(&variables);
    let rows: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.from)).collect();
    assert_eq!(rows, [("a", SecretFrom::Target), ("b", SecretFrom::Target), ("b", SecretFrom::Space)]);
}
