use super::*;
use crate::controllers::workloads::expected::Expected;
use crate::controllers::workloads::kind::WatchedKind;
use serde_json::{Value, json};

const APPLIED: &str = "aaaaaaaaaaaaaaaa";

fn pieces(entries: &[(&str, &str, &str)]) -> Vec<Piece> {
    let group = |kind: &str| match kind {
        "Deployment" => "apps",
        "Job" => "batch",
        _ => "",
    };
    let entries: Vec<Value> = entries
        .iter()
        .map(|(kind, uid, fields)| {
            json!({"group": group(kind), "kind": kind, "namespace": "shop-dev", "name": "checkout", "version": "v1",
                "uid": uid, "fields": fields})
        })
        .collect();
    let meta = json!({"annotations": {"gantry.dev/inventory": json!({"entries": entries}).to_string()}});
    Expected::of(&serde_json::from_value(meta).unwrap()).pieces.to_vec()
}

fn workload(state: State, fields: &str) -> Workload {
    let object = json!({"metadata": {"name": "checkout", "namespace": "shop-dev"}, "spec": {"type": "ClusterIP"}});
    let kind = WatchedKind::of("", "Service").unwrap();
    let mut workload = Workload::of(kind, &serde_json::from_value(object).unwrap());
    workload.state = state;
    workload.fields = fields.into();
    workload
}

fn progressing() -> State {
    State::Progressing("Deployment checkout: waits".into())
}

fn degraded() -> State {
    State::Degraded("Service checkout: failed".into())
}

/// The health of one Deployment and one Service.
fn both(deployment: Option<State>, service: Option<State>) -> Standing {
    let pieces = pieces(&[("Deployment", "u1", APPLIED), ("Service", "u2", APPLIED)]);
    let found: Vec<Option<Workload>> =
        [service, deployment].into_iter().map(|state| state.map(|state| workload(state, APPLIED))).collect();
    judge(pieces.iter().zip(found.iter().map(Option::as_ref)))
}

#[test]
fn the_worst_object_decides_and_the_first_of_the_worst_is_named() {
    for (deployment, service, health, named) in [
        (Some(State::Healthy), Some(State::Healthy), Health::Healthy, ""),
        (Some(progressing()), Some(State::Healthy), Health::Progressing, "Deployment checkout: waits"),
        (Some(progressing()), Some(degraded()), Health::Degraded, "Service checkout: failed"),
        (None, Some(degraded()), Health::Missing, "Deployment checkout: is gone, or has lost its labels"),
        (None, None, Health::Missing, "Service checkout: is gone, or has lost its labels"),
    ] {
        let standing = both(deployment, service);
        let message = standing.because.map(|because| because.message).unwrap_or_default();
        assert_eq!((standing.health, message.as_str()), (health, named));
        assert_eq!(standing.drift, None);
    }
}

#[test]
fn what_nobody_has_to_miss_is_not_missing() {
    for entry in [("Deployment", "", ""), ("Job", "u1", APPLIED)] {
        let standing = judge(pieces(&[entry]).iter().map(|piece| (piece, None)));
        assert_eq!(standing, Standing::default(), "{entry:?}");
    }
    assert_eq!(pieces(&[("ConfigMap", "u1", APPLIED), ("Secret", "u1", "")]), [], "nobody watches those");
}

#[test]
fn an_object_whose_fields_others_have_set_is_drifted() {
    for (recorded, now, drifted) in [
        (APPLIED, APPLIED, false),
        (APPLIED, "bbbbbbbbbbbbbbbb", true),
        (APPLIED, "", true),
        // An inventory from before fields were kept.
        ("", "bbbbbbbbbbbbbbbb", false),
    ] {
        let found = workload(State::Healthy, now);
        let standing = judge(pieces(&[("Deployment", "u1", recorded)]).iter().map(|piece| (piece, Some(&found))));
        assert_eq!(standing.drift.is_some(), drifted, "{recorded} {now}");
        assert_eq!(standing.health, Health::Healthy);
    }
}
