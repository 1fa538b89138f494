//! What people write and Gantry records, though it judges nothing: each generation of what gates look at, and each block. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Serialize;
use serde_json::Value;

use crate::api::condition::cut;
use crate::api::v1alpha1::audit_block::BlockPart;
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::{AuditKind, ChangePart, OverridePart};
use crate::api::v1alpha1::history::Person;
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec, Environment, Freeze, Lifecycle, Project, Promotion, Release};
use crate::controllers::guard::vouched::is_vouched;
use crate::domain::guard::Guard;
use crate::domain::variable::function::sha256;

/// How much of a spec a record keeps, in bytes.
const SPEC: usize = 4096;
/// The end of the name of a record that says that something was deleted.
const DELETED: &str = "deleted";

/// An object whose changes are recorded.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An environment.
    Environment(Arc<Environment>),
    /// A lifecycle.
    Lifecycle(Arc<Lifecycle>),
    /// A project.
    Project(Arc<Project>),
    /// A freeze.
    Freeze(Arc<Freeze>),
    /// A release, for its blocks.
    Release(Arc<Release>),
    /// A promotion that has not ended, for what it overrides.
    Promotion(Arc<Promotion>),
}

/// One generation of an object, or its end: what one record is of. In their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// This generation of its spec.
    Generation(i64),
    /// It was deleted.
    Deleted,
}

/// What was seen, and when.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The object.
    pub subject: Subject,
    /// What of it.
    pub state: State,
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// Whether the API server says truly who wrote it: else nobody is named.
    pub vouched: bool,
}

impl Subject {
    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Environment(object) => &object.metadata,
            Self::Lifecycle(object) => &object.metadata,
            Self::Project(object) => &object.metadata,
            Self::Freeze(object) => &object.metadata,
            Self::Release(object) => &object.metadata,
            Self::Promotion(object) => &object.metadata,
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Environment(_) => Environment::kind(&()),
            Self::Lifecycle(_) => Lifecycle::kind(&()),
            Self::Project(_) => Project::kind(&()),
            Self::Freeze(_) => Freeze::kind(&()),
            Self::Release(_) => Release::kind(&()),
            Self::Promotion(_) => Promotion::kind(&()),
        }
        .into_owned()
    }

    /// The beginning of the names of its records: those of one object in one life.
    #[must_use]
    pub fn stem(&self) -> String {
        let what = match self {
            Self::Environment(_) | Self::Lifecycle(_) | Self::Freeze(_) | Self::Project(_) => "change",
            Self::Release(_) => "block",
            Self::Promotion(_) => "override",
        };
        format!("{what}-{}", self.meta().uid.as_deref().unwrap_or_default())
    }

    /// Which record its state is worth; nothing where there is nothing to tell: a release that never was blocked, or is not when it
    /// is deleted, and an object that is on its way out, of which the end is told.
    #[must_use]
    pub fn state(&self, gone: bool) -> Option<State> {
        let meta = self.meta();
        let generation = meta.generation.unwrap_or(1);
        match self {
            // A block goes with its release.
            Self::Release(release) if gone => release.spec.blocked.is_some().then_some(State::Deleted),
            Self::Release(release) => {
                // Everything else of its spec never changes.
                let told = generation > 1 || release.spec.blocked.is_some();
                (told && meta.deletion_timestamp.is_none()).then_some(State::Generation(generation))
            }
            // What it overrides never changes.
            Self::Promotion(promotion) => {
                (promotion.spec.freeze_override.is_some() && !gone).then_some(State::Generation(1))
            }
            Self::Environment(_) | Self::Lifecycle(_) | Self::Freeze(_) | Self::Project(_) if gone => {
                Some(State::Deleted)
            }
            // A deletion is a generation, too.
            Self::Environment(_) | Self::Lifecycle(_) | Self::Freeze(_) | Self::Project(_) => {
                meta.deletion_timestamp.is_none().then_some(State::Generation(generation))
            }
        }
    }

    /// Whether the API server can have written its author. Who asked for a promotion is written when it is made; of everything else
    /// only whoever saw the change knows.
    #[must_use]
    pub fn is_vouched(&self, guard: &Guard, seen: bool) -> bool {
        match self {
            Self::Promotion(promotion) => is_vouched(guard, promotion.as_ref()),
            Self::Environment(_) | Self::Lifecycle(_) | Self::Freeze(_) | Self::Project(_) | Self::Release(_) => seen,
        }
    }

    fn author(&self) -> Option<Person> {
        match self {
            Self::Environment(object) => object.spec.changed_by.clone(),
            Self::Lifecycle(object) => object.spec.changed_by.clone(),
            Self::Project(object) => object.spec.changed_by.clone(),
            Self::Freeze(object) => object.spec.changed_by.clone(),
            Self::Release(object) => object.spec.changed_by.clone(),
            Self::Promotion(object) => object.spec.requested_by.clone(),
        }
    }

    /// Its spec as canonical JSON, without who changed it.
    fn said(&self) -> String {
        match self {
            Self::Environment(object) => canonical(&object.spec),
            Self::Lifecycle(object) => canonical(&object.spec),
            Self::Project(object) => canonical(&object.spec),
            Self::Freeze(object) => canonical(&object.spec),
            Self::Release(object) => canonical(&object.spec),
            Self::Promotion(object) => canonical(&object.spec),
        }
    }
}

