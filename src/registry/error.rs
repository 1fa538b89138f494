//! Why a registry did not say which digest a tag has, or which tags there are.

use std::time::Duration;

use thiserror::Error;

/// The longest foreign text that is copied into a message, in characters.
const LONGEST_CAUSE: usize = 200;

/// Every way in which a tag stays without a digest. Messages hold no secret and are fit for a condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// The repository is there, the tag is not. Heals when somebody pushes it.
    #[error("image {repository}:{tag} does not exist in its registry; push it, or name a version that exists")]
    TagNotFound {
        /// Host and path of the repository.
        repository: String,
        /// The tag that was asked for.
        tag: String,
    },
    /// The registry knows no such repository. Heals when somebody pushes to it.
    #[error(
        "repository {repository} does not exist in its registry; correct the package's image in the project, or push to it"
    )]
    RepositoryNotFound {
        /// Host and path of the repository.
        repository: String,
    },
    /// The registry wants other credentials than it got.
    #[error("the registry refuses to show {repository} {with}")]
    Unauthorized {
        /// Host and path of the repository.
        repository: String,
        /// What it was asked with.
        with: Identity,
    },
    /// No answer, or one that says "not now". Heals by itself.
    #[error("registry {host} did not answer: {cause}; check its name and the network, it is asked again")]
    Unreachable {
        /// Host and port of the registry.
        host: String,
        /// What happened, bounded and printable.
        cause: String,
    },
    /// It answers that it has too much to do. Heals by itself.
    #[error("registry {host} is too busy to answer ({status}); it is asked again after a pause")]
    Busy {
        /// Host and port of the registry.
        host: String,
        /// What it answered.
        status: String,
        /// How long it wants to be left alone, if it says so.
        pause: Option<Duration>,
    },
    /// More tags than are looked at.
    #[error(
        "repository {repository} has more than {most} tags, which are not looked through; delete old ones, or name the version"
    )]
    TooManyTags {
        /// Host and path of the repository.
        repository: String,
        /// How many may be.
        most: usize,
    },
    /// The registry speaks plain HTTP and is not one that may.
    #[error(
        "registry {host} speaks plain HTTP, which anyone on the way can change; give it TLS, or let the cluster's administrator list it in the operator's setting plainHttpRegistries"
    )]
    PlainHttpRefused {
        /// Host and port of the registry.
        host: String,
    },
    /// The registry, or whom it sends to, is inside the network that the operator runs in, and is not one that may.
    #[error(
        "registry {host} leads to {place}, which is inside the operator's network; correct the package's image, or let the cluster's administrator list {place} in the operator's setting internalRegistries"
    )]
    Internal {
        /// Host and port of the registry.
        host: String,
        /// Host and port of what is inside.
        place: String,
    },
    /// The registry shows a certificate that cannot be trusted.
    #[error(
        "registry {host} shows a certificate that is not trusted: {cause}; correct the certificate, or let the cluster's administrator give its authority to the operator in the setting registryCA"
    )]
    Untrusted {
        /// Host and port of the registry.
        host: String,
        /// What is wrong with it, bounded and printable.
        cause: String,
    },
    /// An answer that the distribution protocol does not know.
    #[error(
        "registry {host} gave an answer that cannot be used: {cause}; check that the package's image names an OCI registry"
    )]
    BadAnswer {
        /// Host and port of the registry.
        host: String,
        /// What was wrong with it, bounded and printable.
        cause: String,
    },
}

/// With what a registry was asked; says in a message what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// No credentials were known.
    Anonymous,
    /// The package's pull Secret was used.
    PullSecret,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "without credentials; name a Secret with the right ones in the package's pullSecret, or correct its image",
            Self::PullSecret => "with the credentials of the package's pullSecret; correct that Secret, or the package's image",
        })
    }
}

impl RegistryError {
    /// Whether asking again soon, with nothing changed by anyone, may well succeed.
    #[must_use]
    pub fn heals_by_itself(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } => true,
            Self::TagNotFound { .. }
            | Self::RepositoryNotFound { .. }
            | Self::Unauthorized { .. }
            | Self::TooManyTags { .. }
            | Self::PlainHttpRefused { .. }
            | Self::Internal { .. }
            | Self::Untrusted { .. }
            | Self::BadAnswer { .. } => false,
        }
    }
}

/// Foreign text made fit for a message: printable, one line, bounded.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(LONGEST_CAUSE)
        .collect::<String>()
        .trim()
        .to_owned()
}
