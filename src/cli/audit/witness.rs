//! The API server's own log as the witness of who deleted what: its Events are read, and joined with the records of deletions.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::v1alpha1::AuditRecordSpec;
use crate::domain::audit::deletion::{Answer, Author, Deleted, Object, Request};

const API_VERSION: &str = "audit.k8s.io/v1";
const GROUP: &str = "gantry.dev";

/// What was read of the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: Vec<Request>,
    /// What could not be read, in sentences.
    pub unreadable: Vec<String>,
}

/// A record of a deletion, and who did it.
#[derive(Debug)]
pub(super) struct Joined {
    /// The name of the record.
    pub record: String,
    /// What was deleted, and by whom, in one sentence.
    pub told: String,
    /// Who did it, as an export says it.
    pub author: Value,
}

impl Log {
    /// Reads files of an API server's log, one Event a line, in any order.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Box<dyn Error>> {
        let mut log = Self::default();
        for path in paths {
            let place = path.display().to_string();
            let file = File::open(path).map_err(|error| format!("{place} cannot be read: {error}"))?;
            log.add(&place, BufReader::new(file))?;
        }
        Ok(log)
    }

    fn add(&mut self, place: &str, text: impl BufRead) -> Result<(), Box<dyn Error>> {
        let (mut events, mut strange, mut first) = (0_usize, 0_usize, None);
        for (number, line) in text.split(b'\n').enumerate() {
            let line = line.map_err(|error| format!("{place} cannot be read: {error}"))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) if event.api_version == API_VERSION && event.kind == "Event" => {
                    events += 1;
                    self.requests.extend(event.deletes().then(|| request(event, &line)).flatten());
                }
                _ => {
                    strange += 1;
                    first = first.or(Some(number + 1));
                }
            }
        }
        if events == 0 {
            return Err(format!(
                "{place} has no Event of {API_VERSION}; give the file of kube-apiserver --audit-log-path"
            )
            .into());
        }
        if let Some(first) = first {
            self.unreadable.push(format!(
                "{strange} lines of {place} are no Events of {API_VERSION} and were left out, line {first} first"
            ));
        }
        Ok(())
    }

    /// Who did what is recorded as deleted, by record.
    pub(super) fn join(&self, records: &[DynamicObject]) -> Vec<Joined> {
        let said = |record: &DynamicObject| -> Option<AuditRecordSpec> {
            serde_json::from_value(record.data.get("spec").cloned()?).ok()
        };
        let specs: Vec<(&DynamicObject, AuditRecordSpec)> =
            records.iter().filter_map(|record| Some((record, said(record)?))).collect();
        // The newest time at which each was there, as a record says.
        let mut there: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (_, spec) in &specs {
            if let (Some(object), Some(at), false) = (&spec.object, &spec.at, is_end(spec)) {
                let newest = there.entry(&object.uid).or_insert(at.0);
                *newest = at.0.max(*newest);
            }
        }
        let joined = |(record, spec): &(&DynamicObject, AuditRecordSpec)| {
            let uid = spec.object.as_ref().map(|object| object.uid.as_str()).unwrap_or_default();
            let deleted = deleted(record, spec, there.get(uid).copied())?;
            let name = record.metadata.name.clone().unwrap_or_default();
            Some(joined(name, &deleted, &deleted.author(&self.requests)))
        };
        specs.iter().filter_map(joined).collect()
    }
}

/// Whether a record is of a deletion.
fn is_end(spec: &AuditRecordSpec) -> bool {
    spec.change.as_ref().is_some_and(|change| change.action == "Deleted")
        || spec.block.as_ref().is_some_and(|block| block.deleted)
}

/// What a record says was deleted, if it does.
fn deleted(record: &DynamicObject, spec: &AuditRecordSpec, there: Option<Timestamp>) -> Option<Deleted> {
    let object = spec.object.as_ref().filter(|_| is_end(spec))?;
    let of_change = spec.change.as_ref().and_then(|change| change.deleted_at.as_ref());
    let taken = of_change.or(spec.block.as_ref().and_then(|block| block.deleted_at.as_ref()));
    Some(Deleted {
        resource: object.resource()?,
        namespace: record.metadata.namespace.clone().unwrap_or_default(),
        name: object.name.clone(),
        uid: object.uid.clone(),
        there,
        taken: taken.map(|time| time.0),
        gone: spec.at.as_ref()?.0,
    })
}

