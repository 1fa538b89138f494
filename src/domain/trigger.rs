//! Triggers: which release a project should get, now that its registries have these tags.
//!
//! First [`candidate`]: what the tags amount to. Then [`judge`]: whether a release is to be made of it, in view of those that
//! there are and of the highest that there was. A release is made at most once for a version, also when somebody deletes it,
//! and never one that is older than the newest of its channel.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::channel::{self, Channel};
use super::image::Tag;
use super::name::{ChannelName, PackageName, ReleaseVersion, TriggerName};
use super::variable::bindings::Secrets;
use super::variable::{Bindings, Subject, Text};
use super::version::{Ambiguous, Version};

/// What makes releases by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its name.
    pub name: TriggerName,
    /// The channel of its releases; none in a project without channels.
    pub channel: Option<ChannelName>,
    /// The packages whose registries are watched: at least one.
    pub packages: Vec<PackageName>,
    /// Where the version of a release comes from.
    pub version_of: VersionOf,
    /// Whether all packages must have the same version.
    pub same_version: bool,
    /// How long nothing new may have come before a release is made.
    pub settle: SignedDuration,
    /// How often the registries are asked.
    pub interval: SignedDuration,
}

/// Where the version of a release comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionOf {
    /// The tag of this package, one of those that are watched.
    Package(PackageName),
    /// A text with expressions over all that are watched, e.g. `${{ packages.api.version }}-${{ packages.web.version }}`.
    Template(String),
}

impl fmt::Display for VersionOf {
    /// What has to be pushed for another version.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(package) => write!(f, "package {package}"),
            Self::Template(_) => f.write_str("a package that spec.versioning.template names"),
        }
    }
}

/// What a release would be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its version.
    pub version: ReleaseVersion,
    /// What that version means.
    pub rank: Version,
    /// The tag of each package that the trigger watches.
    pub packages: BTreeMap<PackageName, Tag>,
}

/// Why tags amount to no release although there are versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmakeable {
    /// Two tags are the version to take.
    #[error("package {package}: {ambiguous}")]
    Ambiguous {
        /// The package.
        package: PackageName,
        /// The tags.
        ambiguous: Ambiguous,
    },
    /// The tag cannot be the version of a release.
    #[error(
        "tag {tag} of package {package} cannot be the version of a release, which is lowercase letters, digits, '-' and '.': push it under such a tag, or make the release by hand"
    )]
    Name {
        /// The package.
        package: PackageName,
        /// The tag.
        tag: Tag,
    },
    /// The template makes no version of them.
    #[error("spec.versioning.template: {0}")]
    Template(String),
}

/// What the tags amount to; nothing as long as a package has no version that the channel takes (with `same_version`: as long as
/// they have none in common).
///
/// # Errors
/// When there is something, and no release can be made of it.
pub fn candidate(
    trigger: &Trigger,
    channel: Option<&Channel>,
    tags: &BTreeMap<PackageName, Vec<Tag>>,
) -> Result<Option<Candidate>, Unmakeable> {
    let found = if trigger.same_version { together(trigger, channel, tags)? } else { highest(trigger, channel, tags)? };
    let Some(packages) = found else { return Ok(None) };
    let (version, rank) = match &trigger.version_of {
        VersionOf::Package(package) => {
            let Some(tag) = packages.get(package) else { return Ok(None) };
            let name = |_| Unmakeable::Name { package: package.clone(), tag: tag.clone() };
            let Ok(rank) = tag.as_str().parse() else { return Ok(None) };
            (ReleaseVersion::try_from(tag.as_str()).map_err(name)?, rank)
        }
        VersionOf::Template(template) => templated(template, trigger.channel.as_ref(), &packages)?,
    };
    Ok(Some(Candidate { version, rank, packages }))
}

