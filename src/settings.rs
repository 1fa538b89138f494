//! Arguments as typed, and settings as used: validated, passed by value, never global.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Promotes releases of containers through environments.
#[derive(Parser, Debug)]
#[command(name = "gantry", version, about)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the operator.
    Controller(Settings),
    /// Prints the custom resource definitions: `gantry crds | kubectl apply --server-side -f -`.
    Crds,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the operator runs.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The kubeconfig to use; without it the pod's own account, or what KUBECONFIG says.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// The operator's own namespace: its leader Lease lives there, and no environment ever does.
    #[arg(long, env = "POD_NAMESPACE", default_value = "gantry-system")]
    pub namespace: String,
    /// The operator's own ServiceAccount, which environments let act as their deployer.
    #[arg(long, env = "POD_SERVICE_ACCOUNT", default_value = "gantry")]
    pub service_account: String,
    /// Who this process is in the leader election.
    #[arg(long, env = "POD_NAME", default_value_t = default_identity())]
    pub identity: String,
    /// Where metrics and probes are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged: `info`, `debug`, or a tracing filter such as `gantry=debug,kube=info`.
    #[arg(long, default_value = "info")]
    pub log_level: String,
    /// How many objects of a kind are reconciled at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// A registry that may be asked over plain HTTP, as host or host:port; localhost always may.
    #[arg(long = "plain-http-registry")]
    pub plain_http_registries: Vec<String>,
    /// Seconds that a leader which is not heard of still leads.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(5..=300))]
    pub lease_seconds: u16,
}

fn default_identity() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}_{}", host.trim(), std::process::id())
}
