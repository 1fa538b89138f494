//! What only real containers show: a rollout that loses no request, and failures with the container's own last words.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gantry::api::v1alpha1::Promotion;
use gantry_plane::image::ask;
use gantry_plane::node::real::RealNode;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::manifest::real;
use crate::support::shared::{Shared, shared};
use crate::support::space::Space;

/// The shared cluster if it has a real node; else one line, past the capture of a test's output, says that the test did not run,
/// which is a failure where a real node is required.
async fn containers(test: &str) -> Option<&'static Shared> {
    let cluster = shared().await;
    if !cluster.real {
        let line = format!("{test} did not run: no real node here (root on Linux with runc is needed)");
        assert!(!RealNode::is_required(), "{line}");
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    cluster.real.then_some(cluster)
}

async fn shop(cluster: &Shared, manifests: impl Fn(&str) -> Value) -> (Space, String) {
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    let fail_after = json!({"imagePull": "5s", "crashLoop": 1, "unschedulable": "5m"});
    space.environment_with("dev", json!({"order": 10, "failAfter": fail_after})).await;
    space.project("checkout", &image, manifests(&image)).await;
    (space, image)
}

/// What a pod says its version is.
async fn version(ip: &str) -> Result<String, String> {
    let answer = ask(ip.parse().expect("an address"), "/version").await.map_err(|error| error.to_string())?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("{}: {}", answer.status, answer.body)) }
}

/// Addresses of the pods that a Service would send requests to: ready and not going.
async fn endpoints(pods: &Api<Pod>) -> Vec<String> {
    let listed = pods.list(&ListParams::default().labels("app=checkout")).await.expect("pods");
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        pod.metadata.deletion_timestamp.is_none()
            && conditions.is_some_and(|known| known.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    listed.items.into_iter().filter(ready).filter_map(|pod| pod.status?.pod_ip).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_to_a_new_version_loses_no_request() {
    let Some(cluster) = containers("a_rollout_to_a_new_version_loses_no_request").await else { return };
    let (space, _) = shop(cluster, |image| {
        let mut deployment = real("checkout", image, &[]);
        deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
        json!([deployment])
    })
    .await;
    space.release("checkout", "1.0.0").await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let pods: Api<Pod> = space.in_environment("dev");
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = tokio::spawn({
        let (pods, stop, asked) = (pods.clone(), Arc::clone(&stop), Arc::clone(&asked));
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(25));
            // Bounded: at most 60 s of requests.
            while !stop.load(Ordering::SeqCst) && asked.load(Ordering::SeqCst) < 2400 {
                pace.tick().await;
                let endpoints = endpoints(&pods).await;
                let ip = endpoints.first().expect("always somebody who answers");
                version(ip).await.unwrap_or_else(|error| panic!("a request failed during the rollout: {error}"));
                asked.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    space.deploy("checkout", "1.1.0", "dev").await;
    stop.store(true, Ordering::SeqCst);
    client.await.expect("no request failed");
    assert!(asked.load(Ordering::SeqCst) > 10, "the client asked while the rollout went on");
    let answers = endpoints(&pods).await;
    assert!(version(&answers[0]).await.expect("an answer").contains("1.1.0"));
}

async fn failed(space: &Space) -> Promotion {
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&name).await;
    assert_eq!(ended.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed"), "{:?}", ended.status);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_reported_with_the_last_lines_of_the_container() {
    let Some(cluster) = containers("a_crash_loop_is_reported_with_the_last_lines_of_the_container").await else {
        return;
    };
    let (space, _) =
        shop(cluster, |image| json!([real("checkout", image, &[("CRASH", "1"), ("LOG", "no database")])])).await;
    space.release("checkout", "1.0.0").await;
    let status = failed(&space).await.status.expect("a status");
    let failure = status.failure.expect("a failure");
    assert_eq!(failure.reason, "CrashLoopBackOff");
    assert!(failure.container.as_deref().is_some_and(|container| container.contains("api")), "{failure:?}");
    assert!(failure.log.iter().any(|line| line.contains("no database")), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_in_the_registry_is_reported_at_once() {
    let Some(cluster) = containers("an_image_that_is_not_in_the_registry_is_reported_at_once").await else { return };
    let (space, _) = shop(cluster, |image| json!([real("checkout", image, &[])])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "9".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.sealed("checkout-1.0.0").await;
    let status = failed(&space).await.status.expect("a status");
    assert!(["ErrImagePull", "ImagePullBackOff"].contains(&status.reason.as_deref().unwrap_or_default()), "{status:?}");
    let message = status.message.unwrap_or_default();
    assert!(message.contains("Deployment checkout") && message.contains("not found"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_that_is_never_reached_is_reported_at_the_timeout() {
    let Some(cluster) = containers("readiness_that_is_never_reached_is_reported_at_the_timeout").await else { return };
    let (space, image) = shop(cluster, |_| json!([crate::support::manifest::config_map("none", "x")])).await;
    let manifests = json!([real("checkout", &image, &[("FAIL_READINESS", "1"), ("LOG", "no database")])]);
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "timeout": "15s", "apply": {"manifests": manifests}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    let status = failed(&space).await.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("Timeout"));
    let message = status.message.unwrap_or_default();
    assert!(message.contains("waits for a container to become ready"), "{message}");
    let failure = status.failure.expect("a failure");
    assert!(failure.container.as_deref().is_some_and(|container| container.ends_with("/api")), "{failure:?}");
    assert!(failure.log.iter().any(|line| line.contains("no database")), "{failure:?}");
}
