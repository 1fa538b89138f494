//! What people with some rights try to get more, or to be somebody else: each attempt is refused with a sentence, or changes nothing.

use gantry::api::v1alpha1::Promotion;
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
    name: &str,
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
            let object = json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion",
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
    let spec = |promotion: &Promotion| serde_json::to_value(&promotion.spec).expect("JSON");
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
    // Whoever may promote, whoever may write everything, and an administrator of the whole cluster.
    for person in [&shop.alice, &shop.mallory, &shop.space.client] {
        let (api, _) = api_of(person, &shop.promotion("asked", json!({})));
        for (field, value) in &fields {
            for way in WAYS {
                let refused = attempt(&api, "asked", way, (field, value)).await;
                let now = shop.promotions(&shop.space.client).get("asked").await.expect("it is there");
                assert_eq!(spec(&now), spec(&before), "{field} by {way}: {refused:?}");
                assert_eq!(now.metadata.generation, before.metadata.generation, "{field} by {way}");
            }
        }
    }
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