/// The version that a template makes of the tags.
fn templated(
    template: &str,
    channel: Option<&ChannelName>,
    packages: &BTreeMap<PackageName, Tag>,
) -> Result<(ReleaseVersion, Version), Unmakeable> {
    let version = |(name, tag): (&PackageName, &Tag)| (name.to_string(), json!({"version": tag.to_string()}));
    let packages: Map<String, Value> = packages.iter().map(version).collect();
    let channel = channel.map(|name| json!({"name": name.to_string()})).unwrap_or_default();
    let names = [("packages".to_owned(), packages.into()), ("channel".to_owned(), channel)].into_iter().collect();
    let (subject, secrets) = (Subject::default(), Secrets::new());
    let mut bindings = Bindings::new((&[], &[]), &subject, (&names, &secrets));
    let wrong = |why: String| Unmakeable::Template(why);
    let text = match bindings.text(template).map_err(|fault| wrong(fault.to_string()))? {
        Some(Text::Plain(Value::String(text))) => text,
        Some(Text::Plain(value)) => value.to_string(),
        Some(Text::Secret(_) | Text::Reference(_)) | None => template.to_owned(),
    };
    let unfit = || {
        wrong(format!(
            "it makes {text:?}, which cannot be the version of a release: let it make one to four numbers with dots, and a pre-release after '-', in lowercase letters"
        ))
    };
    let rank = text.parse().map_err(|_| unfit())?;
    Ok((ReleaseVersion::try_from(text.as_str()).map_err(|_| unfit())?, rank))
}

/// The tags that are to be released together.
type Chosen = Option<BTreeMap<PackageName, Tag>>;

/// Each package by itself.
fn highest(
    trigger: &Trigger,
    channel: Option<&Channel>,
    tags: &BTreeMap<PackageName, Vec<Tag>>,
) -> Result<Chosen, Unmakeable> {
    let mut packages = BTreeMap::new();
    for package in &trigger.packages {
        let tags = tags.get(package).map(Vec::as_slice).unwrap_or_default();
        let found = channel::highest(channel, package, tags)
            .map_err(|ambiguous| Unmakeable::Ambiguous { package: package.clone(), ambiguous })?;
        let Some(found) = found else { return Ok(None) };
        packages.insert(package.clone(), found.tag);
    }
    Ok(Some(packages))
}

/// The highest version that every package has.
fn together(
    trigger: &Trigger,
    channel: Option<&Channel>,
    tags: &BTreeMap<PackageName, Vec<Tag>>,
) -> Result<Chosen, Unmakeable> {
    let all: BTreeMap<&PackageName, BTreeMap<Version, BTreeSet<&Tag>>> = trigger
        .packages
        .iter()
        .map(|package| (package, versions(channel, package, tags.get(package).map(Vec::as_slice).unwrap_or_default())))
        .collect();
    let Some(first) = all.values().next() else { return Ok(None) };
    let everywhere = |version: &&Version| all.values().all(|versions| versions.contains_key(*version));
    let Some(version) = first.keys().rev().find(everywhere) else { return Ok(None) };
    let mut packages = BTreeMap::new();
    for (package, versions) in &all {
        let mut tags = versions.get(version).into_iter().flatten();
        let (Some(tag), other) = (tags.next(), tags.next()) else { return Ok(None) };
        if let Some(other) = other {
            let ambiguous = Ambiguous { version: version.clone(), first: (*tag).clone(), second: (*other).clone() };
            return Err(Unmakeable::Ambiguous { package: (*package).clone(), ambiguous });
        }
        packages.insert((*package).clone(), (*tag).clone());
    }
    Ok(Some(packages))
}

/// Every version that may be chosen, with the tags that are it.
fn versions<'a>(
    channel: Option<&Channel>,
    package: &PackageName,
    tags: &'a [Tag],
) -> BTreeMap<Version, BTreeSet<&'a Tag>> {
    let mut versions: BTreeMap<Version, BTreeSet<&Tag>> = BTreeMap::new();
    for tag in tags {
        let Ok(version) = tag.as_str().parse::<Version>() else { continue };
        if channel::may_choose(channel, package, (tag, &version)) {
            versions.entry(version).or_default().insert(tag);
        }
    }
    versions
}

