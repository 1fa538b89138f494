//! One rule of a channel: a range of versions and a pattern of pre-releases.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use semver::VersionReq;

use crate::domain::image::Tag;
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::name::PackageName;
use crate::domain::version::Version;

/// The longest pattern, in bytes. Those in use have some ten.
pub const LONGEST_PATTERN: usize = 256;
/// The longest range, in bytes.
const LONGEST_RANGE: usize = 256;
/// What a compiled pattern may take, in bytes: thousands of alternatives, or one counted repetition of hundreds.
const COMPILED: usize = 256 * 1024;
/// How deep the parts of a pattern may be nested.
const NESTED: u32 = 32;

/// What versions packages may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The packages that it speaks of; empty for all that no other rule of the channel names.
    pub packages: Vec<PackageName>,
    /// The range that versions must be in; any without one.
    pub versions: Option<Range>,
    /// What the pre-release part must match, which is empty for a version that is none; without it there may be none.
    pub prerelease: Option<Pattern>,
}

/// Why a rule does not take a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is a digest and no version to judge.
    #[error("a rule needs a version to judge")]
    Unversioned,
    /// The tag is none.
    #[error("it is no version, such as 1.4.2")]
    NotAVersion,
    /// The version is not in the range.
    #[error("it is not in the range")]
    OutOfRange,
    /// A pre-release, and the rule has no pattern for them.
    #[error("it is a pre-release, and the rule takes none")]
    Prerelease,
    /// The pre-release part does not match.
    #[error("its pre-release part does not match")]
    Pattern,
}

impl Rule {
    /// Judges a tag.
    ///
    /// # Errors
    /// When the rule does not take it.
    pub fn judge(&self, tag: Option<&Tag>) -> Result<(), Unfit> {
        let version: Version = tag.ok_or(Unfit::Unversioned)?.as_str().parse().map_err(|_| Unfit::NotAVersion)?;
        if self.versions.as_ref().is_some_and(|range| !range.contains(&version)) {
            return Err(Unfit::OutOfRange);
        }
        match &self.prerelease {
            None if version.is_prerelease() => Err(Unfit::Prerelease),
            Some(pattern) if !pattern.matches(version.prerelease()) => Err(Unfit::Pattern),
            None | Some(_) => Ok(()),
        }
    }

    /// Reads a rule as a person writes it; `path` is where.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        packages: Vec<PackageName>,
        (versions, prerelease): (Option<&str>, Option<&str>),
        path: &str,
    ) -> Result<Self, Vec<Invalid>> {
        let at = |field: &str, invalid: (InvalidReason, String)| {
            Invalid::new(format!("{path}.{field}"), invalid.0, invalid.1)
        };
        let versions = versions.map(str::parse::<Range>).transpose().map_err(|wrong| at("versions", wrong));
        let prerelease = prerelease.map(str::parse::<Pattern>).transpose().map_err(|wrong| at("prerelease", wrong));
        match (versions, prerelease) {
            (Ok(None), Ok(None)) => {
                let message = "a rule needs a range or a pattern: add versions: \">=1.0, <2\" or prerelease: ^$";
                Err(vec![Invalid::new(path, InvalidReason::Required, message)])
            }
            (Ok(versions), Ok(prerelease)) => Ok(Self { packages, versions, prerelease }),
            (versions, prerelease) => Err(versions.err().into_iter().chain(prerelease.err()).collect()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.versions {
            Some(range) => write!(f, "versions {}", range.0)?,
            None => f.write_str("any version")?,
        }
        match &self.prerelease {
            Some(pattern) => write!(f, ", prerelease {}", pattern.0.as_str()),
            None => f.write_str(", no prerelease"),
        }
    }
}

/// A range of versions, written as Cargo does: `>=1.4, <2`, `1.4` (which is `>=1.4.0, <2.0.0`), `~1.4`, `1.*`.
///
/// The three numbers decide: a pre-release is in the range if the version that it leads to is, so `<2` has no `2.0.0-rc.1`. Only
/// where the range itself names a pre-release of that version (`>=2.0.0-rc.2`) are pre-releases of it compared one by one. A fourth
/// number counts for nothing, as a third does in `<=1.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(VersionReq);

impl Range {
    /// Whether a version is in it.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        let (release, full) = (version.release(), version.semver());
        let named = self.0.comparators.iter().any(|part| {
            !part.pre.is_empty()
                && (part.major, part.minor, part.patch) == (release.major, Some(release.minor), Some(release.patch))
        });
        self.0.matches(if named { &full } else { &release })
    }
}

impl FromStr for Range {
    type Err = (InvalidReason, String);

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST_RANGE {
            return Err((
                InvalidReason::TooLarge,
                format!("a range has at most {LONGEST_RANGE} characters: shorten it"),
            ));
        }
        let remedy = "write for example \">=1.4, <2\", ~1.4 or 1.*";
        VersionReq::parse(text).map(Self).map_err(|error| {
            (InvalidReason::Malformed, format!("{text:?} is no range of versions ({error}): {remedy}"))
        })
    }
}

/// A regular expression whose time is linear in the text, bounded in size.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it is found in a pre-release part.
    #[must_use]
    pub fn matches(&self, prerelease: &str) -> bool {
        self.0.is_match(prerelease)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = (InvalidReason, String);

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let too_large = |what: &str| (InvalidReason::TooLarge, format!("the pattern {what}: write a simpler one"));
        if text.len() > LONGEST_PATTERN {
            return Err(too_large(&format!("has more than {LONGEST_PATTERN} characters")));
        }
        let built = RegexBuilder::new(text).size_limit(COMPILED).dfa_size_limit(COMPILED).nest_limit(NESTED).build();
        built.map(Self).map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                return too_large("grows too large");
            }
            // The crate draws the place over several lines; the last says what is wrong.
            let drawn = error.to_string();
            let why = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let message = format!("{text:?} is no regular expression ({why}): write for example ^rc or ^$");
            (InvalidReason::Malformed, message)
        })
    }
}
