//! The status of a `Promotion`: its phase, the task log of its deployment, and what it decided on. What may
//! become long in it shares a room, so it stays far below what etcd takes, 1.5 MiB, however many steps and targets there are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::environment::Recovery;
use super::history::{Person, PinnedPackage, Previous};
use super::variable::UsedVariable;

/// Where a promotion is, and everything that it did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.finished) || !oldSelf.finished || (has(self.finished) && self.finished && self.phase == oldSelf.phase)")
    .message("status.phase never changes once status.finished is true"))]
pub struct PromotionStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Finished` and `Succeeded` for programs that wait; `Ready`, `Reconciling`, `Stalled` as kstatus defines them.
    /// Example: `conditions: [{type: Finished, status: "True", reason: Deployed, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// `Pending`, `Running`, `RollingBack`, `Succeeded`, `Failed`, `RolledBack`, `Refused`, `Rejected`, `Canceled`, `Superseded`
    /// or `Expired`. Example: `phase: Running`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// True once the phase will never change again. Example: `finished: true`
    #[serde(default)]
    pub finished: bool,
    /// Why it is in this phase: one word from a closed set. Example: `reason: ApprovalsMissing`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why it is in this phase and what to do next, in one sentence.
    /// Example: `message: "It waits for 1 more approval: whoever may approve environment production can give it."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// When it took its turn. Example: `startedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended; of one that is rolled back, when it failed. Example: `finishedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// `Deploy` (something newer, or the first), `Redeploy` (what runs there already) or `Rollback` (something older than what
    /// runs there, or what puts it back after a failure), decided when it started. Example: `mode: Rollback`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// What ran there when it started: the last success before it. Absent where nothing ran.
    /// Example: `previous: {version: 1.4.1, promotion: checkout-1.4.1-production}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// UID and generation of every object that a gate decided on.
    /// Example: `decidedOn: [{kind: Release, name: checkout-1.4.2, uid: 0b5e9a1c-…, generation: 1}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub decided_on: Vec<DecidedOn>,
    /// SHA-256 of what it will do: the sealed release, the environment with its generation, and the variables that were given. People
    /// approve this; when it changes, approvals of the old one count for nothing.
    /// Example: `planDigest: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_digest: Option<String>,
    /// Who must agree and who did, where its environment asks for that. Example: `approvals: {needed: 2, given: 1, …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalsRecord>,
    /// The recovery of the environment that let it through the lifecycle and approvals, where one did.
    /// Example: `recovery: {reason: "the cluster was lost", …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The freezes that it passed, because its `spec.freezeOverride` names them, when it started.
    /// Example: `freezeOverride: {names: [christmas], by: {username: alice}, reason: "hotfix of the payment outage"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverrideRecord>,
    /// The images of the release.
    /// Example: `packages: [{name: api, image: ghcr.io/acme/checkout, version: 1.4.2, digest: sha256:9f86d0…}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub packages: Vec<PinnedPackage>,
    /// The ControllerRevision whose process runs.
    /// Example: `snapshot: checkout-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub snapshot: Option<String>,
    /// The steps, one a target, in the order in which they run.
    /// Example: `steps: [{name: deploy, target: eu, phase: Succeeded, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub steps: Vec<StepRecord>,
    /// The variables that were used, without their values.
    /// Example: `variables: [{name: REPLICAS, source: "Project, value 1", scope: environments production}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub variables: Vec<UsedVariable>,
    /// Whether anything in the environment was changed. Example: `applied: true`
    #[serde(default)]
    pub applied: bool,
    /// What failed, when it failed.
    /// Example: `failure: {object: Deployment/checkout, reason: ImagePullBackOff, message: "checkout:9.9.9 not found"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureRecord>,
    /// The promotion that puts back what ran before, when it failed where the environment wants that.
    /// Example: `rollback: {promotion: checkout-1.4.1-production-3f9a2c17, version: 1.4.1, …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackRecord>,
}

/// Who must agree and who did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalsRecord {
    /// How many approvals it needs, by the strictest rule since it was asked for. Example: `needed: 2`
    pub needed: i32,
    /// How many it has. Example: `given: 1`
    pub given: i32,
    /// The strictest rule that its environment had since it was asked for. Example: `rule: {required: 2, rollback: 0}`
    pub rule: ApprovalRule,
    /// What people decided, oldest first; where there are more than 16, those that count for nothing are left out first.
    /// Example: `decisions: [{approval: bob-says-yes, decision: Approve, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub decisions: Vec<DecisionRecord>,
}

/// A rule of approvals as it was seen.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRule {
    /// How many people must approve. Example: `required: 2`
    pub required: i32,
    /// How many must approve a return to a release that succeeded there before. Example: `rollback: 0`
    pub rollback: i32,
    /// Whether whoever asked may approve. Example: `allowRequester: true`
    pub allow_requester: bool,
    /// Whether approvals of service accounts count. Example: `allowServiceAccounts: true`
    pub allow_service_accounts: bool,
}

