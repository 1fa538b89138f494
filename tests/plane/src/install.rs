//! Installs Gantry from a checkout as its README says, without the operator's Deployment: it is a process of whoever asks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::manifests::{self, ManifestError};

/// How long definitions may take to be served and policies to act, on two slow cores.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often a forged request is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// Whom the forged request claims to be from.
const NOBODY: &str = "nobody";
/// What is installed, in this order. `deploy/operator.yaml` is left out.
const INSTALLED: [&str; 4] = ["deploy/crds", "deploy/namespace.yaml", "deploy/rbac.yaml", "deploy/policies.yaml"];

/// Why Gantry could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The checkout has no such file or folder.
    #[error("{}: {source}", path.display())]
    Checkout {
        /// Which.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A manifest could not be applied.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The API server does not serve a definition, or its policies do not act.
    #[error("{what} within {} s", PATIENCE.as_secs())]
    NotInTime {
        /// What did not happen: `the admission policies did not act`.
        what: String,
    },
}

/// The commands that do the same.
#[must_use]
pub fn commands() -> [String; 2] {
    let [definitions, others @ ..] = INSTALLED;
    let apply = |files: &[&str]| format!("kubectl apply --server-side -f {}", files.join(" -f "));
    [apply(&[definitions]), apply(&others)]
}

/// Installs what `deploy/` of the checkout holds, and waits until the API server acts on it. Gives back who a forged request is
/// stamped with: the client itself.
///
/// # Errors
/// The first thing that cannot be read, applied, or does not act in time.
pub async fn install(client: &Client, manager: &str, checkout: &Path) -> Result<String, InstallError> {
    for place in INSTALLED {
        for text in yaml_files(&checkout.join(place))? {
            for applied in manifests::apply(client, manager, &text).await? {
                if applied.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition") {
                    established(client, &applied.name_any()).await?;
                }
            }
        }
    }
    policies_act(client).await
}

/// Waits until the API server serves a definition.
pub(crate) async fn established(client: &Client, name: &str) -> Result<(), InstallError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let served = await_condition(definitions, name, is_crd_established());
    match tokio::time::timeout(PATIENCE, served).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(InstallError::NotInTime { what: format!("definition {name} was not served") }),
    }
}

/// Waits until Gantry's policies act, which takes seconds: tries until a forged promotion comes back stamped (a dry run, nothing
/// is stored). Gives back who it is stamped with.
///
/// # Errors
/// They do not act in time.
pub async fn policies_act(client: &Client) -> Result<String, InstallError> {
    let (group, version) = ("gantry.dev".to_owned(), "v1alpha1".to_owned());
    let api_version = format!("{group}/{version}");
    let resource =
        ApiResource { group, version, api_version, kind: "Promotion".to_owned(), plural: "promotions".to_owned() };
    let mut forged = DynamicObject::new("forged", &resource);
    forged.data = json!({"spec": {
        "project": "x", "version": "1", "environment": "y", "requestedBy": {"username": NOBODY},
    }});
    let promotions: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let stamped = promotions.create(&dry, &forged).await.ok().filter(|made| made.metadata.finalizers.is_some());
        let by = stamped.and_then(|made| made.data.pointer("/spec/requestedBy/username").cloned());
        if let Some(Value::String(by)) = by.filter(|by| by != NOBODY) {
            return Ok(by);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(InstallError::NotInTime { what: "the admission policies did not act".to_owned() })
}

/// A file, or the YAML files of a folder by name.
fn yaml_files(place: &Path) -> Result<Vec<String>, InstallError> {
    let at = |path: &Path, source| InstallError::Checkout { path: path.to_owned(), source };
    let mut paths = vec![place.to_owned()];
    if place.is_dir() {
        let entries = std::fs::read_dir(place).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
        paths = entries.map_err(|error| at(place, error))?.into_iter().map(|entry| entry.path()).filter(yaml).collect();
        paths.sort();
    }
    paths.iter().map(|path| std::fs::read_to_string(path).map_err(|error| at(path, error))).collect()
}
