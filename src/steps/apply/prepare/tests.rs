use serde_json::json;

use super::*;
use crate::steps::apply::manifest::inline;
use crate::steps::apply::ownership::example::scope;

fn images() -> Vec<PinnedImage> {
    vec![PinnedImage {
        repository: "ghcr.io/acme/checkout".parse().unwrap(),
        tag: Some("1.4.2".parse().unwrap()),
        digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
    }]
}

fn prepared(manifests: &[Value]) -> Result<Vec<Prepared>, Problems> {
    prepare(inline(manifests), &scope(), &images())
}

/// The sentences about one manifest.
fn refused(manifest: Value) -> Vec<String> {
    prepared(&[manifest]).unwrap_err().told().iter().map(ToString::to_string).collect()
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

fn with(pointer: &str, value: Value) -> Value {
    let mut manifest = config_map("settings");
    let (holder, key) = pointer.rsplit_once('/').unwrap();
    manifest.pointer_mut(holder).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    manifest
}

#[test]
fn an_object_gets_its_namespace_labels_and_images() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "labels": {"app": "checkout"}, "creationTimestamp": null},
        "spec": {"template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [
            {"name": "api", "image": "ghcr.io/acme/checkout"}
        ]}}},
        "status": {},
    });
    let image = format!("ghcr.io/acme/checkout:1.4.2@sha256:{}", "a".repeat(64));
    let expected = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop-dev", "labels": {
            "app": "checkout", "gantry.dev/space": "shop", "gantry.dev/project": "checkout",
            "gantry.dev/environment": "dev", "gantry.dev/release": "1.4.2",
        }},
        "spec": {"template": {
            "metadata": {"labels": {"app": "checkout", "gantry.dev/project": "checkout", "gantry.dev/environment": "dev"}},
            "spec": {"containers": [{"name": "api", "image": image}]},
        }},
    });
    let prepared = prepared(&[deployment]).unwrap();
    assert_eq!(prepared[0].body, expected);
    assert_eq!(prepared[0].object.slashed(), "Deployment/checkout");
    assert_eq!(prepared[0].pod_template(), expected.pointer("/spec/template"));
}

#[test]
fn objects_come_in_the_order_in_which_they_are_applied() {
    let object = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}});
    let prepared = prepared(&[object("Ingress"), object("Service"), object("ConfigMap")]).unwrap();
    let kinds: Vec<_> = prepared.iter().map(|prepared| prepared.object.kind.as_str()).collect();
    assert_eq!(kinds, ["ConfigMap", "Service", "Ingress"]);
}

#[test]
fn what_is_no_object_or_names_none_is_refused() {
    for (manifest, path) in [
        (json!("text"), "manifests[0]: is not an object"),
        (json!(null), "manifests[0]: is not an object"),
        (json!({"kind": "ConfigMap", "metadata": {"name": "x"}}), "manifests[0]: apiVersion: is missing"),
        (json!({"apiVersion": "v1", "metadata": {"name": "x"}}), "manifests[0]: kind: is missing"),
        (json!({"apiVersion": "v1", "kind": "ConfigMap"}), "manifests[0]: metadata.name: is missing"),
        (with("/metadata/name", json!(7)), "manifests[0]: metadata.name: is missing"),
        (with("/metadata/name", json!("a/b")), "manifests[0]: metadata.name: is missing or malformed"),
        (with("/metadata/name", json!("..")), "manifests[0]: metadata.name: is missing or malformed"),
        (with("/apiVersion", json!("a/../b/v1")), "manifests[0]: apiVersion: is missing or malformed"),
        (with("/kind", json!("Config Map")), "manifests[0]: kind: is missing or malformed"),
    ] {
        let sentences = refused(manifest.clone());
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].starts_with(path), "{manifest}: {sentences:?}");
    }
}

