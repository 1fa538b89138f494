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
    /// How often there was a doubt. A look, and a checkpoint that is on its way, answer only those that came before.
    pub doubts: u64,
}

/// What a look has found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The newest checkpoint, if there is one.
    pub head: Option<Anchor>,
    /// The records that no checkpoint has.
    pub unsealed: Vec<Sealed>,
    /// The records that one has.
    pub sealed: BTreeSet<String>,
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
        {
            let mut accounts = self.lock();
            let account = accounts.entry(space.to_owned()).or_default();
            account.head = None;
            account.doubts = account.doubts.saturating_add(1);
        }
        self.wake(space);
    }

    /// What is known of a space.
    #[must_use]
    pub fn account(&self, space: &str) -> Account {
        self.lock().get(space).cloned().unwrap_or_default()
    }

    /// What a look has found that began after so many doubts. What was written while it looked is kept, unless it is sealed already;
    /// what was doubted while it looked is still to be looked up.
    pub fn looked(&self, space: &str, doubts: u64, found: Found) {
        let is_pending = {
            let mut accounts = self.lock();
            let account = accounts.entry(space.to_owned()).or_default();
            if account.doubts == doubts {
                account.head = Some(found.head);
            }
            account.pending.extend(found.unsealed.into_iter().map(|one| (one.record, one.hash)));
            account.pending.retain(|record, _| !found.sealed.contains(record));
            !account.pending.is_empty()
        };
        // Whoever looked may not be the one who seals.
        if is_pending {
            self.wake(space);
        }
    }

    /// A checkpoint was written. What was doubted while it was on its way is still to be looked up.
    pub fn sealed(&self, space: &str, checkpoint: &Checkpoint) {
        let mut accounts = self.lock();
        let account = accounts.entry(space.to_owned()).or_default();
        if let Some(head) = &mut account.head {
            *head = Some(checkpoint.anchor());
        }
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

    /// A ledger of a space that was looked at and had nothing, and the queue of whoever seals.
    fn ledger() -> (Ledger, tokio::sync::mpsc::UnboundedReceiver<Key>) {
        let (ledger, (queue, requests)) = (Ledger::default(), Queue::new());
        ledger.attach(queue);
        ledger.looked("shop", 0, Found::default());
        (ledger, requests)
    }

    #[test]
    fn what_was_written_is_pending_until_a_checkpoint_has_it() {
        let (ledger, _) = ledger();
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
        let (ledger, _) = ledger();
        ledger.written("shop", sealed("while-it-looked"));
        ledger.written("shop", sealed("sealed-by-another"));
        let sealed_already = ["sealed-by-another".to_owned()].into();
        ledger.looked("shop", 0, Found { head: None, unsealed: vec![sealed("found")], sealed: sealed_already });
        assert_eq!(pending(&ledger), ["found", "while-it-looked"]);
        assert_eq!(ledger.account("shop").head, Some(None));
        ledger.doubt("shop");
        assert_eq!(ledger.account("shop").head, None);
        assert_eq!(ledger.close("shop").pending.len(), 2);
        assert_eq!(ledger.account("shop"), Account::default());
    }

    #[test]
    fn what_is_doubted_while_somebody_looks_is_looked_up_again() {
        let (ledger, mut requests) = ledger();
        ledger.doubt("shop");
        let begun = ledger.account("shop").doubts;
        ledger.doubt("shop");
        ledger.looked("shop", begun, Found { unsealed: vec![sealed("found")], ..Found::default() });
        let account = ledger.account("shop");
        assert_eq!((account.head, account.pending.len()), (None, 1), "it had listed the records before");
        ledger.looked("shop", account.doubts, Found::default());
        assert_eq!(ledger.account("shop").head, Some(None));
        let mut woken = 0;
        while requests.try_recv().is_ok() {
            woken += 1;
        }
        assert_eq!(woken, 4, "by each doubt, and by each look after which something is to be sealed");
    }

    #[test]
    fn what_is_doubted_while_a_checkpoint_is_on_its_way_is_looked_up_once_it_is_there() {
        let (ledger, _) = ledger();
        ledger.written("shop", sealed("a"));
        let checkpoint = Checkpoint::after(None, [sealed("a")]);
        ledger.doubt("shop");
        ledger.sealed("shop", &checkpoint);
        let account = ledger.account("shop");
        assert_eq!((account.head, account.pending.len()), (None, 0));
        let found =
            Found { head: Some(checkpoint.anchor()), sealed: ["a".to_owned()].into(), unsealed: vec![sealed("b")] };
        ledger.looked("shop", account.doubts, found);
        assert_eq!(ledger.account("shop").head, Some(Some(checkpoint.anchor())));
        assert_eq!(pending(&ledger), ["b"]);
    }
}
