//! `Environment`: "production is this namespace, with this limited account".

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{Amounts, Console, Deployer, Isolation, LIMITED_ROLE, Limits, PodSecurity, PodSecurityVersion};
use super::history::{DeploymentRow, HistoryEntry, Person};

/// A place where releases run: one or more namespaces, each with a limited account that Gantry provisions.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Environment",
    namespaced,
    status = "EnvironmentStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "A place where releases run: one or more namespaces, each with a limited account. Example: `kubectl get environments -n shop`",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63")
        .message("metadata.name must be a DNS label of at most 63 characters; rename the environment, e.g. production"),
    printcolumn(name = "Order", type_ = "integer", json_path = ".spec.order"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".status.columns.namespaces"),
    printcolumn(name = "Deployed", type_ = "string", json_path = ".status.columns.deployed"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSpec {
    /// Position in the default lifecycle: lower comes first, equal numbers form one phase. Example: `order: 30`
    #[schemars(range(min = 0, max = 1_000_000))]
    pub order: i64,

    /// Where workloads run. Omitted: one target named `default` in namespace `<space>-<environment>`.
    /// Example: `targets: [{name: eu, namespace: shop-production-web}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(
        merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(a, self.exists_one(b, b.__namespace__ == a.__namespace__))")
            .message("spec.targets[].namespace must differ between targets; give each target a namespace of its own"),
    )]
    pub targets: Vec<Target>,

    /// What releases may change in the targets. Example: `deployer: {clusterRole: gantry-deployer}`
    #[serde(default)]
    #[x_kube(validation = Rule::new(LIMITED_ROLE)
        .message("spec.deployer.clusterRole must not lead to other accounts and their tokens as admin, edit and Gantry's own roles do; choose one that an administrator made for it, e.g. gantry-deployer"))]
    pub deployer: Deployer,

    /// What commands may do in the targets. Example: `console: {clusterRole: gantry-console}`
    #[serde(default)]
    #[x_kube(validation = Rule::new(LIMITED_ROLE)
        .message("spec.console.clusterRole must not lead to other accounts and their tokens as admin, edit and Gantry's own roles do; choose one that an administrator made for it, e.g. gantry-console"))]
    pub console: Console,

    /// Secrets of the space that are copied into every target and kept in step, for pulling images. Example: `pullSecrets: [ghcr]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    pub pull_secrets: Vec<String>,

    /// Pod Security level that the target namespaces enforce. Example: `podSecurity: restricted`
    #[serde(default)]
    pub pod_security: PodSecurity,

    /// Which version of the Pod Security Standards is meant: a newer cluster refuses no more than was agreed.
    /// Example: `podSecurityVersion: v1.36`
    #[serde(default)]
    pub pod_security_version: PodSecurityVersion,

    /// Whom the pods of a target reach and who reaches them. Releases open more with network policies of their own; the network
    /// of the cluster must enforce these. Example: `isolation: Strict`
    #[serde(default)]
    pub isolation: Isolation,

    /// Most that there may be in each target, by a `ResourceQuota`; omitted, there is no bound.
    /// Example: `quota: {pods: "50", requests.memory: 16Gi, services.loadbalancers: "0"}`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "x-kubernetes-map-type" = "atomic"))]
    pub quota: Amounts,

    /// What containers get that say nothing of resources, and the most that one may have, by a `LimitRange`.
    /// Example: `limits: {default: {memory: 256Mi}}`
    #[serde(default)]
    pub limits: Limits,

    /// Whether pods that name no account get a token of the account `default`. Example: `defaultToken: true`
    #[serde(default)]
    pub default_token: bool,

    /// Who must agree before a promotion starts here; omitted, nobody. Example: `approvals: {required: 2, rollback: 0}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,

    /// What a newer waiting promotion of a project does to older waiting ones. Example: `queue: Queue`
    #[serde(default)]
    pub queue: QueuePolicy,

    /// What follows a promotion that failed after it had changed something: nothing, or the last release that succeeded here is
    /// promoted again, once. Example: `onFailure: Rollback`
    #[serde(default)]
    pub on_failure: OnFailure,

    /// When a failing rollout is certain to fail. Example: `failAfter: {imagePull: 2m, crashLoop: 3, unschedulable: 5m}`
    #[serde(default)]
    pub fail_after: FailAfter,

    /// While true, no promotion starts here; running ones finish. Example: `paused: true`
    #[serde(default)]
    pub paused: bool,

    /// Lets pins through lifecycle and approvals where nothing of their project ever ran, since a cluster was restored from Git. One
    /// that is opened where a release of any project has run opens nothing: nothing was lost.
    /// Example: `recovery: {reason: the cluster was lost, until: "2026-01-02T00:00:00Z"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,

    /// What happens to the namespaces when the environment is deleted. Example: `deletionPolicy: Delete`
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Who changed it last. Written by the API server; any other value is replaced. Example: `changedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Person>,
}

/// One namespace of an environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Name of the target, unique in the environment. Example: `name: eu`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Namespace that workloads run in; Gantry creates it, or it must carry the label `gantry.dev/space: <space>`.
    /// Example: `namespace: shop-production-web`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("!self.startsWith('kube-') && self != 'default'")
        .message("spec.targets[].namespace must not be default or start with kube-; choose a namespace of the team, e.g. shop-production"))]
    pub namespace: String,
    /// What the target is for; variables may differ by it. Example: `roles: [web]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub roles: Vec<String>,
}

