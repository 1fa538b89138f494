//! Flux: the two controllers that sync a Git repository into the cluster, as processes, with all rights, as its own installation
//! gives them.

use std::path::Path;
use std::sync::Arc;

use kube::{Client, ResourceExt as _};

use crate::error::PlaneError;
use crate::identity::Identity;
use crate::install::{InstallError, established};
use crate::manifests::{self, ManifestError};
use crate::plane::Plane;
use crate::programs::{self, Program, ProgramError};
use crate::run::{Ending, Invocation, Run};

/// Where Flux keeps its own objects.
const NAMESPACE: &str = "flux-system";
/// Each controller: its program, the Go module that pins it, and the one that holds its definitions.
const CONTROLLERS: [(Program, &str, &str); 2] = [
    (Program::FluxSource, "flux-source", "github.com/fluxcd/source-controller"),
    (Program::FluxKustomize, "flux-kustomize", "github.com/fluxcd/kustomize-controller"),
];

/// Why Flux does not run.
#[derive(Debug, thiserror::Error)]
pub enum FluxError {
    /// Something of the cluster.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A program or its sources.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The API server does not take a definition.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The API server does not serve a definition.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// A running Flux. It ends with its cluster.
#[derive(Debug)]
pub struct Flux {
    run: Arc<Run>,
}

impl Flux {
    /// Installs the definitions of Flux and starts its controllers, built first if they were never used.
    ///
    /// # Errors
    /// A program that cannot be had or started, or definitions that the API server does not take.
    pub async fn start(plane: &Plane) -> Result<Self, FluxError> {
        let client = plane.client(&Identity::Admin).await?;
        let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
        manifests::apply(&client, "flux", &namespace).await?;
        let flux = Self { run: Arc::clone(plane.run()) };
        for (program, pins, module) in CONTROLLERS {
            let sources = programs::sources_of(pins, module).await?;
            define(&client, &sources.join("config/crd/bases")).await?;
            let invocation = Invocation {
                program: programs::ensure(program).await?,
                arguments: flux.arguments(program)?,
                environment: vec![
                    ("KUBECONFIG".to_owned(), plane.kubeconfig(&Identity::Admin).await?.display().to_string()),
                    ("RUNTIME_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
                    ("TMPDIR".to_owned(), plane.directory().display().to_string()),
                ],
            };
            flux.run.start(program.name(), invocation)?;
        }
        Ok(flux)
    }

    /// Ends both controllers and starts them again.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn restart(&self) -> Result<(), FluxError> {
        for (program, _, _) in CONTROLLERS {
            self.run.end(program.name(), Ending::Kill)?;
            self.run.start_again(program.name())?;
        }
        Ok(())
    }

    /// The end of what both controllers logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        CONTROLLERS.map(|(program, _, _)| self.run.log_tail(program.name())).join("\n")
    }

    fn arguments(&self, program: Program) -> Result<Vec<String>, FluxError> {
        let address = || self.run.free_port().map(|port| format!("127.0.0.1:{port}"));
        let mut arguments = vec![
            format!("--metrics-addr={}", address()?),
            format!("--health-addr={}", address()?),
            "--log-encoding=console".to_owned(),
        ];
        if program == Program::FluxSource {
            let (storage, served) = (self.run.directory().join("flux-artifacts"), address()?);
            std::fs::create_dir_all(&storage).map_err(PlaneError::system(format!("making {}", storage.display())))?;
            arguments.extend([
                format!("--storage-path={}", storage.display()),
                format!("--storage-addr={served}"),
                format!("--storage-adv-addr={served}"),
            ]);
        }
        Ok(arguments)
    }
}

/// Applies every definition in a folder.
async fn define(client: &Client, folder: &Path) -> Result<(), FluxError> {
    let failed = |what: &str| PlaneError::system(format!("{what} {}", folder.display()));
    let mut files: Vec<_> = std::fs::read_dir(folder).map_err(failed("listing"))?.flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let text = std::fs::read_to_string(file.path()).map_err(failed("reading"))?;
        for definition in manifests::apply(client, "flux", &text).await? {
            established(client, &definition.name_any()).await?;
        }
    }
    Ok(())
}
