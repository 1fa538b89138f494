//! Whether every object of a step would be taken: asked before the first one is applied. Changes nothing.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::Status;

use super::deployer::Deployer;
use super::live::Live;
use super::object::ObjectRef;
use super::ownership::{Ownership, Scope};
use super::pod_security;
use super::prepare::Prepared;
use super::problem::{Problem, ProblemReason, Problems};
use super::{refusal, unquoted};
use crate::cluster::discovery::Kind;
use crate::cluster::error::ClusterError;

/// How many objects of a step are asked about at once: the API server is shared.
const AT_ONCE: usize = 8;

/// On whose behalf, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For whom the step works, and where.
    pub scope: Scope,
    /// Whether fields that somebody else manages are taken over. Never another project's objects.
    pub force: bool,
}

/// An object that the API server would take, as things were.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The object to apply.
    pub prepared: Prepared,
    pub(super) kind: Kind,
    pub(super) live: Option<Live>,
    /// When it had been read.
    pub(super) read: Instant,
}

/// What is known of one object: that it would be taken, or everything that stands in the way.
type Verdict = Result<Checked, Vec<Problem>>;

/// Checks every object.
///
/// # Errors
/// The outer error: the API server could not be asked. The inner one: all problems of all objects.
pub async fn check(
    deployer: &Deployer,
    prepared: Vec<Prepared>,
    terms: &Terms,
) -> Result<Result<Vec<Checked>, Problems>, ClusterError> {
    let asked = stream::iter(prepared).map(|one| check_one(deployer, one, terms)).buffered(AT_ONCE);
    let verdicts: Vec<Verdict> = asked.try_collect().await?;
    let mut problems = Problems::default();
    let mut checked = Vec::with_capacity(verdicts.len());
    for verdict in verdicts {
        match verdict {
            Ok(one) => checked.push(one),
            Err(found) => problems.extend(found),
        }
    }
    Ok(problems.or(checked))
}

async fn check_one(deployer: &Deployer, prepared: Prepared, terms: &Terms) -> Result<Verdict, ClusterError> {
    let scope = &terms.scope;
    let object = prepared.object.clone();
    let kind = match deployer.discovery.kind(&object.gvk()).await? {
        Some(kind) if kind.namespaced => kind,
        Some(_) => return Ok(Err(vec![cluster_scoped(scope, &object)])),
        None => return Ok(Err(vec![unknown_kind(scope, &object)])),
    };
    let live = match deployer.live(&kind, &object).await {
        Ok(live) => live,
        Err(error) => return refused(scope, &object, error).map(Err),
    };
    let read = Instant::now();
    if let Some(problem) = live.as_ref().and_then(|live| owned_by_other(scope, &object, live)) {
        return Ok(Err(vec![problem]));
    }
    let mut problems = dry_run(deployer, &kind, (&prepared, terms)).await?;
    problems.extend(pod_security::check(deployer, &prepared, scope).await?);
    Ok(if problems.is_empty() { Ok(Checked { prepared, kind, live, read }) } else { Err(problems) })
}

/// What the API server would say to the apply. Conflicts of fields are looked at even if they are to be forced: those with
/// another project are never.
async fn dry_run(
    deployer: &Deployer,
    kind: &Kind,
    (prepared, terms): (&Prepared, &Terms),
) -> Result<Vec<Problem>, ClusterError> {
    let object = &prepared.object;
    let mut params = PatchParams {
        dry_run: true,
        field_manager: Some(terms.scope.applies_as()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    loop {
        let tried = deployer.api(kind).patch_metadata(&object.name, &params, &Patch::Apply(&prepared.body)).await;
        let Err(error) = tried else { return Ok(Vec::new()) };
        let error = unquoted::error(object, "try", error);
        let may_force = terms.force && !params.force && error.status().is_some_and(refusal::is_field_conflict);
        let problems = refused(&terms.scope, object, error)?;
        if !may_force || problems.iter().any(|problem| problem.reason != ProblemReason::Conflict) {
            return Ok(problems);
        }
        params.force = true;
    }
}

/// The problems that an error means; the error itself if it means none.
pub(super) fn refused(scope: &Scope, object: &ObjectRef, error: ClusterError) -> Result<Vec<Problem>, ClusterError> {
    let problems = error.status().map(|status: &Status| refusal::problems(scope, object, status)).unwrap_or_default();
    if problems.is_empty() { Err(error) } else { Ok(problems) }
}

/// Another project's object is refused, forced or not.
pub(super) fn owned_by_other(scope: &Scope, object: &ObjectRef, live: &Live) -> Option<Problem> {
    match scope.judge(Some(&live.labels)) {
        Ownership::Ours | Ownership::Nobody => None,
        Ownership::Other(owner) => {
            let message = format!("belongs to {owner}: give the object another name");
            Some(problem(scope, object, (ProblemReason::OwnedByOther, "", message)))
        }
    }
}

fn cluster_scoped(scope: &Scope, object: &ObjectRef) -> Problem {
    let message =
        format!("{} belongs to no namespace, and a release changes only its environment's: remove it", object.kind);
    problem(scope, object, (ProblemReason::ClusterScoped, "kind", message))
}

fn unknown_kind(scope: &Scope, object: &ObjectRef) -> Problem {
    let of = if object.group.is_empty() { String::new() } else { format!("{}/", object.group) };
    let message = format!(
        "the cluster has no kind {} in {of}{}: correct it, or install its definition",
        object.kind, object.version
    );
    problem(scope, object, (ProblemReason::UnknownKind, "kind", message))
}

fn problem(scope: &Scope, object: &ObjectRef, (reason, path, message): (ProblemReason, &str, String)) -> Problem {
    Problem {
        step: scope.step.clone(),
        targets: Vec::new(),
        object: object.to_string(),
        path: path.to_owned(),
        reason,
        message,
    }
}
