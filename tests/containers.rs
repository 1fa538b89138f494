//! What only real containers show: a rollout that loses no request, and failures with the container's own last words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use gantry::api::v1alpha1::Promotion;
use gantry_plane::image::{ask, push_sample};
use gantry_plane::{Login, Registry, RegistryOptions};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::manifest::{config_map, real};
use crate::support::real_node::left_out;
use crate::support::shared::{Shared, shared};
use crate::support::space::Space;
use crate::support::wait;

/// The shared cluster if it has a real node; else one line, past the capture of a test's output, says that the test did not run,
/// which is a failure where a real node is required.
async fn containers(test: &str) -> Option<&'static Shared> {
    let cluster = shared().await;
    if !cluster.real {
        left_out(test, "no real node here (root on Linux with runc is needed)");
    }
    cluster.real.then_some(cluster)
}

async fn shop(cluster: &Shared, manifests: impl Fn(&str) -> Value) -> (Space, String) {
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment_with("dev", environment(json!([]))).await;
    space.project("checkout", &image, manifests(&image)).await;
    (space, image)
}

/// An environment in which nothing fails because it takes long: an image only if the registry's answer is certain.
#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn environment(pull_secrets: Value) -> Value {
    let fail_after = json!({"imagePull": "1h", "crashLoop": 2, "unschedulable": "5m"});
    json!({"order": 10, "failAfter": fail_after, "pullSecrets": pull_secrets})
}

/// Where a Service sends requests: the addresses that its `EndpointSlices` say are ready.
async fn addresses(slices: &Api<EndpointSlice>, service: &str) -> Vec<String> {
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let listed = slices.list(&of_service).await.expect("endpoints");
    let endpoints = listed.items.into_iter().flat_map(|slice| slice.endpoints.unwrap_or_default());
    let ready = endpoints.filter(|known| known.conditions.as_ref().and_then(|known| known.ready).unwrap_or(true));
    ready.flat_map(|known| known.addresses).collect()
}

/// Asks every address of a Service all the time until it is told to stop; how often each version answered, if no request failed.
async fn asking(slices: Api<EndpointSlice>, stop: Arc<AtomicBool>) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    let mut pace = tokio::time::interval(Duration::from_millis(25));
    // Bounded: at most two minutes of requests.
    for _ in 0..4800 {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        pace.tick().await;
        let addresses = addresses(&slices, "checkout").await;
        assert!(!addresses.is_empty(), "the Service had nobody to send a request to: {answers:?}");
        for answer in join_all(addresses.iter().map(|ip| version(ip))).await {
            let answer = answer.unwrap_or_else(|error| panic!("a request failed during the rollout: {error}"));
            *answers.entry(answer).or_insert(0) += 1;
        }
    }
    answers
}

/// What a pod says its version is.
async fn version(ip: &str) -> Result<String, String> {
    let answer = ask(ip.parse().expect("an address"), "/version").await.map_err(|error| error.to_string())?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("{}: {}", answer.status, answer.body)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_to_a_new_version_loses_no_request() {
    let Some(cluster) = containers("a_rollout_to_a_new_version_loses_no_request").await else { return };
    let (space, _) = shop(cluster, |image| {
        let mut deployment = real("checkout", image, &[]);
        deployment["spec"]["replicas"] = json!(2);
        deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
        // Whoever is told to go goes on answering until nobody sends requests any more.
        deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 3}}});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "checkout"},
            "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "targetPort": 8080}]}});
        json!([deployment, service])
    })
    .await;
    space.release("checkout", "1.0.0").await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let slices: Api<EndpointSlice> = space.in_environment("dev");
    wait::eventually("both pods are endpoints", || async {
        (addresses(&slices, "checkout").await.len() == 2).then_some(())
    })
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3).map(|_| tokio::spawn(asking(slices.clone(), Arc::clone(&stop)))).collect();
    space.deploy("checkout", "1.1.0", "dev").await;
    let old = |ip: &String| {
        let ip = ip.clone();
        async move { version(&ip).await.is_ok_and(|said| said.contains("1.0.0")) }
    };
    wait::eventually("only the new version is asked", || async {
        let addresses = addresses(&slices, "checkout").await;
        let any_old = join_all(addresses.iter().map(old)).await.into_iter().any(|old| old);
        (addresses.len() == 2 && !any_old).then_some(())
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        let answers = client.await.expect("no request failed");
        let of = |version: &str| {
            answers.iter().filter(|(said, _)| said.contains(version)).map(|(_, count)| count).sum::<usize>()
        };
        assert!(
            of("1.0.0") > 10 && of("1.1.0") > 10,
            "each version was asked while one replaced the other: {answers:?}"
        );
    }
}

