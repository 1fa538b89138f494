//! Carries out the changes that were decided.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Environments;
use super::desired::MANAGED_BY_LABEL;
use super::effect::{Effect, Identity, Object};
use super::observe::once_granted;
use super::observed::Observed;
use crate::api::v1alpha1::Environment;
use crate::api::{ENVIRONMENT_LABEL, PROVISIONED_FINALIZER};
use crate::cluster::error::ClusterError;
use crate::controllers::records;
use crate::steps::apply::unquoted;

/// The manager of every field that is applied here.
const MANAGER: &str = "gantry/environment";

impl Environments {
    /// Carries out one change.
    pub(super) async fn carry_out(&self, observed: &Observed, effect: &Effect) -> Result<(), ClusterError> {
        let client = self.context.cluster.client();
        match effect {
            Effect::Record(record) => records::keep(&self.context, record).await.map(drop),
            Effect::AddFinalizer => set_finalizers(&client, &observed.environment, true).await,
            Effect::RemoveFinalizer => set_finalizers(&client, &observed.environment, false).await,
            Effect::CreateNamespace(namespace) => create_namespace(&client, namespace).await,
            Effect::LabelNamespace(namespace) => {
                let name = namespace.metadata.name.as_deref().unwrap_or_default();
                applied(&Api::all(client), name, namespace.as_ref()).await
            }
            Effect::ReleaseNamespace(namespace) => release_namespace(&client, namespace).await,
            Effect::DeleteNamespace(identity) => remove(&Api::<Namespace>::all(client), identity).await,
            Effect::Apply(object) => apply(&client, object).await,
            Effect::Replace(object, identity) => {
                tried(&client, object).await?;
                delete(&client, object, identity).await?;
                apply(&client, object).await
            }
            Effect::Remove(object, identity) => delete(&client, object, identity).await,
            Effect::RemoveBinding(identity) => {
                remove(&Api::<RoleBinding>::namespaced(client, &identity.namespace), identity).await
            }
            Effect::RemoveCopy(identity) => {
                let api = Api::<Secret>::namespaced(client, &identity.namespace);
                once_granted(|| remove(&api, identity)).await
            }
        }
    }
}

async fn apply(client: &Client, object: &Object) -> Result<(), ClusterError> {
    match object {
        Object::Account(account) => applied_inside::<ServiceAccount>(client, account).await,
        Object::Binding(binding) => apply_binding(client, binding).await,
        Object::Secret(secret) => once_granted(|| applied_inside::<Secret>(client, secret)).await,
        Object::Isolation(policy) => applied_inside::<NetworkPolicy>(client, policy).await,
        Object::Quota(quota) => applied_inside::<ResourceQuota>(client, quota).await,
        Object::Limits(limits) => applied_inside::<LimitRange>(client, limits).await,
    }
}

/// A binding that somebody made since it was looked at may bind another role, which can only be changed by making it anew.
async fn apply_binding(client: &Client, binding: &RoleBinding) -> Result<(), ClusterError> {
    match applied_inside::<RoleBinding>(client, binding).await {
        Err(error) if error.status().is_some_and(|status| status.code == 422) => {
            let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
            let name = binding.metadata.name.as_deref().unwrap_or_default();
            let api = Api::<RoleBinding>::namespaced(client.clone(), namespace);
            let found = api.get_opt(name).await.map_err(|error| ClusterError::api(format!("read {name}"), error))?;
            match found {
                Some(found) if found.role_ref.name != binding.role_ref.name => {
                    remove(&api, &Identity::of(&found)).await?;
                    applied_inside::<RoleBinding>(client, binding).await
                }
                Some(_) | None => Err(error),
            }
        }
        result => result,
    }
}

/// Whether the API server would let Gantry give a right, asked before the one that is there goes. That a role cannot be changed
/// is known.
async fn tried(client: &Client, object: &Object) -> Result<(), ClusterError> {
    let Object::Binding(binding) = object else { return Ok(()) };
    let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let parameters = PatchParams::apply(MANAGER).force().dry_run();
    let api = Api::<RoleBinding>::namespaced(client.clone(), namespace);
    match api.patch(name, &parameters, &Patch::Apply(binding.as_ref())).await {
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(()),
        result => result.map(drop).map_err(|error| ClusterError::api(format!("apply {object}"), error)),
    }
}

async fn delete(client: &Client, object: &Object, identity: &Identity) -> Result<(), ClusterError> {
    let (client, namespace) = (client.clone(), identity.namespace.as_str());
    match object {
        Object::Account(_) => remove(&Api::<ServiceAccount>::namespaced(client, namespace), identity).await,
        Object::Binding(_) => remove(&Api::<RoleBinding>::namespaced(client, namespace), identity).await,
        Object::Secret(_) => {
            let api = Api::<Secret>::namespaced(client, namespace);
            once_granted(|| remove(&api, identity)).await
        }
        Object::Isolation(_) => remove(&Api::<NetworkPolicy>::namespaced(client, namespace), identity).await,
        Object::Quota(_) => remove(&Api::<ResourceQuota>::namespaced(client, namespace), identity).await,
        Object::Limits(_) => remove(&Api::<LimitRange>::namespaced(client, namespace), identity).await,
    }
}

