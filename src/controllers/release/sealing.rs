//! Looks at everything that sealing needs: the project, its ConfigMaps and pull Secrets, and the registries. Reads only.
//!
//! A registry may take seconds, so this runs beside the reconciles; [`super::attempts`] keeps what it found.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::manifests;
use super::packages::{self, Chosen};
use super::problem::Problem;
use super::seal::{self, Seal};
use super::snapshot::{SnapshotApply, SnapshotManifest, SnapshotStep, SnapshotVariableSet};
use crate::api::condition::Reason;
use crate::api::convert;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::project::{Apply, Step};
use crate::api::v1alpha1::{Project, Release, VariableSet};
use crate::api::variables;
use crate::controllers::context::Context;
use crate::registry::Credentials;
use crate::registry::credentials::DOCKER_CONFIG_KEY;

/// The type of Secrets that hold credentials of registries.
const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// What is looked at for one release.
pub struct Sealing<'a> {
    /// What it is looked at with.
    pub context: &'a Context,
    /// The release.
    pub release: &'a Release,
    /// Its space.
    pub space: &'a str,
}

impl Sealing<'_> {
    /// Looks at everything.
    ///
    /// # Errors
    /// All problems that can be seen at once.
    pub async fn run(&self) -> Result<Seal, Vec<Problem>> {
        let name = &self.release.spec.project;
        let project: Project = self.read(name, "the project").await?.ok_or_else(|| {
            let message = format!("project {name} does not exist in this space: create it, or correct spec.project");
            vec![Problem::new(Reason::ProjectNotFound, message)]
        })?;
        let wrong = convert::validate(&project.spec);
        if !wrong.is_empty() {
            let said =
                wrong.iter().map(|one| Problem::new(Reason::Invalid, format!("project {name}: {one}")).watched());
            return Err(said.collect());
        }
        let invalid = |wrong: Vec<_>| wrong.iter().map(Problem::invalid).collect::<Vec<_>>();
        let known = convert::project_packages(&project.spec.packages).map_err(invalid)?;
        let versions = convert::release_packages(&self.release.spec.packages).map_err(invalid)?;
        let (chosen, mut problems) = packages::choose((name, known), &versions);
        let (steps, sets, pinned) = futures::join!(
            join_all(project.spec.process.iter().map(|step| self.step(step))),
            join_all(project.spec.variable_sets.iter().map(|set| self.variable_set(set))),
            join_all(chosen.iter().map(|chosen| self.pin(chosen))),
        );
        let steps = keep(steps, &mut problems);
        let sets = keep(sets, &mut problems);
        let pinned = keep(pinned.into_iter().map(|pin| pin.map_err(|problem| vec![problem])).collect(), &mut problems);
        if problems.is_empty() {
            let checked = project.spec.process.iter().zip(&steps);
            problems.extend(checked.flat_map(|(written, step)| self.check(written, step, &pinned)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        seal::seal(&project, (steps, sets), pinned).map_err(|problem| vec![problem])
    }

    /// A variable set as it is now.
    async fn variable_set(&self, name: &str) -> Result<SnapshotVariableSet, Vec<Problem>> {
        let set: VariableSet = self.read(name, "the VariableSet").await?.ok_or_else(|| {
            let message = format!(
                "VariableSet {name} does not exist in this space: create it, or correct the project's variableSets"
            );
            vec![Problem::new(Reason::VariableSetNotFound, message)]
        })?;
        let wrong = variables::validate(&set.spec.variables, &format!("VariableSet {name}: spec.variables"));
        if !wrong.is_empty() {
            return Err(wrong.iter().map(|one| Problem::new(Reason::Invalid, one.to_string())).collect());
        }
        Ok(SnapshotVariableSet { name: name.to_owned(), variables: set.spec.variables })
    }

    /// What the step would refuse everywhere.
    fn check(&self, written: &Step, step: &SnapshotStep, pinned: &[PinnedPackage]) -> Vec<Problem> {
        let found = manifests::check(step, &self.release.spec, pinned);
        let inline = written.apply.as_ref().is_some_and(|apply| apply.manifests.is_some());
        if inline { found.into_iter().map(Problem::watched).collect() } else { found }
    }

    /// The step with its manifests.
    async fn step(&self, step: &Step) -> Result<SnapshotStep, Vec<Problem>> {
        let apply = step.apply.clone().unwrap_or_default();
        let manifests = self.manifests(&step.name, &apply).await?;
        let apply = SnapshotApply { manifests, force_conflicts: apply.force_conflicts };
        Ok(SnapshotStep { name: step.name.clone(), timeout: step.timeout.clone(), apply })
    }

    async fn manifests(&self, step: &str, apply: &Apply) -> Result<Vec<SnapshotManifest>, Vec<Problem>> {
        let Some(from) = &apply.manifests_from else {
            return Ok(manifests::inline(apply.manifests.as_deref().unwrap_or_default()));
        };
        let name = &from.config_map;
        let config_map: ConfigMap = self.read(name, "the ConfigMap").await?.ok_or_else(|| {
            let message =
                format!("step {step}: ConfigMap {name} does not exist in this space: create it, or correct the project's manifestsFrom");
            vec![Problem::new(Reason::ManifestsNotFound, message)]
        })?;
        if config_map.binary_data.is_some_and(|data| !data.is_empty()) {
            let message = format!("step {step}: ConfigMap {name} has binaryData, which is no YAML: move it to data");
            return Err(vec![Problem::new(Reason::Invalid, message)]);
        }
        manifests::documents((step, name), &config_map.data.unwrap_or_default())
    }

    /// The package by its digest.
    async fn pin(&self, chosen: &Chosen) -> Result<PinnedPackage, Problem> {
        let Chosen { package, version, place } = chosen;
        let digest = match (&version.digest, &version.tag) {
            (Some(digest), _) => digest.clone(),
            (None, Some(tag)) => {
                let credentials = self.credentials(chosen).await?;
                let asked = self.context.registry.digest(&package.repository, tag, credentials.as_ref()).await;
                asked.map_err(|error| Problem::registry(chosen, &error))?
            }
            (None, None) => {
                let message = format!("spec.packages[{place}]: package {} needs a version or a digest", package.name);
                return Err(Problem::new(Reason::PackageVersionMissing, message));
            }
        };
        Ok(PinnedPackage {
            name: package.name.to_string(),
            image: package.image.clone(),
            version: version.tag.as_ref().map(ToString::to_string),
            digest: digest.to_string(),
        })
    }

    /// What the package's pull Secret says now. Kept nowhere.
    async fn credentials(&self, chosen: &Chosen) -> Result<Option<Credentials>, Problem> {
        let Some(name) = &chosen.package.pull_secret else { return Ok(None) };
        let package = &chosen.package.name;
        let unusable =
            |why: &str| Problem::new(Reason::PullSecretInvalid, format!("package {package}: Secret {name} {why}"));
        let secret: Option<Secret> = self
            .read(name, "the pull Secret")
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
        let data: BTreeMap<_, _> = secret.data.unwrap_or_default();
        let content = data.get(DOCKER_CONFIG_KEY).map(|content| content.0.as_slice()).unwrap_or_default();
        let read = Credentials::from_dockerconfigjson(content, &chosen.package.repository.to_string());
        read.map(Some).map_err(|error| unusable(&format!("cannot be used: {error}")))
    }

    /// One object of the space, read now.
    async fn read<K>(&self, name: &str, what: &str) -> Result<Option<K>, Vec<Problem>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.context.cluster.client(), self.space);
        api.get_opt(name).await.map_err(|error| {
            let forbidden = matches!(&error, kube::Error::Api(status) if status.code == 403);
            let Some(reason) = seal::unreadable(&K::kind(&())).filter(|_| forbidden) else {
                return vec![Problem::new(Reason::Failed, format!("cannot read {what} {name}: {error}"))];
            };
            let message = format!(
                "Gantry may not read {what} {name}: bind ClusterRole gantry-space to its ServiceAccount in space {}",
                self.space
            );
            vec![Problem::new(reason, message)]
        })
    }
}

/// What went well; what did not is added to the problems.
fn keep<T>(results: Vec<Result<T, Vec<Problem>>>, problems: &mut Vec<Problem>) -> Vec<T> {
    let mut kept = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(value) => kept.push(value),
            Err(wrong) => problems.extend(wrong),
        }
    }
    kept
}
