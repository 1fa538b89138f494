//! Looks at everything that sealing needs: the project, its ConfigMaps and pull Secrets, and the registries. Reads only.
//!
//! A registry may take seconds, so this runs beside the reconciles; [`super::attempts`] keeps what it found.

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;

use super::manifests;
use super::packages;
use super::pinning::Pinning;
use super::problem::Problem;
use super::read::read;
use super::seal::{self, Seal};
use super::snapshot::{SnapshotApply, SnapshotManifest, SnapshotStep, SnapshotVariableSet};
use crate::api::condition::Reason;
use crate::api::convert;
use crate::api::v1alpha1::project::{Apply, RunOn, Step};
use crate::api::v1alpha1::release::{ResolvedPackage, SealedSecret};
use crate::api::v1alpha1::variable::SecretFrom;
use crate::api::v1alpha1::{Project, Release, VariableSet};
use crate::api::variables;
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::controllers::secret_versions::Seen;
use crate::domain::step;

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
        let project: Project = read(self.context, self.space, (name, "the project")).await?.ok_or_else(|| {
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
        let channels = convert::channels(&project.spec).map_err(invalid)?;
        let channel = channels.of(self.release.spec.channel.as_deref());
        let channel = channel.map_err(|unknown| vec![Problem::new(Reason::ChannelNotFound, unknown.to_string())])?;
        let (chosen, mut problems) = packages::choose((name, known), &versions, channel);
        let pinning = Pinning { context: self.context, space: self.space, channel };
        let (steps, sets, pinned) = futures::join!(
            join_all(project.spec.process.iter().map(|step| self.step(step))),
            join_all(project.spec.variable_sets.iter().map(|set| self.variable_set(set))),
            join_all(chosen.iter().map(|chosen| pinning.pin(chosen))),
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
        let channel = channel.map(|channel| channel.name.to_string());
        let mut seal = seal::seal(&project, (steps, sets), (channel, pinned)).map_err(|problem| vec![problem])?;
        join_all(seal.secrets.iter_mut().map(|secret| self.secret(secret))).await;
        Ok(seal)
    }

    /// The version of a Secret now, if it may be read and is there. Those of targets are never read.
    async fn secret(&self, secret: &mut SealedSecret) {
        if secret.from == SecretFrom::Target {
            return;
        }
        let (versions, key) = (&self.context.secret_versions, Key::new(self.space, &secret.name));
        versions.look(&self.context.cluster.client(), key.clone()).await;
        secret.resource_version = match versions.known(&key).map(|sighting| sighting.seen) {
            Some(Seen::There(version)) => Some(version),
            Some(Seen::Missing | Seen::Unreadable) | None => None,
        };
    }

    /// A variable set as it is now.
    async fn variable_set(&self, name: &str) -> Result<SnapshotVariableSet, Vec<Problem>> {
        let set: VariableSet = read(self.context, self.space, (name, "the VariableSet")).await?.ok_or_else(|| {
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
    fn check(&self, written: &Step, step: &SnapshotStep, pinned: &[ResolvedPackage]) -> Vec<Problem> {
        let pinned: Vec<_> = pinned.iter().map(ResolvedPackage::pinned).collect();
        let found = manifests::check(step, &self.release.spec, &pinned);
        let inline = written.apply.as_ref().is_some_and(|apply| apply.manifests.is_some());
        if inline { found.into_iter().map(Problem::watched).collect() } else { found }
    }

    /// The step with its manifests.
    async fn step(&self, step: &Step) -> Result<SnapshotStep, Vec<Problem>> {
        let apply = step.apply.clone().unwrap_or_default();
        let manifests = self.manifests(&step.name, &apply).await?;
        let apply = SnapshotApply { manifests, force_conflicts: apply.force_conflicts };
        Ok(SnapshotStep {
            name: step.name.clone(),
            timeout: step.timeout.clone(),
            environments: step.environments.clone(),
            channels: step.channels.clone(),
            roles: step.roles.clone(),
            when: step.when.clone(),
            run_on: (step.run_on != RunOn::Success).then(|| step::RunOn::from(step.run_on).as_str().to_owned()),
            retries: (step.retries > 0).then_some(step.retries),
            apply,
        })
    }

    async fn manifests(&self, step: &str, apply: &Apply) -> Result<Vec<SnapshotManifest>, Vec<Problem>> {
        let Some(from) = &apply.manifests_from else {
            return Ok(manifests::inline(apply.manifests.as_deref().unwrap_or_default()));
        };
        let name = &from.config_map;
        let config_map: ConfigMap = read(self.context, self.space, (name, "the ConfigMap")).await?.ok_or_else(|| {
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
