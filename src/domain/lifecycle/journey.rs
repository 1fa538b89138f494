//! How far a release is on its lifecycle, and where it may go next.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::arrival::{Arrivals, Counts};
use super::reach::Reach;
use super::{Lifecycle, LifecyclePhase};
use crate::domain::name::EnvironmentName;

/// Everything that decides how far a release is.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The environments of the space.
    pub environments: &'a BTreeSet<EnvironmentName>,
    /// What the release achieved.
    pub arrivals: &'a Arrivals,
    /// Whether somebody blocked it.
    pub blocked: bool,
    /// The time.
    pub now: Timestamp,
}

/// How far a release is, phase by phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    phases: Vec<PhaseProgress>,
}

/// How far a release is in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// Not complete, and not what everything waits for.
    Pending,
    /// The first phase that later ones wait for.
    Current,
    /// It has the successes it needs.
    Complete,
}

impl Progress {
    /// The progress as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Current => "Current",
            Self::Complete => "Complete",
        }
    }
}

/// A release's progress in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseProgress {
    /// The phase's name.
    pub name: String,
    /// How far the release is.
    pub progress: Progress,
    /// When it became complete; nothing while it is not, or when it needs nothing.
    pub completed_at: Option<Timestamp>,
    /// Whether every phase that it waits for is complete.
    pub reachable: bool,
    /// Whether the block of the release keeps it out.
    pub shut: bool,
    /// Whether later phases wait for this one.
    pub optional: bool,
    /// How many environments need a success.
    pub needed: usize,
    /// How long a success must last.
    pub soak: SignedDuration,
    /// Its environments.
    pub stops: Vec<Stop>,
}

/// One environment of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether the space has it.
    pub exists: bool,
    /// Whether the release is promoted there without anybody asking.
    pub automatic: bool,
    /// When its success counts; nothing if it never succeeded there.
    pub counts: Option<Counts>,
}

impl Lifecycle {
    /// How far a release is. Successes in environments that the lifecycle does not hold are ignored;
    /// they count again when it does.
    #[must_use]
    pub fn journey(&self, situation: &Situation<'_>) -> Journey {
        let mut open = true;
        let mut phases = Vec::with_capacity(self.phases().len());
        let named: BTreeSet<_> = self.phases().iter().flat_map(|phase| &phase.environments).collect();
        for phase in self.phases() {
            let environments = phase.holds(situation.environments, &named);
            let mut row = phase.progress(environments, situation, open);
            row.shut = situation.blocked && !phases.is_empty() && !row.is_entered();
            open = open && (row.optional || row.progress == Progress::Complete);
            phases.push(row);
        }
        Journey { phases }
    }
}

impl Journey {
    /// The phases, first to last.
    #[must_use]
    pub fn phases(&self) -> &[PhaseProgress] {
        &self.phases
    }

    /// Where the release may go: exactly the environments that exist and that lifecycle and block let a promotion
    /// through to ([`Self::reach`] and [`Self::is_shut`]), those where it has succeeded and may be promoted again included.
    #[must_use]
    pub fn next(&self) -> Vec<EnvironmentName> {
        self.open_stops().filter(|(_, stop)| stop.exists).map(|(_, stop)| stop.environment.clone()).collect()
    }

    /// Where the release may go and would get further: those of [`Self::next`] that have no success which counts or will.
    #[must_use]
    pub fn due(&self) -> Vec<EnvironmentName> {
        self.open_stops().filter(|(_, stop)| stop.is_due()).map(|(_, stop)| stop.environment.clone()).collect()
    }

    /// Where the release is to be promoted to without anybody asking: automatic environments of every
    /// phase that it has come to, without a success.
    ///
    /// A phase that is complete already counts, too: a first success must not make a second automatic
    /// environment of the same phase be forgotten. `overtaken` are environments where a release that
    /// was made later runs or is on its way to; a phase with one of them is left alone, since nothing goes backwards by itself.
    #[must_use]
    pub fn automatic(&self, overtaken: &BTreeSet<EnvironmentName>) -> Automatic {
        let stops = self
            .open_stops()
            .filter(|(phase, stop)| !phase.optional && stop.exists && stop.automatic && stop.counts.is_none());
        let (late, due): (Vec<_>, Vec<_>) =
            stops.partition(|(phase, _)| phase.stops.iter().any(|stop| overtaken.contains(&stop.environment)));
        let names = |stops: Vec<(&PhaseProgress, &Stop)>| -> Vec<EnvironmentName> {
            stops.into_iter().map(|(_, stop)| stop.environment.clone()).collect()
        };
        Automatic { due: names(due), overtaken: names(late) }
    }

