//! `Release`: "checkout 1.4.2 is these image versions, with the process as it is now". Immutable but for `blocked`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::history::{Person, PinnedPackage};
use super::variable::SecretFrom;

/// A version of a project: image versions and the process, sealed when it was made.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Release",
    namespaced,
    status = "ReleaseStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "A version of a project: image versions and the process, sealed when it was made. Example: `kubectl get releases -n shop`",
    selectable = ".spec.project",
    validation = Rule::new("self.metadata.name == self.spec.project + '-' + self.spec.version")
        .message("metadata.name must be <spec.project>-<spec.version>, e.g. checkout-1.4.2; rename the release"),
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Channel", type_ = "string", json_path = ".status.channel"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Deployed", type_ = "string", json_path = ".status.columns.deployed"),
    printcolumn(name = "Due", type_ = "string", json_path = ".status.columns.due"),
    printcolumn(name = "Blocked", type_ = "string", json_path = ".spec.blocked.reason", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.project == oldSelf.project && self.version == oldSelf.version && has(self.channel) == has(oldSelf.channel) && (!has(self.channel) || self.channel == oldSelf.channel) && has(self.cause) == has(oldSelf.cause) && (!has(self.cause) || self.cause == oldSelf.cause) && has(self.packages) == has(oldSelf.packages) && (!has(self.packages) || self.packages == oldSelf.packages) && has(self.notes) == has(oldSelf.notes) && (!has(self.notes) || self.notes == oldSelf.notes)")
        .message("spec is immutable but for spec.blocked; make a new release with another version"),
    validation = Rule::new("!has(oldSelf.createdBy) || (has(self.createdBy) && self.createdBy == oldSelf.createdBy)")
        .message("spec.createdBy is written by the API server; leave it out"),
)]
pub struct ReleaseSpec {
    /// The project that this is a version of. Example: `project: checkout`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub project: String,
    /// The version: lowercase letters, digits, `-` and `.`. Example: `version: 1.4.2`
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub version: String,
    /// The channel of the project that says which versions it may have; omitted, the default one. Example: `channel: stable`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub channel: Option<String>,
    /// Which version of each package of the project; a package without one gets the highest version in its registry that the
    /// channel takes, once, when the release is sealed. Example: `packages: [{name: api, version: 1.4.2}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub packages: Vec<PackageVersion>,
    /// Why Gantry made it; written by Gantry alone. Example: `cause: {kind: Trigger, name: newest}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ReleaseCause>,
    /// What is new, for people. Example: `notes: Pays with two cards`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub notes: Option<String>,
    /// Keeps the release out of every phase that it has not entered, but for the first. Example: `blocked: {reason: bug 42}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Block>,
    /// Who made it. Written by the API server; any other value is replaced. Example: `createdBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Person>,
    /// Who blocked it or let it go on last. Written by the API server; any other value is replaced. Example: `changedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Person>,
}

/// Why a release may go no further.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Why. Example: `reason: loses orders, see bug 42`
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Who said so. Written by the API server; any other value is replaced. Example: `by: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

/// Why Gantry made a release.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseCause {
    /// What made it: `Trigger`. Example: `kind: Trigger`
    #[schemars(length(min = 1, max = 32))]
    pub kind: String,
    /// Its name in the project. Example: `name: newest`
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// The chosen version of one package.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageVersion {
    /// Name of the package in the project. Example: `name: api`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The tag in the registry; omitted, the highest version that the channel takes. Example: `version: 1.4.2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
    pub version: Option<String>,
    /// The digest, when it is known: then the registry is not asked. Example: `digest: sha256:9f86d0…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = "^sha256:[a-f0-9]{64}$"))]
    pub digest: Option<String>,
}

/// What was sealed, and where it has been.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled` as kstatus defines them, and `Sealed`; where they have something to say, `Blocked`,
    /// `AutomaticallyPromoted`, `PhasesKnown` and `SecretsChanged`.
    /// Example: `conditions: [{type: Sealed, status: "True", reason: Sealed, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// When it was sealed. Example: `sealedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<MicroTime>,
    /// The ControllerRevision that holds the process as it was.
    /// Example: `snapshot: checkout-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub snapshot: Option<String>,
    /// The channel that it was made in; none in a project without channels. Example: `channel: stable`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub channel: Option<String>,
    /// The packages by digest.
    /// Example: `packages: [{name: api, image: ghcr.io/acme/checkout, version: 1.4.2, digest: sha256:9f86d0…}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub packages: Vec<ResolvedPackage>,
    /// Where it has been and is, one row an environment.
    /// Example: `environments: [{name: dev, succeeded: true, current: true, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub environments: Vec<ReleaseEnvironment>,
    /// The phases of its lifecycle and how far it is.
    /// Example: `phases: [{name: dev, progress: Complete, environments: [dev]}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub phases: Vec<ReleasePhase>,
    /// Every environment that lifecycle and block would let a promotion of it through to now, those that it may be promoted to
    /// again included. Example: `next: [dev, test]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub next: Vec<String>,
    /// Those of `next` where a promotion brings it further: it has no success there that counts, or will.
    /// Example: `due: [test]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub due: Vec<String>,
    /// Promotions that Gantry made because the lifecycle says so, one an environment, each made once.
    /// Example: `automatic: [{environment: dev, promotion: checkout-1.4.2-dev-8d04b6e1}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub automatic: Vec<AutomaticPromotion>,
    /// The Secrets that its variables refer to: what was seen of them, never what is in them.
    /// Example: `secrets: [{name: database, from: Target}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into(), "from".into()]))]
    pub secrets: Vec<SealedSecret>,
    /// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
    /// Example: `columns: {deployed: "dev, test", due: production}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ReleaseColumns>,
}

