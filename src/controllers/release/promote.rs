//! Makes the promotions that a release gets by itself, each once.

use kube::Api;
use kube::api::PostParams;

use super::automatic::{self, Wanted};
use crate::api::v1alpha1::{Promotion, Release};
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::guard::vouched::is_vouched;

/// Makes a promotion; one that this release made before is left alone.
///
/// # Errors
/// When the API server does not take it, and when somebody else used its name: both are tried again, and told on the release.
pub async fn promote(context: &Context, release: &Release, wanted: &Wanted) -> Result<(), ClusterError> {
    let guard = context.guard.known();
    // It may have healed since the release was observed, when nobody knew.
    if guard.broken().is_some() || !is_vouched(&guard, release) {
        let why = guard.broken().unwrap_or("nobody vouches for who made the release").to_owned();
        return Err(ClusterError::Unguarded { why });
    }
    let Wanted { name, environment } = wanted;
    let space = release.metadata.namespace.as_deref().unwrap_or_default();
    let promotions: Api<Promotion> = Api::namespaced(context.cluster.client(), space);
    match promotions.create(&PostParams::default(), &automatic::promotion(release, wanted)).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(kube::Error::Api(status)) if status.code == 403 || status.code == 422 => {
            let what = format!(
                "the API server does not take the automatic promotion {name} to {environment}: {}",
                status.message
            );
            return Err(ClusterError::Refused { what });
        }
        Err(error) => {
            return Err(ClusterError::api(format!("make the automatic promotion {name} to {environment}"), error));
        }
    }
    let read = promotions.get_opt(name).await;
    let known = read.map_err(|error| ClusterError::api(format!("read promotion {name}"), error))?;
    match known {
        Some(known) if known.spec.cause == Some(automatic::cause(release)) => Ok(()),
        Some(_) => Err(ClusterError::Refused {
            what: format!(
                "promotion {name} exists and was not made for this release, so it is not promoted to {environment} automatically: promote it there yourself"
            ),
        }),
        None => Err(ClusterError::Busy { object: format!("promotion {name}") }),
    }
}
