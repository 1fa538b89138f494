//! The order in which a release goes through environments.
//!
//! A lifecycle is a list of phases. A phase is complete when enough of its environments have had at
//! least one success of the release (and kept it as long as the phase's soak says); an environment is
//! reachable when every earlier phase that is not optional is complete. A success is never taken
//! back: edits of a lifecycle judge anew what was achieved and forget none of it.
//!
//! [`choice`] says which lifecycle a release follows, [`arrival`] is what a release achieved, [`journey`] how far that brings it, [`reach`] whether it may
//! go to one environment and what to say if not, [`overtaken`] where it does not go by itself any more.

pub mod arrival;
pub mod choice;
pub mod journey;
pub mod overtaken;
pub mod reach;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::invalid::{Invalid, InvalidReason};
use super::name::EnvironmentName;

/// Ordered phases; no environment is in two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    phases: Vec<LifecyclePhase>,
}

/// One phase of a lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecyclePhase {
    /// What people call it.
    pub name: String,
    /// Its environments, without any order among them; none means all that no other phase names,
    /// future ones included. Wherever such a phase stands, what a later phase names stays in that one:
    /// it must not open earlier because something before it takes all that are left.
    pub environments: Vec<EnvironmentName>,
    /// Those that the release is promoted to without anybody asking.
    pub automatic: Vec<EnvironmentName>,
    /// How many of them need a success; all, if not said.
    pub minimum: Option<u32>,
    /// Whether later phases wait for it.
    pub optional: bool,
    /// How long the release must stay where it succeeded until that counts.
    pub soak: SignedDuration,
}

impl Lifecycle {
    /// A lifecycle of these phases.
    ///
    /// # Errors
    /// Everything that is wrong with any phase, each with its field and remedy.
    pub fn new(phases: Vec<LifecyclePhase>) -> Result<Self, Vec<Invalid>> {
        let mut wrong = Vec::new();
        let mut names = BTreeSet::new();
        let mut environments = BTreeSet::new();
        let all: BTreeSet<_> = phases.iter().flat_map(|phase| &phase.environments).collect();
        let mut rest: Option<&str> = None;
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
            if phase.environments.is_empty()
                && let Some(other) = rest.replace(&phase.name)
            {
                let message = format!(
                    "phase {} names no environment, and phase {other} takes all that no phase names: name some in one of them",
                    phase.name
                );
                wrong.push(Invalid::new(format!("{path}.environments"), InvalidReason::Required, message));
            }
            wrong.extend(phase.minimum_wrong(&path));
            wrong.extend(phase.automatic_wrong(&path, &all));
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
            ..LifecyclePhase::default()
        };
        Self { phases: phases.into_iter().map(phase).collect() }
    }

    /// The phases, first to last.
    #[must_use]
    pub fn phases(&self) -> &[LifecyclePhase] {
        &self.phases
    }

    /// Environments that a phase names and the space does not have, with the path of the field. They
    /// count all the same: a name that is misspelled must not open the next phase.
    #[must_use]
    pub fn unknown(&self, environments: &BTreeSet<EnvironmentName>) -> Vec<(String, EnvironmentName)> {
        let named = self.phases.iter().enumerate().flat_map(|(index, phase)| {
            let field = |field, names: &[EnvironmentName]| {
                names.iter().map(|name| (format!("spec.phases[{index}].{field}"), name.clone())).collect::<Vec<_>>()
            };
            let automatic = if phase.environments.is_empty() { phase.automatic.as_slice() } else { &[] };
            field("environments", &phase.environments).into_iter().chain(field("automatic", automatic))
        });
        named.filter(|(_, name)| !environments.contains(name)).collect()
    }

    /// Whether it matters to any phase that there is an environment of this name, which may be none.
    #[must_use]
    pub fn concerns(&self, environment: &str) -> bool {
        let named = |phase: &LifecyclePhase| phase.environments.iter().any(|name| name.as_str() == environment);
        self.phases.iter().any(|phase| phase.environments.is_empty() || named(phase))
    }

    /// Whether it matters how long a release stays somewhere.
    #[must_use]
    pub fn soaks(&self) -> bool {
        self.phases.iter().any(|phase| phase.soak.is_positive())
    }

    /// Whether no phase is ever one that others wait for.
    #[must_use]
    pub fn is_all_optional(&self) -> bool {
        self.phases.iter().all(|phase| phase.optional)
    }
}

impl LifecyclePhase {
    fn minimum_wrong(&self, path: &str) -> Option<Invalid> {
        let most = if self.environments.is_empty() { usize::MAX } else { self.environments.len() };
        let minimum = self.minimum.filter(|minimum| *minimum == 0 || *minimum as usize > most)?;
        let message = if minimum == 0 {
            format!("phase {} has a minimum of 0: leave it out for all, or set optional: true", self.name)
        } else {
            format!("phase {} has {most} environments and a minimum of {minimum}: lower it, or add some", self.name)
        };
        Some(Invalid::new(format!("{path}.minimum"), InvalidReason::Forbidden, message))
    }

    fn automatic_wrong(&self, path: &str, named: &BTreeSet<&EnvironmentName>) -> Vec<Invalid> {
        let path = format!("{path}.automatic");
        let mut wrong = Vec::new();
        if self.optional && !self.automatic.is_empty() {
            let message = format!(
                "phase {} is optional, so it never becomes current and nothing is automatic: remove one of the two",
                self.name
            );
            wrong.push(Invalid::new(path.clone(), InvalidReason::Forbidden, message));
        }
        let is_rest = self.environments.is_empty();
        let strange = |name: &&EnvironmentName| {
            if is_rest { named.contains(name) } else { !self.environments.contains(name) }
        };
        wrong.extend(self.automatic.iter().filter(strange).map(|name| {
            let remedy = if is_rest { "another phase names it: remove it" } else { "add it there, or remove it" };
            let message = format!("environment {name} is not one of phase {}: {remedy}", self.name);
            Invalid::new(path.clone(), InvalidReason::Unknown, message)
        }));
        wrong
    }
}

#[cfg(test)]
mod tests;
