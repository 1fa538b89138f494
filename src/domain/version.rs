//! The order of tags: which of a registry's tags is the highest version, and which are no versions at all.
//!
//! A tag is a version where it reads as SemVer 2 (<https://semver.org>), with two liberties that registries take: a `v` before
//! it, and one to four numbers instead of three. Everything else has a place in the order, so that lists can be sorted, and is
//! never the highest; `latest` is below everything.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::Prerelease;

use super::image::Tag;

/// The tag that registries give to whatever was pushed last: a name, not a version.
pub const LATEST: &str = "latest";
/// Numbers that a version may have: SemVer's three and one more, as .NET and Debian packages have it.
const NUMBERS: usize = 4;

/// A version read from a tag. Equal versions may be written differently: `1.2`, `v1.2.0` and `1.2.0` are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    numbers: [u64; NUMBERS],
    prerelease: Prerelease,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no version: write one to four numbers with dots, and a pre-release after '-', e.g. 1.4.2 or v1.4.2-rc.1"
)]
pub struct NotAVersion(String);

impl Version {
    /// Whether it has a pre-release part.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    /// The pre-release part without its `-`; empty when there is none.
    #[must_use]
    pub fn prerelease(&self) -> &str {
        self.prerelease.as_str()
    }

    /// The fourth number; 0 when there is none.
    #[must_use]
    pub fn revision(&self) -> u64 {
        let [_, _, _, revision] = self.numbers;
        revision
    }

    /// The version as SemVer's three numbers, without the fourth number and the pre-release.
    #[must_use]
    pub fn release(&self) -> semver::Version {
        let [major, minor, patch, _] = self.numbers;
        semver::Version::new(major, minor, patch)
    }

    /// The version as SemVer has it, without the fourth number.
    #[must_use]
    pub fn semver(&self) -> semver::Version {
        semver::Version { pre: self.prerelease.clone(), ..self.release() }
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        read(text).ok_or_else(|| NotAVersion(text.chars().take(128).collect()))
    }
}

/// Always with three numbers, with the fourth where it is not zero.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, revision] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if revision != 0 {
            write!(f, ".{revision}")?;
        }
        if self.is_prerelease() { write!(f, "-{}", self.prerelease) } else { Ok(()) }
    }
}

fn read(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    // Build metadata has no place in a tag ('+' is none of its characters); elsewhere it is checked and says nothing.
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    if let Some(build) = build {
        semver::BuildMetadata::new(build).ok().filter(|build| !build.is_empty())?;
    }
    let (written, prerelease) = match text.split_once('-') {
        Some((_, "")) => return None,
        Some((written, prerelease)) => (written, Prerelease::new(prerelease).ok()?),
        None => (text, Prerelease::EMPTY),
    };
    let mut numbers = [0; NUMBERS];
    let mut places = numbers.iter_mut();
    for part in written.split('.') {
        *places.next()? = number(part)?;
    }
    Some(Version { numbers, prerelease })
}

/// A number as SemVer writes it: digits, and no zero before others.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if digits && !padded { text.parse().ok() } else { None }
}

/// A tag's place among all tags of a repository: `latest`, then what is no version by text, then versions. Total: tags that are
/// the same version follow each other by text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The tag `latest`.
    Latest,
    /// No version.
    Text(String),
    /// A version, and how it is written.
    Version(Version, String),
}

impl Rank {
    /// The place of a tag.
    #[must_use]
    pub fn of(tag: &Tag) -> Self {
        let text = tag.as_str().to_owned();
        if text == LATEST {
            return Self::Latest;
        }
        match text.parse() {
            Ok(version) => Self::Version(version, text),
            Err(_) => Self::Text(text),
        }
    }
}

/// Tags from lowest to highest.
#[must_use]
pub fn compare(one: &Tag, other: &Tag) -> Ordering {
    Rank::of(one).cmp(&Rank::of(other))
}

/// The highest version of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highest {
    /// How the registry writes it.
    pub tag: Tag,
    /// What it means.
    pub version: Version,
}

/// Two tags that are the same version, and no other is higher: choosing one would be a guess.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "tags {first} and {second} are the same version {version}: name one of them, or delete the other in the registry"
)]
pub struct Ambiguous {
    /// The version of both.
    pub version: Version,
    /// The first by text.
    pub first: Tag,
    /// The next by text.
    pub second: Tag,
}

/// The highest version among the tags that `fits` takes; nothing if there is none. The order of the tags does not matter, and
/// neither does a tag that is listed twice.
///
/// # Errors
/// When two different tags are that version.
pub fn highest<'a>(
    tags: impl IntoIterator<Item = &'a Tag>,
    fits: impl Fn(&Tag, &Version) -> bool,
) -> Result<Option<Highest>, Ambiguous> {
    let mut found: Option<Highest> = None;
    let mut twin: Option<Tag> = None;
    for tag in tags {
        let Ok(version) = tag.as_str().parse::<Version>() else { continue };
        let order = found.as_ref().map_or(Ordering::Greater, |found| version.cmp(&found.version));
        if order == Ordering::Less || !fits(tag, &version) {
            continue;
        }
        match found.as_mut() {
            Some(known) if order == Ordering::Equal => twin = smaller_twin(twin, known, tag),
            Some(_) | None => (found, twin) = (Some(Highest { tag: tag.clone(), version }), None),
        }
    }
    match (found, twin) {
        (Some(Highest { tag: first, version }), Some(second)) => Err(Ambiguous { version, first, second }),
        (found, None) | (found @ None, Some(_)) => Ok(found),
    }
}

/// Keeps the two smallest texts of one version, so that a message does not depend on the order of a list.
fn smaller_twin(twin: Option<Tag>, known: &mut Highest, tag: &Tag) -> Option<Tag> {
    if *tag == known.tag {
        return twin;
    }
    let other = if *tag < known.tag { std::mem::replace(&mut known.tag, tag.clone()) } else { tag.clone() };
    Some(twin.map_or(other.clone(), |twin| twin.min(other)))
}

#[cfg(test)]
mod tests;
