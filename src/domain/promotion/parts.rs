//! A part of a release: what a promotion leaves out of it on purpose.

use crate::domain::step::{Skip, Skipped};
use crate::domain::variable::Subject;

/// What a promotion leaves out of its release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The steps that it leaves out.
    pub skip_steps: Vec<String>,
    /// The only targets that it goes to; none means all.
    pub targets: Vec<String>,
}

/// A step or target that a promotion names and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What it is.
    pub kind: Missing,
    /// The field that names it: `spec.targets[0]`.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What exists.
    pub known: Vec<String>,
}

/// What does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// A step of the release's process.
    Step,
    /// A target of the environment.
    Target,
}

impl Parts {
    /// Whether anything is left out. Whoever names targets asks for a part, even if these are all that there are now.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.skip_steps.is_empty() || !self.targets.is_empty()
    }

    /// The first name that does not exist, among all steps of the release and all targets of the environment.
    #[must_use]
    pub fn unknown(&self, steps: &[String], targets: &[String]) -> Option<Unknown> {
        let first = |names: &[String], known: &[String], (kind, field): (Missing, &str)| {
            let (index, name) = names.iter().enumerate().find(|(_, name)| !known.contains(name))?;
            Some(Unknown { kind, path: format!("spec.{field}[{index}]"), name: name.clone(), known: known.to_vec() })
        };
        first(&self.targets, targets, (Missing::Target, "targets"))
            .or_else(|| first(&self.skip_steps, steps, (Missing::Step, "skipSteps")))
    }

    /// Why a step is left out in a target, if it is.
    #[must_use]
    pub fn skipped(&self, subject: &Subject) -> Option<Skipped> {
        if !self.targets.is_empty() && !self.targets.contains(&subject.target) {
            let message = format!("the promotion goes to {} only (spec.targets)", self.targets.join(", "));
            return Some(Skipped { reason: Skip::TargetLeftOut, message });
        }
        let message = || "the promotion leaves it out (spec.skipSteps)".to_owned();
        self.skip_steps.contains(&subject.step).then(|| Skipped { reason: Skip::SkippedByPerson, message: message() })
    }
}

impl Unknown {
    /// What is wrong and what to do, in one sentence; `whose` is the release or environment that does not have it.
    #[must_use]
    pub fn sentence(&self, whose: &str) -> String {
        let Self { kind, path, name, known } = self;
        let what = match kind {
            Missing::Step => "step",
            Missing::Target => "target",
        };
        let known = known.join(", ");
        format!(
            "{whose} has no {what} {name} ({path}), it has {known}: make a new promotion with one of these under another name"
        )
    }
}

#[cfg(test)]
mod tests;
