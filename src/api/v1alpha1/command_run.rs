//! `CommandRun`: "restart checkout in production", "what does it log", "run this script there", once. Immutable but for `cancel`.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type and a path of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::history::Person;
use super::promotion::Cancel;

/// One command in the targets of an environment. It is carried out at most once in each.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gantry.dev",
    version = "v1alpha1",
    kind = "CommandRun",
    namespaced,
    status = "CommandRunStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "gantry",
    doc = "One command in the targets of an environment. Example: `kubectl get commandruns -n shop`",
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(name = "Command", type_ = "string", json_path = ".status.command"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.by.username"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.logs), has(self.restart), has(self.script)].filter(given, given).size() == 1")
        .message("spec.logs, spec.restart or spec.script: a command is one of the three; give exactly one"),
    validation = Rule::new("self.environment == oldSelf.environment && self.project == oldSelf.project && self.reason == oldSelf.reason && has(self.targets) == has(oldSelf.targets) && (!has(self.targets) || self.targets == oldSelf.targets)")
        .message("spec.environment, spec.project, spec.targets and spec.reason are immutable; make a new command with another name"),
    validation = Rule::new("has(self.logs) == has(oldSelf.logs) && (!has(self.logs) || self.logs == oldSelf.logs)")
        .message("spec.logs is immutable; make a new command with another name"),
    validation = Rule::new("has(self.restart) == has(oldSelf.restart) && (!has(self.restart) || self.restart == oldSelf.restart)")
        .message("spec.restart is immutable; make a new command with another name"),
    validation = Rule::new("has(self.script) == has(oldSelf.script) && (!has(self.script) || self.script == oldSelf.script)")
        .message("spec.script is immutable; make a new command with another name"),
    validation = Rule::new("!has(oldSelf.by) || (has(self.by) && self.by == oldSelf.by)")
        .message("spec.by is written by the API server; leave it out"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)")
        .message("spec.cancel cannot be taken back; make a new command with another name"),
)]
pub struct CommandRunSpec {
    /// The environment. Example: `environment: production`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub environment: String,
    /// The only targets of the environment in which it is carried out; omitted, all. Example: `targets: [eu]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub targets: Vec<String>,
    /// The project that it is about. Example: `project: checkout`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub project: String,
    /// Why, for the record. Example: `reason: CHG-1234, it leaks memory`
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Shows what a workload logged last; needs the verb `logs` on the environment. Example: `logs: {workload: Deployment/checkout, tail: 100}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsCommand>,
    /// Restarts the pods of a workload, a few at a time; needs the verb `restart` on the environment. Example: `restart: {workload: Deployment/checkout}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartCommand>,
    /// Runs a script in a container, as the account `gantry-console` of each target; needs the verb `run` on the environment.
    /// Example: `script: {image: "ghcr.io/acme/tools:1.2", run: "psql -c 'select 1'"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptCommand>,
    /// Keeps it from targets in which it has not begun, and stops a script that runs. Example: `cancel: {reason: wrong workload}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// Who asked. Written by the API server; any other value is replaced. Example: `by: {username: alice}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
}

/// Whose log, and how much of it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsCommand {
    /// The workload that a release of the project made. Example: `workload: Deployment/checkout`
    #[schemars(
        length(min = 1, max = 253),
        regex(
            pattern = r"^(Deployment|StatefulSet|DaemonSet)/[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        )
    )]
    pub workload: String,
    /// The container; omitted, the first of each pod. Example: `container: api`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub container: Option<String>,
    /// How many of the last lines of each pod. Example: `tail: 100`
    #[serde(default = "LogsCommand::tail")]
    #[schemars(range(min = 1, max = 1000))]
    pub tail: i32,
}

impl LogsCommand {
    /// How many lines are shown unless somebody says otherwise.
    const fn tail() -> i32 {
        100
    }
}

/// What is restarted.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartCommand {
    /// The workload that a release of the project made. Example: `workload: Deployment/checkout`
    #[schemars(
        length(min = 1, max = 253),
        regex(
            pattern = r"^(Deployment|StatefulSet|DaemonSet)/[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        )
    )]
    pub workload: String,
}

