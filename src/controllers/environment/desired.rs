//! What an environment provisions in a namespace, as objects. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{LocalObjectReference, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::observed::Owner;
use crate::api::v1alpha1::Environment;
use crate::api::v1alpha1::environment::{EnvironmentSpec, Target};
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::registry::credentials::DOCKER_CONFIG_KEY;
pub use crate::steps::apply::account::{CONSOLE, DEPLOYER};

/// Label on everything that Gantry provisions, by which it watches.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGER: &str = "gantry";
/// The accounts that are made in every namespace, and that Gantry may act as.
pub const ACCOUNTS: [&str; 2] = [DEPLOYER, CONSOLE];
/// The account that pods have unless they name one (Kubernetes makes it in every namespace).
pub const DEFAULT_ACCOUNT: &str = "default";
/// Type of a Secret with a Docker configuration.
pub const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// Annotation on a namespace with the UID of the environment that it was created for: only that one may delete it.
pub const CREATED_FOR: &str = "gantry.dev/created-for";
/// Annotation on the binding of pull secrets with the names of the copies that may exist.
pub const COPIES: &str = "gantry.dev/pull-secrets";
/// Annotation on a copy with the resourceVersion of the Secret that it was copied from.
pub const SOURCE_VERSION: &str = "gantry.dev/source-version";

/// Names of the Pod Security labels (kubernetes.io/docs/concepts/security/pod-security-admission).
const POD_SECURITY_LABELS: [&str; 3] =
    ["pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/warn"];
/// What follows them in the labels of their versions.
const VERSION: &str = "-version";
/// Name of the target of an environment that names none.
const DEFAULT_TARGET: &str = "default";

/// A right that is granted in a namespace, by a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// What the deployer may do.
    Deployer,
    /// What the console may do.
    Console,
    /// That Gantry may act as both.
    Impersonator,
    /// That Gantry may keep copies of pull secrets.
    PullSecrets,
}

impl Grant {
    /// Every right.
    pub const ALL: [Self; 4] = [Self::Deployer, Self::Console, Self::Impersonator, Self::PullSecrets];
    /// Those that every namespace has.
    pub const ALWAYS: [Self; 3] = [Self::Deployer, Self::Console, Self::Impersonator];

    /// Name of the binding.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployer => DEPLOYER,
            Self::Console => CONSOLE,
            Self::Impersonator => "gantry-impersonator",
            Self::PullSecrets => "gantry-pull-secrets",
        }
    }

    /// Name of the cluster role: that of the spec for the accounts, and otherwise the one with the name of the binding.
    #[must_use]
    pub fn role(self, spec: &EnvironmentSpec) -> &str {
        match self {
            Self::Deployer => &spec.deployer.cluster_role,
            Self::Console => &spec.console.cluster_role,
            Self::Impersonator | Self::PullSecrets => self.name(),
        }
    }
}

/// The targets of an environment; one in namespace `<space>-<environment>` if the spec names none.
#[must_use]
pub fn targets(environment: &Environment) -> Vec<Target> {
    if !environment.spec.targets.is_empty() {
        return environment.spec.targets.clone();
    }
    let space = environment.metadata.namespace.as_deref().unwrap_or_default();
    let name = environment.metadata.name.as_deref().unwrap_or_default();
    vec![Target { name: DEFAULT_TARGET.to_owned(), namespace: format!("{space}-{name}"), ..Target::default() }]
}

/// Whether an environment wants a namespace.
#[must_use]
pub fn wants(environment: &Environment, namespace: &str) -> bool {
    if !environment.spec.targets.is_empty() {
        return environment.spec.targets.iter().any(|target| target.namespace == namespace);
    }
    let space = environment.metadata.namespace.as_deref().unwrap_or_default();
    let name = environment.metadata.name.as_deref().unwrap_or_default();
    namespace.strip_prefix(space).and_then(|rest| rest.strip_prefix('-')) == Some(name)
}

