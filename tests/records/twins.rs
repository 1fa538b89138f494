//! Two operators that both believe they lead, one of which dies at some write: what happens meanwhile is recorded once, and sealed
//! once.
//!
//! Both run under one identity, so each takes the leader Lease for its own and renews it: the gate of neither ever closes.

use std::collections::BTreeSet;

use futures::future::join_all;
use gantry::api::v1alpha1::{AuditRecord, Environment, Freeze, Promotion, Release};
use gantry::domain::audit::Checkpoint;
use gantry_plane::{Identity, Options};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::sentence;
use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy};
use crate::support::sealed::{self, checkpoints};
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// In so many spaces one of the two dies, each time at another write: fewer than a controller has workers.
const DEATHS: usize = 12;

/// Merges this into an object, as an administrator.
async fn patch<K>(space: &Space, name: &str, spec: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let patch = Patch::Merge(json!({ "spec": spec }));
    space.api::<K>().patch(name, &PatchParams::default(), &patch).await.expect("an administrator may");
}

/// What people do in a space.
async fn live(space: &Space, image: &str) {
    let approvals = json!({"required": 1, "allowRequester": true});
    space.environment_with("dev", json!({"order": 10, "approvals": approvals})).await;
    space.project("checkout", image, json!([config_map("settings", "x")])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let waiting = space.in_phase(&name, "Pending", Some("ApprovalsMissing")).await;
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
    let spec = json!({"promotion": name, "promotionUid": waiting.uid(), "environment": "dev", "planDigest": digest,
        "decision": "Approve"});
    space.apply(space.object("Approval", "yes", spec)).await;
    let freeze = json!({"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z", "reason": "long over"});
    space.apply(space.object("Freeze", "past", freeze)).await;
    wait::object(&space.api(), &name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
    for order in 11..=13 {
        patch::<Environment>(space, "dev", json!({ "order": order })).await;
    }
    patch::<Release>(space, "checkout-1.0.0", json!({"blocked": {"reason": "bug 42"}})).await;
    patch::<Release>(space, "checkout-1.0.0", json!({"blocked": null})).await;
    space.api::<Freeze>().delete("past", &DeleteParams::default()).await.expect("deleted");
    space.environment_ready("dev").await;
    let bindings = space.in_environment::<RoleBinding>("dev");
    bindings.delete("gantry-impersonator", &DeleteParams::default()).await.expect("deleted");
    wait::object(&bindings, "gantry-impersonator", "made again", |_: &RoleBinding| true).await;
}

/// What is recorded of it.
const RECORDED: [&str; 13] = [
    "gantry-plane-admin: Changed 2",
    "gantry-plane-admin: Changed 3",
    "gantry-plane-admin: Changed 4",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Succeeded",
    "gantry-plane-admin: approved, which counts: true",
    "gantry-plane-admin: blocked false 3",
    "gantry-plane-admin: blocked true 2",
    "nobody: Claimed namespace SPACE-dev",
    "nobody: Corrected RoleBinding SPACE-dev/gantry-impersonator",
    "nobody: Deleted 0",
];

/// What is recorded in a space.
async fn said(space: &Space) -> Vec<String> {
    let records = space.api::<AuditRecord>().list(&ListParams::default()).await.expect("records").items;
    let mut said: Vec<String> = records.iter().map(sentence).collect();
    said.sort();
    said
}

/// Waits until that is recorded and sealed, and fails if anything is missing, or more than once.
async fn recorded(space: &Space, died: &str) {
    let all = wait::eventually("everything is recorded", || async {
        (said(space).await.len() >= RECORDED.len()).then_some(())
    });
    // What is missing is told below.
    let _ = tokio::time::timeout(wait::PATIENCE / 2, all).await;
    assert_eq!(said(space).await, RECORDED, "{}: {died}", space.name);
    let names = sealed::everything(space).await;
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!((names.len(), different.len()), (RECORDED.len(), RECORDED.len()), "{died}: {names:?}");
    let chain = checkpoints(space).await;
    assert!(chain.iter().all(Checkpoint::is_whole), "{died}");
    assert!(chain.iter().zip(1..).all(|(one, number)| one.number == number), "{died}");
    assert!(chain.windows(2).all(|two| two[1].previous == Some(two[0].root)), "{died}");
}

/// The writes of a kind that a proxy has seen.
fn wrote(proxy: &Proxy, space: &Space, what: &str) -> usize {
    let end = format!("/{what}");
    let of_kind = |write: &&String| {
        write.starts_with("POST ") && write.split('?').next().is_some_and(|path| path.ends_with(&end))
    };
    proxy.seen(&space.name).iter().filter(of_kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_that_both_lead_and_one_that_dies_at_any_write_record_and_seal_everything_once() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let (one, other) = (Proxy::start(&plane, "one").await, Proxy::start(&plane, "other").await);
    let mortal = Operator::start_as(&plane, ("one", "one"), one.kubeconfig.clone()).await;
    let twin = Operator::start_as(&plane, ("other", "one"), other.kubeconfig.clone()).await;
    for operator in [&mortal, &twin] {
        wait::eventually("both lead", || async { operator.leads().await.then_some(()) }).await;
    }
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let image = format!("{}/checkout", plane.registry().host());

    // Nobody dies: both record, both seal.
    let spaces = join_all((0..4).map(|_| Space::create(client.clone()))).await;
    for space in &spaces {
        one.count(&space.name);
        other.count(&space.name);
    }
    join_all(spaces.iter().map(|space| live(space, &image))).await;
    join_all(spaces.iter().map(|space| recorded(space, "nobody died"))).await;
    for proxy in [&one, &other] {
        for what in ["auditrecords", "auditcheckpoints"] {
            let count: usize = spaces.iter().map(|space| wrote(proxy, space, what)).sum();
            assert!(count > 0, "one of them wrote no {what}, so this shows nothing");
        }
        proxy.forget();
    }

    // One dies, at another write in each space, and comes back when the other one has done its work.
    let moments = [Moment::Before, Moment::AfterCommit];
    let deaths: Vec<_> = (1..=DEATHS).map(|n| (2 * n, moments[n % 2])).collect();
    let spaces = join_all(deaths.iter().map(|_| Space::create(client.clone()))).await;
    for ((n, moment), space) in deaths.iter().zip(&spaces) {
        one.arm(&space.name, *n, *moment);
    }
    join_all(spaces.iter().map(|space| live(space, &image))).await;
    mortal.kill(&plane);
    one.disarm();
    let happened = spaces.iter().filter(|space| one.has_reached(&space.name)).count();
    assert!(happened > DEATHS / 2, "only {happened} deaths");
    mortal.resume(&plane).await;
    wait::eventually("both lead again", || async { mortal.leads().await.then_some(()) }).await;
    let died = deaths.iter().map(|(n, moment)| format!("one died at write {n}, {moment:?}"));
    join_all(spaces.iter().zip(died).map(|(space, died)| async move { recorded(space, &died).await })).await;
}
