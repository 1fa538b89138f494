//! Gantry promotes releases of containers through environments, natively in Kubernetes.
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`domain`] | the rules: names, lifecycle, queue, the promotion machine; no Kubernetes, no clock | nothing |
//! | [`api`] | what people write in YAML: kinds, conditions, generated definitions | `domain` |
//! | [`cluster`] | Kubernetes I/O: clients, caches, the reconcile loop, leases, Events | `telemetry` |
//! | [`registry`] | tags to digests | `domain` |
//! | `steps` | what a step of a process does in a target namespace: apply, health, prune | `cluster`, `registry`, `domain` |
//! | [`controllers`] | observe → decide → act, one room a kind | all of the above |
//! | [`telemetry`], [`server`], [`settings`] | metrics, logs, probes, arguments | – |
//!
//! Read first: `domain/promotion/machine.rs` (everything that can happen to a promotion), `controllers/promotion/decide.rs`
//! (the same with status and Events), `controllers/pipeline.rs` (the shape of every reconcile), `controllers/triggers.rs`
//! (which change wakes whom), `cluster/gate.rs` and `controllers/promotion/slot.rs` (why two operators do no harm).

pub mod api;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod error;
pub mod registry;
pub mod server;
pub mod settings;
pub mod steps;
pub mod telemetry;

use clap::Parser;
use settings::{Command, CommandLine};

/// Does what the command line says.
///
/// # Errors
/// When it cannot be done; the message says what to change.
pub async fn run(arguments: impl IntoIterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    match CommandLine::parse_from(arguments).command {
        Command::Crds => {
            for definition in api::crds::all() {
                print!("---\n{}", api::crds::to_yaml(&definition)?);
            }
            Ok(())
        }
        Command::Controller(_) => Err("the operator is not built in yet".into()),
    }
}
