//! `gantry uninstall`: lets go of everything that would wait for Gantry when it is deleted, with the rights of whoever asks, and says
//! what may be deleted then. It deletes Gantry's admission policies, which keep people from doing the same, and nothing else.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::{connect, operator};
use crate::api::crds;
use crate::cluster::finalizer;
use crate::controllers::guard::policies::{MUTATING, VALIDATING};
use crate::settings::uninstall::UninstallArguments;

/// What all of Gantry's finalizers begin with.
const OURS: &str = "gantry.dev/";
/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// A policy that is deleted acts for a few seconds more: how often and how long it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
const TRIES: u32 = 120;

/// An object that is held by a finalizer of Gantry's.
struct Held {
    api: Api<DynamicObject>,
    object: DynamicObject,
    kind: String,
}

/// Does what was asked, and says it to standard output.
///
/// # Errors
/// When the operator runs, when it is not allowed, and when something does not let go.
pub async fn run(arguments: UninstallArguments) -> Result<(), Box<dyn Error>> {
    let (client, _) = connect(arguments.kubeconfig.as_deref()).await?;
    if let Some(running) = running(&client, &arguments.operator_namespace).await?
        && !arguments.while_running
    {
        return Err(running.into());
    }
    let held = held(&client).await?;
    println!("{}", plan(&held));
    if !arguments.yes {
        println!("Nothing was done; give --yes to do it.");
        return Ok(());
    }
    // First of all: they keep everybody but the operator from letting go.
    remove_policies(&client).await?;
    for one in held {
        release(one).await?;
    }
    println!("{}", farewell(&arguments.operator_namespace));
    Ok(())
}

/// Why it is too early, if the operator still runs.
async fn running(client: &Client, namespace: &str) -> Result<Option<String>, kube::Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let lease = leases.get_opt(operator::LEASE).await?;
    Ok(lease.and_then(|lease| still_led(&lease, Timestamp::now())).map(|holder| {
        format!(
            "the operator still runs ({holder} holds Lease {}): stop it first (kubectl scale deployment gantry -n {namespace} \
             --replicas=0), or give --while-running",
            operator::LEASE
        )
    }))
}

/// Who leads, as a Lease says; nobody once it has expired or was given up.
fn still_led(lease: &Lease, now: Timestamp) -> Option<String> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty())?;
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(0)));
    let until = spec.renew_time.as_ref()?.0.checked_add(lasts).unwrap_or(Timestamp::MAX);
    (until > now).then_some(holder)
}

/// Everything that waits for Gantry: promotions for their record first, environments for their namespaces last.
async fn held(client: &Client) -> Result<Vec<Held>, kube::Error> {
    let mut found = Vec::new();
    for definition in crds::all() {
        let kind = definition.spec.names.kind;
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("gantry.dev", "v1alpha1", &kind),
            &definition.spec.names.plural,
        );
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in list(&all).await? {
            let finalizers = object.metadata.finalizers.iter().flatten();
            if finalizers.into_iter().any(|finalizer| finalizer.starts_with(OURS)) {
                let namespace = object.metadata.namespace.clone().unwrap_or_default();
                let api = Api::namespaced_with(client.clone(), &namespace, &resource);
                found.push(Held { api, object, kind: kind.clone() });
            }
        }
    }
    found.sort_by_key(|one| one.kind == "Environment");
    Ok(found)
}

/// A kind that is not there holds nothing.
async fn list(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>, kube::Error> {
    let (mut found, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let listed = match api.list(&page).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(found),
            listed => listed?,
        };
        found.extend(listed.items);
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn plan(held: &[Held]) -> String {
    let mut lines =
        vec!["Gantry's admission policies are deleted: then nobody is held to his rights any more.".to_owned()];
    lines.extend(held.iter().map(|one| {
        let meta = &one.object.metadata;
        let (space, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        format!("{} {space}/{name} waits for Gantry no more.", one.kind)
    }));
    lines.push("Namespaces, workloads and records stay as they are.".to_owned());
    lines.join("\n")
}

fn farewell(namespace: &str) -> String {
    format!(
        "Gantry holds nothing any more. What may be deleted now, in this order; export the records first (gantry audit export):\n\
         kubectl delete customresourcedefinitions $(kubectl get customresourcedefinitions -o name | grep gantry.dev | cut -d/ -f2)\n\
         kubectl delete clusterroles,clusterrolebindings -l app.kubernetes.io/name=gantry\n\
         kubectl delete namespace {namespace}"
    )
}

/// Bindings first: a policy without one does nothing.
async fn remove_policies(client: &Client) -> Result<(), kube::Error> {
    for name in VALIDATING {
        remove::<ValidatingAdmissionPolicyBinding>(client, name).await?;
    }
    for name in MUTATING {
        remove::<MutatingAdmissionPolicyBinding>(client, name).await?;
    }
    for name in VALIDATING {
        remove::<ValidatingAdmissionPolicy>(client, name).await?;
    }
    for name in MUTATING {
        remove::<MutatingAdmissionPolicy>(client, name).await?;
    }
    Ok(())
}

async fn remove<K>(client: &Client, name: &str) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        removed => removed.map(|_| ()),
    }
}

/// Takes Gantry's finalizers off until they stay off.
async fn release(held: Held) -> Result<(), Box<dyn Error>> {
    let Held { api, object, kind } = held;
    let name = object.metadata.name.clone().unwrap_or_default();
    let mut said = String::new();
    for _ in 0..TRIES {
        let Some(known) = api.get_opt(&name).await? else { return Ok(()) };
        let ours = known.metadata.finalizers.iter().flatten().find(|finalizer| finalizer.starts_with(OURS)).cloned();
        let Some(ours) = ours else { return Ok(()) };
        if let Err(error) = finalizer::remove(&api, &known, &ours).await {
            said = format!(": {error}");
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(format!("{kind} {name} does not let go of its finalizer{said}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lease(holder: &str, renewed: &str) -> Lease {
        serde_json::from_value(json!({"spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed,
        }}))
        .unwrap()
    }

    #[test]
    fn the_operator_runs_while_its_lease_lasts() {
        let now: Timestamp = "2026-01-01T00:00:20Z".parse().unwrap();
        let led = |holder, renewed| still_led(&lease(holder, renewed), now);
        assert_eq!(led("gantry-0", "2026-01-01T00:00:10.000000Z").as_deref(), Some("gantry-0"));
        assert_eq!(led("gantry-0", "2026-01-01T00:00:01.000000Z"), None, "it is long gone");
        assert_eq!(led("", "2026-01-01T00:00:19.000000Z"), None, "it was given up");
        assert_eq!(still_led(&Lease::default(), now), None);
    }
}
