//! What commands do in a target's namespace, as its account `gantry-console`.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, LogParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::PROJECT_LABEL;
use crate::api::v1alpha1::CommandRun;
use crate::api::v1alpha1::command_run::LogsCommand;
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::controllers::environment::desired::CONSOLE;
use crate::controllers::promotion::work::redaction::hidden;
use crate::domain::command::output;
use crate::domain::command::reason::Reason;
use crate::domain::variable::SecretText;

use super::end::{End, is_refused, reason, told};

/// Annotation on the template of a workload's pods with the UID of the command that restarted them.
pub const RESTARTED_BY: &str = "gantry.dev/restarted-by";
/// How many pods of a workload are shown.
const PODS: usize = 8;
/// How often a write is tried that somebody else's write came before.
const TRIES: usize = 5;
/// The most bytes that are read of one log: lines may be of any length.
const READ: i64 = 256 * 1024;

/// One command in one namespace.
pub struct Console<'a> {
    client: Client,
    command: &'a CommandRun,
    namespace: String,
}

impl<'a> Console<'a> {
    /// The console of a namespace.
    ///
    /// # Errors
    /// When the namespace is no name.
    pub fn of(cluster: &Cluster, command: &'a CommandRun, namespace: &str) -> Result<Self, ClusterError> {
        Ok(Self { client: cluster.acting_as(namespace, CONSOLE)?, command, namespace: namespace.to_owned() })
    }

    /// The workload, if a release of the project made it.
    async fn workload(&self, workload: &str) -> Result<(Api<DynamicObject>, DynamicObject), End> {
        let (kind, name) = workload.split_once('/').unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let unread = |error: kube::Error| {
            End::failed(reason(&error), format!("{workload} cannot be read: {}", told(&error, CONSOLE)))
        };
        let read = api.get_opt(name).await.map_err(unread)?;
        let project = &self.command.spec.project;
        let Some(found) = read else {
            let message = format!("{workload} does not exist in namespace {}", self.namespace);
            return Err(End::failed(Reason::NotFound, message));
        };
        if found.labels().get(PROJECT_LABEL) != Some(project) {
            let message = format!("{workload} was not made by a release of project {project} (label {PROJECT_LABEL})");
            return Err(End::failed(Reason::NotOfProject, message));
        }
        Ok((api, found))
    }

    /// Restarts the pods of a workload.
    pub async fn restart(&self, workload: &str) -> End {
        let uid = self.command.uid().unwrap_or_default();
        for _ in 0..TRIES {
            let (api, found) = match self.workload(workload).await {
                Ok(known) => known,
                Err(end) => return end,
            };
            // Of the very object that was read, and as it was: a restart is not to undo what somebody else writes meanwhile.
            let patch = json!({
                "metadata": {"uid": found.uid(), "resourceVersion": found.resource_version()},
                "spec": {"template": {"metadata": {"annotations": {RESTARTED_BY: uid}}}},
            });
            match api.patch(&found.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => return End::succeeded(format!("{workload} restarts its pods")),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) if is_refused(&error) => {
                    let message = format!("{workload} was not restarted: {}", told(&error, CONSOLE));
                    return End::failed(reason(&error), message);
                }
                Err(error) => return self.was_restarted(workload, &told(&error, CONSOLE)).await,
            }
        }
        End::failed(Reason::Busy, format!("{workload} was not restarted: others change it all the time"))
    }

    /// Whether it was restarted by this command, after something went wrong.
    pub async fn was_restarted(&self, workload: &str, wrong: &str) -> End {
        let known = self.workload(workload).await;
        let by = |found: &DynamicObject| -> Option<String> {
            let annotations = found.data.pointer("/spec/template/metadata/annotations")?;
            annotations.get(RESTARTED_BY).and_then(Value::as_str).map(str::to_owned)
        };
        match known {
            Ok((_, found)) if by(&found).is_some() && by(&found) == self.command.uid() => {
                End::succeeded(format!("{workload} restarts its pods"))
            }
            _ => {
                let message = format!("nobody knows whether {workload} was restarted: {wrong}");
                End::unknown(Reason::NoAnswer, message)
            }
        }
    }

    /// The last lines of a workload's pods, without these secrets.
    ///
    /// # Errors
    /// How it ended without them.
    pub async fn logs(&self, logs: &LogsCommand, secrets: &[SecretText]) -> Result<End, End> {
        let (_, found) = self.workload(&logs.workload).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let selector = found.data.pointer("/spec/selector").and_then(selector);
        let selector = selector.ok_or_else(|| {
            let message = format!("{} selects its pods in a way that Gantry does not understand", logs.workload);
            End::failed(Reason::NotUnderstood, message)
        })?;
        let unlisted = |error: kube::Error| {
            let message = format!("the pods of {} cannot be listed: {}", logs.workload, told(&error, CONSOLE));
            End::failed(reason(&error), message)
        };
        let mut listed = pods.list(&ListParams::default().labels(&selector)).await.map_err(unlisted)?.items;
        listed.sort_by_key(ResourceExt::name_any);
        let (all, mut text) = (listed.len(), String::new());
        for pod in listed.iter().take(PODS) {
            text.push_str(&self.of_pod(&pods, pod, logs).await);
        }
        let shown = if all > PODS { format!("{PODS} of {all} pods") } else { format!("{all} pods") };
        let message = format!("the last {} lines of {shown} of {}", logs.tail, logs.workload);
        let output = output::tail(&hidden(output::plain(&text), secrets), output::BYTES);
        Ok(End { output: Some(output), ..End::succeeded(message) })
    }

    /// The log of one pod under its name, or why there is none.
    async fn of_pod(&self, pods: &Api<Pod>, pod: &Pod, logs: &LogsCommand) -> String {
        let first = pod.spec.as_ref().and_then(|spec| spec.containers.first()).map(|container| container.name.clone());
        let container = logs.container.clone().or(first).unwrap_or_default();
        let name = pod.name_any();
        let params = LogParams {
            container: Some(container.clone()),
            tail_lines: Some(i64::from(logs.tail)),
            limit_bytes: Some(READ),
            ..LogParams::default()
        };
        let none = |error: kube::Error| format!("(no log: {})", told(&error, CONSOLE));
        let said = pods.logs(&name, &params).await.unwrap_or_else(none);
        format!("==> {name}/{container} <==\n{}\n", said.trim_end())
    }
}

/// The labels that a workload selects its pods by, as a query has them.
fn selector(selector: &Value) -> Option<String> {
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).map_or(0, Vec::len);
    let labels = selector.get("matchLabels")?.as_object()?;
    let pairs: Option<Vec<String>> =
        labels.iter().map(|(name, value)| Some(format!("{name}={}", value.as_str()?))).collect();
    pairs.filter(|pairs| !pairs.is_empty() && expressions == 0).map(|pairs| pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_a_query_or_is_not_understood() {
        let labels = json!({"matchLabels": {"app": "checkout", "tier": "web"}});
        assert_eq!(selector(&labels).as_deref(), Some("app=checkout,tier=web"));
        for other in [
            json!({}),
            json!({"matchLabels": {}}),
            json!({"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}),
        ] {
            assert_eq!(selector(&other), None, "{other}: it would show pods of others");
        }
    }
}
