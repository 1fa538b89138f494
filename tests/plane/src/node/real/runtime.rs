//! containerd.

use std::process::Stdio;

use super::requirements::Tools;
use super::{Site, display, start_isolated};
use crate::error::PlaneError;
use crate::image;
use crate::plane::Plane;
use crate::programs::Program;
use crate::readiness::until_ready;

/// The socket's file name.
pub(super) const SOCKET: &str = "containerd.sock";

/// Starts containerd in the node's mount namespace, and waits until it answers.
pub(super) async fn start(plane: &Plane, site: &Site, tools: &Tools) -> Result<(), PlaneError> {
    let config = site.write("containerd.toml", &configuration(plane, site, tools)?)?;
    start_isolated(plane, Program::Containerd, vec!["--config".to_owned(), display(&config)])?;
    let ctr = plane.programs().path(Program::Ctr)?;
    let socket = site.path(SOCKET);
    until_ready(plane.run(), Program::Containerd.name(), async || {
        let mut command = tokio::process::Command::new(&ctr);
        command.arg("--address").arg(&socket).arg("version").stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.is_ok_and(|status| status.success())
    })
    .await
}

fn configuration(plane: &Plane, site: &Site, tools: &Tools) -> Result<String, PlaneError> {
    let path = |name: &str| display(&site.path(name));
    let (root, state, socket, cni) = (path("images"), path("state"), path(SOCKET), path("cni"));
    let (no_hosts, runtimes, optional) = (path("hosts"), path("runc"), path("optional"));
    let shim = display(&plane.programs().path(Program::ContainerdShim)?);
    let (runc, plugins) = (display(&tools.runc), display(&tools.plugins));
    let pause = format!("{}/{}", plane.registry().host(), image::PAUSE);
    Ok(format!(
        "version = 3
root = '{root}'
state = '{state}'
disabled_plugins = ['io.containerd.nri.v1.nri']

[grpc]
address = '{socket}'

# Without a file for a host, localhost is asked over plain HTTP.
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = '{no_hosts}'

# The name must have a registry's host, or docker.io is asked.
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{pause}'

[plugins.'io.containerd.internal.v1.opt']
path = '{optional}'

[plugins.'io.containerd.cri.v1.runtime']
netns_mounts_under_state_dir = true
# Root in a container of its own may not lower a process's score.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{plugins}']
conf_dir = '{cni}'
use_internal_loopback = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
runtime_path = '{shim}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{runc}'
Root = '{runtimes}'
SystemdCgroup = false
"
    ))
}
