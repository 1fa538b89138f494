//! What bounds the targets of an environment: what its accounts may do, and what its pods may be, reach and have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The account `gantry-deployer` of each target, as which releases are applied.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployer {
    /// Cluster role that the account holds in the target, one of the list that an administrator keeps (the chart's
    /// `clusterRoles`). Example: `clusterRole: gantry-deployer`
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub cluster_role: String,
}

impl Default for Deployer {
    fn default() -> Self {
        Self { cluster_role: "gantry-deployer".into() }
    }
}

/// The account `gantry-console` of each target, as which commands run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Console {
    /// Cluster role that the account holds in the target, one of the list that an administrator keeps (the chart's
    /// `clusterRoles`). Example: `clusterRole: gantry-console`
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub cluster_role: String,
}

impl Default for Console {
    fn default() -> Self {
        Self { cluster_role: "gantry-console".into() }
    }
}

/// A role that is no way to more rights than itself: the built-in ones may impersonate and mint tokens, Gantry's own are for
/// Gantry.
pub(super) const LIMITED_ROLE: &str = "!(self.clusterRole in ['admin', 'edit', 'cluster-admin', 'gantry-impersonator', 'gantry-pull-secrets', 'gantry-space', 'gantry-operator']) && !self.clusterRole.startsWith('system:')";

/// Pod Security Standards level of a namespace (kubernetes.io/docs/concepts/security/pod-security-standards).
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// No restriction.
    Privileged,
    /// Known privilege escalations are refused.
    Baseline,
    /// Hardened: non-root, no privilege escalation, seccomp, no capabilities.
    #[default]
    Restricted,
}

impl PodSecurity {
    /// The value of the label `pod-security.kubernetes.io/enforce`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// Version of the Pod Security Standards, as a label of a namespace says it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodSecurityVersion(
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^(latest|v1\.[0-9]{1,3})$"))] pub String,
);

impl Default for PodSecurityVersion {
    fn default() -> Self {
        // The oldest version of Kubernetes that Gantry runs on.
        Self("v1.36".into())
    }
}

/// Whom the pods of a target reach, and who reaches them.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Nobody, but the cluster's DNS.
    Strict,
    /// Each other, and the cluster's DNS.
    #[default]
    Namespace,
    /// Everybody: Gantry makes no network policy.
    Open,
}

/// Amounts by the name of what they are of, as Kubernetes writes both.
pub type Amounts = BTreeMap<String, Amount>;

/// An amount of a resource.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"))]
    pub String,
);

/// What containers get that say nothing of resources, and the most that one may have.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// What a container requests that requests nothing. Example: `defaultRequest: {cpu: 50m, memory: 64Mi}`
    #[schemars(extend("maxProperties" = 8, "x-kubernetes-map-type" = "atomic"))]
    pub default_request: Amounts,
    /// The limit of a container that has none; omitted, it has none. Example: `default: {memory: 256Mi}`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "x-kubernetes-map-type" = "atomic"))]
    pub default: Amounts,
    /// The most that one container may have. Example: `max: {memory: 2Gi}`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "x-kubernetes-map-type" = "atomic"))]
    pub max: Amounts,
}

impl Default for Limits {
    fn default() -> Self {
        let request = [("cpu", "10m"), ("memory", "32Mi")].map(|(name, amount)| (name.into(), Amount(amount.into())));
        Self { default_request: request.into(), default: Amounts::new(), max: Amounts::new() }
    }
}
