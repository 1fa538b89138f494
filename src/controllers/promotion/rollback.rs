//! What follows a failure: the promotion that puts back what ran before. It is a promotion like any other, made once: its name
//! follows from the UID of the one that failed, whose status names it before it is made.

use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};

use super::observe::Observed;
use super::reads;
use super::recording::record;
use crate::api::v1alpha1::environment::OnFailure as OnFailureField;
use crate::api::v1alpha1::promotion::Cause;
use crate::api::v1alpha1::promotion_status::RollbackRecord;
use crate::api::v1alpha1::variable::GivenVariable;
use crate::api::v1alpha1::{AuditRecord, Promotion, PromotionSpec};
use crate::cluster::error::ClusterError;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::rollback::{Failed, Kept, LastSuccess, OnFailure, Rollback};

/// What a cause is called that is a promotion.
pub const KIND: &str = "Promotion";

/// What follows the failure of a promotion, from what was read live.
///
/// # Errors
/// When something cannot be read.
pub async fn look(client: &Client, observed: &Observed) -> Result<Rollback, ClusterError> {
    let status = observed.promotion.status.as_ref();
    match status.and_then(|status| status.rollback.as_ref()) {
        Some(written) => made(client, &observed.promotion, written).await,
        None => wanted(client, observed).await,
    }
}

/// Makes it; one that was made before is left alone.
///
/// # Errors
/// When the API server does not take it, which is tried again and told on the promotion that failed.
pub async fn make(client: &Client, failed: &Promotion) -> Result<(), ClusterError> {
    let Some(written) = failed.status.as_ref().and_then(|status| status.rollback.as_ref()) else { return Ok(()) };
    let promotions = promotions(client, failed);
    let name = &written.promotion;
    let variables = variables(&promotions, failed, written).await?;
    match promotions.create(&PostParams::default(), &rollback(failed, written, variables)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 || status.code == 422 => Err(ClusterError::Refused {
            what: format!(
                "the API server does not take promotion {name}, which is to put {} back: {}",
                written.version, status.message
            ),
        }),
        Err(error) => {
            Err(ClusterError::api(format!("make promotion {name}, which puts {} back", written.version), error))
        }
    }
}

/// Whether a promotion puts back what ran before another one failed: that one's UID.
#[must_use]
pub fn rollback_of(promotion: &Promotion) -> Option<&str> {
    promotion.spec.cause.as_ref().filter(|cause| cause.kind == KIND).map(|cause| cause.uid.as_str())
}

/// The promotion as Gantry makes it. What the last success was given is given again, since it is to be as it was.
fn rollback(failed: &Promotion, written: &RollbackRecord, variables: Vec<GivenVariable>) -> Promotion {
    let failed_name = failed.metadata.name.as_deref().unwrap_or_default();
    let spec = PromotionSpec {
        project: failed.spec.project.clone(),
        version: written.version.clone(),
        environment: failed.spec.environment.clone(),
        reason: Some(format!("rollback of promotion {failed_name}, which failed")),
        variables,
        requested_by: failed.spec.requested_by.clone(),
        on_behalf_of: failed.spec.on_behalf_of.clone(),
        cause: Some(cause(failed)),
        ..PromotionSpec::default()
    };
    let mut promotion = Promotion::new(&written.promotion, spec);
    promotion.metadata.namespace.clone_from(&failed.metadata.namespace);
    promotion
}

fn cause(failed: &Promotion) -> Cause {
    Cause {
        kind: KIND.to_owned(),
        name: failed.metadata.name.clone().unwrap_or_default(),
        uid: failed.metadata.uid.clone().unwrap_or_default(),
        generation: None,
    }
}

/// The name: `checkout-1.4.1-production-1f2e3d4c`, in the form of everything that Gantry promotes by itself.
fn name(failed: &Promotion, version: &str) -> String {
    let digest = Sha256::digest(format!("{}/rollback", failed.metadata.uid.as_deref().unwrap_or_default()));
    let end = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{}-{version}-{}-{end:08x}", failed.spec.project, failed.spec.environment)
}

