//! Who may pin a version, who is its author, and who opens a way around the lifecycle.

use gantry::api::v1alpha1::history::Person;
use gantry::api::v1alpha1::{Environment, Pin};
use gantry_plane::Identity;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{DryRun, Shop, apply, client, create, person_may};
use crate::support::wait;

fn pin(shop: &Shop, version: &str) -> Value {
    let spec = json!({"project": "checkout", "environment": "dev", "version": version});
    shop.space.object("Pin", "checkout.dev", spec)
}

fn pins(shop: &Shop, client: &Client) -> Api<Pin> {
    Api::namespaced(client.clone(), &shop.space.name)
}

fn name(by: Option<&Person>) -> Option<&str> {
    by.map(|by| by.username.as_str())
}

/// The pin, made by alice once pins are stamped.
async fn pinned(shop: &Shop) -> Pin {
    let mut forged = pin(shop, "1.0.0");
    forged["spec"]["requestedBy"] = json!({"username": "bob"});
    let object: Pin = serde_json::from_value(forged).expect("a pin");
    wait::eventually("pins are stamped", || async {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let tried = pins(shop, &shop.alice).create(&dry, &object).await.ok()?;
        (name(tried.spec.requested_by.as_ref()) == Some("alice")).then_some(())
    })
    .await;
    pins(shop, &shop.alice).create(&PostParams::default(), &object).await.expect("alice may promote")
}

