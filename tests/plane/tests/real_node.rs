//! What containers do on a real node. One cluster serves all but one of these.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gantry_plane::image::{self, REPOSITORY, ask};
use gantry_plane::node::real::RealNode;
use gantry_plane::{Identity, Options, Plane, Program};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod};
use kube::api::{ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_mins(2);

/// Says why nothing is tested, past the capture of a test's output; a failure where a real node is required.
fn available() -> bool {
    let answer = RealNode::available();
    if let Err(reason) = &answer {
        assert!(!RealNode::is_required(), "not run: {reason}");
        let _ = writeln!(std::io::stderr(), "not run: {reason}");
    }
    answer.is_ok()
}

async fn plane() -> &'static Plane {
    static PLANE: OnceCell<Plane> = OnceCell::const_new();
    PLANE.get_or_init(async || Plane::start(Options::real()).await.unwrap()).await
}

/// The shared cluster and a new namespace in it that takes nothing but what `restricted` allows.
async fn restricted(name: &str) -> (&'static Plane, Client) {
    let plane = plane().await;
    let client = plane.client(&Identity::Admin).await.unwrap();
    create_namespace(&client, name).await;
    (plane, client)
}

async fn create_namespace(client: &Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let namespace = json!({ "metadata": { "name": name, "labels": labels } });
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
}

async fn sample(plane: &Plane, version: &str) -> String {
    let digest = image::push_sample(plane.registry(), REPOSITORY, version).await.unwrap();
    format!("{}/{REPOSITORY}@{digest}", plane.registry().host())
}

fn container_of(image: &str, environment: &Value) -> Value {
    let environment: Vec<Value> = environment
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({
        "name": "app",
        "image": image,
        "env": environment,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "runAsNonRoot": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    })
}

fn deployment(image: &str, replicas: u8) -> Deployment {
    let mut container = container_of(image, &json!({}));
    let probe = json!({ "httpGet": { "path": "/readyz", "port": 8080 }, "periodSeconds": 1 });
    container["readinessProbe"] = probe;
    let object = json!({
        "metadata": { "name": "checkout" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "checkout" } },
            "strategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
            "template": {
                "metadata": { "labels": { "app": "checkout" } },
                "spec": { "containers": [container] },
            },
        },
    });
    serde_json::from_value(object).unwrap()
}

fn rolled_out(deployment: Option<&Deployment>) -> bool {
    let Some(deployment) = deployment else { return false };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == wanted
            && status.available_replicas == wanted
            && status.replicas == wanted
    })
}

async fn until_rolled_out(deployments: &Api<Deployment>) {
    let condition = await_condition(deployments.clone(), "checkout", rolled_out);
    tokio::time::timeout(PATIENCE, condition).await.expect("rolled out in time").unwrap();
}

/// Creates a pod of one container, and waits until `done` holds for it.
async fn pod_until(client: &Client, namespace: &str, spec: Value, done: impl Fn(&Pod) -> bool) -> Pod {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = json!({ "metadata": { "name": "pod" }, "spec": spec });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let condition = await_condition(pods.clone(), "pod", |pod: Option<&Pod>| pod.is_some_and(&done));
    let Ok(found) = tokio::time::timeout(PATIENCE, condition).await else {
        panic!("not in time: {:?}", pods.get("pod").await.unwrap().status);
    };
    found.unwrap().unwrap()
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn waits_for(pod: &Pod, reason: &str) -> bool {
    let state = container(pod).and_then(|container| container.state.as_ref());
    state.and_then(|state| state.waiting.as_ref()).is_some_and(|waiting| waiting.reason.as_deref() == Some(reason))
}

fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

/// The addresses that a Service would send requests to.
async fn serving(client: &Client, namespace: &str) -> Vec<IpAddr> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let found = pods.list(&ListParams::default().labels("app=checkout")).await.unwrap();
    let ready = |pod: &&Pod| container(pod).is_some_and(|container| container.ready);
    let staying = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
    found.iter().filter(ready).filter(staying).filter_map(address).collect()
}

