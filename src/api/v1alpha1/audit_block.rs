//! The part of an `AuditRecord` that is of a block.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A release was blocked, or let go on, or deleted while it was blocked.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockPart {
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// Whether it is blocked since. Example: `blocked: true`
    pub blocked: bool,
    /// Whether the release was deleted, and its block with it. Example: `deleted: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Where it stands who deleted it, since the API server stamps nobody then, and what to look for there; `gantry audit export
    /// --audit-log` does. Example: `witness: "the API server's audit log says who deleted it: look for verb delete or deletecollection of releases.gantry.dev in namespace shop, name checkout-1.4.2, uid 5d3c…, before 2026-01-01T12:00:20Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub witness: Option<String>,
    /// When the API server took the deletion, where something held the release until Gantry saw that. Example: `deletedAt: "2026-01-01T12:00:20Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// Why, as whoever blocked it said. Example: `reason: loses orders, see bug 42`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The first generation that nobody recorded by itself, where Gantry did not see each: their authors are in the audit log of the
    /// API server. Example: `missedSince: 2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub missed_since: Option<i64>,
}