async fn change(shop: &Shop, by: &Client, change: Value) -> Result<Pin, String> {
    let patched = pins(shop, by).patch("checkout.dev", &PatchParams::default(), &Patch::Merge(change)).await;
    patched.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_needs_promote_on_environment_and_project_as_a_promotion_does() {
    let shop = Shop::open().await;
    pinned(&shop).await;
    for attempt in [json!({"version": "1.1.0"}), json!({"retry": 1}), json!({"reason": "because"})] {
        let said = change(&shop, &shop.mallory, json!({"spec": attempt})).await.expect_err("mallory may not promote");
        assert!(said.contains("spec.environment: mallory may not promote to dev; ask"), "{said}");
        assert!(said.contains("verb promote on environments.gantry.dev/dev in namespace"), "{said}");
    }
    let mut other = pin(&shop, "1.0.0");
    (other["metadata"]["name"], other["spec"]["environment"]) = ("checkout.test".into(), "test".into());
    create(&shop.mallory, other.clone(), DryRun::Yes).await.expect_err("nor may she make one");
    create(&shop.operator, other.clone(), DryRun::Yes).await.expect_err("nor may the operator");
    let said = change(&shop, &shop.operator, json!({"spec": {"version": "1.1.0"}})).await;
    said.expect_err("nor may the operator change one");
    create(&shop.alice, other, DryRun::Yes).await.expect("alice may");

    // Somebody who may promote to the environment and not the project.
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "promotes-to-dev"},
            "rules": [
                {"apiGroups": ["gantry.dev"], "resources": ["environments"], "resourceNames": ["dev"], "verbs": ["promote"]},
                {"apiGroups": ["gantry.dev"], "resources": ["pins"], "verbs": ["get", "patch"]},
            ],
        }))
        .await;
    shop.space.apply(person_may(&shop.space.name, "promotes-to-dev", "carol")).await;
    let carol = client(shop.plane, &Identity::user("carol")).await;
    wait::eventually("carol may promote to dev, but not checkout", || async {
        let said = change(&shop, &carol, json!({"spec": {"version": "1.1.0"}})).await.expect_err("not this project");
        said.contains("spec.project: carol may not promote checkout; ask").then_some(())
    })
    .await;
    pins(&shop, &shop.mallory).delete("checkout.dev", &DeleteParams::default()).await.expect("it changes nothing");
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn the_author_of_a_pin_is_whoever_changed_its_spec_last() {
    let shop = Shop::open().await;
    let made = pinned(&shop).await;
    assert_eq!(name(made.spec.requested_by.as_ref()), Some("alice"), "whatever was sent");
    let labelled = change(&shop, &shop.mallory, json!({"metadata": {"labels": {"team": "red"}}})).await;
    let labelled = labelled.expect("labels promote nothing");
    assert_eq!((labelled.spec, labelled.metadata.generation), (made.spec.clone(), Some(1)));
    let forged = change(&shop, &shop.mallory, json!({"spec": {"requestedBy": {"username": "mallory"}}})).await;
    let forged = forged.expect("what is sent is replaced");
    assert_eq!((forged.spec, forged.metadata.generation), (made.spec.clone(), Some(1)));
    apply(&shop.mallory, pin(&shop, "1.0.0")).await.expect("the same manifest again");
    let same = pins(&shop, &shop.alice).get("checkout.dev").await.expect("the pin");
    assert_eq!((same.spec, same.metadata.generation), (made.spec.clone(), Some(1)));

    shop.space.apply(person_may(&shop.space.name, "gantry-viewer", "alice")).await;
    let admin = change(&shop, &shop.space.client, json!({"spec": {"version": "1.1.0"}})).await.expect("may promote");
    assert_eq!(name(admin.spec.requested_by.as_ref()), Some("gantry-plane-admin"));
    assert_eq!(admin.metadata.generation, Some(2));
    let again = change(&shop, &shop.alice, json!({"spec": {"retry": 1, "onBehalfOf": "dora"}})).await;
    let again = again.expect("alice may");
    assert_eq!((name(again.spec.requested_by.as_ref()), again.metadata.generation), (Some("alice"), Some(3)));
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_around_the_lifecycle_needs_the_verb_override_and_says_who_opened_it() {
    let shop = Shop::open().await;
    let environments = |client: &Client| -> Api<Environment> { Api::namespaced(client.clone(), &shop.space.name) };
    shop.space.apply(person_may(&shop.space.name, "gantry-space-admin", "olga")).await;
    let olga = client(shop.plane, &Identity::user("olga")).await;
    let environment = |spec: Value| shop.space.object("Environment", "dev", spec);
    let recovery =
        json!({"reason": "the cluster was lost", "until": "2099-01-01T00:00:00Z", "by": {"username": "bob"}});
    let opened = environment(json!({"order": 10, "recovery": recovery}));
    let said = wait::eventually("the policy acts", || async {
        create(&shop.mallory, opened.clone(), DryRun::Yes).await.err()
    })
    .await;
    assert!(
        said.contains("spec.recovery: mallory may not open a way around lifecycle and approvals of dev; ask"),
        "{said}"
    );
    assert!(said.contains("verb override on environments.gantry.dev/dev in namespace"), "{said}");
    apply(&shop.mallory, environment(json!({"order": 10}))).await.expect("without it she may");
    apply(&shop.mallory, opened.clone()).await.expect_err("nor may she add it");
    let patch = |client: &Client, recovery: Value| {
        let (api, change) = (environments(client), Patch::Merge(json!({"spec": {"recovery": recovery}})));
        async move { api.patch("dev", &PatchParams::default(), &change).await.map_err(|error| error.to_string()) }
    };
    let by =
        |known: &Environment| known.spec.recovery.as_ref().and_then(|known| known.by.clone()).map(|by| by.username);
    let made = wait::eventually("olga may and is stamped", || async {
        let made = patch(&olga, recovery.clone()).await.ok()?;
        let stamped = by(&made).as_deref() == Some("olga");
        if !stamped {
            patch(&olga, Value::Null).await.expect("closing needs nothing");
        }
        stamped.then_some(made)
    })
    .await;
    let same = patch(&shop.mallory, json!({"by": {"username": "mallory"}})).await.expect("no change");
    assert_eq!((by(&same).as_deref(), same.metadata.generation), (Some("olga"), made.metadata.generation));
    patch(&shop.mallory, json!({"until": "2199-01-01T00:00:00Z"})).await.expect_err("nor may she make it longer");
    let closed = patch(&shop.mallory, Value::Null).await.expect("closing needs nothing");
    assert_eq!(closed.spec.recovery, None);
}
