//! `Promotion`: "put checkout 1.4.2 into production", once. Immutable but for `cancel`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Person;
use super::promotion_status::PromotionStatus;
use super::variable::GivenVariable;
use crate::domain::promotion::parts::Parts;

/// One request to put a release into an environment. Its name is used once and for ever.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Promotion",
    namespaced,
    status = "PromotionStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "One request to put a release into an environment. Example: `kubectl wait promotions.gantry.dev/checkout-1.4.2-production --for=condition=Finished`",
    selectable = ".spec.project",
    selectable = ".spec.environment",
    selectable = ".status.finished",
    validation = Rule::new("size(self.metadata.name) <= 200")
        .message("metadata.name must have at most 200 characters; shorten it, e.g. checkout-1.4.2-production"),
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.project == oldSelf.project && self.version == oldSelf.version && self.environment == oldSelf.environment")
        .message("spec.project, spec.version and spec.environment are immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.reason) == has(oldSelf.reason) && (!has(self.reason) || self.reason == oldSelf.reason)")
        .message("spec.reason is immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.onBehalfOf) == has(oldSelf.onBehalfOf) && (!has(self.onBehalfOf) || self.onBehalfOf == oldSelf.onBehalfOf)")
        .message("spec.onBehalfOf is immutable; make a new promotion with another name"),
    validation = Rule::new("self.whenNotReady == oldSelf.whenNotReady")
        .message("spec.whenNotReady is immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.notBefore) == has(oldSelf.notBefore) && (!has(self.notBefore) || self.notBefore == oldSelf.notBefore)")
        .message("spec.notBefore is immutable; cancel this promotion and make a new one with another name"),
    validation = Rule::new("has(self.expiresAt) == has(oldSelf.expiresAt) && (!has(self.expiresAt) || self.expiresAt == oldSelf.expiresAt)")
        .message("spec.expiresAt is immutable; cancel this promotion and make a new one with another name"),
    validation = Rule::new("!has(self.notBefore) || !has(self.expiresAt) || self.expiresAt > self.notBefore")
        .message("spec.expiresAt must be after spec.notBefore; else the promotion could never start"),
    validation = Rule::new("self.priority == oldSelf.priority")
        .message("spec.priority is immutable; cancel this promotion and make a new one with another name"),
    validation = Rule::new("has(self.targets) == has(oldSelf.targets) && (!has(self.targets) || self.targets == oldSelf.targets)")
        .message("spec.targets is immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.skipSteps) == has(oldSelf.skipSteps) && (!has(self.skipSteps) || self.skipSteps == oldSelf.skipSteps)")
        .message("spec.skipSteps is immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.variables) == has(oldSelf.variables) && (!has(self.variables) || self.variables == oldSelf.variables)")
        .message("spec.variables is immutable; make a new promotion with another name"),
    validation = Rule::new("has(self.freezeOverride) == has(oldSelf.freezeOverride) && (!has(self.freezeOverride) || self.freezeOverride == oldSelf.freezeOverride)")
        .message("spec.freezeOverride is immutable; make a new promotion with another name"),
    validation = Rule::new("!has(oldSelf.requestedBy) || (has(self.requestedBy) && self.requestedBy == oldSelf.requestedBy)")
        .message("spec.requestedBy is written by the API server; leave it out"),
    validation = Rule::new("has(self.cause) == has(oldSelf.cause) && (!has(self.cause) || self.cause == oldSelf.cause)")
        .message("spec.cause is written by Gantry alone, when it makes a promotion; leave it out"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)")
        .message("spec.cancel cannot be taken back; make a new promotion with another name"),
)]
pub struct PromotionSpec {
    /// The project. Example: `project: checkout`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub project: String,
    /// The version of its release. Example: `version: 1.4.2`
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub version: String,
    /// The environment to put it into. Example: `environment: production`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub environment: String,
    /// Why, for the record. Example: `reason: CHG-1234`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The person for whom a robot asks, as the robot says. Example: `onBehalfOf: alice@example.com`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub on_behalf_of: Option<String>,
    /// What to do while the lifecycle, a block or a freeze does not allow it. Example: `whenNotReady: Wait`
    #[serde(default)]
    pub when_not_ready: WhenNotReady,
    /// When it may start. It starts then, or as soon afterwards as everything else lets it; until then it neither replaces other
    /// promotions nor is replaced. Example: `notBefore: "2026-07-01T22:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// Until when it may start; if it has not started by then, it ends as `Expired`. What runs is never stopped by it.
    /// Example: `expiresAt: "2026-07-02T02:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Higher goes first among the promotions of the project that wait for the environment, and is not replaced by lower ones.
    /// Example: `priority: 10`
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// The only targets of the environment that it goes to; omitted, all. What leaves out targets or steps is a part of the
    /// release: it replaces no other promotion, and its success does not make the release what runs there.
    /// Example: `targets: [eu]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub targets: Vec<String>,
    /// Steps of the release that it leaves out; what they had applied stays. Example: `skipSteps: [migrate]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub skip_steps: Vec<String>,
    /// Values that are asked for, or that replace others. Example: `variables: [{name: TICKET, value: CHG-1234}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub variables: Vec<GivenVariable>,
    /// Lets it start in spite of freezes, which needs the verb `override` on the environment: it must name every one that holds it.
    /// Example: `freezeOverride: {names: [year-end], reason: "CHG-1234, the shop is down"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverride>,
    /// Ends the promotion: a waiting one at once, a running one between two effects. Example: `cancel: {reason: wrong version}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// Who asked. Written by the API server; any other value is replaced. Example: `requestedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Person>,
    /// What made Gantry ask. Only on promotions that it makes itself. Example: `cause: {kind: Release, name: checkout-1.4.2, uid: 5d3c…}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl PromotionSpec {
    /// Whether targets or steps of the release are left out: then it replaces no other promotion, and its success does not make
    /// the release what runs there.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.parts().is_partial()
    }

    /// What it leaves out of its release.
    #[must_use]
    pub fn parts(&self) -> Parts {
        Parts { skip_steps: self.skip_steps.clone(), targets: self.targets.clone() }
    }
}

/// The object that a promotion of Gantry's own comes from.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Its kind: `Release` for an automatic environment of its lifecycle, `Pin`, or `Promotion` for one that failed and is rolled
    /// back. Example: `kind: Release`
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name. Example: `name: checkout-1.4.2`
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its UID. Example: `uid: 5d3c7b1e-2f4a-4c0e-9d7b-1a2b3c4d5e6f`
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// The generation of its spec, of a Pin. Example: `generation: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// What to do while the lifecycle, a block or a freeze does not allow a promotion.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenNotReady {
    /// End as `Refused`, naming what is missing.
    #[default]
    Refuse,
    /// Wait until earlier phases are complete, the block is removed, the freeze is over.
    Wait,
}

/// A wish to start in spite of freezes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezeOverride {
    /// The freezes. Example: `names: [year-end]`
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub names: Vec<String>,
    /// Why, for the record. Example: `reason: CHG-1234, the shop is down`
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
}

/// A wish to end a promotion.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Why. Example: `reason: wrong version`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}
