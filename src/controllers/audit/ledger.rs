//! What this process knows of the records of each space: which checkpoint is the newest, and which records none has sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::cluster::cache::Key;
use crate::cluster::runner::Queue;
use crate::controllers::records::roll::Roll;
use crate::domain::audit::{Anchor, Checkpoint, Hash, Sealed};

/// What is known of one space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The newest checkpoint, if there is one; nothing as long as nobody has looked.
    pub head: Option<Option<Anchor>>,
    /// Records that no checkpoint has, and what they say.
    pub pending: BTreeMap<String, Hash>,
}

/// All spaces. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What is recorded of what people write.
    pub roll: Roll,
    accounts: Arc<Mutex<BTreeMap<String, Account>>>,
    queue: Arc<OnceLock<Queue>>,
}

impl Ledger {
    /// Who is to be woken when there is something to seal. Said once, when this process begins to lead.
    pub fn attach(&self, queue: Queue) {
        self.queue.get_or_init(|| queue);
    }

    /// A record was just written.
    pub fn written(&self, space: &str, sealed: Sealed) {
        self.lock().entry(space.to_owned()).or_default().pending.insert(sealed.record, sealed.hash);
        self.wake(space);
    }

    /// There is a record of which nobody knows whether it is sealed: it is to be looked up.
    pub fn doubt(&self, space: &str) {
        self.lock().entry(space.to_owned()).or_default().head = None;
        self.wake(space);
    }

    /// What is known of a space.
    #[must_use]
    pub fn account(&self, space: &str) -> Account {
        self.lock().get(space).cloned().unwrap_or_default()
    }

    /// What a look has found: the newest checkpoint, and the records that none has. Those that were written while it looked are
    /// kept, unless they are sealed already.
    pub fn looked(&self, space: &str, head: Option<Anchor>, (unsealed, sealed): (Vec<Sealed>, &BTreeSet<String>)) {
        let mut accounts = self.lock();
        let account = accounts.entry(space.to_owned()).or_default();
        account.head = Some(head);
        account.pending.extend(unsealed.into_iter().map(|one| (one.record, one.hash)));
        account.pending.retain(|record, _| !sealed.contains(record));
    }

    /// A checkpoint was written, by this process or another.
    pub fn sealed(&self, space: &str, checkpoint: &Checkpoint) {
        let mut accounts = self.lock();
        let account = accounts.entry(space.to_owned()).or_default();
        account.head = Some(Some(checkpoint.anchor()));
        for sealed in &checkpoint.records {
            account.pending.remove(&sealed.record);
        }
    }

    /// A space is going: nothing can be sealed there any more. Gives back what was known.
    #[must_use]
    pub fn close(&self, space: &str) -> Account {
        self.lock().remove(space).unwrap_or_default()
    }

    fn wake(&self, space: &str) {
        // Before it leads, this process writes no records.
        if let Some(queue) = self.queue.get() {
            queue.add(Key::new(space, ""));
        }
    }

    /// A panic while the lock was held left a map that is still whole: every change is complete before the next begins.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(record: &str) -> Sealed {
        Sealed { record: record.to_owned(), hash: Hash::leaf(record.as_bytes()) }
    }

    fn pending(ledger: &Ledger) -> Vec<String> {
        ledger.account("shop").pending.into_keys().collect()
    }

    #[test]
    fn what_was_written_is_pending_until_a_checkpoint_has_it() {
        let ledger = Ledger::default();
        ledger.written("shop", sealed("a"));
        ledger.written("shop", sealed("b"));
        let checkpoint = Checkpoint::after(None, [sealed("a")]);
        ledger.sealed("shop", &checkpoint);
        assert_eq!(pending(&ledger), ["b"]);
        assert_eq!(ledger.account("shop").head, Some(Some(checkpoint.anchor())));
        assert_eq!(ledger.account("other"), Account::default());
    }

    #[test]
    fn a_look_keeps_what_was_written_meanwhile_and_drops_what_is_sealed_already() {
        let ledger = Ledger::default();
        ledger.written("shop", sealed("while-it-looked"));
        ledger.written("shop", sealed("sealed-by-another"));
        ledger.looked("shop", None, (vec![sealed("found")], &["sealed-by-another".to_owned()].into()));
        assert_eq!(pending(&ledger), ["found", "while-it-looked"]);
        assert_eq!(ledger.account("shop").head, Some(None));
        ledger.doubt("shop");
        assert_eq!(ledger.account("shop").head, None);
        assert_eq!(ledger.close("shop").pending.len(), 2);
        assert_eq!(ledger.account("shop"), Account::default());
    }
}