/// What is run, and in what.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptCommand {
    /// The image, with a tag or a digest; it has a shell at /bin/sh, and runs as a user that is not root. The tag is resolved to a
    /// digest before the script begins. Example: `image: ghcr.io/acme/tools:1.2`
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.contains('@sha256:') || self.matches('[^/]+:[^/]+$')")
        .message("spec.script.image needs a tag or a digest, e.g. ghcr.io/acme/tools:1.2"))]
    pub image: String,
    /// The script, which /bin/sh runs. What it writes is shown, and its exit code. Example: `run: ls /data`
    #[schemars(length(min = 1, max = 16384))]
    #[x_kube(validation = Rule::new("self.matches('[^[:space:]]')")
        .message("spec.script.run is empty; write what /bin/sh is to run"))]
    pub run: String,
    /// Environment variables; no place for secrets. Example: `env: [{name: LEVEL, value: debug}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<ScriptVariable>,
    /// How long it may run in each target before it is stopped, at most 6 hours. Example: `timeout: 10m`
    #[serde(default = "ScriptCommand::timeout")]
    #[schemars(length(min = 2, max = 8), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('6h')")
        .message("spec.script.timeout is at least 1s and at most 6h"))]
    pub timeout: String,
}

impl ScriptCommand {
    /// How long a script may run unless somebody says otherwise.
    fn timeout() -> String {
        "10m".to_owned()
    }
}

/// One environment variable of a script.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptVariable {
    /// Its name. Example: `name: LEVEL`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value, as it is. Example: `value: debug`
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// What came of it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.finished) || !oldSelf.finished || (has(self.finished) && self.finished && self.phase == oldSelf.phase)")
    .message("status.phase never changes once status.finished is true"))]
pub struct CommandRunStatus {
    /// Generation of the spec that this status speaks of. Example: `observedGeneration: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Finished` and `Succeeded` for programs that wait; `Ready`, `Reconciling`, `Stalled` as kstatus defines them.
    /// Example: `conditions: [{type: Finished, status: "True", reason: Succeeded, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// `Running`, `Succeeded`, `Failed`, `Refused`, `Canceled` or `Unknown`. Example: `phase: Succeeded`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub phase: Option<String>,
    /// True once the phase will never change again. Example: `finished: true`
    #[serde(default)]
    pub finished: bool,
    /// The command in one word: `logs`, `restart` or `script`. Example: `command: script`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub command: Option<String>,
    /// The SHA-256 of the script, in hexadecimal: `printf %s "$script" | sha256sum` is the same.
    /// Example: `scriptSha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub script_sha256: Option<String>,
    /// The image of the script, by digest. Example: `image: docker.io/library/busybox:1.37@sha256:9f86d0…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 640))]
    pub image: Option<String>,
    /// How it stands and what to do next, in one sentence.
    /// Example: `message: "The script ended with exit code 0 in 1 target."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// When it ended. Example: `finishedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
    /// What came of it in each target. Example: `targets: [{name: eu, phase: Succeeded, exitCode: 0, …}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub targets: Vec<CommandTarget>,
}

/// What came of a command in one target.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandTarget {
    /// The target. Example: `name: eu`
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its namespace. Example: `namespace: shop-production`
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// `Pending`, `Started`, `Stopping`, `Succeeded`, `Failed`, `Canceled` or `Unknown`: it was begun, and nobody knows whether it was
    /// carried out. Example: `phase: Succeeded`
    #[schemars(length(max = 16))]
    pub phase: String,
    /// Why it ended so, in one word. Example: `reason: ExitCode`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub reason: Option<String>,
    /// The exit code of the script. Example: `exitCode: 1`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The Job of the script, which is kept for an hour after its end: `kubectl logs job/<name> -n <namespace>` has all that it
    /// wrote. Example: `job: gantry-run-0b5e9a1c`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub job: Option<String>,
    /// What happened, in one sentence. Example: `message: "The script ended with exit code 1."`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// The last of what it shows, without control characters, and with `***` for the values of Secrets that Gantry knows.
    /// Example: `output: "3 rows deleted"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub output: Option<String>,
    /// Whether more was there than `output` holds. Example: `truncated: true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// When it was about to begin. Example: `startedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<MicroTime>,
    /// When it ended. Example: `finishedAt: "2026-11-23T09:14:05.120334Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<MicroTime>,
}
