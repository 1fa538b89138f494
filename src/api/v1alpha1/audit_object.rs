//! What an `AuditRecord` is of.

use kube::{KubeSchema, Resource};
use serde::{Deserialize, Serialize};

use super::{Environment, Freeze, Lifecycle, Project, Release};

/// One object as it was.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditObject {
    /// Its kind. Example: `kind: Environment`
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name. Example: `name: production`
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its UID. Example: `uid: 0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60`
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Which generation of its spec. Example: `generation: 3`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

impl AuditObject {
    /// Its kind as requests name it; nothing for kinds whose end is no record of its own.
    #[must_use]
    pub fn resource(&self) -> Option<String> {
        let recorded = [
            (Environment::kind(&()), Environment::plural(&())),
            (Freeze::kind(&()), Freeze::plural(&())),
            (Lifecycle::kind(&()), Lifecycle::plural(&())),
            (Project::kind(&()), Project::plural(&())),
            (Release::kind(&()), Release::plural(&())),
        ];
        recorded.into_iter().find(|(kind, _)| *kind == self.kind).map(|(_, plural)| plural.into_owned())
    }

    /// An object of ours as it is.
    #[must_use]
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            kind: K::kind(&()).into_owned(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation,
        }
    }
}
