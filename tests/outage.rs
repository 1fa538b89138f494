//! The control plane fails in the middle of everything and comes back: what was asked for happens all the same, soon.

use std::time::Instant;

use gantry::api::v1alpha1::Promotion;
use gantry_plane::{Ending, Identity, Options, Program};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::support::image;
use crate::support::manifest::{config_map, deployment};
use crate::support::operator::Operator;
use crate::support::quiet;
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// Promise 4: how long it may take until everything is as it should be after the last fault.
const CONVERGED: std::time::Duration = std::time::Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn when_the_control_plane_comes_back_every_promotion_ends_within_a_minute_each_effect_once() {
    let plane = shared::own(Options::default()).await;
    let operator = Operator::start(&plane, "outage").await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client).await;
    let repository = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    space
        .project("checkout", &repository, json!([deployment("checkout", &repository), config_map("settings", "x")]))
        .await;
    let pushed = image::push((&plane.registry().host(), None), ("checkout", "2.0.0"), "kept").await;
    // The last one is longer than the leader Lease: the operator ends, and is started again as Kubernetes would.
    let faults = [
        ("1.0.0", Program::ApiServer, false),
        ("1.1.0", Program::Etcd, false),
        ("1.2.0", Program::ControllerManager, false),
        ("1.3.0", Program::Registry, false),
        ("1.4.0", Program::ApiServer, true),
    ];
    for (n, (version, program, is_long)) in faults.into_iter().enumerate() {
        let digest = format!("sha256:{}", n.to_string().repeat(64));
        let packages = json!([{"name": "api", "version": version, "digest": digest}]);
        let spec = json!({"project": "checkout", "version": version, "packages": packages});
        let release = format!("checkout-{version}");
        space.apply(space.object("Release", &release, spec)).await;
        space.sealed(&release).await;
        let name = space.promote("checkout", version, "dev").await;
        plane.halt(program, Ending::Kill).expect("it ends");
        if is_long {
            operator.ended(&plane).await;
        }
        plane.resume(program).await.expect("it comes back");
        let back = Instant::now();
        // On a slow machine each of them may be longer than the Lease.
        let ended = tokio::select! {
            ended = space.ended(&name) => ended,
            never = operator.keep_running(&plane) => match never {},
        };
        let status = ended.status.expect("a status");
        assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{version}: {:?}", status.message);
        wait::object(&space.api(), &name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
        assert!(back.elapsed() < CONVERGED, "{version} took {:?} after {program:?} was back", back.elapsed());
        let deployed: Deployment = space.in_environment("dev").get("checkout").await.expect("the Deployment");
        let generation = i64::try_from(n).expect("a small number") + 1;
        assert_eq!(deployed.metadata.generation, Some(generation), "each version was applied once");
    }
    let sealed = space.release("checkout", "2.0.0").await.status.expect("a status");
    assert_eq!(sealed.packages[0].digest, pushed, "the registry has what it had");
    quiet::until_quiet(&plane).await;
}
