//! What a package's pull Secret says now. Kept nowhere.

use k8s_openapi::api::core::v1::Secret;

use super::problem::Problem;
use super::read::read;
use crate::api::condition::Reason;
use crate::api::convert::ProjectPackage;
use crate::controllers::context::Context;
use crate::registry::Credentials;
use crate::registry::credentials::DOCKER_CONFIG_KEY;

/// The type of Secrets that hold credentials of registries.
const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// The credentials of a package, if it names a Secret.
///
/// # Errors
/// Why that Secret cannot be used.
pub async fn credentials(
    context: &Context,
    space: &str,
    package: &ProjectPackage,
) -> Result<Option<Credentials>, Problem> {
    let Some(name) = &package.pull_secret else { return Ok(None) };
    let unusable =
        |why: &str| Problem::new(Reason::PullSecretInvalid, format!("package {}: Secret {name} {why}", package.name));
    let secret: Option<Secret> = read(context, space, (name, "the pull Secret"))
        .await
        .map_err(|mut problems| problems.pop().unwrap_or_else(|| unusable("cannot be read")))?;
    let Some(secret) = secret else {
        return Err(unusable("does not exist in this space: create it, or correct the package's pullSecret"));
    };
    if secret.type_.as_deref() != Some(DOCKER_CONFIG_TYPE) {
        let message =
            format!("is not of type {DOCKER_CONFIG_TYPE}: make it with kubectl create secret docker-registry");
        return Err(unusable(&message));
    }
    let data = secret.data.unwrap_or_default();
    let config = data.get(DOCKER_CONFIG_KEY).map(|config| config.0.as_slice()).unwrap_or_default();
    let read = Credentials::from_dockerconfigjson(config, &package.repository.to_string());
    read.map(Some).map_err(|error| unusable(&format!("cannot be used: {error}")))
}
