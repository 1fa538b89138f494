//! What stands in the way of a step that runs, although trying again may help, is told while it lasts, and named at the end.

use gantry::api::v1alpha1::{Environment, Promotion};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// A space with an environment `dev` and a sealed release 1.0.0 of `checkout`, of these manifests.
async fn space(timeout: &str, manifests: impl Fn(&str) -> Value) -> Space {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space.environment_ready("dev").await;
    let step = json!({"name": "deploy", "timeout": timeout, "apply": {"manifests": manifests(&image)}});
    let spec = json!({"packages": [{"name": "api", "image": image}], "process": [step]});
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    space
}

/// Waits until a promotion that runs says this.
async fn says(space: &Space, promotion: &str, what: &str) -> Promotion {
    wait::object(&space.api(), promotion, what, |known: &Promotion| {
        let status = known.status.as_ref();
        status.is_some_and(|s| !s.finished && s.message.as_deref().is_some_and(|message| message.contains(what)))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_does_not_answer_is_named_while_it_is_waited_for_and_when_time_is_over() {
    let space = space("40s", |_| json!([config_map("rules", "x")])).await;
    let (hooks, namespace) = (Api::all(space.client.clone()), format!("{}-dev", space.name));
    let hook: ValidatingWebhookConfiguration = serde_json::from_value(json!({
        "metadata": {"name": format!("{}-images", space.name)},
        "webhooks": [{
            "name": "images.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 2,
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
        }],
    }))
    .expect("a webhook");
    hooks.create(&PostParams::default(), &hook).await.expect("a webhook");
    asked(&space.in_environment("dev")).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let cause = "the admission webhook images.example.com does not answer: mend or remove it";
    says(&space, &name, cause).await;
    let ended = space.ended(&name).await.status.expect("a status");
    let failure = ended.failure.expect("a failure");
    assert_eq!((ended.phase.as_deref(), failure.reason.as_str()), (Some("Failed"), "Timeout"));
    assert!(failure.message.contains("did not finish within 40s") && failure.message.contains(cause), "{failure:?}");
    hooks.delete(&format!("{}-images", space.name), &DeleteParams::default()).await.expect("a deletion");
}

/// Waits until the API server, which learns of a webhook some time after it was written, asks it.
async fn asked(config_maps: &Api<ConfigMap>) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let probe: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "probe"}})).expect("a ConfigMap");
    wait::eventually("the API server asks the webhook", || async {
        config_maps
            .create(&dry, &probe)
            .await
            .err()
            .filter(|error| error.to_string().contains("failed calling webhook"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_being_deleted_is_named_and_applied_once_it_is_gone() {
    let space = space("2m", |_| json!([config_map("rules", "x")])).await;
    let rules: Api<ConfigMap> = space.in_environment("dev");
    let held = json!({"metadata": {"name": "rules", "finalizers": ["example.com/hold"]}});
    let held: ConfigMap = serde_json::from_value(held).expect("a ConfigMap");
    rules.create(&PostParams::default(), &held).await.expect("a ConfigMap");
    rules.delete("rules", &DeleteParams::default()).await.expect("a deletion");
    let name = space.promote("checkout", "1.0.0", "dev").await;
    says(&space, &name, "ConfigMap rules is being deleted and not gone yet").await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    rules.patch("rules", &PatchParams::default(), &free).await.expect("nothing holds it");
    let ended = space.ended(&name).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_deletes_while_it_is_waited_for_fails_the_promotion_at_once() {
    let space = space("10m", |image| json!([failing("checkout", image, "never-ready")])).await;
    let deployments: Api<Deployment> = space.in_environment("dev");
    let name = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&deployments, "checkout", "applied", |_: &Deployment| true).await;
    says(&space, &name, "checkout").await;
    deployments.delete("checkout", &DeleteParams::default()).await.expect("a deletion");
    let ended = space.ended(&name).await.status.expect("a status");
    let failure = ended.failure.expect("a failure");
    assert_eq!((failure.reason.as_str(), failure.object.as_deref()), ("ObjectGone", Some("Deployment/checkout")));
    assert!(failure.message.contains("was deleted by somebody while it was waited for: promote again"), "{failure:?}");
    assert!(ended.applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pod_that_its_stateful_set_never_replaces_is_named_and_all_goes_on_once_it_is_deleted() {
    let set = |mut deployment: Value| {
        (deployment["kind"], deployment["spec"]["serviceName"]) = (json!("StatefulSet"), json!("checkout"));
        json!([deployment])
    };
    let space = space("5m", |image| set(failing("checkout", image, "crash-loop"))).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let failure = space.ended(&name).await.status.expect("a status").failure.expect("a failure");
    assert_eq!(failure.reason, "CrashLoopBackOff");

    let image = format!("{}/checkout", shared().await.plane.registry().host());
    space.project("checkout", &image, set(deployment("checkout", &image))).await;
    space.release("checkout", "1.1.0").await;
    let name = space.promote("checkout", "1.1.0", "dev").await;
    says(&space, &name, "pod checkout-0 of an older template is not ready").await;
    let pods: Api<Pod> = space.in_environment("dev");
    pods.delete("checkout-0", &DeleteParams::default()).await.expect("a deletion");
    let ended = space.ended(&name).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_deleted_lets_the_promotion_that_runs_there_end_first() {
    let space = space("10m", |image| json!([failing("checkout", image, "never-ready")])).await;
    let (environments, deployments): (Api<Environment>, Api<Deployment>) = (space.api(), space.in_environment("dev"));
    let name = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&deployments, "checkout", "applied", |_: &Deployment| true).await;
    environments.delete("dev", &DeleteParams::default()).await.expect("a deletion");
    let waits = format!("is given up once promotion {name} has ended: wait for it, or cancel it (spec.cancel)");
    wait::object(&environments, "dev", &waits, |known: &Environment| {
        let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|one| one.reason == "PromotionRunning" && one.message.contains(&waits))
    })
    .await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "the environment goes"}}}));
    space.api::<Promotion>().patch(&name, &PatchParams::default(), &cancel).await.expect("canceled");
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Canceled"));
    wait::gone(&environments, "dev").await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let left = namespaces.get(&format!("{}-dev", space.name)).await.expect("the namespace stays");
    assert!(!left.metadata.labels.unwrap_or_default().contains_key("gantry.dev/environment"));
}
