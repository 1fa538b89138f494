//! Variables as people write them, in a `Project`, a `VariableSet` and a `Promotion`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named value that may differ by environment, target, role, channel and step.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.values) || has(self.prompt)")
    .message("spec.variables[] needs values or a prompt; add values: [{value: …}]"))]
pub struct Variable {
    /// Name that expressions use: letters, digits and `_`. Example: `name: LOG_LEVEL` for `${{ variables.LOG_LEVEL }}`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its values; the one with the most specific scope that matches holds. Example: `values: [{value: info}, {value: debug, scope: {environments: [dev]}}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub values: Vec<VariableValue>,
    /// Asks for a value with every promotion. Example: `prompt: {label: Change ticket, required: true}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
}

/// One value: `value` or `secretKeyRef`, and where it holds.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableValue {
    /// A text, number, boolean, list or map, kept as it is; texts may hold expressions. Example: `value: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyValue>,
    /// An entry of a Secret. Example: `secretKeyRef: {name: database, key: password}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Where the value holds; everywhere when it is left out. Example: `scope: {environments: [production]}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<VariableScope>,
}

/// Any value of YAML, kept as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnyValue(pub serde_json::Value);

impl JsonSchema for AnyValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyValue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A text, number, boolean, list or map.",
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

/// Where a value holds: within one kind any name may match, and every kind that is given must.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableScope {
    /// Steps of the process; the most specific kind. Example: `steps: [migrate]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub steps: Vec<String>,
    /// Targets of environments. Example: `targets: [eu]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub targets: Vec<String>,
    /// Roles of targets. Example: `roles: [web]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub roles: Vec<String>,
    /// Environments. Example: `environments: [production]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub environments: Vec<String>,
    /// Channels of releases; the least specific kind. Example: `channels: [stable]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub channels: Vec<String>,
}

/// One entry of a Secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret. Example: `name: database`
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// Key of the entry. Example: `key: password`
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
    /// Where the Secret is. `Target`: in the target's namespace, where Gantry only refers to it. `Space`: in the space, where
    /// Gantry reads it if its label `gantry.dev/environments` names the environment (`dev_test`). Example: `from: Space`
    #[serde(default)]
    pub from: SecretFrom,
}

/// Where a Secret is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretFrom {
    /// In the target's namespace; it is never read.
    #[default]
    Target,
    /// In the space; it is read when it is used.
    Space,
}

/// How people are asked for a value when they promote; they answer in `Promotion.spec.variables`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Choice') == has(self.choices)")
    .message("spec.variables[].prompt.choices belongs to type: Choice, and to no other; add one or remove the other"))]
pub struct Prompt {
    /// What to call it. Example: `label: Change ticket`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub label: Option<String>,
    /// What to know before answering. Example: `description: The number of the approved change`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Whether a promotion must answer; else the values stand in. Example: `required: true`
    #[serde(default)]
    pub required: bool,
    /// What an answer is. Example: `type: Number`
    #[serde(default, rename = "type")]
    pub kind: PromptType,
    /// What may be chosen. Example: `choices: [small, large]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub choices: Vec<String>,
    /// Whether the answer is a secret, and so must be a `secretKeyRef`. Example: `sensitive: true`
    #[serde(default)]
    pub sensitive: bool,
}

/// What an answer is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptType {
    /// Any text.
    #[default]
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of `choices`.
    Choice,
}

/// A value given with a promotion. It beats the values of every scope.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secretKeyRef)")
    .message("spec.variables[] needs exactly one of value and secretKeyRef; remove one or add one"))]
pub struct GivenVariable {
    /// Name of a variable of the project or its sets. Example: `name: TICKET`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// The value as a text; it is read as a number, boolean, list or map (JSON) where the variable is one. Example: `value: "3"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// An entry of a Secret instead. Example: `secretKeyRef: {name: database, key: password}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// A variable that a promotion used, without its value.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedVariable {
    /// The variable. Example: `name: REPLICAS`
    #[schemars(length(max = 63))]
    pub name: String,
    /// Where the value that won is declared: `Project, value 1`. Example: `source: Project, value 1`
    #[schemars(length(max = 320))]
    pub source: String,
    /// Where that value holds: `environments production`. Example: `scope: environments production`
    #[schemars(length(max = 512))]
    pub scope: String,
    /// The targets where it won, when they differ: `eu`. Example: `targets: [eu]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63)))]
    pub targets: Vec<String>,
    /// A salted hash of the value: another hash is another value. None for a Secret of the target, which is never read.
    /// Example: `hash: 9f86d081884c7d65`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
}