async fn failed(space: &Space, version: &str) -> Promotion {
    let name = space.promote("checkout", version, "dev").await;
    let ended = space.ended(&name).await;
    assert_eq!(ended.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed"), "{:?}", ended.status);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_reported_after_its_restarts_with_the_last_lines_of_the_container() {
    let test = "a_crash_loop_is_reported_after_its_restarts_with_the_last_lines_of_the_container";
    let Some(cluster) = containers(test).await else { return };
    let (space, _) =
        shop(cluster, |image| json!([real("checkout", image, &[("CRASH", "1"), ("LOG", "no database")])])).await;
    space.release("checkout", "1.0.0").await;
    let status = failed(&space, "1.0.0").await.status.expect("a status");
    let failure = status.failure.expect("a failure");
    assert_eq!(failure.reason, "CrashLoopBackOff");
    assert!(failure.container.as_deref().is_some_and(|container| container.contains("api")), "{failure:?}");
    assert!(failure.log.iter().any(|line| line.contains("no database")), "{failure:?}");
    let pods: Api<Pod> = space.in_environment("dev");
    let pods = pods.list(&ListParams::default().labels("app=checkout")).await.expect("pods");
    let containers = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
    let restarts: Vec<_> = containers.map(|container| container.restart_count).collect();
    assert!(restarts.iter().any(|restarts| *restarts >= 2), "the environment says crashLoop: 2, not {restarts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_in_the_registry_is_reported_at_once() {
    let Some(cluster) = containers("an_image_that_is_not_in_the_registry_is_reported_at_once").await else { return };
    let (space, image) = shop(cluster, |image| json!([real("checkout", image, &[])])).await;
    let packages = json!([{"name": "api", "version": "9.9.9", "digest": format!("sha256:{}", "9".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "9.9.9", "packages": packages});
    space.apply(space.object("Release", "checkout-9.9.9", spec)).await;
    space.sealed("checkout-9.9.9").await;
    let status = failed(&space, "9.9.9").await.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("ImagePullBackOff"), "{status:?}");
    let message = status.message.unwrap_or_default();
    let expected = format!("Deployment checkout: ImagePullBackOff: {image}:9.9.9 not found (pod checkout-");
    assert!(message.contains(&expected), "{message}");
}

/// Pods are given the Secret when they are made, so the second promotion is of another version.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_password_is_pulled_from_with_the_environments_pull_secrets_only() {
    let test = "a_registry_with_a_password_is_pulled_from_with_the_environments_pull_secrets_only";
    let Some(cluster) = containers(test).await else { return };
    let login = Login { user: "robot".to_owned(), password: "swordfish".to_owned() };
    let options = RegistryOptions { auth: Some(login.clone()), ..RegistryOptions::default() };
    let registry = Registry::start(options).await.expect("a registry");
    for version in ["1.0.0", "1.1.0"] {
        push_sample(&registry, "private", version).await.expect("a sample image");
    }
    let (space, _) = shop(cluster, |_| json!([config_map("none", "x")])).await;
    let config = json!({"auths": {registry.host(): {"username": login.user, "password": login.password}}});
    space
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "private", "namespace": space.name},
            "stringData": {".dockerconfigjson": config.to_string()},
        }))
        .await;
    // The package's own Secret is for asking the registry, and no pod has it.
    let image = format!("{}/private", registry.host());
    let spec = json!({
        "packages": [{"name": "api", "image": image, "pullSecret": "private"}],
        "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": [real("checkout", &image, &[])]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    space.release("checkout", "1.1.0").await;
    let status = failed(&space, "1.0.0").await.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("ImagePullBackOff"), "{status:?}");
    let message = status.message.unwrap_or_default();
    let expected = format!("Deployment checkout: ImagePullBackOff: {image}:1.0.0 is refused by the registry: check ");
    assert!(message.contains(&expected) && message.contains("the environment's pullSecrets"), "{message}");
    space.environment_with("dev", environment(json!(["private"]))).await;
    space.deploy("checkout", "1.1.0", "dev").await;
    let pods: Api<Pod> = space.in_environment("dev");
    wait::eventually("a container answers with the version of the image behind the password", || async {
        let pods = pods.list(&ListParams::default().labels("app=checkout")).await.expect("pods");
        let addresses: Vec<_> = pods.iter().filter_map(|pod| pod.status.as_ref()?.pod_ip.clone()).collect();
        let answers = join_all(addresses.iter().map(|ip| version(ip))).await;
        answers.iter().any(|answer| answer.as_ref().is_ok_and(|said| said.contains("1.1.0"))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_that_is_never_reached_is_reported_at_the_timeout() {
    let Some(cluster) = containers("readiness_that_is_never_reached_is_reported_at_the_timeout").await else { return };
    let (space, image) = shop(cluster, |_| json!([config_map("none", "x")])).await;
    let manifests = json!([real("checkout", &image, &[("FAIL_READINESS", "1"), ("LOG", "no database")])]);
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "timeout": "15s", "apply": {"manifests": manifests}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    let status = failed(&space, "1.0.0").await.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("Timeout"));
    let message = status.message.unwrap_or_default();
    assert!(message.contains("waits for a container to become ready"), "{message}");
    let failure = status.failure.expect("a failure");
    assert!(failure.container.as_deref().is_some_and(|container| container.ends_with("/api")), "{failure:?}");
    assert!(failure.log.iter().any(|line| line.contains("no database")), "{failure:?}");
}
