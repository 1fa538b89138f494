//! `Approval`: one person's yes or no to one promotion. Made once, never changed.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Person;

/// One person's decision on one promotion. It counts for that promotion, environment and plan alone.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Approval",
    namespaced,
    status = "ApprovalStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "One person's yes or no to one promotion. Example: `kubectl get approvals -n shop`",
    selectable = ".spec.promotion",
    printcolumn(name = "Promotion", type_ = "string", json_path = ".spec.promotion"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by.username"),
    printcolumn(name = "Counts", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("spec is immutable, a decision is made once; to stop a promotion that was approved, reject or cancel it"))]
pub struct ApprovalSpec {
    /// The promotion. Example: `promotion: checkout-1.4.2-production`
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub promotion: String,
    /// The `metadata.uid` of the promotion. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[-0-9a-zA-Z]+$"))]
    pub promotion_uid: String,
    /// The environment that the promotion goes to: deciding needs the verb `approve` on it. Example: `environment: production`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub environment: String,
    /// The `status.planDigest` of the promotion: what was looked at. Example: `planDigest: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub plan_digest: String,
    /// `Approve`, or `Reject`, which ends the promotion. Example: `decision: Approve`
    pub decision: ApprovalDecision,
    /// Why, for the record. Example: `comment: tested on staging`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub comment: Option<String>,
    /// Who decided. Written by the API server; any other value is replaced. Example: `by: {username: bob}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

/// Yes or no.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalDecision {
    /// The promotion may start.
    Approve,
    /// The promotion ends as `Rejected`, and cannot be approved any more.
    #[default]
    Reject,
}

/// Whether the decision counts.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` when it counts, `Stalled` when it counts for nothing: the message says why and what to do. As kstatus defines them.
    /// Example: `conditions: [{type: Stalled, status: "True", reason: NotCounted, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
