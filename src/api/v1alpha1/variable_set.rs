//! `VariableSet`: variables that several projects of a space share.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::variable::Variable;

/// Variables that several projects of a space share; a project lists the sets that it uses.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "VariableSet",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "Variables that several projects of a space share. Example: `kubectl get variablesets -n shop`",
    printcolumn(name = "Variables", type_ = "string", json_path = ".spec.variables[*].name"),
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
