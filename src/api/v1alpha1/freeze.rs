//! `Freeze`: "nothing goes to production over the holidays", once or again and again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::Person;

/// A time in which nothing is promoted to some environments.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "Freeze",
    namespaced,
    status = "FreezeStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "A time in which nothing is promoted to some environments. Example: `kubectl get freezes -n shop`",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63")
        .message("metadata.name must be a DNS label of at most 63 characters; rename the freeze, e.g. year-end"),
    printcolumn(name = "Environments", type_ = "string", json_path = ".spec.environments"),
    printcolumn(name = "Projects", type_ = "string", json_path = ".spec.projects", priority = 1),
    printcolumn(name = "Active", type_ = "boolean", json_path = ".status.active"),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.until"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.next.start"),
    printcolumn(name = "Holds", type_ = "integer", json_path = ".status.holds"),
    printcolumn(name = "Why", type_ = "string", json_path = ".spec.reason"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.schedule) != (has(self.start) && has(self.end)) && has(self.start) == has(self.end)")
        .message("spec.start and spec.end, or spec.schedule: a freeze has one of the two; give both times, or a schedule alone"),
    validation = Rule::new("!has(self.start) || !has(self.end) || self.end > self.start")
        .message("spec.end must be after spec.start; else the freeze would hold nothing"),
)]
pub struct FreezeSpec {
    /// When it begins, of one that holds once. Example: `start: "2026-12-20T17:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// When it is over, of one that holds once. Example: `end: "2027-01-04T07:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// When it begins, of one that comes again. Example: `schedule: {cron: 0 18 * * FRI, timeZone: Europe/Berlin, duration: 62h}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<FreezeSchedule>,
    /// The environments that nothing is promoted to. Omitted: all of the space. Example: `environments: [production]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub environments: Vec<String>,
    /// The projects that are not promoted. Omitted: all of the space. Example: `projects: [checkout]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub projects: Vec<String>,
    /// Why; everybody whom it holds back reads it. Example: `reason: nobody is there`
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
    /// What becomes of promotions that run when it begins. Example: `running: Pause`
    #[serde(default)]
    pub running: FreezeRunning,
    /// Who changed it last. Written by the API server; any other value is replaced. Example: `changedBy: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Person>,
}

/// When a freeze begins, and how long it lasts.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.duration) > duration('0s') && duration(self.duration) <= duration('8784h')")
    .message("spec.schedule.duration must be more than nothing and at most 366 days (8784h), e.g. 62h"))]
pub struct FreezeSchedule {
    /// Minute, hour, day of month, month and day of week at which it begins. Example: `cron: 0 18 * * FRI`
    #[schemars(length(min = 9, max = 64), regex(pattern = r"^\S+ \S+ \S+ \S+ \S+$"))]
    pub cron: String,
    /// The time zone of the clock that it goes by, as the IANA database calls it. Example: `timeZone: Europe/Berlin`
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*$"))]
    pub time_zone: String,
    /// How long it lasts, by time that passes and not by the clock. Example: `duration: 62h`
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub duration: String,
}

/// What becomes of promotions that run when a freeze begins.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreezeRunning {
    /// They go on to their end.
    #[default]
    Finish,
    /// They stop before their next step, and go on when it is over.
    Pause,
}

/// What Gantry found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezeStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus defines them: whether it can be understood, and all that it names exists.
    /// Example: `conditions: [{type: Ready, status: "True", reason: Ready, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Whether it holds now. One that cannot be understood does. Example: `active: true`
    #[serde(default)]
    pub active: bool,
    /// When it is over that holds now. Example: `until: "2026-11-23T09:14:05Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it begins again. Example: `next: {start: "2026-12-24T00:00:00Z", end: "2026-12-27T00:00:00Z"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<FreezePeriod>,
    /// How many promotions it holds back. Example: `holds: 2`
    #[serde(default)]
    pub holds: i32,
    /// The promotions that it holds back, by name; of more than 32, the first.
    /// Example: `held: [checkout-1.4.2-production]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)))]
    pub held: Vec<String>,
}

/// A time with a start and an end.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezePeriod {
    /// Its first instant. Example: `start: "2026-12-24T00:00:00Z"`
    pub start: Time,
    /// The first instant after it. Example: `end: "2026-12-27T00:00:00Z"`
    pub end: Time,
}
