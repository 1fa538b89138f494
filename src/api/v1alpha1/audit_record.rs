//! `AuditRecord`: what happened, for good. Written by Gantry alone, immutable, at most 8 KiB.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::{Person, PinnedPackage, Previous};
use super::promotion::Cause;
use super::{audit_block::BlockPart, audit_command::CommandPart, audit_object::AuditObject, environment::Recovery};

/// One thing that happened. Outlives everything it speaks of. It says who, when and what, and has one part that says how; that
/// of a finished promotion is spread over the spec, as it was before there were others, and is the memory that its name was used.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "AuditRecord",
    namespaced,
    derive = "PartialEq",
    category = "gantry",
    doc = "What happened, for good: promotions, approvals, blocks, changes of what gates look at, provisioning, commands. Example: `kubectl get auditrecords -n shop`",
    selectable = ".spec.kind",
    selectable = ".spec.project",
    selectable = ".spec.environment",
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "Object", type_ = "string", json_path = ".spec.object.name"),
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".spec.phase"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by.username"),
    printcolumn(name = "At", type_ = "date", json_path = ".spec.at")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("spec is immutable; audit records are never edited"))]
#[x_kube(validation = Rule::new("[has(self.phase), has(self.approval), has(self.override), has(self.block), has(self.provisioning), has(self.command), has(self.change)].filter(given, given).size() == 1")
    .message("spec has exactly one part: phase and what belongs to it, approval, override, block, provisioning, command or change"))]
#[x_kube(validation = Rule::new("!has(self.kind) || self.kind == 'Promotion' ? has(self.phase) : self.kind == 'Approval' ? has(self.approval) : self.kind == 'Override' ? has(self.override) : self.kind == 'Block' ? has(self.block) : self.kind == 'Provisioning' ? has(self.provisioning) : self.kind == 'Command' ? has(self.command) : has(self.change)")
    .message("spec.kind says which part it has; a record without it is of a promotion"))]
#[x_kube(validation = Rule::new("!has(self.phase) || (has(self.promotion) && has(self.promotionUid) && has(self.project) && has(self.version) && has(self.environment) && has(self.reason) && has(self.message) && has(self.applied) && has(self.createdAt) && has(self.finishedAt))")
    .message("spec.phase: the record of a promotion says which one, what, where, why and when"))]
#[x_kube(validation = Rule::new("has(self.phase) || (has(self.at) && has(self.object))")
    .message("spec.object and spec.at: a record says of what it is and when that was"))]
pub struct AuditRecordSpec {
    /// What happened. Omitted: a promotion ended. Example: `kind: Approval`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuditKind>,
    /// Who did it, as the API server authenticated them. Absent when Gantry did it by itself, and when nobody was stamped.
    /// Example: `by: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// When it was done; what Gantry can only see has the time when it saw it. Example: `at: "2026-01-01T12:00:20.000000Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<MicroTime>,
    /// To what. Example: `object: {kind: Environment, name: production, uid: 5d3c…, generation: 3}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<AuditObject>,
    /// The project, where it has to do with one. Example: `project: checkout`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub project: Option<String>,
    /// The environment, where it has to do with one. Example: `environment: production`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub environment: Option<String>,
    /// How a promotion ended. Example: `ended: {phase: Succeeded, reason: Deployed, …}`
    #[serde(flatten)]
    pub ended: Option<PromotionEnd>,
    /// A decision on a promotion. Example: `approval: {promotion: checkout-1.4.2-production, decision: Approve, counted: true}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalPart>,
    /// A promotion was asked for in spite of freezes. Example: `override: {freezes: [year-end], reason: the shop is down}`
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overridden: Option<OverridePart>,
    /// A release was blocked, or let go on. Example: `block: {version: 1.4.2, blocked: true, reason: loses orders}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockPart>,
    /// What Gantry did to the namespaces of an environment. Example: `provisioning: {action: Claimed, objects: [namespace shop-dev]}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<ProvisioningPart>,
    /// A command ended. Example: `command: {command: script, phase: Succeeded}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandPart>,
    /// Something that gates look at was changed. Example: `change: {action: Changed, digest: 9f86d081884c…}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangePart>,
    /// How many entries of its lists were left out, so that it stays below 8 KiB. Example: `omitted: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub omitted: Option<i32>,
}

