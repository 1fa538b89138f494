//! What people with some rights try to get more, or to be somebody else: each attempt is refused with a sentence, or changes nothing.

use gantry_plane::Identity;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::DryRun;
use super::{Shop, api_of, apply, client, create, person_may, with};
use crate::support::space::Space;
use crate::support::wait;

/// Every way in which somebody may write a field of a spec.
const WAYS: [&str; 5] = ["merge", "json", "apply", "replace", "status"];

async fn attempt(
    api: &Api<DynamicObject>,
    (kind, name): (&str, &str),
    way: &str,
    (field, value): (&str, &Value),
) -> Result<(), String> {
    let parameters = PatchParams::default();
    let tried = match way {
        "merge" => api.patch(name, &parameters, &Patch::Merge(json!({"spec": {field: value}}))).await,
        "json" => {
            let operations = json!([{"op": "add", "path": format!("/spec/{field}"), "value": value}]);
            let patch = Patch::Json::<()>(serde_json::from_value(operations).expect("a patch"));
            api.patch(name, &parameters, &patch).await
        }
        "apply" => {
            let object = json!({"apiVersion": "gantry.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name}, "spec": {field: value}});
            api.patch(name, &PatchParams::apply("attack").force(), &Patch::Apply(object)).await
        }
        "replace" => {
            let mut object = api.get(name).await.expect("it is there");
            object.data["spec"][field] = value.clone();
            api.replace(name, &PostParams::default(), &object).await
        }
        _ => api.patch_status(name, &parameters, &Patch::Merge(json!({"spec": {field: value}}))).await,
    };
    tried.map(|_| ()).map_err(|error| error.to_string())
}

// Attack T2.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_way_is_taken_nothing_that_was_asked_for_changes() {
    let shop = Shop::open().await;
    let before = shop.promoted("asked").await;
    let fields = [
        ("project", json!("cart")),
        ("version", json!("2.0.0")),
        ("environment", json!("production")),
        ("reason", json!("another")),
        ("onBehalfOf", json!("bob")),
        ("priority", json!(100)),
        ("targets", json!(["eu"])),
        ("skipSteps", json!(["migrate"])),
        ("variables", json!([{"name": "A", "value": "b"}])),
        ("notBefore", json!("2099-01-01T00:00:00Z")),
        ("expiresAt", json!("2099-01-01T00:00:00Z")),
        ("whenNotReady", json!("Wait")),
        ("requestedBy", json!({"username": "bob"})),
        ("cause", json!({"kind": "Pin", "name": "checkout.dev", "uid": "u"})),
    ];
    let promotion = shop.promotion("asked", json!({}));
    never_changes(&shop, &promotion, &fields).await;
    let now = shop.promotions(&shop.space.client).get("asked").await.expect("it is there");
    assert_eq!(now.spec, before.spec);
}

/// Fails if one of these fields changes, whichever way somebody takes: whoever may promote, whoever may write everything, and an
/// administrator of the whole cluster.
async fn never_changes(shop: &Shop, object: &Value, fields: &[(&str, Value)]) {
    let kind = object["kind"].as_str().expect("a kind");
    let (stored, name) = api_of(&shop.space.client, object);
    let before = stored.get(&name).await.expect("it is there");
    for person in [&shop.alice, &shop.mallory, &shop.space.client] {
        let (api, _) = api_of(person, object);
        for (field, value) in fields {
            for way in WAYS {
                let refused = match way {
                    // Who may not read it cannot replace it either.
                    "replace" if api.get(&name).await.is_err() => continue,
                    _ => attempt(&api, (kind, &name), way, (field, value)).await,
                };
                let now = stored.get(&name).await.expect("it is there");
                assert_eq!(now.data["spec"], before.data["spec"], "{field} by {way}: {refused:?}");
                assert_eq!(now.metadata.generation, before.metadata.generation, "{field} by {way}");
            }
        }
    }
}

// Attacks T2, T18.
#[tokio::test(flavor = "multi_thread")]
async fn no_decision_and_no_command_changes_whatever_way_is_taken() {
    let shop = Shop::open().await;
    let approval = shop.space.object(
        "Approval",
        "decided",
        json!({"promotion": "asked", "promotionUid": "u", "environment": "dev", "planDigest": "a".repeat(64), "decision": "Reject"}),
    );
    let command = shop.space.object(
        "CommandRun",
        "asked",
        json!({"environment": "dev", "project": "checkout", "reason": "CHG-1", "restart": {"workload": "Deployment/checkout"}}),
    );
    for object in [&approval, &command] {
        create(&shop.space.client, object.clone(), DryRun::No).await.expect("an administrator may");
    }
    let decided = [
        ("promotion", json!("another")),
        ("promotionUid", json!("v")),
        ("environment", json!("production")),
        ("planDigest", json!("b".repeat(64))),
        ("decision", json!("Approve")),
        ("comment", json!("another")),
        ("by", json!({"username": "bob"})),
    ];
    never_changes(&shop, &approval, &decided).await;
    let asked = [
        ("environment", json!("production")),
        ("targets", json!(["eu"])),
        ("project", json!("cart")),
        ("reason", json!("another")),
        ("logs", json!({"workload": "Deployment/checkout"})),
        ("restart", json!({"workload": "Deployment/cart"})),
        ("script", json!({"image": "localhost/tools:1", "run": "ls"})),
        ("by", json!({"username": "bob"})),
    ];
    never_changes(&shop, &command, &asked).await;
}

/// Eve, who may do everything in a space of her own.
pub async fn eve(shop: &Shop) -> (Client, Space) {
    let own = Space::create(shop.space.client.clone()).await;
    for role in ["gantry-releaser", "gantry-approver", "gantry-space-admin", "gantry-developer"] {
        own.apply(person_may(&own.name, role, "eve")).await;
    }
    (client(shop.plane, &Identity::user("eve")).await, own)
}

// Attacks T11, T12.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_of_another_space_reads_and_writes_nothing_here() {
    let shop = Shop::open().await;
    shop.promoted("waits").await;
    let (eve, own) = eve(&shop).await;
    let mine = own.object("Environment", "dev", json!({"order": 10}));
    wait::eventually("eve has her rights at home", || async { apply(&eve, mine.clone()).await.ok() }).await;
    for (kind, name, spec) in [
        ("Promotion", "hers", json!({"project": "checkout", "version": "1.0.0", "environment": "dev"})),
        ("Environment", "hers", json!({"order": 10})),
        ("Release", "checkout-9.0.0", json!({"project": "checkout", "version": "9.0.0"})),
        ("Lifecycle", "hers", json!({"phases": [{"name": "first"}]})),
    ] {
        let object = shop.space.object(kind, name, spec);
        let said = create(&eve, object.clone(), DryRun::No).await.expect_err("she has no right here");
        assert!(said.contains("is forbidden: User \"eve\" cannot create resource"), "{said}");
        let (api, _) = api_of(&eve, &object);
        let said = api.list(&ListParams::default()).await.expect_err("nor may she look").to_string();
        assert!(said.contains("User \"eve\" cannot list resource"), "{said}");
    }
    let said = shop.promotions(&eve).delete("waits", &kube::api::DeleteParams::default()).await;
    said.expect_err("nor end what others asked for");
}

