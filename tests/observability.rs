//! What the operator says of itself: metrics, probes, logs; and that one broken object stops nobody else.

use gantry::api::v1alpha1::Promotion;
use gantry_plane::{Identity, Options};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use crate::support::manifest::{config_map, failing};
use crate::support::operator::Operator;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

async fn shop() -> (Space, String) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    (space, image)
}

/// Waits until `/metrics` has a line with all of these words, and gives it back.
async fn series(words: &[&str]) -> String {
    let operator = &shared().await.operator;
    wait::eventually(&format!("a series with {words:?}"), || async {
        let (_, text) = operator.get("/metrics").await.ok()?;
        text.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_runs_what_waits_and_how_it_ended() {
    let (space, image) = shop().await;
    let here = format!("space=\"{}\"", space.name);
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let namespace = format!("target_namespace=\"{}-dev\"", space.name);
    series(&["gantry_deployment_info", &here, "version=\"1.0.0\"", &namespace, " 1"]).await;
    series(&["gantry_promotions_total", &here, "result=\"Succeeded\"", " 1"]).await;
    series(&["gantry_promotion_duration_seconds_count", &here, " 1"]).await;
    series(&["gantry_lead_time_seconds_count", &here, " 1"]).await;
    series(&["gantry_leader", " 1"]).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.1.0").await;
    let running = space.promote("checkout", "1.1.0", "dev").await;
    series(&["gantry_promotions_running", &here, " 1"]).await;
    let waiting = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", "next", waiting)).await;
    series(&["gantry_promotion_waiting_since_seconds", &here, "reason=\"QueuedBehind\""]).await;
    let promotions: Api<Promotion> = space.api();
    let cancel = Patch::Merge(json!({"spec": {"cancel": {}}}));
    promotions.patch(&running, &PatchParams::default(), &cancel).await.expect("canceled");
    series(&["gantry_promotions_total", &here, "result=\"Canceled\"", " 1"]).await;
    series(&["gantry_promotions_running", &here, " 0"]).await;
    let (_, text) = shared().await.operator.get("/metrics").await.expect("metrics");
    assert!(!text.contains("checkout-1.0.0-dev"), "no promotion is a label");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_and_logs_name_the_object() {
    let cluster = shared().await;
    let healthy = cluster.operator.get("/healthz").await.expect("an answer");
    assert_eq!(healthy, (200, "ok\n".to_owned()));
    assert_eq!(cluster.operator.get("/readyz").await.expect("an answer").0, 200);
    assert!(cluster.operator.log(&cluster.plane).contains("this process leads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_does_not_read_stops_nobody_else_not_even_in_its_own_space() {
    let plane = shared::own(Options::default()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let strict = definitions.get("promotions.gantry.dev").await.expect("the definition");
    let mut loose = strict.clone();
    loose.metadata.managed_fields = None;
    for version in &mut loose.spec.versions {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        version.schema = serde_json::from_value(json!({"openAPIV3Schema": schema})).expect("a schema");
        version.selectable_fields = None;
    }
    definitions.replace("promotions.gantry.dev", &kube::api::PostParams::default(), &loose).await.expect("loosened");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("gantry.dev", "v1alpha1", "Promotion"));
    let promotions: Api<DynamicObject> = Api::namespaced_with(client.clone(), &space.name, &resource);
    let broken = space.object(
        "Promotion",
        "broken",
        json!({
            "project": "checkout", "version": "1.0.0", "environment": "dev", "whenNotReady": ["no", "enum"],
        }),
    );
    let broken: DynamicObject = serde_json::from_value(broken).expect("an object");
    wait::eventually("the broken object is taken", || async {
        promotions.create(&kube::api::PostParams::default(), &broken).await.ok()
    })
    .await;
    let now = definitions.get("promotions.gantry.dev").await.expect("the definition");
    let mut restored = strict.clone();
    restored.metadata = kube::core::ObjectMeta {
        name: strict.metadata.name.clone(),
        resource_version: now.metadata.resource_version,
        ..Default::default()
    };
    definitions.replace("promotions.gantry.dev", &kube::api::PostParams::default(), &restored).await.expect("restored");
    let _operator = Operator::start(&plane, "broken").await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "c".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.deploy("checkout", "1.0.0", "dev").await;
}
