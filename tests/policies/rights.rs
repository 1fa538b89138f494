//! What the operator may do, as the API server says it, and what it may not, tried with its own token.

use std::collections::BTreeSet;
use std::path::Path;

use http::Request;
use k8s_openapi::api::authorization::v1::{ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::confinement::{binding, labelled};
use super::{Shop, apply};
use crate::support::wait;

/// How many rules of the operator hold for the whole cluster, at most.
const MOST_RULES: usize = 25;

/// One right a line.
fn lines(rules: &[ResourceRule]) -> BTreeSet<String> {
    let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut found = BTreeSet::new();
    for rule in rules {
        let names = all(&rule.resource_names).join(",");
        for group in all(&rule.api_groups) {
            for resource in all(&rule.resources) {
                for verb in &rule.verbs {
                    found.insert(format!("{group}/{resource} {verb} {names}").trim_end().to_owned());
                }
            }
        }
    }
    found
}

async fn rights(shop: &Shop, namespace: &str) -> BTreeSet<String> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let api: Api<SelfSubjectRulesReview> = Api::all(shop.operator.clone());
    let status = api.create(&PostParams::default(), &review).await.expect("an answer").status.expect("a status");
    lines(&status.resource_rules)
}

// Attacks T14, T15.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_may_do_is_what_was_agreed() {
    let shop = Shop::open().await;
    let target = format!("{}-dev", shop.space.name);
    apply(&shop.operator, labelled(&target, &shop.space.name)).await.expect("a namespace of a space");
    shop.space.apply(binding(&target, "gantry-impersonator")).await;
    let everywhere = rights(&shop, "default").await;
    let inside = wait::eventually("the right to act as the accounts", || async {
        let inside = rights(&shop, &target).await;
        inside.iter().any(|right| right.contains("impersonate")).then_some(inside)
    })
    .await;
    let own = rights(&shop, "gantry-system").await;
    let besides = |rights: &BTreeSet<String>| rights.difference(&everywhere).cloned().collect::<Vec<_>>().join("\n");
    let text = format!(
        "# Everywhere\n{}\n\n# Besides, in its own namespace\n{}\n\n# Besides, in the namespace of an environment\n{}\n",
        everywhere.iter().cloned().collect::<Vec<_>>().join("\n"),
        besides(&own),
        besides(&inside),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/rights.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("a file that can be written");
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, agreed, "read the difference, then UPDATE_GOLDEN=1 cargo test --test integration rights");
    for right in &inside {
        let forbidden = ["*", " escalate", "webhookconfigurations", "nodes", "/token", "certificatesigningrequests"];
        assert!(!forbidden.iter().any(|word| right.contains(word)), "{right}");
        let named = right.contains(" bind ") || right.contains(" impersonate ");
        assert!(named || !right.contains(" bind") && !right.contains(" impersonate"), "only by name: {right}");
    }
    assert!(!everywhere.iter().any(|right| right.starts_with("/secrets")), "Secrets only where a space says so");
}

// Attack T14.
#[test]
fn few_rules_of_the_operator_hold_for_the_whole_cluster() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rbac.yaml");
    let documents = gantry_plane::manifests::documents(&std::fs::read_to_string(path).expect("a file")).expect("YAML");
    let operator = documents
        .iter()
        .find(|document| document["kind"] == "ClusterRole" && document["metadata"]["name"] == "gantry-operator");
    let rules = operator.and_then(|role| role["rules"].as_array()).expect("its rules").len();
    assert!(rules <= MOST_RULES, "{rules}");
    let told = format!("\n  {rules} rules of the operator hold for the whole cluster.");
    assert!(include_str!("../../README.md").contains(&told), "the README must say {told}");
    // No other role is bound to anybody for the whole cluster.
    let bound: Vec<_> = documents
        .iter()
        .filter(|document| document["kind"] == "ClusterRoleBinding")
        .map(|document| (&document["roleRef"]["name"], &document["subjects"]))
        .collect();
    let operator = json!([{"kind": "ServiceAccount", "name": "gantry", "namespace": "gantry-system"}]);
    assert_eq!(bound, [(&json!("gantry-operator"), &operator)]);
}

