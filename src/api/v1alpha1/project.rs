//! `Project`: "this is how *checkout* is deployed, and which containers it is made of". No versions here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::history::{Person, PinnedPackage};
pub use super::step::{Apply, Manifest, ManifestsFrom, RunOn, Step};
use super::trigger::{Trigger, Versioning};
use super::variable::Variable;

/// Something that is released and promoted as one: its containers and how they are deployed.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Project",
    namespaced,
    status = "ProjectStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "Something that is released and promoted as one: its containers and how they are deployed. Example: `kubectl get projects -n shop`",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63")
        .message("metadata.name must be a DNS label of at most 63 characters; rename the project, e.g. checkout"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Deployed", type_ = "string", json_path = ".status.columns.deployed"),
    printcolumn(name = "Unhealthy", type_ = "string", json_path = ".status.columns.unhealthy"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// What this is, for people. Example: `description: The checkout service`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// The containers that a release chooses versions of. Example: `packages: [{name: api, image: ghcr.io/acme/checkout}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub packages: Vec<Package>,

    /// The lifecycle that its releases follow. Omitted: the environments of the space by order. Example: `lifecycle: standard`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub lifecycle: Option<String>,

    /// Which versions may go into a release; omitted, any. Example: `channels: [{name: stable, default: true, rules: [{versions: ">=1.0"}]}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = Rule::new("self.size() == 0 || self.exists_one(channel, channel.default)")
        .message("spec.channels must have exactly one default; write default: true at exactly one"))]
    pub channels: Vec<Channel>,

    /// Where releases that make themselves get their version from. Example: `versioning: {fromPackage: api}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,

    /// Makes releases when registries have newer versions. Example: `triggers: [{name: new-versions, packages: [api]}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub triggers: Vec<Trigger>,

    /// What a promotion does, in order. Example: `process: [{name: deploy, apply: {manifestsFrom: {configMap: checkout}}}]`
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub process: Vec<Step>,

    /// Named values that expressions in manifests use. Example: `variables: [{name: LOG_LEVEL, values: [{value: info}]}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub variables: Vec<Variable>,

    /// Variable sets of the space whose variables the project uses, too. Example: `variableSets: [shared]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub variable_sets: Vec<String>,
    /// Who changed it last. Written by the API server; any other value is replaced. Example: `changedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Person>,
}

/// One container of a project.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Name that releases use, unique in the project. Example: `name: api`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The image as manifests write it, without tag or digest. Example: `image: ghcr.io/acme/checkout`
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("!self.contains('@') && !self.split('/')[self.split('/').size() - 1].contains(':')")
        .message("spec.packages[].image must have no tag and no digest; versions belong to releases, e.g. ghcr.io/acme/checkout"))]
    pub image: String,
    /// Secret of the space (kubernetes.io/dockerconfigjson) to ask the registry with. Example: `pullSecret: ghcr`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub pull_secret: Option<String>,
}

/// The overview of a project: one row an environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus defines them.
    /// Example: `conditions: [{type: Ready, status: "True", reason: Ready, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// One row an environment, in the order of the lifecycle.
    /// Example: `environments: [{name: production, current: {version: 1.4.2, …}}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub environments: Vec<EnvironmentRow>,
    /// What its triggers released, so that a release that somebody deletes is not made again.
    /// Example: `triggers: [{name: stable, version: 1.4.2}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub triggers: Vec<TriggerRow>,
    /// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
    /// Example: `columns: {deployed: "dev 1.4.2, production 1.4.1"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ProjectColumns>,
}

/// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectColumns {
    /// Each environment with the version that runs there. Example: `deployed: dev 1.4.2, production 1.4.1`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub deployed: Option<String>,
    /// Each environment where it is not healthy, and how it is. Example: `unhealthy: production Degraded`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub unhealthy: Option<String>,
}

/// What one trigger released.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerRow {
    /// The trigger. Example: `name: stable`
    #[schemars(length(max = 63))]
    pub name: String,
    /// The highest version that it released, whether that release is still there or not. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// The channel of that release. Example: `channel: stable`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub channel: Option<String>,
}

/// What a project is doing in one environment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentRow {
    /// The environment. Example: `name: production`
    #[schemars(length(max = 63))]
    pub name: String,
    /// What runs there. Example: `current: {version: 1.4.2, promotion: checkout-1.4.2-production, by: alice, …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Current>,
    /// The version that ran there before.
    /// Example: `previous: {version: 1.4.1, promotion: checkout-1.4.1-production, by: bob, …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Current>,
    /// The promotion that runs now. Example: `running: {promotion: checkout-1.5.0-production, version: 1.5.0}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Underway>,
    /// The promotion that waits and is next, and why it waits.
    /// Example: `waiting: {promotion: checkout-1.5.0-production, version: 1.5.0, message: "It waits for 1 more approval."}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Underway>,
    /// How the newest finished promotion ended. Example: `last: {version: 1.5.0, phase: Failed, applied: true, …}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// How what was applied there is doing now: the worst of its objects. While a promotion runs, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The first object that is not healthy, and why, in one sentence.
    /// Example: `healthMessage: "Deployment/checkout: 1 of 2 replicas is available."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub health_message: Option<String>,
    /// True while fields that the release had set are not as it set them, because somebody changed them. Gantry does not put
    /// them back; the next promotion does. Example: `drifted: true`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<bool>,
    /// The first object that was changed, in one sentence.
    /// Example: `driftMessage: "Deployment/checkout: kubectl-edit changed spec.replicas."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub drift_message: Option<String>,
}

/// How what was applied is doing, from good to bad. Example: `health: Degraded`
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// Everything is there and says that it is well. Kinds that Gantry does not watch count as healthy.
    #[default]
    Healthy,
    /// Something waits, and may become healthy by itself.
    Progressing,
    /// Something has failed.
    Degraded,
    /// Something that was applied is no longer there.
    Missing,
}

impl Health {
    /// The word in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Missing => "Missing",
        }
    }
}

/// A version that runs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Current {
    /// The version. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// UID of the release, where that was written down: a release that is made again under its name has another.
    /// Example: `releaseUid: 2c1e8f70-9a44-4d0b-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
    /// The promotion that put it there. Example: `promotion: checkout-1.4.2-production`
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
    /// `Deploy`, `Redeploy` or `Rollback`; absent when it never started. Example: `mode: Rollback`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// Since when. Example: `since: "2026-11-23T09:14:05.120334Z"`
    pub since: MicroTime,
    /// Its images. Example: `packages: [{name: api, image: ghcr.io/acme/checkout, digest: sha256:9f86d0…}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub packages: Vec<PinnedPackage>,
}

/// A promotion that has not ended.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Underway {
    /// The promotion. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// The version it brings. Example: `version: 1.4.2`
    #[schemars(length(max = 63))]
    pub version: String,
    /// Why it waits, or what it does, in one sentence. Example: `message: "It waits for 1 more approval."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// The end of a promotion.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Last {
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
    /// How it ended. Example: `phase: Failed`
    #[schemars(length(max = 32))]
    pub phase: String,
    /// When. Example: `at: "2026-11-23T09:14:05.120334Z"`
    pub at: MicroTime,
    /// Whether it had changed anything in the environment. Example: `applied: true`
    #[serde(default)]
    pub applied: bool,
    /// Why, in one sentence. Example: `message: "Deployment/checkout: ImagePullBackOff: checkout:9.9.9 not found."`
    #[schemars(length(max = 1024))]
    pub message: String,
}
