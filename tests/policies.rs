//! Trust is enforced in the API server: what the admission policies let through and what they refuse, on a real one.
//!
//! These tests have a cluster without an operator, so that they can do its part themselves. Other folders hold a group each.

mod approvals;
mod attacks;
mod changes;
mod cis;
mod commands;
mod confinement;
mod everybody;
mod ownership;
mod people;
mod pins;
mod records;
mod releases;
mod rights;
mod shipped;
mod stamps;

use std::time::{Duration, Instant};

use gantry::api::v1alpha1::Promotion;
use gantry::cluster::client::Cluster;
use gantry::telemetry::metrics::Metrics;
use gantry_plane::{Identity, Options, Plane, manifests};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::support::space::Space;
use crate::support::{shared, wait};

static CLUSTER: OnceCell<Plane> = OnceCell::const_new();

/// The cluster of these tests: Gantry is installed and no operator runs.
pub async fn cluster() -> &'static Plane {
    CLUSTER
        .get_or_init(|| async {
            let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
            every_policy_acts(&plane).await;
            plane
        })
        .await
}

/// A new policy takes seconds to act, each by itself: what they refuse is tried without effect until they do.
async fn every_policy_acts(plane: &Plane) {
    let admin = client(plane, &Identity::Admin).await;
    let operator = client(plane, &operator()).await;
    let note = json!({"metadata": {"annotations": {"example.com/note": "x"}}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "policies-act",
        "annotations": {"kubernetes.io/service-account.name": "gantry-deployer"}}});
    let claimed = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "policies-act", "labels": {"gantry.dev/space": "policies-act"}}});
    manifests::apply(&admin, "test", &claimed.to_string()).await.expect("a namespace");
    let attempts: [(&Client, &str, Value); 8] = [
        (&admin, "AuditRecords", record("default", "x")),
        (&admin, "Leases with the label", slot("default", "x.y")),
        (&admin, "ControllerRevisions with the label", inventory("default", "x.y.z")),
        (&admin, "nobody gets its token", secret),
        (&operator, "only in namespaces with the label", service_account("default")),
        (&operator, "no Lease but slots", lease("default", "x")),
        (&operator, "no ControllerRevision but", revision("default", "x")),
        (&operator, "never an environment's", with(namespace("kube-system"), note)),
    ];
    for (client, refusal, object) in attempts {
        wait::eventually(refusal, || async {
            let refused = dry_run(client, object.clone()).await.err()?;
            refused.contains(refusal).then_some(())
        })
        .await;
    }
}

/// The operator's own account.
fn operator() -> Identity {
    Identity::service_account("gantry-system", "gantry")
}

async fn client(plane: &Plane, identity: &Identity) -> Client {
    plane.client(identity).await.expect("a client")
}

/// A space in which `alice` is a releaser, and `mallory` may do everything to every kind but promote.
struct Shop {
    plane: &'static Plane,
    space: Space,
    alice: Client,
    mallory: Client,
    operator: Client,
}

impl Shop {
    async fn open() -> Self {
        let plane = cluster().await;
        let space = Space::create(client(plane, &Identity::Admin).await).await;
        space.apply(person_may(&space.name, "gantry-releaser", "alice")).await;
        space
            .apply(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all-but-promote"},
                "rules": [{
                    "apiGroups": ["gantry.dev", "coordination.k8s.io", "apps"], "resources": ["*"],
                    "verbs": ["get", "list", "watch", "create", "update", "patch", "delete", "release"],
                }],
            }))
            .await;
        space.apply(person_may(&space.name, "all-but-promote", "mallory")).await;
        let alice = client(plane, &Identity::user("alice")).await;
        let mallory = client(plane, &Identity::user("mallory")).await;
        let operator = client(plane, &operator()).await;
        let shop = Self { plane, space, alice, mallory, operator };
        shop.rights_are_known().await;
        shop
    }

    /// A client of the operator's that acts as an account of a namespace, which gets its role there.
    async fn acting_as(&self, namespace: &str, account: &str) -> Client {
        self.space.apply(confinement::of_account(namespace, account)).await;
        self.space.apply(confinement::binding(namespace, "gantry-impersonator")).await;
        let kubeconfig = self.plane.kubeconfig(&operator()).await.expect("a kubeconfig");
        let cluster = Cluster::connect(Some(&kubeconfig), "test", Metrics::new().expect("metrics")).await;
        let cluster = cluster.expect("the operator's identity");
        cluster.gate().open_until(Instant::now() + Duration::from_hours(1));
        cluster.acting_as(namespace, account).expect("an account")
    }

    /// RBAC takes a moment as well.
    async fn rights_are_known(&self) {
        wait::eventually("alice may promote and mallory may write", || async {
            dry_run(&self.alice, self.promotion("x", json!({}))).await.ok()?;
            let refused = dry_run(&self.mallory, self.promotion("x", json!({}))).await.err()?;
            refused.contains("verb promote").then_some(())
        })
        .await;
    }

    /// A promotion of checkout 1.0.0 to dev, with these fields besides.
    fn promotion(&self, name: &str, more: Value) -> Value {
        let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
        self.space.object("Promotion", name, with(spec, more))
    }

    fn promotions(&self, client: &Client) -> Api<Promotion> {
        Api::namespaced(client.clone(), &self.space.name)
    }

    /// Creates a promotion as alice.
    async fn promoted(&self, name: &str) -> Promotion {
        let object = serde_json::from_value(self.promotion(name, json!({}))).expect("a promotion");
        self.promotions(&self.alice).create(&PostParams::default(), &object).await.expect("alice may promote")
    }

    /// Merges a change into a promotion, as somebody.
    async fn change(&self, by: &Client, name: &str, change: Value) -> Result<Promotion, String> {
        let patched = self.promotions(by).patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
        patched.map_err(|error| error.to_string())
    }
}

