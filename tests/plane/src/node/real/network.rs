//! The node's bridge, how pods are attached to it, and the one Service that they reach.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{SWEEP, Site, display};
use crate::control_plane::{API_SERVICE, SERVICES};
use crate::error::PlaneError;
use crate::plane::Plane;

/// Makes the bridge with the node's address, writes the CNI configuration, and has the end of the
/// run undo this and all that the node will do.
pub(super) fn create(plane: &Plane, site: &Site) -> Result<(), PlaneError> {
    let bridge = &site.bridge;
    if Path::new("/sys/class/net").join(bridge).exists() {
        let remedy = format!("remove it with: ip link delete {bridge}");
        return Err(PlaneError::Unmet(format!("the network device {bridge} exists and is not of this run; {remedy}")));
    }
    let sweep = site.write("sweep.sh", SWEEP)?;
    plane.run().on_end(&format!("sh '{}' '{}' {bridge}", sweep.display(), site.directory.display()))?;
    ip(&["link", "add", bridge, "type", "bridge"])?;
    ip(&["address", "add", &format!("{}/16", site.address), "dev", bridge])?;
    ip(&["link", "set", bridge, "up"])?;
    serve_api(site, plane.port())?;
    let directory = site.path("cni");
    std::fs::create_dir(&directory).map_err(PlaneError::system(format!("making {}", directory.display())))?;
    site.write("cni/10-gantry-plane.conflist", &cni(site))?;
    Ok(())
}

/// What kube-proxy would do, for the one Service that every pod is told of: the API server's. Only what comes over this bridge is
/// led elsewhere, and no further than to the node's own address.
fn serve_api(site: &Site, port: u16) -> Result<(), PlaneError> {
    let server = format!("{}:{port}", site.address);
    let from = ["--wait", "--table", "nat", "--insert", "PREROUTING", "--in-interface", &site.bridge];
    let to = ["--destination", API_SERVICE, "--protocol", "tcp", "--dport", "443", "--jump", "DNAT"];
    command("iptables", &[&from[..], &to, &["--to-destination", &server]].concat())
}

/// `isGateway` would switch on forwarding for the whole machine, and pods need nothing beyond it.
fn cni(site: &Site) -> String {
    let subnet = format!("{}/16", std::net::Ipv4Addr::from_bits(site.address.to_bits() & 0xffff_0000));
    json!({
        "cniVersion": "1.0.0",
        "name": "gantry-plane",
        "plugins": [{
            "type": "bridge",
            "bridge": site.bridge,
            "isGateway": false,
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": display(&site.path("addresses")),
                "ranges": [[{ "subnet": subnet, "gateway": site.address }]],
                "routes": [{ "dst": SERVICES, "gw": site.address }],
            },
        }],
    })
    .to_string()
}

fn ip(arguments: &[&str]) -> Result<(), PlaneError> {
    command("ip", arguments)
}

fn command(name: &str, arguments: &[&str]) -> Result<(), PlaneError> {
    let what = format!("{name} {}", arguments.join(" "));
    let path = super::requirements::search_path();
    let output = Command::new(name).args(arguments).env("PATH", path).stdin(Stdio::null()).output();
    let output = output.map_err(PlaneError::system(what.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PlaneError::Unmet(format!("{what} failed: {answer}")))
}
