//! The fence: nothing is written by somebody who has lost the right to.
//!
//! The right is the slot of a project and environment. Every write goes: read the object, *then* verify the slot by a live read,
//! then write on the condition that the object is as it was read. The order matters: whoever takes the slot after it was verified
//! writes after we have read, and so makes our write a conflict (409); the other way round, their write could be read as ours.
//! - An existing object is written with the uid and resourceVersion that were read: any write since, by anyone, is a conflict.
//! - An object that is deleted meanwhile is not made again: a uid without an object is a conflict too (`applyPatch` in
//!   k8s.io/apiserver `pkg/endpoints/handlers/patch.go`).
//! - An absent object is created only if it is still absent: the apply carries resourceVersion [`NEVER`], which no stored
//!   object has. The API server compares it when the object exists and ignores it when it does not (`Store.Update` in
//!   `pkg/registry/generic/registry/store.go`).
//!
//! So a process that was paused can change or delete nothing that its successor has touched. One thing is left to it: to create
//! an object that its successor does not have, while its request is on the way; the write gate (`cluster::gate`) bounds that time.

use std::future::Future;

use crate::cluster::error::ClusterError;
use crate::error::Class;

/// A resourceVersion that no object has: revision 1 is the empty store.
pub const NEVER: &str = "1";

/// How often an object that others keep writing is read again before the step gives up for now.
pub const TRIES: u32 = 5;

/// The right to write could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Somebody else has the slot.
    #[error("the slot is held by {by}; nothing more is written")]
    Taken {
        /// Who.
        by: String,
    },
    /// Nobody knows who has the slot, because it could not be read.
    #[error("the slot cannot be verified: {0}")]
    Unknown(#[source] ClusterError),
}

impl Lost {
    /// How it is to be taken.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Taken { .. } => Class::Terminal,
            Self::Unknown(error) => error.class(),
        }
    }
}

/// Who may write.
pub trait Fence: Sync {
    /// Whether we still have the slot, by a live read.
    ///
    /// # Errors
    /// When we have it no more, or when it cannot be read.
    fn verify(&self) -> impl Future<Output = Result<(), Lost>> + Send;
}
