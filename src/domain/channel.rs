//! Channels: which versions of which packages may go into a release.
//!
//! [`accepts`] is the one judgement, whoever makes the release: a person, a trigger or a bundle. A package that no rule of the
//! channel speaks of, and a project without channels, may have any version that somebody names; where nobody names one, the
//! highest that is no pre-release is taken.

mod rule;

use std::collections::BTreeMap;

pub use rule::{LONGEST_PATTERN, Pattern, Range, Rule, Unfit};

use super::image::Tag;
use super::invalid::{Invalid, InvalidReason};
use super::name::{ChannelName, PackageName};
use super::version::{self, Ambiguous, Highest, Version};

/// A channel of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// Whether releases that name no channel belong to it.
    pub default: bool,
    /// The lifecycle of its releases, if it is not the project's.
    pub lifecycle: Option<String>,
    /// What limits versions; at most one for a package.
    pub rules: Vec<Rule>,
}

/// The channels of a project: none, or some of which exactly one is the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channels(Vec<Channel>);

/// A version that a channel does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "channel {channel} does not take {version} of package {package}: {why} (rules[{place}] of the channel: {rule}); choose another version or channel, or change the rule in the project"
)]
pub struct Refused {
    /// The channel.
    pub channel: ChannelName,
    /// The package.
    pub package: PackageName,
    /// The version as it was given, with the word before it.
    pub version: String,
    /// What the rule says of it.
    pub why: Unfit,
    /// Place of the rule in the channel.
    pub place: usize,
    /// The rule.
    pub rule: String,
}

/// A release that names a channel which its project does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.channel: the project has no channel {name}{has}; correct it, or add the channel to the project")]
pub struct UnknownChannel {
    name: String,
    has: String,
}

impl Channels {
    /// The channels, with every mistake that only shows when they are seen together; `packages` are those of the project.
    ///
    /// # Errors
    /// When a name is given twice, not exactly one channel is the default, or rules overlap or name unknown packages.
    pub fn new(channels: Vec<Channel>, packages: &[PackageName]) -> Result<Self, Vec<Invalid>> {
        let mut wrong = twice(&channels);
        wrong.extend(defaults(&channels));
        for (index, channel) in channels.iter().enumerate() {
            wrong.extend(overlaps(channel, packages, &format!("spec.channels[{index}]")));
        }
        if wrong.is_empty() { Ok(Self(channels)) } else { Err(wrong) }
    }

    /// All of them, in the order of the project.
    #[must_use]
    pub fn all(&self) -> &[Channel] {
        &self.0
    }

    /// The channel of a release: the one that it names, else the default; nothing in a project without channels.
    ///
    /// # Errors
    /// When it names one that is not there.
    pub fn of(&self, named: Option<&str>) -> Result<Option<&Channel>, UnknownChannel> {
        let Some(name) = named else { return Ok(self.0.iter().find(|channel| channel.default)) };
        let found = self.0.iter().find(|channel| channel.name.as_str() == name);
        found.map(Some).ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(|channel| channel.name.as_str()).collect();
            let has =
                if known.is_empty() { " and no other".to_owned() } else { format!(", only {}", known.join(", ")) };
            UnknownChannel { name: name.to_owned(), has }
        })
    }
}

impl Channel {
    /// The rule that speaks of a package, and its place: the one that names it, else the one for all others.
    #[must_use]
    pub fn rule(&self, package: &PackageName) -> Option<(usize, &Rule)> {
        let rules = || self.rules.iter().enumerate();
        rules()
            .find(|(_, rule)| rule.packages.contains(package))
            .or_else(|| rules().find(|(_, rule)| rule.packages.is_empty()))
    }
}

