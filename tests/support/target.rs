//! A namespace with a deployer, as an environment would make it, for tests of steps without an operator.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gantry::cluster::client::Cluster;
use gantry::cluster::discovery::Discovery;
use gantry::steps::apply::check::{Checked, Terms, check};
use gantry::steps::apply::deployer::Deployer;
use gantry::steps::apply::fence::{Fence, Lost};
use gantry::steps::apply::image::PinnedImage;
use gantry::steps::apply::manifest::inline;
use gantry::steps::apply::ownership::Scope;
use gantry::steps::apply::prepare::prepare;
use gantry::steps::apply::problem::Problems;
use gantry::steps::apply::write::{Applied, write};
use gantry::telemetry::metrics::Metrics;
use gantry_plane::manifests;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::operator::kubeconfig;
use super::shared::shared;
use super::wait;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The namespace, and who works in it.
pub struct Target {
    /// A client that may do everything.
    pub admin: Client,
    /// The limited account, acted as by the operator's own identity.
    pub deployer: Deployer,
}

/// A client that acts as the deployer of an environment's namespace, as the operator does.
pub async fn deployer(namespace: &str) -> Client {
    operators().await.acting_as(namespace, "gantry-deployer").expect("an account")
}

/// The operator's own identity, which may write.
async fn operators() -> Cluster {
    let path = kubeconfig(&shared().await.plane).await;
    let cluster = Cluster::connect(Some(&path), "target", Metrics::new().expect("metrics")).await;
    let cluster = cluster.expect("the operator's identity");
    cluster.gate().open_until(Instant::now() + Duration::from_hours(1));
    cluster
}

impl Target {
    /// A namespace of this Pod Security level.
    pub async fn create(level: &str) -> Self {
        let shared = shared().await;
        let admin = shared.admin().await;
        let namespace = format!("target-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let binding = |role: &str, (account, in_namespace): (&str, &str)| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": role, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": in_namespace}],
            })
        };
        for object in [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": namespace, "labels": {"pod-security.kubernetes.io/enforce": level}}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gantry-deployer", "namespace": namespace}}),
            binding("gantry-deployer", ("gantry-deployer", &namespace)),
            binding("gantry-impersonator", ("gantry", "gantry-system")),
        ] {
            manifests::apply(&admin, "test", &object.to_string()).await.expect("the target is made");
        }
        let cluster = operators().await;
        let discovery = Discovery::new(cluster.client());
        let deployer = Deployer::of(&cluster, &discovery, &namespace).expect("a deployer");
        let target = Self { admin, deployer };
        target.until_rights_act().await;
        target
    }

    /// Changes the Pod Security level.
    pub async fn enforce(&self, level: &str) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": self.deployer.namespace, "labels": {"pod-security.kubernetes.io/enforce": level}}});
        manifests::apply(&self.admin, "test", &namespace.to_string()).await.expect("the level is changed");
    }

    /// A right that was just given takes a moment to act.
    async fn until_rights_act(&self) {
        let seen = self.seen_by_deployer(("", "v1", "ConfigMap"));
        wait::eventually("the deployer may act", || async { seen.get_metadata_opt("none").await.ok() }).await;
    }

    /// Objects of a kind, as who may do everything.
    pub fn api(&self, kind: (&str, &str, &str)) -> Api<DynamicObject> {
        self.api_of(&self.admin, kind)
    }

    /// Objects of a kind, as the deployer.
    pub fn seen_by_deployer(&self, kind: (&str, &str, &str)) -> Api<DynamicObject> {
        self.api_of(&self.deployer.client, kind)
    }

    fn api_of(&self, client: &Client, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(client.clone(), &self.deployer.namespace, &resource)
    }

    /// Applies as a person would, under this field manager.
    pub async fn apply_as(&self, who: &str, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.deployer.namespace);
        manifests::apply(&self.admin, who, &object.to_string()).await.expect("it is applied");
    }

    /// The terms of a project.
    pub fn terms(&self, project: &str, version: &str) -> Terms {
        Terms {
            scope: Scope {
                step: "deploy".into(),
                space: "shop".into(),
                project: project.parse().expect("a name"),
                environment: "dev".parse().expect("a name"),
                version: version.parse().expect("a version"),
                namespace: self.deployer.namespace.clone(),
            },
            force: false,
        }
    }

    /// Prepares and checks; the manifests themselves must be in order.
    pub async fn check(&self, manifests: &[Value], terms: &Terms) -> Result<Vec<Checked>, Problems> {
        let prepared = prepare(inline(manifests), &terms.scope, &[image()])?;
        check(&self.deployer, prepared, terms).await.expect("the API server answers")
    }

    /// Prepares, checks and applies, with a slot that nobody contests.
    pub async fn deploy(&self, manifests: &[Value], terms: &Terms) -> Vec<Applied> {
        let mut applied = Vec::new();
        for checked in &self.check(manifests, terms).await.expect("no problem") {
            applied.push(write(&self.deployer, checked, (terms, &Held)).await.expect("it is written"));
        }
        applied
    }
}

/// A package image that nobody has to pull.
pub fn image() -> PinnedImage {
    PinnedImage {
        repository: "localhost:5000/checkout".parse().expect("a repository"),
        tag: Some("1.0.0".parse().expect("a tag")),
        digest: format!("sha256:{}", "a".repeat(64)).parse().expect("a digest"),
    }
}

/// A slot that is always ours.
pub struct Held;

impl Fence for Held {
    async fn verify(&self, _object_read: Instant) -> Result<(), Lost> {
        Ok(())
    }
}
