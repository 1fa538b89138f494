//! Objects of the space that sealing needs, read now and kept nowhere.

use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::api::condition::Reason;
use crate::controllers::context::Context;

/// One object by name; `what` is how a message calls it.
///
/// # Errors
/// When it may not or cannot be read now.
pub async fn read<K>(context: &Context, space: &str, (name, what): (&str, &str)) -> Result<Option<K>, Vec<Problem>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.cluster.client(), space);
    api.get_opt(name).await.map_err(|error| {
        let forbidden = matches!(&error, kube::Error::Api(status) if status.code == 403);
        let Some(reason) = unreadable(&K::kind(&())).filter(|_| forbidden) else {
            return vec![Problem::new(Reason::Failed, format!("cannot read {what} {name}: {error}"))];
        };
        let message = format!(
            "Gantry may not read {what} {name}: bind ClusterRole gantry-space to its ServiceAccount in space {space}"
        );
        vec![Problem::new(reason, message)]
    })
}

/// The reason to give when an object of this kind may not be read.
fn unreadable(kind: &str) -> Option<Reason> {
    match kind {
        "Secret" => Some(Reason::PullSecretInvalid),
        "ConfigMap" => Some(Reason::ManifestsNotFound),
        _ => None,
    }
}
