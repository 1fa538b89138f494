//! The order in which a release goes through environments.
//!
//! A lifecycle is a list of phases. A phase is complete when enough of its environments have had at
//! least one success of the release; an environment is reachable when every earlier phase that is not
//! optional is complete. A success is never taken back, so what is open to a release stays open as
//! long as the lifecycle stays.

use std::collections::{BTreeMap, BTreeSet};

use super::invalid::{Invalid, InvalidReason};
use super::name::EnvironmentName;

/// Ordered phases; no environment is in two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    phases: Vec<LifecyclePhase>,
}

/// One phase of a lifecycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecyclePhase {
    /// What people call it.
    pub name: String,
    /// Its environments; there is no order among them.
    pub environments: Vec<EnvironmentName>,
    /// How many of them need a success; all, if not said.
    pub minimum: Option<u32>,
    /// Whether later phases wait for it.
    pub optional: bool,
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
    /// Whether promotions to the phase's environments are let through.
    pub reachable: bool,
    /// Whether later phases wait for this one.
    pub optional: bool,
    /// How many environments need a success.
    pub needed: usize,
    /// Environments with a success.
    pub succeeded: Vec<EnvironmentName>,
    /// Environments without one.
    pub missing: Vec<EnvironmentName>,
}

/// Whether a release may go to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It may.
    Reachable,
    /// An earlier phase is not complete.
    Unreached {
        /// The first such phase.
        phase: String,
        /// How many of its environments need a success.
        needed: usize,
        /// Those that have one.
        succeeded: Vec<EnvironmentName>,
        /// Those that have none.
        missing: Vec<EnvironmentName>,
    },
    /// The lifecycle does not hold the environment.
    NotInLifecycle,
}

impl Lifecycle {
    /// A lifecycle of these phases.
    ///
    /// # Errors
    /// Every phase name or environment given twice, and every minimum that its phase cannot meet.
    pub fn new(phases: Vec<LifecyclePhase>) -> Result<Self, Vec<Invalid>> {
        let mut wrong = Vec::new();
        let mut names = BTreeSet::new();
        let mut environments = BTreeSet::new();
        for (index, phase) in phases.iter().enumerate() {
            let path = format!("spec.phases[{index}]");
            if !names.insert(&phase.name) {
                let message = format!("phase {} is given twice: rename one", phase.name);
                wrong.push(Invalid::new(format!("{path}.name"), InvalidReason::Duplicate, message));
            }
            for environment in phase.environments.iter().filter(|environment| !environments.insert(*environment)) {
                let message = format!("environment {environment} is given twice: remove it from one phase");
                wrong.push(Invalid::new(format!("{path}.environments"), InvalidReason::Duplicate, message));
            }
            if phase.minimum.is_some_and(|minimum| minimum == 0 || minimum as usize > phase.environments.len()) {
                let message = format!(
                    "phase {} has {} environments: the minimum must be between 1 and that (to let it be skipped, set optional: true)",
                    phase.name,
                    phase.environments.len()
                );
                wrong.push(Invalid::new(format!("{path}.minimum"), InvalidReason::Forbidden, message));
            }
        }
        if wrong.is_empty() { Ok(Self { phases }) } else { Err(wrong) }
    }

    /// The lifecycle of a space that defines none: each distinct order is a phase, lowest first, and
    /// all of its environments are needed. Of an environment given twice, the lower order counts.
    ///
    /// A phase of one environment is named after it, one of several after their order: `order-20`.
    #[must_use]
    pub fn by_order(environments: &[(EnvironmentName, i64)]) -> Self {
        let mut orders: BTreeMap<&EnvironmentName, i64> = BTreeMap::new();
        for (environment, order) in environments {
            orders.entry(environment).and_modify(|known| *known = (*known).min(*order)).or_insert(*order);
        }
        let mut phases: BTreeMap<i64, Vec<EnvironmentName>> = BTreeMap::new();
        for (environment, order) in orders {
            phases.entry(order).or_default().push(environment.clone());
        }
        let phase = |(order, environments): (i64, Vec<EnvironmentName>)| LifecyclePhase {
            name: match environments.as_slice() {
                [only] => only.to_string(),
                _ => format!("order-{order}"),
            },
            environments,
            minimum: None,
            optional: false,
        };
        Self { phases: phases.into_iter().map(phase).collect() }
    }

