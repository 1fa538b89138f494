//! What a check of records against their checkpoints finds, named to the record.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::{Anchor, Checkpoint};
use super::merkle::Hash;

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Finding {
    /// A sealed record is not there.
    #[error("record {record}, sealed by checkpoint {checkpoint}, is gone")]
    Gone {
        /// The record.
        record: String,
        /// The checkpoint that has it.
        checkpoint: u64,
    },
    /// A sealed record says something else.
    #[error("record {record} does not say what checkpoint {checkpoint} sealed")]
    Edited {
        /// The record.
        record: String,
        /// The checkpoint that has it.
        checkpoint: u64,
    },
    /// A record is sealed twice: a checkpoint was made by somebody else.
    #[error("record {record} is sealed by checkpoint {first} and again by {second}")]
    Twice {
        /// The record.
        record: String,
        /// The first checkpoint that has it.
        first: u64,
        /// The other.
        second: u64,
    },
    /// A checkpoint is not there, though later ones are.
    #[error("checkpoint {0} is gone")]
    Gap(u64),
    /// A checkpoint's root is not that of what it says; nothing else is found in it, since nobody knows what of it is true.
    #[error(
        "checkpoint {0} was edited: its root is not that of its records, so it says of none of them whether it is as it was"
    )]
    Broken(u64),
    /// A checkpoint does not follow from the one before.
    #[error("checkpoint {0} does not follow from the one before: one of them was replaced")]
    Replaced(u64),
    /// A checkpoint that somebody has kept is not there.
    #[error("checkpoint {0} was kept outside and is not here: the history was cut, or is another")]
    Cut(u64),
    /// A checkpoint that somebody has kept is another one here.
    #[error("checkpoint {0} has another root than the one that was kept outside: the history was rewritten")]
    Rewritten(u64),
}

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is not as it was sealed; nothing is good.
    pub findings: BTreeSet<Finding>,
    /// How many records are sealed and as they were.
    pub sealed: usize,
    /// Records that no checkpoint has yet: they were written a moment ago, or somebody has added them.
    pub unsealed: Vec<String>,
    /// The newest checkpoint, to be kept outside.
    pub newest: Option<Anchor>,
}

/// Checks records, by name with the hash of what they say, against checkpoints in any order and against those that somebody has kept outside. Total: whatever it is given, it
/// says what is wrong with it.
#[must_use]
pub fn verify(records: &BTreeMap<String, Hash>, checkpoints: &[Checkpoint], anchors: &[Anchor]) -> Report {
    let mut chain: Vec<&Checkpoint> = checkpoints.iter().collect();
    chain.sort_by_key(|checkpoint| checkpoint.number);
    let mut report = Report { newest: chain.last().map(|last| last.anchor()), ..Report::default() };
    check_chain(&chain, &mut report.findings);
    check_anchors(&chain, anchors, &mut report.findings);
    let whole = chain.iter().filter(|one| one.is_whole());
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (checkpoint, sealed) in whole.flat_map(|one| one.records.iter().map(|sealed| (one.number, sealed))) {
        let record = sealed.record.clone();
        if let Some(first) = seen.insert(&sealed.record, checkpoint) {
            report.findings.insert(Finding::Twice { record, first, second: checkpoint });
            continue;
        }
        match records.get(&sealed.record) {
            None => drop(report.findings.insert(Finding::Gone { record, checkpoint })),
            Some(hash) if *hash != sealed.hash => drop(report.findings.insert(Finding::Edited { record, checkpoint })),
            Some(_) => report.sealed += 1,
        }
    }
    let listed: BTreeSet<&str> =
        chain.iter().flat_map(|one| &one.records).map(|sealed| sealed.record.as_str()).collect();
    report.unsealed = records.keys().filter(|record| !listed.contains(record.as_str())).cloned().collect();
    report
}

/// Each is whole, follows from the one before, and none is missing.
fn check_chain(chain: &[&Checkpoint], findings: &mut BTreeSet<Finding>) {
    // The root of the one before, as far as that can be believed: after a gap or an edit nobody knows what is to follow from what.
    let (mut due, mut before) = (1, Some(None));
    for checkpoint in chain {
        findings.extend((due..checkpoint.number).map(Finding::Gap));
        let is_whole = checkpoint.is_whole();
        if !is_whole {
            findings.insert(Finding::Broken(checkpoint.number));
        } else if checkpoint.number <= due && before.is_some_and(|before| checkpoint.previous != before) {
            findings.insert(Finding::Replaced(checkpoint.number));
        }
        due = checkpoint.number.saturating_add(1);
        before = is_whole.then_some(Some(checkpoint.root));
    }
}

fn check_anchors(chain: &[&Checkpoint], anchors: &[Anchor], findings: &mut BTreeSet<Finding>) {
    for anchor in anchors {
        let known = chain.iter().find(|checkpoint| checkpoint.number == anchor.number);
        match known {
            None => drop(findings.insert(Finding::Cut(anchor.number))),
            Some(known) if known.root != anchor.root => drop(findings.insert(Finding::Rewritten(anchor.number))),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
