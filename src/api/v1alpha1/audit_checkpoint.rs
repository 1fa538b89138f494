//! `AuditCheckpoint`: seals audit records, so that a later edit, gap or cut shows. Written by Gantry alone, immutable.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path of its own")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Seals audit records of a space. Each has the root of the one before, so the newest root stands for the whole history: keep
/// one outside, and `gantry audit verify` finds whatever was changed since.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "AuditCheckpoint",
    namespaced,
    derive = "PartialEq",
    category = "gantry",
    doc = "Seals audit records, so that a later edit, gap or cut shows. Example: `gantry audit verify -n shop`",
    printcolumn(name = "Records", type_ = "integer", json_path = ".spec.count"),
    printcolumn(name = "Root", type_ = "string", json_path = ".spec.root"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("spec is immutable; checkpoints are never edited"))]
#[x_kube(validation = Rule::new("self.count == size(self.records)").message("spec.count is how many records there are"))]
#[x_kube(validation = Rule::new("(self.number == 1) == !has(self.previous)")
    .message("spec.previous is the root of the checkpoint before, which only the first has not"))]
pub struct AuditCheckpointSpec {
    /// The first of a space is 1. Example: `number: 12`
    #[schemars(range(min = 1))]
    pub number: i64,
    /// The root of the checkpoint before. Example: `previous: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub previous: Option<String>,
    /// The root of the Merkle tree (RFC 6962) over the previous root and the records.
    /// Example: `root: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752`
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub root: String,
    /// How many records it seals. Example: `count: 2`
    #[schemars(range(min = 1))]
    pub count: i64,
    /// The records, by name. Example: `records: [{name: promotion-checkout-1.4.2-production, hash: 9f86d081884c…}]`
    #[schemars(length(min = 1, max = 100))]
    pub records: Vec<SealedRecord>,
}

/// One record and what it says.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedRecord {
    /// Name of the record. Example: `name: promotion-checkout-1.4.2-production`
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// SHA-256 over its canonical JSON (RFC 8785). Example: `hash: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub hash: String,
}
