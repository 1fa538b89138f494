//! Keeps a cluster running for people who develop, and builds its programs before they are needed.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use gantry_plane::programs::{self, GoProgram};
use gantry_plane::{Identity, Options, Plane, PlaneError, Program, image, install};

const USAGE: &str =
    "usage: gantry-plane up [--gantry] [--real] [--simulated COUNT]    --gantry: with all of deploy/ but the operator
       gantry-plane build [PROGRAM…]    without names, every program";

/// What the command line asks for.
enum Task {
    Up { options: Options, gantry: bool },
    Build(Vec<Buildable>),
}

/// A program of the cluster, or of an image.
#[derive(Clone, Copy)]
enum Buildable {
    Cluster(Program),
    Image(GoProgram),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match task(&arguments) {
        Some(Task::Up { options, gantry }) => up(options, gantry).await,
        Some(Task::Build(wanted)) => build(&wanted).await.map_err(Into::into),
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for; nothing if it cannot be understood.
fn task(arguments: &[String]) -> Option<Task> {
    match arguments.split_first()? {
        (command, rest) if command == "up" => up_with(rest),
        (command, rest) if command == "build" => buildable(rest).map(Task::Build),
        _ => None,
    }
}

fn up_with(mut rest: &[String]) -> Option<Task> {
    let (mut options, mut gantry) = (Options::default(), false);
    while let Some((flag, more)) = rest.split_first() {
        rest = more;
        match flag.as_str() {
            "--gantry" => gantry = true,
            "--real" => options = Options::real(),
            "--simulated" => {
                let (count, more) = rest.split_first()?;
                options = options.with_simulated_nodes(count.parse().ok()?);
                rest = more;
            }
            _ => return None,
        }
    }
    Some(Task::Up { options, gantry })
}

/// The programs of these names, or all.
fn buildable(names: &[String]) -> Option<Vec<Buildable>> {
    let clusters = Program::ALL.iter().map(|program| (program.name(), Buildable::Cluster(*program)));
    let images = image::PROGRAMS.iter().map(|program| (program.name, Buildable::Image(*program)));
    let all: Vec<_> = clusters.chain(images).collect();
    if names.is_empty() {
        return Some(all.into_iter().map(|(_, program)| program).collect());
    }
    names.iter().map(|name| all.iter().find(|(known, _)| known == name).map(|(_, program)| *program)).collect()
}

/// Prints where each program is.
async fn build(wanted: &[Buildable]) -> Result<(), PlaneError> {
    for program in wanted {
        let path = match program {
            Buildable::Cluster(program) => programs::ensure(*program).await?,
            Buildable::Image(program) => programs::find_or_build(*program).await?,
        };
        println!("{}", path.display());
    }
    Ok(())
}

async fn up(options: Options, gantry: bool) -> Result<(), Box<dyn Error>> {
    let plane = Plane::start(options).await?;
    let kubeconfig = plane.kubeconfig(&Identity::Admin).await?;
    println!("export KUBECONFIG={} KUBECACHEDIR={}", kubeconfig.display(), plane.kubectl_cache().display());
    println!("kubectl: {}", plane.programs().path(Program::Kubectl)?.display());
    println!("registry: {}", plane.registry().host());
    println!("logs: {}", plane.directory().join("logs").display());
    if gantry {
        println!("operator: {}", installed(&plane).await?);
    }
    println!("Ctrl-C stops it.");
    let waited = tokio::signal::ctrl_c().await;
    plane.stop();
    Ok(waited.map_err(PlaneError::system("waiting for Ctrl-C"))?)
}

/// Installs what the operator needs from this checkout, and gives back how to start it as its own ServiceAccount.
async fn installed(plane: &Plane) -> Result<String, Box<dyn Error>> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    install::install(&plane.client(&Identity::Admin).await?, "kubectl", &checkout).await?;
    let kubeconfig = plane.kubeconfig(&Identity::service_account("gantry-system", "gantry")).await?;
    Ok(format!(
        "cargo run -- controller --kubeconfig {} --internal-registry {} --listen 127.0.0.1:{}",
        kubeconfig.display(),
        plane.registry().host(),
        plane.run().free_port()?
    ))
}
