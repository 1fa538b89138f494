//! From the wire to the domain: names, images, durations, lifecycles and freezes, checked once, with every mistake and not just the
//! first. Pure.

mod channels;
pub mod freezes;
pub mod lifecycle;
mod steps;
mod triggers;

use std::collections::BTreeMap;

pub use channels::channels;
use jiff::SignedDuration;
pub use triggers::triggers;

use super::manifest;
use super::v1alpha1::project::{Package, Step};
use super::v1alpha1::release::PackageVersion;
use super::v1alpha1::{Environment, ProjectSpec};
use crate::domain::image::{Digest, Repository, Tag};
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::name::{EnvironmentName, PackageName, StepName};

/// The longest that a step may be given.
const LONGEST_TIMEOUT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// A package of a project whose name and image are well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectPackage {
    /// Its name.
    pub name: PackageName,
    /// The image as the project writes it.
    pub image: String,
    /// Where its versions are.
    pub repository: Repository,
    /// Secret of the space to ask the registry with.
    pub pull_secret: Option<String>,
}

/// A package of a release whose name and version are well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasePackage {
    /// Its name in the project.
    pub name: PackageName,
    /// The tag, if one is given.
    pub tag: Option<Tag>,
    /// The digest, if it is given.
    pub digest: Option<Digest>,
}

/// Everything that is wrong with a project and can be seen without looking elsewhere.
#[must_use]
pub fn validate(spec: &ProjectSpec) -> Vec<Invalid> {
    let mut wrong = project_packages(&spec.packages).err().unwrap_or_default();
    match channels(spec) {
        Ok(channels) => wrong.extend(triggers(spec, &channels).err().unwrap_or_default()),
        Err(problems) => wrong.extend(problems),
    }
    let mut names = BTreeMap::new();
    let known: Vec<&str> = spec.channels.iter().map(|channel| channel.name.as_str()).collect();
    for (index, step) in spec.process.iter().enumerate() {
        let path = format!("spec.process[{index}]");
        wrong.extend(StepName::try_from(step.name.as_str()).err().map(|error| error.at(format!("{path}.name"))));
        if let Some(first) = names.insert(step.name.as_str(), index) {
            wrong.push(duplicate(format!("{path}.name"), "step", &step.name, first));
        }
        wrong.extend(timeout(&step.timeout, &format!("{path}.timeout")).err());
        wrong.extend(steps::conditions(step, &known, &path));
        wrong.extend(inline_manifests(step, &path));
    }
    wrong.extend(super::variables::validate(&spec.variables, "spec.variables"));
    wrong
}

/// The packages of a project.
///
/// # Errors
/// Every name or image that is malformed or given twice.
pub fn project_packages(packages: &[Package]) -> Result<Vec<ProjectPackage>, Vec<Invalid>> {
    let (mut read, mut wrong): (Vec<(usize, ProjectPackage)>, _) = (Vec::new(), Vec::new());
    for (index, package) in packages.iter().enumerate() {
        let path = format!("spec.packages[{index}]");
        let name = PackageName::try_from(package.name.as_str()).map_err(|error| error.at(format!("{path}.name")));
        let repository = package
            .image
            .parse::<Repository>()
            .map_err(|error| Invalid::new(format!("{path}.image"), InvalidReason::Malformed, error));
        let (Ok(name), Ok(repository)) = (&name, &repository) else {
            wrong.extend(name.err().into_iter().chain(repository.err()));
            continue;
        };
        if let Some((first, _)) = read.iter().find(|(_, known)| known.name == *name) {
            wrong.push(duplicate(format!("{path}.name"), "package", &package.name, *first));
        }
        if let Some((first, _)) = read.iter().find(|(_, known)| known.repository.same_as(repository)) {
            wrong.push(duplicate(format!("{path}.image"), "image", &package.image, *first));
        }
        let (name, repository) = (name.clone(), repository.clone());
        let pull_secret = package.pull_secret.clone();
        read.push((index, ProjectPackage { name, image: package.image.clone(), repository, pull_secret }));
    }
    if wrong.is_empty() { Ok(read.into_iter().map(|(_, package)| package).collect()) } else { Err(wrong) }
}

