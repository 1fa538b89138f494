//! The API server's audit log: who did what, to what, and what came of it.
//!
//! A request is in the log just after it was answered, so a reader that looks at once may be too
//! early: [`AuditLog::find`] waits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::error::PlaneError;

/// How often [`AuditLog::find`] looks again.
const POLL: Duration = Duration::from_millis(25);

/// Where the API server says whether and why it let a request through.
const DECISION: &str = "authorization.k8s.io/decision";
const REASON: &str = "authorization.k8s.io/reason";

/// A reader of the audit log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the audit log: everything before it is past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditMark(u64);

/// One answered request.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// The request's id: a watch has two events, one when it starts and one when it ends.
    pub id: String,
    /// `ResponseComplete`, `ResponseStarted` (watches, exec) or `Panic`.
    pub stage: String,
    /// Who authenticated.
    pub user: String,
    /// The groups of who authenticated.
    pub groups: Vec<String>,
    /// Whom that user acted as, if as someone else.
    pub impersonated: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, …
    pub verb: String,
    /// The path and query as asked for.
    pub request_uri: String,
    /// The resource's group; empty for the core group and for paths that are no resources.
    pub group: String,
    /// The resource's plural name; empty for paths that are no resources.
    pub resource: String,
    /// The subresource, such as `status`; empty if none.
    pub subresource: String,
    /// The namespace; empty for cluster-scoped objects and lists over all namespaces.
    pub namespace: String,
    /// The object's name; empty for lists, and for creation with a generated name.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// The client program, as it calls itself.
    pub user_agent: String,
    /// When the request arrived.
    pub received: String,
    /// When it was answered, or the watch began.
    pub answered: String,
    /// By which right it was let through, as RBAC says it: `RBAC: allowed by ClusterRoleBinding "a" of …`; empty if it was not.
    pub allowed_by: String,
    /// The object that was sent; recorded for writes of kinds of `gantry.dev` only.
    pub request_object: Option<Value>,
    /// The object that was answered; recorded for writes of kinds of `gantry.dev` only.
    pub response_object: Option<Value>,
}

impl AuditLog {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file, one Event of `audit.k8s.io/v1` a line.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place where the log ends now.
    #[must_use]
    pub fn mark(&self) -> AuditMark {
        AuditMark(std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len()))
    }

    /// Everything since `mark`, oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn since(&self, mark: AuditMark) -> Result<Vec<AuditEvent>, PlaneError> {
        Ok(self.read(mark)?.0)
    }

    /// Everything since `mark`, and the mark to go on from.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read(&self, mark: AuditMark) -> Result<(Vec<AuditEvent>, AuditMark), PlaneError> {
        let failed = || PlaneError::system(format!("reading {}", self.path.display()));
        let mut file = File::open(&self.path).map_err(failed())?;
        file.seek(SeekFrom::Start(mark.0)).map_err(failed())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed())?;
        // The last line may be half written; it is read next time.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        let lines = bytes.split(|byte| *byte == b'\n');
        let events = lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok()).map(AuditEvent::from);
        Ok((events.collect(), AuditMark(mark.0 + whole as u64)))
    }

    /// The first event since `mark` that `wanted` accepts, awaited for at most `patience`.
    ///
    /// # Errors
    /// None came in time, or the log cannot be read.
    pub async fn find<F>(&self, mark: AuditMark, patience: Duration, wanted: F) -> Result<AuditEvent, PlaneError>
    where
        F: Fn(&AuditEvent) -> bool,
    {
        let deadline = Instant::now() + patience;
        let mut mark = mark;
        loop {
            let (events, next) = self.read(mark)?;
            if let Some(event) = events.into_iter().find(&wanted) {
                return Ok(event);
            }
            if Instant::now() > deadline {
                let what = "the awaited entry of the audit log".to_owned();
                return Err(PlaneError::Late { what, seconds: patience.as_secs() });
            }
            mark = next;
            tokio::time::sleep(POLL).await;
        }
    }
}

/// An event as the API server writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    user_agent: String,
    object_ref: Object,
    response_status: Status,
    request_object: Option<Value>,
    response_object: Option<Value>,
    request_received_timestamp: String,
    stage_timestamp: String,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    groups: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    resource: String,
    namespace: String,
    name: String,
    api_group: String,
    subresource: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Record> for AuditEvent {
    fn from(mut record: Record) -> Self {
        let is_allowed = record.annotations.get(DECISION).is_some_and(|decision| decision == "allow");
        let reason = record.annotations.remove(REASON).unwrap_or_default();
        let query = record.request_uri.split_once('?').map_or("", |(_, query)| query);
        Self {
            dry_run: query.split('&').any(|pair| pair.starts_with("dryRun=") && pair != "dryRun="),
            id: record.audit_id,
            stage: record.stage,
            user: record.user.username,
            groups: record.user.groups,
            impersonated: record.impersonated_user.map(|user| user.username),
            verb: record.verb,
            request_uri: record.request_uri,
            group: record.object_ref.api_group,
            resource: record.object_ref.resource,
            subresource: record.object_ref.subresource,
            namespace: record.object_ref.namespace,
            name: record.object_ref.name,
            code: record.response_status.code,
            user_agent: record.user_agent,
            received: record.request_received_timestamp,
            answered: record.stage_timestamp,
            allowed_by: if is_allowed { reason } else { String::new() },
            request_object: record.request_object,
            response_object: record.response_object,
        }
    }
}