/// Who must agree before a promotion starts: people with the verb `approve` on the environment, each by an `Approval`. The strictest
/// rule between the request and the start counts.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.rollback) || self.rollback <= self.required")
    .message("spec.approvals.rollback must not be more than spec.approvals.required; lower it, or leave it out"))]
pub struct Approvals {
    /// How many people must approve. Example: `required: 2`
    #[schemars(range(min = 0, max = 10))]
    pub required: i32,
    /// Whether whoever asked for the promotion may approve it: its requester, the person for whom a robot asked, and the author of
    /// its pin. Example: `allowRequester: true`
    #[serde(default)]
    pub allow_requester: bool,
    /// Whether approvals of service accounts count. Example: `allowServiceAccounts: true`
    #[serde(default)]
    pub allow_service_accounts: bool,
    /// How many people must approve a return to a release that succeeded here before; omitted, as many as for any other.
    /// Example: `rollback: 0`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub rollback: Option<i32>,
}

/// A way around lifecycle and approvals for a cluster that has lost its history: each pin passes until its first success here.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Why, for the record. Example: `reason: the cluster was lost, INC-42`
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// When it ends. Example: `until: "2026-01-02T00:00:00Z"`
    pub until: Time,
    /// Who opened it. Written by the API server; any other value is replaced. Example: `by: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

/// What follows a promotion that failed after it had changed something.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Nothing: the environment stays as it is.
    #[default]
    Hold,
    /// The last release that succeeded there is promoted again, once. A rollback that fails, and a promotion of a part of a
    /// release, is not followed by another.
    Rollback,
}

/// What a newer waiting promotion does to older waiting ones of the same project. One of a part of a release (targets or steps
/// left out) replaces none.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueuePolicy {
    /// The newest waiting promotion replaces older waiting ones.
    #[default]
    Supersede,
    /// Every promotion gets its turn, oldest first.
    Queue,
}

/// What happens to provisioned namespaces with their environment.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// Namespaces and workloads stay.
    #[default]
    Retain,
    /// Namespaces that Gantry created are deleted with everything in them.
    Delete,
}

/// When a failing rollout is certain to fail; until then it counts as progressing.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailAfter {
    /// How long an image may fail to be pulled for a reason that can heal. Example: `imagePull: 2m`
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub image_pull: String,
    /// How many restarts of one container make a crash loop. Example: `crashLoop: 3`
    #[schemars(range(min = 1, max = 100))]
    pub crash_loop: i32,
    /// How long a pod may stay unschedulable. Example: `unschedulable: 5m`
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub unschedulable: String,
}

impl Default for FailAfter {
    fn default() -> Self {
        Self { image_pull: "2m".into(), crash_loop: 3, unschedulable: "5m".into() }
    }
}

/// What Gantry found and did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus defines them; `Guarded` is false while Gantry's admission policies do not act, so
    /// that nothing is promoted. Example: `conditions: [{type: Ready, status: "True", reason: Ready, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The namespaces as provisioned; `uid` notices one that was deleted and made again by somebody else.
    /// Example: `targets: [{name: eu, namespace: shop-production, created: true, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub targets: Vec<TargetStatus>,
    /// What somebody had changed in its namespaces and Gantry puts back.
    /// Example: `corrections: {number: 4, underway: [RoleBinding shop-production/gantry-deployer]}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<Corrections>,
    /// What runs here, one row a project. Example: `deployments: [{project: checkout, version: 1.4.2, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub deployments: Vec<DeploymentRow>,
    /// The newest ends of promotions here, newest first.
    /// Example: `history: [{project: checkout, version: 1.4.2, phase: Succeeded, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub history: Vec<HistoryEntry>,
    /// What was decided of `spec.recovery` when it was opened.
    /// Example: `recovery: {reason: "the cluster was lost", until: "2026-11-23T09:14:05Z", lost: true}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryStatus>,
    /// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
    /// Example: `columns: {namespaces: shop-production, deployed: checkout 1.4.2}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<EnvironmentColumns>,
}

/// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentColumns {
    /// The namespaces of its targets. Example: `namespaces: shop-production-eu, shop-production-us`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub namespaces: Option<String>,
    /// Each project that runs here, with its version. Example: `deployed: checkout 1.4.2, cart 2.0.0`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub deployed: Option<String>,
}

/// What was decided of a recovery, for as long as its reason and its end stay the same.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryStatus {
    /// Why it was opened. Example: `reason: the cluster was lost`
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// When it ends. Example: `until: "2026-11-23T09:14:05Z"`
    pub until: Time,
    /// Whether nothing had run here when it was opened: otherwise nothing was lost, and it opens nothing.
    /// Example: `lost: true`
    pub lost: bool,
}

/// Corrections of what somebody had changed in the namespaces of an environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Corrections {
    /// How many were begun; the newest one has this number. Example: `number: 4`
    pub number: i64,
    /// What the newest one puts back; empty once it is done. Example: `underway: [RoleBinding shop-production/gantry-deployer]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub underway: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// One provisioned namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of the target. Example: `name: eu`
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its namespace. Example: `namespace: shop-production`
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// UID of the namespace when it was claimed. Example: `uid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// Whether Gantry created the namespace, and so may delete it. Example: `created: true`
    #[serde(default)]
    pub created: bool,
    /// Which edition of what Gantry puts into every namespace it has; an older version of Gantry wrote a lower number.
    /// Example: `edition: 2`
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 1000))]
    pub edition: i32,
}
