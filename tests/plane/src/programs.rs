//! The programs of the cluster: where they are, and how they get there.
//!
//! Order of search: `KUBEBUILDER_ASSETS`, then the user's cache (keyed by the digest of the Go
//! module that pins the program), then a build from source. See `programs/build.rs` for the build itself and
//! `programs/toolchain.rs` for the Go that does it.

mod build;
mod toolchain;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use build::{GoProgram, ProgramError, cache_directory, find_or_build, sources_of};

/// A program that a cluster, or a test of it, runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// The store of the API server.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kubectl.
    Kubectl,
    /// kubelet, for real nodes.
    Kubelet,
    /// KWOK, for simulated nodes.
    Kwok,
    /// The distribution registry.
    Registry,
    /// helm.
    Helm,
    /// Flux's source-controller.
    FluxSource,
    /// Flux's kustomize-controller.
    FluxKustomize,
    /// containerd, for real nodes.
    Containerd,
    /// containerd's shim, started by containerd.
    ContainerdShim,
    /// containerd's command line.
    Ctr,
}

impl Program {
    /// The name of the binary, also the program's name in a run.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kubelet => "kubelet",
            Self::Kwok => "kwok",
            Self::Registry => "registry",
            Self::Helm => "helm",
            Self::FluxSource => "source-controller",
            Self::FluxKustomize => "kustomize-controller",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
        }
    }

    /// How to build it. The estimates (seconds) were measured on two cores with an empty Go cache,
    /// in the order of this table.
    fn source(self) -> GoProgram {
        let (module, package, seconds) = match self {
            Self::ApiServer => ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 340),
            Self::ControllerManager => ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 93),
            Self::Scheduler => ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 9),
            Self::Kubelet => ("kubernetes", "k8s.io/kubernetes/cmd/kubelet", 199),
            Self::Etcd => ("kubernetes", "go.etcd.io/etcd/server/v3", 41),
            Self::Kubectl => ("kubernetes", "k8s.io/kubernetes/cmd/kubectl", 40),
            Self::Kwok => ("kubernetes", "sigs.k8s.io/kwok/cmd/kwok", 100),
            Self::Containerd => ("containerd", "github.com/containerd/containerd/v2/cmd/containerd", 115),
            Self::ContainerdShim => {
                ("containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", 10)
            }
            Self::Ctr => ("containerd", "github.com/containerd/containerd/v2/cmd/ctr", 10),
            Self::Registry => ("registry", "github.com/distribution/distribution/v3/cmd/registry", 105),
            Self::Helm => ("helm", "helm.sh/helm/v4/cmd/helm", 145),
            Self::FluxSource => ("flux-source", "github.com/fluxcd/source-controller", 220),
            Self::FluxKustomize => ("flux-kustomize", "github.com/fluxcd/kustomize-controller", 240),
        };
        GoProgram { module, package, name: self.name(), seconds }
    }

    /// Every program.
    pub const ALL: &[Self] = &[
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Etcd,
        Self::Kubectl,
        Self::Kwok,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::Registry,
        Self::Helm,
        Self::FluxSource,
        Self::FluxKustomize,
    ];
    /// What the control plane and the registry need.
    pub const CLUSTER: &[Self] =
        &[Self::ApiServer, Self::Etcd, Self::ControllerManager, Self::Scheduler, Self::Kubectl, Self::Registry];
    /// What a real node needs besides.
    pub const REAL_NODE: &[Self] = &[Self::Kubelet, Self::Containerd, Self::ContainerdShim, Self::Ctr];
}

/// Where the programs of a cluster are.
#[derive(Debug, Clone, Default)]
pub struct Programs(BTreeMap<Program, PathBuf>);

impl Programs {
    /// Finds or builds all of `wanted`, one after the other.
    ///
    /// # Errors
    /// A build that fails, or no Go to build with.
    pub async fn find_or_build(wanted: &[Program]) -> Result<Self, ProgramError> {
        let mut found = BTreeMap::new();
        for program in wanted {
            found.insert(*program, ensure(*program).await?);
        }
        Ok(Self(found))
    }

    /// The binary of `program`.
    ///
    /// # Errors
    /// The program was not among those asked for.
    pub fn path(&self, program: Program) -> Result<PathBuf, ProgramError> {
        self.0.get(&program).cloned().ok_or(ProgramError::NotAskedFor { program: program.name() })
    }
}

/// Finds or builds one program.
///
/// # Errors
/// A build that fails, or no Go to build with.
pub async fn ensure(program: Program) -> Result<PathBuf, ProgramError> {
    if let Some(path) = asset(program) {
        return Ok(path);
    }
    find_or_build(program.source()).await
}

/// The program in the directory that `KUBEBUILDER_ASSETS` names, if it is there.
fn asset(program: Program) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("KUBEBUILDER_ASSETS")?);
    Some(directory.join(program.name())).filter(|path| path.is_file())
}
