//! What strangers and developers try with what they may write.

use gantry_plane::Identity;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
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
