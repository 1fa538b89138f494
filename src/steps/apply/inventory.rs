//! What a project has in a target: the list that pruning and health look at. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::object::ObjectRef;
use super::order::rank;
use super::write::Applied;

/// How long a uid is.
const UID: usize = 36;
/// How long a fingerprint is.
const FIELDS: usize = 16;

/// One object that was applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// API group; empty for the core kinds.
    #[serde(default)]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Version in which it was applied.
    pub version: String,
    /// Its uid; empty while it is only about to be applied.
    #[serde(default)]
    pub uid: String,
    /// Which of its fields the project set, as a [`fingerprint`](super::fingerprint::fingerprint); empty while that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fields: String,
    /// The step that has applied it; empty where that was not kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
}

impl Entry {
    /// Which object.
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        ObjectRef {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn new(object: &ObjectRef, uid: &str) -> Self {
        Self {
            group: object.group.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            version: object.version.clone(),
            uid: uid.to_owned(),
            fields: String::new(),
            step: String::new(),
        }
    }

    fn identity(&self) -> (&str, &str, &str, &str) {
        (&self.group, &self.kind, &self.namespace, &self.name)
    }
}

impl From<&Applied> for Entry {
    fn from(applied: &Applied) -> Self {
        Self { fields: applied.fields.clone(), ..Self::new(&applied.object, &applied.uid) }
    }
}

/// Everything that was applied, sorted, each object once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Listed")]
pub struct Inventory {
    entries: Vec<Entry>,
}

/// An inventory as it is stored: nobody promises that it is still sorted.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    entries: Vec<Entry>,
}

impl From<Listed> for Inventory {
    fn from(listed: Listed) -> Self {
        Self::new(listed.entries)
    }
}

