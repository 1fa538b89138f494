//! Health against what a real control plane writes: statuses, conditions, revisions and owners are its own.

use std::sync::Arc;
use std::time::Duration;

use gantry::steps::apply::write::Applied;
use gantry::steps::health::interest::Interest;
use gantry::steps::health::refusal;
use gantry::steps::health::{Assessment, FailAfter, FailureReason, Health, Limits, Related, assess};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::support::manifest::{deployment, failing};
use crate::support::target::Target;
use crate::support::wait;

const IMAGE: &str = "localhost:5000/checkout";
const POD: (&str, &str, &str) = ("", "v1", "Pod");
const EVENT: (&str, &str, &str) = ("", "v1", "Event");
const ROCKET: (&str, &str, &str) = ("health.example.com", "v1", "Rocket");
const REPLICA_SET: (&str, &str, &str) = ("apps", "v1", "ReplicaSet");

/// Reads the object and everything beneath it as the deployer, and judges.
async fn judge(target: &Target, one: &Applied, applied: Timestamp) -> Assessment {
    let object = &one.object;
    let api = target.seen_by_deployer((&object.group, &object.version, &object.kind));
    let found = api.get(&object.name).await.expect("the object");
    let all = async |kind| -> Vec<Arc<DynamicObject>> {
        let listed = target.seen_by_deployer(kind).list(&ListParams::default()).await.expect("a list");
        listed.items.into_iter().map(Arc::new).collect()
    };
    let events = ListParams::default().fields(refusal::FIELDS);
    let events = target.seen_by_deployer(EVENT).list(&events).await.expect("the deployer may list Events");
    let events: Vec<_> = events.items.into_iter().map(Arc::new).collect();
    let related = Related::new(&all(POD).await, &all(REPLICA_SET).await).with_refusals(&events);
    let fail_after =
        FailAfter { image_pull: Duration::from_secs(2), crash_loop: 1, unschedulable: Duration::from_secs(2) };
    assess(object, &found, &related, &Limits { fail_after, applied, now: Timestamp::now() })
}

async fn applied(target: &Target, manifest: Value, version: &str) -> (Applied, Timestamp) {
    let before = Timestamp::now();
    let mut applied = target.deploy(&[manifest], &target.terms("checkout", version)).await;
    (applied.remove(0), before)
}

async fn healthy(target: &Target, one: &Applied, since: Timestamp) {
    wait::eventually(&format!("{} is healthy", one.object), || async {
        match judge(target, one, since).await.health {
            Health::Healthy => Some(()),
            Health::Progressing { .. } => None,
            Health::Failed(failure) => panic!("{failure:?}"),
        }
    })
    .await;
}

/// The reason and sentence of the failure that it ends with.
async fn failed(target: &Target, one: &Applied, since: Timestamp) -> (FailureReason, String) {
    wait::eventually(&format!("{} has failed", one.object), || async {
        match judge(target, one, since).await.health {
            Health::Healthy => panic!("{} is healthy", one.object),
            Health::Progressing { .. } => None,
            Health::Failed(failure) => Some((failure.reason, failure.message)),
        }
    })
    .await
}

/// Applies what must fail for this reason, and gives the sentence.
async fn fails(target: &Target, manifest: Value, expected: FailureReason) -> String {
    let (one, since) = applied(target, manifest, "1.0.0").await;
    let (reason, message) = failed(target, &one, since).await;
    assert_eq!(reason, expected, "{message}");
    message
}

