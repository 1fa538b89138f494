//! What a cluster promises to those who test with it. One cluster serves all but one of these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail so")]

use std::time::Duration;

use gantry_plane::node::simulated::{EXIT_CODE, FAIL, LOG, TERMINATION_MESSAGE};
use gantry_plane::{AuditMark, Identity, Login, Options, Plane, Program, Registry, RegistryOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Namespace, Pod};
use kube::api::{ListParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_secs(30);
/// Programs that lost their server try again after growing pauses.
const AFTER_A_RESTART: Duration = Duration::from_mins(2);

async fn plane() -> &'static Plane {
    static PLANE: OnceCell<Plane> = OnceCell::const_new();
    PLANE.get_or_init(async || Plane::start(Options::default()).await.unwrap()).await
}

async fn admin() -> Client {
    plane().await.client(&Identity::Admin).await.unwrap()
}

/// Creates a pod that does as `annotations` say, and waits until `done` holds for it.
async fn pod_until(name: &str, annotations: serde_json::Value, done: impl Fn(&Pod) -> bool) -> Pod {
    let pods: Api<Pod> = Api::default_namespaced(admin().await);
    let pod = json!({
        "metadata": { "name": name, "annotations": annotations },
        "spec": { "containers": [{ "name": "app", "image": "localhost:5000/checkout:9.9.9" }] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let condition = await_condition(pods, name, |pod: Option<&Pod>| pod.is_some_and(&done));
    tokio::time::timeout(PATIENCE, condition).await.expect("in time").unwrap().unwrap()
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn waiting(pod: &Pod) -> Option<(&str, &str)> {
    let waiting = container(pod)?.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref()?))
}

fn ready(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str())
}

#[tokio::test]
async fn a_pod_becomes_ready_on_a_simulated_node() {
    let pod = pod_until("ready", json!({}), |pod| ready(pod) == Some("True")).await;
    assert_eq!(pod.spec.unwrap().node_name.unwrap(), "simulated-0");
    assert!(pod.status.unwrap().pod_ip.unwrap().starts_with("198.18."));
}

#[tokio::test]
async fn a_failing_image_pull_shows_what_the_kubelet_would_show() {
    let backs_off = |pod: &Pod| waiting(pod).is_some_and(|(reason, _)| reason == "ImagePullBackOff");
    let pod = pod_until("image-pull", json!({ FAIL: "image-pull" }), backs_off).await;
    let (_, message) = waiting(&pod).unwrap();
    let start = "Back-off pulling image \"localhost:5000/checkout:9.9.9\": ErrImagePull: rpc error: code = NotFound";
    assert!(message.starts_with(start), "{message}");
    assert!(message.ends_with("localhost:5000/checkout:9.9.9: not found"), "{message}");
    assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Pending"));
    assert_eq!(ready(&pod), Some("False"));
}

#[tokio::test]
async fn a_crash_loop_counts_its_restarts_and_keeps_the_last_exit() {
    let annotations = json!({ FAIL: "crash-loop", EXIT_CODE: "3", TERMINATION_MESSAGE: "no database" });
    let second = |pod: &Pod| {
        waiting(pod).is_some_and(|(reason, _)| reason == "CrashLoopBackOff")
            && container(pod).is_some_and(|container| container.restart_count >= 2)
    };
    let pod = pod_until("crash-loop", annotations, second).await;
    let last = container(&pod).unwrap().last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    let pods: Api<Pod> = Api::default_namespaced(admin().await);
    let tail = LogParams { tail_lines: Some(2), previous: true, ..LogParams::default() };
    assert_eq!(pods.logs("crash-loop", &tail).await.unwrap(), format!("{}\n{}\n", LOG[1], LOG[2]));
    assert_eq!((last.exit_code, last.message.as_deref()), (3, Some("no database")));
    let (_, message) = waiting(&pod).unwrap();
    assert!(message.starts_with("back-off 10s restarting failed container=app pod=crash-loop_default("), "{message}");
    assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
}

#[tokio::test]
async fn a_pod_that_never_gets_ready_runs_all_the_same() {
    let runs = |pod: &Pod| container(pod).is_some_and(|container| container.started == Some(true));
    let pod = pod_until("never-ready", json!({ FAIL: "never-ready" }), runs).await;
    assert_eq!(ready(&pod), Some("False"));
    assert!(!container(&pod).unwrap().ready);
}

#[tokio::test]
async fn a_job_ends_with_the_exit_code_and_the_message_it_was_given() {
    for (name, code, condition) in [("succeeds", "0", "Complete"), ("fails", "4", "Failed")] {
        let jobs: Api<Job> = Api::default_namespaced(admin().await);
        let annotations = json!({ EXIT_CODE: code, TERMINATION_MESSAGE: "version: \"1.0.0\"" });
        let job = json!({
            "metadata": { "name": name },
            "spec": { "backoffLimit": 0, "template": {
                "metadata": { "annotations": annotations },
                "spec": { "restartPolicy": "Never", "containers": [{ "name": "app", "image": "localhost:5000/x:1" }] },
            } },
        });
        jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
        let ended = |job: Option<&Job>| {
            let conditions = job.and_then(|job| job.status.as_ref()?.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|c| c.type_ == condition && c.status == "True"))
        };
        tokio::time::timeout(PATIENCE, await_condition(jobs, name, ended)).await.expect("in time").unwrap();
        let pods: Api<Pod> = Api::default_namespaced(admin().await);
        let params = ListParams::default().labels(&format!("job-name={name}"));
        let pod = pods.list(&params).await.unwrap().items.remove(0);
        let exit = container(&pod).unwrap().state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((exit.exit_code.to_string().as_str(), exit.message.as_deref()), (code, Some("version: \"1.0.0\"")));
    }
}

