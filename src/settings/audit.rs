//! Arguments of `gantry audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::audit::Anchor;

/// What is done with audit records.
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// Checks that records are as they were sealed; names every edit, gap and cut, and then ends with code 1.
    Verify(VerifyArguments),
    /// Prints all records and checkpoints, one JSON object a line.
    Export(ExportArguments),
}

/// Which space, and how it is reached.
#[derive(Args, Debug)]
pub struct SpaceArguments {
    /// The kubeconfig to use; without it what KUBECONFIG says.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// The space; without it the namespace of the kubeconfig.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// The independent witness.
#[derive(Args, Debug)]
pub struct WitnessArguments {
    /// A file of the API server's own log, one Event of audit.k8s.io/v1 a line: who deleted something is said there alone. Give each
    /// file of a log that was rotated, and of every API server.
    #[arg(long, value_name = "FILE")]
    pub audit_log: Vec<PathBuf>,
}

/// Arguments of `gantry audit verify`.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// Which space.
    #[command(flatten)]
    pub space: SpaceArguments,
    /// A checkpoint that was kept outside: a history that was cut or rewritten shows only against one.
    #[arg(long, value_name = "NUMBER:ROOT", value_parser = anchor)]
    pub kept: Vec<Anchor>,
    /// Checks what `gantry audit export` has printed into this file, instead of a space.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "namespace"])]
    pub file: Option<PathBuf>,
    /// Who deleted what.
    #[command(flatten)]
    pub witness: WitnessArguments,
}

/// Arguments of `gantry audit export`.
#[derive(Args, Debug)]
pub struct ExportArguments {
    /// Which space.
    #[command(flatten)]
    pub space: SpaceArguments,
    /// How a line looks.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Who deleted what.
    #[command(flatten)]
    pub witness: WitnessArguments,
}

/// How exported records look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As they are, so that `gantry audit verify --file` can check them.
    #[default]
    Json,
    /// As `CloudEvents`, with the types of `CDEvents` where it has one.
    #[value(name = "cloudevents")]
    CloudEvents,
}

fn anchor(typed: &str) -> Result<Anchor, String> {
    let wrong = || "give a checkpoint as gantry audit verify prints it, for example 12:9f86d081…".to_owned();
    let (number, root) = typed.split_once(':').ok_or_else(wrong)?;
    Ok(Anchor { number: number.parse().map_err(|_| wrong())?, root: root.parse().map_err(|_| wrong())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_was_kept_is_given_as_it_was_printed() {
        let root = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
        assert_eq!(anchor(&format!("12:{root}")), Ok(Anchor { number: 12, root: root.parse().unwrap() }));
        for typed in ["", "12", "12:x", &format!("x:{root}"), &format!("12:{}", root.to_uppercase())] {
            assert!(anchor(typed).unwrap_err().contains("as gantry audit verify prints it"), "{typed}");
        }
    }
}