/// Whether a release of the channel may have this tag of the package; without a tag it is given by digest alone.
///
/// # Errors
/// When a rule speaks of the package and does not take the tag.
pub fn accepts(channel: Option<&Channel>, package: &PackageName, tag: Option<&Tag>) -> Result<(), Refused> {
    let Some((channel, (place, rule))) = channel.and_then(|channel| Some((channel, channel.rule(package)?))) else {
        return Ok(());
    };
    rule.judge(tag).map_err(|why| Refused {
        channel: channel.name.clone(),
        package: package.clone(),
        version: tag.map_or("a digest without version".to_owned(), |tag| format!("version {tag}")),
        why,
        place,
        rule: rule.to_string(),
    })
}

/// The highest version of the package that a release of the channel may have, among the tags of its repository.
///
/// # Errors
/// When two tags are that version.
pub fn highest<'a>(
    channel: Option<&Channel>,
    package: &PackageName,
    tags: impl IntoIterator<Item = &'a Tag>,
) -> Result<Option<Highest>, Ambiguous> {
    version::highest(tags, |tag, version| may_choose(channel, package, (tag, version)))
}

/// Whether Gantry may choose this version by itself: the channel takes it, and without a rule it is no pre-release.
#[must_use]
pub fn may_choose(channel: Option<&Channel>, package: &PackageName, (tag, version): (&Tag, &Version)) -> bool {
    let ruled = channel.is_some_and(|channel| channel.rule(package).is_some());
    (ruled || !version.is_prerelease()) && accepts(channel, package, Some(tag)).is_ok()
}

/// What the highest version is looked for among, for people.
#[must_use]
pub fn wanted(channel: Option<&Channel>, package: &PackageName) -> String {
    match channel.and_then(|channel| Some((channel, channel.rule(package)?))) {
        Some((channel, (place, rule))) => {
            format!("a version that channel {} takes (rules[{place}]: {rule})", channel.name)
        }
        None => "a version that is no pre-release".to_owned(),
    }
}

fn twice(channels: &[Channel]) -> Vec<Invalid> {
    let mut names = BTreeMap::new();
    let repeated = channels.iter().enumerate().filter_map(|(index, channel)| {
        let first = names.insert(&channel.name, index)?;
        let message = format!("channel {} is given twice, first at place {first}: remove or rename one", channel.name);
        Some(Invalid::new(format!("spec.channels[{index}].name"), InvalidReason::Duplicate, message))
    });
    repeated.collect()
}

fn defaults(channels: &[Channel]) -> Option<Invalid> {
    let names: Vec<&str> =
        channels.iter().filter(|channel| channel.default).map(|channel| channel.name.as_str()).collect();
    let (reason, message) = match names.as_slice() {
        [_] => return None,
        [] if channels.is_empty() => return None,
        [] => (InvalidReason::Required, "no channel is the default: write default: true at exactly one".to_owned()),
        many => {
            let message = format!("{} are all the default: leave default: true at exactly one", many.join(", "));
            (InvalidReason::Duplicate, message)
        }
    };
    Some(Invalid::new("spec.channels", reason, message))
}

/// Rules never combine: one package, one rule.
fn overlaps(channel: &Channel, packages: &[PackageName], path: &str) -> Vec<Invalid> {
    let mut wrong = Vec::new();
    let mut ruled: BTreeMap<&PackageName, usize> = BTreeMap::new();
    let mut others = None;
    for (index, rule) in channel.rules.iter().enumerate() {
        let path = format!("{path}.rules[{index}].packages");
        if rule.packages.is_empty()
            && let Some(first) = others.replace(index)
        {
            let message =
                format!("rules[{first}] is already the rule for all other packages: list the packages of one");
            wrong.push(Invalid::new(&path, InvalidReason::Duplicate, message));
        }
        for package in &rule.packages {
            if !packages.contains(package) {
                let message = format!("the project has no package {package}: correct the name, or add the package");
                wrong.push(Invalid::new(&path, InvalidReason::Unknown, message));
            }
            if let Some(first) = ruled.insert(package, index) {
                let message = format!(
                    "package {package} has a rule already, rules[{first}]: write both as one, rules do not combine"
                );
                wrong.push(Invalid::new(&path, InvalidReason::Duplicate, message));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
