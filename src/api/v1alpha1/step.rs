//! One step of a project's process: what it does, where it runs, and how long and how often.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::step;

/// One step of the process: a name and exactly one thing to do.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.apply)").message("spec.process[] needs exactly one thing to do; add apply: {manifests: […]}"))]
pub struct Step {
    /// Name of the step, unique in the process. Example: `name: deploy`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Applies Kubernetes manifests and waits until they are healthy. Example: `apply: {manifestsFrom: {configMap: checkout}}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<Apply>,
    /// Environments that the step runs in; omitted, all. Elsewhere it is skipped, and what it had applied stays.
    /// Example: `environments: [staging, production]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub environments: Vec<String>,
    /// Channels whose releases the step runs for; omitted, all. Example: `channels: [stable]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub channels: Vec<String>,
    /// Roles of targets that the step runs in: those that have one of them; omitted, all. Example: `roles: [web]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub roles: Vec<String>,
    /// A condition, as a CEL expression: the step is skipped while it is false. It sees `promotion.mode` (`Deploy`, `Redeploy` or
    /// `Rollback`), variables that are no secrets, and what else manifests see. Example: `when: promotion.mode != "Rollback"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub when: Option<String>,
    /// After what the step runs: `Success`, as long as no step has failed; `Failure`, once one before it has; `Always`. A promotion
    /// in which a step failed ends as failed, whatever ran afterwards, and prunes nothing. Example: `runOn: Failure`
    #[serde(default)]
    pub run_on: RunOn,
    /// How often the step is begun again after it failed for something that may heal, within its timeout: after 5 seconds, then
    /// after 10, 20, 40 and 60. Example: `retries: 2`
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 5))]
    pub retries: i32,
    /// How long the step may take before it fails, all its retries included. Example: `timeout: 10m`
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub timeout: String,
}

/// After what a step runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOn {
    /// As long as no step has failed.
    #[default]
    Success,
    /// Once a step before it has failed.
    Failure,
    /// Whatever happened before it.
    Always,
}

impl From<RunOn> for step::RunOn {
    fn from(written: RunOn) -> Self {
        match written {
            RunOn::Success => Self::Success,
            RunOn::Failure => Self::Failure,
            RunOn::Always => Self::Always,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn default_timeout() -> String {
    "10m".into()
}

/// Server-side applies manifests as the environment's account, waits until healthy, prunes what the last release had.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.manifests) != has(self.manifestsFrom)")
    .message("spec.process[].apply needs exactly one of manifests and manifestsFrom; remove one or add one"))]
pub struct Apply {
    /// Objects to apply, without versions in images. Example: `manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: greeting}}]`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub manifests: Option<Vec<Manifest>>,
    /// A ConfigMap of the space whose values are YAML documents. Example: `manifestsFrom: {configMap: checkout}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests_from: Option<ManifestsFrom>,
    /// Takes over fields that another manager holds; never objects of another project. Example: `forceConflicts: true`
    #[serde(default)]
    pub force_conflicts: bool,
}

/// Any Kubernetes object, kept as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub serde_json::Value);

impl JsonSchema for Manifest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Manifest".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "A Kubernetes object.",
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-embedded-resource": false,
        })
    }
}

/// Where manifests come from when they are not inline.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestsFrom {
    /// Name of a ConfigMap of the space; every value is a file of YAML documents. Example: `configMap: checkout`
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub config_map: String,
}
