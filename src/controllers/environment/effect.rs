//! Changes that an environment makes to a cluster, as plain data. Pure.

use std::fmt;

use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;

use crate::api::v1alpha1::AuditRecord;

/// One change, harmless to repeat.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Records what was done, or is about to be.
    Record(Box<AuditRecord>),
    /// Lets the environment stay until what it provisioned is undone.
    AddFinalizer,
    /// Lets the environment go.
    RemoveFinalizer,
    /// Creates a namespace that does not exist.
    CreateNamespace(Box<Namespace>),
    /// Writes our labels on the version of the namespace that was read.
    LabelNamespace(Box<Namespace>),
    /// Takes the marks of the environment off a namespace, on the version that was read.
    ReleaseNamespace(Box<Namespace>),
    /// Deletes a namespace with everything in it, if it is still that one.
    DeleteNamespace(Identity),
    /// Applies an object inside a namespace.
    Apply(Object),
    /// Deletes an object and makes it again.
    Replace(Object, Identity),
    /// Deletes an object that the spec no longer wants.
    Remove(Object, Identity),
    /// Takes a right away.
    RemoveBinding(Identity),
    /// Removes a copy of a pull secret.
    RemoveCopy(Identity),
}

/// One object and no other of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its namespace; empty for a namespace itself.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Option<String>,
}

impl Identity {
    /// The identity of an object.
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any(), uid: object.uid() }
    }
}

/// An object inside a namespace.
#[derive(Clone, PartialEq)]
pub enum Object {
    /// An account.
    Account(Box<ServiceAccount>),
    /// A binding.
    Binding(Box<RoleBinding>),
    /// A copy of a pull secret.
    Secret(Box<Secret>),
    /// Whom pods reach, and who reaches them.
    Isolation(Box<NetworkPolicy>),
    /// How much there may be.
    Quota(Box<ResourceQuota>),
    /// What containers get that say nothing of resources.
    Limits(Box<LimitRange>),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, meta) = match self {
            Self::Account(account) => ("ServiceAccount", &account.metadata),
            Self::Binding(binding) => ("RoleBinding", &binding.metadata),
            Self::Secret(secret) => ("Secret", &secret.metadata),
            Self::Isolation(policy) => ("NetworkPolicy", &policy.metadata),
            Self::Quota(quota) => ("ResourceQuota", &quota.metadata),
            Self::Limits(limits) => ("LimitRange", &limits.metadata),
        };
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        write!(f, "{kind} {namespace}/{}", meta.name.as_deref().unwrap_or_default())
    }
}

/// Kind and name only: a Secret's content belongs in no log.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
