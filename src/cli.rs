//! The command line: `gantry controller`, `gantry crds`, `gantry audit` and `gantry uninstall`.

pub mod audit;
pub mod operator;
pub mod uninstall;

use crate::cluster::kubeconfig;
use crate::settings::{Command, CommandLine, LogFormat, Settings};
use crate::{api, telemetry};
use clap::Parser;
use kube::Client;
use std::path::Path;
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
        Command::Audit(command) => audit::run(command).await,
        Command::Uninstall(arguments) => uninstall::run(arguments).await,
        Command::Controller(settings) => operate(*settings).await,
    }
}

/// Runs the operator until it is told to stop.
async fn operate(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let json = settings.log_format == LogFormat::Json;
    telemetry::logs::start(json, &settings.log_level);
    // Somebody may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        tracing::info!("asked to stop; runs under way are finished first");
        told.cancel();
    });
    Ok(operator::run(settings, stop).await?)
}

/// A client with the rights of a kubeconfig, and the namespace that it names.
async fn connect(path: Option<&Path>) -> Result<(Client, String), Box<dyn std::error::Error>> {
    // Somebody may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kubeconfig::read(path).await?;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
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
