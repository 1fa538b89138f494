//! Gantry promotes releases of containers through environments, natively in Kubernetes.
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`domain`] | the rules: names, lifecycle, queue, the promotion machine; no Kubernetes, no clock | nothing |
//! | [`api`] | what people write in YAML: kinds, conditions, generated definitions | `domain` |
//! | [`cluster`] | Kubernetes I/O: clients, caches, the reconcile loop, leases, Events | `telemetry` |
//! | [`registry`] | tags to digests | `domain` |
//! | [`steps`] | what a step of a process does in a target namespace: apply, health, prune | `cluster`, `registry`, `domain` |
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
use settings::{Command, CommandLine, Settings};
use tokio_util::sync::CancellationToken;

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
        Command::Controller(settings) => operate(settings).await,
    }
}

/// Runs the operator until it is told to stop.
async fn operate(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    telemetry::logs::start(settings.log_format, &settings.log_level);
    // Somebody may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        tracing::info!("asked to stop; runs under way are finished first");
        told.cancel();
    });
    Ok(controllers::start::run(settings, stop).await?)
}

/// Ctrl-C, or what the kubelet sends.
async fn asked_to_stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not noticed; Ctrl-C is");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
