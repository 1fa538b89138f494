//! Which version of which package: the release's choice against the project's packages. Pure.

use super::problem::Problem;
use crate::api::condition::Reason;
use crate::api::convert::{ProjectPackage, ReleasePackage};
use crate::domain::channel::{self, Channel};
use crate::domain::image::{Digest, Tag};

/// A package of the project with the version that the release chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The package of the project.
    pub package: ProjectPackage,
    /// What the release says of its version.
    pub version: Choice,
}

/// What a release says of the version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A digest, and perhaps the tag that goes with it: no registry is asked.
    Digest(Digest, Option<Tag>),
    /// A tag, and the place where it is written.
    Tag(Tag, usize),
    /// Nothing: the highest that the channel takes.
    Highest,
}

impl Choice {
    /// The tag that was given.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Digest(_, tag) => tag.as_ref(),
            Self::Tag(tag, _) => Some(tag),
            Self::Highest => None,
        }
    }
}

/// Every package of the project with its choice, in the project's order; and a problem for every choice without a package, and
/// for every one that the channel does not take.
#[must_use]
pub fn choose(
    (project, packages): (&str, Vec<ProjectPackage>),
    versions: &[ReleasePackage],
    channel: Option<&Channel>,
) -> (Vec<Chosen>, Vec<Problem>) {
    let mut problems: Vec<Problem> = versions
        .iter()
        .enumerate()
        .filter(|(_, version)| !packages.iter().any(|package| package.name == version.name))
        .map(|(place, version)| unknown(project, &packages, (place, version)))
        .collect();
    let mut chosen = Vec::with_capacity(packages.len());
    for package in packages {
        let found = versions.iter().enumerate().find(|(_, version)| version.name == package.name);
        let version = found.map_or(Choice::Highest, |(place, version)| choice(version, place));
        if version != Choice::Highest
            && let Err(refused) = channel::accepts(channel, &package.name, version.tag())
        {
            let place = found.map_or(0, |(place, _)| place);
            let message = format!("spec.packages[{place}].version: {refused}");
            problems.push(Problem::new(Reason::VersionRefused, message));
        }
        chosen.push(Chosen { package, version });
    }
    (chosen, problems)
}

fn choice(version: &ReleasePackage, place: usize) -> Choice {
    match (&version.digest, &version.tag) {
        (Some(digest), tag) => Choice::Digest(digest.clone(), tag.clone()),
        (None, Some(tag)) => Choice::Tag(tag.clone(), place),
        (None, None) => Choice::Highest,
    }
}

fn unknown(project: &str, packages: &[ProjectPackage], (place, version): (usize, &ReleasePackage)) -> Problem {
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let has = if names.is_empty() { "no packages".to_owned() } else { format!("only {}", names.join(", ")) };
    let message = format!(
        "spec.packages[{place}].name: project {project} has {has}, and no package {}: add it to the project, or make a release without it",
        version.name
    );
    Problem::new(Reason::UnknownPackage, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::channel::Rule;

    fn package(name: &str) -> ProjectPackage {
        let image = format!("ghcr.io/acme/{name}");
        ProjectPackage { name: name.parse().unwrap(), repository: image.parse().unwrap(), image, pull_secret: None }
    }

    fn version(name: &str) -> ReleasePackage {
        ReleasePackage { name: name.parse().unwrap(), tag: "1.0.0".parse().ok(), digest: None }
    }

    fn stable() -> Channel {
        let rule = Rule::read(Vec::new(), (Some("<2"), None), "r").unwrap();
        Channel { name: "stable".parse().unwrap(), default: true, lifecycle: None, rules: vec![rule] }
    }

    #[test]
    fn the_order_is_that_of_the_project_and_what_is_not_chosen_is_the_highest() {
        let packages = vec![package("a"), package("b"), package("c")];
        let (chosen, problems) = choose(("checkout", packages), &[version("b"), version("a")], None);
        assert_eq!(problems, []);
        let order: Vec<_> = chosen.iter().map(|one| (one.package.name.as_str(), one.version.clone())).collect();
        let tag = |place| Choice::Tag("1.0.0".parse().unwrap(), place);
        assert_eq!(order, [("a", tag(1)), ("b", tag(0)), ("c", Choice::Highest)]);
    }

    #[test]
    fn every_package_that_is_unknown_is_named_with_a_remedy() {
        let (chosen, problems) =
            choose(("checkout", vec![package("a"), package("b")]), &[version("b"), version("x")], None);
        assert_eq!(chosen.len(), 2);
        let said: Vec<_> = problems.iter().map(|problem| (problem.reason, problem.message.as_str())).collect();
        assert_eq!(
            said,
            [(
                Reason::UnknownPackage,
                "spec.packages[1].name: project checkout has only a, b, and no package x: add it to the project, or make a release without it"
            )]
        );
    }

    #[test]
    fn a_version_that_the_channel_does_not_take_is_named_and_one_that_nobody_chose_is_not() {
        let versions = [ReleasePackage { tag: "2.0.0".parse().ok(), ..version("a") }];
        let (chosen, problems) = choose(("checkout", vec![package("a"), package("b")]), &versions, Some(&stable()));
        assert_eq!((chosen.len(), problems.len()), (2, 1));
        assert_eq!(problems[0].reason, Reason::VersionRefused);
        let said = &problems[0].message;
        assert!(
            said.starts_with("spec.packages[0].version: channel stable does not take version 2.0.0 of package a"),
            "{said}"
        );
        let digest =
            ReleasePackage { digest: format!("sha256:{}", "a".repeat(64)).parse().ok(), ..versions[0].clone() };
        let (_, problems) = choose(("checkout", vec![package("a")]), &[digest], Some(&stable()));
        assert_eq!(problems.len(), 1, "a digest does not hide the version");
    }

    #[test]
    fn a_project_without_packages_needs_none() {
        assert_eq!(choose(("checkout", Vec::new()), &[], None), (Vec::new(), Vec::new()));
        let (_, problems) = choose(("checkout", Vec::new()), &[version("x")], None);
        assert!(problems[0].message.contains("has no packages"), "{problems:?}");
    }
}
