//! What should be in a target: the watched part of an inventory. Pure.

use kube::core::ObjectMeta;

use super::kind::WatchedKind;
use crate::cluster::cache::{Key, Versioned};
use crate::controllers::promotion::work::inventory::ANNOTATION;
use crate::steps::apply::inventory::{Entry, Inventory};
use crate::steps::apply::object::ObjectRef;

/// One object that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its kind.
    pub kind: &'static WatchedKind,
    /// Namespace and name.
    pub key: Key,
    /// Whether it was ever applied; else it was only about to be.
    pub was_applied: bool,
    /// Which of its fields the project set; empty if that is not known.
    pub fields: Box<str>,
}

impl Piece {
    fn of(entry: &Entry) -> Option<Self> {
        Some(Self {
            kind: WatchedKind::of(&entry.group, &entry.kind)?,
            key: Key::new(entry.namespace.as_str(), entry.name.as_str()),
            was_applied: !entry.uid.is_empty(),
            fields: entry.fields.as_str().into(),
        })
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        self.kind.object(&self.key.namespace, &self.key.name)
    }
}

/// Everything that should be in one target of a project, of the kinds that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    uid: Box<str>,
    resource_version: Box<str>,
    /// The objects, sorted.
    pub pieces: Box<[Piece]>,
}

impl Versioned for Expected {
    fn uid(&self) -> Option<&str> {
        Some(&self.uid)
    }
    fn resource_version(&self) -> Option<&str> {
        Some(&self.resource_version)
    }
}

impl Expected {
    /// What an inventory says. One that does not read says nothing here; the next promotion fails with the reason.
    #[must_use]
    pub fn of(meta: &ObjectMeta) -> Self {
        let text = meta.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION));
        let inventory: Inventory = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self {
            uid: meta.uid.clone().unwrap_or_default().into(),
            resource_version: meta.resource_version.clone().unwrap_or_default().into(),
            pieces: inventory.entries().iter().filter_map(Piece::of).collect(),
        }
    }
}
