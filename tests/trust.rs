//! Who wrote what, from the API server's own log; and that a settled operator writes nothing.

mod joined;

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Project, Promotion, Release};
use gantry_plane::{AuditEvent, Options};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::manifest::{config_map, deployment};
use crate::support::operator::Operator;
use crate::support::quiet;
use crate::support::registry_front::RegistryFront;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

// Attack T15.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_reads_no_secret_that_nobody_named() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let events = cluster.plane.audit().since(gantry_plane::AuditMark::default()).expect("the audit log");
    let read = |event: &&AuditEvent| {
        event.resource == "secrets"
            && event.user == "system:serviceaccount:gantry-system:gantry"
            && event.namespace.starts_with(&space.name)
            && event.verb != "patch"
    };
    assert_eq!(events.iter().filter(read).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_the_operator_writes_nothing_but_its_lease() {
    let plane = shared::own(Options::default()).await;
    let _operator = Operator::start(&plane, "rest").await;
    let client = plane.client(&gantry_plane::Identity::Admin).await.expect("a client");
    let space = Space::create(client).await;
    let image = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "b".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    space.deploy("checkout", "1.0.0", "dev").await;
    wait::object(&space.api(), "checkout-1.0.0-dev", "recorded", |known: &gantry::api::v1alpha1::Promotion| {
        known.metadata.finalizers.is_none()
    })
    .await;
    quiet::until_quiet(&plane).await;
}

// Attacks T13, T38.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_else_wrote_is_never_taken_for_a_slot() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let promotions: Api<Promotion> = space.api();
    let uid = promotions.get(&name).await.expect("the promotion").uid().expect("a uid");
    space
        .apply(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "checkout.dev", "namespace": space.name}, "spec": {"holderIdentity": uid},
        }))
        .await;
    space.release("checkout", "1.0.0").await;
    wait::eventually("the operator says what is wrong", || async {
        let log = cluster.operator.log(&cluster.plane);
        log.lines()
            .any(|line| line.contains(&space.name) && line.contains("it has no label gantry.dev/slot"))
            .then_some(())
    })
    .await;
    let waiting = promotions.get(&name).await.expect("the promotion").status.expect("a status");
    assert_eq!((waiting.phase.as_deref(), waiting.applied), (Some("Pending"), false));

    let leases: Api<Lease> = space.api();
    leases.delete("checkout.dev", &DeleteParams::default()).await.expect("nobody's Lease");
    let look_again = Patch::Merge(json!({"metadata": {"annotations": {"test/look": "again"}}}));
    promotions.patch(&name, &PatchParams::default(), &look_again).await.expect("an annotation");
    let ended = space.ended(&name).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
}

// Attack T8.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_answers_metrics_and_probes_and_nothing_else() {
    let cluster = shared().await;
    let operator = &cluster.operator;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(operator.get(path).await.expect("an answer").0, 200, "{path}");
    }
    for path in ["/", "/apis/gantry.dev/v1alpha1/promotions", "/api", "/webhook", "/debug/pprof"] {
        assert_eq!(operator.get(path).await.expect("an answer").0, 404, "{path}");
    }
    assert_eq!(operator.listening(&cluster.plane), 1, "one address, that of metrics and probes");
}

/// What this condition says for the reason that a registry is refused.
fn refused(conditions: &[Condition], kind: ConditionType) -> Option<String> {
    condition::find(conditions, kind)
        .filter(|found| found.reason == "RegistryRefused")
        .map(|found| found.message.clone())
}

// Attacks T23, T37.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_leads_the_operator_to_no_address_inside_the_network() {
    let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
    let registry = plane.registry().host();
    let front = RegistryFront::start(&registry).await;
    let port = front.host.rsplit_once(':').expect("a port").1;
    let _operator = Operator::start_asking(&plane, "outside", &registry.replace("localhost", "127.0.0.1")).await;
    let client = plane.client(&gantry_plane::Identity::Admin).await.expect("a client");
    let space = Space::create(client).await;
    for (number, (host, place)) in [
        ("169.254.169.254".to_owned(), "169.254.169.254:443".to_owned()),
        ("169.254.169.254:80".to_owned(), "169.254.169.254:80".to_owned()),
        (front.host.clone(), front.host.clone()),
        // A name: what it leads to is judged once it is resolved.
        (format!("localhost:{port}"), "localhost".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let project = format!("p{number}");
        let spec = json!({
            "packages": [{"name": "api", "image": format!("{host}/latest")}],
            "triggers": [{"name": "new", "interval": "5s"}],
            "process": [{"name": "deploy", "apply": {"manifests": [config_map("settings", "x")]}}],
        });
        space.apply(space.object("Project", &project, spec)).await;
        let packages = json!([{"name": "api", "version": "1.0.0"}]);
        let name = format!("{project}-1.0.0");
        let spec = json!({"project": project, "version": "1.0.0", "packages": packages});
        space.apply(space.object("Release", &name, spec)).await;
        let sentence = format!(
            "registry {host} leads to {place}, which is inside the operator's network; correct the package's image, or let the \
             cluster's administrator list {place} in the operator's setting internalRegistries"
        );
        let sealed = |known: &Release| refused(&known.status.as_ref()?.conditions, ConditionType::Ready);
        let release = wait::object(&space.api(), &name, "refused", |known| sealed(known).is_some()).await;
        let watched = |known: &Project| refused(&known.status.as_ref()?.conditions, ConditionType::Triggered);
        let project = wait::object(&space.api(), &project, "refused", |known| watched(known).is_some()).await;
        for said in [sealed(&release), watched(&project)].into_iter().flatten() {
            assert!(said.contains(&sentence), "{said}");
        }
    }
    assert_eq!(front.requests(), 0, "nobody was asked");
}
