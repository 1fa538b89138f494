//! The channels of a project. Pure.

use crate::api::v1alpha1::ProjectSpec;
use crate::api::v1alpha1::channel::{Channel as Written, ChannelRule};
use crate::domain::channel::{Channel, Channels, Rule};
use crate::domain::invalid::Invalid;
use crate::domain::name::{ChannelName, PackageName};

/// The channels of a project.
///
/// # Errors
/// Every name, range or pattern that is malformed, and what is wrong with them together.
pub fn channels(spec: &ProjectSpec) -> Result<Channels, Vec<Invalid>> {
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    for (index, written) in spec.channels.iter().enumerate() {
        match channel(written, &format!("spec.channels[{index}]")) {
            Ok(channel) => read.push(channel),
            Err(problems) => wrong.extend(problems),
        }
    }
    // Packages whose own name is wrong are told of elsewhere.
    let packages: Vec<PackageName> =
        spec.packages.iter().filter_map(|package| PackageName::try_from(package.name.as_str()).ok()).collect();
    if wrong.is_empty() { Channels::new(read, &packages) } else { Err(wrong) }
}

fn channel(written: &Written, path: &str) -> Result<Channel, Vec<Invalid>> {
    let name = ChannelName::try_from(written.name.as_str()).map_err(|error| error.at(format!("{path}.name")));
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    for (index, written) in written.rules.iter().enumerate() {
        match rule(written, &format!("{path}.rules[{index}]")) {
            Ok(rule) => rules.push(rule),
            Err(problems) => wrong.extend(problems),
        }
    }
    match name {
        Ok(name) if wrong.is_empty() => {
            Ok(Channel { name, default: written.default, lifecycle: written.lifecycle.clone(), rules })
        }
        name => Err(name.err().into_iter().chain(wrong).collect()),
    }
}

fn rule(written: &ChannelRule, path: &str) -> Result<Rule, Vec<Invalid>> {
    let (mut packages, mut wrong) = (Vec::new(), Vec::new());
    for (index, package) in written.packages.iter().enumerate() {
        match PackageName::try_from(package.as_str()) {
            Ok(name) => packages.push(name),
            Err(error) => wrong.push(error.at(format!("{path}.packages[{index}]"))),
        }
    }
    match Rule::read(packages, (written.versions.as_deref(), written.prerelease.as_deref()), path) {
        Ok(rule) if wrong.is_empty() => Ok(rule),
        rule => Err(wrong.into_iter().chain(rule.err().unwrap_or_default()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(channels: &serde_json::Value) -> Vec<String> {
        let spec = json!({
            "packages": [{"name": "api", "image": "ghcr.io/acme/checkout"}],
            "channels": channels,
            "process": [{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "x"}}}],
        });
        let spec: ProjectSpec = serde_json::from_value(spec).unwrap();
        super::channels(&spec).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn good_channels_have_nothing_wrong() {
        let rules = json!([{"packages": ["api"], "versions": ">=1.0, <2"}, {"prerelease": "^$"}]);
        assert_eq!(said(&json!([{"name": "stable", "default": true, "lifecycle": "slow", "rules": rules}])), [""; 0]);
        assert_eq!(said(&json!([])), [""; 0]);
    }

    #[test]
    fn every_mistake_of_a_channel_is_named_at_once_with_its_path() {
        let rules = json!([{"packages": ["Api"], "versions": "one"}, {}, {"prerelease": "("}]);
        let found = said(&json!([{"name": "Stable", "default": true, "rules": rules}]));
        let paths: Vec<&str> = found.iter().map(|sentence| sentence.split(": ").next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "spec.channels[0].name",
                "spec.channels[0].rules[0].packages[0]",
                "spec.channels[0].rules[0].versions",
                "spec.channels[0].rules[1]",
                "spec.channels[0].rules[2].prerelease",
            ]
        );
        let twice = said(&json!([{"name": "a", "default": true}, {"name": "b", "default": true}]));
        assert!(twice[0].contains("a, b are all the default"), "{twice:?}");
    }
}