// Attacks T3, T5, T14.
#[tokio::test(flavor = "multi_thread")]
async fn a_developer_neither_promotes_nor_approves_nor_blocks_nor_changes_what_gates_look_at() {
    let shop = Shop::open().await;
    shop.promoted("waits").await;
    shop.space.apply(person_may(&shop.space.name, "gantry-developer", "dave")).await;
    shop.space.apply(shop.space.object("Environment", "dev", json!({"order": 10}))).await;
    let dave = client(shop.plane, &Identity::user("dave")).await;
    let release = shop.space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}));
    wait::eventually("dave is a developer", || async { apply(&dave, release.clone()).await.ok() }).await;
    let approval = json!({"promotion": "waits", "promotionUid": "u", "environment": "dev", "planDigest": "a".repeat(64),
        "decision": "Approve"});
    for object in [
        shop.promotion("daves", json!({})),
        shop.space.object("Approval", "daves", approval),
        shop.space.object("Environment", "dev", json!({"order": 10, "paused": true})),
        shop.space.object("Lifecycle", "daves", json!({"phases": [{"name": "first"}]})),
        shop.space.object(
            "Pin",
            "checkout.dev",
            json!({"project": "checkout", "environment": "dev", "version": "1.0.0"}),
        ),
    ] {
        let said = apply(&dave, object.clone()).await.expect_err("he may not");
        assert!(said.contains("forbidden") && said.contains("dave"), "{object}: {said}");
    }
    let blocked = with(release.clone(), json!({"spec": {"blocked": {"reason": "mine"}}}));
    let said = apply(&dave, blocked).await.expect_err("he may not");
    assert!(said.contains("dave may not block or unblock releases of checkout; ask an administrator"), "{said}");
    let (api, name) = api_of(&dave, &release);
    let status = Patch::Merge(json!({"status": {"snapshot": "mine"}}));
    let said = api.patch_status(&name, &PatchParams::default(), &status).await.expect_err("he may not").to_string();
    assert!(said.contains("cannot patch resource \"releases/status\""), "{said}");
}

// Attacks T1, T8.
#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_or_a_label_says_nothing_of_who_asked() {
    let shop = Shop::open().await;
    let claims = json!({"metadata": {
        "annotations": {"gantry.dev/requested-by": "bob", "kubernetes.io/change-cause": "bob"},
        "labels": {"gantry.dev/requested-by": "bob"},
    }});
    create(&shop.alice, with(shop.promotion("claimed", json!({})), claims), DryRun::No).await.expect("alice may");
    let made = shop.promotions(&shop.alice).get("claimed").await.expect("the promotion");
    assert_eq!(made.spec.requested_by.as_ref().map(|by| by.username.as_str()), Some("alice"));
    assert_eq!(made.finalizers(), ["gantry.dev/recorded"]);
}