impl Inventory {
    /// An inventory of these entries; of two for one object the last one stays.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        // Stable, so the last one of equals is the last one given.
        entries.sort_by(|a, b| a.identity().cmp(&b.identity()));
        entries.reverse();
        entries.dedup_by(|a, b| a.identity() == b.identity());
        entries.reverse();
        Self { entries }
    }

    /// What was applied.
    #[must_use]
    pub fn of(applied: &[Applied]) -> Self {
        Self::new(applied.iter().map(Entry::from))
    }

    /// What is about to be applied: written down before the first effect, so that no crash leaves an object that nobody knows
    /// of. The uids are not known yet.
    #[must_use]
    pub fn planned<'a>(objects: impl IntoIterator<Item = &'a ObjectRef>) -> Self {
        Self::new(objects.into_iter().map(|object| Entry::new(object, "")))
    }

    /// The same, applied by this step.
    #[must_use]
    pub fn by(mut self, step: &str) -> Self {
        for entry in &mut self.entries {
            step.clone_into(&mut entry.step);
        }
        self
    }

    /// The entries, sorted.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Both together; what `newer` has replaces what this one has, but what is known of an object is not forgotten when it
    /// is about to be applied again.
    #[must_use]
    pub fn merged(&self, newer: &Self) -> Self {
        let known = |entry: &Entry| self.entries.iter().find(|ours| ours.identity() == entry.identity());
        let newer = newer.entries.iter().map(|entry| match known(entry) {
            Some(known) if entry.uid.is_empty() => {
                Entry { uid: known.uid.clone(), fields: known.fields.clone(), ..entry.clone() }
            }
            Some(_) | None => entry.clone(),
        });
        Self::new(self.entries.iter().cloned().chain(newer))
    }

    /// What this one has and `newer` has not, in the order in which it is to be pruned: the reverse of applying.
    #[must_use]
    pub fn leftovers(&self, newer: &Self) -> Vec<Entry> {
        let kept = |entry: &Entry| newer.entries.iter().any(|theirs| theirs.identity() == entry.identity());
        let mut leftovers: Vec<Entry> = self.entries.iter().filter(|entry| !kept(entry)).cloned().collect();
        leftovers.sort_by_key(|entry| std::cmp::Reverse(rank(&entry.kind)));
        leftovers
    }

    /// The canonical text: equal inventories have equal texts.
    #[must_use]
    pub fn canonical(&self) -> String {
        // Plain strings in fields of a fixed order: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How long the canonical text gets once everything in it is applied: uids and fields are then known.
    #[must_use]
    pub fn longest(&self) -> usize {
        let applied = |entry: &Entry| Entry { uid: "0".repeat(UID), fields: "0".repeat(FIELDS), ..entry.clone() };
        Self { entries: self.entries.iter().map(applied).collect() }.canonical().len()
    }

    /// The SHA-256 of the canonical text, in hexadecimal digits.
    #[must_use]
    pub fn content_hash(&self) -> String {
        use std::fmt::Write;
        Sha256::digest(self.canonical()).iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str, uid: &str) -> Entry {
        Entry {
            group: if kind == "Deployment" { "apps" } else { "" }.into(),
            kind: kind.into(),
            namespace: "shop-dev".into(),
            name: name.into(),
            version: "v1".into(),
            uid: uid.into(),
            fields: if uid.is_empty() { String::new() } else { format!("fields-{uid}") },
            step: String::new(),
        }
    }

    #[test]
    fn order_and_repetition_do_not_change_an_inventory() {
        let a = Inventory::new([entry("Service", "a", "1"), entry("Deployment", "a", "2")]);
        let b =
            Inventory::new([entry("Deployment", "a", "0"), entry("Service", "a", "1"), entry("Deployment", "a", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.content_hash(), b.content_hash());
        assert_eq!(a.content_hash().len(), 64);
        assert_ne!(a.content_hash(), Inventory::default().content_hash());
    }

    #[test]
    fn how_long_an_inventory_gets_is_known_before_anything_is_applied() {
        let planned = Inventory::planned(&[entry("Service", "a", "").object(), entry("Deployment", "b", "").object()]);
        let full = |kind, name| Entry { fields: "0123456789abcdef".into(), ..entry(kind, name, &"u".repeat(36)) };
        let applied = planned.merged(&Inventory::new([full("Service", "a"), full("Deployment", "b")])).by("deploy");
        assert_eq!(planned.by("deploy").longest(), applied.canonical().len());
    }

    #[test]
    fn an_inventory_reads_back_as_itself_even_when_somebody_shuffled_it() {
        let inventory = Inventory::new([entry("Service", "a", "1"), entry("Deployment", "a", "2")]);
        assert_eq!(serde_json::from_str::<Inventory>(&inventory.canonical()).unwrap(), inventory);
        let mut shuffled: serde_json::Value = serde_json::from_str(&inventory.canonical()).unwrap();
        shuffled["entries"].as_array_mut().unwrap().reverse();
        assert_eq!(serde_json::from_value::<Inventory>(shuffled).unwrap(), inventory);
    }

    #[test]
    fn an_inventory_from_before_fields_were_kept_reads_and_is_written_as_it_was() {
        let text =
            r#"{"entries":[{"group":"","kind":"Service","namespace":"shop-dev","name":"a","version":"v1","uid":"1"}]}"#;
        let read: Inventory = serde_json::from_str(text).unwrap();
        assert_eq!((read.entries()[0].fields.as_str(), read.canonical().as_str()), ("", text));
    }

    #[test]
    fn what_is_planned_forgets_neither_a_uid_nor_the_fields_that_were_set() {
        let before = Inventory::new([entry("Service", "a", "1")]);
        let planned = Inventory::planned(&[entry("Service", "a", "").object(), entry("Deployment", "b", "").object()]);
        let merged = before.merged(&planned);
        assert_eq!(merged.entries(), [entry("Service", "a", "1"), entry("Deployment", "b", "")]);
        let applied = merged.merged(&Inventory::new([entry("Deployment", "b", "9"), entry("Service", "a", "2")]));
        assert_eq!(applied.entries(), [entry("Service", "a", "2"), entry("Deployment", "b", "9")]);
    }

    #[test]
    fn who_applied_an_object_last_is_kept_with_it() {
        let before = Inventory::new([entry("Service", "a", "1"), entry("Deployment", "b", "2")]).by("first");
        let moved = before.merged(&Inventory::planned(&[entry("Deployment", "b", "").object()]).by("second"));
        let steps: Vec<_> = moved.entries().iter().map(|entry| (entry.kind.as_str(), entry.step.as_str())).collect();
        assert_eq!(steps, [("Service", "first"), ("Deployment", "second")]);
        assert_eq!(serde_json::from_str::<Inventory>(&moved.canonical()).unwrap(), moved);
    }

    #[test]
    fn leftovers_are_what_is_no_longer_there_and_go_in_reverse_order() {
        let before =
            Inventory::new([entry("Secret", "s", "1"), entry("Deployment", "d", "2"), entry("Service", "kept", "3")]);
        let after = Inventory::new([Entry { version: "v2".into(), ..entry("Service", "kept", "9") }]);
        assert_eq!(before.leftovers(&after), [entry("Deployment", "d", "2"), entry("Secret", "s", "1")]);
        assert_eq!(after.leftovers(&after), []);
    }
}
