//! Channels of a project: which versions may go into a release.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A channel of a project: which versions its releases may be made of, and by which lifecycle they go.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// Name that releases use, unique in the project. Example: `name: stable`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Whether releases that name no channel belong to it; exactly one is the default. Example: `default: true`
    #[serde(default)]
    pub default: bool,
    /// The lifecycle of its releases, if it is not the project's. Example: `lifecycle: hotfix`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub lifecycle: Option<String>,
    /// What limits versions; a package without a rule may have any. Example: `rules: [{versions: ">=1.0, <2"}]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub rules: Vec<ChannelRule>,
}

/// What versions packages may have. The rules of a channel do not combine: at most one speaks of a package.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.versions) || has(self.prerelease)")
    .message("spec.channels[].rules[] needs a range or a pattern; add versions: \">=1.0, <2\" or prerelease: ^$"))]
pub struct ChannelRule {
    /// The packages that it speaks of; omitted, all that no other rule of the channel names. Example: `packages: [api]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub packages: Vec<String>,
    /// The range that versions must be in, written as Cargo does; a pre-release counts as the version that it leads to, unless
    /// the range names one of the same version. Example: `versions: ">=1.4, <2"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[-+0-9A-Za-z.*,<>=^~ ]+$"))]
    pub versions: Option<String>,
    /// A regular expression that must be found in the pre-release part, which is empty for a version that is none; omitted,
    /// there may be no pre-releases. Example: `prerelease: ^(rc.*)?$`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub prerelease: Option<String>,
}
