//! Two operators: one leads, the other stands by; when the leader dies in the middle of a promotion, the other ends it.

use gantry_plane::{Identity, Options};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::support::manifest::{deployment, failing};
use crate::support::operator::Operator;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

async fn leads(operator: &Operator) -> bool {
    let metrics = operator.get("/metrics").await.map(|(_, text)| text).unwrap_or_default();
    metrics.lines().any(|line| line == "gantry_leader 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_the_other_ends_what_it_began() {
    let plane = shared::own(Options::default()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let first = Operator::start(&plane, "first").await;
    wait::eventually("the first one leads", || async { leads(&first).await.then_some(()) }).await;
    let second = Operator::start(&plane, "second").await;
    assert!(!leads(&second).await, "one leads at a time");

    let space = Space::create(client).await;
    let image = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    let release = |version: &'static str, digit: &str| {
        let digest = format!("sha256:{}", digit.repeat(64));
        let packages = json!([{"name": "api", "version": version, "digest": digest}]);
        json!({"project": "checkout", "version": version, "packages": packages})
    };
    space.apply(space.object("Release", "checkout-1.0.0", release("1.0.0", "1"))).await;
    space.sealed("checkout-1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let deployments = space.in_environment::<Deployment>("dev");
    wait::object(&deployments, "checkout", "applied", |_| true).await;
    first.kill(&plane);

    wait::eventually("the second one leads", || async { leads(&second).await.then_some(()) }).await;
    space.in_phase(&name, "Running", None).await;
    let promotions = space.api::<gantry::api::v1alpha1::Promotion>();
    let cancel = kube::api::Patch::Merge(json!({"spec": {"cancel": {}}}));
    promotions.patch(&name, &kube::api::PatchParams::default(), &cancel).await.expect("canceled");
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Canceled"));
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    space.apply(space.object("Release", "checkout-1.1.0", release("1.1.0", "2"))).await;
    space.deploy("checkout", "1.1.0", "dev").await;

    // The dead one comes back, finds another leader, and stands by.
    first.resume(&plane).await;
    assert!(!leads(&first).await && leads(&second).await);
}