    /// When something changes although nothing happens: the first soak that ends.
    #[must_use]
    pub fn look_again(&self) -> Option<Timestamp> {
        let stops = self.phases.iter().flat_map(|phase| &phase.stops);
        let deadline = |stop: &Stop| match stop.counts {
            Some(Counts::From(time)) => Some(time),
            Some(Counts::Since(_) | Counts::Never) | None => None,
        };
        stops.filter_map(deadline).min()
    }

    /// Whether the release may go to `environment`, its block apart.
    #[must_use]
    pub fn reach(&self, environment: &EnvironmentName) -> Reach {
        let Some(phase) = self.phases.iter().find(|phase| phase.holds(environment)) else {
            return Reach::NotInLifecycle;
        };
        if phase.reachable {
            return Reach::Reachable;
        }
        // What is not reachable comes after the phase that is current.
        let current = self.phases.iter().find(|phase| phase.progress == Progress::Current);
        Reach::unreached(current.unwrap_or(phase))
    }

    /// Whether the block of the release keeps it out of `environment`.
    #[must_use]
    pub fn is_shut(&self, environment: &EnvironmentName) -> bool {
        self.phases.iter().find(|phase| phase.holds(environment)).is_some_and(|phase| phase.shut)
    }

    fn open_stops(&self) -> impl Iterator<Item = (&PhaseProgress, &Stop)> {
        let open = self.phases.iter().filter(|phase| phase.reachable && !phase.shut);
        open.flat_map(|phase| phase.stops.iter().map(move |stop| (phase, stop)))
    }
}

/// Automatic environments that have no success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Automatic {
    /// To be promoted to now.
    pub due: Vec<EnvironmentName>,
    /// Left alone, since a release that was made later has come there.
    pub overtaken: Vec<EnvironmentName>,
}

impl LifecyclePhase {
    /// The environments of the phase.
    fn holds(&self, space: &BTreeSet<EnvironmentName>, named: &BTreeSet<&EnvironmentName>) -> Vec<EnvironmentName> {
        if self.environments.is_empty() {
            return space.iter().filter(|name| !named.contains(name)).cloned().collect();
        }
        self.environments.clone()
    }

    fn progress(
        &self,
        environments: Vec<EnvironmentName>,
        situation: &Situation<'_>,
        reachable: bool,
    ) -> PhaseProgress {
        let needed = self.minimum.map_or(environments.len(), |minimum| minimum as usize);
        let stops: Vec<Stop> = environments.into_iter().map(|environment| self.stop(environment, situation)).collect();
        let mut since: Vec<Timestamp> = stops.iter().filter_map(Stop::since).collect();
        since.sort_unstable();
        let progress = if since.len() >= needed {
            Progress::Complete
        } else if reachable && !self.optional {
            Progress::Current
        } else {
            Progress::Pending
        };
        PhaseProgress {
            name: self.name.clone(),
            progress,
            completed_at: needed.checked_sub(1).and_then(|last| since.get(last).copied()),
            reachable,
            shut: false,
            optional: self.optional,
            needed,
            soak: self.soak,
            stops,
        }
    }

    fn stop(&self, environment: EnvironmentName, situation: &Situation<'_>) -> Stop {
        Stop {
            exists: situation.environments.contains(&environment),
            automatic: self.automatic.contains(&environment),
            counts: situation.arrivals.get(&environment).map(|arrival| arrival.counts(self.soak, situation.now)),
            environment,
        }
    }
}

impl PhaseProgress {
    fn holds(&self, environment: &EnvironmentName) -> bool {
        self.stops.iter().any(|stop| stop.environment == *environment)
    }

    /// Whether the release has ever succeeded in one of its environments.
    #[must_use]
    pub fn is_entered(&self) -> bool {
        self.stops.iter().any(|stop| stop.counts.is_some())
    }
}

impl Stop {
    /// Since when its success counts, if it does.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        match self.counts {
            Some(Counts::Since(time)) => Some(time),
            Some(Counts::From(_) | Counts::Never) | None => None,
        }
    }

    /// Whether a promotion there would bring the release further.
    fn is_due(&self) -> bool {
        let wanted = match self.counts {
            None | Some(Counts::Never) => true,
            Some(Counts::Since(_) | Counts::From(_)) => false,
        };
        self.exists && wanted
    }
}

#[cfg(test)]
pub(super) mod tests;
