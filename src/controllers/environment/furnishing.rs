//! What Gantry sets of the objects that it puts into a namespace, and how it remembers them. Pure.
//!
//! Thousands of environments have many such objects each. Of each, the cache keeps only a print of what Gantry sets: if that is the
//! print of what is wanted, the object is as wanted, and otherwise it is read.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{RoleBinding, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::desired::{COPIES, MANAGED_BY_LABEL};
use super::effect::Object;
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{Key, Versioned};
use crate::domain::quantity;

/// A kind of which Gantry puts objects into a namespace.
pub trait Furnishing: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone {
    /// What Gantry sets of it, besides labels and annotations.
    fn content(&self) -> Value;

    /// Whether its content is what is wanted.
    fn is_as(&self, wanted: &Self) -> bool {
        self.content() == wanted.content()
    }

    /// Whether it has something that never changes and must not be there: it has to be made anew.
    fn is_beyond_repair(&self) -> bool {
        false
    }

    /// The object of an effect.
    fn object(self) -> Object;
}

impl Furnishing for ServiceAccount {
    fn content(&self) -> Value {
        json!(self.automount_service_account_token)
    }
    fn object(self) -> Object {
        Object::Account(Box::new(self))
    }
}

impl Furnishing for RoleBinding {
    fn content(&self) -> Value {
        let subject = |subject: &Subject| json!([subject.kind, subject.namespace, subject.name]);
        json!([self.role_ref.kind, self.role_ref.name, self.subjects.iter().flatten().map(subject).collect::<Vec<_>>()])
    }
    fn object(self) -> Object {
        Object::Binding(Box::new(self))
    }
}

impl Furnishing for NetworkPolicy {
    fn content(&self) -> Value {
        json!(self.spec)
    }
    fn object(self) -> Object {
        Object::Isolation(Box::new(self))
    }
}

impl Furnishing for ResourceQuota {
    fn content(&self) -> Value {
        amounts(self.spec.as_ref().and_then(|spec| spec.hard.as_ref()))
    }
    /// Others may bound more.
    fn is_as(&self, wanted: &Self) -> bool {
        let (found, wanted) = (self.content(), wanted.content());
        !self.is_beyond_repair()
            && wanted.as_object().into_iter().flatten().all(|(name, amount)| found.get(name) == Some(amount))
    }
    fn is_beyond_repair(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.scopes.is_some() || spec.scope_selector.is_some())
    }
    fn object(self) -> Object {
        Object::Quota(Box::new(self))
    }
}

impl Furnishing for LimitRange {
    fn content(&self) -> Value {
        let limits = self.spec.iter().flat_map(|spec| &spec.limits);
        let all = limits.map(|limit| {
            let amounts =
                [&limit.default, &limit.default_request, &limit.max, &limit.min, &limit.max_limit_request_ratio];
            json!([limit.type_, amounts.map(|amounts| self::amounts(amounts.as_ref()))])
        });
        all.collect()
    }
    fn object(self) -> Object {
        Object::Limits(Box::new(self))
    }
}

/// Amounts in one way of writing.
fn amounts(all: Option<&std::collections::BTreeMap<String, Quantity>>) -> Value {
    let read = |Quantity(text): &Quantity| match quantity::billionths(text) {
        Some(amount) => amount.to_string(),
        None => text.clone(),
    };
    all.into_iter()
        .flatten()
        .map(|(name, amount)| (name.clone(), json!(read(amount))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What a cache keeps of an object.
#[derive(Clone, Debug)]
pub struct Kept {
    uid: Box<str>,
    version: Box<str>,
    print: u64,
    /// Space and name of the environment that its labels name.
    pub environment: Option<Key>,
}

impl Versioned for Kept {
    fn uid(&self) -> Option<&str> {
        Some(&self.uid)
    }
    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

impl Kept {
    /// What is kept of an object.
    #[must_use]
    pub fn of<K: Furnishing>(object: &K) -> Self {
        let labels = object.labels();
        let environment = labels.get(SPACE_LABEL).zip(labels.get(ENVIRONMENT_LABEL));
        Self {
            uid: ResourceExt::uid(object).unwrap_or_default().into(),
            version: ResourceExt::resource_version(object).unwrap_or_default().into(),
            print: print(object),
            environment: environment.map(|(space, name)| Key::new(space.as_str(), name.as_str())),
        }
    }

    /// Whether the object is what is wanted.
    #[must_use]
    pub fn is<K: Furnishing>(&self, wanted: &K) -> bool {
        self.print == print(wanted)
    }
}

fn print<K: Furnishing>(object: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    for label in [MANAGED_BY_LABEL, SPACE_LABEL, ENVIRONMENT_LABEL] {
        object.labels().get(label).hash(&mut hasher);
    }
    object.annotations().get(COPIES).hash(&mut hasher);
    object.content().to_string().hash(&mut hasher);
    hasher.finish()
}
