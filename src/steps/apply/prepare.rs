//! Manifests to objects that may be applied, or everything that is wrong with them. Pure.
//!
//! Nothing here knows the cluster: whether a kind exists, or lives in namespaces, is asked in [`check`](super::check).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::account;
use super::image::{PinnedImage, write_images};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::order::rank;
use super::ownership::{PREFIX, Scope};
use super::problem::{Problem, ProblemReason, Problems};

/// The largest object, as JSON: half of what etcd takes in one request.
const OBJECT_MAX: usize = 256 * 1024;
/// The most objects of one step.
const OBJECTS_MAX: usize = 500;
/// Our own kinds, which no release may carry.
const OWN_GROUP: &str = "gantry.dev";
/// Fields that decide over an object's life or belong to the API server, and why they are refused.
const REFUSED_METADATA: [(&str, &str); 9] = [
    ("generateName", "would make a new object each time: give the object a metadata.name"),
    ("ownerReferences", "would let another object delete it: remove the field"),
    ("finalizers", "could keep the namespace from being deleted: remove the field"),
    ("uid", "is the API server's: remove the field"),
    ("resourceVersion", "is the API server's: remove the field"),
    ("managedFields", "is the API server's: remove the field"),
    ("deletionTimestamp", "is the API server's: remove the field"),
    ("deletionGracePeriodSeconds", "is the API server's: remove the field"),
    ("selfLink", "is the API server's: remove the field"),
];
/// Where kinds of Kubernetes keep pod templates.
const TEMPLATES: [(&str, &str); 6] = [
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// An object that is ready to be checked against the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Which object.
    pub object: ObjectRef,
    /// The whole object, with labels and images.
    pub body: Value,
}

impl Prepared {
    /// The pod template in the object, if it is one of Kubernetes' workload kinds.
    #[must_use]
    pub fn pod_template(&self) -> Option<&Value> {
        self.body.pointer(template_pointer(&self.object)?)
    }
}

/// Prepares all manifests of a step, in the order in which they will be applied.
///
/// # Errors
/// All problems of all manifests.
pub fn prepare(manifests: Vec<Manifest>, scope: &Scope, images: &[PinnedImage]) -> Result<Vec<Prepared>, Problems> {
    let mut problems = Problems::default();
    let mut prepared: Vec<Prepared> = Vec::new();
    let mut seen = BTreeSet::new();
    if manifests.len() > OBJECTS_MAX {
        let mut findings = Findings::of(scope, format!("{} manifests", manifests.len()));
        findings.add("", format!("one step applies at most {OBJECTS_MAX} objects: split it into several steps"));
        problems.extend(findings.problems);
    }
    for manifest in manifests {
        let mut findings = Findings::of(scope, manifest.origin);
        if let Some(object) = prepare_one(manifest.value, images, &mut findings) {
            let (group, kind, _, name) = object.object.identity();
            if !seen.insert((group.to_owned(), kind.to_owned(), name.to_owned())) {
                findings.add("metadata.name", "names an object that the step has already: remove one of the two");
            }
            prepared.push(object);
        }
        problems.extend(findings.problems);
    }
    prepared.sort_by_key(|prepared| rank(&prepared.object.kind));
    problems.or(prepared)
}

/// The problems of one manifest.
struct Findings<'a> {
    scope: &'a Scope,
    object: String,
    problems: Vec<Problem>,
}

impl<'a> Findings<'a> {
    fn of(scope: &'a Scope, object: String) -> Self {
        Self { scope, object, problems: Vec::new() }
    }

    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.add_as(ProblemReason::InvalidManifest, path.to_owned(), message.into());
    }

    fn add_as(&mut self, reason: ProblemReason, path: String, message: String) {
        let (step, object) = (self.scope.step.clone(), self.object.clone());
        self.problems.push(Problem { step, targets: Vec::new(), object, path, reason, message });
    }
}

fn prepare_one(mut body: Value, images: &[PinnedImage], findings: &mut Findings) -> Option<Prepared> {
    let Value::Object(fields) = &mut body else {
        findings.add("", "is not an object: write apiVersion, kind and metadata");
        return None;
    };
    let object = identify(fields, findings)?;
    findings.object = object.to_string();
    refuse_what_is_not_ours_to_set(fields, findings);
    label(&mut body, &object, findings);
    for refused in write_images(&mut body, images) {
        findings.add_as(refused.reason, refused.path, refused.message);
    }
    for (path, message) in account::taken(&body) {
        findings.add_as(ProblemReason::Forbidden, path, message);
    }
    let size = serde_json::to_string(&body).map_or(usize::MAX, |text| text.len());
    if size > OBJECT_MAX {
        findings.add("", format!("is larger than {} KiB: split it", OBJECT_MAX / 1024));
    }
    Some(Prepared { object, body })
}

