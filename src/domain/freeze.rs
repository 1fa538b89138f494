//! Freezes: in their periods nothing is promoted to some environments.
//!
//! One whose periods nobody knows holds as long as it is there: what cannot be made sense of lets nothing through.

mod concerning;
pub mod schedule;

pub use concerning::{Freezes, Holding, told};

use jiff::Timestamp;

use schedule::Schedule;

/// A freeze as it is defined now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Its name.
    pub name: String,
    /// Why there is one, as whoever made it said.
    pub reason: String,
    /// When it was made.
    pub made: Timestamp,
    /// The environments that it names; none means all.
    pub environments: Vec<String>,
    /// The projects that it names; none means all.
    pub projects: Vec<String>,
    /// When it holds.
    pub periods: Periods,
    /// What it means for promotions that run when it begins.
    pub running: Running,
}

/// When a freeze holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Periods {
    /// Once.
    Once(Period),
    /// Again and again.
    Recurring(Box<Schedule>),
    /// Nobody knows.
    Unknown {
        /// What is wrong, and what to do.
        why: String,
    },
}

/// A time with a start and an end. The end itself is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

/// What becomes of a promotion that runs when a freeze begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Running {
    /// It goes on.
    #[default]
    Finish,
    /// It stops before its next step, and goes on when the freeze ends.
    Pause,
}

/// How long a freeze holds that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Until then.
    Until(Timestamp),
    /// As long as nobody knows its periods.
    Unknown {
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Freeze {
    /// Whether it is about promotions of a project to an environment.
    #[must_use]
    pub fn concerns(&self, project: &str, environment: &str) -> bool {
        let names = |named: &[String], name: &str| named.is_empty() || named.iter().any(|known| known == name);
        names(&self.projects, project) && names(&self.environments, environment)
    }

    /// How long it holds, if it holds at this time.
    #[must_use]
    pub fn hold(&self, at: Timestamp) -> Option<Hold> {
        match &self.periods {
            Periods::Once(period) => period.contains(at).then_some(Hold::Until(period.end)),
            Periods::Recurring(schedule) => schedule.at(at).map(|period| Hold::Until(period.end)),
            Periods::Unknown { why } => Some(Hold::Unknown { why: why.clone() }),
        }
    }

    /// Its first period that begins after this time.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Option<Period> {
        match &self.periods {
            Periods::Once(period) => (period.start > at).then_some(*period),
            Periods::Recurring(schedule) => schedule.next(at),
            Periods::Unknown { .. } => None,
        }
    }

    /// The next time at which it begins or ends.
    #[must_use]
    pub fn border(&self, at: Timestamp) -> Option<Timestamp> {
        match self.hold(at) {
            Some(Hold::Until(end)) => Some(end),
            Some(Hold::Unknown { .. }) => None,
            None => self.next(at).map(|period| period.start),
        }
    }
}

impl Period {
    /// Whether a time is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

#[cfg(test)]
mod tests;
