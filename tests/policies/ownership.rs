//! What strangers and developers try with what they may write.

use gantry_plane::Identity;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{Shop, apply, client, person_may, with};
use crate::support::manifest::config_map;
use crate::support::wait;

/// Gives somebody rights in a namespace.
async fn may(shop: &Shop, namespace: &str, person: &str, rules: Value) -> Client {
    shop.space
        .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": person, "namespace": namespace}, "rules": rules}))
        .await;
    let binding = person_may(namespace, person, person);
    shop.space.apply(with(binding, json!({"roleRef": {"kind": "Role"}}))).await;
    client(shop.plane, &Identity::user(person)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_release_needs_the_verb_on_its_project() {
    let shop = Shop::open().await;
    let rules = json!([
        {"apiGroups": ["gantry.dev"], "resources": ["releases"], "verbs": ["create", "patch"]},
        {"apiGroups": ["gantry.dev"], "resources": ["projects"], "resourceNames": ["cart"], "verbs": ["release"]},
    ]);
    let dora = may(&shop, &shop.space.name, "dora", rules).await;
    let release = |project: &str| {
        shop.space.object("Release", &format!("{project}-1.0.0"), json!({"project": project, "version": "1.0.0"}))
    };
    wait::eventually("dora may release cart", || async { apply(&dora, release("cart")).await.ok() }).await;
    let said = apply(&dora, release("checkout")).await.expect_err("she may not release checkout");
    assert!(said.contains("spec.project: dora may not make releases of checkout; ask"), "{said}");
    assert!(said.contains("verb release on projects.gantry.dev/checkout in namespace"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_points_no_project_at_another_lifecycle() {
    let shop = Shop::open().await;
    let project = |more: Value| {
        let spec = json!({"packages": [{"name": "api", "image": "localhost/x"}], "process": [{"name": "deploy", "apply": {"manifests": [config_map("settings", "x")]}}]});
        shop.space.object("Project", "checkout", with(spec, more))
    };
    shop.space.apply(person_may(&shop.space.name, "gantry-developer", "dora")).await;
    let dora = client(shop.plane, &Identity::user("dora")).await;
    wait::eventually("dora may write projects", || async { apply(&dora, project(json!({}))).await.ok() }).await;
    shop.space.apply(project(json!({"lifecycle": "strict"}))).await;
    let channel = |more: Value| json!({"channels": [with(json!({"name": "stable", "default": true}), more)]});
    apply(&dora, project(with(channel(json!({})), json!({"lifecycle": "strict"})))).await.expect("no other lifecycle");
    for change in [
        json!({"lifecycle": "loose"}),
        json!({"lifecycle": null}),
        with(channel(json!({"lifecycle": "loose"})), json!({"lifecycle": "strict"})),
    ] {
        let said = apply(&dora, project(change.clone())).await.expect_err("she may not choose");
        assert!(
            said.contains("dora may not choose by which lifecycle releases of checkout go; ask"),
            "{change}: {said}"
        );
    }
    let other = shop.space.object("Project", "other", project(json!({"lifecycle": "loose"}))["spec"].clone());
    apply(&dora, other).await.expect_err("nor for a new project, which could be an old one made again");
    shop.space.apply(person_may(&shop.space.name, "gantry-space-admin", "sam")).await;
    let sam = client(shop.plane, &Identity::user("sam")).await;
    wait::eventually("who decides on lifecycles may", || async {
        apply(&sam, project(json!({"lifecycle": "loose"}))).await.ok()
    })
    .await;
}

/// Nobody owns them, so the garbage collector would delete them for whoever says that somebody does.
async fn no_garbage_collector_deletes(shop: &Shop, person: &Client, held: &[Value]) {
    let owner =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60"});
    let referring = Patch::Merge(json!({"metadata": {"ownerReferences": [owner]}}));
    let mark = shop.plane.audit().mark();
    for object in held {
        let (api, name) = super::api_of(person, object);
        api.patch(&name, &PatchParams::default(), &referring).await.expect("she may write it");
    }
    for resource in ["projects", "releases"] {
        wait::eventually("the garbage collector tries", || async {
            let events = shop.plane.audit().since(mark).ok()?;
            let tried = |event: &gantry_plane::AuditEvent| {
                let by = event.user.ends_with(":generic-garbage-collector") && event.namespace == shop.space.name;
                by && event.resource == resource && event.verb == "delete" && event.code == 403
            };
            events.iter().any(tried).then_some(())
        })
        .await;
    }
    for object in held {
        let (api, name) = super::api_of(&shop.space.client, object);
        assert!(api.get(&name).await.expect("it").metadata.deletion_timestamp.is_none(), "{name}");
    }
}

// Attacks T19, T20.
#[tokio::test(flavor = "multi_thread")]
async fn a_developer_is_rid_of_no_lifecycle_and_of_no_block_by_deleting_what_has_it() {
    let shop = Shop::open().await;
    let process = json!([{"name": "deploy", "apply": {"manifests": [config_map("settings", "x")]}}]);
    let project = |name: &str, more: Value| shop.space.object("Project", name, with(json!({"process": process}), more));
    let stable = json!({"name": "stable", "default": true, "lifecycle": "strict"});
    let release = |more: Value| {
        shop.space.object("Release", "plain-1.0.0", with(json!({"project": "plain", "version": "1.0.0"}), more))
    };
    let blocked = json!({"blocked": {"reason": "bug 42"}});
    let held = [
        project("named", json!({"lifecycle": "strict"})),
        project("channeled", json!({"channels": [stable]})),
        release(blocked),
    ];
    for object in held.iter().chain([&project("plain", json!({}))]) {
        shop.space.apply(object.clone()).await;
    }
    shop.space.apply(person_may(&shop.space.name, "gantry-developer", "dora")).await;
    let dora = client(shop.plane, &Identity::user("dora")).await;
    let delete = async |client: &Client, object: &Value| {
        let (api, name) = super::api_of(client, object);
        api.delete(&name, &DeleteParams::default()).await.map_err(|error| error.to_string())
    };
    wait::eventually("dora may delete projects", || async { delete(&dora, &project("plain", json!({}))).await.ok() })
        .await;
    let says = [
        "dora may not delete named, which names a lifecycle and could be made again without; ask somebody with the verb update",
        "dora may not delete channeled, which names a lifecycle and could be made again without; ask somebody with the verb update",
        "dora may not delete a blocked release of plain; ask an administrator for the verb block",
    ];
    for (object, says) in held.iter().zip(says) {
        let said = delete(&dora, object).await.expect_err("she may not");
        assert!(said.contains(says), "{said}");
        let (all, _) = super::api_of(&dora, object);
        // Which of all is refused first is a matter of names.
        all.delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .map(|_| ())
            .expect_err("nor all at once");
        let (api, name) = super::api_of(&shop.space.client, object);
        assert!(api.get(&name).await.expect("it").metadata.deletion_timestamp.is_none(), "{name}");
    }
    let besides = project("channeled", json!({"channels": [stable, {"name": "other"}]}));
    let said = apply(&dora, besides).await.expect_err("releases of the other channel would go by another lifecycle");
    assert!(said.contains("dora may not choose by which lifecycle releases of channeled go; ask somebody"), "{said}");
    no_garbage_collector_deletes(&shop, &dora, &held).await;
    shop.space.apply(person_may(&shop.space.name, "gantry-space-admin", "sam")).await;
    let sam = client(shop.plane, &Identity::user("sam")).await;
    wait::eventually("who decides on lifecycles may", || async { delete(&sam, &held[0]).await.ok() }).await;
    let namespaces: Api<Namespace> = Api::all(shop.space.client.clone());
    namespaces.delete(&shop.space.name, &DeleteParams::default()).await.expect("deleted");
    wait::gone(&namespaces, &shop.space.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_an_object_a_projects_or_takes_one_away_by_a_label() {
    let shop = Shop::open().await;
    let target = format!("{}-dev", shop.space.name);
    let labels = json!({"metadata": {"labels": {"gantry.dev/space": shop.space.name}}});
    shop.space.apply(with(super::namespace(&target), labels)).await;
    let rules = json!([{"apiGroups": ["", "apps"], "resources": ["configmaps", "deployments", "deployments/status"],
        "verbs": ["get", "create", "patch", "update"]}]);
    let mara = may(&shop, &target, "mara", rules).await;
    let map = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": target, "labels": labels}});
    wait::eventually("mara may write ConfigMaps", || async { apply(&mara, map("own", json!({"a": "b"}))).await.ok() })
        .await;
    let owned = json!({"gantry.dev/project": "checkout", "gantry.dev/environment": "dev"});
    for (person, name) in [(&mara, "new"), (&mara, "own"), (&shop.space.client, "new")] {
        let said = apply(person, map(name, owned.clone())).await.expect_err("nobody may");
        assert!(said.contains("gantry.dev/project and its like say what Gantry applied"), "{said}");
        assert!(said.contains("leave them out, or promote a release"), "{said}");
    }
    let deployer = shop.acting_as(&target, "gantry-deployer").await;
    wait::eventually("Gantry's account may", || async { apply(&deployer, map("its", owned.clone())).await.ok() }).await;
    for other in [json!({"gantry.dev/project": "cart"}), json!({"gantry.dev/environment": "production"})] {
        let said = apply(&mara, map("its", other.clone())).await.expect_err("nor change one");
        assert!(said.contains("mara may not set or change them"), "{other}: {said}");
    }
    let maps: Api<ConfigMap> = Api::namespaced(mara, &target);
    let team = Patch::Merge(json!({"metadata": {"labels": {"team": "x"}}}));
    maps.patch("its", &PatchParams::default(), &team).await.expect("other labels are everybody's");
}
