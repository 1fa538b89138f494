//! Names that cannot be wrong, and the names that are made of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::invalid::{Invalid, InvalidReason};

/// The longest label of the DNS (RFC 1123), which is Kubernetes' bound on the name of a namespace and
/// on the value of a label.
pub const LABEL_MAX: usize = 63;

const LABEL_RULE: &str =
    "use at most 63 lowercase letters, digits and '-', beginning and ending with a letter or digit";
const VERSION_RULE: &str = "use at most 63 lowercase letters, digits, '-' and '.', each part between dots beginning and ending with a letter or digit (write 1.4.2-build.7, not 1.4.2+build.7)";

/// A text that is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {kind}: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    value: String,
    rule: &'static str,
}

impl InvalidName {
    /// The same mistake, found at the field `path`.
    #[must_use]
    pub fn at(&self, path: impl Into<String>) -> Invalid {
        Invalid::new(path, InvalidReason::Malformed, self)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $is_valid:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(text: &str) -> Result<Self, InvalidName> {
                if $is_valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(InvalidName { kind: $kind, value: shortened(text), rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::try_from(text.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a project, such as `checkout`: a DNS label.
    ProjectName, "project name", is_label, LABEL_RULE
);
name!(
    /// The name of an environment, such as `production`: a DNS label.
    EnvironmentName, "environment name", is_label, LABEL_RULE
);
name!(
    /// The version of a release, such as `1.4.2`: text that may be part of a Kubernetes name. No order
    /// is read into it.
    ReleaseVersion, "release version", is_version, VERSION_RULE
);
name!(
    /// The name of a package within its project, such as `api`: a DNS label.
    PackageName, "package name", is_label, LABEL_RULE
);
name!(
    /// The name of a channel within its project, such as `stable`: a DNS label.
    ChannelName, "channel name", is_label, LABEL_RULE
);
name!(
    /// The name of a trigger within its project, such as `nightly`: a DNS label.
    TriggerName, "trigger name", is_label, LABEL_RULE
);
name!(
    /// The name of a step within its process, such as `migrate`: a DNS label.
    StepName, "step name", is_label, LABEL_RULE
);
name!(
    /// The name of a target within its environment, such as `eu`: a DNS label.
    TargetName, "target name", is_label, LABEL_RULE
);

/// The name of the release object of `project` and `version`: `checkout-1.4.2`.
#[must_use]
pub fn release_name(project: &ProjectName, version: &ReleaseVersion) -> String {
    format!("{project}-{version}")
}

/// The name of the slot of `project` in `environment`: `checkout.production`. Neither part holds a
/// dot, so no two pairs share one.
#[must_use]
pub fn slot_name(project: &ProjectName, environment: &EnvironmentName) -> String {
    format!("{project}.{environment}")
}

/// The namespace of an environment that names no target: `shop-production`. It may be one that cannot
/// be used (too long, or another space's): [`forbidden_namespace`] and the claim decide.
#[must_use]
pub fn default_namespace(space: &str, environment: &EnvironmentName) -> String {
    format!("{space}-{environment}")
}

/// Why a namespace can never be an environment's target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenNamespace {
    /// The text is no namespace name at all.
    #[error("{0:?} cannot be the name of a namespace: {LABEL_RULE}; choose another namespace for the target")]
    Malformed(String),
    /// Kubernetes keeps it for itself.
    #[error("namespace {0} belongs to Kubernetes: choose another namespace for the target")]
    Kubernetes(String),
    /// Everybody's namespace is no environment.
    #[error("namespace default is shared by everybody: choose another namespace for the target")]
    Default,
    /// Gantry runs there.
    #[error("namespace {0} is the one that Gantry runs in: choose another namespace for the target")]
    Own(String),
}

/// Whether the namespace `name` is one that no environment may have, whoever asks; `own` is the
/// namespace that the operator runs in.
#[must_use]
pub fn forbidden_namespace(name: &str, own: &str) -> Option<ForbiddenNamespace> {
    if !is_label(name) {
        return Some(ForbiddenNamespace::Malformed(shortened(name)));
    }
    if name.starts_with("kube-") {
        return Some(ForbiddenNamespace::Kubernetes(name.to_owned()));
    }
    if name == "default" {
        return Some(ForbiddenNamespace::Default);
    }
    (name == own).then(|| ForbiddenNamespace::Own(name.to_owned()))
}

fn is_label(text: &str) -> bool {
    text.len() <= LABEL_MAX && is_part(text)
}

fn is_version(text: &str) -> bool {
    text.len() <= LABEL_MAX && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
        && text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().next_back().is_some_and(alphanumeric)
}

/// A wrong value may be of any length, a message may not.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_is_what_kubernetes_accepts_as_one() {
        for text in ["a", "checkout", "a-b", "0", "a--b", &"x".repeat(63)] {
            assert!(ProjectName::try_from(text).is_ok(), "{text}");
        }
        for text in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "a\n", &"x".repeat(64)] {
            assert!(ProjectName::try_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_version_is_what_the_name_of_a_release_may_end_with() {
        for text in ["1", "1.4.2", "1.4.2-rc.1", "2026.7", "main-4f2a9c1", "1--2"] {
            assert!(ReleaseVersion::try_from(text).is_ok(), "{text}");
        }
        for text in ["", ".", "1.", ".1", "1..2", "1.-2", "1-.2", "v1.4.2+7", "V1", "1/2", &"1".repeat(64)] {
            assert!(ReleaseVersion::try_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_name_says_what_it_is_and_what_to_write() {
        let wrong = ReleaseVersion::try_from("1.4.2+7").unwrap_err();
        assert_eq!(
            wrong.at("spec.version").to_string(),
            format!("spec.version: \"1.4.2+7\" is not a release version: {VERSION_RULE}")
        );
        let long = ProjectName::try_from("X".repeat(5000)).unwrap_err();
        assert!(long.to_string().len() < 300);
    }

    #[test]
    fn a_name_reads_and_writes_as_plain_text() {
        let name: EnvironmentName = serde_json::from_str("\"production\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"production\"");
        assert!(serde_json::from_str::<EnvironmentName>("\"Production\"").is_err());
    }

    #[test]
    fn names_are_composed_as_documented() {
        let project = ProjectName::try_from("checkout").unwrap();
        let version = ReleaseVersion::try_from("1.4.2").unwrap();
        let environment = EnvironmentName::try_from("production").unwrap();
        assert_eq!(release_name(&project, &version), "checkout-1.4.2");
        assert_eq!(slot_name(&project, &environment), "checkout.production");
        assert_eq!(default_namespace("shop", &environment), "shop-production");
    }

    #[test]
    fn no_environment_gets_a_namespace_of_kubernetes_of_everybody_or_of_gantry() {
        let forbidden = |name: &str| forbidden_namespace(name, "gantry-system");
        assert_eq!(forbidden("kube-system"), Some(ForbiddenNamespace::Kubernetes("kube-system".into())));
        assert_eq!(forbidden("kube-anything"), Some(ForbiddenNamespace::Kubernetes("kube-anything".into())));
        assert_eq!(forbidden("default"), Some(ForbiddenNamespace::Default));
        assert_eq!(forbidden("gantry-system"), Some(ForbiddenNamespace::Own("gantry-system".into())));
        assert!(matches!(forbidden(&"x".repeat(64)), Some(ForbiddenNamespace::Malformed(_))));
        assert!(matches!(forbidden(""), Some(ForbiddenNamespace::Malformed(_))));
        assert_eq!(forbidden("shop-production"), None);
        assert_eq!(forbidden("kubernetes-dashboards"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn any_text_is_a_name_or_a_refusal(text in any::<String>()) {
            if let Ok(name) = ReleaseVersion::try_from(text.as_str()) {
                prop_assert_eq!(name.as_str(), text);
            }
        }

        #[test]
        fn no_two_pairs_share_a_slot(a in "[a-c-]{1,3}", b in "[a-c-]{1,3}", c in "[a-c-]{1,3}", d in "[a-c-]{1,3}") {
            if let (Ok(p), Ok(e), Ok(q), Ok(f)) = (
                ProjectName::try_from(a.as_str()), EnvironmentName::try_from(b.as_str()),
                ProjectName::try_from(c.as_str()), EnvironmentName::try_from(d.as_str()),
            ) {
                prop_assert_eq!(slot_name(&p, &e) == slot_name(&q, &f), (&p, &e) == (&q, &f));
            }
        }
    }
}