/// Whether there is to be one.
async fn wanted(client: &Client, observed: &Observed) -> Result<Rollback, ClusterError> {
    let promotion = &observed.promotion;
    let Some(environment) = &observed.environment else {
        let why = format!("environment {} cannot be read", promotion.spec.environment);
        return Ok(Rollback::Nothing { why: Some(why) });
    };
    let on_failure = match environment.spec.on_failure {
        OnFailureField::Hold => OnFailure::Hold,
        OnFailureField::Rollback => OnFailure::Rollback,
    };
    let last = match (&observed.current, on_failure) {
        (Some(current), OnFailure::Rollback) => {
            let now = reads::release_uid(client, promotion, &current.version).await?;
            let release = Kept::of(current.release_uid.as_deref(), now.as_deref());
            Some(LastSuccess { promotion: &current.promotion, version: &current.version, release })
        }
        (Some(_), OnFailure::Hold) | (None, _) => None,
    };
    let failed = Failed {
        on_failure,
        is_rollback: rollback_of(promotion).is_some(),
        partial: promotion.spec.is_partial(),
        promotion: name(promotion, last.map_or("", |last| last.version)),
        last,
    };
    Ok(failed.rollback())
}

/// What became of the one that the status names. Its record outlives it.
async fn made(client: &Client, failed: &Promotion, written: &RollbackRecord) -> Result<Rollback, ClusterError> {
    let RollbackRecord { promotion, version, again } = written.clone();
    let read = |error| ClusterError::api(format!("read promotion {promotion}"), error);
    let known = promotions(client, failed).get_opt(&promotion).await.map_err(read)?;
    let ended = match known {
        Some(known) => {
            let phase = if reads::has_finished(&known) { known.status.and_then(|status| status.phase) } else { None };
            Some((known.spec.cause, phase))
        }
        None => recorded(client, failed, &promotion).await?,
    };
    let Some((caused, ended)) = ended else { return Ok(Rollback::Wanted { promotion, version, again }) };
    if caused != Some(cause(failed)) {
        let why = format!("promotion {promotion} exists and was not made for that; promote a release that works");
        return Ok(Rollback::Nothing { why: Some(why) });
    }
    Ok(match ended.as_deref().and_then(Phase::parse) {
        Some(phase) => Rollback::Ended { promotion, version, phase },
        None => Rollback::Underway { promotion, version },
    })
}

/// Cause and end of a promotion that is gone.
async fn recorded(
    client: &Client,
    failed: &Promotion,
    promotion: &str,
) -> Result<Option<(Option<Cause>, Option<String>)>, ClusterError> {
    let space = failed.metadata.namespace.as_deref().unwrap_or_default();
    let records: Api<AuditRecord> = Api::namespaced(client.clone(), space);
    let read = |error| ClusterError::api(format!("read the record of promotion {promotion}"), error);
    let record = records.get_opt(&record::record_name(promotion)).await.map_err(read)?;
    let ended = record.and_then(|record| record.spec.ended);
    Ok(ended.map(|ended| (ended.cause, Some(ended.phase))))
}

/// What the last success was given, as long as its promotion is there.
async fn variables(
    promotions: &Api<Promotion>,
    failed: &Promotion,
    written: &RollbackRecord,
) -> Result<Vec<GivenVariable>, ClusterError> {
    let read = |error| ClusterError::api(format!("read promotion {}", written.again), error);
    let known = promotions.get_opt(&written.again).await.map_err(read)?;
    let same = |known: &Promotion| {
        let (mine, theirs) = (&failed.spec, &known.spec);
        (&mine.project, &mine.environment, &written.version) == (&theirs.project, &theirs.environment, &theirs.version)
    };
    Ok(known.filter(same).map(|known| known.spec.variables).unwrap_or_default())
}

fn promotions(client: &Client, failed: &Promotion) -> Api<Promotion> {
    Api::namespaced(client.clone(), failed.metadata.namespace.as_deref().unwrap_or_default())
}
