//! Who asked, and who may.

use gantry::api::v1alpha1::{Freeze, Promotion};
use gantry_plane::Identity;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{Shop, apply, client, person_may, with};
use crate::support::wait;

const RECORDED: &str = "gantry.dev/recorded";

fn by(promotion: &Promotion) -> &str {
    promotion.spec.requested_by.as_ref().map_or("nobody", |person| person.username.as_str())
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn the_stamp_is_the_caller_whom_the_api_server_authenticated() {
    let shop = Shop::open().await;
    let promotion = shop.promoted("one").await;
    let person = promotion.spec.requested_by.clone().expect("a stamp");
    assert_eq!((person.username.as_str(), person.uid), ("alice", None), "a certificate has no uid");
    assert_eq!(promotion.finalizers(), [RECORDED]);

    let robot = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "flux", "namespace": shop.space.name}});
    shop.space.apply(robot).await;
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "flux", "namespace": shop.space.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-releaser"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": shop.space.name}],
        }))
        .await;
    let flux = client(shop.plane, &Identity::service_account(&shop.space.name, "flux")).await;
    wait::eventually("the robot may promote", || async { apply(&flux, shop.promotion("two", json!({}))).await.ok() })
        .await;
    let promotion = shop.promotions(&shop.alice).get("two").await.expect("the promotion");
    let accounts: Api<ServiceAccount> = shop.space.api();
    let person = promotion.spec.requested_by.expect("a stamp");
    assert_eq!(person.username, format!("system:serviceaccount:{}:flux", shop.space.name));
    assert_eq!(person.uid, accounts.get("flux").await.expect("the account").uid());
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_stamp_is_overwritten() {
    let shop = Shop::open().await;
    let forged = shop.promotion("forged", json!({"requestedBy": {"username": "bob", "uid": "1"}}));
    let object: Promotion = serde_json::from_value(forged.clone()).expect("a promotion");
    let created =
        shop.promotions(&shop.alice).create(&PostParams::default(), &object).await.expect("alice may promote");
    let person = created.spec.requested_by.clone().expect("a stamp");
    assert_eq!((person.username.as_str(), person.uid), ("alice", None));

    for change in [json!({"requestedBy": {"username": "bob"}}), json!({"requestedBy": null})] {
        let changed = shop.change(&shop.mallory, "forged", json!({"spec": change})).await.expect("no change");
        assert_eq!(changed.metadata.generation, created.metadata.generation, "{change}");
        assert_eq!(by(&changed), "alice");
    }
    let applied = apply(&shop.mallory, forged).await.expect("no change");
    assert_eq!(applied.data["spec"]["requestedBy"], json!({"username": "alice"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_it_again_by_anyone_and_in_any_way_changes_nothing() {
    let shop = Shop::open().await;
    let manifest = shop.promotion("again", json!({}));
    let file = shop.plane.directory().join(format!("{}.json", shop.space.name));
    std::fs::write(&file, manifest.to_string()).expect("a file");
    for person in ["alice", "mallory"] {
        let kubeconfig = shop.plane.kubeconfig(&Identity::user(person)).await.expect("a kubeconfig");
        for attempt in ["first", "second"] {
            let mut kubectl = shop.plane.kubectl().expect("kubectl");
            let output =
                kubectl.env("KUBECONFIG", &kubeconfig).args(["apply", "-f"]).arg(&file).output().expect("kubectl runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            let expected = if (person, attempt) == ("alice", "first") { "created" } else { "unchanged" };
            assert!(said.contains(expected), "{person}, {attempt}: {said}");
        }
    }
    let before = shop.promotions(&shop.alice).get("again").await.expect("the promotion");
    assert_eq!(by(&before), "alice");

    let first = apply(&shop.mallory, manifest.clone()).await.expect("a server-side apply");
    assert_eq!(first.metadata.generation, before.metadata.generation, "only its managed fields differ");
    for person in [&shop.mallory, &shop.mallory] {
        let second = apply(person, manifest.clone()).await.expect("a server-side apply");
        assert_eq!(second.resource_version(), first.resource_version());
    }
}

// Attack T2.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_replaces_the_object_without_the_stamp_keeps_it() {
    let shop = Shop::open().await;
    let before = shop.promoted("replaced").await;
    let mut object: Promotion = serde_json::from_value(shop.promotion("replaced", json!({}))).expect("a promotion");
    object.metadata.resource_version = before.resource_version();
    let replaced = shop.promotions(&shop.mallory).replace("replaced", &PostParams::default(), &object).await;
    let replaced = replaced.expect("no change");
    assert_eq!((by(&replaced), replaced.finalizers()), ("alice", [RECORDED.to_owned()].as_slice()));
    assert_eq!(replaced.metadata.generation, before.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn promoting_needs_the_verb_on_the_environment_and_on_the_project() {
    let shop = Shop::open().await;
    let said = apply(&shop.mallory, shop.promotion("no", json!({}))).await.expect_err("mallory may not promote");
    assert!(said.contains("spec.environment: mallory may not promote to dev; ask"), "{said}");
    assert!(said.contains("verb promote on environments.gantry.dev/dev in namespace"), "{said}");

    // The right to one environment and one project, by name.
    for (kind, names) in [("environments", ["dev", "test"]), ("projects", ["cart", "none"])] {
        shop.space
            .apply(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": kind, "namespace": shop.space.name},
                "rules": [{"apiGroups": ["gantry.dev"], "resources": [kind], "resourceNames": names, "verbs": ["promote"]}],
            }))
            .await;
        let binding = person_may(&shop.space.name, kind, "mallory");
        shop.space.apply(with(binding, json!({"roleRef": {"kind": "Role"}}))).await;
    }
    let said = wait::eventually("the environment is allowed", || async {
        let said = apply(&shop.mallory, shop.promotion("no", json!({}))).await.expect_err("not this project");
        said.contains("spec.project").then_some(said)
    })
    .await;
    assert!(said.contains("mallory may not promote checkout; ask"), "{said}");
    apply(&shop.mallory, shop.promotion("yes", json!({"project": "cart"}))).await.expect("the right to both");
    apply(&shop.mallory, shop.promotion("no", json!({"project": "cart", "environment": "production"})))
        .await
        .expect_err("not this environment");

    for (person, target, answer) in [
        ("alice", "dev", "yes"),
        ("alice", "production", "yes"),
        ("mallory", "dev", "yes"),
        ("mallory", "production", "no"),
    ] {
        let kubeconfig = shop.plane.kubeconfig(&Identity::user(person)).await.expect("a kubeconfig");
        let mut kubectl = shop.plane.kubectl().expect("kubectl");
        let asked = kubectl.env("KUBECONFIG", kubeconfig).args(["auth", "can-i", "promote", "-n", &shop.space.name]);
        let output = asked.arg(format!("environments.gantry.dev/{target}")).output().expect("kubectl runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{person} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_override_freezes_needs_the_verb_override_on_the_environment() {
    let shop = Shop::open().await;
    let given = json!({"freezeOverride": {"names": ["winter"], "reason": "the shop is down"}});
    let said =
        apply(&shop.alice, shop.promotion("no", given.clone())).await.expect_err("to promote is not to override");
    assert!(said.contains("spec.freezeOverride: alice may not override freezes of dev; ask"), "{said}");
    assert!(said.contains("verb override on environments.gantry.dev/dev in namespace"), "{said}");
    shop.promoted("later").await;
    shop.change(&shop.alice, "later", json!({"spec": given})).await.expect_err("nor is it added afterwards");

    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "overrides-dev", "namespace": shop.space.name},
            "rules": [{"apiGroups": ["gantry.dev"], "resources": ["environments"], "resourceNames": ["dev"], "verbs": ["override"]}],
        }))
        .await;
    let binding = person_may(&shop.space.name, "overrides-dev", "alice");
    shop.space.apply(with(binding, json!({"roleRef": {"kind": "Role"}}))).await;
    wait::eventually("alice may override in dev", || async {
        apply(&shop.alice, shop.promotion("yes", given.clone())).await.ok()
    })
    .await;
    let elsewhere = with(given.clone(), json!({"environment": "production"}));
    apply(&shop.alice, shop.promotion("no", elsewhere)).await.expect_err("and nowhere else");
    for change in [json!({"names": ["winter", "audit"]}), json!({"reason": "another"})] {
        let change = json!({"spec": {"freezeOverride": change}});
        let said = shop.change(&shop.alice, "yes", change).await.expect_err("what was overridden never changes");
        assert!(said.contains("spec.freezeOverride is immutable"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn freezes_are_written_by_space_admins_alone() {
    let shop = Shop::open().await;
    let freeze = |name: &str| {
        let spec = json!({"start": "2026-12-20T00:00:00Z", "end": "2027-01-04T00:00:00Z", "reason": "nobody is there"});
        shop.space.object("Freeze", name, spec)
    };
    for role in ["gantry-viewer", "gantry-developer", "gantry-approver"] {
        shop.space.apply(person_may(&shop.space.name, role, "alice")).await;
    }
    shop.space.apply(person_may(&shop.space.name, "gantry-space-admin", "sam")).await;
    let sam = client(shop.plane, &Identity::user("sam")).await;
    wait::eventually("sam may write freezes", || async { apply(&sam, freeze("winter")).await.ok() }).await;
    for name in ["winter", "other"] {
        let said = apply(&shop.alice, freeze(name)).await.expect_err("alice has every other role");
        assert!(said.contains("freezes.gantry.dev"), "{said}");
    }
    let freezes: Api<Freeze> = Api::namespaced(shop.alice.clone(), &shop.space.name);
    wait::eventually("alice sees it", || async { freezes.get("winter").await.ok() }).await;
    freezes.delete("winter", &DeleteParams::default()).await.expect_err("and may not lift it");
    let active = Patch::Merge(json!({"status": {"active": false}}));
    let of_sam: Api<Freeze> = Api::namespaced(sam, &shop.space.name);
    of_sam.patch_status("winter", &PatchParams::default(), &active).await.expect_err("status is Gantry's");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_promotion_needs_the_verb_too() {
    let shop = Shop::open().await;
    shop.promoted("wanted").await;
    let cancel = json!({"spec": {"cancel": {"reason": "no"}}});
    let said = shop.change(&shop.mallory, "wanted", cancel.clone()).await.expect_err("mallory may not cancel");
    assert!(said.contains("mallory may not promote to dev"), "{said}");
    let deleted = shop.promotions(&shop.mallory).delete("wanted", &DeleteParams::default()).await;
    let said = deleted.expect_err("to delete it is to cancel it").to_string();
    assert!(said.contains("mallory may not promote to dev"), "{said}");
    shop.change(&shop.alice, "wanted", cancel).await.expect("alice may cancel");

    let status = json!({"status": {"finished": true, "phase": "Canceled"}});
    let finished =
        shop.promotions(&shop.operator).patch_status("wanted", &PatchParams::default(), &Patch::Merge(status)).await;
    finished.expect("the operator writes status");
    shop.promotions(&shop.mallory)
        .delete("wanted", &DeleteParams::default())
        .await
        .expect("a finished one is only cleared away");
}

// Attack T19.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_takes_the_finalizer_off_and_foreground_deletion_does_not_hang() {
    let shop = Shop::open().await;
    shop.promoted("kept").await;
    let without = json!({"metadata": {"finalizers": null}});
    let other = json!({"metadata": {"finalizers": ["example.com/mine"]}});
    let kept = shop.change(&shop.alice, "kept", without.clone()).await.expect("it is put back");
    assert_eq!(kept.finalizers(), [RECORDED]);
    let kept = shop.change(&shop.alice, "kept", other).await.expect("it is put back, the other one stays");
    assert_eq!(kept.finalizers(), ["example.com/mine", RECORDED]);

    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    shop.promotions(&shop.alice).delete("kept", &foreground).await.expect("alice may delete");
    let deleted = shop.change(&shop.alice, "kept", without.clone()).await.expect("the other one goes");
    assert!(deleted.finalizers().contains(&RECORDED.to_owned()));
    wait::object(&shop.promotions(&shop.alice), "kept", "freed by the garbage collector", |promotion: &Promotion| {
        promotion.finalizers() == [RECORDED]
    })
    .await;
    shop.change(&shop.operator, "kept", without).await.expect("the operator has recorded it");
    wait::gone(&shop.promotions(&shop.alice), "kept").await;
}
