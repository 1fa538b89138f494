//! Arguments of `gantry uninstall`.

use std::path::PathBuf;

use clap::Args;

/// How Gantry lets go of a cluster.
#[derive(Args, Debug)]
pub struct UninstallArguments {
    /// The kubeconfig to use; without it what KUBECONFIG says.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace in which the operator ran.
    #[arg(long, default_value = "gantry-system")]
    pub operator_namespace: String,
    /// Does it; without it, it only says what it would do.
    #[arg(long)]
    pub yes: bool,
    /// Does it though the operator may still run, which may then put back what is taken away.
    #[arg(long)]
    pub while_running: bool,
}
