//! References to Secrets, and the texts that are read from them.

use std::fmt;

/// Where a Secret is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretPlace {
    /// In the namespace of the target: it is never read, only referred to.
    #[default]
    Target,
    /// In the space: it is read when it is used.
    Space,
}

/// One entry of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretReference {
    /// Name of the Secret.
    pub name: String,
    /// Key of the entry.
    pub key: String,
    /// Where the Secret is.
    pub from: SecretPlace,
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} of Secret {}", self.key, self.name)
    }
}

/// The text of a secret. It has no way into a message: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText {
    text: String,
    salt: String,
}

impl SecretText {
    /// A text that was read from the Secret with this UID.
    #[must_use]
    pub fn new(text: String, uid: &str) -> Self {
        Self { text, salt: uid.to_owned() }
    }

    /// The text itself, for the one place that may hold it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What its hash is salted with: the UID of its Secret, which only those know who may read Secrets there.
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = SecretText::new("hunter2".into(), "uid");
        assert_eq!(format!("{secret:?}"), "SecretText(…)");
    }
}