async fn applied_inside<K>(client: &Client, object: &K) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.meta().namespace.as_deref(), object.meta().name.as_deref());
    let api = Api::<K>::namespaced(client.clone(), namespace.unwrap_or_default());
    applied(&api, name.unwrap_or_default(), object).await
}

async fn applied<K>(api: &Api<K>, name: &str, object: &K) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let parameters = PatchParams::apply(MANAGER).force();
    let written = api.patch(name, &parameters, &Patch::Apply(object)).await;
    written.map(drop).map_err(|error| failed::<K>(format!("apply {}", title(object, name)), error))
}

/// A namespace that appeared meanwhile is judged by the next run.
async fn create_namespace(client: &Client, namespace: &Namespace) -> Result<(), ClusterError> {
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match Api::<Namespace>::all(client.clone()).create(&parameters, namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        Err(error) => {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            Err(ClusterError::api(format!("create namespace {name}"), error))
        }
    }
}

async fn release_namespace(client: &Client, namespace: &Namespace) -> Result<(), ClusterError> {
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let (uid, version) = (&namespace.metadata.uid, &namespace.metadata.resource_version);
    let marks: Value =
        [ENVIRONMENT_LABEL, MANAGED_BY_LABEL].iter().map(|mark| ((*mark).to_owned(), Value::Null)).collect();
    let patch = json!({"metadata": {"uid": uid, "resourceVersion": version, "labels": marks}});
    let action = format!("release namespace {name}");
    gone_is_done::<Namespace>(patched(&Api::<Namespace>::all(client.clone()), name, &patch).await, action)
}

async fn set_finalizers(client: &Client, environment: &Environment, wanted: bool) -> Result<(), ClusterError> {
    let meta = &environment.metadata;
    let (space, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let others = meta.finalizers.iter().flatten().filter(|finalizer| *finalizer != PROVISIONED_FINALIZER);
    let finalizers: Vec<&str> = others.map(String::as_str).chain(wanted.then_some(PROVISIONED_FINALIZER)).collect();
    let patch = json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "finalizers": finalizers,
    }});
    let api = Api::<Environment>::namespaced(client.clone(), space);
    gone_is_done::<Environment>(patched(&api, name, &patch).await, format!("set the finalizers of environment {name}"))
}

async fn patched<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<(), kube::Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(name, &parameters, &Patch::Merge(patch)).await.map(drop)
}

/// Deletes one object and no other of the same name.
async fn remove<K>(api: &Api<K>, identity: &Identity) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let only = Preconditions { uid: identity.uid.clone(), ..Preconditions::default() };
    let deleted = api.delete(&identity.name, &DeleteParams::background().preconditions(only)).await.map(drop);
    let place = if identity.namespace.is_empty() { String::new() } else { format!("{}/", identity.namespace) };
    gone_is_done::<K>(deleted, format!("remove {} {place}{}", K::kind(&()), identity.name))
}

fn gone_is_done<K: Resource<DynamicType = ()>>(
    written: Result<(), kube::Error>,
    action: String,
) -> Result<(), ClusterError> {
    match written {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map_err(|error| failed::<K>(action, error)),
    }
}

/// What is said of a refused change; policies and webhooks of others may quote a Secret that they refuse.
fn failed<K: Resource<DynamicType = ()>>(action: String, error: kube::Error) -> ClusterError {
    if K::kind(&()) == Secret::kind(&()) {
        unquoted::of_secret(action, error)
    } else {
        ClusterError::api(action, error)
    }
}

fn title<K: Resource<DynamicType = ()>>(object: &K, name: &str) -> String {
    match &object.meta().namespace {
        Some(namespace) => format!("{} {namespace}/{name}", K::kind(&())),
        None => format!("{} {name}", K::kind(&())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_about_a_copy_of_a_pull_secret_is_not_repeated() {
        let refused = || {
            let said = json!({"code": 403, "message": "secrets \"ghcr\" is forbidden: ValidatingAdmissionPolicy 'strict' with binding 'all' denied request: no hunter2"});
            kube::Error::Api(serde_json::from_value(said).unwrap())
        };
        let written = failed::<Secret>("apply Secret shop-dev/ghcr".to_owned(), refused());
        let removed = gone_is_done::<Secret>(Err(refused()), "remove Secret shop-dev/ghcr".to_owned()).unwrap_err();
        for error in [written, removed] {
            assert!(error.is_forbidden());
            let told = format!("{error} {error:?}");
            assert!(told.contains("'strict'") && told.contains("the reason is not shown"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let other = failed::<ServiceAccount>("apply ServiceAccount shop-dev/default".to_owned(), refused());
        assert!(format!("{other:?}").contains("hunter2"), "other kinds hold none");
    }
}