fn joined(record: String, deleted: &Deleted, author: &Author<'_>) -> Joined {
    let what = format!("{}.{GROUP} {} (record {record})", deleted.resource, deleted.name);
    match author {
        Author::Known(request, proof) => Joined {
            told: format!(
                "{what} was deleted by {} at {}, known by {}: request {}",
                who(request),
                request.received,
                proof.as_str(),
                request.id
            ),
            author: json!({
                "username": request.by, "impersonatedBy": request.impersonated_by, "at": request.received,
                "auditID": request.id, "knownBy": proof.as_str(),
            }),
            record,
        },
        Author::Unsure(requests) => {
            let each = |request: &&Request| format!("{} (request {})", who(request), request.id);
            let all: Vec<String> = requests.iter().map(each).collect();
            let why = format!(
                "the log does not say for certain who did it; these asked for it or for more: {}",
                all.join(", ")
            );
            Joined { told: format!("{what} was deleted, and {why}"), author: json!({"unknown": why}), record }
        }
        Author::Missing => {
            let why = format!(
                "no request in the log can have done it; give the log of the time before {}, and of every API server",
                deleted.gone
            );
            Joined { told: format!("{what} was deleted, and {why}"), author: json!({"unknown": why}), record }
        }
    }
}

fn who(request: &Request) -> String {
    let by = request.impersonated_by.as_ref().map(|by| format!(" as whom {by} acted")).unwrap_or_default();
    format!("{}{by}", request.by)
}

/// What every Event of the log says, without what was sent and answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    kind: String,
    api_version: String,
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    object_ref: Option<ObjectRef>,
    response_status: Option<Said>,
    request_received_timestamp: Option<Timestamp>,
    stage_timestamp: Option<Timestamp>,
    annotations: BTreeMap<String, String>,
}

/// What was sent and answered, where the log has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Bodies {
    request_object: Option<Options>,
    response_object: Option<Said>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    api_group: String,
    subresource: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    dry_run: Vec<String>,
}

/// An answer: a status, an object that something holds, or a list of objects.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    code: u16,
    details: Option<Meta>,
    metadata: Option<Meta>,
    items: Option<Vec<Item>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    metadata: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    uid: Option<String>,
    deletion_timestamp: Option<Timestamp>,
}

impl Event {
    /// Whether something of ours was to be deleted, and somebody was allowed to ask for it.
    fn deletes(&self) -> bool {
        let object = self.object_ref.as_ref();
        let ours = object.is_some_and(|object| object.api_group == GROUP && object.subresource.is_empty());
        let forbidden = self.annotations.get("authorization.k8s.io/decision").is_some_and(|said| said == "forbid");
        let asked = ["delete", "deletecollection"].contains(&self.verb.as_str());
        ours && asked && !forbidden && self.stage == "ResponseComplete"
    }
}

/// A request to delete, with what its bodies say; nothing for one that was only tried.
fn request(event: Event, line: &[u8]) -> Option<Request> {
    let read = serde_json::from_slice::<Bodies>(line);
    let readable = read.is_ok();
    let bodies = read.unwrap_or_default();
    let query = event.request_uri.split_once('?').map_or("", |(_, query)| query);
    let tried = query.split('&').any(|pair| pair.starts_with("dryRun=") && pair != "dryRun=");
    if tried || bodies.request_object.as_ref().is_some_and(|options| !options.dry_run.is_empty()) {
        return None;
    }
    let status = event.response_status.unwrap_or_default();
    let answer = match status.code {
        200..=299 if readable => answered(bodies.response_object.as_ref(), &status),
        // It was refused before anything was deleted, unless it was of many.
        400..=499 if event.verb == "delete" => return None,
        // It may have stopped after the deletion; one whose bodies do not read may have been tried only.
        _ => Answer::Stopped,
    };
    let object = event.object_ref.unwrap_or_default();
    let (by, impersonated_by) = match event.impersonated_user {
        Some(user) => (user.username, Some(event.user.username)),
        None => (event.user.username, None),
    };
    Some(Request {
        id: event.audit_id,
        by,
        impersonated_by,
        resource: object.resource,
        namespace: object.namespace,
        name: Some(object.name).filter(|_| event.verb == "delete"),
        received: event.request_received_timestamp?,
        answered: event.stage_timestamp?,
        answer,
    })
}

/// What an answer says was deleted. A status names what is gone also where the log keeps no bodies.
fn answered(body: Option<&Said>, status: &Said) -> Answer {
    let object = |meta: &Meta| Some(Object { uid: meta.uid.clone()?, taken: meta.deletion_timestamp });
    if let Some(items) = body.and_then(|body| body.items.as_ref()) {
        return Answer::Objects(items.iter().filter_map(|item| object(&item.metadata)).collect());
    }
    let told = body.into_iter().chain([status]).flat_map(|said| [&said.metadata, &said.details]);
    match told.flatten().find_map(object) {
        Some(object) => Answer::Objects(vec![object]),
        None => Answer::Done,
    }
}

#[cfg(test)]
mod tests;
