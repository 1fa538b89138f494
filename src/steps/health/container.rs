//! One container of a pod: what it waits for, and whether it ever will run. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateWaiting, ContainerStatus, Pod};

use super::image_pull::{Cause, cause};
use super::{Assessment, Case, ContainerRef, Failure, FailureReason};

/// A container in its pod.
pub(super) struct Container<'a> {
    pub case: &'a Case<'a>,
    pub pod: &'a Pod,
    pub status: &'a ContainerStatus,
}

impl Container<'_> {
    /// Nothing if there is nothing to say of it.
    pub(super) fn assess(&self) -> Option<Assessment> {
        let state = self.status.state.as_ref()?;
        if let Some(waiting) = &state.waiting {
            return self.waiting(waiting);
        }
        let crashed = state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0);
        (crashed && self.restarts()).then(|| self.crashed())
    }

    fn waiting(&self, waiting: &ContainerStateWaiting) -> Option<Assessment> {
        let message = waiting.message.as_deref().unwrap_or_default();
        let reason = match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
                return Some(self.image_pull(message));
            }
            "CrashLoopBackOff" => return Some(self.crashed()),
            "InvalidImageName" => FailureReason::InvalidImageName,
            "ErrImageNeverPull" => FailureReason::ErrImageNeverPull,
            // The kubelet's own caches come a moment after the objects: "failed to sync secret cache".
            "CreateContainerConfigError" if !message.contains("failed to sync") => {
                FailureReason::CreateContainerConfigError
            }
            "" | "ContainerCreating" | "PodInitializing" => return None,
            other => {
                let message = format!("{}: {other}: {message} {}", self.case.what, self.place());
                return Some(Assessment::progressing(message, Some(self.reference())));
            }
        };
        let failure = self.case.failure(reason, &format!("{message} {}", self.place()));
        Some(self.case.limits.certain(self.created(), Duration::ZERO, failure.of(self.reference())))
    }

    fn image_pull(&self, message: &str) -> Assessment {
        let limits = self.case.limits;
        let image = for_people(&self.status.image, self.pod, &self.status.name);
        let failure = |why: &str| {
            let failure =
                self.case.failure(FailureReason::ImagePullBackOff, &format!("{image} {why} {}", self.place()));
            // It never ran, so there is no log.
            Failure { container: None, ..failure }
        };
        match cause(message) {
            Cause::Certain(why) => limits.certain(self.created(), Duration::ZERO, failure(why)),
            Cause::Uncertain(why) => limits.certain(
                self.tried_since(),
                limits.fail_after.image_pull,
                failure(&format!("cannot be pulled: {why}")),
            ),
        }
    }

    /// A container that crashed, of a pod that starts it again.
    fn crashed(&self) -> Assessment {
        let limits = self.case.limits;
        let ended = [self.status.state.as_ref(), self.status.last_state.as_ref()];
        let ended = ended.into_iter().flatten().find_map(|state| state.terminated.as_ref());
        let cause = ended.map_or_else(String::new, |ended| {
            let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
            let message = ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
            let more: Vec<_> = [reason, message].into_iter().flatten().collect();
            let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(": ")) };
            format!("exit code {}{more} ", ended.exit_code)
        });
        let failure = self.case.failure(FailureReason::CrashLoopBackOff, &format!("{cause}{}", self.place()));
        let failure = failure.of(self.reference());
        let often =
            u32::try_from(self.status.restart_count).is_ok_and(|restarts| restarts >= limits.fail_after.crash_loop);
        if often {
            let last = ended.and_then(|ended| ended.finished_at.as_ref()).map_or_else(|| self.created(), |time| time.0);
            return limits.certain(last, Duration::ZERO, failure);
        }
        Assessment::progressing(failure.message, failure.container)
    }

    /// Whether the pod starts the container again when it ends badly.
    fn restarts(&self) -> bool {
        self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) != Some("Never")
    }

    /// Since when its image may have been pulled: since the pod was there, or the container before it ended.
    fn tried_since(&self) -> Timestamp {
        let status = self.pod.status.as_ref();
        let started = status.and_then(|status| status.start_time.as_ref()).map(|time| time.0);
        let inits = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
        let ended = inits.iter().chain([self.status]).flat_map(|one| [one.state.as_ref(), one.last_state.as_ref()]);
        let ended = ended.flatten().filter_map(|state| Some(state.terminated.as_ref()?.finished_at.as_ref()?.0));
        ended.chain(started).max().unwrap_or_else(|| self.created())
    }

    fn created(&self) -> Timestamp {
        self.pod.metadata.creation_timestamp.as_ref().map_or(self.case.limits.now, |time| time.0)
    }

    pub(super) fn reference(&self) -> ContainerRef {
        let ended = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
            state.is_some_and(|state| state.terminated.is_some())
        };
        ContainerRef {
            pod: self.pod.metadata.name.clone().unwrap_or_default(),
            container: self.status.name.clone(),
            previous: !ended(self.status.state.as_ref()) && ended(self.status.last_state.as_ref()),
        }
    }

    pub(super) fn place(&self) -> String {
        let reference = self.reference();
        format!("(pod {}, container {})", reference.pod, reference.container)
    }
}

/// The image as people wrote it: `checkout:9.9.9`, without the digest where it has a tag.
fn for_people(reported: &str, pod: &Pod, container: &str) -> String {
    let spec = pod.spec.as_ref();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let inits = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let image = containers.iter().chain(inits).find(|one| one.name == container).and_then(|one| one.image.as_deref());
    let image = image.unwrap_or(reported);
    match image.split_once('@') {
        Some((named, _)) if named.rsplit('/').next().is_some_and(|last| last.contains(':')) => named.to_owned(),
        Some(_) | None => image.to_owned(),
    }
}
