//! Names of images, by the grammar of the distribution project (`reference` in
//! `github.com/distribution/reference`), with its rules for names that leave out the registry.

use std::fmt;
use std::str::FromStr;

/// The registry of names that give none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Its old name.
const LEGACY_REGISTRY: &str = "index.docker.io";
/// The folder of names on the default registry that give none.
const DEFAULT_FOLDER: &str = "library/";
/// The grammar's bound on a name, registry included.
const NAME_MAX: usize = 255;
/// The grammar's bound on a tag.
const TAG_MAX: usize = 128;

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImage {
    /// The name breaks the grammar.
    #[error("{text:?} is not the name of an image ({problem}): write it like ghcr.io/acme/checkout")]
    Name {
        /// What was written, shortened.
        text: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// The tag breaks the grammar.
    #[error("{0:?} is not a tag: use at most 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'")]
    Tag(String),
    /// The digest is none that Gantry accepts.
    #[error("{0:?} is not a digest: write sha256: and 64 lowercase hexadecimal digits")]
    Digest(String),
    /// A repository was asked for, and a version came with it.
    #[error("image {repository}{version} names a version: write {repository}, a release gives it the version")]
    Versioned {
        /// The name without the version, as it was written.
        repository: String,
        /// The version, with its separator.
        version: String,
    },
}

/// Where the versions of one image are: a registry and a path in it. Always fully written: `nginx` is
/// `docker.io/library/nginx`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The host of the registry, with its port if one was given: `ghcr.io`, `localhost:5000`. For
    /// Docker's it is `docker.io`, which is not the host that answers requests.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry: `acme/checkout`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether both are the same place. Hosts have no letter case; `nginx` and
    /// `docker.io/library/nginx` are one image.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.path == other.path && self.registry.eq_ignore_ascii_case(&other.registry)
    }

    fn parse_name(name: &str) -> Result<Self, InvalidImage> {
        let wrong = |problem| InvalidImage::Name { text: shortened(name), problem };
        if name.is_empty() {
            return Err(wrong("it is empty"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, rest)) if is_host_like(host) => (host, rest),
            Some(_) | None => (DEFAULT_REGISTRY, name),
        };
        let registry = if registry.eq_ignore_ascii_case(LEGACY_REGISTRY) { DEFAULT_REGISTRY } else { registry };
        let folder = if registry == DEFAULT_REGISTRY && !path.contains('/') { DEFAULT_FOLDER } else { "" };
        if !is_host(registry) {
            return Err(wrong("its registry is not a host name"));
        }
        if !path.split('/').all(is_path_part) {
            return Err(wrong(
                "each part of the path is lowercase letters and digits, with single '.', '_', '__' or '-' between",
            ));
        }
        if path == name && path.len() == 64 && path.bytes().all(is_hex) {
            return Err(wrong("64 hexadecimal digits are an image's id"));
        }
        if registry.len() + 1 + folder.len() + path.len() > NAME_MAX {
            return Err(wrong("it is longer than 255 characters"));
        }
        Ok(Self { registry: registry.to_owned(), path: format!("{folder}{path}") })
    }
}

impl FromStr for Repository {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let reference = ImageReference::from_str(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            return Ok(reference.repository);
        }
        let (name, _, _) = split(text);
        let version = text.strip_prefix(name).unwrap_or_default();
        Err(InvalidImage::Versioned { repository: shortened(name), version: shortened(version) })
    }
}

impl TryFrom<&str> for Repository {
    type Error = InvalidImage;

    fn try_from(text: &str) -> Result<Self, InvalidImage> {
        text.parse()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// What an image really is: the SHA-256 of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest as it is written: `sha256:…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_hex) => Ok(Self(text.to_owned())),
            Some(_) | None => Err(InvalidImage::Digest(shortened(text))),
        }
    }
}

impl TryFrom<&str> for Digest {
    type Error = InvalidImage;

    fn try_from(text: &str) -> Result<Self, InvalidImage> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people call a version of an image. It may be moved to another image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = text.len() <= TAG_MAX
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidImage::Tag(shortened(text))) }
    }
}

impl TryFrom<&str> for Tag {
    type Error = InvalidImage;

    fn try_from(text: &str) -> Result<Self, InvalidImage> {
        text.parse()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One image: where it is, what people call it, what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// Where its versions are.
    pub repository: Repository,
    /// The version, for people.
    pub tag: Option<Tag>,
    /// The version, for truth.
    pub digest: Option<Digest>,
}

impl FromStr for ImageReference {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let (name, tag, digest) = split(text);
        Ok(Self {
            repository: Repository::parse_name(name)?,
            tag: tag.map(Tag::from_str).transpose()?,
            digest: digest.map(Digest::from_str).transpose()?,
        })
    }
}

impl TryFrom<&str> for ImageReference {
    type Error = InvalidImage;

    fn try_from(text: &str) -> Result<Self, InvalidImage> {
        text.parse()
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Name, tag and digest as written. A colon before the last slash is a port's.
fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag), digest),
        Some(_) | None => (rest, None, digest),
    }
}

/// Whether the part before the first slash is meant as a host: Docker's rule.
fn is_host_like(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            !address.is_empty()
                && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
                && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    host.split('.').all(is_host_part) && port.is_none_or(digits)
}

fn is_host_part(part: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
    part.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
        && part.bytes().next().is_some_and(alphanumeric)
        && part.bytes().next_back().is_some_and(alphanumeric)
}

/// `[a-z0-9]+` separated by one of `.`, `_`, `__`, or any number of `-`.
fn is_path_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    part.starts_with(alphanumeric) && part.ends_with(alphanumeric) && part.split(alphanumeric).all(separator)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// A wrong value may be of any length, a message may not.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 120;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
