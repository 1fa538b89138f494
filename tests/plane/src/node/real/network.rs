//! The node's bridge, and how pods are attached to it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{SWEEP, Site, display};
use crate::error::PlaneError;
use crate::run::Run;

/// Settings of the kernel that a kubelet changes, and what it wants (`setupKernelTunables` in its
/// source).
const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the bridge with the node's address, writes the CNI configuration, and has the end of the
/// run undo this and all that the node will do.
pub(super) fn create(run: &Run, site: &Site) -> Result<(), PlaneError> {
    let bridge = &site.bridge;
    if Path::new("/sys/class/net").join(bridge).exists() {
        let remedy = format!("remove it with: ip link delete {bridge}");
        return Err(PlaneError::Unmet(format!("the network device {bridge} exists and is not of this run; {remedy}")));
    }
    site.write("settings", &changed_settings())?;
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

/// The settings that will change, one a line: name, and the value it has now.
fn changed_settings() -> String {
    let mut lines = String::new();
    for (name, wanted) in SETTINGS {
        let current = std::fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
        let current = current.trim();
        if !current.is_empty() && current != wanted {
            lines.extend([name, " ", current, "\n"]);
        }
    }
    lines
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
