//! From what a release says of a package's version to the digest, asked of the registry.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::credentials::credentials;
use super::packages::{Choice, Chosen};
use super::problem::Problem;
use crate::api::condition::Reason;
use crate::api::convert::ProjectPackage;
use crate::api::v1alpha1::release::ResolvedPackage;
use crate::controllers::context::Context;
use crate::controllers::hosts::Question;
use crate::domain::channel::{self, Channel};
use crate::domain::image::{Digest, Tag};
use crate::registry::{Credentials, Listed, RegistryError};

/// What pins the packages of one release.
pub struct Pinning<'a> {
    /// What it is done with.
    pub context: &'a Context,
    /// The space of the release.
    pub space: &'a str,
    /// Its channel.
    pub channel: Option<&'a Channel>,
}

impl Pinning<'_> {
    /// The package by its digest.
    ///
    /// # Errors
    /// Why it has none.
    pub async fn pin(&self, chosen: &Chosen) -> Result<ResolvedPackage, Problem> {
        let package = &chosen.package;
        let (tag, digest, from) = match &chosen.version {
            Choice::Digest(digest, tag) => {
                return Ok(resolved(package, (tag.clone(), digest.to_string()), ("Digest", None)));
            }
            Choice::Tag(tag, place) => {
                let credentials = self.credentials(package).await?;
                let asked = self.digest(package, tag, credentials.as_ref()).await;
                let digest = asked.map_err(|error| Problem::registry(package, *place, &error))?;
                (tag.clone(), digest, "Version")
            }
            Choice::Highest => {
                let credentials = self.credentials(package).await?;
                let tag = self.highest(package, credentials.as_ref()).await?;
                let asked = self.digest(package, &tag, credentials.as_ref()).await;
                let digest = asked.map_err(|error| Problem::repository(package, &error))?;
                (tag, digest, "Highest")
            }
        };
        Ok(resolved(package, (Some(tag), digest.to_string()), (from, Some(Timestamp::now()))))
    }

    async fn digest(
        &self,
        package: &ProjectPackage,
        tag: &Tag,
        credentials: Option<&Credentials>,
    ) -> Result<Digest, RegistryError> {
        let digest = self.context.registry.digest(&package.repository, tag, credentials);
        self.context.hosts.ask(package.repository.registry(), Question::Digest, digest).await
    }

    /// The highest version that the channel takes.
    async fn highest(&self, package: &ProjectPackage, credentials: Option<&Credentials>) -> Result<Tag, Problem> {
        let name = &package.name;
        let tags = self.context.registry.tags(&package.repository, credentials, None);
        let listed = self.context.hosts.ask(package.repository.registry(), Question::Tags, tags).await;
        let tags = match listed.map_err(|error| Problem::repository(package, &error))? {
            Listed::Tags(list) => list.tags,
            // Only an answer to a question that named what is known; this one did not.
            Listed::Unchanged => Vec::new(),
        };
        let found = channel::highest(self.channel, name, &tags);
        let ambiguous = |error| {
            let message = format!("package {name} of {}: {error}", package.repository);
            Problem::new(Reason::AmbiguousVersion, message)
        };
        found.map_err(ambiguous)?.map(|highest| highest.tag).ok_or_else(|| {
            let message = format!(
                "package {name}: none of the {} tags of {} is {}: push one, or name a version in spec.packages",
                tags.len(),
                package.repository,
                channel::wanted(self.channel, name)
            );
            Problem::new(Reason::NoVersion, message)
        })
    }

    async fn credentials(&self, package: &ProjectPackage) -> Result<Option<Credentials>, Problem> {
        credentials(self.context, self.space, package).await
    }
}

fn resolved(
    package: &ProjectPackage,
    (tag, digest): (Option<Tag>, String),
    (from, at): (&str, Option<Timestamp>),
) -> ResolvedPackage {
    ResolvedPackage {
        name: package.name.to_string(),
        image: package.image.clone(),
        version: tag.map(|tag| tag.to_string()),
        digest,
        resolved_from: Some(from.to_owned()),
        resolved_at: at.map(MicroTime),
    }
}
