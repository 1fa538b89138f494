//! What can go wrong while a cluster is started or used.

use crate::programs::ProgramError;

/// Why the cluster could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The operating system refused something.
    #[error("{action} failed: {source}")]
    System {
        /// What was tried, with its object.
        action: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A program is neither there nor buildable.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// All slots of this machine are taken by running clusters.
    #[error("all {slots} slots for clusters under {root} are in use: stop a cluster and start again")]
    NoSlot {
        /// How many there are.
        slots: u8,
        /// The directory that holds them.
        root: String,
    },
    /// No free port was left for a program.
    #[error("no free port is left in the range of slot {slot}: stop what listens on 127.0.0.1:{first} and above")]
    NoPort {
        /// The slot of the run.
        slot: u8,
        /// First port of its range.
        first: u16,
    },
    /// A certificate could not be made.
    #[error("signing the certificate of {subject} failed: {source}")]
    Certificate {
        /// Whose certificate.
        subject: String,
        /// The signer's answer.
        source: rcgen::Error,
    },
    /// A program ended although it should run.
    #[error("{program} ended on its own; the last lines of its log:\n{log}")]
    Ended {
        /// Its name in this run.
        program: String,
        /// The end of its log.
        log: String,
    },
    /// A program runs but does not answer as it should.
    #[error("{program} was not ready within {seconds} s; the last lines of its log:\n{log}")]
    NotReady {
        /// Its name in this run.
        program: String,
        /// How long it was given, in seconds.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A program of that name was never started in this run.
    #[error("{program} is not part of this cluster: start it first")]
    NotStarted {
        /// The name asked for.
        program: String,
    },
    /// The API server refused a call.
    #[error("{action} failed: {source}")]
    Api {
        /// What was tried, with its object.
        action: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// A kubeconfig that we wrote could not be used.
    #[error("using the kubeconfig {path} failed: {source}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Something did not become true in time.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What was awaited.
        what: String,
        /// How long it was given, in seconds.
        seconds: u64,
    },
    /// Anything that a node or an image needs and that is not there.
    #[error("{0}")]
    Unmet(String),
}

impl PlaneError {
    /// For `map_err`: the operating system refused `action`.
    pub fn system(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }

    /// For `map_err`: the API server refused `action`.
    pub fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Api { action, source: Box::new(source) }
    }
}
