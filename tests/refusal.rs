//! What must never be applied, and what a failed rollout says: nothing is applied before everything was checked.

use gantry::api::v1alpha1::project::Last;
use gantry::api::v1alpha1::{Project, Promotion};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::discovery::Scope as KubeScope;
use kube::{Api, Client, Discovery};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment, failing};
use crate::support::shared::shared;
use crate::support::space::Space;

/// Deploys a ConfigMap and `bad` in that order, which must fail with nothing applied; gives back everything that it said.
async fn refused(bad: impl Fn(&str) -> Value) -> String {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([config_map("first", "x"), bad(&image)])).await;
    let release = json!({"project": "checkout", "version": "1.0.0", "packages": [{"name": "api", "version": "1.0.0"}]});
    space.apply(space.object("Release", "checkout-1.0.0", release)).await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let told = crate::support::wait::object(&space.api(), &name, "refused", |known: &Promotion| {
        known.status.as_ref().is_some_and(|status| {
            status.finished || status.message.as_deref().is_some_and(|message| message.contains("cannot be sealed"))
        })
    })
    .await;
    let status = told.status.expect("a status");
    assert_ne!(status.phase.as_deref(), Some("Succeeded"));
    assert!(!status.applied, "nothing may be applied: {:?}", status.message);
    if status.finished {
        assert!(!last_end(&space, "checkout").await.applied, "the project's row says so, too");
    }
    let config_maps: Api<ConfigMap> = space.in_environment("dev");
    assert!(config_maps.get_opt("first").await.expect("an answer").is_none(), "the first object was applied");
    let details = status.failure.map(|failure| failure.details.join("\n")).unwrap_or_default();
    format!("{}\n{details}", status.message.unwrap_or_default())
}

/// How the last promotion of a project to its only environment ended, as its row says once it has ended.
async fn last_end(space: &Space, project: &str) -> Last {
    let last = |known: &Project| known.status.as_ref()?.environments.first()?.last.clone();
    let known = space.project_says(project, "that one has ended", |known| last(known).is_some()).await;
    last(&known).expect("a last end")
}

// Attack T9.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_scoped_kind_is_refused() {
    let said = refused(|_| json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "mine"}, "rules": [],
    }))
    .await;
    assert!(said.contains("ClusterRole mine: kind: ClusterRole belongs to no namespace"), "{said}");
    assert!(said.contains("remove it"), "{said}");
}

/// Every kind without a namespace that the cluster has, in every version.
async fn kinds_without_a_namespace(client: Client) -> Vec<(String, String)> {
    let discovery = Discovery::new(client).run().await.expect("discovery");
    let versions = discovery
        .groups()
        .flat_map(|group| group.versions().map(|version| group.versioned_resources(version)).collect::<Vec<_>>());
    let without = versions.flatten().filter(|(_, capabilities)| capabilities.scope == KubeScope::Cluster);
    without.map(|(resource, _)| (resource.api_version, resource.kind)).collect()
}

// Attack T9.
#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_the_cluster_that_has_no_namespace_is_applied_and_each_is_named() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    let kinds = kinds_without_a_namespace(space.client.clone()).await;
    for known in
        ["ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "MutatingWebhookConfiguration", "Namespace"]
    {
        assert!(kinds.iter().any(|(_, kind)| kind == known), "{known}: {kinds:?}");
    }
    // So many problems are told at once.
    for (number, part) in kinds.chunks(20).enumerate() {
        let project = format!("p{number}");
        let object = |(version, kind): &(String, String)| json!({"apiVersion": version, "kind": kind, "metadata": {"name": format!("x-{}", version.replace('/', "-"))}});
        let first = std::iter::once(config_map(&project, "x"));
        space.project(&project, &image, first.chain(part.iter().map(object)).collect()).await;
        space.release(&project, "1.0.0").await;
        let name = space.promote(&project, "1.0.0", "dev").await;
        let status = space.ended(&name).await.status.expect("a status");
        assert_eq!((status.phase.as_deref(), status.applied), (Some("Failed"), false));
        let said = status.failure.map(|failure| failure.details).unwrap_or_default();
        for (version, kind) in part {
            let object = format!("{kind} x-{}", version.replace('/', "-"));
            let sentence = format!(
                "{object}: kind: {kind} belongs to no namespace, and a release changes only its environment's: remove it"
            );
            assert!(said.iter().any(|one| one.contains(&sentence)), "{sentence}\n{said:#?}");
        }
    }
}

