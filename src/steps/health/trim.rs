//! What health does not look at, which is most of an object, is not kept while its health is watched.

use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::json;

/// A copy of all that was applied, which `kubectl apply` leaves on objects.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes the template of pods out of a workload, and copies of the whole object out of its annotations.
pub fn trim(kind: &GroupVersionKind, object: &mut DynamicObject) {
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    let template = object.data.pointer_mut("/spec/template");
    if let Some(template) = template.filter(|_| matches!(kind.group.as_str(), "apps" | "batch")) {
        *template = json!({});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(group: &str, kind: &str) -> DynamicObject {
        let mut object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "x", "annotations": {LAST_APPLIED: "{…}", "deployment.kubernetes.io/revision": "2"}},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web"}]}}},
            "status": {"replicas": 2},
        }))
        .unwrap();
        trim(&GroupVersionKind::gvk(group, "v1", kind), &mut object);
        object
    }

    #[test]
    fn the_template_of_a_workload_is_not_kept_and_the_rest_is() {
        let kept = trimmed("apps", "Deployment");
        assert_eq!(kept.data, json!({"spec": {"replicas": 2, "template": {}}, "status": {"replicas": 2}}));
        let annotations = kept.metadata.annotations.unwrap();
        assert_eq!(annotations.keys().collect::<Vec<_>>(), ["deployment.kubernetes.io/revision"]);
    }

    #[test]
    fn what_a_template_is_to_other_kinds_is_not_known() {
        let kept = trimmed("example.com", "Rocket");
        assert_eq!(kept.data["spec"]["template"]["spec"]["containers"][0]["name"], "web");
    }
}