/// What `kubectl get` shows of the lists of this status: an API server shows one value a column.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseColumns {
    /// The environments where it runs. Example: `deployed: dev, test`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub deployed: Option<String>,
    /// The environments where it is due. Example: `due: production`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub due: Option<String>,
}

/// A Secret that variables of a release refer to.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecret {
    /// Its name. Example: `name: database`
    #[schemars(length(max = 253))]
    pub name: String,
    /// Where it is; those of targets are never read. Example: `from: Space`
    pub from: SecretFrom,
    /// Its resourceVersion when the release was sealed, or when it was seen first after that.
    /// Example: `resourceVersion: "48151"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub resource_version: Option<String>,
}

/// A promotion that Gantry made for a release.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutomaticPromotion {
    /// The environment. Example: `environment: production`
    #[schemars(length(max = 63))]
    pub environment: String,
    /// The promotion; empty where a pin says what runs, and none was made.
    /// Example: `promotion: checkout-1.4.2-dev-8d04b6e1`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// How it ended. Example: `phase: Refused`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// Why it did not succeed, in one word. Example: `reason: ReleaseBlocked`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why it did not succeed, in one sentence.
    /// Example: `message: "Release checkout-1.4.2 is blocked: it loses orders."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// One container image of a release, pinned, and how its version was chosen.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedPackage {
    /// Name of the package in the project. Example: `name: api`
    #[schemars(length(max = 63))]
    pub name: String,
    /// The image, without version. Example: `image: ghcr.io/acme/checkout`
    #[schemars(length(max = 255))]
    pub image: String,
    /// The tag. Example: `version: 1.4.2`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// The truth. Example: `digest: sha256:9f86d0…`
    #[schemars(length(max = 71))]
    pub digest: String,
    /// What decided: `Digest` (it was given), `Version` (it was given, the registry knows the digest), or `Highest` (the highest
    /// version in the registry that the channel took). Example: `resolvedFrom: Version`
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_from: Option<String>,
    /// When the registry was asked. Example: `resolvedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<MicroTime>,
}

impl ResolvedPackage {
    /// What is deployed of it.
    #[must_use]
    pub fn pinned(&self) -> PinnedPackage {
        PinnedPackage {
            name: self.name.clone(),
            image: self.image.clone(),
            version: self.version.clone(),
            digest: self.digest.clone(),
        }
    }
}

/// What became of a release in one environment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseEnvironment {
    /// The environment. Example: `name: production`
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether any promotion of it there ever succeeded: what the lifecycle counts. Example: `succeeded: true`
    pub succeeded: bool,
    /// UID of this release, once it succeeded there. A success without it, from before Gantry wrote it down, counts for nothing.
    /// Example: `releaseUid: 2c1e8f70-9a44-4d0b-8a57-2f1d3c9b7e60`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub release_uid: Option<String>,
    /// When it first succeeded. Example: `succeededAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<MicroTime>,
    /// When it ran there undisturbed, as far as a soak may still count it.
    /// Example: `stays: [{from: "2026-11-23T09:14:05.120334Z"}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub stays: Vec<StayRow>,
    /// Whether it is what runs there now. Example: `current: true`
    #[serde(default)]
    pub current: bool,
    /// The newest promotion of it there. Example: `promotion: checkout-1.4.2-production`
    #[schemars(length(max = 253))]
    pub promotion: String,
    /// UID of that promotion. Example: `promotionUid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub promotion_uid: String,
    /// How that promotion ended. Example: `phase: Succeeded`
    #[schemars(length(max = 32))]
    pub phase: String,
    /// Whether that promotion left out targets or steps: then its success does not count. Example: `partial: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// When. Example: `at: "2026-11-23T09:14:05.120334Z"`
    pub at: MicroTime,
}

/// A time in which a release ran in an environment, neither replaced nor failing.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StayRow {
    /// Since when. Example: `from: "2026-11-23T09:14:05.120334Z"`
    pub from: MicroTime,
    /// Until when; absent while it lasts. Example: `until: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<MicroTime>,
}

/// How far a release is in one phase of its lifecycle.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleasePhase {
    /// The phase. Example: `name: test`
    #[schemars(length(max = 253))]
    pub name: String,
    /// `Pending`, `Current` or `Complete`. Example: `progress: Current`
    #[schemars(length(max = 16))]
    pub progress: String,
    /// Its environments. Example: `environments: [test, qa]`
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub environments: Vec<String>,
    /// When it became complete. Example: `completedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<MicroTime>,
}
