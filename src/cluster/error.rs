//! Errors of everything that talks to an API server.

use super::client::acting::NobodyToActAs;
use crate::error::Class;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused, or could not be reached.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried: `take the slot`.
        action: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// The request took longer than a request may.
    #[error("cannot {action}: the API server did not answer in time")]
    Deadline {
        /// What was tried.
        action: String,
    },
    /// An object does not read as what it should be.
    #[error("{object} does not read: {message}")]
    Unreadable {
        /// Kind and name.
        object: String,
        /// What is wrong with it.
        message: String,
    },
    /// An account without a proper name cannot be acted as: an empty identity would be the operator itself.
    #[error("cannot act as an account whose name or namespace is empty or no name of Kubernetes")]
    NoIdentity,
    /// The configuration impersonates; its groups would be added to every account that the operator acts as.
    #[error(
        "the configuration acts as somebody else (as, as-uid, as-groups, as-user-extra); use the operator's own account"
    )]
    ActsAsAnother,
    /// The configuration does not lead to an API server.
    #[error("no API server: {0}")]
    Config(String),
    /// Somebody else has the right to write that this process had.
    #[error("{by} has the slot now; nothing more is written")]
    Fenced {
        /// Who.
        by: String,
    },
    /// Others change or delete the object all the time.
    #[error("{object} changes too often to be written; it is tried again")]
    Busy {
        /// Which object.
        object: String,
    },
    /// Something must happen first that happens by itself, or by somebody else.
    #[error("{what}")]
    Later {
        /// What, and what it waits for.
        what: String,
    },
    /// A right is missing that was given a moment ago: the API server takes a moment to see it.
    #[error("{what}; rights that were just given take a moment to act")]
    Early {
        /// What, and why.
        what: String,
    },
    /// The API server does not enforce who may do what.
    #[error("nothing is promoted while Gantry's admission policies do not act: {why}")]
    Unguarded {
        /// Which one does not, and what to do.
        why: String,
    },
    /// The API server refuses what it did not refuse before.
    #[error("{what}")]
    Refused {
        /// What, and why.
        what: String,
    },
    /// An invariant of ours is broken.
    #[error("{0}")]
    Bug(String),
}

impl ClusterError {
    /// What was tried, and what came back.
    #[must_use]
    pub fn api(action: impl Into<String>, source: kube::Error) -> Self {
        Self::Api { action: action.into(), source: Box::new(source) }
    }

    /// How it is to be taken.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Api { source, .. } => class_of(source),
            Self::Deadline { .. }
            | Self::Fenced { .. }
            | Self::Busy { .. }
            | Self::Later { .. }
            | Self::Early { .. }
            | Self::Unguarded { .. } => Class::Retryable,
            Self::Unreadable { .. } | Self::Config(_) | Self::ActsAsAnother | Self::Refused { .. } => Class::Blocked,
            Self::NoIdentity | Self::Bug(_) => Class::Bug,
        }
    }

    /// Somebody else wrote in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409 && status.reason != "AlreadyExists")
    }

    /// The object, or its kind or namespace, is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// The right is missing, or an admission policy refused. The right to act as an account is another matter: without it
    /// nobody knows what the account may do.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403 && !status.message.contains("cannot impersonate"))
    }

    /// The namespace is being deleted, so nothing can be created in it.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.status().is_some_and(|status| {
            let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
            status.code == 403 && causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
        })
    }

    /// What the API server said, if it said anything.
    #[must_use]
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Busy { .. }
            | Self::Later { .. }
            | Self::Early { .. }
            | Self::Unguarded { .. }
            | Self::Refused { .. }
            | Self::Deadline { .. }
            | Self::Fenced { .. }
            | Self::Unreadable { .. }
            | Self::NoIdentity
            | Self::ActsAsAnother
            | Self::Config(_)
            | Self::Bug(_) => None,
        }
    }
}

fn class_of(error: &kube::Error) -> Class {
    match error {
        // The binding that lets us act as an account may be so new that the API server does not know it yet.
        kube::Error::Api(status) if status.message.contains("cannot impersonate") => Class::Retryable,
        kube::Error::Api(status) => match status.code {
            400..=407 | 413 | 415 | 422 => Class::Blocked,
            _ => Class::Retryable,
        },
        kube::Error::Service(inner) if inner.downcast_ref::<super::gate::NotLeading>().is_some() => Class::Terminal,
        kube::Error::Service(inner) if inner.downcast_ref::<NobodyToActAs>().is_some() => Class::Bug,
        kube::Error::SerdeError(_) => Class::Blocked,
        _ => Class::Retryable,
    }
}
