//! `Pin`: "production runs checkout 1.4.2", for good: the line that a Git repository changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::history::Person;

/// Which version of a project an environment runs. Each change makes at most one promotion.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Pin",
    namespaced,
    status = "PinStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "Which version of a project an environment runs; changing it promotes. Example: `kubectl get pins -n shop`",
    selectable = ".spec.project",
    selectable = ".spec.environment",
    validation = Rule::new("self.metadata.name == self.spec.project + '.' + self.spec.environment")
        .message("metadata.name must be <spec.project>.<spec.environment>, e.g. checkout.production; rename the pin"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Promotion", type_ = "string", json_path = ".status.promotion", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
pub struct PinSpec {
    /// The project. Example: `project: checkout`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub project: String,
    /// The environment. Example: `environment: production`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub environment: String,
    /// The version that runs there: the line to change, and to revert. Example: `version: 1.4.2`
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub version: String,
    /// Why, for the record of its promotions. Example: `reason: CHG-1234`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The person for whom a robot changes it, as the robot says. Example: `onBehalfOf: alice@example.com`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub on_behalf_of: Option<String>,
    /// Any other number tries again what failed, was canceled or refused. Example: `retry: 1`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub retry: Option<i64>,
    /// Who changed it last. Written by the API server; any other value is replaced. Example: `requestedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Person>,
}

/// Whether the API server's policies acted when a pin was changed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// The generation of the spec. Example: `generation: 3`
    pub generation: i64,
    /// Whether they acted all the time in which it can have been written, so that its author is whom the API server authenticated.
    /// Example: `vouched: true`
    pub vouched: bool,
    /// When it was the newest one: found so at first, and again after each time in which they did not act.
    /// Example: `seenAt: "2026-11-23T09:14:05.120334Z"`
    pub seen_at: Option<MicroTime>,
}

/// What became of the newest change.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled` as kstatus defines them, and `Diverged`. While it waits for people, a freeze or a time
    /// it is `Ready` with reason `Waiting`. Example: `conditions: [{type: Ready, status: "True", reason: Waiting, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Whether `spec.requestedBy` can be believed. Only what can be promotes.
    /// Example: `witnessed: {generation: 3, vouched: true, seenAt: "2026-11-23T09:14:05.120334Z"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed: Option<Witness>,
    /// Generation of the spec that is carried out: its promotion was made, or its version ran already. Never more than once.
    /// Example: `carriedOut: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_out: Option<i64>,
    /// The promotion that it made, or the one by which its version ran already.
    /// Example: `promotion: checkout-1.4.2-production`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub promotion: Option<String>,
    /// The version of that promotion. Example: `version: 1.4.2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub version: Option<String>,
    /// The phase of that promotion. Example: `phase: Pending`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// When that promotion ended. Example: `finishedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// Why the promotion is in this phase, in one sentence.
    /// Example: `message: "promotion checkout-1.4.2-production-5c1e7a90 waits for 1 more approval."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