/// What is tried: method, path, and what is sent.
fn forbidden(space: &str, target: &str) -> Vec<(&'static str, String, Value)> {
    let meta = |name: &str| json!({"metadata": {"name": name}});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let bound = json!({"metadata": {"name": "gantry-deployer"}, "roleRef": role, "subjects": []});
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let container = json!([{"name": "x", "image": "x"}]);
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": container}});
    let labels = json!({"metadata": {"labels": {"gantry.dev/space": "mine"}}});
    let lease = json!({"metadata": {"name": "x"}, "spec": {"holderIdentity": "x"}});
    let promotion = json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion", "metadata": {"name": "x"},
        "spec": {"project": "checkout", "version": "1.0.0", "environment": "dev"}});
    let pin = json!({"apiVersion": "gantry.dev/v1alpha1", "kind": "Pin", "metadata": {"name": "checkout.dev"},
        "spec": {"project": "checkout", "version": "1.0.0", "environment": "dev"}});
    let own = format!("/apis/gantry.dev/v1alpha1/namespaces/{space}");
    let none = Value::Null;
    vec![
        ("GET", "/api/v1/secrets".into(), none.clone()),
        ("GET", "/api/v1/namespaces/kube-system/secrets".into(), none.clone()),
        ("GET", format!("/api/v1/namespaces/{space}/secrets"), none.clone()),
        ("GET", format!("/api/v1/namespaces/{target}/secrets"), none.clone()),
        ("GET", "/api/v1/configmaps".into(), none.clone()),
        ("GET", "/api/v1/pods".into(), none.clone()),
        ("GET", "/api/v1/nodes".into(), none.clone()),
        ("GET", "/api/v1/nodes/x/proxy/pods".into(), none.clone()),
        ("GET", "/metrics".into(), none.clone()),
        ("GET", format!("/api/v1/namespaces/{target}/pods/x/log"), none.clone()),
        ("POST", format!("/api/v1/namespaces/{target}/pods"), pod),
        ("POST", format!("/api/v1/namespaces/{target}/pods/x/exec?command=sh"), none.clone()),
        ("POST", format!("/apis/apps/v1/namespaces/{target}/deployments"), meta("x")),
        ("POST", format!("/apis/batch/v1/namespaces/{target}/jobs"), meta("x")),
        ("POST", "/api/v1/persistentvolumes".into(), meta("x")),
        ("POST", format!("{rbac}/clusterroles"), meta("x")),
        ("PATCH", format!("{rbac}/clusterroles/gantry-operator"), json!({"rules": []})),
        ("POST", format!("{rbac}/clusterrolebindings"), bound.clone()),
        ("POST", format!("{rbac}/namespaces/{target}/roles"), meta("x")),
        ("POST", format!("{rbac}/namespaces/{target}/rolebindings"), bound.clone()),
        ("POST", format!("{rbac}/namespaces/kube-system/rolebindings"), bound),
        ("POST", format!("{admission}/validatingwebhookconfigurations"), meta("x")),
        ("POST", format!("{admission}/mutatingwebhookconfigurations"), meta("x")),
        ("DELETE", format!("{admission}/validatingadmissionpolicies/status.gantry.dev"), none.clone()),
        ("DELETE", format!("{admission}/validatingadmissionpolicybindings/status.gantry.dev"), none.clone()),
        ("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/promotions.gantry.dev".into(), json!({})),
        ("PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval".into(), meta("x")),
        ("POST", "/api/v1/namespaces/gantry-system/serviceaccounts/gantry/token".into(), token.clone()),
        ("POST", format!("/api/v1/namespaces/{target}/serviceaccounts/default/token"), token),
        ("POST", "/api/v1/namespaces/kube-system/serviceaccounts".into(), meta("gantry-deployer")),
        ("POST", format!("/api/v1/namespaces/{target}/serviceaccounts"), meta("other")),
        ("PATCH", "/api/v1/namespaces/kube-system".into(), labels.clone()),
        ("PATCH", "/api/v1/namespaces/gantry-system".into(), labels.clone()),
        ("PATCH", format!("/api/v1/namespaces/{target}"), labels),
        ("DELETE", "/api/v1/namespaces/default".into(), none.clone()),
        ("DELETE", format!("/api/v1/namespaces/{space}"), none.clone()),
        ("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases".into(), lease),
        ("POST", format!("{own}/promotions"), promotion),
        ("POST", format!("{own}/pins"), pin.clone()),
        ("POST", "/apis/gantry.dev/v1alpha1/namespaces/gantry-system/pins".into(), pin),
        ("DELETE", format!("{own}/environments/dev"), none.clone()),
        ("DELETE", format!("{own}/auditrecords/x"), none),
    ]
}

// Attacks T14, T15.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_the_operators_token_is_tried_for_is_refused() {
    let shop = Shop::open().await;
    let target = format!("{}-dev", shop.space.name);
    apply(&shop.operator, labelled(&target, &shop.space.name)).await.expect("a namespace of a space");
    let mut attempts: Vec<(&str, String, Value, Option<&str>)> = forbidden(&shop.space.name, &target)
        .into_iter()
        .map(|(method, path, body)| (method, path, body, None))
        .collect();
    let admin = Some("system:serviceaccount:kube-system:namespace-controller");
    for identity in [Some("kubernetes-admin"), admin, Some("system:serviceaccount:gantry-system:default")] {
        attempts.push(("GET", "/api/v1/namespaces".into(), Value::Null, identity));
    }
    assert!(attempts.len() > 40, "the README says forty-odd");
    for (method, path, body, identity) in attempts {
        let mut request = Request::builder().method(method).uri(&path);
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        request = request.header("content-type", kind);
        if let Some(identity) = identity {
            request = request.header("Impersonate-User", identity);
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = shop.operator.request_text(request.body(body).expect("a request")).await;
        match answer {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 403, "{method} {path} as {identity:?}: {}", status.message);
            }
            other => panic!("{method} {path} as {identity:?} was not refused: {other:?}"),
        }
    }
}
