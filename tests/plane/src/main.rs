//! Keeps a cluster running for people who develop.

use std::process::ExitCode;

use gantry_plane::{Identity, Options, Plane, PlaneError};

const USAGE: &str = "usage: gantry-plane up [--real] [--simulated COUNT]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = options(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match up(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The options that the command line asks for; nothing if it cannot be understood.
fn options(arguments: &[String]) -> Option<Options> {
    let (command, mut rest) = arguments.split_first()?;
    let mut options = Options::default();
    while let Some((flag, more)) = rest.split_first() {
        rest = more;
        match flag.as_str() {
            "--real" => options = Options::real(),
            "--simulated" => {
                let (count, more) = rest.split_first()?;
                options = options.with_simulated_nodes(count.parse().ok()?);
                rest = more;
            }
            _ => return None,
        }
    }
    (command == "up").then_some(options)
}

async fn up(options: Options) -> Result<(), PlaneError> {
    let plane = Plane::start(options).await?;
    let kubeconfig = plane.kubeconfig(&Identity::Admin).await?;
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("registry: {}", plane.registry().host());
    println!("logs: {}", plane.directory().join("logs").display());
    println!("Ctrl-C stops it.");
    let waited = tokio::signal::ctrl_c().await;
    plane.stop();
    waited.map_err(PlaneError::system("waiting for Ctrl-C"))
}
