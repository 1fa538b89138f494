//! Whose an object is: labels that say so, and the comparison with ours. Pure.

use std::collections::BTreeMap;

use crate::domain::name::{EnvironmentName, ProjectName, ReleaseVersion};

/// What begins every label that is Gantry's own.
pub const PREFIX: &str = "gantry.dev/";
/// Label: the space.
pub const SPACE: &str = "gantry.dev/space";
/// Label: the project.
pub const PROJECT: &str = "gantry.dev/project";
/// Label: the environment.
pub const ENVIRONMENT: &str = "gantry.dev/environment";
/// Label: the version of the release.
pub const RELEASE: &str = "gantry.dev/release";

/// For whom a step works, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The step, for messages.
    pub step: String,
    /// The space.
    pub space: String,
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The version of the release.
    pub version: ReleaseVersion,
    /// The one namespace that the step may change.
    pub namespace: String,
}

impl Scope {
    /// The field manager of everything that the project applies, so that two projects conflict and never overwrite each other.
    #[must_use]
    pub fn applies_as(&self) -> String {
        format!("gantry/{}", self.project)
    }

    /// The labels of an object of the project.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, String); 4] {
        let [space, project, environment] = self.owner();
        [space, project, environment, (RELEASE, self.version.to_string())]
    }

    /// The labels of a pod of the project: none that changes with a release, or every release would restart every pod.
    #[must_use]
    pub fn pod_labels(&self) -> [(&'static str, String); 2] {
        let [_, project, environment] = self.owner();
        [project, environment]
    }

    fn owner(&self) -> [(&'static str, String); 3] {
        [(SPACE, self.space.clone()), (PROJECT, self.project.to_string()), (ENVIRONMENT, self.environment.to_string())]
    }

    /// Whose an object with these labels is.
    #[must_use]
    pub fn judge(&self, labels: Option<&BTreeMap<String, String>>) -> Ownership {
        let said = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
        if self.owner().iter().all(|(key, _)| said(key).is_none()) {
            return Ownership::Nobody;
        }
        let differs = |(key, ours): &(&str, String)| said(key).is_some_and(|theirs| theirs != ours);
        if !self.owner().iter().any(differs) {
            return Ownership::Ours;
        }
        let part = |key: &str| said(key).unwrap_or("?");
        Ownership::Other(format!(
            "project {} in environment {} of space {}",
            part(PROJECT),
            part(ENVIRONMENT),
            part(SPACE)
        ))
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This project and environment's.
    Ours,
    /// No project's: it may be taken over, if no field of it conflicts.
    Nobody,
    /// Another one's, which the text names.
    Other(String),
}

/// A scope for tests.
#[cfg(test)]
pub(crate) mod example {
    use super::*;

    /// Release 1.4.2 of `checkout` for `dev` of the space `shop`.
    pub(crate) fn scope() -> Scope {
        Scope {
            step: "deploy".into(),
            space: "shop".into(),
            project: "checkout".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            version: "1.4.2".parse().unwrap(),
            namespace: "shop-dev".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::example::scope;
    use super::*;

    #[test]
    fn an_object_is_ours_only_by_space_project_and_environment() {
        let judge = |labels: &[(&str, &str)]| {
            scope().judge(Some(&labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()))
        };
        assert_eq!(scope().judge(None), Ownership::Nobody);
        assert_eq!(judge(&[("app", "checkout")]), Ownership::Nobody);
        assert_eq!(
            judge(&[(SPACE, "shop"), (PROJECT, "checkout"), (ENVIRONMENT, "dev"), (RELEASE, "1")]),
            Ownership::Ours
        );
        assert_eq!(
            judge(&[(SPACE, "shop"), (PROJECT, "billing"), (ENVIRONMENT, "dev")]),
            Ownership::Other("project billing in environment dev of space shop".into())
        );
        assert!(matches!(judge(&[(SPACE, "other"), (PROJECT, "checkout"), (ENVIRONMENT, "dev")]), Ownership::Other(_)));
        assert!(matches!(judge(&[(PROJECT, "checkout"), (ENVIRONMENT, "test")]), Ownership::Other(_)));
    }

    #[test]
    fn no_label_of_a_pod_changes_with_the_release() {
        let mut next = scope();
        next.version = "1.5.0".parse().unwrap();
        assert_eq!(scope().pod_labels(), next.pod_labels());
        assert_ne!(scope().labels(), next.labels());
    }
}
