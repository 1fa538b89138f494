//! The operator is confined as well, and the accounts that it acts as are nobody else's.

use gantry_plane::Identity;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{DryRun, Shop, apply, client, create, lease, namespace, revision, service_account, with};
use crate::support::wait;

pub(super) fn labelled(name: &str, space: &str) -> Value {
    with(namespace(name), json!({"metadata": {"labels": {"gantry.dev/space": space}}}))
}

/// The binding of an account of the namespace to the role of its name.
pub(super) fn of_account(namespace: &str, account: &str) -> Value {
    let subject = json!([{"kind": "ServiceAccount", "name": account, "namespace": namespace}]);
    with(binding(namespace, account), json!({"subjects": subject}))
}

pub(super) fn binding(namespace: &str, role: &str) -> Value {
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
    let account = with(service_account(&made), json!({"metadata": {"name": "gantry-deployer"}}));
    apply(&shop.operator, account).await.expect("an account there");
    for role in ["gantry-impersonator", "gantry-pull-secrets"] {
        apply(&shop.operator, binding(&made, role)).await.expect("a right of its own");
    }
    for account in ["gantry-deployer", "gantry-console"] {
        apply(&shop.operator, of_account(&made, account)).await.expect("a role for its account");
    }
    for role in ["cluster-admin", "admin", "edit", "gantry-space-admin"] {
        let bound = with(of_account(&made, "gantry-deployer"), json!({"roleRef": {"name": role}}));
        // What a binding binds to never changes.
        let bindings: Api<RoleBinding> = Api::namespaced(shop.space.client.clone(), &made);
        let _ = bindings.delete("gantry-deployer", &DeleteParams::default()).await;
        let said = apply(&shop.operator, bound).await.expect_err("no other role");
        assert!(said.contains("is attempting to grant RBAC permissions not currently held"), "{said}");
    }
    let namespaces: Api<Namespace> = Api::all(shop.operator.clone());
    let said = namespaces.delete(&made, &DeleteParams::default()).await.expect_err("it did not make it for anybody");
    assert!(said.to_string().contains("deletes no namespace but those that it made"), "{said}");
    let own = format!("{}-own", shop.space.name);
    let created = json!({"metadata": {"annotations": {"gantry.dev/created-for": "u"}}});
    let marked = with(labelled(&own, &shop.space.name), created);
    apply(
        &shop.operator,
        with(labelled(&made, &shop.space.name), json!({"metadata": {"annotations": {"gantry.dev/created-for": "u"}}})),
    )
    .await
    .expect_err("nor may it say so later");
    apply(&shop.operator, marked).await.expect("a namespace made for an environment");
    namespaces.delete(&own, &DeleteParams::default()).await.expect("it made it");
}

// Attack T14.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_namespace_of_a_space_the_operator_writes_what_an_environment_has_and_nothing_else() {
    let shop = Shop::open().await;
    let target = format!("{}-own", shop.space.name);
    apply(&shop.operator, labelled(&target, &shop.space.name)).await.expect("a namespace of a space");
    // So that only the policy stands in its way.
    shop.space.apply(binding(&target, "gantry-pull-secrets")).await;
    let named = |object: Value, name: &str| with(object, json!({"metadata": {"name": name, "namespace": target}}));
    let two = json!([
        {"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": target},
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mallory"},
    ]);
    let elsewhere = json!([{"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": "default"}]);
    let itself = json!([{"kind": "ServiceAccount", "name": "gantry", "namespace": "gantry-system"}]);
    let token = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}});
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}});
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "1"}}});
    let revoked = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": []}});
    for (attempt, says) in [
        (service_account(&target), "which have names of Gantry"),
        (named(policy, "allow-all"), "which have names of Gantry"),
        (named(quota, "mine"), "which have names of Gantry"),
        (named(revoked, "mine"), "which have names of Gantry"),
        (named(binding(&target, "gantry-deployer"), "other"), "which have names of Gantry"),
        (with(of_account(&target, "gantry-deployer"), json!({"subjects": two})), "limited roles"),
        (with(of_account(&target, "gantry-deployer"), json!({"subjects": elsewhere})), "limited roles"),
        (with(of_account(&target, "gantry-deployer"), json!({"subjects": itself})), "limited roles"),
        (
            with(of_account(&target, "gantry-console"), json!({"roleRef": {"name": "gantry-impersonator"}})),
            "limited roles",
        ),
        (
            with(binding(&target, "gantry-impersonator"), json!({"roleRef": {"name": "gantry-deployer"}})),
            "limited roles",
        ),
        (revision(&target, "x"), "no ControllerRevision but"),
    ] {
        let said = apply(&shop.operator, attempt.clone()).await.expect_err("not this");
        assert!(said.contains(says), "{attempt}: {said}");
    }
    let said = wait::eventually("the right to pull secrets acts", || async {
        let said = apply(&shop.operator, named(token.clone(), "token")).await.expect_err("no token");
        said.contains("ValidatingAdmissionPolicy").then_some(said)
    })
    .await;
    assert!(said.contains("no Secrets but pull secrets"), "{said}");
}

