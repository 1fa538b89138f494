//! Commands: something that people want done in the targets of an environment, once.
//!
//! That a target's turn has come is written before anything is done there, and is never taken back. So whoever finds one that was
//! begun and has no end does not begin it again: it finds out, or says that nobody knows.

pub mod output;
pub mod reason;

use std::fmt;

/// How a command stands in one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stand {
    /// Its turn has not come.
    Pending,
    /// It was begun.
    Started,
    /// It was begun, and is to be stopped.
    Stopping,
    /// It was carried out.
    Succeeded,
    /// It was not carried out, or not well.
    Failed,
    /// Somebody kept it from beginning, or stopped it.
    Canceled,
    /// It was begun, and nobody knows whether it was carried out.
    Unknown,
}

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It is being carried out.
    Running,
    /// It was carried out in every target.
    Succeeded,
    /// In a target it was not carried out, or not well.
    Failed,
    /// It cannot be carried out, or must not.
    Refused,
    /// Somebody kept it from a target.
    Canceled,
    /// Nobody knows whether it was carried out in a target.
    Unknown,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write that it begins in this target, then carry it out there.
    Begin(usize),
    /// Find out what became of it in this target, without doing it.
    FindOut(usize),
    /// Write that it is to be stopped in this target, then stop it there.
    Stop(usize),
    /// Keep it from all targets in which it has not begun.
    CancelRest,
    /// It has ended.
    End(Phase),
}

/// What somebody who cancels a command can hinder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// Nobody canceled it.
    No,
    /// That it begins anywhere else: once it has begun it is done.
    Rest,
    /// That as well, and that it goes on where it has begun.
    All,
}

/// What is done next, from how it stands in each target. Total.
#[must_use]
pub fn step(targets: &[Stand], cancel: Cancel) -> Step {
    let first = |stand: Stand| targets.iter().position(|known| *known == stand);
    match (first(Stand::Stopping), first(Stand::Started), first(Stand::Pending)) {
        (Some(stopping), ..) => Step::Stop(stopping),
        (None, Some(started), _) if cancel == Cancel::All => Step::Stop(started),
        (None, Some(started), _) => Step::FindOut(started),
        (None, None, Some(_)) if cancel != Cancel::No => Step::CancelRest,
        (None, None, Some(pending)) => Step::Begin(pending),
        (None, None, None) => Step::End(end(targets)),
    }
}

/// The worst of all ends.
fn end(targets: &[Stand]) -> Phase {
    let any = |stand: Stand| targets.contains(&stand);
    if any(Stand::Unknown) {
        Phase::Unknown
    } else if any(Stand::Failed) {
        Phase::Failed
    } else if any(Stand::Canceled) {
        Phase::Canceled
    } else {
        Phase::Succeeded
    }
}

impl Stand {
    /// Every one, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Started, Self::Stopping, Self::Succeeded, Self::Failed, Self::Canceled, Self::Unknown];

    /// The word as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Started => "Started",
            Self::Stopping => "Stopping",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Unknown => "Unknown",
        }
    }

    /// What is written so; a word that is none is `Unknown`, which is never begun.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|stand| stand.as_str() == text).unwrap_or(Self::Unknown)
    }
}

impl Phase {
    /// The phase as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Refused => "Refused",
            Self::Canceled => "Canceled",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stands() -> impl Strategy<Value = Vec<Stand>> {
        prop::collection::vec(prop::sample::select(Stand::ALL.to_vec()), 1..8)
    }

    #[test]
    fn the_worst_end_counts() {
        use Stand::{Canceled, Failed, Succeeded, Unknown};
        for (targets, phase) in [
            (vec![Succeeded, Succeeded], Phase::Succeeded),
            (vec![Succeeded, Canceled], Phase::Canceled),
            (vec![Canceled, Failed, Succeeded], Phase::Failed),
            (vec![Failed, Unknown], Phase::Unknown),
        ] {
            assert_eq!(step(&targets, Cancel::All), Step::End(phase));
        }
    }

    #[test]
    fn every_word_reads_back_and_one_that_is_none_is_never_begun() {
        for stand in Stand::ALL {
            assert_eq!(Stand::parse(stand.as_str()), stand);
        }
        assert_eq!(Stand::parse("pending"), Stand::Unknown);
    }

    fn cancels() -> impl Strategy<Value = Cancel> {
        prop::sample::select(vec![Cancel::No, Cancel::Rest, Cancel::All])
    }

    proptest! {
        #[test]
        fn only_what_was_never_begun_is_begun_and_never_when_it_is_canceled(targets in stands(), cancel in cancels()) {
            match step(&targets, cancel) {
                Step::Begin(index) => prop_assert!(targets[index] == Stand::Pending && cancel == Cancel::No),
                Step::FindOut(index) => prop_assert_eq!(targets[index], Stand::Started),
                Step::Stop(index) => {
                    let wanted = targets[index] == Stand::Started && cancel == Cancel::All;
                    prop_assert!(wanted || targets[index] == Stand::Stopping);
                }
                Step::CancelRest => prop_assert!(cancel != Cancel::No && targets.contains(&Stand::Pending)),
                Step::End(_) => {
                    let under_way = [Stand::Pending, Stand::Started, Stand::Stopping];
                    prop_assert!(!targets.iter().any(|stand| under_way.contains(stand)));
                }
            }
        }

        #[test]
        fn whatever_comes_of_each_target_it_ends_and_none_is_begun_twice(
            mut targets in stands(), ends in prop::collection::vec(prop::sample::select(vec![Stand::Succeeded, Stand::Failed, Stand::Unknown]), 32),
            cancels in prop::collection::vec(cancels(), 32),
        ) {
            let mut begun = vec![0; targets.len()];
            let mut ended = false;
            for (end, cancel) in ends.into_iter().zip(cancels) {
                match step(&targets, cancel) {
                    Step::Begin(index) => {
                        begun[index] += 1;
                        targets[index] = Stand::Started;
                    }
                    Step::FindOut(index) | Step::Stop(index) => targets[index] = end,
                    Step::CancelRest => targets.iter_mut().filter(|stand| **stand == Stand::Pending).for_each(|stand| *stand = Stand::Canceled),
                    Step::End(_) => {
                        ended = true;
                        break;
                    }
                }
            }
            prop_assert!(ended && begun.iter().all(|times| *times <= 1));
        }
    }
}
