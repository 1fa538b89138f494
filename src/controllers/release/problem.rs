//! Why a release is not sealed: each problem with its reason and its sentence. Pure.

use std::time::Duration;

use crate::api::condition::{Reason, Standing};
use crate::api::convert::ProjectPackage;
use crate::domain::invalid::Invalid;
use crate::registry::RegistryError;
use crate::registry::error::Identity;

/// One thing that keeps a release from being sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
    /// What could cure it.
    pub cure: Cure,
    /// How long a registry wants to be left alone.
    pub pause: Option<Duration>,
}

/// What could change so that a problem is gone, and so when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// The project or the release: a watch says when.
    Watched,
    /// An object of the space that is not watched: looking is cheap.
    Space,
    /// A registry: asking too often is rude, and is counted against us.
    Registry,
}

impl Problem {
    /// A problem.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), cure: cure(reason), pause: None }
    }

    /// A value of the project or the release that cannot be used.
    #[must_use]
    pub fn invalid(invalid: &Invalid) -> Self {
        Self::new(Reason::Invalid, invalid.to_string()).watched()
    }

    /// The same, known to be cured only by a change of the project or the release.
    #[must_use]
    pub fn watched(self) -> Self {
        Self { cure: Cure::Watched, ..self }
    }

    /// What a registry said about a package whose version was given at this place.
    #[must_use]
    pub fn registry(package: &ProjectPackage, place: usize, error: &RegistryError) -> Self {
        let RegistryError::TagNotFound { repository, tag } = error else { return Self::repository(package, error) };
        let message = format!(
            "package {} has no version {tag} in {repository}: push it, or correct spec.packages[{place}].version",
            package.name
        );
        Self::new(Reason::TagNotFound, message)
    }

    /// What a registry said about a package.
    #[must_use]
    pub fn repository(package: &ProjectPackage, error: &RegistryError) -> Self {
        let name = &package.name;
        let reason = match error {
            RegistryError::TagNotFound { .. } | RegistryError::RepositoryNotFound { .. } => Reason::TagNotFound,
            RegistryError::Unauthorized { repository, with: Identity::PullSecret } => {
                let secret = package.pull_secret.as_deref().unwrap_or_default();
                let message = format!(
                    "package {name}: the registry refuses to show {repository} with the credentials of Secret {secret}, the package's pullSecret; correct that Secret, or the package's image"
                );
                return Self::new(Reason::RegistryUnauthorized, message);
            }
            RegistryError::Unauthorized { .. } => Reason::RegistryUnauthorized,
            RegistryError::Unreachable { .. } | RegistryError::Busy { .. } => Reason::RegistryUnreachable,
            RegistryError::PlainHttpRefused { .. }
            | RegistryError::Internal { .. }
            | RegistryError::Untrusted { .. }
            | RegistryError::BadAnswer { .. }
            | RegistryError::TooManyTags { .. } => Reason::RegistryRefused,
        };
        let pause = if let RegistryError::Busy { pause, .. } = error { *pause } else { None };
        Self { pause, ..Self::new(reason, format!("package {name}: {error}")) }
    }

    /// Whether nothing moves until a person changes the project or the release.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self.reason,
            Reason::Invalid
                | Reason::UnknownPackage
                | Reason::ChannelNotFound
                | Reason::VersionRefused
                | Reason::AmbiguousVersion
                | Reason::SnapshotTooLarge
        )
    }
}

/// What could cure a problem of this reason.
fn cure(reason: Reason) -> Cure {
    match reason {
        Reason::TagNotFound
        | Reason::NoVersion
        | Reason::AmbiguousVersion
        | Reason::RegistryUnauthorized
        | Reason::RegistryUnreachable
        | Reason::RegistryRefused => Cure::Registry,
        Reason::ManifestsNotFound
        | Reason::VariableSetNotFound
        | Reason::PullSecretInvalid
        | Reason::Invalid
        | Reason::SnapshotTooLarge
        | Reason::Failed => Cure::Space,
        _ => Cure::Watched,
    }
}

/// All problems as one standing, one reason and one sentence: what needs a person comes first.
#[must_use]
pub fn summary(problems: &[Problem]) -> (Standing, Reason, String) {
    let first = problems.iter().find(|problem| problem.needs_a_person()).or(problems.first());
    let reason = first.map_or(Reason::Failed, |problem| problem.reason);
    let standing = if first.is_some_and(Problem::needs_a_person) { Standing::Stalled } else { Standing::Reconciling };
    let sentences: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    (standing, reason, sentences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> ProjectPackage {
        let image = "ghcr.io/acme/checkout";
        ProjectPackage {
            name: "api".parse().unwrap(),
            repository: image.parse().unwrap(),
            image: image.to_owned(),
            pull_secret: Some("robot".into()),
        }
    }

    #[test]
    fn credentials_that_a_registry_refuses_are_named_by_their_secret() {
        let error =
            RegistryError::Unauthorized { repository: "ghcr.io/acme/checkout".into(), with: Identity::PullSecret };
        let problem = Problem::registry(&package(), 2, &error);
        assert_eq!(problem.reason, Reason::RegistryUnauthorized);
        assert!(problem.message.contains("the credentials of Secret robot"), "{}", problem.message);
    }

    #[test]
    fn a_tag_that_is_missing_says_where_to_push_it_and_what_to_correct() {
        let error = RegistryError::TagNotFound { repository: "ghcr.io/acme/checkout".into(), tag: "9.9.9".into() };
        let problem = Problem::registry(&package(), 2, &error);
        assert_eq!(problem.reason, Reason::TagNotFound);
        assert_eq!(
            problem.message,
            "package api has no version 9.9.9 in ghcr.io/acme/checkout: push it, or correct spec.packages[2].version"
        );
    }

    #[test]
    fn what_needs_a_person_comes_first_and_everything_is_said() {
        let down = Problem::new(Reason::RegistryUnreachable, "registry r is down");
        let unknown = Problem::new(Reason::UnknownPackage, "no package x");
        let (standing, reason, message) = summary(&[down.clone(), unknown]);
        assert_eq!((standing, reason), (Standing::Stalled, Reason::UnknownPackage));
        assert_eq!(message, "registry r is down; no package x");
        let (standing, reason, _) = summary(&[down]);
        assert_eq!((standing, reason), (Standing::Reconciling, Reason::RegistryUnreachable));
    }
}
