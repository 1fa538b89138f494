//! The secrets that a target may show: what is in the Secrets of the space that the release which runs there was made with. They are
//! read when a command has something to show, and kept nowhere.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use crate::api::v1alpha1::CommandRun;
use crate::api::v1alpha1::variable::SecretFrom;
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::domain::variable::SecretText;

/// The secrets that are known of the place of a command. Those that are not there, or that Gantry may not read, it cannot have
/// written anywhere.
///
/// # Errors
/// One could not be read now: then nobody knows what must not be shown.
pub async fn known(context: &Context, command: &CommandRun) -> Result<Vec<SecretText>, kube::Error> {
    let space = command.metadata.namespace.as_deref().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(context.cluster.client(), space);
    let mut known = Vec::new();
    for name in names(context, space, command) {
        let secret = match secrets.get_opt(&name).await {
            Ok(Some(secret)) => secret,
            Ok(None) => continue,
            Err(kube::Error::Api(status)) if status.code == 403 => continue,
            Err(error) => return Err(error),
        };
        let uid = secret.metadata.uid.unwrap_or_default();
        let texts = secret.data.unwrap_or_default().into_values().filter_map(|bytes| String::from_utf8(bytes.0).ok());
        known.extend(texts.map(|text| SecretText::new(text, &uid)));
    }
    Ok(known)
}

/// The Secrets of the space that the release was made with which runs where the command goes.
fn names(context: &Context, space: &str, command: &CommandRun) -> Vec<String> {
    let environment = context.stores.environments.get(&Key::new(space, &command.spec.environment));
    let rows = environment.iter().flat_map(|known| known.status.iter().flat_map(|status| &status.deployments));
    let releases = rows
        .filter(|row| row.project == command.spec.project)
        .filter_map(|row| context.stores.releases.get(&Key::new(space, &row.release)));
    releases
        .flat_map(|release| release.status.as_ref().map(|status| status.secrets.clone()).unwrap_or_default())
        .filter(|secret| secret.from == SecretFrom::Space)
        .map(|secret| secret.name)
        .collect()
}
