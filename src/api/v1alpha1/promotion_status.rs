//! The status of a `Promotion`: its phase, the task log of its deployment, and what it decided on. At most 64 KiB.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::environment::Recovery;
use super::history::{Person, PinnedPackage};
use super::variable::UsedVariable;

/// Where a promotion is, and everything that it did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.finished) || !oldSelf.finished || (has(self.finished) && self.finished && self.phase == oldSelf.phase)")
    .message("status.phase never changes once status.finished is true"))]
pub struct PromotionStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Finished` and `Succeeded` for programs that wait; `Ready`, `Reconciling`, `Stalled` as kstatus defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// `Pending`, `Running`, `RollingBack`, `Succeeded`, `Failed`, `RolledBack`, `Refused`, `Rejected`, `Canceled`, `Superseded`
    /// or `Expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// True once the phase will never change again.
    #[serde(default)]
    pub finished: bool,
    /// Why it is in this phase: one word from a closed set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why it is in this phase and what to do next, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// When it took its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended; of one that is rolled back, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// `Deploy` (something newer, or the first), `Redeploy` (what runs there already) or `Rollback` (something older than what
    /// runs there, or what puts it back after a failure), decided when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// UID and generation of every object that a gate decided on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub decided_on: Vec<DecidedOn>,
    /// SHA-256 of what it will do: the sealed release, the environment with its generation, and the variables that were given. People
    /// approve this; when it changes, approvals of the old one count for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_digest: Option<String>,
    /// Who must agree and who did, where its environment asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalsRecord>,
    /// The recovery of the environment that let it through the lifecycle and approvals, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The freezes that it passed, because its `spec.freezeOverride` names them, when it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverrideRecord>,
    /// The images of the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub packages: Vec<PinnedPackage>,
    /// The ControllerRevision whose process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub snapshot: Option<String>,
    /// The steps, one a target, in the order in which they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub steps: Vec<StepRecord>,
    /// The variables that were used, without their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub variables: Vec<UsedVariable>,
    /// Whether anything in the environment was changed.
    #[serde(default)]
    pub applied: bool,
    /// What failed, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureRecord>,
    /// The promotion that puts back what ran before, when it failed where the environment wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackRecord>,
}

/// Who must agree and who did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalsRecord {
    /// How many approvals it needs, by the strictest rule since it was asked for.
    pub needed: i32,
    /// How many it has.
    pub given: i32,
    /// The strictest rule that its environment had since it was asked for.
    pub rule: ApprovalRule,
    /// What people decided, oldest first; where there are more than 16, those that count for nothing are left out first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub decisions: Vec<DecisionRecord>,
}

/// A rule of approvals as it was seen.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRule {
    /// How many people must approve.
    pub required: i32,
    /// How many must approve a return to a release that succeeded there before.
    pub rollback: i32,
    /// Whether whoever asked may approve.
    pub allow_requester: bool,
    /// Whether approvals of service accounts count.
    pub allow_service_accounts: bool,
}

/// What one person decided.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// The Approval that says so.
    #[schemars(length(max = 253))]
    pub approval: String,
    /// UID of that Approval.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Who decided, as the API server authenticated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// `Approve` or `Reject`.
    #[schemars(length(max = 16))]
    pub decision: String,
    /// When.
    pub at: Time,
    /// What they said; the first 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub comment: Option<String>,
    /// Why it counts for nothing, if it does.
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
    /// Who overrode them, as the API server authenticated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// Why, as they said.
    #[schemars(length(max = 512))]
    pub reason: String,
}

/// The promotion that puts back what ran before.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackRecord {
    /// Its name; its `spec.cause` names this one.
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// The version that it brings.
    #[schemars(length(max = 63))]
    pub version: String,
    /// The promotion that had succeeded with that version.
    #[schemars(length(max = 253))]
    pub again: String,
}

/// An object that a gate decided on.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedOn {
    /// Its kind.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its UID.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Its generation.
    pub generation: i64,
}

/// One step in one target.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// The step.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// Namespace of the target.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// `Pending`, `Started`, `Succeeded`, `Failed` or `Skipped`.
    #[schemars(length(max = 16))]
    pub phase: String,
    /// Why it was skipped: `Environment`, `Channel`, `Roles`, `TargetLeftOut`, `SkippedByPerson`, `When`, `NothingFailed`,
    /// `AfterFailure` or `Canceled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub reason: Option<String>,
    /// After what it runs, where that is not `Success`: `Failure` or `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub run_on: Option<String>,
    /// How often it may be begun again after it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i32>,
    /// How often it was begun, where it may be more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
    /// When it was begun the last time, where that was not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<MicroTime>,
    /// When it is begun again, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<MicroTime>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub timeout: String,
    /// When its first effect was about to happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When everything was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<MicroTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// What was applied: `Deployment/checkout`, at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 320)))]
    pub objects: Vec<String>,
    /// What was deleted because this release has it no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 320)))]
    pub pruned: Vec<String>,
    /// What it does or how it ended, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What failed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureRecord {
    /// The object: `Deployment/checkout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub object: Option<String>,
    /// One word from a closed set: `ImagePullBackOff`, `CrashLoopBackOff`, …
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What happened, in one sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Everything that was refused, when several things were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 1024)))]
    pub details: Vec<String>,
    /// The pod and container whose log this is: `checkout-6d5f/api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub container: Option<String>,
    /// The last lines that the container logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)))]
    pub log: Vec<String>,
}
