//! One checkpoint: which records it seals, and the root that stands for them and for everything before.

use super::merkle::{Hash, root};

/// A record as a checkpoint keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sealed {
    /// Name of the record.
    pub record: String,
    /// Hash of what it says.
    pub hash: Hash,
}

/// Records that can no longer change without being noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The first is 1.
    pub number: u64,
    /// The root of the one before; the first has none.
    pub previous: Option<Hash>,
    /// What it seals, by name.
    pub records: Vec<Sealed>,
    /// The root over the previous root and the records.
    pub root: Hash,
}

/// Which checkpoint it is: all that is needed to seal more after it, or to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its number.
    pub number: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// Which one it is.
    #[must_use]
    pub const fn anchor(&self) -> Anchor {
        Anchor { number: self.number, root: self.root }
    }

    /// Seals records after another checkpoint. Whoever does it with the same records in any order gets the same one.
    #[must_use]
    pub fn after(previous: Option<Anchor>, records: impl IntoIterator<Item = Sealed>) -> Self {
        let mut records: Vec<Sealed> = records.into_iter().collect();
        records.sort();
        records.dedup();
        let number = previous.map_or(1, |previous| previous.number.saturating_add(1));
        let previous = previous.map(|previous| previous.root);
        let root = root_of(previous, &records);
        Self { number, previous, records, root }
    }

    /// Whether its root is that of what it says.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.root == root_of(self.previous, &self.records)
    }
}

/// The names are hashed, too: else two records could change places.
fn root_of(previous: Option<Hash>, records: &[Sealed]) -> Hash {
    let before = previous.map(|previous| Hash::leaf(previous.bytes()));
    let leaf = |sealed: &Sealed| Hash::leaf(format!("{} {}", sealed.hash, sealed.record).as_bytes());
    let leaves: Vec<Hash> = before.into_iter().chain(records.iter().map(leaf)).collect();
    root(&leaves)
}

#[cfg(test)]
pub(super) mod example {
    use super::*;

    /// A record that says what its name says.
    pub fn sealed(record: &str) -> Sealed {
        Sealed { record: record.to_owned(), hash: Hash::leaf(record.as_bytes()) }
    }

    /// A chain of checkpoints that seal these.
    pub fn chain(batches: &[&[&str]]) -> Vec<Checkpoint> {
        let mut chain: Vec<Checkpoint> = Vec::new();
        for batch in batches {
            let next =
                Checkpoint::after(chain.last().map(Checkpoint::anchor), batch.iter().map(|record| sealed(record)));
            chain.push(next);
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::example::{chain, sealed};
    use super::*;

    #[test]
    fn the_order_in_which_records_come_does_not_matter_and_none_is_sealed_twice() {
        let one = Checkpoint::after(None, ["b", "a", "b"].map(sealed));
        assert_eq!(one, Checkpoint::after(None, ["a", "b"].map(sealed)));
        assert_eq!((one.number, one.previous, one.records.len()), (1, None, 2));
        assert!(one.is_whole());
    }

    #[test]
    fn a_root_stands_for_everything_before_it() {
        let (one, other) = (chain(&[&["a"], &["b"]]), chain(&[&["x"], &["b"]]));
        assert_eq!(one[1].previous, Some(one[0].root));
        assert_eq!(one[1].records, other[1].records);
        assert_ne!(one[1].root, other[1].root);
    }

    #[test]
    fn whatever_is_changed_in_it_shows() {
        let known = chain(&[&["a"], &["b", "c"]])[1].clone();
        let swapped = {
            let mut records = known.records.clone();
            let hash = records[0].hash;
            records[0].hash = records[1].hash;
            records[1].hash = hash;
            records
        };
        for edited in [
            Checkpoint { previous: None, ..known.clone() },
            Checkpoint { records: vec![sealed("b")], ..known.clone() },
            Checkpoint { records: vec![sealed("b"), sealed("d")], ..known.clone() },
            Checkpoint { records: swapped, ..known.clone() },
            Checkpoint { root: Hash::leaf(b"another"), ..known.clone() },
        ] {
            assert!(!edited.is_whole(), "{edited:?}");
        }
    }
}
