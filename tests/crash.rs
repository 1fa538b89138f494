//! Killing the operator at any write and starting it again ends the same, each effect once.

use gantry::api::v1alpha1::{AuditRecord, Promotion};
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::api::ListParams;
use serde_json::json;

use crate::support::manifest::{config_map, deployment};
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy};
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// The whole story of a first deployment: from nothing to recorded everywhere.
async fn story(space: &Space, image: &str) {
    space.apply(space.object("Environment", "dev", json!({"order": 10}))).await;
    space.project("checkout", image, json!([deployment("checkout", image), config_map("settings", "x")])).await;
    let digest = format!("sha256:{}", "a".repeat(64));
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": digest}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    space.ended(&name).await;
    wait::object(&space.api(), &name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
}

/// The story, while the operator is killed at the armed write and started again. Where writes were coalesced, there may be
/// fewer of them than in the reference, and the armed one never comes: then nobody is killed.
async fn story_with_a_death(space: &Space, image: &str, (plane, operator, proxy): (&Plane, &Operator, &Proxy)) -> bool {
    let mut death = Box::pin(die_once(plane, operator, proxy));
    let mut told = Box::pin(story(space, image));
    tokio::select! {
        () = &mut death => {
            told.await;
            true
        }
        () = &mut told => {
            let reached = proxy.is_reached();
            if reached {
                death.await;
            }
            proxy.disarm();
            reached
        }
    }
}

/// What must be the same however often the operator died.
async fn end_state(space: &Space) -> Vec<String> {
    let promotion: Promotion = space.api().get("checkout-1.0.0-dev").await.expect("the promotion");
    let status = promotion.status.expect("a status");
    let deployed: Deployment = space.in_environment("dev").get("checkout").await.expect("the Deployment");
    let records = space.api::<AuditRecord>().list(&ListParams::default()).await.expect("records").items;
    let project = space.project_says("checkout", "there", |_| true).await.status.expect("a status");
    let row = &project.environments[0];
    let revisions = space.api::<ControllerRevision>().list(&ListParams::default()).await.expect("revisions").items;
    vec![
        format!("{:?} {:?} applied={}", status.phase, status.reason, status.applied),
        format!(
            "steps {:?}",
            status.steps.iter().map(|step| (&step.name, &step.phase, &step.objects)).collect::<Vec<_>>()
        ),
        format!("generation {:?}", deployed.metadata.generation),
        format!(
            "records {:?}",
            records.iter().map(|record| (&record.spec.promotion, &record.spec.phase)).collect::<Vec<_>>()
        ),
        format!("current {:?}", row.current.as_ref().map(|current| (&current.version, &current.promotion))),
        format!("running {:?} waiting {:?}", row.running, row.waiting),
        format!("revisions {}", revisions.len()),
    ]
}

/// Kills the operator when the proxy says so, and starts it again.
async fn die_once(plane: &Plane, operator: &Operator, proxy: &Proxy) {
    proxy.reached().await;
    operator.kill(plane);
    proxy.disarm();
    operator.resume(plane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_ends_the_same() {
    let plane = shared::own(Options::default()).await;
    let proxy = Proxy::start(&plane, "crash").await;
    let operator = Operator::start_against(&plane, "crash", proxy.kubeconfig.clone()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let image = format!("{}/checkout", plane.registry().host());

    let reference = Space::create(client.clone()).await;
    proxy.count();
    story(&reference, &image).await;
    let (writes, seen) = (proxy.writes(), proxy.seen());
    let expected = end_state(&reference).await;
    assert!(writes >= 18, "the story has {writes} writes: {seen:#?}");

    let mut deaths = 0;
    for n in 1..=writes {
        for moment in [Moment::Before, Moment::AfterCommit] {
            let space = Space::create(client.clone()).await;
            proxy.arm(n, moment);
            deaths += usize::from(story_with_a_death(&space, &image, (&plane, &operator, &proxy)).await);
            let ended = end_state(&space).await;
            assert_eq!(ended, expected, "killed {moment:?} write {n}, {:?}", seen.get(n - 1));
        }
    }
    assert!(deaths >= 30, "only {deaths} deaths in {} stories", 2 * writes);
}