#[tokio::test]
async fn a_deployment_by_digest_rolls_out_under_restricted_and_says_its_version() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("rollout").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "rollout");
    let wanted = deployment(&sample(plane, "1.0.0").await, 1);
    deployments.create(&PostParams::default(), &wanted).await.unwrap();
    until_rolled_out(&deployments).await;
    let addresses = serving(&client, "rollout").await;
    let answer = ask(*addresses.first().unwrap(), "/version").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "1.0.0"));

    let pods: Api<Pod> = Api::namespaced(client.clone(), "rollout");
    let name = pods.list(&ListParams::default()).await.unwrap().iter().next().unwrap().name_any();
    let logs = pods.logs(&name, &LogParams::default()).await.unwrap();
    assert!(logs.contains("sample 1.0.0 listens on :8080"), "{logs}");
    let arguments = ["exec", "--namespace", "rollout", &name, "--", "/sample", "version"];
    let output = plane.kubectl().unwrap().args(arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1.0.0", "{output:?}");
}

#[tokio::test]
async fn a_rolling_update_loses_no_request() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("rolling").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "rolling");
    deployments.create(&PostParams::default(), &deployment(&sample(plane, "1.0.0").await, 2)).await.unwrap();
    until_rolled_out(&deployments).await;
    let next = deployment(&sample(plane, "1.1.0").await, 2);
    deployments.patch("checkout", &PatchParams::default(), &Patch::Merge(&next)).await.unwrap();
    let rolling = until_rolled_out(&deployments);
    tokio::pin!(rolling);
    let mut versions: Vec<String> = Vec::new();
    loop {
        for address in serving(&client, "rolling").await {
            versions.push(ask(address, "/").await.expect("every request is answered").body);
        }
        if tokio::time::timeout(Duration::from_millis(20), &mut rolling).await.is_ok() {
            break;
        }
    }
    assert!(versions.iter().any(|version| version == "1.0.0"));
    assert!(versions.iter().any(|version| version == "1.1.0"), "{} requests", versions.len());
}

#[tokio::test]
async fn a_container_that_crashes_is_in_a_crash_loop_and_leaves_its_log() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("crash").await;
    let app = container_of(&sample(plane, "1.0.0").await, &json!({ "CRASH": "1" }));
    let pod =
        pod_until(&client, "crash", json!({ "containers": [app] }), |pod| waits_for(pod, "CrashLoopBackOff")).await;
    let last = container(&pod).unwrap().last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(last.exit_code, 1);
    let pods: Api<Pod> = Api::namespaced(client, "crash");
    let logs = pods.logs("pod", &LogParams { tail_lines: Some(1), ..LogParams::default() }).await.unwrap();
    assert!(logs.contains("fatal: no database at db.example:5432"), "{logs}");
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_an_image_pull_error() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("pull").await;
    let missing = format!("{}/{REPOSITORY}:9.9.9", plane.registry().host());
    let spec = json!({ "containers": [container_of(&missing, &json!({}))] });
    let pod = pod_until(&client, "pull", spec, |pod| waits_for(pod, "ErrImagePull")).await;
    let waiting = container(&pod).unwrap().state.as_ref().unwrap().waiting.as_ref().unwrap();
    let message = waiting.message.as_deref().unwrap();
    assert!(message.contains(&missing) && message.contains("not found"), "{message}");
}

#[tokio::test]
async fn a_container_without_readiness_runs_and_is_not_ready() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("unready").await;
    let mut app = container_of(&sample(plane, "1.0.0").await, &json!({ "FAIL_READINESS": "1" }));
    app["readinessProbe"] = json!({ "httpGet": { "path": "/readyz", "port": 8080 }, "periodSeconds": 1 });
    let running = |pod: &Pod| container(pod).is_some_and(|container| container.started == Some(true));
    let pod = pod_until(&client, "unready", json!({ "containers": [app] }), running).await;
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        match ask(address(&pod).unwrap(), "/readyz").await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(answer.status, 503);
    let pods: Api<Pod> = Api::namespaced(client, "unready");
    assert!(!container(&pods.get("pod").await.unwrap()).unwrap().ready);
}