/// Who the object is. The namespace is filled in.
fn identify(fields: &mut Map<String, Value>, findings: &mut Findings) -> Option<ObjectRef> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let (group, version) = (group.to_owned(), version.to_owned());
    let before = findings.problems.len();
    if !is_group(&group) || !is_word(&version) {
        findings.add("apiVersion", "is missing or malformed: write one like v1 or apps/v1");
    }
    if !is_word(&kind) {
        findings.add("kind", "is missing or malformed: write one like Deployment");
    }
    if kind == "List" || (kind.ends_with("List") && fields.contains_key("items")) {
        findings.add("kind", "is a list: write its items as manifests of their own");
    }
    if group == OWN_GROUP || group.ends_with(".gantry.dev") {
        findings.add("apiVersion", "is Gantry's own, and a release carries no objects of Gantry: remove it");
    }
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
    let name = metadata.as_ref().and_then(|metadata| metadata.get("name")).and_then(Value::as_str).unwrap_or_default();
    let name = name.to_owned();
    if !is_name(&name) {
        findings.add("metadata.name", "is missing or malformed: write the object's name");
    }
    let namespace = findings.scope.namespace.clone();
    if let Some(metadata) = metadata {
        match metadata.get("namespace") {
            None | Some(Value::Null) => drop(metadata.insert("namespace".into(), namespace.clone().into())),
            Some(Value::String(theirs)) if *theirs == namespace => {}
            Some(_) => {
                let message =
                    format!("is not the target's namespace {namespace}: remove the field, the environment gives it");
                findings.add("metadata.namespace", message);
            }
        }
    }
    let known = findings.problems.len() == before;
    known.then_some(ObjectRef { group, version, kind, namespace, name })
}

fn refuse_what_is_not_ours_to_set(fields: &mut Map<String, Value>, findings: &mut Findings) {
    // Tools that print manifests leave these two behind, and empty they say nothing.
    if fields.get("status").is_some_and(is_nothing) {
        fields.remove("status");
    }
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if metadata.get("creationTimestamp").is_some_and(Value::is_null) {
        metadata.remove("creationTimestamp");
    }
    for (field, why) in REFUSED_METADATA {
        if metadata.contains_key(field) {
            findings.add(&format!("metadata.{field}"), why);
        }
    }
    if fields.contains_key("status") {
        findings.add("status", "is the cluster's to say: remove the field");
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

fn label(body: &mut Value, object: &ObjectRef, findings: &mut Findings) {
    let scope = findings.scope;
    write_labels(body, "metadata", &scope.labels(), findings);
    let Some(pointer) = template_pointer(object) else { return };
    let path = pointer.trim_start_matches('/').replace('/', ".");
    if let Some(template) = body.pointer_mut(pointer).filter(|template| template.is_object()) {
        write_labels(template, &format!("{path}.metadata"), &scope.pod_labels(), findings);
    }
}

/// Adds labels to the metadata of an object or pod template.
fn write_labels(holder: &mut Value, path: &str, labels: &[(&str, String)], findings: &mut Findings) {
    let Some(holder) = holder.as_object_mut() else { return };
    let Some(metadata) = object_at(holder, "metadata") else {
        return findings.add(path, "is not an object: write names and values");
    };
    let Some(present) = object_at(metadata, "labels") else {
        return findings.add(&format!("{path}.labels"), "is not an object: write names and values");
    };
    for key in present.keys().filter(|key| key.starts_with(PREFIX)) {
        findings.add(&format!("{path}.labels"), format!("{key} is Gantry's own label: remove it"));
    }
    present.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))));
}

/// The object in a field, made if there is none; nothing if something else is there.
fn object_at<'a>(holder: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let field = holder.entry(key).or_insert(Value::Null);
    if field.is_null() {
        *field = Value::Object(Map::new());
    }
    field.as_object_mut()
}

fn template_pointer(object: &ObjectRef) -> Option<&'static str> {
    let known = matches!(object.group.as_str(), "apps" | "batch");
    TEMPLATES.iter().find(|(kind, _)| known && *kind == object.kind).map(|(_, pointer)| *pointer)
}

// These become parts of a URL.

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_group(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    text.len() <= 253 && text.bytes().all(byte) && !text.split('.').skip(1).any(str::is_empty)
}

fn is_name(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    !text.is_empty() && text.len() <= 253 && text != "." && text != ".." && text.bytes().all(byte)
}

#[cfg(test)]
mod tests;
