//! Whether a release may go to an environment, and what to say if not.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::arrival::Counts;
use super::choice;
use super::journey::PhaseProgress;
use crate::domain::name::EnvironmentName;
use crate::domain::remade;

/// Whether a release may go to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It may.
    Reachable,
    /// An earlier phase is not complete.
    Unreached(Unreached),
    /// The lifecycle does not hold the environment.
    NotInLifecycle,
    /// Nobody knows: the lifecycle that the project names does not exist.
    NoLifecycle {
        /// Its name.
        name: String,
    },
    /// Nobody knows: the project does not have the release's channel.
    NoChannel {
        /// The channel's name.
        name: String,
    },
    /// Nobody knows: the lifecycle cannot be used.
    BrokenLifecycle {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The phase that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unreached {
    /// The first phase that is not complete.
    pub phase: String,
    /// How many of its environments need a success.
    pub needed: usize,
    /// How long a success must last.
    pub soak: SignedDuration,
    /// Environments whose success counts.
    pub succeeded: Vec<EnvironmentName>,
    /// Environments whose success will count.
    pub soaking: Vec<(EnvironmentName, Timestamp)>,
    /// Environments where the release was disturbed before its soak was over.
    pub disturbed: Vec<EnvironmentName>,
    /// Environments without a success.
    pub missing: Vec<EnvironmentName>,
    /// Those of them where another release of its name succeeded, which was deleted.
    pub made_again: Vec<EnvironmentName>,
}

impl Reach {
    pub(super) fn unreached(phase: &PhaseProgress) -> Self {
        let mut unreached =
            Unreached { phase: phase.name.clone(), needed: phase.needed, soak: phase.soak, ..Unreached::default() };
        for stop in &phase.stops {
            let name = stop.environment.clone();
            match stop.counts {
                Some(Counts::Since(_)) => unreached.succeeded.push(name),
                Some(Counts::From(time)) => unreached.soaking.push((name, time)),
                Some(Counts::Never) => unreached.disturbed.push(name),
                None => unreached.missing.push(name),
            }
        }
        Self::Unreached(unreached)
    }

    /// The same where another release of its name succeeded in `places`, and was deleted: people may expect that to count.
    #[must_use]
    pub fn made_again(mut self, places: &BTreeSet<EnvironmentName>) -> Self {
        if let Self::Unreached(unreached) = &mut self {
            unreached.made_again = unreached.missing.iter().filter(|name| places.contains(*name)).cloned().collect();
        }
        self
    }

    /// Why `release` may not go to `environment` and what to do, in one sentence; nothing if it may.
    #[must_use]
    pub fn message(&self, environment: &EnvironmentName, release: &str) -> Option<String> {
        match self {
            Self::Reachable => None,
            Self::NotInLifecycle => Some(format!(
                "environment {environment} is not in the lifecycle of {release}: add it there, or promote to one that is"
            )),
            Self::NoLifecycle { name } => Some(choice::absent(release, name)),
            Self::NoChannel { name } => Some(choice::without_channel(release, name)),
            Self::BrokenLifecycle { name, problem } => Some(choice::broken(release, name, problem)),
            Self::Unreached(unreached) => Some(unreached.message(environment, release)),
        }
    }
}

impl Unreached {
    fn message(&self, environment: &EnvironmentName, release: &str) -> String {
        let Self { phase, needed, succeeded, .. } = self;
        let done = if succeeded.is_empty() { String::new() } else { format!(" ({})", listed(succeeded)) };
        let (environments, have) =
            (plural(*needed, "environment"), if succeeded.len() == 1 || *needed == 1 { "has" } else { "have" });
        let so_far = if self.soak.is_positive() {
            format!("{have} had {release} for {:#}", self.soak)
        } else {
            format!("{have} {release}")
        };
        let still: Vec<String> = [self.soaks(), self.again(), self.first(release)].into_iter().flatten().collect();
        let head = format!(
            "{environment} waits for phase {phase}: {} of {needed} {environments}{done} {so_far}",
            succeeded.len()
        );
        if still.is_empty() {
            format!("{head}; add environments to the phase, or lower its minimum")
        } else {
            format!("{head}; {}", still.join("; "))
        }
    }

    fn soaks(&self) -> Option<String> {
        let (name, until) = self.soaking.iter().min_by_key(|(_, until)| *until)?;
        Some(format!("it soaks in {name} until {until:.0}"))
    }

    fn again(&self) -> Option<String> {
        let disturbed = Some(&self.disturbed).filter(|names| !names.is_empty())?;
        Some(format!("it was replaced or failed in {} too early, promote it there again", listed(disturbed)))
    }

    fn first(&self, release: &str) -> Option<String> {
        let missing = Some(&self.missing).filter(|names| !names.is_empty())?;
        let first = format!("promote it to {} first", listed(missing));
        Some(match self.made_again.as_slice() {
            [] => first,
            all if all == missing.as_slice() => format!("{first}: {}", remade::sentence(release, "there")),
            some => format!("{first}: {}", remade::sentence(release, &format!("in {}", listed(some)))),
        })
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The first few names: a message has a bound, a phase has none.
fn listed(environments: &[EnvironmentName]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = environments.iter().take(SHOWN).map(EnvironmentName::as_str).collect();
    let more = environments.len().saturating_sub(SHOWN);
    let rest = format!("{more} more");
    if more > 0 {
        names.push(&rest);
    }
    names.join(", ")
}
