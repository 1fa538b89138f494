//! Everything that one run of an environment knows, as plain data. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;

use super::desired::Grant;
use crate::api::v1alpha1::environment::TargetStatus;
use crate::api::v1alpha1::{Environment, EnvironmentStatus};

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The environment.
    pub environment: Arc<Environment>,
    /// The environment as the owner of what it provisions.
    pub owner: Owner,
    /// The time of the run.
    pub now: Timestamp,
    /// The namespaces that the spec wants, in its order.
    pub places: Vec<Place>,
    /// Namespaces that were claimed and are no longer wanted; all of them when the environment is being deleted.
    pub former: Vec<Place>,
    /// The pull secrets that the spec names, as they are in the space.
    pub sources: BTreeMap<String, Source>,
    /// Whether the space itself is being deleted; only looked at when the environment is.
    pub space_ends: bool,
    /// What runs in the environment with Gantry's accounts, if anything does.
    pub running: Option<Running>,
    /// Why nothing may be promoted anywhere, if so.
    pub unguarded: Option<String>,
}

impl Observed {
    /// The status that the environment had.
    #[must_use]
    pub fn status(&self) -> EnvironmentStatus {
        self.environment.status.clone().unwrap_or_default()
    }

    /// For what its namespaces are kept. In a space that goes away nobody waits but for commands, which are deleted with it.
    #[must_use]
    pub fn awaited(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| !self.space_ends || matches!(running, Running::Command(_)))
    }

    /// What the status says of a namespace.
    #[must_use]
    pub fn row(&self, namespace: &str) -> Option<&TargetStatus> {
        row(&self.environment, namespace)
    }

    /// Whether the status speaks of the spec as it is, so that whatever differs was changed by somebody else.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        is_settled(&self.environment)
    }
}

/// What runs in an environment with Gantry's accounts, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// A command that has begun. One that is deleted, with its space or by itself, ends soon.
    Command(String),
    /// A promotion.
    Promotion(String),
}

/// Whether the status of an environment speaks of its spec as it is.
#[must_use]
pub fn is_settled(environment: &Environment) -> bool {
    let status = environment.status.as_ref();
    status.and_then(|status| status.observed_generation) == environment.metadata.generation
}

/// What an environment's status says of a namespace.
#[must_use]
pub fn row<'a>(environment: &'a Environment, namespace: &str) -> Option<&'a TargetStatus> {
    environment.status.as_ref()?.targets.iter().find(|row| row.namespace == namespace)
}

/// The environment, as the owner of what it provisions.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Its space.
    pub space: String,
    /// Its name.
    pub environment: String,
    /// Its UID.
    pub uid: String,
    /// When it was created; the older of two claims is the stronger.
    pub created: Option<Timestamp>,
    /// The account that Gantry runs as.
    pub operator: Operator,
}

/// The account that Gantry runs as.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Its namespace, which is never a target.
    pub namespace: String,
    /// Its name.
    pub account: String,
}

/// One namespace and what was found of it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name of the target.
    pub target: String,
    /// The field that names it, for messages.
    pub field: String,
    /// Name of the namespace.
    pub namespace: String,
    /// The namespace, if it exists.
    pub found: Option<Namespace>,
    /// Other environments that want or hold it.
    pub rivals: Vec<Rival>,
    /// Whether Gantry's own objects of some team live there.
    pub is_space: bool,
    /// What is inside; only read where the namespace is the environment's.
    pub inside: Inside,
}

impl Place {
    /// UID of the namespace, if it exists.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        self.found.as_ref()?.metadata.uid.as_deref()
    }

    /// Whether the namespace is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.metadata.deletion_timestamp.is_some())
    }

    /// A label of the namespace.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.found.as_ref()?.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// What was found inside a namespace.
#[derive(Clone, Default)]
pub struct Inside {
    /// The accounts that Gantry makes, by name.
    pub accounts: BTreeMap<&'static str, ServiceAccount>,
    /// The account that pods have unless they name one.
    pub default_account: Option<ServiceAccount>,
    /// The network policy with our name.
    pub isolation: Option<NetworkPolicy>,
    /// The quota with our name.
    pub quota: Option<ResourceQuota>,
    /// The limit range with our name.
    pub limits: Option<LimitRange>,
    /// Bindings with our names.
    pub bindings: BTreeMap<Grant, RoleBinding>,
    /// Secrets with the names of pull secrets, now or before.
    pub copies: BTreeMap<String, Secret>,
}

/// Names only: a Secret's content belongs in no log.
impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside")
            .field("accounts", &self.accounts)
            .field("default_account", &self.default_account)
            .field("isolation", &self.isolation)
            .field("quota", &self.quota)
            .field("limits", &self.limits)
            .field("bindings", &self.bindings)
            .field("copies", &self.copies.keys().collect::<BTreeSet<_>>())
            .finish()
    }
}

/// Another environment that wants or holds a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// Its space.
    pub space: String,
    /// Its name.
    pub environment: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// UID of the namespace as its status holds it.
    pub holds: Option<String>,
    /// Whether its spec names the namespace and it is not being deleted.
    pub wants: bool,
}

/// A pull secret of the space.
#[derive(Clone, PartialEq)]
pub enum Source {
    /// It can be copied.
    Found {
        /// Its resourceVersion.
        version: String,
        /// The Docker configuration in it.
        content: ByteString,
    },
    /// It cannot be copied, and why, with the remedy.
    Unusable(String),
}

/// No content: it belongs in no log.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { version, .. } => write!(f, "Found(version {version})"),
            Self::Unusable(why) => write!(f, "Unusable({why})"),
        }
    }
}
