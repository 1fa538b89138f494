//! Two operators: one leads, the other stands by. Whoever dies in the middle of a promotion is replaced; whoever was only paused
//! changes nothing when it wakes, not even with a write that was already on its way.

use gantry::api::v1alpha1::Promotion;
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::operator::Operator;
use crate::support::proxy::Proxy;
use crate::support::shared::{self, is_write};
use crate::support::space::Space;
use crate::support::wait;

async fn until_it_leads(operator: &Operator) {
    wait::eventually("it leads", || async { operator.leads().await.then_some(()) }).await;
}

/// A release by digest, of the project as it is now, that is sealed.
async fn release(space: &Space, version: &str, number: u32) {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{number:064x}")}]);
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
    space.sealed(&format!("checkout-{version}")).await;
}

// Attack T38.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_dies_the_other_ends_what_it_began() {
    let plane = shared::own(Options::default()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let first = Operator::start(&plane, "first").await;
    until_it_leads(&first).await;
    let second = Operator::start(&plane, "second").await;
    assert!(!second.leads().await, "one leads at a time");

    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    release(&space, "1.0.0", 1).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let deployments = space.in_environment::<Deployment>("dev");
    wait::object(&deployments, "checkout", "applied", |_| true).await;
    first.kill(&plane);

    until_it_leads(&second).await;
    space.in_phase(&name, "Running", None).await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": {}}}));
    space.api::<Promotion>().patch(&name, &PatchParams::default(), &cancel).await.expect("canceled");
    assert_eq!(space.ended(&name).await.status.expect("a status").phase.as_deref(), Some("Canceled"));
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    release(&space, "1.1.0", 2).await;
    space.deploy("checkout", "1.1.0", "dev").await;

    // The dead one comes back, finds another leader, and stands by.
    first.resume(&plane).await;
    assert!(!first.leads().await && second.leads().await);

    // Somebody else takes the Lease, and is never heard of again.
    let leases: Api<Lease> = Api::namespaced(client, "gantry-system");
    let taken = Patch::Merge(json!({"spec": {"holderIdentity": "somebody"}}));
    leases.patch("gantry-leader", &PatchParams::default(), &taken).await.expect("the Lease is taken");
    ended_without_the_lead(&plane, &second, 1).await;
    until_it_leads(&first).await;
}

/// Waits until the operator has ended because it no longer leads, which it has said so often.
async fn ended_without_the_lead(plane: &Plane, operator: &Operator, times: usize) {
    assert_eq!(operator.ended(plane).await, 1);
    let log = operator.log(plane);
    assert_eq!(log.matches("gantry: this process no longer leads").count(), times, "{log}");
}

/// The write that is on its way to the API server when the leader is paused, by the end of its path.
const LATE: [&str; 4] = ["/leases/checkout.dev", "/deployments/checkout", "/configmaps/old", "/status"];

// Attack T38.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_paused_changes_nothing_when_it_wakes() {
    let plane = shared::own(Options::default()).await;
    let mut pair = Vec::new();
    for name in ["first", "second"] {
        let proxy = Proxy::start(&plane, name).await;
        let operator = Operator::start_against(&plane, name, proxy.kubeconfig.clone()).await;
        if pair.is_empty() {
            until_it_leads(&operator).await;
        }
        pair.push((name, operator, proxy));
    }
    let space = Space::create(plane.client(&Identity::Admin).await.expect("a client")).await;
    space.environment("dev", 10).await;
    content(&plane, &space, Content { old: true, version: "1.0.0", number: 0 }).await;
    space.deploy("checkout", "1.0.0", "dev").await;

    for (round, path_end) in (0..).zip(LATE) {
        let (slept, other) = if round % 2 == 0 { (&pair[0], &pair[1]) } else { (&pair[1], &pair[0]) };
        let (name, leader, proxy) = slept;
        let (paused, newer) = (format!("{round}.1.0"), format!("{round}.2.0"));
        // It changes the Deployment and prunes the ConfigMap.
        content(&plane, &space, Content { old: false, version: &paused, number: 2 * round + 1 }).await;
        let path_end =
            if path_end == "/status" { format!("/checkout-{paused}-dev/status") } else { path_end.to_owned() };
        let mut write = proxy.hold(&path_end);
        let promotion = space.promote("checkout", &paused, "dev").await;
        write.reached().await;
        leader.pause(&plane);

        until_it_leads(&other.1).await;
        let takeover = plane.audit().mark();
        let ended = space.ended(&promotion).await.status.expect("a status");
        assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{path_end}: {:?}", ended.message);
        content(&plane, &space, Content { old: true, version: &newer, number: 2 * round + 2 }).await;
        space.deploy("checkout", &newer, "dev").await;
        let names = [promotion, format!("checkout-{newer}-dev")];
        let before = settled(&space, &names).await;

        let answer = write.release().await;
        assert_eq!(answer, 409, "{path_end} of a former leader");
        leader.go_on(&plane);
        ended_without_the_lead(&plane, leader, round as usize / 2 + 1).await;
        assert_eq!(settled(&space, &names).await, before, "{path_end} of a former leader");
        let agent = format!("({name})");
        let late = |event: &gantry_plane::AuditEvent| event.user_agent.contains(&agent) && is_write(event);
        plane.audit().find(takeover, wait::PATIENCE, late).await.expect("the late write is in the audit log");
        for event in plane.audit().since(takeover).expect("an audit log").iter().filter(|event| late(event)) {
            assert!(event.code >= 400, "{name} wrote after it was replaced: {event:?}");
        }
        leader.resume(&plane).await;
        assert!(!leader.leads().await && other.1.leads().await, "started again it stands by");
    }
}

/// What a version deploys.
struct Content<'a> {
    /// Whether it has the ConfigMap `old`.
    old: bool,
    version: &'a str,
    /// Of the image.
    number: u32,
}

/// The project with this content, and a release of it.
async fn content(plane: &Plane, space: &Space, content: Content<'_>) {
    let image = format!("{}/checkout", plane.registry().host());
    let mut manifests = vec![deployment("checkout", &image)];
    manifests.extend(content.old.then(|| config_map("old", "kept")));
    space.project("checkout", &image, Value::from(manifests)).await;
    release(space, content.version, content.number).await;
}

/// Everything that a former leader could have written, once the promotions are recorded everywhere.
async fn settled(space: &Space, promotions: &[String]) -> Vec<Value> {
    let mut found = Vec::new();
    for name in promotions {
        let known: Promotion =
            wait::object(&space.api(), name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
        found.push(json!(known));
    }
    let workload: Deployment = space.in_environment("dev").get("checkout").await.expect("the Deployment");
    // Its status is the cluster's.
    found.push(json!([workload.metadata.uid, workload.metadata.generation, workload.metadata.labels, workload.spec]));
    found.push(json!(space.in_environment::<ConfigMap>("dev").get("old").await.expect("the ConfigMap")));
    found.push(json!(space.api::<Lease>().get("checkout.dev").await.expect("the slot")));
    found
}
