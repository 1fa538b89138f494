//! Triggers of a project: releases that make themselves.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Makes a release when a registry has a newer version that a channel takes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Name, unique in the project. Example: `name: new-versions`
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The channel of its releases; omitted, the default one. Example: `channel: stable`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub channel: Option<String>,
    /// The packages whose registries are watched; omitted, all. Example: `packages: [api, web]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    pub packages: Vec<String>,
    /// Waits until all of these packages have the same version. Example: `sameVersion: true`
    #[serde(default)]
    pub same_version: bool,
    /// How long nothing new may have come before a release is made; omitted, 30 s where several packages are released one by
    /// one, else none. Example: `settle: 2m`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub settle: Option<String>,
    /// How often the registries are asked, about. Example: `interval: 1m`
    #[serde(default = "default_interval")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([0-9]+(s|m|h))+$"))]
    pub interval: String,
}

fn default_interval() -> String {
    "5m".into()
}

/// Where releases that make themselves get their version from: from one package, or from a text over all of them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.fromPackage) != has(self.template)")
    .message("spec.versioning needs exactly one of fromPackage and template; remove one or add one"))]
pub struct Versioning {
    /// The package whose version the release takes. Example: `fromPackage: api`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub from_package: Option<String>,
    /// A text whose expressions know the packages and the channel, and that makes a version: one to four numbers, and a
    /// pre-release. Example: `template: "${{ packages.api.version }}-web.${{ packages.web.version }}"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 512), regex(pattern = r"\$\{\{"))]
    pub template: Option<String>,
}
