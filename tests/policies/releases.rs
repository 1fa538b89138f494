//! Who made a release, who keeps it from going further, and what Gantry makes of it by itself.

use gantry::api::v1alpha1::{Promotion, Release};
use gantry_plane::Identity;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{DryRun, Shop, apply, create, with};
use crate::support::wait;

#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn caused(shop: &Shop, name: &str, more: Value) -> Value {
    let cause = json!({"cause": {"kind": "Release", "name": "checkout-1.0.0", "uid": "u"}});
    with(shop.promotion(name, cause), json!({"spec": more}))
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_says_what_caused_a_promotion_and_without_a_cause_it_may_not_promote() {
    let shop = Shop::open().await;
    for person in [&shop.alice, &shop.space.client] {
        let said = create(person, caused(&shop, "forged", json!({})), DryRun::Yes).await.expect_err("no cause");
        assert!(said.contains("spec.cause is written by Gantry alone"), "{said}");
    }
    let said = create(&shop.operator, shop.promotion("plain", json!({})), DryRun::Yes).await.expect_err("no right");
    assert!(said.contains("gantry may not promote to dev; ask"), "{said}");

    let by = |name: &'static str| {
        let promotions: Api<Promotion> = shop.promotions(&shop.alice);
        async move {
            let made = promotions.get(name).await.expect("the promotion");
            assert_eq!(made.finalizers(), ["gantry.dev/recorded"]);
            made.spec.requested_by.expect("a requester").username
        }
    };
    let bob = json!({"requestedBy": {"username": "bob"}});
    create(&shop.operator, caused(&shop, "of-bob", bob), DryRun::No).await.expect("with a cause");
    assert_eq!(by("of-bob").await, "bob", "the person at the root of the cause");
    create(&shop.operator, caused(&shop, "of-nobody", json!({})), DryRun::No).await.expect("with a cause");
    assert_eq!(by("of-nobody").await, "system:serviceaccount:gantry-system:gantry");
    let other = json!({"spec": {"cause": null}});
    let said = shop.change(&shop.alice, "of-bob", other).await.expect_err("a cause stays");
    assert!(said.contains("spec.cause is written by Gantry alone"), "{said}");
}

// Attack T1.
#[tokio::test(flavor = "multi_thread")]
async fn who_made_and_who_blocked_a_release_is_stamped_and_blocking_needs_the_verb() {
    let shop = Shop::open().await;
    let releases = |client: &kube::Client| -> Api<Release> { Api::namespaced(client.clone(), &shop.space.name) };
    let spec = json!({"project": "checkout", "version": "1.0.0", "createdBy": {"username": "bob"}});
    let manifest = shop.space.object("Release", "checkout-1.0.0", spec);
    let author = |release: &Release| release.spec.created_by.clone().map(|by| by.username);
    let made = wait::eventually("releases are stamped", || async {
        apply(&shop.mallory, manifest.clone()).await.expect("mallory may make releases");
        let made = releases(&shop.mallory).get("checkout-1.0.0").await.expect("the release");
        if author(&made).as_deref() == Some("mallory") {
            return Some(made);
        }
        // The policy does not act yet.
        releases(&shop.space.client).delete("checkout-1.0.0", &kube::api::DeleteParams::default()).await.expect("gone");
        None
    })
    .await;
    let patch = |client: &kube::Client, blocked: Value| {
        let (api, change) = (releases(client), Patch::Merge(json!({"spec": {"blocked": blocked}})));
        async move {
            let patched = api.patch("checkout-1.0.0", &PatchParams::default(), &change).await;
            patched.map_err(|error| error.to_string())
        }
    };
    let said = patch(&shop.mallory, json!({"reason": "no"})).await.expect_err("mallory may not block");
    assert!(said.contains("spec.blocked: mallory may not block or unblock releases of checkout; ask"), "{said}");
    assert!(said.contains("verb block on projects.gantry.dev/checkout in namespace"), "{said}");
    let blocked = wait::eventually("alice may block", || async {
        patch(&shop.alice, json!({"reason": "bug 42", "by": {"username": "bob"}})).await.ok()
    })
    .await;
    let by = |release: &Release| release.spec.blocked.as_ref().and_then(|block| block.by.clone()).map(|by| by.username);
    assert_eq!(by(&blocked).as_deref(), Some("alice"));
    let same = patch(&shop.mallory, json!({"by": {"username": "mallory"}})).await.expect("no change");
    assert_eq!((by(&same).as_deref(), same.metadata.generation), (Some("alice"), blocked.metadata.generation));
    patch(&shop.mallory, Value::Null).await.expect_err("nor may she unblock");
    // To delete it and make it again would be to unblock it; who may block may do that.
    let delete = |client: &kube::Client, dry_run: bool| {
        let (api, how) = (releases(client), DeleteParams { dry_run, ..DeleteParams::default() });
        async move { api.delete("checkout-1.0.0", &how).await.map(drop).map_err(|error| error.to_string()) }
    };
    let said = delete(&shop.mallory, false).await.expect_err("mallory may not delete what is blocked");
    assert!(said.contains("spec.blocked: mallory may not delete a blocked release of checkout; ask"), "{said}");
    assert!(said.contains("verb block on projects.gantry.dev/checkout in namespace"), "{said}");
    delete(&shop.space.client, true).await.expect("an administrator may");
    let cleanup = Identity::service_account("kube-system", "namespace-controller");
    let cleanup = shop.plane.client(&cleanup).await.expect("a client");
    delete(&cleanup, true).await.expect("a space goes with its blocked releases");
    apply(&shop.mallory, manifest).await.expect("the same manifest again");
    let still = releases(&shop.alice).get("checkout-1.0.0").await.expect("the release");
    assert_eq!((by(&still).as_deref(), author(&still).as_deref()), (Some("alice"), Some("mallory")));
    let free = patch(&shop.alice, Value::Null).await.expect("alice may unblock");
    assert!(free.spec.blocked.is_none() && free.spec.created_by == made.spec.created_by);
    delete(&shop.mallory, true).await.expect("what is not blocked is deleted by whoever may delete");
}