/// What one person decided.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// The Approval that says so. Example: `approval: bob-says-yes`
    #[schemars(length(max = 253))]
    pub approval: String,
    /// UID of that Approval. Example: `uid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Who decided, as the API server authenticated them. Example: `by: {username: bob}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// `Approve` or `Reject`. Example: `decision: Approve`
    #[schemars(length(max = 16))]
    pub decision: String,
    /// When. Example: `at: "2026-11-23T09:14:05Z"`
    pub at: Time,
    /// What they said; the first 256 bytes. Example: `comment: tested on staging`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub comment: Option<String>,
    /// Why it counts for nothing, if it does. Example: `void: "The plan changed after it."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub void: Option<String>,
}

/// Freezes that a promotion passed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezeOverrideRecord {
    /// The freezes that held when it started. Example: `passed: [year-end]`
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub passed: Vec<String>,
    /// Who overrode them, as the API server authenticated them. Example: `by: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// Why, as they said. Example: `reason: hotfix of the payment outage`
    #[schemars(length(max = 512))]
    pub reason: String,
}

/// The promotion that puts back what ran before.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackRecord {
    /// Its name; its `spec.cause` names this one. Example: `promotion: checkout-1.4.1-production-3f9a2c17`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// The version that it brings. Example: `version: 1.4.1`
    #[schemars(length(max = 63))]
    pub version: String,
    /// The promotion that had succeeded with that version. Example: `again: checkout-1.4.1-production`
    #[schemars(length(max = 253))]
    pub again: String,
}

impl PromotionStatus {
    /// The UID of the release that it brings, which was decided on when it started.
    #[must_use]
    pub fn release_uid(&self) -> Option<&str> {
        let release = self.decided_on.iter().find(|object| object.kind == "Release")?;
        Some(release.uid.as_str()).filter(|uid| !uid.is_empty())
    }
}

/// An object that a gate decided on.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedOn {
    /// Its kind. Example: `kind: Release`
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name. Example: `name: checkout-1.4.2`
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its UID. Example: `uid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Its generation. Example: `generation: 1`
    pub generation: i64,
}

/// One step in one target.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// The step. Example: `name: deploy`
    #[schemars(length(max = 63))]
    pub name: String,
    /// The target. Example: `target: eu`
    #[schemars(length(max = 63))]
    pub target: String,
    /// Namespace of the target. Example: `namespace: shop-production`
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// `Pending`, `Started`, `Succeeded`, `Failed` or `Skipped`. Example: `phase: Started`
    #[schemars(length(max = 16))]
    pub phase: String,
    /// Why it was skipped: `Environment`, `Channel`, `Roles`, `TargetLeftOut`, `SkippedByPerson`, `When`, `NothingFailed`,
    /// `AfterFailure` or `Canceled`. Example: `reason: Roles`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub reason: Option<String>,
    /// After what it runs, where that is not `Success`: `Failure` or `Always`. Example: `runOn: Failure`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub run_on: Option<String>,
    /// How often it may be begun again after it failed. Example: `retries: 2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// How often it was begun, where it may be more than once. Example: `attempt: 2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
    /// When it was begun the last time, where that was not the first.
    /// Example: `attemptedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<MicroTime>,
    /// When it is begun again, while it waits for that. Example: `retryAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// How long it may take. Example: `timeout: 10m`
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub timeout: String,
    /// When its first effect was about to happen. Example: `startedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When everything was applied. Example: `appliedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<MicroTime>,
    /// When it ended. Example: `finishedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// What was applied: `Deployment/checkout`, at most 200 and, for all steps together, 16 KiB; the inventory has all.
    /// Example: `objects: [Deployment/checkout, Service/checkout]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 320)))]
    pub objects: Vec<String>,
    /// What was deleted because this release has it no more. Example: `pruned: [ConfigMap/old-settings]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 320)))]
    pub pruned: Vec<String>,
    /// What it does or how it ended, in one sentence.
    /// Example: `message: "Deployment/checkout: 1 of 2 replicas is available."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What failed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureRecord {
    /// The object: `Deployment/checkout`. Example: `object: Deployment/checkout`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub object: Option<String>,
    /// One word from a closed set: `ImagePullBackOff`, `CrashLoopBackOff`, … Example: `reason: CrashLoopBackOff`
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What happened, in one sentence.
    /// Example: `message: "Container api ended 3 times, the last time with exit code 1."`
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Everything that was refused, when several things were.
    /// Example: `details: ["Deployment/checkout: image ghcr.io/acme/other is no package of the project"]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 1024)))]
    pub details: Vec<String>,
    /// The pod and container whose log this is: `checkout-6d5f/api`. Example: `container: checkout-6d5f/api`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub container: Option<String>,
    /// The last lines that the container logged. Example: `log: ["panic: no database at db:5432"]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)))]
    pub log: Vec<String>,
}
