//! Whether the namespace's Pod Security level would refuse the pods of a workload: asked before anything is applied.
//!
//! The level acts on pods, not on workloads, so a pod of the template is made as a dry run. Only the level's own refusal counts; whatever
//! else stands in the way of that one pod is left to the workload's controller, and to health.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Map, Value, json};

use super::deployer::Deployer;
use super::ownership::Scope;
use super::prepare::Prepared;
use super::problem::Problem;
use super::refusal;
use crate::cluster::error::ClusterError;

/// Fields that other admission plugins look up first, and that no level looks at.
const LOOKED_UP: [&str; 3] = ["serviceAccountName", "serviceAccount", "priorityClassName"];

/// The problem, if there is one.
pub(super) async fn check(
    deployer: &Deployer,
    prepared: &Prepared,
    scope: &Scope,
) -> Result<Option<Problem>, ClusterError> {
    let Some(pod) = prepared.pod_template().and_then(pod_of) else { return Ok(None) };
    let pods: Api<Pod> = Api::namespaced(deployer.client.clone(), &deployer.namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    match pods.create(&dry, &pod).await {
        Err(kube::Error::Api(status)) if is_verdict(status.code) => Ok(violation(&status.message).map(|said| {
            let (reason, path, message) = refusal::pod_security(said);
            Problem {
                step: scope.step.clone(),
                targets: Vec::new(),
                object: prepared.object.to_string(),
                path,
                reason,
                message,
            }
        })),
        Err(error) if !matches!(error, kube::Error::SerdeError(_)) => {
            Err(ClusterError::api(format!("try a pod of {}", prepared.object), error))
        }
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Whether the API server has judged the pod: one that is too busy or broken has not, and is asked again.
const fn is_verdict(code: u16) -> bool {
    400 <= code && code < 500 && code != 429
}

/// A pod of the template; nothing if the template does not read as one, which the dry run of the workload tells better.
fn pod_of(template: &Value) -> Option<Pod> {
    let meta = |key| template.pointer(&format!("/metadata/{key}")).cloned().unwrap_or(Value::Null);
    let mut spec: Map<String, Value> = template.get("spec")?.as_object()?.clone();
    spec.retain(|key, _| !LOOKED_UP.contains(&key.as_str()));
    let pod = json!({
        "metadata": {"generateName": "gantry-check-", "labels": meta("labels"), "annotations": meta("annotations")},
        "spec": spec,
    });
    serde_json::from_value(pod).ok()
}

fn violation(message: &str) -> Option<&str> {
    message.find("violates PodSecurity").and_then(|at| message.get(at..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_the_template_has_its_labels_and_nothing_that_is_looked_up_first() {
        let template = json!({
            "metadata": {"labels": {"app": "x"}},
            "spec": {"serviceAccountName": "api", "priorityClassName": "high", "hostNetwork": true, "containers": [{"name": "a"}]},
        });
        let pod = pod_of(&template).unwrap();
        assert_eq!(pod.metadata.labels.unwrap()["app"], "x");
        let spec = pod.spec.unwrap();
        assert_eq!((spec.service_account_name, spec.priority_class_name, spec.host_network), (None, None, Some(true)));
        assert!(pod_of(&json!({"spec": {"containers": "text"}})).is_none());
    }

    #[test]
    fn an_api_server_that_is_busy_or_broken_has_let_nothing_through() {
        assert!([403, 404, 422].into_iter().all(is_verdict));
        assert!(![429, 500, 503, 504].into_iter().any(is_verdict));
    }

    #[test]
    fn only_the_level_s_own_refusal_counts() {
        let refusal = r#"pods "gantry-check-x" is forbidden: violates PodSecurity "restricted:latest": a"#;
        assert_eq!(violation(refusal), Some(r#"violates PodSecurity "restricted:latest": a"#));
        assert_eq!(violation("pods \"x\" is forbidden: exceeded quota"), None);
    }
}
