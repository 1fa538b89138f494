//! The Job of a script in one target: how it is written, and what is seen of it. Pure.
//!
//! Kubernetes makes one pod of it and never a second one. The kubelet ends it at its timeout; where no kubelet does, Kubernetes deletes the
//! pod a little later, and when nothing has come of that either, nobody knows.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::api::v1alpha1::bounds::Amounts;
use crate::api::v1alpha1::command_run::ScriptCommand;
use crate::api::v1alpha1::{CommandRun, Environment};
use crate::api::{ENVIRONMENT_LABEL, PROJECT_LABEL, SPACE_LABEL};
use crate::controllers::environment::desired::CONSOLE;
use crate::domain::command::reason::Reason;
use crate::domain::quantity;
use crate::domain::variable::function::sha256;

/// Label on a Job and its pod with the UID of the command whose script it is.
pub const COMMAND_LABEL: &str = "gantry.dev/command-uid";
/// What the names of such Jobs begin with.
pub const PREFIX: &str = "gantry-run-";
/// The container.
pub const CONTAINER: &str = "script";
/// How long Kubernetes waits for the kubelet after the timeout before it deletes the pod.
const KUBELET: SignedDuration = SignedDuration::from_secs(30);
/// How long after the timeout nobody will know any more.
const LAST: SignedDuration = SignedDuration::from_mins(1);
/// How long a Job is kept after its end, with its whole log.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How long a script has to end by itself when it is told to.
const GRACE: i64 = 5;
/// What a script may use at most, where the environment does not say less. Not every node knows how much disk it has: where none does, a pod
/// that asks for some fits nowhere.
const MOST: [(&str, &str); 2] = [("cpu", "1"), ("memory", "512Mi")];
/// What is set aside for it.
const ASIDE: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "64Mi")];

/// The name of the Job of a command in a target: the same whenever it is asked for.
#[must_use]
pub fn name(uid: &str, target: &str) -> String {
    let hash = sha256(&format!("{uid}/{target}"));
    format!("{PREFIX}{}", hash.get(..20).unwrap_or(&hash))
}

/// How long a script may run.
#[must_use]
pub fn timeout(script: &ScriptCommand) -> SignedDuration {
    script.timeout.parse().unwrap_or(SignedDuration::from_mins(10))
}