/// The labels of everything that is provisioned.
#[must_use]
pub fn labels(owner: &Owner) -> BTreeMap<String, String> {
    [(MANAGED_BY_LABEL, MANAGER), (SPACE_LABEL, &owner.space), (ENVIRONMENT_LABEL, &owner.environment)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The labels of a namespace.
#[must_use]
pub fn namespace_labels(owner: &Owner, spec: &EnvironmentSpec) -> BTreeMap<String, String> {
    let mut all = labels(owner);
    all.extend(POD_SECURITY_LABELS.map(|name| (name.to_owned(), spec.pod_security.as_str().to_owned())));
    all.extend(POD_SECURITY_LABELS.map(|name| (format!("{name}{VERSION}"), spec.pod_security_version.0.clone())));
    all
}

/// A namespace to be created.
#[must_use]
pub fn namespace(owner: &Owner, name: &str, spec: &EnvironmentSpec) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(namespace_labels(owner, spec)),
            annotations: Some(BTreeMap::from([(CREATED_FOR.to_owned(), owner.uid.clone())])),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// One of the [`ACCOUNTS`]. No pod needs its token, so none gets it.
#[must_use]
pub fn account(owner: &Owner, namespace: &str, name: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(owner, namespace, name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The binding of a right, to this cluster role.
#[must_use]
pub fn binding(owner: &Owner, namespace: &str, grant: Grant, role: &str) -> RoleBinding {
    let (account, of) = match grant {
        Grant::Deployer => (DEPLOYER, namespace),
        Grant::Console => (CONSOLE, namespace),
        Grant::Impersonator | Grant::PullSecrets => {
            (owner.operator.account.as_str(), owner.operator.namespace.as_str())
        }
    };
    RoleBinding {
        metadata: meta(owner, namespace, grant.name()),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: None,
            kind: "ServiceAccount".to_owned(),
            name: account.to_owned(),
            namespace: Some(of.to_owned()),
        }]),
    }
}

/// The binding for copies of pull secrets, which also remembers which copies there may be.
#[must_use]
pub fn copies_binding(owner: &Owner, namespace: &str, names: &BTreeSet<String>) -> RoleBinding {
    let mut binding = binding(owner, namespace, Grant::PullSecrets, Grant::PullSecrets.name());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    binding.metadata.annotations = Some(BTreeMap::from([(COPIES.to_owned(), names.join(","))]));
    binding
}

/// The names of copies that a binding remembers.
#[must_use]
pub fn remembered(binding: Option<&RoleBinding>) -> BTreeSet<String> {
    let names = binding.and_then(|binding| binding.metadata.annotations.as_ref()?.get(COPIES));
    names.into_iter().flat_map(|names| names.split(',')).filter(|name| is_name(name)).map(str::to_owned).collect()
}

/// A copy of a pull secret: only the Docker configuration, nothing else that the Secret of the space may hold.
#[must_use]
pub fn copy(owner: &Owner, (namespace, name): (&str, &str), (version, content): (&str, &ByteString)) -> Secret {
    let mut metadata = meta(owner, namespace, name);
    metadata.annotations = Some(BTreeMap::from([(SOURCE_VERSION.to_owned(), version.to_owned())]));
    Secret {
        metadata,
        type_: Some(DOCKER_CONFIG_TYPE.to_owned()),
        data: Some(BTreeMap::from([(DOCKER_CONFIG_KEY.to_owned(), content.clone())])),
        ..Secret::default()
    }
}

/// The account that pods have by default, with these pull secrets; whether pods get its token says the spec.
#[must_use]
pub fn default_account(owner: &Owner, namespace: &str, (secrets, token): (&[String], bool)) -> ServiceAccount {
    let references = secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect::<Vec<_>>();
    ServiceAccount {
        metadata: meta(owner, namespace, DEFAULT_ACCOUNT),
        automount_service_account_token: Some(token),
        image_pull_secrets: (!references.is_empty()).then_some(references),
        ..ServiceAccount::default()
    }
}

/// Whether a text can be the name of a Secret (a DNS subdomain): anything else would be part of a path.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let inner = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

pub(super) fn meta(owner: &Owner, namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels(owner)),
        ..ObjectMeta::default()
    }
}
