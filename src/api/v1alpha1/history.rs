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

/// What ran where a promotion started, before it did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// The version. Example: `version: 1.4.1`
    #[schemars(length(max = 63))]
    pub version: String,
    /// UID of the release, where that was written down. Example: `releaseUid: 7d0f1c52-3b86-4e7e-9c4d-0a6f5b8e1d23`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
    /// The promotion that had brought it. Example: `promotion: checkout-1.4.1-production`
    #[schemars(length(max = 253))]
    pub promotion: String,
}

/// What runs of one project in an environment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRow {
    /// The project. Example: `project: checkout`
    #[schemars(length(max = 63))]
    pub project: String,
    /// Its release, `<project>-<version>`. Example: `release: checkout-1.4.2`
    #[schemars(length(max = 127))]
    pub release: String,
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// UID of the release, where that was written down: a release that is made again under its name has another.
    /// Example: `releaseUid: 2c1e8f70-9a44-4d0b-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
    /// The promotion that put it here. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// UID of that promotion. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// Who asked for it. Example: `by: alice`
    #[schemars(length(max = 253))]
    pub by: String,
    /// Why, as the requester said; the first 256 characters. Example: `reasonGiven: the checkout button works again`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason_given: Option<String>,
    /// Since when. Example: `since: "2026-11-23T09:14:05.120334Z"`
    pub since: MicroTime,
}

/// How one promotion ended.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The project. Example: `project: checkout`
    #[schemars(length(max = 63))]
    pub project: String,
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// UID of the release, which was decided on when it started; absent when it never did: a release that is made again under its name has another.
    /// Example: `releaseUid: 2c1e8f70-9a44-4d0b-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
    /// The promotion. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// UID of the promotion. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// Who asked for it. Example: `by: alice`
    #[schemars(length(max = 253))]
    pub by: String,
    /// Why, as the requester said; the first 256 characters. Example: `reasonGiven: the checkout button works again`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason_given: Option<String>,
    /// `Deploy`, `Redeploy` or `Rollback`; absent when it never started. Example: `mode: Rollback`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// Whether it left out targets or steps of its release. Example: `partial: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// `Succeeded`, `Failed`, `RolledBack`, `Refused`, `Rejected`, `Canceled`, `Superseded` or `Expired`.
    /// Example: `phase: Succeeded`
    #[schemars(length(max = 32))]
    pub phase: String,
    /// When its effects began; absent when it never had one. Example: `started: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<MicroTime>,
    /// When it ended. Example: `finished: "2026-11-23T09:14:05.120334Z"`
    pub finished: MicroTime,
    /// Whether it had changed anything in the environment. Example: `applied: true`
    #[serde(default)]
    pub applied: bool,
    /// One sentence: why it ended so.
    /// Example: `message: "Promotion checkout-1.4.2-production brought checkout 1.4.2 to production."`
    #[schemars(length(max = 1024))]
    pub message: String,
}