// Attack T16.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_would_run_as_an_account_of_gantry_is_refused() {
    let said = refused(|image| {
        let mut template = deployment("x", image)["spec"]["template"].clone();
        template["spec"]["restartPolicy"] = json!("Never");
        template["spec"]["serviceAccountName"] = json!("gantry-console");
        template["spec"]["automountServiceAccountToken"] = json!(false);
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"template": template}})
    })
    .await;
    let sentence = "Job x: spec.template.spec.serviceAccountName: gantry-console is for Gantry to act as, and no pod runs as it: \
                    name another ServiceAccount";
    assert!(said.contains(sentence), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_refused() {
    let said = refused(|_| json!({"apiVersion": "example.com/v1", "kind": "Rocket", "metadata": {"name": "x"}})).await;
    assert!(said.contains("Rocket x: kind: the cluster has no kind Rocket in example.com/v1"), "{said}");
    assert!(said.contains("correct it, or install its definition"), "{said}");
}

// Attack T10.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_namespace_is_refused_and_not_rewritten() {
    let said = refused(|_| {
        let mut object = config_map("x", "y");
        object["metadata"]["namespace"] = json!("kube-system");
        object
    })
    .await;
    assert!(said.contains("metadata.namespace") && said.contains("remove the field"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_no_package_is_refused() {
    let said = refused(|_| deployment("x", "docker.io/library/nginx:latest")).await;
    assert!(said.contains("spec.template.spec.containers[0].image: image docker.io/library/nginx:latest"), "{said}");
    assert!(said.contains("add it to the project's packages, or write it with @sha256:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_account_may_not_write_is_refused() {
    let said = refused(|_| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "mine"}, "rules": [],
        })
    })
    .await;
    assert!(said.contains("Role mine: ") && said.contains("gantry-deployer"), "{said}");
    assert!(said.contains("let the environment's deployer role do it, or remove the object"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_pod_security_would_refuse_fails_before_anything_is_applied() {
    let said = refused(|image| {
        let mut object = deployment("x", image);
        object["spec"]["template"]["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
        object
    })
    .await;
    assert!(said.contains("Deployment x: ") && said.contains("violates PodSecurity \"restricted"), "{said}");
    assert!(said.contains("correct the securityContext, or choose another podSecurity for the environment"), "{said}");
}

// Attack T19.
#[tokio::test(flavor = "multi_thread")]
async fn owner_references_and_finalizers_are_refused_all_at_once() {
    let said = refused(|_| {
        let mut object = config_map("x", "y");
        object["metadata"]["finalizers"] = json!(["a/b"]);
        object["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]);
        object
    })
    .await;
    for field in ["ownerReferences", "finalizers"] {
        let place = format!("spec.process[0].apply.manifests[1].metadata.{field}: ");
        assert!(said.contains(&place) && said.contains(&format!("must not set {field}: remove them")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_refused() {
    let said = refused(|_| {
        let mut object = config_map("x", "y");
        object["status"] = json!({"ready": true});
        object
    })
    .await;
    assert!(said.contains("ConfigMap x: status: is the cluster's to say: remove the field"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_than_can_be_remembered_are_refused_before_the_first_is_applied() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    space.environment("dev", 10).await;
    // Small as manifests, whose snapshot may be 256 KiB; as an inventory, with uids and all, they are larger than that.
    let step = |number: usize| {
        let name = |object: usize| format!("{}-{number}-{object:03}", "x".repeat(120));
        let manifests: Vec<Value> = (0..185)
            .map(|object| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(object)}}))
            .collect();
        json!({"name": format!("step-{number}"), "apply": {"manifests": manifests}})
    };
    let process: Vec<Value> = (0..5).map(step).collect();
    space.apply(space.object("Project", "checkout", json!({"process": process}))).await;
    space.apply(space.object("Release", "checkout-1.0.0", json!({"project": "checkout", "version": "1.0.0"}))).await;
    space.sealed("checkout-1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let status = space.ended(&name).await.status.expect("a status");
    let said = status.message.clone().unwrap_or_default();
    assert!(said.contains("target default: the project would have 925 objects there"), "{said}");
    assert!(said.contains("split the project, or give them shorter names"), "{said}");
    assert_eq!((status.phase.as_deref(), status.applied), (Some("Failed"), false));
    let config_maps: Api<ConfigMap> = space.in_environment("dev");
    let ours = ListParams::default().labels("gantry.dev/project=checkout");
    assert_eq!(config_maps.list(&ours).await.expect("a list").items.len(), 0);
}

/// Deploys this workload where no pod has room: the promotion must fail at once, not when its time is over.
async fn has_no_room(workload: impl FnOnce(&str) -> Value) -> Promotion {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    space
        .apply(json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}},
            "metadata": {"name": "small", "namespace": format!("{}-dev", space.name)}}))
        .await;
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "timeout": "5m", "apply": {"manifests": [workload(&image)]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    space.ended(&name).await
}

fn set(kind: &str, image: &str) -> Value {
    let mut set = deployment("checkout", image);
    set["kind"] = json!(kind);
    set["spec"].as_object_mut().expect("a spec").retain(|key, _| key != "replicas" || kind != "DaemonSet");
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_stateful_set_without_room_fail_at_once() {
    let promotion = has_no_room(|image| {
        let mut set = set("StatefulSet", image);
        set["spec"]["serviceName"] = json!("checkout");
        set
    })
    .await;
    failed_because(&promotion, "QuotaExceeded", &["StatefulSet checkout", "exceeded quota: small"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_deployment_without_room_fail_at_once() {
    let promotion = has_no_room(|image| deployment("checkout", image)).await;
    failed_because(&promotion, "QuotaExceeded", &["Deployment checkout", "exceeded quota: small"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_daemon_set_without_room_fail_at_once() {
    let promotion = has_no_room(|image| set("DaemonSet", image)).await;
    failed_because(&promotion, "QuotaExceeded", &["DaemonSet checkout", "exceeded quota: small"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_job_without_room_fail_at_once() {
    let promotion = has_no_room(|image| {
        let mut template = deployment("checkout", image)["spec"]["template"].clone();
        template["spec"]["restartPolicy"] = json!("Never");
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": template}})
    })
    .await;
    failed_because(&promotion, "QuotaExceeded", &["Job migrate", "exceeded quota: small"]);
}

/// Deploys a Deployment that fails this way; gives back the promotion and its space.
async fn fails(how: &str, environment: Value) -> (Space, Promotion) {
    deployed(environment, |image| failing("checkout", image, how)).await
}

/// Deploys an object; gives back the promotion, which has ended, and its space.
async fn deployed(environment: Value, manifest: impl Fn(&str) -> Value) -> (Space, Promotion) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment_with("dev", environment).await;
    let spec = json!({
        "packages": [{"name": "api", "image": image}],
        "process": [{"name": "deploy", "timeout": "20s", "apply": {"manifests": [manifest(&image)]}}],
    });
    space.apply(space.object("Project", "checkout", spec)).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&name).await;
    (space, ended)
}

fn failed_because(promotion: &Promotion, reason: &str, mentions: &[&str]) {
    let status = promotion.status.as_ref().expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Failed"), "{status:?}");
    assert_eq!(status.reason.as_deref(), Some(reason), "{status:?}");
    assert!(status.applied, "the Deployment was applied, and the status says so");
    let message = status.message.as_deref().unwrap_or_default();
    assert!(mentions.iter().all(|word| message.contains(word)), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_waited_for_as_long_as_the_environment_says() {
    let environment = json!({"order": 10, "failAfter": {"imagePull": "4s", "crashLoop": 3, "unschedulable": "5m"}});
    let (_, promotion) = fails("registry-down", environment).await;
    failed_because(&promotion, "ImagePullBackOff", &["Deployment", "checkout", "connection refused"]);
    let status = promotion.status.expect("a status");
    let (started, ended) = (status.started_at.expect("a start").0, status.finished_at.expect("an end").0);
    // When a pod was made is told in whole seconds.
    assert!(ended.duration_since(started).as_secs() >= 3, "{started} {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_fails_at_once_and_the_projects_row_says_so() {
    let environment = json!({"order": 10, "failAfter": {"imagePull": "1h", "crashLoop": 3, "unschedulable": "5m"}});
    let (space, promotion) = fails("image-pull", environment).await;
    failed_because(&promotion, "ImagePullBackOff", &["Deployment", "checkout"]);
    let last = last_end(&space, "checkout").await;
    assert!(last.applied && last.phase == "Failed", "{last:?}");
    assert!(last.message.contains("Deployment checkout") && last.message.contains("ImagePullBackOff"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fits_nowhere_fails_after_the_environments_time_in_the_schedulers_words() {
    let environment = json!({"order": 10, "failAfter": {"imagePull": "1h", "crashLoop": 3, "unschedulable": "4s"}});
    let (_, promotion) = deployed(environment, |image| {
        let mut nowhere = deployment("checkout", image);
        nowhere["spec"]["template"]["spec"]["nodeSelector"] = json!({"plane.gantry.dev/node": "nowhere"});
        nowhere
    })
    .await;
    failed_because(&promotion, "Unschedulable", &["checkout", "node(s) didn't match Pod's node affinity/selector"]);
    let status = promotion.status.expect("a status");
    let (started, ended) = (status.started_at.expect("a start").0, status.finished_at.expect("an end").0);
    assert!(ended.duration_since(started).as_secs() >= 3, "{started} {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_a_failure_at_once() {
    let (_, promotion) = deployed(json!({"order": 10}), |image| {
        let mut template = deployment("checkout", image)["spec"]["template"].clone();
        template["spec"]["restartPolicy"] = json!("Never");
        template["metadata"]["annotations"] = json!({"plane.gantry.dev/exit-code": "3"});
        let spec = json!({"backoffLimit": 0, "template": template});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": spec})
    })
    .await;
    failed_because(&promotion, "JobFailed", &["Job migrate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_fails_after_its_restarts() {
    let environment = json!({"order": 10, "failAfter": {"imagePull": "2m", "crashLoop": 1, "unschedulable": "5m"}});
    let (_, promotion) = fails("crash-loop", environment).await;
    failed_because(&promotion, "CrashLoopBackOff", &["checkout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_that_is_never_reached_fails_at_the_timeout_and_says_what_is_missing() {
    let (_, promotion) = fails("never-ready", json!({"order": 10})).await;
    failed_because(&promotion, "Timeout", &["deploy", "checkout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_project_is_refused() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    for project in ["first", "second"] {
        space.project(project, &image, json!([config_map("shared", project)])).await;
        space.release(project, "1.0.0").await;
    }
    space.deploy("first", "1.0.0", "dev").await;
    let name = space.promote("second", "1.0.0", "dev").await;
    let status = space.ended(&name).await.status.expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let said = status.message.unwrap_or_default();
    assert!(said.contains("ConfigMap shared: belongs to ") && said.contains("first"), "{said}");
    assert!(said.contains("give the object another name"), "{said}");
    let kept: ConfigMap = space.in_environment("dev").get("shared").await.expect("the ConfigMap");
    assert_eq!(kept.data.expect("data")["text"], "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_somebody_else_applied_are_a_failure_that_names_them() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    let mut theirs = config_map("shared", "theirs");
    theirs["metadata"]["namespace"] = json!(format!("{}-dev", space.name));
    space.apply(theirs).await;
    space.project("checkout", &image, json!([config_map("shared", "ours")])).await;
    space.release("checkout", "1.0.0").await;
    let name = space.promote("checkout", "1.0.0", "dev").await;
    let status = space.ended(&name).await.status.expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let details = status.failure.expect("a failure").details.join(" ");
    let said = format!("{} {details}", status.message.unwrap_or_default());
    assert!(said.contains("ConfigMap shared: data.text: data.text is managed by test"), "{said}");
    assert!(said.contains("remove it from the manifest, or set forceConflicts: true on the step"), "{said}");
}