    /// The phases, first to last.
    #[must_use]
    pub fn phases(&self) -> &[LifecyclePhase] {
        &self.phases
    }

    /// How far a release with these successes is, phase by phase. Successes in environments that the
    /// lifecycle does not hold are ignored; they count again when it does.
    #[must_use]
    pub fn progress(&self, successes: &BTreeSet<EnvironmentName>) -> Vec<PhaseProgress> {
        let mut open = true;
        let mut rows = Vec::with_capacity(self.phases.len());
        for phase in &self.phases {
            let row = phase.progress(successes, open);
            open = open && (phase.optional || row.progress == Progress::Complete);
            rows.push(row);
        }
        rows
    }

    /// Whether a release with these successes may go to `environment`.
    #[must_use]
    pub fn reachable(&self, environment: &EnvironmentName, successes: &BTreeSet<EnvironmentName>) -> Reach {
        let mut closed_by = None;
        for (phase, row) in self.phases.iter().zip(self.progress(successes)) {
            if phase.environments.contains(environment) {
                return closed_by.unwrap_or(Reach::Reachable);
            }
            if row.progress == Progress::Current {
                closed_by = Some(Reach::Unreached {
                    phase: row.name,
                    needed: row.needed,
                    succeeded: row.succeeded,
                    missing: row.missing,
                });
            }
        }
        Reach::NotInLifecycle
    }

    /// Where a release with these successes may go and has not been: exactly the environments that
    /// are reachable and have no success, by phase.
    #[must_use]
    pub fn next(&self, successes: &BTreeSet<EnvironmentName>) -> Vec<EnvironmentName> {
        self.progress(successes).into_iter().filter(|row| row.reachable).flat_map(|row| row.missing).collect()
    }
}

impl LifecyclePhase {
    fn needed(&self) -> usize {
        self.minimum.map_or(self.environments.len(), |minimum| minimum as usize)
    }

    fn progress(&self, successes: &BTreeSet<EnvironmentName>, reachable: bool) -> PhaseProgress {
        let (succeeded, missing): (Vec<_>, Vec<_>) =
            self.environments.iter().cloned().partition(|environment| successes.contains(environment));
        let progress = if succeeded.len() >= self.needed() {
            Progress::Complete
        } else if reachable && !self.optional {
            Progress::Current
        } else {
            Progress::Pending
        };
        PhaseProgress {
            name: self.name.clone(),
            progress,
            reachable,
            optional: self.optional,
            needed: self.needed(),
            succeeded,
            missing,
        }
    }
}

impl Reach {
    /// Why `release` may not go to `environment` and what to do, in one sentence; nothing if it may.
    #[must_use]
    pub fn message(&self, environment: &EnvironmentName, release: &str) -> Option<String> {
        match self {
            Self::Reachable => None,
            Self::NotInLifecycle => Some(format!(
                "environment {environment} is not in the lifecycle of {release}: add it there, or promote to one that is"
            )),
            Self::Unreached { phase, needed, succeeded, missing } => {
                let done = if succeeded.is_empty() { String::new() } else { format!(" ({})", listed(succeeded)) };
                let (environments, have) =
                    (plural(*needed, "environment"), if succeeded.len() == 1 || *needed == 1 { "has" } else { "have" });
                Some(format!(
                    "{environment} waits for phase {phase}: {} of {needed} {environments}{done} {have} {release}; promote it to {} first",
                    succeeded.len(),
                    listed(missing)
                ))
            }
        }
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

#[cfg(test)]
mod tests;
