//! `AuditRecord`: what happened, for good. Written by Gantry alone, immutable, at most 8 KiB.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::environment::Recovery;
use super::history::{Person, PinnedPackage};
use super::promotion::Cause;

/// The memory of one finished promotion, and that its name was used. Outlives the promotion.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "AuditRecord",
    namespaced,
    derive = "PartialEq",
    category = "gantry",
    doc = "What happened, for good: one record of each finished promotion. Example: `kubectl get auditrecords -n shop`",
    selectable = ".spec.project",
    selectable = ".spec.environment",
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".spec.phase"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Finished", type_ = "date", json_path = ".spec.finishedAt")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("spec is immutable; audit records are never edited"))]
pub struct AuditRecordSpec {
    /// The promotion's name, which this record uses up. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(min = 1, max = 200))]
    pub promotion: String,
    /// The promotion's UID. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(min = 1, max = 64))]
    pub promotion_uid: String,
    /// The project. Example: `project: checkout`
    #[schemars(length(min = 1, max = 63))]
    pub project: String,
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// The environment. Example: `environment: production`
    #[schemars(length(min = 1, max = 63))]
    pub environment: String,
    /// Why, as the requester said. Example: `reasonGiven: CHG-1234`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason_given: Option<String>,
    /// The person for whom it was asked, as the requester said. Example: `onBehalfOf: alice@example.com`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub on_behalf_of: Option<String>,
    /// When it might start, as the requester said. Example: `notBefore: "2026-07-01T22:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// Until when it might start, as the requester said. Example: `expiresAt: "2026-07-02T02:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Its priority. Example: `priority: 10`
    #[serde(default)]
    pub priority: i32,
    /// Whether it left out targets or steps of its release. Example: `partial: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The only targets that it was to go to, if it named any. Example: `targets: [eu]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63)))]
    pub targets: Vec<String>,
    /// The steps that it left out. Example: `skipSteps: [migrate]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    pub skip_steps: Vec<String>,
    /// SHA-256 of the variables that were given with it, if there were any. Example: `variablesGiven: 9f86d081884c…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub variables_given: Option<String>,
    /// Who asked, as the API server authenticated it. Absent when it was never stamped. Example: `requestedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Person>,
    /// What made Gantry ask, where it did. Example: `cause: {kind: Release, name: checkout-1.4.2, uid: 5d3c…}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// SHA-256 of what it was to do, which people approved, if that was known. Example: `planDigest: 9f86d081884c…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_digest: Option<String>,
    /// Who approved and who rejected it, as far as that counted, at most 10. Example: `approvals: [{by: {username: bob}, decision: Approve, at: "2026-01-01T12:00:00Z"}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub approvals: Vec<AuditApproval>,
    /// The recovery that let it through lifecycle and approvals, where one did.
    /// Example: `recovery: {reason: the cluster was lost, until: "2026-01-02T00:00:00Z", by: {username: alice}}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// How it was to start in spite of freezes, and which of them it passed, where it said so.
    /// Example: `freezeOverride: {names: [year-end], reason: CHG-1234, passed: [year-end]}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<AuditFreezeOverride>,
    /// What it was to the environment, if it started. Example: `mode: Rollback`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// The promotion that put back what ran before, if it failed and there was one. Example: `rollback: checkout-1.4.1-production-1f2e3d4c`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rollback: Option<String>,
    /// How it ended. Example: `phase: Succeeded`
    #[schemars(length(min = 1, max = 32))]
    pub phase: String,
    /// Why it ended so: one word. Example: `reason: ImagePullBackOff`
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why it ended so, in one sentence. Example: `message: checkout 1.4.2 runs in production`
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Whether anything in the environment was changed. Example: `applied: true`
    pub applied: bool,
    /// When it was asked for. Example: `createdAt: "2026-01-01T12:00:00.000000Z"`
    pub created_at: MicroTime,
    /// When it took its turn. Example: `startedAt: "2026-01-01T12:00:01.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended. Example: `finishedAt: "2026-01-01T12:00:20.000000Z"`
    pub finished_at: MicroTime,
    /// The ControllerRevision whose process ran. Example: `snapshot: checkout-1.4.2-7c9f8d6b5`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub snapshot: Option<String>,
    /// The images by digest, at most 20. Example: `packages: [{name: api, image: ghcr.io/acme/checkout, digest: sha256:9f86d0…}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub packages: Vec<PinnedPackage>,
    /// The steps with their times, at most 32. Example: `steps: [{name: deploy, namespace: shop-production, phase: Succeeded}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub steps: Vec<AuditStep>,
}

/// One person's decision, as far as it counted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditApproval {
    /// Who decided, as the API server authenticated them. Example: `by: {username: bob}`
    pub by: Person,
    /// `Approve` or `Reject`. Example: `decision: Approve`
    #[schemars(length(max = 16))]
    pub decision: String,
    /// When. Example: `at: "2026-01-01T12:00:00Z"`
    pub at: Time,
    /// What they said; the first 256 bytes. Example: `comment: tested on staging`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub comment: Option<String>,
}

/// An override of freezes: what was asked for, and what came of it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditFreezeOverride {
    /// The freezes that it named. Example: `names: [year-end]`
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub names: Vec<String>,
    /// Why, as the requester said. Example: `reason: CHG-1234, the shop is down`
    #[schemars(length(max = 512))]
    pub reason: String,
    /// Those of them that held when it started. Example: `passed: [year-end]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub passed: Vec<String>,
}

/// One step in one target, as it ended.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditStep {
    /// The step. Example: `name: deploy`
    #[schemars(length(max = 63))]
    pub name: String,
    /// The target's namespace. Example: `namespace: shop-production`
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// How it ended. Example: `phase: Succeeded`
    #[schemars(length(max = 16))]
    pub phase: String,
    /// Why it was skipped, if it was. Example: `reason: SkippedByPerson`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub reason: Option<String>,
    /// When it started. Example: `startedAt: "2026-01-01T12:00:01.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended. Example: `finishedAt: "2026-01-01T12:00:20.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
}
