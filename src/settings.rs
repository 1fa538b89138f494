//! Arguments as typed, and settings as used: validated, passed by value, never global.

pub mod audit;
pub mod uninstall;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

use self::audit::AuditCommand;
use self::uninstall::UninstallArguments;

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
    Controller(Box<Settings>),
    /// Prints the custom resource definitions: `gantry crds | kubectl apply --server-side -f -`.
    Crds,
    /// Checks and exports what happened in a space.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Lets go of everything in the cluster that would wait for Gantry, so that it can be deleted.
    Uninstall(UninstallArguments),
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
    #[arg(long, env = "POD_NAMESPACE", default_value = "gantry-system", value_parser = name)]
    pub namespace: String,
    /// The operator's own ServiceAccount, which environments let act as their deployer.
    #[arg(long, env = "POD_SERVICE_ACCOUNT", default_value = "gantry", value_parser = name)]
    pub service_account: String,
    /// Who this process is in the leader election; no two processes may have the same.
    #[arg(long, env = "POD_NAME", default_value_t = default_identity(), value_parser = NonEmptyStringValueParser::new())]
    pub identity: String,
    /// Where metrics and probes are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// What is logged: `info`, `debug`, or a tracing filter such as `gantry=debug,kube=info`.
    #[arg(long, default_value = "info", value_parser = filter)]
    pub log_level: String,
    /// How many objects of a kind are reconciled at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// A registry that may be asked over plain HTTP, as host or host:port, also inside the network; localhost needs not be listed for
    /// plain HTTP, only as internal.
    #[arg(long = "plain-http-registry", value_name = "HOST[:PORT]", value_parser = registry)]
    pub plain_http_registries: Vec<String>,
    /// A registry that may have an address inside the network (private, of this machine, of the link), as host or host:port. What is
    /// not listed is asked at addresses of the Internet only.
    #[arg(long = "internal-registry", value_name = "HOST[:PORT]", value_parser = registry)]
    pub internal_registries: Vec<String>,
    /// A PEM file with authorities that certificates of registries may be signed by, besides those that the system trusts. Read
    /// once, at the start.
    #[arg(long, env = "GANTRY_REGISTRY_CA", value_name = "FILE")]
    pub registry_ca: Option<PathBuf>,
    /// Seconds that a leader which is not heard of still leads.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(5..=300))]
    pub lease_seconds: u16,
    /// How often, in seconds, it is tried whether the admission policies act although nothing says that one was changed.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub guard_seconds: u16,
}

/// Host, process and dice: processes in containers are often all number 1, and hosts can be nameless.
fn default_identity() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    // Every `RandomState` has keys of its own.
    let dice = RandomState::new().build_hasher().finish();
    format!("{}_{}_{dice:016x}", host.trim(), std::process::id())
}

fn name(typed: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let proper = !typed.is_empty() && typed.len() <= 63 && typed.bytes().all(plain);
    if proper { Ok(typed.to_owned()) } else { Err("a name of Kubernetes has 1 to 63 of a-z, 0-9 and -".to_owned()) }
}

fn filter(typed: &str) -> Result<String, String> {
    let read = tracing_subscriber::EnvFilter::builder().parse(typed).map(|_| typed.to_owned());
    read.map_err(|error| format!("{error}; use a level such as debug, or target=level,…"))
}

fn registry(typed: &str) -> Result<String, String> {
    let wrong = || format!("{typed:?} is no host or host:port; give for example registry.local:5000");
    let authority: http::uri::Authority = typed.parse().map_err(|_| wrong())?;
    let bare = authority.as_str() == typed && !authority.host().is_empty() && !typed.contains('@');
    let port = typed.rsplit_once(':').is_none_or(|(_, port)| authority.port_u16().is_some() || port.ends_with(']'));
    if bare && port { Ok(typed.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let typed = ["gantry", "controller"].iter().chain(arguments);
        match CommandLine::try_parse_from(typed).map_err(|error| error.to_string())?.command {
            Command::Controller(settings) => Ok(*settings),
            Command::Crds | Command::Audit(_) | Command::Uninstall(_) => Err("another command".to_owned()),
        }
    }

    #[test]
    fn without_arguments_there_is_a_setting_for_everything() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.workers, settings.lease_seconds, settings.listen.port()), (16, 15, 8080));
        assert_eq!(settings.guard_seconds, 60, "every minute");
        assert_eq!(settings.registry_ca, None, "only the system's authorities");
        assert_ne!(default_identity(), default_identity(), "two processes are never one");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_to_change() {
        for (arguments, told) in [
            (["--namespace", ""], "a name of Kubernetes"),
            (["--namespace", "Gantry"], "a name of Kubernetes"),
            (["--identity", ""], "--identity"),
            (["--log-level", "gantry=loud"], "use a level such as debug"),
            (["--workers", "0"], "--workers"),
            (["--lease-seconds", "1"], "--lease-seconds"),
            (["--guard-seconds", "61"], "--guard-seconds"),
            (["--listen", "8080"], "--listen"),
            (["--plain-http-registry", "http://registry:5000"], "registry.local:5000"),
            (["--plain-http-registry", "registry:5000/team"], "registry.local:5000"),
            (["--plain-http-registry", "user@registry"], "registry.local:5000"),
            (["--plain-http-registry", "registry:port"], "registry.local:5000"),
            (["--internal-registry", "https://registry"], "registry.local:5000"),
        ] {
            let refused = settings(&arguments).expect_err("refused");
            assert!(refused.contains(told), "{arguments:?}: {refused}");
        }
    }

    #[test]
    fn registries_over_plain_http_are_hosts_with_or_without_a_port() {
        let typed = ["registry", "registry.local:5000", "10.0.0.7:5000", "[::1]:5000", "[::1]"];
        let arguments: Vec<&str> = typed.iter().flat_map(|host| ["--plain-http-registry", *host]).collect();
        assert_eq!(settings(&arguments).unwrap().plain_http_registries, typed);
    }
}
