//! The fence: nothing is written by somebody who has lost the right to.
//!
//! The right is the slot of a project and environment. Every write goes: read the object, *then* verify the slot by a live read,
//! then write on the condition that the object is as it was read. The order matters: whoever takes the slot after it was verified
//! writes after we have read, and so makes our write a conflict (409); the other way round, their write could be read as ours.
//! One look serves all objects of a step that were read before it ([`Shared`]).
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
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::error::ClusterError;
use crate::error::Class;

/// A resourceVersion that no object has: revision 1 is the empty store.
pub const NEVER: &str = "1";

/// How often an object that others keep writing is read again before the step gives up for now.
pub const TRIES: u32 = 5;

/// How long a look at the slot holds for further objects of a step that were read before it. What is written later is as safe
/// from a successor's writes; the time bounds how late an object may be made that the successor does not have.
const HOLDS: Duration = Duration::from_secs(1);

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
    /// Whether we still have the slot, by a live read that began after the object was read.
    ///
    /// # Errors
    /// When we have it no more, or when it cannot be read.
    fn verify(&self, object_read: Instant) -> impl Future<Output = Result<(), Lost>> + Send;
}

/// A fence for many objects: one look at the slot serves all that were read before it, for a second.
#[derive(Debug)]
pub struct Shared<F> {
    fence: F,
    looked: Mutex<Option<Instant>>,
}

impl<F> Shared<F> {
    /// Nothing has been looked at yet.
    #[must_use]
    pub const fn new(fence: F) -> Self {
        Self { fence, looked: Mutex::new(None) }
    }
}

impl<F: Fence> Fence for Shared<F> {
    async fn verify(&self, object_read: Instant) -> Result<(), Lost> {
        let now = Instant::now();
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|looked| object_read <= looked && now.duration_since(looked) < HOLDS) {
            return Ok(());
        }
        self.fence.verify(object_read).await?;
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Counts looks, and answers the first of them only.
    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Fence for Counted {
        async fn verify(&self, _: Instant) -> Result<(), Lost> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(()),
                _ => Err(Lost::Taken { by: "another".to_owned() }),
            }
        }
    }

    #[tokio::test]
    async fn one_look_serves_every_object_that_was_read_before_it_and_none_that_was_read_since() {
        let (fence, read) = (Shared::new(Counted::default()), Instant::now());
        for _ in 0..3 {
            fence.verify(read).await.unwrap();
        }
        assert_eq!(fence.fence.0.load(Ordering::Relaxed), 1);
        let lost = fence.verify(Instant::now()).await;
        assert!(matches!(lost, Err(Lost::Taken { .. })), "it was read after the look");
    }

    #[tokio::test]
    async fn a_look_does_not_hold_for_long() {
        let (fence, read) = (Shared::new(Counted::default()), Instant::now());
        fence.verify(read).await.unwrap();
        *fence.looked.lock().unwrap() = Instant::now().checked_sub(HOLDS);
        assert!(fence.verify(read.checked_sub(2 * HOLDS).unwrap()).await.is_err());
    }
}
