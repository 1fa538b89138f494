//! Which image a script runs: as the person wrote it, by the digest that its tag has now.

use k8s_openapi::api::core::v1::Secret;

use crate::api::condition::Reason;
use crate::api::v1alpha1::{CommandRun, Environment};
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::controllers::hosts::Question;
use crate::controllers::release::problem::Problem;
use crate::controllers::release::read::read;
use crate::domain::image::{ImageReference, Repository};
use crate::registry::Credentials;
use crate::registry::credentials::DOCKER_CONFIG_KEY;

/// Why an image has no digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpinned {
    /// Whether to ask again may help.
    pub heals: bool,
    /// One sentence.
    pub message: String,
}

impl Unpinned {
    fn for_good(why: impl std::fmt::Display) -> Self {
        Self { heals: false, message: format!("spec.script.image: {why}") }
    }
}

/// The image of a script by its digest.
///
/// # Errors
/// Why it has none.
pub async fn pin(
    context: &Context,
    command: &CommandRun,
    environment: Option<&Environment>,
) -> Result<String, Unpinned> {
    let written = command.spec.script.as_ref().map(|script| script.image.as_str()).unwrap_or_default();
    let mut image: ImageReference = written.parse().map_err(Unpinned::for_good)?;
    if image.digest.is_some() {
        return Ok(image.to_string());
    }
    let Some(tag) = &image.tag else {
        return Err(Unpinned::for_good("it has neither tag nor digest: add one"));
    };
    let space = command.metadata.namespace.as_deref().unwrap_or_default();
    let credentials = credentials((context, space), (command, environment), &image.repository).await?;
    let answer = context.registry.digest(&image.repository, tag, credentials.as_ref());
    let digest = context.hosts.ask(image.repository.registry(), Question::Digest, answer).await;
    let digest = digest
        .map_err(|error| Unpinned { heals: error.heals_by_itself(), message: format!("spec.script.image: {error}") })?;
    image.digest = Some(digest);
    Ok(image.to_string())
}

/// With what the registry is asked: the pull Secret of the project's package with that image, or that of the environment which has
/// an entry for it; otherwise with nothing.
async fn credentials(
    (context, space): (&Context, &str),
    (command, environment): (&CommandRun, Option<&Environment>),
    repository: &Repository,
) -> Result<Option<Credentials>, Unpinned> {
    let project = context.stores.projects.get(&Key::new(space, &command.spec.project));
    let packages = project.iter().flat_map(|project| &project.spec.packages);
    let of_package = packages
        .filter(|package| package.image.parse::<Repository>().is_ok_and(|known| known.same_as(repository)))
        .filter_map(|package| package.pull_secret.as_ref());
    let of_environment = environment.into_iter().flat_map(|known| &known.spec.pull_secrets);
    for name in of_package.chain(of_environment) {
        let secret: Option<Secret> =
            read(context, space, (name, "the pull Secret")).await.map_err(|problems| unread(name, problems))?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let config = data.get(DOCKER_CONFIG_KEY).map(|config| config.0.as_slice()).unwrap_or_default();
        if let Ok(found) = Credentials::from_dockerconfigjson(config, &repository.to_string()) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Why a pull Secret was not read, in words of ours.
fn unread(name: &str, problems: Vec<Problem>) -> Unpinned {
    match problems.into_iter().find(|problem| problem.reason == Reason::PullSecretInvalid) {
        Some(forbidden) => Unpinned::for_good(forbidden.message),
        None => {
            Unpinned { heals: true, message: format!("spec.script.image: the pull Secret {name} cannot be read now") }
        }
    }
}
