//! The triggers of a project. Pure.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;

use super::duplicate;
use crate::api::v1alpha1::ProjectSpec;
use crate::api::v1alpha1::trigger::{Trigger as Written, Versioning};
use crate::domain::channel::Channels;
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::name::{PackageName, TriggerName};
use crate::domain::trigger::{Trigger, VersionOf};
use crate::domain::variable::template::Template;

/// The quiet time where several packages are released one by one and none is given: images of one build come within seconds.
const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// The longest quiet time.
const LONGEST_SETTLE: SignedDuration = SignedDuration::from_hours(1);
/// The shortest time between two questions to a registry.
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// The longest.
const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// The triggers of a project.
///
/// # Errors
/// Every name that is malformed, unknown or given twice, and every duration that cannot be.
pub fn triggers(spec: &ProjectSpec, channels: &Channels) -> Result<Vec<Trigger>, Vec<Invalid>> {
    let packages: Vec<PackageName> =
        spec.packages.iter().filter_map(|package| PackageName::try_from(package.name.as_str()).ok()).collect();
    let mut wrong: Vec<Invalid> = version_source(spec, &packages).into_iter().collect();
    let (mut read, mut names) = (Vec::new(), BTreeMap::new());
    for (index, written) in spec.triggers.iter().enumerate() {
        let path = format!("spec.triggers[{index}]");
        if let Some(first) = names.insert(written.name.as_str(), index) {
            wrong.push(duplicate(format!("{path}.name"), "trigger", &written.name, first));
        }
        let given = Given { spec, channels, packages: &packages, path };
        match given.trigger(written) {
            Ok(trigger) => read.push(trigger),
            Err(problems) => wrong.extend(problems),
        }
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong) }
}

fn version_source(spec: &ProjectSpec, packages: &[PackageName]) -> Option<Invalid> {
    let Versioning { from_package, template } = spec.versioning.as_ref()?;
    let wrong = |reason, message: &str| Some(Invalid::new("spec.versioning", reason, message));
    match (from_package, template) {
        (Some(_), Some(_)) => {
            wrong(InvalidReason::Forbidden, "it has both fromPackage and template: remove one of them")
        }
        (None, None) => wrong(InvalidReason::Required, "it has neither fromPackage nor template: add one of them"),
        (Some(name), None) => {
            let known = packages.iter().any(|package| package.as_str() == name);
            (!known).then(|| unknown("spec.versioning.fromPackage".to_owned(), name))
        }
        (None, Some(template)) => {
            let malformed =
                |fault: &dyn fmt::Display| Invalid::new("spec.versioning.template", InvalidReason::Malformed, fault);
            match Template::parse(template) {
                Ok(Some(_)) => None,
                Ok(None) => Some(malformed(&"it has no expression: write e.g. ${{ packages.api.version }}")),
                Err(fault) => Some(malformed(&fault)),
            }
        }
    }
}

fn unknown(path: String, package: &str) -> Invalid {
    let message = format!("the project has no package {package}: correct the name, or add the package");
    Invalid::new(path, InvalidReason::Unknown, message)
}

/// What a trigger is read against.
struct Given<'a> {
    spec: &'a ProjectSpec,
    channels: &'a Channels,
    packages: &'a [PackageName],
    path: String,
}