#[tokio::test]
async fn a_deployment_becomes_healthy_and_an_old_failure_does_not_follow_it() {
    let target = Target::create("restricted").await;
    let (one, since) = applied(&target, deployment("checkout", IMAGE), "1.0.0").await;
    assert_eq!(one.interest, Interest::WithReplicaSets);
    assert!(one.generation.is_some());
    healthy(&target, &one, since).await;
    let (bad, since) = applied(&target, failing("checkout", IMAGE, "image-pull"), "1.1.0").await;
    assert!(!matches!(judge(&target, &bad, since).await.health, Health::Healthy), "what was healthy before is not now");
    let (reason, message) = failed(&target, &bad, since).await;
    assert_eq!(reason, FailureReason::ImagePullBackOff, "{message}");
    assert!(
        message.contains("Deployment checkout: ImagePullBackOff: ") && message.contains("container api"),
        "{message}"
    );
    // Back to what had worked: pods of the failed template are still there, and say nothing about this one.
    let (good, since) = applied(&target, deployment("checkout", IMAGE), "1.0.0").await;
    healthy(&target, &good, since).await;
}

#[tokio::test]
async fn a_crash_loop_is_certain_after_its_restarts() {
    let target = Target::create("restricted").await;
    fails(&target, failing("checkout", IMAGE, "crash-loop"), FailureReason::CrashLoopBackOff).await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_is_reported_with_the_scheduler_s_words() {
    let target = Target::create("restricted").await;
    let mut nowhere = deployment("checkout", IMAGE);
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = json!({"no": "such-node"});
    let message = fails(&target, nowhere, FailureReason::Unschedulable).await;
    assert!(message.contains("nodes are available"), "{message}");
}

#[tokio::test]
async fn a_quota_without_room_is_reported_at_once() {
    let target = Target::create("restricted").await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}});
    target.apply_as("admin", quota).await;
    let message = fails(&target, deployment("checkout", IMAGE), FailureReason::QuotaExceeded).await;
    assert!(message.starts_with("Deployment checkout: QuotaExceeded: exceeded quota: small"), "{message}");
}

#[tokio::test]
async fn pods_that_become_forbidden_after_the_check_are_reported_at_once() {
    let target = Target::create("privileged").await;
    let mut privileged = deployment("checkout", IMAGE);
    privileged["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    let terms = target.terms("checkout", "1.0.0");
    let checked = target.check(&[privileged], &terms).await.expect("no problem yet");
    target.enforce("restricted").await;
    let since = Timestamp::now();
    let held = &crate::support::target::Held;
    let one = gantry::steps::apply::write::write(&target.deployer, &checked[0], (&terms, held)).await.expect("written");
    let (reason, message) = failed(&target, &one, since).await;
    assert_eq!(reason, FailureReason::PodSecurity, "{message}");
}

#[tokio::test]
async fn pods_of_a_daemon_set_that_become_forbidden_after_the_check_are_reported_at_once() {
    let target = Target::create("privileged").await;
    let mut template = deployment("checkout", IMAGE)["spec"]["template"].clone();
    template["spec"]["hostNetwork"] = json!(true);
    let every = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "checkout"},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": template}});
    let terms = target.terms("checkout", "1.0.0");
    let checked = target.check(&[every], &terms).await.expect("no problem yet");
    target.enforce("restricted").await;
    let since = Timestamp::now();
    let held = &crate::support::target::Held;
    let one = gantry::steps::apply::write::write(&target.deployer, &checked[0], (&terms, held)).await.expect("written");
    let (reason, message) = failed(&target, &one, since).await;
    assert_eq!(reason, FailureReason::PodSecurity, "{message}");
    assert!(message.starts_with("DaemonSet checkout: PodSecurity: violates PodSecurity"), "{message}");
}

