//! A real node: containerd, runc and kubelet, with pods on a bridge of their own.
//!
//! containerd and the kubelet run in a mount namespace of this node (`real/isolate.sh`): what they
//! mount, and what they write to fixed places such as `/run/containerd`, exists there only and goes
//! with the last process in it. What is left for the end is in `real/sweep.sh`.
//!
//! Pods reach this machine at [`gateway`], the API server also under the address of the Service
//! `kubernetes`, as everywhere, and nothing else: they have no other route beyond their bridge.

mod kubelet;
mod network;
mod requirements;
mod runtime;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::{NODE_LABEL, gateway};
use crate::authority::write_private;
use crate::error::PlaneError;
use crate::identity::Identity;
use crate::image;
use crate::plane::Plane;
use crate::programs::Program;
use crate::readiness::until_ready;
use crate::run::{Invocation, Run};
use requirements::Tools;

/// Keeps ordinary pods off the real node of a cluster that has simulated nodes too. A pod that is
/// meant for it tolerates this key.
pub const TAINT: &str = "plane.gantry.dev/real";

const ISOLATE: &str = include_str!("real/isolate.sh");
const SWEEP: &str = include_str!("real/sweep.sh");
/// The process that keeps the node's mount namespace, under its name in the run.
const HOLDER: &str = "real-node-mounts";
/// How long the node may take to become ready, with builds going on beside it.
const PATIENCE: Duration = Duration::from_mins(2);

/// The real node of a cluster. It ends with the cluster.
#[derive(Debug)]
pub struct RealNode {
    address: Ipv4Addr,
}

impl RealNode {
    /// The node's name.
    pub const NAME: &str = "real-0";

    /// Whether this machine can run one; if not, the answer is one sentence that says why.
    ///
    /// # Errors
    /// Not Linux, not root, or a tool is missing and cannot be installed.
    pub fn available() -> Result<(), String> {
        requirements::available()
    }

    /// Whether a test or demo that needs one must fail, not be left out, where there is none: `GANTRY_REQUIRE_REAL_NODE=1`.
    #[must_use]
    pub fn is_required() -> bool {
        std::env::var("GANTRY_REQUIRE_REAL_NODE").is_ok_and(|value| value == "1")
    }

    /// The node's address, under which its pods see this machine.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Starts the node in the run of `plane`, and waits until it is ready and takes pods. With
    /// `reserved`, only those that tolerate [`TAINT`].
    ///
    /// # Errors
    /// [`RealNode::available`] says no, or a program does not start.
    pub(crate) async fn start(plane: &Plane, reserved: bool) -> Result<Self, PlaneError> {
        Self::available().map_err(PlaneError::Unmet)?;
        let tools = tokio::task::spawn_blocking(Tools::find_or_install).await.map_err(|_| {
            PlaneError::Unmet("installing the tools of the real node was interrupted: start again".to_owned())
        })??;
        image::push_pause(plane.registry()).await?;
        let site = Site::create(plane.run())?;
        network::create(plane, &site)?;
        isolate(plane.run(), &site).await?;
        runtime::start(plane, &site, &tools).await?;
        kubelet::start(plane, &site, reserved).await?;
        let client = plane.client(&Identity::Admin).await?;
        until_it_takes_pods(&client, plane.run()).await?;
        Ok(Self { address: site.address })
    }
}

/// Where the node is: on the disk and in the network.
#[derive(Debug)]
struct Site {
    /// Its files, in the run's directory.
    directory: PathBuf,
    /// Its bridge. A name has at most 15 bytes.
    bridge: String,
    /// Its address on the bridge.
    address: Ipv4Addr,
}

impl Site {
    fn create(run: &Run) -> Result<Self, PlaneError> {
        let directory = run.directory().join("node");
        std::fs::create_dir(&directory).map_err(PlaneError::system(format!("making {}", directory.display())))?;
        Ok(Self { directory, bridge: format!("gtry{}", run.slot()), address: gateway(run.slot()) })
    }

    /// A file or directory of the node.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes one of its files, and gives the path.
    fn write(&self, name: &str, contents: &str) -> Result<PathBuf, PlaneError> {
        let path = self.path(name);
        write_private(&path, contents.as_bytes())?;
        Ok(path)
    }
}

/// Makes the node's mount namespace, kept by a process that does nothing else. From before that,
/// the end of the run sweeps what it will hold.
async fn isolate(run: &Run, site: &Site) -> Result<(), PlaneError> {
    let script = site.write("isolate.sh", ISOLATE)?;
    let arguments = ["--mount", "--propagation", "private", "sh"].map(str::to_owned).into_iter();
    let arguments = arguments.chain([display(&script), display(&site.directory)]).collect();
    run.start(HOLDER, Invocation { program: PathBuf::from("unshare"), arguments, environment: Vec::new() })?;
    until_ready(run, HOLDER, async || site.path("isolated").exists()).await
}

/// Starts a program in the node's mount namespace.
fn start_isolated(plane: &Plane, program: Program, mut arguments: Vec<String>) -> Result<(), PlaneError> {
    let run = plane.run();
    let holder = run.process_id(HOLDER).ok_or_else(|| PlaneError::NotStarted { program: HOLDER.to_owned() })?;
    let mut all = vec![format!("--mount=/proc/{holder}/ns/mnt"), "--".to_owned()];
    all.push(display(&plane.programs().path(program)?));
    all.append(&mut arguments);
    let environment = vec![("PATH".to_owned(), requirements::search_path())];
    run.start(program.name(), Invocation { program: PathBuf::from("nsenter"), arguments: all, environment })
}

/// Waits until the node is there, ready, and free of the taint that a new node has.
async fn until_it_takes_pods(client: &Client, run: &Run) -> Result<(), PlaneError> {
    let nodes: Api<Node> = Api::all(client.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        if nodes.get_opt(RealNode::NAME).await.ok().flatten().is_some_and(|node| takes_pods(&node)) {
            return Ok(());
        }
        for program in [Program::Containerd.name(), Program::Kubelet.name()] {
            if run.process_id(program).is_none() {
                return Err(PlaneError::Ended { program: program.to_owned(), log: run.log_tail(program) });
            }
        }
        if Instant::now() > deadline {
            let (program, log) = (Program::Kubelet.name().to_owned(), run.log_tail(Program::Kubelet.name()));
            return Err(PlaneError::NotReady { program, seconds: PATIENCE.as_secs(), log });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    ready && taints.is_none_or(|all| all.iter().all(|taint| taint.key == TAINT))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
