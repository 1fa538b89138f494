//! Simulated nodes: pods become ready, fail or finish as their annotations say. No root, no
//! containers, any number.
//!
//! | annotation of a pod | what it does |
//! |---|---|
//! | [`FAIL`]: `image-pull` | `ErrImagePull`, then `ImagePullBackOff`, as the kubelet shows them for an image that is not there |
//! | [`FAIL`]: `registry-down` | the same for a registry that does not answer |
//! | [`FAIL`]: `crash-loop` | runs, exits with [`EXIT_CODE`], restarts, `CrashLoopBackOff` |
//! | [`FAIL`]: `never-ready` | runs, and its readiness probe never passes |
//! | [`EXIT_CODE`] | the exit code of a Job's pod (0) or of a crash loop (1) |
//! | [`TERMINATION_MESSAGE`] | what a container that exits leaves behind |
//! | [`READY_AFTER`], [`RUN_FOR`] | a duration such as `3s`: until it runs; until a Job's pod exits |
//!
//! Without annotations a pod is ready at once, and the pod of a Job completes.

mod stages;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::NODE_LABEL;
use crate::authority::write_private;
use crate::error::PlaneError;
use crate::identity::Identity;
use crate::plane::Plane;
use crate::programs::Program;
use crate::run::Invocation;

/// How a pod fails: `image-pull`, `registry-down`, `crash-loop` or `never-ready`.
pub const FAIL: &str = "plane.gantry.dev/fail";
/// With which code a container exits.
pub const EXIT_CODE: &str = "plane.gantry.dev/exit-code";
/// What a container that exits leaves as its termination message.
pub const TERMINATION_MESSAGE: &str = "plane.gantry.dev/termination-message";
/// How long a pod stays pending, as a Go duration (`3s`).
pub const READY_AFTER: &str = "plane.gantry.dev/ready-after";
/// How long the pod of a Job runs, as a Go duration (`3s`).
pub const RUN_FOR: &str = "plane.gantry.dev/run-for";

/// What the log of every simulated container says, line by line.
pub const LOG: [&str; 3] = ["simulated container starts", "nothing runs here", "simulated container says no more"];

/// KWOK manages nodes with this annotation, and no others.
const MANAGED: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// Addresses of pods, which reach nobody: RFC 2544 keeps them for tests.
const POD_RANGE: &str = "198.18.0.0/16";
/// The address of every simulated node: there KWOK answers what a kubelet is asked, such as for logs.
const NODE_ADDRESS: &str = "127.0.0.1";
/// How long the nodes may take to become ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// The simulated nodes of a cluster.
#[derive(Debug)]
pub(crate) struct SimulatedNodes {
    count: usize,
}

impl SimulatedNodes {
    /// Starts KWOK and creates `count` nodes, `simulated-0` and so on. Does nothing for 0.
    pub(crate) async fn start(plane: &Plane, client: &Client, count: usize) -> Result<Self, PlaneError> {
        if count > 0 {
            start_kwok(plane).await?;
        }
        let nodes: Api<Node> = Api::all(client.clone());
        for index in 0..count {
            let node = simulated_node(index);
            let created = nodes.create(&PostParams::default(), &node).await;
            created.map_err(PlaneError::api(format!("creating node simulated-{index}")))?;
        }
        Ok(Self { count })
    }

    /// Waits until every node is ready and takes pods.
    pub(crate) async fn until_ready(&self, client: &Client) -> Result<(), PlaneError> {
        let nodes: Api<Node> = Api::all(client.clone());
        let params = ListParams::default().labels(&format!("{NODE_LABEL}=simulated"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = nodes.list(&params).await.map_err(PlaneError::api("listing the simulated nodes"))?;
            if found.iter().filter(|node| takes_pods(node)).count() >= self.count {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!("readiness of {} simulated nodes", self.count);
                return Err(PlaneError::Late { what, seconds: PATIENCE.as_secs() });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn start_kwok(plane: &Plane) -> Result<(), PlaneError> {
    let log = plane.directory().join("simulated-container.log");
    // As a container runtime writes it: time, stream, and F for a full line.
    let lines = LOG.map(|line| format!("2026-01-01T00:00:00.000000000Z stdout F {line}\n"));
    write_private(&log, lines.concat().as_bytes())?;
    let stages = plane.directory().join("kwok.yaml");
    write_private(&stages, format!("{}\n---\n{}", stages::all(), logs_from(&log)).as_bytes())?;
    let serving = plane.authority().server("kwok", &[NODE_ADDRESS])?.write(plane.directory(), "kwok")?;
    let port = plane.run().free_port()?;
    let identity = Identity::User { name: "kwok".to_owned(), groups: vec!["system:masters".to_owned()] };
    let kubeconfig = plane.kubeconfig(&identity).await?;
    let arguments = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", stages.display()),
        "--manage-all-nodes=false".to_owned(),
        format!("--manage-nodes-with-annotation-selector={}={}", MANAGED.0, MANAGED.1),
        format!("--cidr={POD_RANGE}"),
        format!("--node-ip={NODE_ADDRESS}"),
        format!("--node-port={port}"),
        format!("--server-address={NODE_ADDRESS}:{port}"),
        format!("--tls-cert-file={}", serving.certificate.display()),
        format!("--tls-private-key-file={}", serving.key.display()),
        "--node-lease-duration-seconds=40".to_owned(),
    ];
    let invocation = Invocation { program: plane.programs().path(Program::Kwok)?, arguments, environment: Vec::new() };
    plane.run().start(Program::Kwok.name(), invocation)
}

/// Has KWOK answer with this file when any container is asked for its log.
fn logs_from(file: &Path) -> Value {
    json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": { "name": "logs" },
        "spec": { "logs": [{ "logsFile": file, "previousLogsFile": file }] },
    })
}

fn simulated_node(index: usize) -> Node {
    let name = format!("simulated-{index}");
    let labels = [
        (NODE_LABEL, "simulated"),
        ("kubernetes.io/hostname", name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let annotations = BTreeMap::from([(MANAGED.0.to_owned(), MANAGED.1.to_owned())]);
    let metadata = ObjectMeta {
        labels: Some(BTreeMap::from(labels)),
        annotations: Some(annotations),
        name: Some(name),
        ..ObjectMeta::default()
    };
    Node { metadata, ..Node::default() }
}

/// Ready, and free of the taint that a new node has.
pub(crate) fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    ready && taints.is_none_or(Vec::is_empty)
}