#[tokio::test]
async fn workloads_of_every_kind_become_healthy() {
    let target = Target::create("restricted").await;
    let template = deployment("checkout", IMAGE)["spec"]["template"].clone();
    let selector = json!({"matchLabels": {"app": "checkout"}});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "checkout"},
        "spec": {"replicas": 2, "serviceName": "checkout", "selector": selector, "template": template}});
    let every = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "checkout"},
        "spec": {"selector": selector, "template": template}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let none = {
        let mut none = deployment("none", IMAGE);
        none["spec"]["replicas"] = json!(0);
        none
    };
    let mut finite = template.clone();
    finite["spec"]["restartPolicy"] = json!("Never");
    let job =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": finite}});
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone", "labels": {"app": "alone"}}});
    pod["spec"] = template["spec"].clone();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "checkout"},
        "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80}]}});
    for manifest in [set, every, claim, none, job, pod, service] {
        let (one, since) = applied(&target, manifest, "1.0.0").await;
        healthy(&target, &one, since).await;
    }
    let completed = target.api(("batch", "v1", "Job")).get("migrate").await.expect("the Job");
    assert_eq!(completed.data["status"]["succeeded"], 1, "a Job is healthy when it is complete, not while it runs");
    let running = target.api(POD).get("alone").await.expect("the Pod");
    assert_eq!(running.data["status"]["phase"], "Running");
}

/// A kind of somebody else's with a status, and the right of the deployer to apply it, as the target's owner would give it.
async fn define_rocket(target: &Target) {
    let fields = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"type": "object", "properties": {"spec": fields, "status": fields}});
    let names = json!({"kind": "Rocket", "plural": "rockets", "singular": "rocket"});
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}});
    let rights = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "rockets"},
        "rules": [{"apiGroups": ["health.example.com"], "resources": ["rockets"], "verbs": ["get", "list", "watch", "create", "patch"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "rockets"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rockets"},
        "subjects": [{"kind": "ServiceAccount", "name": "gantry-deployer", "namespace": target.deployer.namespace}]});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "rockets.health.example.com"},
        "spec": {"group": "health.example.com", "scope": "Namespaced", "names": names, "versions": [version]}});
    gantry_plane::manifests::apply(&target.admin, "test", &definition.to_string()).await.expect("it is defined");
    for object in [rights, binding] {
        target.apply_as("admin", object).await;
    }
    let rockets = target.seen_by_deployer(ROCKET);
    wait::eventually("the deployer may see rockets", || async { rockets.get_metadata_opt("none").await.ok() }).await;
}

#[tokio::test]
async fn a_custom_kind_is_healthy_by_its_condition_ready() {
    let target = Target::create("restricted").await;
    define_rocket(&target).await;
    let rocket = json!({"apiVersion": "health.example.com/v1", "kind": "Rocket", "metadata": {"name": "one"}, "spec": {"stages": 2}});
    let (one, since) = applied(&target, rocket, "1.0.0").await;
    assert_eq!(one.interest, Interest::Itself);
    let rockets = target.api(ROCKET);
    let say = async |ready: &str| {
        let condition = json!({"type": "Ready", "status": ready, "reason": "Fueling", "message": "tank 2 is empty",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"status": {"observedGeneration": 1, "conditions": [condition]}});
        rockets
            .patch_status("one", &PatchParams::default(), &Patch::Merge(status))
            .await
            .expect("its controller speaks");
    };
    say("False").await;
    let Health::Progressing { message, .. } = judge(&target, &one, since).await.health else {
        panic!("it is not ready, and said so");
    };
    assert!(message.contains("Rocket one") && message.contains("tank 2 is empty"), "{message}");
    say("True").await;
    healthy(&target, &one, since).await;
}

#[tokio::test]
async fn a_stateful_set_is_not_healthy_by_its_old_pods() {
    let target = Target::create("restricted").await;
    let set = |template: &Value| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "checkout"},
            "spec": {"replicas": 1, "serviceName": "checkout", "selector": {"matchLabels": {"app": "checkout"}}, "template": template["spec"]["template"]}})
    };
    let (one, since) = applied(&target, set(&deployment("checkout", IMAGE)), "1.0.0").await;
    healthy(&target, &one, since).await;
    let (bad, since) = applied(&target, set(&failing("checkout", IMAGE, "image-pull")), "1.1.0").await;
    assert!(!matches!(judge(&target, &bad, since).await.health, Health::Healthy));
    let (reason, message) = failed(&target, &bad, since).await;
    assert_eq!(reason, FailureReason::ImagePullBackOff, "{message}");
}
