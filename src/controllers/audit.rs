//! The one writer of checkpoints: seals the records of a space, a burst of them at once.
//!
//! Records are written in parallel by whoever has something to record ([`crate::controllers::promotion::recording`]). A
//! checkpoint has the number after the newest one for its name and is only ever created, so of two processes that both believe
//! they lead, one finds that it was late, takes the other's for the newest, and goes on after it: no record is sealed twice.

pub mod ledger;
pub(crate) mod look;

pub(crate) use look::records_of;

use std::sync::Arc;

use kube::Api;
use kube::api::PostParams;

use crate::api::seal;
use crate::api::v1alpha1::AuditCheckpoint;
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::Next;
use crate::controllers::context::Context;
use crate::controllers::decision::{Note, Severity};
use crate::controllers::pipeline;
use crate::domain::audit::{Checkpoint, Hash, Sealed};
use ledger::Account;

/// Seals what is recorded.
#[derive(Clone)]
pub struct AuditController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// The next checkpoint of a space whose newest one is known; nothing if there is nothing to seal.
#[must_use]
pub fn next(account: &Account) -> Option<Checkpoint> {
    let head = account.head?;
    let sealed = |(record, hash): (&String, &Hash)| Sealed { record: record.clone(), hash: *hash };
    let records: Vec<Sealed> = account.pending.iter().take(seal::MOST).map(sealed).collect();
    (!records.is_empty()).then(|| Checkpoint::after(head, records))
}

impl AuditController {
    /// Seals what a space has to seal, at most one checkpoint at a time.
    ///
    /// # Errors
    /// When something could not be read or written; it is tried again.
    pub async fn reconcile(&self, key: Key) -> Result<Next, ClusterError> {
        let (space, ledger) = (key.namespace.as_str(), &self.context.ledger);
        if ledger.account(space).head.is_none() {
            look::look(&self.context, space).await?;
        }
        let Some(checkpoint) = next(&ledger.account(space)) else { return Ok(Next::Await) };
        let api: Api<AuditCheckpoint> = Api::namespaced(self.context.cluster.client(), space);
        match api.create(&PostParams::default(), &seal::object(space, &checkpoint)).await {
            Ok(written) => {
                ledger.sealed(space, &checkpoint);
                self.tell(&written, &checkpoint);
            }
            // Another process has written it, or this one has and did not hear of it.
            Err(kube::Error::Api(status)) if status.is_already_exists() => ledger.doubt(space),
            Err(error) => {
                let error = ClusterError::api("write the checkpoint", error);
                return if error.is_terminating() { Ok(self.close(space)) } else { Err(error) };
            }
        }
        Ok(if next(&ledger.account(space)).is_some() { Next::Again } else { Next::Await })
    }

    /// The newest root is said where it is kept longer than here: in the log, and in an Event.
    fn tell(&self, written: &AuditCheckpoint, checkpoint: &Checkpoint) {
        let Checkpoint { number, root, records, .. } = checkpoint;
        let note = Note {
            severity: Severity::Normal,
            reason: "Sealed",
            action: "Sealing",
            message: format!("Checkpoint {number} seals {} records; its root is {root}.", records.len()),
        };
        pipeline::say(&self.context.events, note, (pipeline::reference(written), None));
    }

    /// A space that is being deleted takes nothing new: the log has the last word on it.
    fn close(&self, space: &str) -> Next {
        let Account { head, pending, .. } = self.context.ledger.close(space);
        self.context.ledger.roll.forget(space);
        let newest = head.flatten().map(|head| format!("checkpoint {} with root {}", head.number, head.root));
        let records: Vec<String> = pending.into_keys().collect();
        tracing::warn!(
            space,
            newest = newest.unwrap_or_else(|| "none".to_owned()),
            unsealed = records.join(" "),
            "the space is being deleted; nothing more is sealed there"
        );
        Next::Await
    }
}

#[cfg(test)]
mod tests {
    use super::ledger::Account;
    use super::*;

    #[test]
    fn nothing_is_sealed_before_the_newest_checkpoint_is_known_and_never_more_than_one_holds() {
        let account = |head, count: usize| {
            let pending = (0..count).map(|n| (format!("r{n:04}"), Hash::leaf(&n.to_be_bytes()))).collect();
            Account { head, pending, doubts: 0 }
        };
        assert_eq!(next(&account(None, 1)), None);
        assert_eq!(next(&account(Some(None), 0)), None);
        let first = next(&account(Some(None), 150)).unwrap();
        assert_eq!((first.number, first.previous, first.records.len()), (1, None, seal::MOST));
        let second = next(&account(Some(Some(first.anchor())), 1)).unwrap();
        assert_eq!((second.number, second.previous), (2, Some(first.root)));
        assert!(second.is_whole());
    }
}