impl Given<'_> {
    fn trigger(&self, written: &Written) -> Result<Trigger, Vec<Invalid>> {
        let path = &self.path;
        let name = TriggerName::try_from(written.name.as_str()).map_err(|error| error.at(format!("{path}.name")));
        let channel = self.channels.of(written.channel.as_deref()).map_err(|_| {
            let channel = written.channel.as_deref().unwrap_or_default();
            let message = format!("the project has no channel {channel}: correct the name, or add the channel");
            Invalid::new(format!("{path}.channel"), InvalidReason::Unknown, message)
        });
        let interval = duration(&written.interval, &format!("{path}.interval"), (SHORTEST_INTERVAL, LONGEST_INTERVAL));
        let settle = written
            .settle
            .as_deref()
            .map(|text| duration(text, &format!("{path}.settle"), (SignedDuration::ZERO, LONGEST_SETTLE)));
        let watched = self.watched(written);
        match (name, channel, interval, settle.transpose(), watched) {
            (Ok(name), Ok(channel), Ok(interval), Ok(settle), Ok((packages, version_of))) => {
                let one_by_one = packages.len() > 1 && !written.same_version;
                Ok(Trigger {
                    name,
                    channel: channel.map(|channel| channel.name.clone()),
                    packages,
                    version_of,
                    same_version: written.same_version,
                    settle: settle.unwrap_or(if one_by_one { SETTLE } else { SignedDuration::ZERO }),
                    interval,
                })
            }
            (name, channel, interval, settle, watched) => {
                let single = name.err().into_iter().chain(channel.err()).chain(interval.err()).chain(settle.err());
                Err(single.chain(watched.err().unwrap_or_default()).collect())
            }
        }
    }

    /// The packages that are watched, and where the version comes from.
    fn watched(&self, written: &Written) -> Result<(Vec<PackageName>, VersionOf), Vec<Invalid>> {
        let path = &self.path;
        let (mut packages, mut wrong): (Vec<PackageName>, Vec<Invalid>) = (Vec::new(), Vec::new());
        for (index, name) in written.packages.iter().enumerate() {
            match self.packages.iter().find(|package| package.as_str() == name) {
                Some(package) if packages.contains(package) => {
                    let first = packages.iter().position(|known| known == package).unwrap_or_default();
                    wrong.push(duplicate(format!("{path}.packages[{index}]"), "package", name, first));
                }
                Some(package) => packages.push(package.clone()),
                None => wrong.push(unknown(format!("{path}.packages[{index}]"), name)),
            }
        }
        if written.packages.is_empty() {
            packages = self.packages.to_vec();
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let version_of = self.version_of(&packages, written.same_version).map_err(|invalid| vec![invalid])?;
        Ok((packages, version_of))
    }

    /// Where the version of a release of these packages comes from.
    fn version_of(&self, packages: &[PackageName], same: bool) -> Result<VersionOf, Invalid> {
        let refused = |reason, message: &str| Invalid::new(&self.path, reason, message);
        if packages.is_empty() {
            let message = "the project has no package to watch: add one, or remove the trigger";
            return Err(refused(InvalidReason::Required, message));
        }
        let versioning = self.spec.versioning.as_ref();
        if let Some(template) = versioning.and_then(|versioning| versioning.template.clone()) {
            return Ok(VersionOf::Template(template));
        }
        let from = versioning.and_then(|versioning| versioning.from_package.as_deref());
        let package = match (packages, from) {
            (watched, Some(from)) => watched.iter().find(|package| package.as_str() == from).ok_or_else(|| {
                let message = format!(
                    "versions come from package {from} (spec.versioning), which this trigger does not watch: add it to packages"
                );
                refused(InvalidReason::Forbidden, &message)
            })?,
            ([only], None) => only,
            ([first, ..], None) if same => first,
            _ => {
                let message = "several packages, and nothing says whose version a release takes: add spec.versioning {fromPackage: …} or {template: …}, or sameVersion: true";
                return Err(refused(InvalidReason::Required, message));
            }
        };
        Ok(VersionOf::Package(package.clone()))
    }
}

