//! What the policies that check stamps refuse by themselves, where nothing writes the stamps: whoever loses one of the two is not lost.

use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{DryRun, api_of, client, create, with};
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// Everything that carries a stamp: the kind, a name, the rest of the spec, and where the stamp is.
fn stamped() -> [(&'static str, &'static str, Value, &'static str); 9] {
    let promotion = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    let release = json!({"project": "checkout", "version": "1.0.0"});
    let approval = json!({"promotion": "x", "promotionUid": "u", "environment": "dev", "planDigest": "a".repeat(64),
        "decision": "Approve"});
    let command = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1",
        "restart": {"workload": "Deployment/checkout"}});
    let recovery = json!({"order": 10, "recovery": {"reason": "lost", "until": "2099-01-01T00:00:00Z"}});
    [
        ("Promotion", "asked", promotion.clone(), "requestedBy"),
        ("Pin", "checkout.dev", promotion, "requestedBy"),
        ("Approval", "decided", approval, "by"),
        ("CommandRun", "asked", command, "by"),
        ("Release", "checkout-1.0.0", release.clone(), "createdBy"),
        ("Release", "checkout-1.0.0", with(release, json!({"blocked": {"reason": "bug 42"}})), "blocked.by"),
        ("Environment", "dev", recovery, "recovery.by"),
        ("Environment", "dev", json!({"order": 10}), "changedBy"),
        ("Lifecycle", "standard", json!({"phases": [{"name": "first"}]}), "changedBy"),
    ]
}

/// A spec with this at a path.
fn at(path: &str, value: &Value) -> Value {
    path.rsplit('.').fold(value.clone(), |inner, field| json!({ field: inner }))
}

/// An object with every stamp that its kind has as it should be, and one as somebody claims.
fn claimed(
    space: &Space,
    (kind, name, spec, path): (&str, &str, &Value, &str),
    (me, claim): (&Value, &Value),
) -> Value {
    let mut spec = spec.clone();
    for its in stamped().iter().filter(|row| row.0 == kind && row.3 != path).map(|row| row.3) {
        // The stamp of a part goes with the part.
        let part = its.split_once('.').map(|(part, _)| part);
        if part.is_none_or(|part| spec.get(part).is_some()) {
            spec = with(spec, at(its, me));
        }
    }
    // Of a release only its block is a change.
    if kind == "Release" && spec.get("blocked").is_some() {
        spec = with(spec, json!({"changedBy": me}));
    }
    let mut object = space.object(kind, name, with(spec, at(path, claim)));
    if ["Promotion", "CommandRun"].contains(&kind) {
        object["metadata"]["finalizers"] = json!(["gantry.dev/recorded"]);
    }
    object
}

/// A robot, which has a uid as people with certificates have none, that may do everything.
async fn robot(plane: &Plane, space: &Space) -> (Client, Value) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "robot", "namespace": space.name}});
    space.apply(account).await;
    space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "robot"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": space.name}],
        }))
        .await;
    let accounts: Api<ServiceAccount> = space.api();
    let uid = accounts.get("robot").await.expect("the account").uid();
    let me = json!({"username": format!("system:serviceaccount:{}:robot", space.name), "uid": uid});
    (client(plane, &Identity::service_account(&space.name, "robot")).await, me)
}

// Attacks T1, T6.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_writes_the_stamps_no_other_name_and_no_other_uid_is_taken() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let space = Space::create(client(&plane, &Identity::Admin).await).await;
    let (robot, me) = robot(&plane, &space).await;
    let stamps: Api<MutatingAdmissionPolicyBinding> = Api::all(space.client.clone());
    stamps.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("an administrator may");
    for (kind, name, spec, path) in stamped() {
        let tried = async |claim: &Value| {
            let object = claimed(&space, (kind, name, &spec, path), (&me, claim));
            create(&robot, object, DryRun::Yes).await
        };
        wait::eventually(&format!("{kind} {path} is taken as it is claimed"), || async { tried(&me).await.ok() }).await;
        let another_uid = json!({"username": me["username"], "uid": "another"});
        let no_uid = json!({"username": me["username"]});
        for claim in [another_uid, no_uid, json!({"username": "bob", "uid": me["uid"]}), Value::Null] {
            let said = wait::eventually(&format!("{kind} {path} is refused as {claim}"), || async {
                tried(&claim).await.err()
            })
            .await;
            assert!(said.contains(&format!("spec.{path} must be ")), "{kind} {claim}: {said}");
        }
    }
    // What is there keeps its author until the part that he stands for changes.
    for (kind, name, spec, path) in stamped().into_iter().filter(|row| row.3.contains('.')) {
        let object = claimed(&space, (kind, name, &spec, path), (&me, &me));
        create(&robot, object.clone(), DryRun::No).await.expect("it is his");
        let (api, _) = api_of(&space.client, &object);
        let mut change = at(path, &json!({"username": "bob", "uid": "b"}));
        if kind == "Environment" {
            change = with(change, json!({"changedBy": {"username": "gantry-plane-admin", "uid": null}}));
        }
        let change = Patch::Merge(json!({ "spec": change }));
        let said = api.patch(name, &PatchParams::default(), &change).await.expect_err("bob said nothing").to_string();
        assert!(said.contains(&format!("spec.{path} changes only with ")), "{kind}: {said}");
    }
}
