//! Who changed what gates look at, and who blocked a release: stamped into the spec, and no cause for a difference that never ends.

use gantry_plane::Identity;
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Shop, api_of, apply, client, person_may};
use crate::support::wait;

fn by(object: &DynamicObject) -> Option<&str> {
    object.data["spec"]["changedBy"]["username"].as_str()
}

async fn change(client: &Client, object: &Value, change: Value) -> Result<DynamicObject, String> {
    let (api, name) = api_of(client, object);
    let changed = api.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"spec": change}))).await;
    changed.map_err(|error| error.to_string())
}

/// Applies as somebody, once the right to do so is known.
async fn administers(client: &Client, manifest: &Value) -> DynamicObject {
    wait::eventually("the right is known", || async {
        match apply(client, manifest.clone()).await {
            Ok(applied) => Some(applied),
            Err(said) if said.contains("cannot patch resource") => None,
            Err(said) => panic!("{said}"),
        }
    })
    .await
}

/// A shop whose administrators are dora and erin.
async fn open() -> (Shop, Client, Client) {
    let shop = Shop::open().await;
    let mut people = Vec::new();
    for person in ["dora", "erin"] {
        let mut binding = person_may(&shop.space.name, "gantry-space-admin", person);
        binding["metadata"]["name"] = json!(format!("gantry-space-admin-{person}"));
        shop.space.apply(binding).await;
        people.push(client(shop.plane, &Identity::user(person)).await);
    }
    let erin = people.pop().expect("two people");
    (shop, people.pop().expect("two people"), erin)
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn who_changed_an_environment_a_lifecycle_or_a_project_is_stamped_and_applying_it_again_changes_nothing() {
    let (shop, dora, erin) = open().await;
    let phases = json!([{"name": "dev", "environments": ["dev"]}]);
    let package = json!([{"name": "api", "image": "localhost:5000/checkout"}]);
    let process = json!([{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "checkout"}}}]);
    let recovery = json!({"reason": "the cluster was lost", "until": "2099-01-01T00:00:00Z"});
    for (kind, name, spec, other) in [
        ("Environment", "dev", json!({"order": 10, "changedBy": {"username": "bob"}}), json!({"order": 20})),
        ("Environment", "lost", json!({"order": 10, "recovery": recovery}), json!({"paused": true})),
        ("Lifecycle", "standard", json!({"phases": phases}), json!({"phases": [{"name": "first"}]})),
        ("Project", "checkout", json!({"packages": package, "process": process}), json!({"lifecycle": "standard"})),
    ] {
        let manifest = shop.space.object(kind, name, spec);
        let made = administers(&dora, &manifest).await;
        assert_eq!(by(&made), Some("dora"), "{kind}");

        // By a GitOps tool, again and again, and as another person.
        let mut again = manifest.clone();
        again["spec"].as_object_mut().expect("a spec").remove("changedBy");
        let first = administers(&erin, &again).await;
        assert_eq!((by(&first), first.metadata.generation), (Some("dora"), made.metadata.generation), "{kind}");
        let second = apply(&erin, again.clone()).await.expect("the same");
        assert_eq!(second.metadata.resource_version, first.metadata.resource_version, "{kind}");

        // A client that knows nothing of the stamp, and one that knows better.
        let (api, _) = api_of(&erin, &manifest);
        let mut whole: DynamicObject = serde_json::from_value(again).expect("an object");
        whole.metadata.resource_version = second.metadata.resource_version.clone();
        let replaced = api.replace(name, &PostParams::default(), &whole).await.expect("no change");
        assert_eq!((by(&replaced), replaced.metadata.generation), (Some("dora"), made.metadata.generation), "{kind}");
        for forged in [json!({"changedBy": {"username": "erin"}}), json!({"changedBy": null})] {
            let forged = change(&erin, &manifest, forged).await.expect("no change");
            assert_eq!((by(&forged), forged.metadata.generation), (Some("dora"), made.metadata.generation), "{kind}");
        }

        let changed = change(&erin, &manifest, other).await.expect("a change");
        assert_eq!(by(&changed), Some("erin"), "{kind}");
        assert_eq!(changed.metadata.generation, made.metadata.generation.map(|known| known + 1), "{kind}");
        let label = Patch::Merge(json!({"metadata": {"labels": {"team": "web"}}}));
        let labelled = api.patch(name, &PatchParams::default(), &label).await.expect("a label");
        assert_eq!(by(&labelled), Some("erin"), "{kind}");
    }
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn who_let_a_blocked_release_go_on_is_stamped_too() {
    let (shop, dora, _) = open().await;
    let manifest = shop.space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}));
    let made = wait::eventually("dora may make releases", || async { apply(&dora, manifest.clone()).await.ok() }).await;
    assert_eq!(by(&made), None, "nobody blocked it");
    let block = json!({"blocked": {"reason": "bug 42"}, "changedBy": {"username": "bob"}});
    let blocked =
        wait::eventually("alice may block", || async { change(&shop.alice, &manifest, block.clone()).await.ok() })
            .await;
    assert_eq!(by(&blocked), Some("alice"));
    let still = apply(&dora, manifest.clone()).await.expect("the same manifest again");
    assert_eq!((by(&still), still.metadata.generation), (Some("alice"), blocked.metadata.generation));
    let free = change(&shop.space.client, &manifest, json!({"blocked": null})).await.expect("an administrator may");
    assert_eq!(by(&free), Some("gantry-plane-admin"), "who unblocked it");
    assert!(free.data["spec"].get("blocked").is_none());
}