#[tokio::test]
async fn a_deleted_pod_goes() {
    pod_until("deleted", json!({}), |pod| ready(pod) == Some("True")).await;
    let pods: Api<Pod> = Api::default_namespaced(admin().await);
    pods.delete("deleted", &kube::api::DeleteParams::default()).await.unwrap();
    let gone = await_condition(pods, "deleted", |pod: Option<&Pod>| pod.is_none());
    tokio::time::timeout(PATIENCE, gone).await.expect("in time").unwrap();
}

#[tokio::test]
async fn identities_are_who_they_say_and_may_do_nothing_by_themselves() {
    let user = Identity::User { name: "alice".to_owned(), groups: vec!["shop".to_owned(), "dev".to_owned()] };
    let many = (0..40).map(|number| format!("group-{number}")).collect();
    let member = Identity::User { name: "bob".to_owned(), groups: many };
    for identity in [user, member, Identity::service_account("default", "default")] {
        let client = plane().await.client(&identity).await.unwrap();
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
        let info = review.status.unwrap().user_info.unwrap();
        assert_eq!(info.username.unwrap(), identity.user_name());
        if let Identity::User { groups, .. } = identity {
            let found = info.groups.unwrap();
            assert!(groups.iter().all(|group| found.contains(group)), "{found:?}");
        }
        let refused = Api::<Namespace>::all(client).list(&ListParams::default()).await.unwrap_err();
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
    }
}

#[tokio::test]
async fn an_impersonated_user_is_in_the_audit_log_with_who_impersonates() {
    let audit = plane().await.audit();
    let mark = audit.mark();
    let output = plane().await.kubectl().unwrap();
    let mut kubectl = tokio::process::Command::from(output);
    kubectl.args(["create", "configmap", "seen", "--as=system:serviceaccount:default:robot", "--dry-run=server"]);
    assert!(!kubectl.output().await.unwrap().status.success(), "robot has no rights");
    let event =
        audit.find(mark, PATIENCE, |event| event.resource == "configmaps" && event.verb == "create").await.unwrap();
    assert_eq!(event.user, "gantry-plane-admin");
    assert_eq!(event.impersonated.as_deref(), Some("system:serviceaccount:default:robot"));
    assert_eq!((event.code, event.namespace.as_str(), event.dry_run), (403, "default", true));
    assert!(audit.since(audit.mark()).is_ok());
    assert!(mark > AuditMark::default());
}

#[tokio::test]
async fn the_api_server_tells_its_own_figures() {
    let metrics = plane().await.api_server_metrics().await.unwrap();
    assert!(metrics.contains("apiserver_request_total{"));
}

/// The status line of what a registry answers to `GET /v2/`.
async fn answer(registry: &Registry, header: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(registry.host().replace("localhost", "127.0.0.1")).await.unwrap();
    let request = format!("GET /v2/ HTTP/1.0\r\nHost: localhost\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_registry_with_a_password_lets_in_who_knows_it() {
    assert!(answer(plane().await.registry(), "").await.contains("200"));
    let login = Login { user: "puller".to_owned(), password: "secret".to_owned() };
    let registry = Registry::start(RegistryOptions { auth: Some(login), ..RegistryOptions::default() }).await.unwrap();
    assert!(answer(&registry, "").await.contains("401"));
    let known = "Authorization: Basic cHVsbGVyOnNlY3JldA==\r\n";
    assert!(answer(&registry, known).await.contains("200"));
    registry.halt().unwrap();
    registry.resume().await.unwrap();
    assert!(answer(&registry, known).await.contains("200"));
}

/// Makes a Deployment and waits until its pod is ready: each program of the cluster has to do its part.
async fn becomes_ready(client: &Client, name: &str) {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let labels = json!({ "app": name });
    let deployment = json!({
        "metadata": { "name": name },
        "spec": { "selector": { "matchLabels": labels }, "template": {
            "metadata": { "labels": labels },
            "spec": { "containers": [{ "name": "app", "image": "localhost:5000/checkout:1.0.0" }] },
        } },
    });
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    let ready = |deployment: Option<&Deployment>| {
        deployment.and_then(|deployment| deployment.status.as_ref()?.ready_replicas) == Some(1)
    };
    let condition = await_condition(deployments, name, ready);
    let waited = tokio::time::timeout(AFTER_A_RESTART, condition).await;
    waited.unwrap_or_else(|_| panic!("Deployment {name} is not ready in time")).unwrap();
}

#[tokio::test]
async fn a_second_cluster_keeps_its_data_and_goes_on_working_when_its_programs_are_killed() {
    let plane = Plane::start(Options::default().with_simulated_nodes(2)).await.unwrap();
    let client = plane.client(&Identity::Admin).await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map = serde_json::from_value(json!({ "metadata": { "name": "kept" } })).unwrap();
    let made: ConfigMap = maps.create(&PostParams::default(), &map).await.unwrap();
    for program in [Program::ApiServer, Program::Etcd, Program::ControllerManager, Program::Scheduler, Program::Kwok] {
        plane.restart(program).await.unwrap();
        let found = maps.get("kept").await.unwrap();
        assert_eq!(found.metadata.uid, made.metadata.uid, "after a restart of {}", program.name());
        becomes_ready(&client, &format!("after-{}", program.name())).await;
    }
    let directory = plane.directory().to_owned();
    plane.stop();
    assert!(!directory.exists());
}