fn canonical(spec: &impl Serialize) -> String {
    // Plain JSON values can always be written.
    let mut spec = serde_json::to_value(spec).unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        fields.remove("changedBy");
    }
    serde_json_canonicalizer::to_string(&spec).unwrap_or_default()
}

impl State {
    /// The state that the name of a record is of, and the stem of that name; nothing for a record of another kind.
    #[must_use]
    pub fn of_record(name: &str) -> Option<(&str, Self)> {
        let (stem, end) = name.rsplit_once('-')?;
        if !["change-", "block-", "override-"].iter().any(|beginning| stem.starts_with(beginning)) {
            return None;
        }
        if end == DELETED {
            return Some((stem, Self::Deleted));
        }
        Some((stem, Self::Generation(end.parse().ok()?)))
    }

    /// The name of its record.
    #[must_use]
    pub fn record(&self, stem: &str) -> String {
        match self {
            Self::Generation(generation) => format!("{stem}-{generation}"),
            Self::Deleted => format!("{stem}-{DELETED}"),
        }
    }
}

/// The record of what was seen; `known` is the newest generation that is recorded.
#[must_use]
pub fn record(sighting: &Sighting, known: Option<i64>) -> AuditRecord {
    let Sighting { subject, state, at, vouched } = sighting;
    let meta = subject.meta();
    let name = meta.name.clone().unwrap_or_default();
    let next = known.unwrap_or(0).saturating_add(1);
    let (generation, missed_since) = match state {
        State::Generation(generation) => (Some(*generation), (next < *generation).then_some(next)),
        State::Deleted => (None, None),
    };
    let author = subject.author().filter(|_| *vouched && *state != State::Deleted);
    let mut spec = AuditRecordSpec {
        by: author,
        at: Some(MicroTime(*at)),
        object: Some(AuditObject {
            kind: subject.kind(),
            name: name.clone(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation,
        }),
        ..AuditRecordSpec::default()
    };
    match subject {
        Subject::Release(release) => {
            spec.kind = Some(AuditKind::Block);
            spec.project = Some(release.spec.project.clone());
            spec.block = Some(match state {
                State::Deleted => unblocked(block(release), &deleted(spec.object.as_ref(), meta, *at)),
                // A release is made unblocked, which is nothing to tell.
                State::Generation(generation) => BlockPart {
                    missed_since: missed_since.filter(|since| known.is_some() || *since + 1 < *generation),
                    ..block(release)
                },
            });
        }
        Subject::Promotion(promotion) => {
            spec.kind = Some(AuditKind::Override);
            spec.project = Some(promotion.spec.project.clone());
            spec.environment = Some(promotion.spec.environment.clone());
            spec.overridden = Some(overridden(promotion));
        }
        Subject::Environment(_) | Subject::Lifecycle(_) | Subject::Freeze(_) | Subject::Project(_) => {
            spec.kind = Some(AuditKind::Change);
            match subject {
                Subject::Environment(_) => spec.environment = Some(name),
                Subject::Project(_) => spec.project = Some(name),
                Subject::Lifecycle(_) | Subject::Freeze(_) | Subject::Release(_) | Subject::Promotion(_) => {}
            }
            spec.change = Some(match state {
                State::Deleted => deleted(spec.object.as_ref(), meta, *at),
                State::Generation(_) => change(subject, state, missed_since),
            });
        }
    }
    AuditRecord {
        metadata: ObjectMeta {
            name: Some(state.record(&subject.stem())),
            namespace: meta.namespace.clone(),
            ..ObjectMeta::default()
        },
        spec,
    }
}

fn change(subject: &Subject, state: &State, missed_since: Option<i64>) -> ChangePart {
    let action = if *state == State::Generation(1) { "Created" } else { "Changed" };
    let said = subject.said();
    ChangePart {
        action: action.to_owned(),
        missed_since,
        digest: Some(sha256(&said)),
        spec: Some(cut(&said, SPEC)),
        ..ChangePart::default()
    }
}

/// Nobody is stamped when something is deleted, so this says who knows it, and by what it is found there.
fn deleted(object: Option<&AuditObject>, meta: &ObjectMeta, at: jiff::Timestamp) -> ChangePart {
    let witness = object.and_then(|object| {
        let (resource, AuditObject { name, uid, .. }) = (object.resource()?, object);
        let space = meta.namespace.as_deref().unwrap_or_default();
        Some(format!(
            "the API server's audit log says who deleted it: look for verb delete or deletecollection of {resource}.gantry.dev in namespace {space}, name {name}, uid {uid}, before {at}; gantry audit export --audit-log does"
        ))
    });
    let deleted_at = meta.deletion_timestamp.clone();
    ChangePart { action: "Deleted".to_owned(), witness, deleted_at, ..ChangePart::default() }
}

/// Which freezes a promotion is to pass, and why.
fn overridden(promotion: &Promotion) -> OverridePart {
    let given = promotion.spec.freeze_override.clone().unwrap_or_default();
    OverridePart { version: promotion.spec.version.clone(), freezes: given.names, reason: given.reason }
}

/// Whether a release is blocked, and why.
fn block(release: &Release) -> BlockPart {
    BlockPart {
        version: release.spec.version.clone(),
        blocked: release.spec.blocked.is_some(),
        reason: release.spec.blocked.as_ref().map(|block| block.reason.clone()),
        ..BlockPart::default()
    }
}

/// A block that went with its release.
fn unblocked(block: BlockPart, end: &ChangePart) -> BlockPart {
    let (witness, deleted_at) = (end.witness.clone(), end.deleted_at.clone());
    BlockPart { blocked: false, deleted: true, missed_since: None, witness, deleted_at, ..block }
}

/// The record that an object was deleted while nobody looked, made from the newest one that there is of it; nothing for a release
/// that was blocked no more.
#[must_use]
pub fn deleted_unseen(newest: &AuditRecord, stem: &str, at: jiff::Timestamp) -> Option<AuditRecord> {
    let spec = &newest.spec;
    if spec.block.as_ref().is_some_and(|block| !block.blocked) {
        return None;
    }
    let object = AuditObject { generation: None, ..spec.object.clone()? };
    let metadata = ObjectMeta {
        name: Some(State::Deleted.record(stem)),
        namespace: newest.metadata.namespace.clone(),
        ..ObjectMeta::default()
    };
    let end = deleted(Some(&object), &metadata, at);
    let block = spec.block.clone().map(|block| unblocked(block, &end));
    Some(AuditRecord {
        metadata,
        spec: AuditRecordSpec {
            kind: spec.kind,
            at: Some(MicroTime(at)),
            object: Some(object),
            project: spec.project.clone(),
            environment: spec.environment.clone(),
            change: block.is_none().then_some(end),
            block,
            ..AuditRecordSpec::default()
        },
    })
}

#[cfg(test)]
mod tests;
