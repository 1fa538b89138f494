//! An object that Gantry applied, as little of it as the overview needs. Pure.

use kube::core::DynamicObject;

use super::kind::WatchedKind;
use crate::api::{PROJECT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{Change, Key, Versioned};
use crate::steps::apply::fingerprint::fingerprint;
use crate::steps::health::Health;
use crate::steps::health::present::assess_present;

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it is there.
    Healthy,
    /// It may become healthy; the sentence says what it waits for.
    Progressing(Box<str>),
    /// It will not become healthy by itself; the sentence says why.
    Degraded(Box<str>),
}

/// What is kept of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    uid: Box<str>,
    resource_version: Box<str>,
    /// Space and project that its labels name.
    pub project: Key,
    /// How it is.
    pub state: State,
    /// Which of its fields the project set, as a [`fingerprint`]; empty if none.
    pub fields: Box<str>,
}

impl Versioned for Workload {
    fn uid(&self) -> Option<&str> {
        Some(&self.uid)
    }
    fn resource_version(&self) -> Option<&str> {
        Some(&self.resource_version)
    }
}

impl Workload {
    /// What is kept of an object.
    #[must_use]
    pub fn of(kind: &WatchedKind, object: &DynamicObject) -> Self {
        let meta = &object.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name)).cloned().unwrap_or_default();
        let project = Key::new(label(SPACE_LABEL), label(PROJECT_LABEL));
        let what = kind.object(&text(&meta.namespace), &text(&meta.name));
        let state = match assess_present(&what, object) {
            Health::Healthy => State::Healthy,
            Health::Progressing { message, .. } => State::Progressing(message.into()),
            Health::Failed(failure) => State::Degraded(failure.message.into()),
        };
        let managed = meta.managed_fields.as_deref().unwrap_or_default();
        Self {
            uid: text(&meta.uid).into(),
            resource_version: text(&meta.resource_version).into(),
            fields: fingerprint(managed, &format!("gantry/{}", project.name)).unwrap_or_default().into(),
            project,
            state,
        }
    }

    /// The projects that a change concerns: none if it changes no answer.
    #[must_use]
    pub fn concerned(change: &Change<Self>) -> Vec<Key> {
        let Some(now) = &change.object else { return Vec::new() };
        match &change.before {
            Some(before) if before.answer() == now.answer() => Vec::new(),
            Some(before) if before.project != now.project => vec![before.project.clone(), now.project.clone()],
            Some(_) | None => vec![now.project.clone()],
        }
    }

    fn answer(&self) -> (&str, &Key, &State, &str) {
        (&self.uid, &self.project, &self.state, &self.fields)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn workload(version: &str, project: &str, available: i64) -> Workload {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "checkout", "namespace": "shop-dev", "uid": "u1", "resourceVersion": version,
                "labels": {SPACE_LABEL: "shop", PROJECT_LABEL: project},
                "managedFields": [{"manager": format!("gantry/{project}"), "operation": "Apply", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"replicas": 1, "selector": {}, "template": {}},
            "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": available},
        });
        Workload::of(WatchedKind::of("apps", "Deployment").unwrap(), &serde_json::from_value(object).unwrap())
    }

    fn change(before: Option<Workload>, now: Workload) -> Change<Workload> {
        Change {
            key: Key::new("shop-dev", "checkout"),
            object: Some(Arc::new(now)),
            before: before.map(Arc::new),
            gone: false,
        }
    }

    #[test]
    fn little_is_kept_of_an_object() {
        let kept = workload("7", "checkout", 1);
        assert_eq!((kept.project.clone(), kept.state.clone()), (Key::new("shop", "checkout"), State::Healthy));
        assert_eq!((kept.fields.len(), kept.uid(), kept.resource_version()), (16, Some("u1"), Some("7")));
        assert!(matches!(workload("7", "checkout", 0).state, State::Progressing(_)));
    }

    #[test]
    fn only_a_change_of_the_answer_wakes_a_project() {
        let mine = || vec![Key::new("shop", "checkout")];
        assert_eq!(Workload::concerned(&change(None, workload("7", "checkout", 1))), mine());
        let same = change(Some(workload("7", "checkout", 1)), workload("8", "checkout", 1));
        assert_eq!(Workload::concerned(&same), []);
        let worse = change(Some(workload("7", "checkout", 1)), workload("8", "checkout", 0));
        assert_eq!(Workload::concerned(&worse), mine());
        let taken = change(Some(workload("7", "checkout", 1)), workload("8", "billing", 1));
        assert_eq!(Workload::concerned(&taken), [Key::new("shop", "checkout"), Key::new("shop", "billing")]);
        assert_eq!(Workload::concerned(&Change { gone: true, ..change(None, workload("7", "checkout", 1)) }), mine());
    }
}
