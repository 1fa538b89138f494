//! `Lifecycle`: "dev first, then two of three tests for two hours, then production".

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::history::Person;

/// The order in which releases of a project go through environments.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Lifecycle",
    namespaced,
    status = "LifecycleStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "The order in which releases of a project go through environments. Example: `kubectl get lifecycles -n shop`",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63")
        .message("metadata.name must be a DNS label of at most 63 characters; rename the lifecycle, e.g. standard"),
    printcolumn(name = "Phases", type_ = "string", json_path = ".status.columns.phases"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.phases.all(p, self.phases.all(q, p.name == q.name || !p.environments.exists(e, e in q.environments)))")
        .message("spec.phases[].environments must not name an environment in two phases; remove it from one"),
    validation = Rule::new("self.phases.filter(p, size(p.environments) == 0).size() <= 1")
        .message("spec.phases[].environments may be left out in one phase only, which then takes all that no phase names; name some in the others"),
    validation = Rule::new("self.phases.all(p, size(p.environments) > 0 || self.phases.all(q, !p.automatic.exists(e, e in q.environments)))")
        .message("spec.phases[].automatic of a phase without environments must name none that another phase names; remove it from one"),
)]
pub struct LifecycleSpec {
    /// The phases, first to last. Example: `phases: [{name: dev, environments: [dev]}, {name: live, environments: [production]}]`
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub phases: Vec<LifecyclePhase>,
    /// Who changed it last. Written by the API server; any other value is replaced. Example: `changedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Person>,
}

/// Environments that a release goes to in any order, once all phases before are complete.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.optional || size(self.automatic) == 0")
        .message("spec.phases[].automatic must be empty in an optional phase, which never becomes current; remove one of the two"),
    validation = Rule::new("size(self.environments) == 0 || self.automatic.all(e, e in self.environments)")
        .message("spec.phases[].automatic must name environments of the phase; add them to environments"),
    validation = Rule::new("!has(self.minimum) || size(self.environments) == 0 || self.minimum <= size(self.environments)")
        .message("spec.phases[].minimum must not be above the number of environments; lower it, or leave it out for all"),
)]
pub struct LifecyclePhase {
    /// Name of the phase, unique in the lifecycle. Example: `name: test`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Environments of the phase. Omitted (in one phase): all that no other phase names, future ones included.
    /// Example: `environments: [test-eu, test-us]`
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub environments: Vec<String>,
    /// Environments of the phase that a release is promoted to by Gantry as soon as it may go there. Example: `automatic: [test-eu]`
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub automatic: Vec<String>,
    /// How many of the environments need a success before the next phase opens. Omitted: all. Example: `minimum: 1`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub minimum: Option<u32>,
    /// Whether later phases do not wait for this one. Example: `optional: true`
    #[serde(default)]
    pub optional: bool,
    /// How long a release must run where it succeeded, neither replaced nor failing, until that counts. Example: `soak: 2h`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub soak: Option<String>,
}

/// What Gantry found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus defines them: whether every environment exists, and the rest makes sense.
    /// Example: `conditions: [{type: Ready, status: "True", reason: Ready, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
    /// Example: `columns: {phases: "dev, test, production"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<LifecycleColumns>,
}

/// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleColumns {
    /// Its phases, in order. Example: `phases: dev, test, production`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub phases: Option<String>,
}