/// The packages of a release, with their place in its spec.
///
/// # Errors
/// Every name, tag or digest that is malformed or given twice.
pub fn release_packages(packages: &[PackageVersion]) -> Result<Vec<ReleasePackage>, Vec<Invalid>> {
    let (mut read, mut wrong): (Vec<ReleasePackage>, _) = (Vec::new(), Vec::new());
    for (index, package) in packages.iter().enumerate() {
        let path = format!("spec.packages[{index}]");
        let malformed = |field: &str, error: &dyn std::fmt::Display| {
            Invalid::new(format!("{path}.{field}"), InvalidReason::Malformed, error)
        };
        let name = PackageName::try_from(package.name.as_str()).map_err(|error| malformed("name", &error));
        let tag = package.version.as_deref().map(str::parse::<Tag>).transpose();
        let tag = tag.map_err(|error| malformed("version", &error));
        let digest = package.digest.as_deref().map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|error| malformed("digest", &error));
        let (Ok(name), Ok(tag), Ok(digest)) = (&name, &tag, &digest) else {
            wrong.extend(name.err().into_iter().chain(tag.err()).chain(digest.err()));
            continue;
        };
        if let Some(first) = read.iter().position(|known| known.name == *name) {
            wrong.push(duplicate(format!("{path}.name"), "package", &package.name, first));
        }
        read.push(ReleasePackage { name: name.clone(), tag: tag.clone(), digest: digest.clone() });
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong) }
}

/// How long a step may take: `10m`, `1h30m`.
///
/// # Errors
/// When it is no duration, or none that a step can have.
pub fn timeout(text: &str, path: &str) -> Result<SignedDuration, Invalid> {
    let wrong = |reason, problem: &str| {
        Invalid::new(
            path,
            reason,
            format!("{text:?} {problem}: write a duration of seconds, minutes and hours, e.g. 10m"),
        )
    };
    let duration: SignedDuration =
        text.parse().map_err(|_| wrong(InvalidReason::Malformed, "is not a duration that can be read"))?;
    if !duration.is_positive() {
        return Err(wrong(InvalidReason::Forbidden, "leaves no time"));
    }
    if duration > LONGEST_TIMEOUT {
        return Err(wrong(InvalidReason::TooLarge, "is longer than a week"));
    }
    Ok(duration)
}

/// Every environment with its order. One whose name is none cannot be promoted to, and is left out.
#[must_use]
pub fn orders<'a>(environments: impl IntoIterator<Item = &'a Environment>) -> Vec<(EnvironmentName, i64)> {
    let order = |environment: &Environment| {
        let name = EnvironmentName::try_from(environment.metadata.name.as_deref()?).ok()?;
        Some((name, environment.spec.order))
    };
    environments.into_iter().filter_map(order).collect()
}

/// What is wrong with the manifests that a step writes out itself.
fn inline_manifests(step: &Step, path: &str) -> Vec<Invalid> {
    let Some(manifests) = step.apply.as_ref().and_then(|apply| apply.manifests.as_ref()) else { return Vec::new() };
    let (mut seen, mut wrong) = (BTreeMap::new(), Vec::new());
    for (index, manifest) in manifests.iter().enumerate() {
        let path = format!("{path}.apply.manifests[{index}]");
        match manifest::identity(&manifest.0, &path) {
            Err(problems) => wrong.extend(problems),
            Ok(identity) => {
                let text = identity.to_string();
                if let Some(first) = seen.insert(identity, index) {
                    wrong.push(duplicate(path, "object", &text, first));
                }
            }
        }
    }
    wrong
}

fn duplicate(path: String, what: &str, value: &str, first: usize) -> Invalid {
    let message = format!("{what} {value} is given twice, first at place {first}: remove or change one");
    Invalid::new(path, InvalidReason::Duplicate, message)
}

#[cfg(test)]
mod tests;