/// What happened; without it, a promotion ended. Example: `kind: Approval`
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AuditKind {
    /// A promotion ended.
    Promotion,
    /// Somebody approved or rejected a promotion.
    Approval,
    /// Somebody asked for a promotion in spite of freezes.
    Override,
    /// Somebody blocked a release, or let it go on.
    Block,
    /// Gantry claimed a namespace for an environment, or put back what somebody had changed in one.
    Provisioning,
    /// A command ended.
    Command,
    /// Somebody made, changed or deleted what gates look at: an environment, a lifecycle, a freeze, a project.
    Change,
}

/// A decision on a promotion, and whether it counted when Gantry saw it first; what counted in the end says the record of the
/// promotion.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPart {
    /// The promotion. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(max = 200))]
    pub promotion: String,
    /// Its UID. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// The plan that was decided on. Example: `planDigest: 9f86d081884c…`
    #[schemars(length(max = 64))]
    pub plan_digest: String,
    /// `Approve` or `Reject`. Example: `decision: Approve`
    #[schemars(length(max = 16))]
    pub decision: String,
    /// Whether it counted. Example: `counted: true`
    pub counted: bool,
    /// Why it did not. Example: `void: whoever asked may not approve`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub void: Option<String>,
    /// What they said. Example: `comment: tested on staging`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub comment: Option<String>,
}

/// A promotion was asked for in spite of freezes; whether it passed one says the record of its end.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverridePart {
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// The freezes that it names. Example: `freezes: [year-end]`
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub freezes: Vec<String>,
    /// Why, as the requester said. Example: `reason: CHG-1234, the shop is down`
    #[schemars(length(max = 512))]
    pub reason: String,
}

/// What Gantry did to the namespaces of an environment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningPart {
    /// `Claimed`: a namespace became the environment's; `Corrected`: what somebody had changed was put back. Example: `action: Claimed`
    #[schemars(length(max = 16))]
    pub action: String,
    /// What, at most 64. Example: `objects: [RoleBinding shop-dev/gantry-deployer]`
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub objects: Vec<String>,
    /// UID of the namespace that was claimed. Example: `namespaceUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub namespace_uid: Option<String>,
    /// Whether Gantry made the namespace, and did not find it. Example: `created: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Something that gates look at was changed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePart {
    /// `Created`, `Changed` or `Deleted`. Example: `action: Changed`
    #[schemars(length(max = 16))]
    pub action: String,
    /// Where it stands who deleted it, since the API server stamps nobody then, and what to look for there; `gantry audit export
    /// --audit-log` does. Example: `witness: "the API server's audit log says who deleted it: look for verb delete or deletecollection of freezes.gantry.dev in namespace shop, name year-end, uid 5d3c…, before 2026-01-01T12:00:20Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub witness: Option<String>,
    /// When the API server took the deletion, where something held the object until Gantry saw that. Example: `deletedAt: "2026-01-01T12:00:20Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// The first generation that nobody recorded by itself, where Gantry did not see each: their authors are in the audit log of the
    /// API server. Example: `missedSince: 2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub missed_since: Option<i64>,
    /// SHA-256 over the canonical JSON (RFC 8785) of its spec without `changedBy`, whole. Example: `digest: 9f86d081884c…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub digest: Option<String>,
    /// That JSON, as far as there is room. Example: `spec: '{"order":10}'`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub spec: Option<String>,
}

/// How a promotion ended: who asked, who approved, what ran when, and what became of it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionEnd {
    /// The promotion's name, which this record uses up. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(min = 1, max = 200))]
    pub promotion: String,
    /// The promotion's UID. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(min = 1, max = 64))]
    pub promotion_uid: String,
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// UID of the release, which was decided on when it started. Example: `releaseUid: 2c1e8f70-9a44-4d0b-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
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
    /// What ran there when it started, if anything did. Example: `previous: {version: 1.4.1, promotion: checkout-1.4.1-production}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
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
