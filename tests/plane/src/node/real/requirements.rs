//! What a machine must have to run a real node.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::PlaneError;
use crate::progress::say;
use crate::run::last_lines;

/// Commands that are used, and the Debian package of each.
const COMMANDS: [(&str, &str); 5] = [
    ("runc", "runc"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
];
/// CNI plugins that are used.
const PLUGINS: [&str; 2] = ["bridge", "host-local"];
const PLUGIN_PACKAGE: &str = "containernetworking-plugins";
/// Where Debian puts CNI plugins, and where everyone else does.
const PLUGIN_DIRECTORIES: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// Where administrators' commands are, which an ordinary search path may leave out.
const COMMAND_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// Where the tools are.
#[derive(Debug)]
pub(super) struct Tools {
    /// runc.
    pub(super) runc: PathBuf,
    /// The directory of the CNI plugins.
    pub(super) plugins: PathBuf,
}

/// Whether a real node can run here.
pub(super) fn available() -> Result<(), String> {
    if env::consts::OS != "linux" {
        return Err(format!("a real node needs Linux, and this is {}", env::consts::OS));
    }
    if !std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        return Err("a real node needs root: start as root, or use simulated nodes".to_owned());
    }
    let missing = missing();
    if missing.is_empty() || command("apt-get").is_some() {
        return Ok(());
    }
    Err(format!("a real node needs {}: install them (their names on Debian) and start again", missing.join(", ")))
}

impl Tools {
    /// Finds the tools; installs what is missing from Debian.
    pub(super) fn find_or_install() -> Result<Self, PlaneError> {
        let packages = missing();
        if !packages.is_empty() {
            say(&format!("installing {} with apt-get", packages.join(", ")));
            // The list of packages may be too old, or absent.
            if install(&packages).is_err() {
                let _ = apt_get(&["update"]);
                install(&packages)?;
            }
        }
        let absent =
            || PlaneError::Unmet(format!("{} are not where they should be: install them", missing().join(", ")));
        Ok(Self { runc: command("runc").ok_or_else(absent)?, plugins: plugins().ok_or_else(absent)? })
    }
}

/// The search path for the node's programs.
pub(super) fn search_path() -> String {
    let own = env::var("PATH").unwrap_or_default();
    if own.is_empty() { COMMAND_DIRECTORIES.to_owned() } else { format!("{own}:{COMMAND_DIRECTORIES}") }
}

/// The packages that are missing.
fn missing() -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        COMMANDS.into_iter().filter(|(name, _)| command(name).is_none()).map(|(_, package)| package).collect();
    if plugins().is_none() {
        packages.push(PLUGIN_PACKAGE);
    }
    packages.dedup();
    packages
}

fn command(name: &str) -> Option<PathBuf> {
    let path = search_path();
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn plugins() -> Option<PathBuf> {
    let complete = |directory: &&str| PLUGINS.iter().all(|name| Path::new(directory).join(name).is_file());
    PLUGIN_DIRECTORIES.into_iter().find(complete).map(PathBuf::from)
}

fn install(packages: &[&str]) -> Result<(), PlaneError> {
    let arguments: Vec<&str> =
        ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages.iter().copied()).collect();
    apt_get(&arguments).map_err(|answer| {
        let packages = packages.join(" ");
        PlaneError::Unmet(format!("installing {packages} failed; run apt-get install {packages}. It said:\n{answer}"))
    })
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(last_lines(&String::from_utf8_lossy(&output.stderr), 5)) }
}
