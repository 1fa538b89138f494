//! What runs after its promotion has ended is shown: in the rows of the project, in metrics, in Events; and nothing is put back.

use gantry::api::v1alpha1::project::{EnvironmentRow, Health};
use gantry::api::v1alpha1::{Environment, Project, Promotion, Release};
use gantry_plane::{AuditEvent, Identity, Options};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::columns;
use crate::support::manifest::{config_map, deployment};
use crate::support::operator::Operator;
use crate::support::shared::{self, is_write_of_the_operator, shared};
use crate::support::space::Space;
use crate::support::wait;

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})
}

/// A Deployment whose replicas the manifest leaves to an autoscaler, one that says how many, a Service and a `ConfigMap`.
fn manifests(image: &str) -> Value {
    let mut scaled = deployment("checkout", image);
    scaled["spec"].as_object_mut().expect("a spec").remove("replicas");
    json!([scaled, deployment("worker", image), service("checkout"), config_map("settings", "x")])
}

/// A space where checkout 1.0.0 runs in dev.
async fn shop(operator: Option<&gantry_plane::Plane>) -> Space {
    let (client, registry) = match operator {
        Some(plane) => (plane.client(&Identity::Admin).await.expect("a client"), plane.registry().host()),
        None => (shared().await.admin().await, shared().await.plane.registry().host()),
    };
    let space = Space::create(client).await;
    let image = format!("{registry}/checkout");
    space.environment("dev", 10).await;
    space.project("checkout", &image, manifests(&image)).await;
    release(&space, "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    space
}

/// A release with a digest of its own, which no registry has to know.
async fn release(space: &Space, version: &str) {
    let digest = format!("sha256:{}", "a".repeat(64));
    let packages = json!([{"name": "api", "version": version, "digest": digest}]);
    let name = format!("checkout-{version}");
    space
        .apply(space.object("Release", &name, json!({"project": "checkout", "version": version, "packages": packages})))
        .await;
    space.sealed(&name).await;
}

/// The row of dev, once it says this.
async fn row(space: &Space, what: &str, says: impl Fn(&EnvironmentRow) -> bool) -> EnvironmentRow {
    let of = |project: &Project| project.status.as_ref().and_then(|status| status.environments.first().cloned());
    let project = space.project_says("checkout", what, |project| of(project).is_some_and(|row| says(&row))).await;
    of(&project).expect("a row")
}

async fn healthy(space: &Space) {
    row(space, "healthy", |row| row.health == Some(Health::Healthy) && row.drifted.is_none()).await;
}

/// Waits until the operator of all tests shows this value of a metric of the space.
async fn metric(space: &Space, name: &str, value: u8) {
    let labels = format!("space=\"{0}\",target_namespace=\"{0}-dev\"}} {value}", space.name);
    wait::eventually(&format!("{name} is {value}"), || async {
        let (_, text) = shared().await.operator.get("/metrics").await.ok()?;
        text.lines().any(|line| line.starts_with(name) && line.ends_with(&labels)).then_some(())
    })
    .await;
}

/// Waits until the Events of the space have this reason on each of these kinds, with this sentence in it.
async fn told(space: &Space, reason: &str, sentence: &str) {
    let events: Api<Event> = space.api();
    for kind in ["Project", "Environment"] {
        wait::eventually(&format!("an Event {reason} of the {kind}"), || async {
            let all = events.list(&ListParams::default()).await.ok()?.items;
            let is_it = |event: &Event| {
                event.reason.as_deref() == Some(reason)
                    && event.note.as_deref().is_some_and(|note| note.contains(sentence))
                    && event.regarding.as_ref().and_then(|regarding| regarding.kind.as_deref()) == Some(kind)
            };
            all.iter().any(is_it).then_some(())
        })
        .await;
    }
}

/// What a kubelet says of a pod whose container does not come up any more.
async fn crash(space: &Space) -> String {
    let pods: Api<Pod> = space.in_environment("dev");
    let mine = ListParams::default().labels("app=checkout");
    let pod = pods.list(&mine).await.expect("pods").items.first().expect("a pod").name_any();
    let status = json!({"status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
        {"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady"}]}});
    pods.patch_status(&pod, &PatchParams::default(), &Patch::Strategic(status)).await.expect("an administrator may");
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_goes_after_its_promotion_is_shown_until_it_is_back() {
    let space = shop(None).await;
    healthy(&space).await;
    metric(&space, "gantry_deployment_healthy", 1).await;
    metric(&space, "gantry_deployment_drifted", 0).await;
    assert_eq!(columns::shown(&space, "projects/checkout", "Unhealthy").await, Value::Null);

    let pod = crash(&space).await;
    let degraded = row(&space, "degraded", |row| row.health == Some(Health::Degraded)).await;
    let message = "Deployment checkout: Unavailable: none of its 1 pods is available";
    assert_eq!(degraded.health_message.as_deref(), Some(message));
    assert_eq!(columns::shown(&space, "projects/checkout", "Unhealthy").await, "dev Degraded");
    metric(&space, "gantry_deployment_healthy", 0).await;
    told(&space, "Degraded", &format!("checkout in dev: {message}")).await;

    let pods: Api<Pod> = space.in_environment("dev");
    pods.delete(&pod, &DeleteParams::default()).await.expect("an administrator may");
    healthy(&space).await;
    metric(&space, "gantry_deployment_healthy", 1).await;
    told(&space, "Healthy", "checkout in dev: everything is healthy again").await;

    let deployments: Api<Deployment> = space.in_environment("dev");
    deployments.delete("checkout", &DeleteParams::default()).await.expect("an administrator may");
    let missing = row(&space, "missing", |row| row.health == Some(Health::Missing)).await;
    assert_eq!(missing.health_message.as_deref(), Some("Deployment checkout: is gone, or has lost its labels"));
    assert_eq!(missing.drifted, None, "what is gone is not changed");
    metric(&space, "gantry_deployment_healthy", 0).await;
    told(&space, "Missing", "Deployment checkout").await;

    release(&space, "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    healthy(&space).await;
    metric(&space, "gantry_deployment_healthy", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_is_shown_and_left_alone_until_the_next_promotion() {
    let space = shop(None).await;
    let deployments: Api<Deployment> = space.in_environment("dev");
    let scale = |replicas: i32| Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let as_someone = PatchParams::default();
    // An autoscaler sets what the manifest leaves open. It comes before what is changed next, so that would be named second.
    deployments.patch_scale("checkout", &as_someone, &scale(2)).await.expect("an administrator may");
    wait::object(&deployments, "checkout", "scaled", |known: &Deployment| {
        known.status.as_ref().is_some_and(|status| status.available_replicas == Some(2))
    })
    .await;
    deployments.patch("worker", &as_someone, &scale(2)).await.expect("an administrator may");
    let drifted = row(&space, "drifted", |row| row.drifted == Some(true)).await;
    let message = "Deployment worker: what the release had set was changed since";
    assert_eq!(drifted.drift_message.as_deref(), Some(message));
    metric(&space, "gantry_deployment_drifted", 1).await;
    told(&space, "Drifted", message).await;

    let services: Api<Service> = space.in_environment("dev");
    let edited = Patch::Merge(json!({"spec": {"selector": {"app": "other"}}}));
    services.patch("checkout", &as_someone, &edited).await.expect("an administrator may");
    row(&space, "drifted in the Service first", |row| {
        row.drift_message.as_deref().is_some_and(|message| message.starts_with("Service checkout"))
    })
    .await;
    metric(&space, "gantry_deployment_healthy", 1).await;
    assert_eq!(selector(&services).await, "other", "nobody puts it back");

    // The next promotion takes the fields back, if it may.
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    let apply = json!({"manifests": manifests(&image), "forceConflicts": true});
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "timeout": "2m", "apply": apply}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    release(&space, "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    healthy(&space).await;
    metric(&space, "gantry_deployment_drifted", 0).await;
    assert_eq!(selector(&services).await, "checkout");
}

async fn selector(services: &Api<Service>) -> String {
    let service = services.get("checkout").await.expect("the Service");
    service.spec.and_then(|spec| spec.selector).and_then(|mut selector| selector.remove("app")).unwrap_or_default()
}

fn is_row_write(event: &AuditEvent) -> bool {
    event.resource == "projects" && event.subresource == "status" && is_write_of_the_operator(event)
}

#[tokio::test(flavor = "multi_thread")]
async fn health_costs_no_write_of_its_own_and_a_restarted_operator_says_the_same() {
    let plane = shared::own(Options::default().with_simulated_nodes(1)).await;
    let operator = Operator::start(&plane, "overview").await;
    let space = shop(Some(&plane)).await;
    wait::object(&space.api(), "checkout-1.0.0-dev", "recorded", |known: &Promotion| {
        known.metadata.finalizers.is_none()
    })
    .await;
    healthy(&space).await;

    let mark = plane.audit().mark();
    release(&space, "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    crash(&space).await;
    let degraded = row(&space, "degraded", |row| row.health == Some(Health::Degraded)).await;
    let writes = plane.audit().since(mark).expect("an audit log").into_iter().filter(is_row_write).count();
    assert!(writes <= 4, "waits, runs, has succeeded and is healthy, is degraded: {writes} writes of the rows");

    // A restart finds the same, and has nothing to write.
    operator.kill(&plane);
    let mark = plane.audit().mark();
    operator.resume(&plane).await;
    wait::eventually("it leads and has seen its rows", || async {
        let (_, text) = operator.get("/metrics").await.ok()?;
        text.lines().any(|line| line.starts_with("gantry_deployment_healthy{") && line.ends_with(" 0")).then_some(())
    })
    .await;
    // Later than anything that the start would have led to.
    let services: Api<Service> = space.in_environment("dev");
    services.delete("checkout", &DeleteParams::default()).await.expect("an administrator may");
    row(&space, "missing", |row| row.health == Some(Health::Missing)).await;
    // The log follows an answer; what it has when the write of the row is there is everything that came before that.
    plane.audit().find(mark, wait::PATIENCE, is_row_write).await.expect("the write of the row");
    let events = plane.audit().since(mark).expect("an audit log");
    let writes: Vec<_> =
        events.iter().filter(|event| is_write_of_the_operator(event) && event.resource != "events").collect();
    assert!(writes.iter().all(|event| is_row_write(event)) && writes.len() == 1, "{writes:#?}");
    assert_eq!(degraded.current, row(&space, "there", |_| true).await.current);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_says_which_release_runs_and_how_the_last_attempt_ended_and_keeps_both_without_their_promotions() {
    let space = shop(None).await;
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    // A promotion that fails leaves what ran before as what runs.
    space.project("checkout", &image, json!([config_map("settings", "${{ variables.MISSING }}")])).await;
    release(&space, "1.1.0").await;
    let failed = space.promote("checkout", "1.1.0", "dev").await;
    assert_eq!(space.ended(&failed).await.status.expect("a status").phase.as_deref(), Some("Failed"));
    let both = |row: &EnvironmentRow| {
        let last = row.last.as_ref().map(|last| (last.version.clone(), last.phase.clone()));
        (row.current.as_ref().map(|current| (current.version.clone(), current.by.clone())), last)
    };
    let before = row(&space, "both ends", |row| row.last.as_ref().is_some_and(|last| last.version == "1.1.0")).await;
    let (current, last) = both(&before);
    let (version, by) = current.expect("something runs");
    assert_eq!((version.as_str(), by.is_empty()), ("1.0.0", false));
    assert_eq!(last, Some(("1.1.0".to_owned(), "Failed".to_owned())));
    let promotions: Api<Promotion> = space.api();
    for name in ["checkout-1.0.0-dev", failed.as_str()] {
        promotions.delete(name, &DeleteParams::default()).await.expect("an administrator may");
        wait::gone(&promotions, name).await;
    }
    let after = row(&space, "there", |_| true).await;
    assert_eq!(both(&after), both(&before));
    // Nor does what runs vanish with its release.
    let releases: Api<Release> = space.api();
    releases.delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&releases, "checkout-1.0.0").await;
    space.project("checkout", &image, json!([config_map("settings", "later")])).await;
    release(&space, "1.2.0").await;
    let after = row(&space, "still there", |_| true).await;
    assert_eq!(both(&after), both(&before));
    let dev: Environment = space.api().get("dev").await.expect("dev");
    let runs = dev.status.expect("a status").deployments;
    assert!(runs.iter().any(|row| row.release == "checkout-1.0.0"), "{runs:?}");
    let (_, metrics) = shared().await.operator.get("/metrics").await.expect("metrics");
    let here = format!("space=\"{}\"", space.name);
    let info = metrics.lines().filter(|line| line.starts_with("gantry_deployment_info{") && line.contains(&here));
    let info: Vec<_> = info.collect();
    assert!(info.len() == 1 && info[0].contains("version=\"1.0.0\""), "{info:?}");
}
