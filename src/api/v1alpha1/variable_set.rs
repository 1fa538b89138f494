//! `VariableSet`: variables that several projects of a space share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::variable::Variable;

/// Variables that several projects of a space share; a project lists the sets that it uses.
#[expect(clippy::duplicated_attributes, reason = "columns have types in common")]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "VariableSet",
    namespaced,
    status = "VariableSetStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "Variables that several projects of a space share. Example: `kubectl get variablesets -n shop`",
    printcolumn(name = "Variables", type_ = "string", json_path = ".status.columns.variables"),
    printcolumn(name = "Projects", type_ = "integer", json_path = ".status.projectCount"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Used By", type_ = "string", json_path = ".status.columns.usedBy", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VariableSetSpec {
    /// What this is, for people. Example: `description: Addresses of shared services`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The variables. Example: `variables: [{name: REGION, values: [{value: eu-west-1}]}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub variables: Vec<Variable>,
}

/// What Gantry found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableSetStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus defines them: whether the variables can be used; and where they have
    /// scopes, `ScopesKnown`. Example: `conditions: [{type: Ready, status: "True", reason: Ready, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The projects that use it, by name; the first 256 of them. Example: `projects: [checkout, cart]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub projects: Vec<String>,
    /// How many projects use it. Example: `projectCount: 2`
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub project_count: i64,
    /// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
    /// Example: `columns: {variables: "REPLICAS, DATABASE", usedBy: checkout}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<VariableSetColumns>,
}

/// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableSetColumns {
    /// Its variables. Example: `variables: REPLICAS, DATABASE`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub variables: Option<String>,
    /// The projects that use it. Example: `usedBy: checkout, cart`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub used_by: Option<String>,
}