/// Creates an object, for those who may not apply it; `dry_run` has no effect.
async fn create(client: &Client, object: Value, dry_run: DryRun) -> Result<(), String> {
    let (api, _) = api_of(client, &object);
    let parameters = PostParams { dry_run: dry_run == DryRun::Yes, ..PostParams::default() };
    let object = serde_json::from_value(object).expect("an object");
    api.create(&parameters, &object).await.map(|_| ()).map_err(|error| error.to_string())
}

/// Whether a request is only tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DryRun {
    Yes,
    No,
}

/// Server-side applies an object without effect; gives back what the API server said against it.
async fn dry_run(client: &Client, object: Value) -> Result<(), String> {
    if object["kind"] == "Lease" {
        return create(client, object, DryRun::Yes).await;
    }
    let (api, name) = api_of(client, &object);
    let applied = api.patch(&name, &PatchParams::apply("test").dry_run().force(), &Patch::Apply(&object)).await;
    applied.map(|_| ()).map_err(|error| error.to_string())
}

/// Server-side applies an object.
async fn apply(client: &Client, object: Value) -> Result<kube::api::DynamicObject, String> {
    let (api, name) = api_of(client, &object);
    let applied = api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await;
    applied.map_err(|error| error.to_string())
}

/// The API of an object, without discovery: whoever asks here may not be allowed to.
fn api_of(client: &Client, object: &Value) -> (Api<kube::api::DynamicObject>, String) {
    let types: kube::api::TypeMeta = serde_json::from_value(object.clone()).expect("a kind");
    let gvk = kube::api::GroupVersionKind::try_from(&types).expect("an apiVersion");
    let resource = kube::api::ApiResource::from_gvk(&gvk);
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    let api = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    (api, name)
}

fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        for (key, value) in more {
            let old = object.remove(&key).unwrap_or(Value::Null);
            let new = if old.is_object() { with(old, value) } else { value };
            object.insert(key, new);
        }
    }
    object
}

/// Gives a person a `ClusterRole` in a namespace.
fn person_may(namespace: &str, role: &str, person: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn service_account(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x", "namespace": namespace}})
}

fn lease(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace},
        "spec": {"holderIdentity": "x"}})
}

fn revision(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name, "namespace": namespace},
        "revision": 1, "data": {}})
}

fn inventory(namespace: &str, name: &str) -> Value {
    with(revision(namespace, name), json!({"metadata": {"labels": {"gantry.dev/project": "checkout"}}}))
}

fn slot(namespace: &str, name: &str) -> Value {
    with(lease(namespace, name), json!({"metadata": {"labels": {"gantry.dev/slot": "true"}}}))
}

fn record(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "AuditRecord", "metadata": {"name": name, "namespace": namespace},
    "spec": {
        "promotion": name, "promotionUid": "u", "project": "checkout", "version": "1.0.0", "environment": "dev",
        "phase": "Succeeded", "reason": "Succeeded", "message": "m", "applied": true,
        "createdAt": "2026-01-01T00:00:00.000000Z", "finishedAt": "2026-01-01T00:00:01.000000Z",
    }})
}
