//! Manifests that tests deploy.

use serde_json::{Value, json};

/// A Deployment of the sample on simulated nodes, that Pod Security `restricted` lets through.
pub fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": pod(image),
            },
        },
    })
}

/// A pod's spec for simulated nodes.
fn pod(image: &str) -> Value {
    json!({
        "nodeSelector": {"plane.gantry.dev/node": "simulated"},
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "api", "image": image,
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

/// The same Deployment whose pods fail as the annotation says: `image-pull`, `registry-down`, `crash-loop` or `never-ready`.
pub fn failing(name: &str, image: &str, how: &str) -> Value {
    let mut deployment = deployment(name, image);
    deployment["spec"]["template"]["metadata"]["annotations"] = json!({"plane.gantry.dev/fail": how});
    deployment
}

/// The same Deployment on a real node.
pub fn real(name: &str, image: &str, environment: &[(&str, &str)]) -> Value {
    let mut deployment = deployment(name, image);
    let spec = &mut deployment["spec"]["template"]["spec"];
    spec["nodeSelector"] = json!({"plane.gantry.dev/node": "real"});
    spec["tolerations"] = json!([{"key": "plane.gantry.dev/real", "operator": "Exists"}]);
    spec["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1});
    let variables: Vec<Value> = environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    spec["containers"][0]["env"] = variables.into();
    deployment
}

/// A ConfigMap with one entry.
pub fn config_map(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}})
}