fn duration(
    text: &str,
    path: &str,
    (least, most): (SignedDuration, SignedDuration),
) -> Result<SignedDuration, Invalid> {
    let malformed = |_| {
        let message = format!("{text:?} is not a duration that can be read: write seconds, minutes and hours, e.g. 5m");
        Invalid::new(path, InvalidReason::Malformed, message)
    };
    let duration: SignedDuration = text.parse().map_err(malformed)?;
    if (least..=most).contains(&duration) {
        return Ok(duration);
    }
    let message = format!("{text:?} is not between {least:#} and {most:#}: write another duration");
    Err(Invalid::new(path, InvalidReason::Forbidden, message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: Value) -> Result<Vec<Trigger>, Vec<String>> {
        let package = |name: &str| json!({"name": name, "image": format!("ghcr.io/acme/{name}")});
        let mut spec = json!({
            "packages": [package("api"), package("web")],
            "channels": [{"name": "stable", "default": true}, {"name": "beta"}],
            "process": [{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "x"}}}],
        });
        let (Value::Object(into), Value::Object(change)) = (&mut spec, change) else { panic!("objects") };
        into.extend(change);
        let spec: ProjectSpec = serde_json::from_value(spec).unwrap();
        let channels = super::super::channels(&spec).unwrap();
        triggers(&spec, &channels).map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_written_has_a_meaning() {
        let found = read(json!({"triggers": [{"name": "a", "packages": ["web"]}]})).unwrap().remove(0);
        assert_eq!(found.channel.map(String::from).as_deref(), Some("stable"));
        assert_eq!(
            (found.version_of.to_string(), found.settle, found.interval.as_secs()),
            ("package web".to_owned(), SignedDuration::ZERO, 300)
        );
        let several = json!({"versioning": {"fromPackage": "web"}, "triggers": [{"name": "a", "channel": "beta"}]});
        let found = read(several).unwrap().remove(0);
        assert_eq!(
            (found.packages.len(), found.version_of.to_string(), found.settle.as_secs()),
            (2, "package web".to_owned(), 30)
        );
        let same = read(json!({"triggers": [{"name": "a", "sameVersion": true}]})).unwrap().remove(0);
        assert_eq!((same.version_of.to_string(), same.settle), ("package api".to_owned(), SignedDuration::ZERO));
        let text = "${{ packages.api.version }}-web.${{ packages.web.version }}";
        let templated = json!({"versioning": {"template": text}, "triggers": [{"name": "a"}]});
        let found = read(templated).unwrap().remove(0);
        assert_eq!((found.version_of, found.settle.as_secs()), (VersionOf::Template(text.to_owned()), 30));
    }

    #[test]
    fn every_mistake_of_a_trigger_is_named_with_its_path() {
        let wrong = read(json!({"versioning": {"fromPackage": "x"}, "triggers": [
            {"name": "A", "channel": "gamma", "interval": "1s", "settle": "2h", "packages": ["y", "api", "api"]},
            {"name": "b"}, {"name": "b", "packages": ["api"]},
        ]}))
        .unwrap_err();
        let paths: Vec<&str> = wrong.iter().map(|sentence| sentence.split(": ").next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "spec.versioning.fromPackage",
                "spec.triggers[0].name",
                "spec.triggers[0].channel",
                "spec.triggers[0].interval",
                "spec.triggers[0].settle",
                "spec.triggers[0].packages[0]",
                "spec.triggers[0].packages[2]",
                "spec.triggers[1]",
                "spec.triggers[2].name",
                "spec.triggers[2]",
            ]
        );
        let wrong = read(json!({"triggers": [{"name": "a"}]})).unwrap_err();
        assert!(
            wrong[0].contains("add spec.versioning {fromPackage: …} or {template: …}, or sameVersion: true"),
            "{wrong:?}"
        );
        let wrong = read(json!({"packages": [], "triggers": [{"name": "a"}]})).unwrap_err();
        assert!(wrong[0].contains("no package to watch"), "{wrong:?}");
        for (versioning, part) in [
            (json!({}), "spec.versioning: it has neither fromPackage nor template"),
            (
                json!({"fromPackage": "api", "template": "${{ 1 }}"}),
                "spec.versioning: it has both fromPackage and template",
            ),
            (json!({"template": "1.0"}), "spec.versioning.template: it has no expression"),
            (json!({"template": "${{ 1 +"}), "spec.versioning.template: an expression has no end"),
        ] {
            let wrong = read(json!({"versioning": versioning, "triggers": [{"name": "a"}]})).unwrap_err();
            assert!(wrong[0].starts_with(part), "{wrong:?}");
        }
    }
}
