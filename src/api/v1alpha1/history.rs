//! Rows that several kinds show: who put which version where, when, and how it ended.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A person or account as the API server authenticated it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Username. Example: `username: alice`
    #[schemars(length(min = 1, max = 253))]
    pub username: String,
    /// UID, where the authenticator gives one. Example: `uid: 5d3c7b1e-2f4a-4c0e-9d7b-1a2b3c4d5e6f`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub uid: Option<String>,
}

/// One container image of a release, pinned.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedPackage {
    /// Name of the package in the project. Example: `name: api`
    #[schemars(length(max = 63))]
    pub name: String,
    /// The image, without version. Example: `image: ghcr.io/acme/checkout`
    #[schemars(length(max = 255))]
    pub image: String,
    /// The tag that was asked for. Example: `version: 1.4.2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// What the registry answered: the truth. Example: `digest: sha256:9f86d0…`
    #[schemars(length(max = 71))]
    pub digest: String,
}

/// What runs of one project in an environment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRow {
    /// The project.
    #[schemars(length(max = 63))]
    pub project: String,
    /// Its release, `<project>-<version>`.
    #[schemars(length(max = 127))]
    pub release: String,
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// The promotion that put it here.
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// UID of that promotion.
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// Who asked for it.
    #[schemars(length(max = 253))]
    pub by: String,
    /// Why, as the requester said; the first 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason_given: Option<String>,
    /// Since when.
    pub since: MicroTime,
}

/// How one promotion ended.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The project.
    #[schemars(length(max = 63))]
    pub project: String,
    /// The version.
    #[schemars(length(max = 63))]
    pub version: String,
    /// The promotion.
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// UID of the promotion.
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// Who asked for it.
    #[schemars(length(max = 253))]
    pub by: String,
    /// Why, as the requester said; the first 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason_given: Option<String>,
    /// `Deploy`, `Redeploy` or `Rollback`; absent when it never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// Whether it left out targets or steps of its release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// `Succeeded`, `Failed`, `RolledBack`, `Refused`, `Rejected`, `Canceled`, `Superseded` or `Expired`.
    #[schemars(length(max = 32))]
    pub phase: String,
    /// When its effects began; absent when it never had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<MicroTime>,
    /// When it ended.
    pub finished: MicroTime,
    /// Whether it had changed anything in the environment.
    #[serde(default)]
    pub applied: bool,
    /// One sentence: why it ended so.
    #[schemars(length(max = 1024))]
    pub message: String,
}
