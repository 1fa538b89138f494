//! Who may approve and reject, and that nobody decides in another's name.

use gantry::api::v1alpha1::Approval;
use gantry_plane::Identity;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{DryRun, Shop, client, create, person_may, with};
use crate::support::wait;

/// An approval of a promotion to production.
fn approval(shop: &Shop, name: &str, more: Value) -> Value {
    let spec = json!({
        "promotion": "checkout-1.0.0-production", "promotionUid": "0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60",
        "environment": "production", "planDigest": "a".repeat(64), "decision": "Approve",
    });
    shop.space.object("Approval", name, with(spec, more))
}

fn approvals(shop: &Shop, client: &Client) -> Api<Approval> {
    Api::namespaced(client.clone(), &shop.space.name)
}

/// Bob, who may approve, once that is known and approvals are stamped.
async fn bob(shop: &Shop) -> Client {
    shop.space.apply(person_may(&shop.space.name, "gantry-approver", "bob")).await;
    let bob = client(shop.plane, &Identity::user("bob")).await;
    let object: Approval = serde_json::from_value(approval(shop, "tried", json!({}))).expect("an approval");
    wait::eventually("bob may approve and is stamped", || async {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        approvals(shop, &bob).create(&dry, &object).await.ok()?.spec.by.map(|_| ())
    })
    .await;
    bob
}

#[tokio::test(flavor = "multi_thread")]
async fn to_approve_or_reject_needs_the_verb_approve_on_the_environment() {
    let shop = Shop::open().await;
    let bob = bob(&shop).await;
    for decision in ["Approve", "Reject"] {
        let said = create(&shop.mallory, approval(&shop, "x", json!({"decision": decision})), DryRun::Yes).await;
        let said = said.expect_err("mallory may write every kind and not approve");
        assert!(said.contains("spec.environment: mallory may not approve or reject for production; ask"), "{said}");
        assert!(said.contains("verb approve on environments.gantry.dev/production in namespace"), "{said}");
        create(&bob, approval(&shop, "x", json!({"decision": decision})), DryRun::Yes).await.expect("bob may");
    }
    create(&shop.alice, approval(&shop, "x", json!({})), DryRun::Yes).await.expect_err("to promote is not to approve");
    create(&shop.operator, approval(&shop, "x", json!({})), DryRun::Yes).await.expect_err("the operator never does");

    // Somebody whose right is for another environment.
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "approves-test"},
            "rules": [
                {"apiGroups": ["gantry.dev"], "resources": ["environments"], "resourceNames": ["test"], "verbs": ["approve"]},
                {"apiGroups": ["gantry.dev"], "resources": ["approvals"], "verbs": ["create"]},
            ],
        }))
        .await;
    shop.space.apply(person_may(&shop.space.name, "approves-test", "dave")).await;
    let dave = client(shop.plane, &Identity::user("dave")).await;
    wait::eventually("dave may approve for test", || async {
        create(&dave, approval(&shop, "x", json!({"environment": "test"})), DryRun::Yes).await.ok()
    })
    .await;
    create(&dave, approval(&shop, "x", json!({})), DryRun::Yes).await.expect_err("and for nothing else");
    let kubeconfig = shop.plane.kubeconfig(&Identity::user("dave")).await.expect("a kubeconfig");
    for (environment, answer) in [("test", "yes"), ("production", "no")] {
        let mut kubectl = shop.plane.kubectl().expect("kubectl");
        kubectl.env("KUBECONFIG", &kubeconfig).args(["auth", "can-i", "approve", "-n", &shop.space.name]);
        let output = kubectl.arg(format!("environments.gantry.dev/{environment}")).output().expect("kubectl runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{environment}");
    }
}

// Attacks T1, T2.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_in_anothers_name_and_no_decision_is_changed() {
    let shop = Shop::open().await;
    let bob = bob(&shop).await;
    let forged = approval(&shop, "of-bob", json!({"by": {"username": "carol", "uid": "1"}}));
    let object: Approval = serde_json::from_value(forged).expect("an approval");
    let made = approvals(&shop, &bob).create(&PostParams::default(), &object).await.expect("bob may");
    let by = made.spec.by.clone().expect("a stamp");
    assert_eq!((by.username.as_str(), by.uid), ("bob", None));
    let patch = |by: &Client, change: Value| {
        let (api, change) = (approvals(&shop, by), Patch::Merge(change));
        async move { api.patch("of-bob", &PatchParams::default(), &change).await.map_err(|error| error.to_string()) }
    };
    for change in [json!({"by": {"username": "mallory"}}), json!({"by": null})] {
        let same = patch(&shop.mallory, json!({"spec": change})).await.expect("no change");
        assert_eq!((same.spec, same.metadata.generation), (made.spec.clone(), Some(1)));
    }
    for change in [
        json!({"decision": "Reject"}),
        json!({"planDigest": "b".repeat(64)}),
        json!({"environment": "test"}),
        json!({"promotionUid": "other"}),
        json!({"comment": "x"}),
    ] {
        let said = patch(&shop.mallory, json!({"spec": change})).await.expect_err("a decision is made once");
        assert!(said.contains("spec is immutable, a decision is made once"), "{said}");
        patch(&shop.operator, json!({"spec": change})).await.expect_err("nor may the operator");
    }
    let said = patch(&shop.mallory, json!({"status": {"conditions": []}})).await;
    assert!(said.is_ok_and(|same| same.metadata.generation == Some(1)), "status is written elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_not_taken_back_by_anybody_and_removed_by_the_operator() {
    let shop = Shop::open().await;
    let bob = bob(&shop).await;
    create(&bob, approval(&shop, "of-bob", json!({})), DryRun::No).await.expect("bob may");
    for person in [&bob, &shop.mallory, &shop.space.client] {
        let kept = approvals(&shop, person).delete("of-bob", &DeleteParams::default()).await;
        kept.expect_err("nobody takes it back");
    }
    let said = approvals(&shop, &shop.mallory).delete("of-bob", &DeleteParams::default()).await;
    let said = said.expect_err("nobody").to_string();
    assert!(said.contains("a decision is not taken back, Gantry removes it with its promotion"), "{said}");
    approvals(&shop, &shop.operator).delete("of-bob", &DeleteParams::default()).await.expect("its promotion is gone");
}