/// The Job of a script: one container as the console's account, without a token, as the Pod Security level `restricted` asks.
///
/// # Errors
/// When it does not read as a Job, which is a bug of ours.
pub fn write(
    (command, script): (&CommandRun, &ScriptCommand),
    (namespace, target): (&str, &str),
    (image, environment): (&str, &Environment),
) -> Result<Job, serde_json::Error> {
    let uid = command.metadata.uid.clone().unwrap_or_default();
    let space = command.metadata.namespace.clone().unwrap_or_default();
    let timeout = timeout(script);
    let limits = bounded(&MOST, &environment.spec.limits.max);
    let requests = bounded(&ASIDE, &environment.spec.limits.max);
    let pull: Vec<Value> = environment.spec.pull_secrets.iter().map(|name| json!({"name": name})).collect();
    serde_json::from_value(json!({
        "metadata": {
            "name": name(&uid, target), "namespace": namespace,
            "labels": {COMMAND_LABEL: uid, SPACE_LABEL: space, PROJECT_LABEL: command.spec.project,
                ENVIRONMENT_LABEL: command.spec.environment},
            "annotations": {"gantry.dev/command": command.name_any()},
        },
        "spec": {
            "backoffLimit": 0, "parallelism": 1, "completions": 1, "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": (timeout + KUBELET).as_secs(), "ttlSecondsAfterFinished": KEPT.as_secs(),
            "template": {
                "metadata": {"labels": {COMMAND_LABEL: uid}},
                "spec": {
                    "serviceAccountName": CONSOLE, "automountServiceAccountToken": false, "enableServiceLinks": false,
                    "restartPolicy": "Never", "activeDeadlineSeconds": timeout.as_secs(),
                    "terminationGracePeriodSeconds": GRACE, "imagePullSecrets": pull,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": CONTAINER, "image": image, "command": ["/bin/sh", "-c", script.run], "env": script.env,
                        "resources": {"limits": limits, "requests": requests},
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "privileged": false, "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    }))
}

/// These amounts, or less where that is the most that a container may have.
fn bounded(amounts: &[(&str, &str)], most: &Amounts) -> Value {
    let amount = |(name, ours): &(&str, &str)| {
        let less = most.get(*name).filter(|most| quantity::billionths(&most.0) < quantity::billionths(ours));
        ((*name).to_owned(), json!(less.map_or(*ours, |most| most.0.as_str())))
    };
    Value::Object(amounts.iter().map(amount).collect())
}

/// Until when a script may run that began at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When its timeout is over.
    pub over: Timestamp,
    /// When nobody will know any more.
    pub last: Timestamp,
}

impl Span {
    /// That of a script.
    #[must_use]
    pub fn of(script: &ScriptCommand, began: Timestamp) -> Self {
        let after = |pause: SignedDuration| began.checked_add(pause).unwrap_or(Timestamp::MAX);
        Self { over: after(timeout(script)), last: after(timeout(script) + LAST) }
    }
}

/// What is seen of a script that was begun.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// It ended with this exit code.
    Ended {
        /// The exit code.
        code: i32,
        /// Its pod, if that is still there.
        pod: Option<String>,
    },
    /// It was ended at its timeout.
    TimedOut {
        /// Its pod.
        pod: String,
    },
    /// It goes on, or has not begun yet.
    Goes {
        /// What it does or waits for.
        message: &'static str,
        /// Its pod, if there is one.
        pod: Option<String>,
    },
    /// No node took it in time: this pod never ran.
    Homeless {
        /// The pod.
        pod: String,
        /// Its UID.
        uid: String,
        /// Its version.
        version: String,
    },
    /// It never ran, and never will.
    CannotRun {
        /// Why.
        message: &'static str,
    },
    /// Nobody knows, and nobody will.
    Lost {
        /// Why, in one word.
        reason: Reason,
        /// Why.
        message: &'static str,
    },
}

/// What is seen, from the Job, its pods if they can be listed, and the time.
#[must_use]
pub fn see(job: &Job, pods: Option<&[Pod]>, (span, now): (Span, Timestamp)) -> Sight {
    let mine = |pod: &&Pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref());
    let pod = pods.unwrap_or_default().iter().find(mine);
    let sight = match pod {
        Some(pod) => of_pod(pod, (span, now)),
        None => without_pod(job, pods.is_some()),
    };
    match sight {
        Sight::Goes { .. } if now >= span.last => Sight::Lost {
            reason: Reason::NoAnswer,
            message: "it was to end at its timeout, and nothing says that it did: its node may be gone",
        },
        other => other,
    }
}

fn of_pod(pod: &Pod, (span, now): (Span, Timestamp)) -> Sight {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    let container = status.container_statuses.iter().flatten().find(|known| known.name == CONTAINER);
    let ended = status.phase.as_deref();
    let late = status.reason.as_deref() == Some("DeadlineExceeded");
    let state = container.and_then(|known| known.state.as_ref());
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        return match terminated.reason.as_deref() {
            Some("ContainerStatusUnknown") => {
                Sight::Lost { reason: Reason::NoAnswer, message: "its node lost sight of its container" }
            }
            Some("StartError" | "ContainerCannotRun") => Sight::CannotRun {
                message: "its container could not be started: does the image have a shell at /bin/sh?",
            },
            _ if late => Sight::TimedOut { pod: name },
            _ => Sight::Ended { code: terminated.exit_code, pod: Some(name) },
        };
    }
    if ended == Some("Succeeded") {
        return Sight::Ended { code: 0, pod: Some(name) };
    }
    let began = container.is_some_and(has_begun);
    match (ended, late) {
        (Some("Failed"), true) if began => return Sight::TimedOut { pod: name },
        (Some("Failed"), _) if !began => {
            return Sight::CannotRun { message: "its container had not been started when its pod was ended" };
        }
        (Some("Failed"), _) => {
            return Sight::Lost {
                reason: Reason::NoAnswer,
                message: "its pod was ended and does not say how the script ended",
            };
        }
        _ => {}
    }
    let homeless = pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none());
    if homeless && now >= span.over {
        let (uid, version) = (pod.uid().unwrap_or_default(), pod.resource_version().unwrap_or_default());
        return Sight::Homeless { pod: name, uid, version };
    }
    if homeless {
        return Sight::Goes { message: "waits for a node that has room for it", pod: None };
    }
    waiting(container, name)
}

/// Whether a container ran, however briefly.
fn has_begun(container: &ContainerStatus) -> bool {
    let ran =
        |state: &k8s_openapi::api::core::v1::ContainerState| state.running.is_some() || state.terminated.is_some();
    container.state.as_ref().is_some_and(ran) || container.last_state.as_ref().is_some_and(ran)
}

/// A container on a node that has not ended.
fn waiting(container: Option<&ContainerStatus>, pod: String) -> Sight {
    let state = container.and_then(|known| known.state.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref()).and_then(|waiting| waiting.reason.as_deref());
    match waiting {
        Some("CreateContainerConfigError") => Sight::CannotRun {
            message: "its container cannot be made: does the image run as root? It must name a user by number that is not 0",
        },
        Some("InvalidImageName" | "ErrImageNeverPull") => {
            Sight::CannotRun { message: "its image cannot be pulled there" }
        }
        Some("ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable") => Sight::Goes {
            message: "waits for its image, which cannot be pulled: see the environment's pullSecrets and the registry",
            pod: None,
        },
        _ if state.is_some_and(|state| state.running.is_some()) => Sight::Goes { message: "runs", pod: Some(pod) },
        _ => Sight::Goes { message: "is being started", pod: None },
    }
}

fn without_pod(job: &Job, listed: bool) -> Sight {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holds = |kind: &str| conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True");
    if holds("Complete") {
        return Sight::Ended { code: 0, pod: None };
    }
    if holds("Failed") && listed {
        return Sight::Lost {
            reason: Reason::JobGone,
            message: "its pod is gone, which may have been deleted by somebody",
        };
    }
    if holds("Failed") {
        return Sight::Lost { reason: Reason::Forbidden, message: "it failed, and gantry-console may not see how" };
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Sight::Lost { reason: Reason::JobGone, message: "somebody deletes its Job" };
    }
    Sight::Goes { message: "waits until Kubernetes makes its pod", pod: None }
}

#[cfg(test)]
mod tests;