/// A release of the project that there is, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its version.
    pub version: String,
    /// Its channel.
    pub channel: Option<String>,
    /// The packages whose version is known, with it.
    pub packages: BTreeMap<String, String>,
}

/// The highest version that a trigger's releases ever had, whatever became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highest {
    /// The version.
    pub version: String,
    /// The channel in which it was released.
    pub channel: Option<String>,
}

impl Highest {
    /// What is known once this version was released too: the higher one, of the channel that is used now.
    #[must_use]
    pub fn joined(known: Option<Self>, other: Self) -> Self {
        let rank = |one: &Self| one.version.parse::<Version>().ok();
        match known.filter(|known| known.channel == other.channel) {
            Some(known) if rank(&known) > rank(&other) => known,
            Some(_) | None => other,
        }
    }

    /// How a version of a channel stands to it; nothing where that says nothing.
    fn compared(&self, channel: Option<&str>, candidate: &Candidate) -> Option<Ordering> {
        if self.channel.as_deref() != channel {
            return None;
        }
        if self.version == candidate.version.as_str() {
            return Some(Ordering::Equal);
        }
        Some(candidate.rank.cmp(&self.version.parse().ok()?))
    }
}

/// Since when a candidate is what it is, and when that was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it was first seen so.
    pub since: Timestamp,
    /// When the registries were asked last.
    pub last: Timestamp,
}

/// What is to become of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is released.
    Released,
    /// The channel has or had a newer release: this one is not made.
    Older,
    /// It was released, and the release is gone: whoever deleted it meant it.
    Gone,
    /// Its version is that of a release which is not made of it.
    Taken {
        /// What is different, for people.
        why: String,
    },
    /// The registries are to be asked once more, no earlier than then.
    Settling {
        /// When it has been quiet for long enough.
        until: Timestamp,
    },
    /// A release is to be made of it.
    Make,
}

/// What is to become of a candidate, in view of the releases of its project, and of the highest that the trigger ever had.
#[must_use]
pub fn judge(
    trigger: &Trigger,
    candidate: &Candidate,
    (made, highest): (&[Made], Option<&Highest>),
    seen: Seen,
) -> Verdict {
    // A time that cannot be written never comes.
    let until = seen.since.checked_add(trigger.settle).unwrap_or(Timestamp::MAX);
    let quiet = seen.last >= until;
    if let Some(same) = made.iter().find(|made| made.version == candidate.version.as_str()) {
        return match difference(trigger, candidate, same) {
            None => Verdict::Released,
            Some(why) if quiet => Verdict::Taken { why },
            Some(_) => Verdict::Settling { until },
        };
    }
    let channel = trigger.channel.as_ref().map(ChannelName::as_str);
    match highest.and_then(|highest| highest.compared(channel, candidate)) {
        Some(Ordering::Equal) => return Verdict::Gone,
        Some(Ordering::Less) => return Verdict::Older,
        Some(Ordering::Greater) | None => {}
    }
    let here = made.iter().filter(|made| made.channel.as_deref() == channel);
    let newest = here.filter_map(|made| made.version.parse::<Version>().ok()).max();
    if newest.is_some_and(|newest| newest >= candidate.rank) {
        return Verdict::Older;
    }
    if quiet { Verdict::Make } else { Verdict::Settling { until } }
}

/// In what a release of the candidate's version is not the candidate.
fn difference(trigger: &Trigger, candidate: &Candidate, made: &Made) -> Option<String> {
    let channel = trigger.channel.as_ref().map(ChannelName::as_str);
    if made.channel.as_deref() != channel {
        let shown = |channel: Option<&str>| channel.map_or("no channel".to_owned(), |name| format!("channel {name}"));
        return Some(format!("it is in {}, not in {}", shown(made.channel.as_deref()), shown(channel)));
    }
    candidate.packages.iter().find_map(|(package, tag)| {
        let other = made.packages.get(package.as_str()).filter(|version| *version != tag.as_str())?;
        Some(format!("it has version {other} of package {package}, not {tag}"))
    })
}

#[cfg(test)]
mod tests;
