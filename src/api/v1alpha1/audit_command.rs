//! The part of an `AuditRecord` that is of a command.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A command ended: what was done where, and how; never what it showed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandPart {
    /// `logs`, `restart` or `script`. Example: `command: script`
    #[schemars(length(max = 16))]
    pub command: String,
    /// The workload that it was about. Example: `workload: Deployment/checkout`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub workload: Option<String>,
    /// The image of the script, by digest. Example: `image: ghcr.io/acme/tools:1.2@sha256:9f86d0…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 640))]
    pub image: Option<String>,
    /// SHA-256 of the script. Example: `scriptSha256: 9f86d081884c…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub script_sha256: Option<String>,
    /// Why, as the requester said. Example: `reasonGiven: CHG-1234`
    #[schemars(length(max = 1024))]
    pub reason_given: String,
    /// How it ended: `Succeeded`, `Failed`, `Refused`, `Canceled` or `Unknown`. Example: `phase: Succeeded`
    #[schemars(length(max = 32))]
    pub phase: String,
    /// How it ended, in one sentence. Example: `message: "eu: the script ended with exit code 0"`
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Each target. Example: `targets: [{name: eu, namespace: shop-eu, phase: Succeeded, exitCode: 0}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub targets: Vec<AuditCommandTarget>,
}

/// How a command ended in one target.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditCommandTarget {
    /// The target. Example: `name: eu`
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its namespace. Example: `namespace: shop-eu`
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// How it ended there. Example: `phase: Failed`
    #[schemars(length(max = 16))]
    pub phase: String,
    /// Why, in one word. Example: `reason: ExitCode`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub reason: Option<String>,
    /// The exit code of the script. Example: `exitCode: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it began. Example: `startedAt: "2026-01-01T12:00:01.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended. Example: `finishedAt: "2026-01-01T12:00:20.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
}
