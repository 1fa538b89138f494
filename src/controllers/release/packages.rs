//! Which version of which package: the release's choice against the project's packages. Pure.

use super::problem::Problem;
use crate::api::condition::Reason;
use crate::api::convert::{ProjectPackage, ReleasePackage};

/// A package of the project with the version that the release chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The package of the project.
    pub package: ProjectPackage,
    /// The choice of the release.
    pub version: ReleasePackage,
    /// Place of the choice in the release's spec.
    pub place: usize,
}

/// Every package of the project that has a chosen version, in the project's order; and a problem for every package without a
/// choice and every choice without a package.
#[must_use]
pub fn choose(
    (project, packages): (&str, Vec<ProjectPackage>),
    versions: &[ReleasePackage],
) -> (Vec<Chosen>, Vec<Problem>) {
    let mut problems: Vec<Problem> = versions
        .iter()
        .enumerate()
        .filter(|(_, version)| !packages.iter().any(|package| package.name == version.name))
        .map(|(place, version)| unknown(project, &packages, (place, version)))
        .collect();
    let mut chosen = Vec::with_capacity(packages.len());
    for package in packages {
        match versions.iter().enumerate().find(|(_, version)| version.name == package.name) {
            Some((place, version)) => chosen.push(Chosen { package, version: version.clone(), place }),
            None => problems.push(missing(project, &package)),
        }
    }
    (chosen, problems)
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

fn missing(project: &str, package: &ProjectPackage) -> Problem {
    let name = &package.name;
    let message = format!(
        "spec.packages has no version of package {name} of project {project}: make a release with {{name: {name}, version: …}}"
    );
    Problem::new(Reason::PackageVersionMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> ProjectPackage {
        let image = format!("ghcr.io/acme/{name}");
        ProjectPackage { name: name.parse().unwrap(), repository: image.parse().unwrap(), image, pull_secret: None }
    }

    fn version(name: &str) -> ReleasePackage {
        ReleasePackage { name: name.parse().unwrap(), tag: "1.0.0".parse().ok(), digest: None }
    }

    #[test]
    fn the_order_is_that_of_the_project() {
        let (chosen, problems) = choose(("checkout", vec![package("a"), package("b")]), &[version("b"), version("a")]);
        assert_eq!(problems, []);
        let order: Vec<_> = chosen.iter().map(|one| (one.package.name.as_str(), one.place)).collect();
        assert_eq!(order, [("a", 1), ("b", 0)]);
    }

    #[test]
    fn every_package_that_is_missing_or_unknown_is_named_with_a_remedy() {
        let (chosen, problems) = choose(("checkout", vec![package("a"), package("b")]), &[version("b"), version("x")]);
        assert_eq!(chosen.len(), 1);
        let said: Vec<_> = problems.iter().map(|problem| (problem.reason, problem.message.as_str())).collect();
        assert_eq!(
            said,
            [
                (
                    Reason::UnknownPackage,
                    "spec.packages[1].name: project checkout has only a, b, and no package x: add it to the project, or make a release without it"
                ),
                (
                    Reason::PackageVersionMissing,
                    "spec.packages has no version of package a of project checkout: make a release with {name: a, version: …}"
                ),
            ]
        );
    }

    #[test]
    fn a_project_without_packages_needs_none() {
        assert_eq!(choose(("checkout", Vec::new()), &[]), (Vec::new(), Vec::new()));
        let (_, problems) = choose(("checkout", Vec::new()), &[version("x")]);
        assert!(problems[0].message.contains("has no packages"), "{problems:?}");
    }
}