#[tokio::test]
async fn what_a_job_leaves_behind_comes_back() {
    if !available() {
        return;
    }
    let (plane, client) = restricted("job").await;
    let environment = json!({ "TERMINATION_MESSAGE": "{\"migrated\": 12}", "EXIT_CODE": "3" });
    let app = container_of(&sample(plane, "1.0.0").await, &environment);
    let spec = json!({ "containers": [app], "restartPolicy": "Never" });
    let pod = pod_until(&client, "job", spec, |pod| {
        pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Failed"))
    })
    .await;
    let ended = container(&pod).unwrap().state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(ended.exit_code, 3);
    assert_eq!(ended.message.as_deref(), Some("{\"migrated\": 12}"));
}

/// Processes that have the text in their mounts or in their environment.
fn processes_of(text: &str) -> Vec<String> {
    let holds = |process: &Path| {
        ["mountinfo", "environ", "cmdline"]
            .into_iter()
            .any(|file| fs::read(process.join(file)).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let numbered =
        processes.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok()));
    numbered.filter(|process| holds(process)).map(|process| process.display().to_string()).collect()
}

/// Directories of control groups whose name is one of `names`.
fn control_groups(directory: &Path, names: &[String]) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .flat_map(|entry| {
            let mut found = control_groups(&entry.path(), names);
            if names.iter().any(|name| *name == entry.file_name().to_string_lossy()) {
                found.push(entry.path().display().to_string());
            }
            found
        })
        .collect()
}

/// What the kernel is set to, of what a kubelet wants otherwise.
fn kernel_settings() -> Vec<String> {
    let names = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"];
    names.map(|name| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap()).to_vec()
}

/// How many rules of the machine's address translation name a network device.
fn rules_of(device: &str) -> usize {
    let output = Command::new("iptables").args(["--wait", "-t", "nat", "-S", "PREROUTING"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().filter(|rule| rule.contains(&format!("-i {device} "))).count()
}

#[tokio::test]
async fn nothing_of_a_real_node_remains_after_its_end() {
    if !available() {
        return;
    }
    let settings = kernel_settings();
    let plane = Plane::start(Options::real()).await.unwrap();
    assert_eq!(kernel_settings(), settings, "the machine's settings are not ours to change");
    let client = plane.client(&Identity::Admin).await.unwrap();
    create_namespace(&client, "ending").await;
    let app = container_of(&sample(&plane, "1.0.0").await, &json!({}));
    let running = |pod: &Pod| container(pod).is_some_and(|container| container.started == Some(true));
    pod_until(&client, "ending", json!({ "containers": [app] }), running).await;
    plane.restart(Program::Containerd).await.unwrap();
    plane.restart(Program::Kubelet).await.unwrap();
    let app = container_of(&sample(&plane, "1.1.0").await, &json!({}));
    create_namespace(&client, "again").await;
    pod_until(&client, "again", json!({ "containers": [app] }), running).await;

    let directory = plane.directory().to_owned();
    let node = directory.join("node/");
    let bridge = Path::new("/sys/class/net").join(format!("gtry{}", plane.run().slot()));
    let bundles = fs::read_dir(node.join("state/io.containerd.runtime.v2.task/k8s.io")).unwrap();
    let containers: Vec<String> = bundles.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(containers.len() >= 2, "the pod's sandbox and its container");
    let groups = Path::new("/sys/fs/cgroup");
    assert!(!control_groups(groups, &containers).is_empty());
    assert!(processes_of(&node.display().to_string()).len() >= 6, "mounts, containerd, kubelet, shim, pause, sample");
    assert!(bridge.exists());
    let device = bridge.file_name().unwrap().to_str().unwrap();
    assert_eq!(rules_of(device), 1, "the way to the API server");

    plane.stop();
    assert_eq!(rules_of(device), 0);
    assert_eq!(processes_of(&node.display().to_string()), Vec::<String>::new());
    assert_eq!(control_groups(groups, &containers), Vec::<String>::new());
    assert!(!bridge.exists());
    assert!(!directory.exists());
    for place in ["/run/containerd", "/var/lib/cni", "/var/log/containers", "/var/lib/kubelet"] {
        let names = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        assert!(!names.iter().any(|name| containers.iter().any(|id| name.contains(id))), "{place}: {names:?}");
    }
}
