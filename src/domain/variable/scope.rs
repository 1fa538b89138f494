//! Where a value holds, and which of two values is the more specific one.

use std::fmt;

/// For what a variable is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The environment.
    pub environment: String,
    /// The target.
    pub target: String,
    /// The roles of the target.
    pub roles: Vec<String>,
    /// The channel of the release, if it has one.
    pub channel: Option<String>,
    /// The step.
    pub step: String,
}

/// Where a value holds: within one kind any name may match, and every kind that is given must. Without any, everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Steps.
    pub steps: Vec<String>,
    /// Targets.
    pub targets: Vec<String>,
    /// Roles of targets.
    pub roles: Vec<String>,
    /// Environments.
    pub environments: Vec<String>,
    /// Channels.
    pub channels: Vec<String>,
}

/// How specific a scope is: the kinds that it gives, the highest kind counting more than all below it together. How many names
/// a kind lists does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity(u8);

impl Scope {
    /// How many kinds of names there are.
    pub(super) const KINDS: usize = 5;

    /// Whether the value holds for a subject.
    #[must_use]
    pub fn applies(&self, subject: &Subject) -> bool {
        let any = |names: &[String], of: &str| names.is_empty() || names.iter().any(|name| name == of);
        any(&self.steps, &subject.step)
            && any(&self.targets, &subject.target)
            && (self.roles.is_empty() || self.roles.iter().any(|role| subject.roles.contains(role)))
            && any(&self.environments, &subject.environment)
            && any(&self.channels, subject.channel.as_deref().unwrap_or_default())
    }

    /// How specific it is.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        Specificity(self.kinds().iter().fold(0, |rank, (_, names)| rank << 1 | u8::from(!names.is_empty())))
    }

    /// A subject for which both hold, if there is one.
    #[must_use]
    pub fn witness(&self, other: &Self) -> Option<Subject> {
        let common = |ours: &[String], theirs: &[String]| match (ours, theirs) {
            ([], []) => Some(String::new()),
            ([], [one, ..]) | ([one, ..], []) => Some(one.clone()),
            (ours, theirs) => ours.iter().find(|one| theirs.contains(one)).cloned(),
        };
        Some(Subject {
            environment: common(&self.environments, &other.environments)?,
            target: common(&self.targets, &other.targets)?,
            // A target may have several roles, but nobody has to have both.
            roles: vec![common(&self.roles, &other.roles)?],
            channel: Some(common(&self.channels, &other.channels)?),
            step: common(&self.steps, &other.steps)?,
        })
    }

    /// The kinds from the highest down, with their names.
    pub(super) fn kinds(&self) -> [(&'static str, &[String]); Self::KINDS] {
        [
            ("steps", &self.steps),
            ("targets", &self.targets),
            ("roles", &self.roles),
            ("environments", &self.environments),
            ("channels", &self.channels),
        ]
    }
}

impl fmt::Display for Scope {
    /// `environments production, test; roles web`, or `everywhere`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.kinds().into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = given.map(|(kind, names)| format!("{kind} {}", names.join(", "))).collect();
        f.write_str(if parts.is_empty() { "everywhere".to_owned() } else { parts.join("; ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn subject() -> Subject {
        Subject {
            environment: "production".into(),
            target: "eu".into(),
            roles: names(&["web", "db"]),
            channel: Some("stable".into()),
            step: "deploy".into(),
        }
    }

    #[test]
    fn within_a_kind_any_name_matches_and_across_kinds_all_must() {
        let scope = Scope { environments: names(&["test", "production"]), ..Scope::default() };
        assert!(scope.applies(&subject()));
        let both = Scope { roles: names(&["cache"]), ..scope };
        assert!(!both.applies(&subject()));
        assert!(Scope { roles: names(&["cache", "db"]), ..both }.applies(&subject()));
        assert!(Scope::default().applies(&subject()));
    }

    #[test]
    fn a_value_for_a_channel_does_not_hold_for_a_release_without_one() {
        let scope = Scope { channels: names(&["stable"]), ..Scope::default() };
        assert!(scope.applies(&subject()));
        assert!(!scope.applies(&Subject { channel: None, ..subject() }));
    }

    #[test]
    fn the_highest_kind_counts_more_than_all_below_it_together() {
        let step = Scope { steps: names(&["deploy"]), ..Scope::default() };
        let rest = Scope {
            steps: Vec::new(),
            targets: names(&["eu"]),
            roles: names(&["web"]),
            environments: names(&["production"]),
            channels: names(&["stable"]),
        };
        assert!(step.specificity() > rest.specificity());
        let target = Scope { targets: names(&["eu"]), ..Scope::default() };
        let below = Scope { targets: Vec::new(), ..rest };
        assert!(target.specificity() > below.specificity());
        let environment = Scope { environments: names(&["production"]), ..Scope::default() };
        let channel = Scope { channels: names(&["stable"]), ..Scope::default() };
        assert!(environment.specificity() > channel.specificity());
        assert!(channel.specificity() > Scope::default().specificity());
    }

    #[test]
    fn two_environments_are_as_specific_as_one() {
        let one = Scope { environments: names(&["production"]), ..Scope::default() };
        let two = Scope { environments: names(&["production", "test"]), ..Scope::default() };
        assert_eq!(one.specificity(), two.specificity());
        assert_eq!(two.to_string(), "environments production, test");
        assert_eq!(Scope::default().to_string(), "everywhere");
    }
}
