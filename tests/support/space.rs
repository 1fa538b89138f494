//! A space of a test's own, and short ways to say what a person would write in YAML.

use std::sync::atomic::{AtomicU32, Ordering};

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::audit_record::{AuditKind, PromotionEnd};
use gantry::api::v1alpha1::{AuditRecord, Environment, Project, Promotion, Release};
use gantry_plane::manifests;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::wait;

/// A namespace with Gantry objects, and the namespaces of its environments.
pub struct Space {
    /// Its name.
    pub name: String,
    /// A client that may do everything.
    pub client: Client,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Space {
    /// A new space that lets Gantry read its Secrets and ConfigMaps.
    pub async fn create(client: Client) -> Self {
        let name = format!("space-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let space = Self { name, client };
        space.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name}})).await;
        space
            .apply(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "gantry-space", "namespace": space.name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-space"},
                "subjects": [{"kind": "ServiceAccount", "name": "gantry", "namespace": "gantry-system"}],
            }))
            .await;
        space
    }

    /// Applies any object, as `kubectl apply --server-side` does.
    pub async fn apply(&self, object: Value) {
        self.try_apply(object).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Applies any object; gives back what the API server said against it.
    pub async fn try_apply(&self, object: Value) -> Result<(), String> {
        let applied = manifests::apply(&self.client, "test", &object.to_string()).await;
        applied.map(|_| ()).map_err(|error| error.to_string())
    }

    /// One of Gantry's kinds, with this spec.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
    pub fn object(&self, kind: &str, name: &str, spec: Value) -> Value {
        json!({
            "apiVersion": "gantry.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": self.name}, "spec": spec,
        })
    }

    /// An environment that is ready.
    pub async fn environment(&self, name: &str, order: i64) {
        self.environment_with(name, json!({"order": order})).await;
    }

    /// An environment with this spec that is ready.
    pub async fn environment_with(&self, name: &str, spec: Value) {
        self.apply(self.object("Environment", name, spec)).await;
        self.environment_ready(name).await;
    }

    /// Waits until an environment is ready, for its newest spec.
    pub async fn environment_ready(&self, name: &str) -> Environment {
        wait::object(&self.api(), name, "ready", |known: &Environment| {
            known.status.as_ref().is_some_and(|status| {
                condition::is_true(&status.conditions, ConditionType::Ready)
                    && status.observed_generation == known.metadata.generation
            })
        })
        .await
    }

    /// A project of one package `api` (image `<registry>/checkout`) with these inline manifests.
    pub async fn project(&self, name: &str, image: &str, manifests: Value) {
        let spec = json!({
            "packages": [{"name": "api", "image": image}],
            "process": [{"name": "deploy", "timeout": "2m", "apply": {"manifests": manifests}}],
        });
        self.apply(self.object("Project", name, spec)).await;
    }

    /// A release of one package `api` that is sealed.
    pub async fn release(&self, project: &str, version: &str) -> Release {
        let name = format!("{project}-{version}");
        let spec = json!({"project": project, "version": version, "packages": [{"name": "api", "version": version}]});
        self.apply(self.object("Release", &name, spec)).await;
        self.sealed(&name).await
    }

    /// Waits until a release is sealed.
    pub async fn sealed(&self, name: &str) -> Release {
        wait::object(&self.api(), name, "sealed", |known: &Release| {
            known.status.as_ref().is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Sealed))
        })
        .await
    }

    /// Asks for a promotion under the name `<project>-<version>-<environment>`, and gives back that name.
    pub async fn promote(&self, project: &str, version: &str, environment: &str) -> String {
        let name = format!("{project}-{version}-{environment}");
        let spec = json!({"project": project, "version": version, "environment": environment});
        self.apply(self.object("Promotion", &name, spec)).await;
        name
    }

    /// Waits until a promotion has ended.
    pub async fn ended(&self, name: &str) -> Promotion {
        wait::object(&self.api(), name, "finished", |known: &Promotion| {
            known.status.as_ref().is_some_and(|status| status.finished)
        })
        .await
    }

    /// Waits until a promotion has this phase and reason.
    pub async fn in_phase(&self, name: &str, phase: &str, reason: Option<&str>) -> Promotion {
        wait::object(&self.api(), name, &format!("{phase} {reason:?}"), |known: &Promotion| {
            known.status.as_ref().is_some_and(|status| {
                status.phase.as_deref() == Some(phase) && (reason.is_none() || status.reason.as_deref() == reason)
            })
        })
        .await
    }

    /// Promotes and waits for the end, which must be a success.
    pub async fn deploy(&self, project: &str, version: &str, environment: &str) -> Promotion {
        let name = self.promote(project, version, environment).await;
        let ended = self.ended(&name).await;
        let status = ended.status.as_ref().expect("a status");
        assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{:?}", status.message);
        ended
    }

    /// What the audit record of a promotion says of its end, once it is there.
    pub async fn audit_record(&self, promotion: &str) -> PromotionEnd {
        let name = format!("promotion-{promotion}");
        let record = wait::object(&self.api(), &name, "written", |_: &AuditRecord| true).await;
        record.spec.ended.expect("the end of a promotion")
    }

    /// The audit records of a space of one kind, by name.
    pub async fn audit_records(&self, kind: AuditKind) -> Vec<AuditRecord> {
        let all = self.api::<AuditRecord>().list(&ListParams::default()).await.expect("records").items;
        all.into_iter().filter(|record| record.spec.kind == Some(kind)).collect()
    }

    /// The project, once its rows say this.
    pub async fn project_says(&self, name: &str, what: &str, says: impl Fn(&Project) -> bool) -> Project {
        wait::object(&self.api(), name, what, says).await
    }

    /// The objects of a kind in this space.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The objects of a kind in the namespace of an environment.
    pub fn in_environment<K>(&self, environment: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &format!("{}-{environment}", self.name))
    }
}
