//! The node's bridge, and how pods are attached to it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{SWEEP, Site, display};
use crate::error::PlaneError;
use crate::run::Run;

/// Makes the bridge with the node's address, writes the CNI configuration, and has the end of the
/// run undo this and all that the node will do.
pub(super) fn create(run: &Run, site: &Site) -> Result<(), PlaneError> {
    let bridge = &site.bridge;
    if Path::new("/sys/class/net").join(bridge).exists() {
        let remedy = format!("remove it with: ip link delete {bridge}");
        return Err(PlaneError::Unmet(format!("the network device {bridge} exists and is not of this run; {remedy}")));
    }
    let sweep = site.write("sweep.sh", SWEEP)?;
    run.on_end(&format!("sh '{}' '{}' {bridge}", sweep.display(), site.directory.display()))?;
    ip(&["link", "add", bridge, "type", "bridge"])?;
    ip(&["address", "add", &format!("{}/16", site.address), "dev", bridge])?;
    ip(&["link", "set", bridge, "up"])?;
    let directory = site.path("cni");
    std::fs::create_dir(&directory).map_err(PlaneError::system(format!("making {}", directory.display())))?;
    site.write("cni/10-gantry-plane.conflist", &cni(site))?;
    Ok(())
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
            },
        }],
    })
    .to_string()
}

fn ip(arguments: &[&str]) -> Result<(), PlaneError> {
    let what = format!("ip {}", arguments.join(" "));
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(PlaneError::system(what.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PlaneError::Unmet(format!("{what} failed: {answer}")))
}