#[test]
fn what_a_release_may_not_carry_is_refused_with_its_field() {
    for (manifest, expected) in [
        (
            with("/metadata/namespace", json!("other")),
            "manifests[0]: metadata.namespace: is not the target's namespace shop-dev",
        ),
        (with("/metadata/generateName", json!("x-")), "ConfigMap settings: metadata.generateName: would make"),
        (with("/metadata/ownerReferences", json!([])), "ConfigMap settings: metadata.ownerReferences:"),
        (with("/metadata/finalizers", json!(["a/b"])), "ConfigMap settings: metadata.finalizers:"),
        (with("/metadata/resourceVersion", json!("1")), "ConfigMap settings: metadata.resourceVersion:"),
        (with("/metadata/uid", json!("1")), "ConfigMap settings: metadata.uid:"),
        (
            with("/metadata/labels", json!({"gantry.dev/project": "x"})),
            "ConfigMap settings: metadata.labels: gantry.dev/project is Gantry's",
        ),
        (with("/metadata/labels", json!("x")), "ConfigMap settings: metadata.labels: is not an object"),
        (with("/status", json!({"phase": "x"})), "ConfigMap settings: status: is the cluster's"),
        (with("/apiVersion", json!("gantry.dev/v1alpha1")), "manifests[0]: apiVersion: is Gantry's own"),
        (with("/kind", json!("List")), "manifests[0]: kind: is a list"),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": [], "metadata": {"name": "x"}}),
            "manifests[0]: kind: is a list",
        ),
        (with("/data/a", json!("x".repeat(OBJECT_MAX))), "ConfigMap settings: is larger than 256 KiB"),
    ] {
        let sentences = refused(manifest);
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].starts_with(expected), "{sentences:?}");
    }
}

#[test]
fn a_label_of_ours_in_a_pod_template_is_refused() {
    let sentences = refused(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {"template": {"metadata": {"labels": {"gantry.dev/release": "1"}}}},
    }));
    assert_eq!(
        sentences,
        ["Deployment x: spec.template.metadata.labels: gantry.dev/release is Gantry's own label: remove it"]
    );
}

#[test]
fn the_same_object_twice_is_refused_whatever_its_version() {
    let twice = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}),
        json!({"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "x"}}),
    ];
    let problems = prepared(&twice).unwrap_err();
    assert!(problems.to_string().contains("names an object that the step has already"), "{problems}");
}

#[test]
fn all_problems_are_told_at_once() {
    let mut bad = with("/metadata/finalizers", json!([]));
    bad["metadata"]["generateName"] = json!("x");
    let problems = prepared(&[json!(1), bad, config_map("fine")]).unwrap_err();
    assert_eq!(problems.told().len(), 3);
    assert!(problems.told().iter().all(|problem| problem.step == "deploy"));
}

#[test]
fn an_image_that_is_no_package_is_a_problem_of_its_own_class() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
                     "spec": {"containers": [{"name": "a", "image": "busybox"}]}});
    let problems = prepared(&[pod]).unwrap_err();
    assert_eq!(problems.reason(), ProblemReason::InvalidImage);
    assert_eq!(problems.told()[0].path, "spec.containers[0].image");
}

#[test]
fn too_many_objects_are_refused() {
    let many: Vec<_> = (0..=OBJECTS_MAX).map(|n| config_map(&format!("c{n}"))).collect();
    assert!(prepared(&many).unwrap_err().to_string().contains("at most 500 objects"));
}

// Attack T16.
#[test]
fn no_pod_of_a_release_runs_as_an_account_that_gantry_acts_as() {
    let pod = |account: &str| json!({"serviceAccountName": account, "containers": []});
    let of = |api_version: &str, kind: &str, spec: Value| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    let template = |account: &str| json!({"template": {"spec": pod(account)}});
    for account in ["gantry-deployer", "gantry-console"] {
        let old = json!({"serviceAccount": account, "containers": []});
        let scheduled = json!({"jobTemplate": {"spec": template(account)}});
        for (manifest, path) in [
            (of("v1", "Pod", pod(account)), "Pod x: spec.serviceAccountName"),
            (of("v1", "Pod", old), "Pod x: spec.serviceAccount"),
            (of("batch/v1", "Job", template(account)), "Job x: spec.template.spec.serviceAccountName"),
            (of("apps/v1", "Deployment", template(account)), "Deployment x: spec.template.spec.serviceAccountName"),
            (of("batch/v1", "CronJob", scheduled), "CronJob x: spec.jobTemplate.spec.template.spec.serviceAccountName"),
            (
                of("example.dev/v1", "Rocket", json!({"stages": [template(account)]})),
                "Rocket x: spec.stages[0].template.spec.serviceAccountName",
            ),
        ] {
            let problems = prepared(&[manifest]).unwrap_err();
            let told: Vec<_> = problems.told().iter().map(|problem| (problem.reason, problem.to_string())).collect();
            let sentence = format!(
                "{path}: {account} is for Gantry to act as, and no pod runs as it: name another ServiceAccount"
            );
            assert_eq!(told, [(ProblemReason::Forbidden, sentence)]);
        }
    }
    assert!(prepared(&[of("v1", "Pod", pod("default"))]).is_ok());
}
