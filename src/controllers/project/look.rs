//! Asks the registries of one trigger which tags there are. Reads only.

use std::collections::BTreeMap;

use super::looks::{ETags, Heard};
use crate::api::condition::Reason;
use crate::api::convert::{self, ProjectPackage};
use crate::api::v1alpha1::Project;
use crate::controllers::context::Context;
use crate::controllers::hosts::Question;
use crate::controllers::release::credentials::credentials;
use crate::controllers::release::problem::Problem;
use crate::domain::image::Tag;
use crate::domain::name::{ChannelName, PackageName};
use crate::domain::trigger::{self, Trigger, Unmakeable};
use crate::registry::{self, Listed};

/// What is asked for one trigger.
pub struct Asking<'a> {
    /// What it is asked with.
    pub context: &'a Context,
    /// The project.
    pub project: &'a Project,
    /// Its trigger.
    pub trigger: &'a Trigger,
}

impl Asking<'_> {
    /// One round of questions, on the condition that lists changed since these ETags.
    pub async fn run(&self, known: &ETags) -> Heard {
        match self.ask(known).await {
            Ok(heard) => heard,
            Err(problems) => Heard::Problems(problems),
        }
    }

    async fn ask(&self, known: &ETags) -> Result<Heard, Vec<Problem>> {
        let invalid = |wrong: Vec<_>| wrong.iter().map(Problem::invalid).collect::<Vec<_>>();
        let all = convert::project_packages(&self.project.spec.packages).map_err(invalid)?;
        let channels = convert::channels(&self.project.spec).map_err(invalid)?;
        let channel = channels.of(self.trigger.channel.as_ref().map(ChannelName::as_str));
        let channel = channel.map_err(|unknown| vec![Problem::new(Reason::ChannelNotFound, unknown.to_string())])?;
        let watched = || all.iter().filter(|package| self.trigger.packages.contains(&package.name));
        let (mut tags, mut etags, mut unchanged) = (BTreeMap::new(), ETags::new(), Vec::new());
        for package in watched() {
            match self.list(package, known.get(&package.name)).await? {
                Listed::Unchanged => unchanged.push(package),
                Listed::Tags(list) => keep(package, list, (&mut tags, &mut etags)),
            }
        }
        if tags.is_empty() {
            return Ok(Heard::Unchanged);
        }
        // Lists are not kept, they may be long; beside one that changed, the others are read again.
        for package in unchanged {
            if let Listed::Tags(list) = self.list(package, None).await? {
                keep(package, list, (&mut tags, &mut etags));
            }
        }
        let candidate = trigger::candidate(self.trigger, channel, &tags).map_err(|error| vec![unmakeable(&error)])?;
        Ok(Heard::Tags(candidate, etags))
    }

    /// The tags of a package, asked when nobody else asks its host.
    async fn list(&self, package: &ProjectPackage, etags: Option<&registry::ETags>) -> Result<Listed, Vec<Problem>> {
        let space = self.project.metadata.namespace.as_deref().unwrap_or_default();
        let credentials = credentials(self.context, space, package).await.map_err(|problem| vec![problem])?;
        let tags = self.context.registry.tags(&package.repository, credentials.as_ref(), etags);
        let listed = self.context.hosts.ask(package.repository.registry(), Question::Tags, tags).await;
        listed.map_err(|error| vec![Problem::repository(package, &error)])
    }
}

fn keep(
    package: &ProjectPackage,
    list: registry::TagList,
    (tags, etags): (&mut BTreeMap<PackageName, Vec<Tag>>, &mut ETags),
) {
    etags.extend(list.etags.map(|known| (package.name.clone(), known)));
    tags.insert(package.name.clone(), list.tags);
}

fn unmakeable(error: &Unmakeable) -> Problem {
    let reason = match error {
        Unmakeable::Ambiguous { .. } => Reason::AmbiguousVersion,
        Unmakeable::Name { .. } | Unmakeable::Template(_) => Reason::Invalid,
    };
    Problem::new(reason, error.to_string())
}
