//! The operator is confined as well, and the accounts that it acts as are nobody else's.

use gantry_plane::Identity;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{DryRun, Shop, apply, client, create, lease, namespace, service_account, with};
use crate::support::wait;

fn labelled(name: &str, space: &str) -> Value {
    with(namespace(name), json!({"metadata": {"labels": {"gantry.dev/space": space}}}))
}

fn binding(namespace: &str, role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "gantry", "namespace": "gantry-system"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_provisions_namespaces_that_it_made_or_was_given() {
    let shop = Shop::open().await;
    let made = format!("{}-made", shop.space.name);
    apply(&shop.operator, namespace(&made)).await.expect_err("it has to say for which space");
    apply(&shop.operator, labelled(&made, &shop.space.name)).await.expect("a namespace of a space");
    apply(&shop.operator, service_account(&made)).await.expect("an account there");
    for role in ["gantry-deployer", "gantry-impersonator", "gantry-pull-secrets"] {
        apply(&shop.operator, binding(&made, role)).await.expect("a role that it may give");
    }
    for role in ["cluster-admin", "admin", "edit", "gantry-space-admin"] {
        let said = apply(&shop.operator, binding(&made, role)).await.expect_err("no other role");
        assert!(said.contains("is attempting to grant RBAC permissions not currently held"), "{said}");
    }
    let namespaces: Api<Namespace> = Api::all(shop.operator.clone());
    namespaces.delete(&made, &DeleteParams::default()).await.expect("it made it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_reaches_no_other_namespace() {
    let shop = Shop::open().await;
    let foreign = format!("{}-foreign", shop.space.name);
    shop.space.apply(namespace(&foreign)).await;
    let namespaces: Api<Namespace> = Api::all(shop.operator.clone());
    for name in [foreign.as_str(), "kube-system", "default", "gantry-system"] {
        let said = apply(&shop.operator, labelled(name, "mine")).await.expect_err("it may not take a namespace");
        assert!(said.contains("gantry.dev/space") || said.contains("never an environment's"), "{said}");
        namespaces.delete(name, &DeleteParams::default()).await.expect_err("nor delete it");
        apply(&shop.operator, service_account(name)).await.expect_err("nor make accounts there");
        apply(&shop.operator, binding(name, "gantry-deployer")).await.expect_err("nor give rights there");
    }
    let said =
        create(&shop.operator, lease("kube-system", "kube-scheduler"), DryRun::No).await.expect_err("no foreign Lease");
    assert!(said.contains("no Lease but slots"), "{said}");
    create(&shop.operator, lease("gantry-system", "gantry"), DryRun::No).await.expect("its own leadership");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_neither_promotes_nor_changes_what_a_person_asked_for() {
    let shop = Shop::open().await;
    apply(&shop.operator, shop.promotion("own", json!({}))).await.expect_err("it asks for nothing");
    shop.promoted("alices").await;
    for change in [json!({"spec": {"cancel": {"reason": "x"}}}), json!({"spec": {"reason": "x"}})] {
        let said = shop.change(&shop.operator, "alices", change).await.expect_err("it changes nothing");
        assert!(said.contains("may not") || said.contains("immutable"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_given_to_a_space_by_who_may_claim_it_through_no_subresource_by_others() {
    let shop = Shop::open().await;
    let name = format!("{}-web", shop.space.name);
    shop.space.apply(namespace(&name)).await;
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [
                {"apiGroups": [""], "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
                 "resourceNames": [name], "verbs": ["get", "patch", "update"]},
                {"apiGroups": ["gantry.dev"], "resources": ["spaces"], "resourceNames": ["mine"], "verbs": ["claim"]},
            ],
        }))
        .await;
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "carol"}],
        }))
        .await;
    let carol = client(shop.plane, &Identity::user("carol")).await;
    let namespaces: Api<Namespace> = Api::all(carol);
    let label = |space: Value| Patch::Merge(json!({"metadata": {"labels": {"gantry.dev/space": space}}}));
    wait::eventually("carol may claim for mine", || async {
        namespaces.patch(&name, &PatchParams::default(), &label(json!("mine"))).await.ok()
    })
    .await;
    wait::eventually("the policy acts", || async {
        let dry_run = PatchParams::default().dry_run();
        namespaces.patch(&name, &dry_run, &label(json!("other"))).await.err()
    })
    .await;
    for other in [json!("other"), json!(null)] {
        let changed = namespaces.patch(&name, &PatchParams::default(), &label(other.clone())).await;
        assert_eq!(changed.is_ok(), other.is_null(), "she may give it back, and to nobody else");
    }
    let said = namespaces.patch_status(&name, &PatchParams::default(), &label(json!("other"))).await;
    let said = said.expect_err("nor through a subresource").to_string();
    assert!(said.contains("ask an administrator for the verb claim on spaces.gantry.dev/other"), "{said}");
    let mut object = namespaces.get(&name).await.expect("the namespace");
    object.metadata.labels.get_or_insert_default().insert("gantry.dev/space".to_owned(), "other".to_owned());
    let request = kube::api::Request::new("/api/v1/namespaces");
    let body = serde_json::to_vec(&object).expect("JSON");
    let request = request.replace_subresource("finalize", &name, &PostParams::default(), body).expect("a request");
    let client = client(shop.plane, &Identity::user("carol")).await;
    client.request::<Namespace>(request).await.expect_err("nor through this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_token_of_the_account_that_releases_are_applied_with() {
    let shop = Shop::open().await;
    let target = format!("{}-dev", shop.space.name);
    shop.space.apply(labelled(&target, &shop.space.name)).await;
    shop.space
        .apply(json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "gantry-deployer", "namespace": target}}))
        .await;
    let attempts = [
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief", "namespace": target},
            "spec": {"serviceAccountName": "gantry-deployer", "containers": [{"name": "x", "image": "localhost/x"}]}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "thief", "namespace": target,
            "annotations": {"kubernetes.io/service-account.name": "gantry-deployer"}},
            "type": "kubernetes.io/service-account-token"}),
    ];
    for attempt in attempts {
        let said = apply(&shop.space.client, attempt).await.expect_err("nobody may");
        assert!(said.contains("nobody gets its token; use another ServiceAccount"), "{said}");
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(shop.space.client.clone(), &target);
    let request = TokenRequest::default();
    let token = accounts.create_token_request("gantry-deployer", &PostParams::default(), &request).await;
    let said = token.expect_err("nobody may").to_string();
    assert!(said.contains("nobody gets its token"), "{said}");
    accounts.create_token_request("default", &PostParams::default(), &request).await.expect("another account");
}