// Attack T14.
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

// Attack T14.
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

// Attacks T6, T12.
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

/// A namespace of the space's with both accounts.
async fn with_accounts(shop: &Shop) -> String {
    let target = format!("{}-dev", shop.space.name);
    shop.space.apply(labelled(&target, &shop.space.name)).await;
    for name in ["gantry-deployer", "gantry-console"] {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": target}});
        shop.space.apply(account).await;
    }
    target
}

/// A pod, or the template of one.
fn runs_as(account: &str, more: Value) -> Value {
    let container = json!({"name": "x", "image": "localhost/x"});
    with(json!({"serviceAccountName": account, "restartPolicy": "Never", "containers": [container]}), more)
}

fn job(namespace: &str, name: &str, pod: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": pod}}})
}

// Attack T16.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_token_of_an_account_that_gantry_acts_as() {
    let shop = Shop::open().await;
    let target = with_accounts(&shop).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(shop.space.client.clone(), &target);
    let request = TokenRequest::default();
    for name in ["gantry-deployer", "gantry-console"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "thief", "namespace": target,
            "annotations": {"kubernetes.io/service-account.name": name}},
            "type": "kubernetes.io/service-account-token"});
        let said = apply(&shop.space.client, secret).await.expect_err("nobody may");
        assert!(said.contains("nobody gets its token; use another ServiceAccount"), "{said}");
        let token = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let said = token.expect_err("nobody may").to_string();
        assert!(said.contains("nobody gets its token"), "{said}");
    }
    accounts.create_token_request("default", &PostParams::default(), &request).await.expect("another account");

    let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief", "namespace": target}, "spec": spec});
    let old =
        with(runs_as("default", json!({})), json!({"serviceAccountName": null, "serviceAccount": "gantry-deployer"}));
    for (attempt, says) in [
        (pod(runs_as("gantry-deployer", json!({}))), "nobody gets its token"),
        (pod(old), "nobody gets its token"),
        (job(&target, "thief", &runs_as("gantry-deployer", json!({}))), "nobody gets its token"),
        (
            pod(runs_as("gantry-console", json!({"automountServiceAccountToken": false}))),
            "only Gantry makes pods of gantry-console",
        ),
        (
            job(&target, "thief", &runs_as("gantry-console", json!({"automountServiceAccountToken": false}))),
            "only Gantry",
        ),
    ] {
        let said = apply(&shop.space.client, attempt.clone()).await.expect_err("nobody may");
        assert!(said.contains(says), "{attempt}: {said}");
    }
}

// Attack T17.
#[tokio::test(flavor = "multi_thread")]
async fn the_console_runs_in_jobs_of_gantry_only_and_without_a_token() {
    let shop = Shop::open().await;
    let target = with_accounts(&shop).await;
    let deployer = shop.acting_as(&target, "gantry-deployer").await;
    let safe = json!({"automountServiceAccountToken": false});
    wait::eventually("the deployer may make Jobs", || async {
        apply(&deployer, job(&target, "script", &runs_as("gantry-console", safe.clone()))).await.ok()
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(shop.space.client.clone(), &target);
    wait::eventually("Kubernetes makes the pod", || async {
        let made = pods.list(&ListParams::default().labels("batch.kubernetes.io/job-name=script")).await.ok()?;
        let pod = made.items.into_iter().next()?;
        let mounted = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).count();
        assert_eq!(mounted, 0, "no token");
        Some(())
    })
    .await;
    let token = json!([{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    for more in [json!({}), json!({"automountServiceAccountToken": true}), with(safe, json!({"volumes": token}))] {
        let said = apply(&deployer, job(&target, "other", &runs_as("gantry-console", more.clone()))).await;
        let said = said.expect_err("not with a token");
        assert!(said.contains("pods of gantry-console have no token; set automount"), "{more}: {said}");
    }
}
