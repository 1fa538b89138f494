//! What becomes of the triggers of a project: releases to be made, and what to say. Pure.

use std::collections::BTreeMap;

use super::decide::Effect;
use super::looks::Known;
use super::observe::{Observed, Watched};
use crate::api::condition::{ConditionType, Fact, Reason};
use crate::api::v1alpha1::project::TriggerRow;
use crate::api::v1alpha1::release::{PackageVersion, ReleaseCause};
use crate::api::v1alpha1::{Release, ReleaseSpec};
use crate::controllers::decision::Next;
use crate::domain::name::ChannelName;
use crate::domain::trigger::{self, Candidate, Highest, Made, Trigger, Verdict};

/// Releases to be made, what to say, and when to look again.
#[derive(Debug, PartialEq)]
pub struct Triggered {
    /// Releases to be made.
    pub effects: Vec<Effect>,
    /// What to say; nothing as long as nothing is known.
    pub fact: Option<Fact<'static>>,
    /// What was released so far.
    pub rows: Vec<TriggerRow>,
    /// When a registry is to be asked.
    pub next: Next,
}

/// How many rows there is room for: those of the triggers that there are, and of others that may come back.
const MOST: usize = 32;

/// Decides.
#[must_use]
pub fn decide(observed: &Observed) -> Triggered {
    let status = observed.project.status.as_ref();
    let rows = status.map(|status| status.triggers.clone()).unwrap_or_default();
    let mut triggered = Triggered { effects: Vec::new(), fact: None, rows, next: Next::Await };
    let mut problems: Vec<(Reason, String)> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    let mut heard = false;
    for Watched { trigger, known, next } in &observed.triggers {
        triggered.next = triggered.next.sooner(next.map_or(Next::Await, Next::At));
        let Some(known) = known else { continue };
        heard = true;
        match told(observed, (trigger, known), &mut triggered) {
            Told::Nothing => {}
            Told::Note(note) => notes.push(format!("trigger {}: {note}", trigger.name)),
            Told::Problem(reason, message) => problems.push((reason, format!("trigger {}: {message}", trigger.name))),
        }
    }
    triggered.rows = bounded(observed, triggered.rows);
    triggered.fact = heard.then(|| fact(&problems, &notes));
    triggered
}

/// What is said of one trigger.
enum Told {
    Nothing,
    Note(String),
    Problem(Reason, String),
}

/// Judges one trigger: what is to be made and remembered is added to `triggered`.
fn told(observed: &Observed, (trigger, known): (&Trigger, &Known), triggered: &mut Triggered) -> Told {
    if let Some((reason, message)) = said(trigger, known) {
        return Told::Problem(reason, message);
    }
    let Some((candidate, seen)) = known.candidate.as_ref() else { return Told::Nothing };
    let highest = highest(&triggered.rows, trigger);
    match trigger::judge(trigger, candidate, (&observed.made, highest.as_ref()), *seen) {
        Verdict::Released => {
            remember(&mut triggered.rows, trigger, candidate);
            Told::Nothing
        }
        // Just made, and not in the cache yet.
        Verdict::Make if known.made.as_ref() == Some(&candidate.version) => {
            remember(&mut triggered.rows, trigger, candidate);
            Told::Nothing
        }
        Verdict::Make => {
            triggered.effects.push(Effect::MakeRelease(Box::new(release(observed, trigger, candidate))));
            Told::Nothing
        }
        Verdict::Older => Told::Note(format!(
            "version {} is older than a release that its channel has or had, so none is made of it; make one by hand if it is wanted",
            candidate.version
        )),
        Verdict::Gone => Told::Note(format!(
            "release {} was made once and somebody deleted it, so it is not made again; make it by hand if it is wanted",
            name(observed, candidate)
        )),
        Verdict::Settling { .. } => Told::Note(format!("version {} is released once it is quiet", candidate.version)),
        Verdict::Taken { why } => {
            let message = format!(
                "release {} is not what would be made now: {why}; push a newer version of {}, or make a release by hand",
                name(observed, candidate),
                trigger.version_of
            );
            Told::Problem(Reason::VersionTaken, message)
        }
    }
}

fn highest(rows: &[TriggerRow], trigger: &Trigger) -> Option<Highest> {
    let row = rows.iter().find(|row| row.name == trigger.name.as_str())?;
    Some(Highest { version: row.version.clone(), channel: row.channel.clone() })
}

/// Writes into the rows that a version is released.
fn remember(rows: &mut Vec<TriggerRow>, trigger: &Trigger, candidate: &Candidate) {
    let channel = trigger.channel.as_ref().map(ToString::to_string);
    let released = Highest { version: candidate.version.to_string(), channel };
    let Highest { version, channel } = Highest::joined(highest(rows, trigger), released);
    rows.retain(|row| row.name != trigger.name.as_str());
    rows.push(TriggerRow { name: trigger.name.to_string(), version, channel });
}

/// As many rows as there is room for: first those of triggers that there are.
fn bounded(observed: &Observed, mut rows: Vec<TriggerRow>) -> Vec<TriggerRow> {
    let is_there = |row: &TriggerRow| observed.project.spec.triggers.iter().any(|trigger| trigger.name == row.name);
    rows.sort_by(|one, other| (!is_there(one), &one.name).cmp(&(!is_there(other), &other.name)));
    rows.truncate(MOST);
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

/// What is known to be wrong before anything is judged.
fn said(trigger: &Trigger, known: &Known) -> Option<(Reason, String)> {
    if let Some(first) = known.problems.first() {
        let sentences: Vec<&str> = known.problems.iter().map(|problem| problem.message.as_str()).collect();
        return Some((first.reason, sentences.join("; ")));
    }
    let why = known.refused.as_ref()?;
    let (candidate, _) = known.candidate.as_ref()?;
    let channel = trigger.channel.as_ref().map(|name| format!(" in channel {name}")).unwrap_or_default();
    Some((Reason::ReleaseRefused, format!("version {} cannot be released{channel}: {why}", candidate.version)))
}

fn fact(problems: &[(Reason, String)], notes: &[String]) -> Fact<'static> {
    let (holds, reason, message) = match problems {
        [] if notes.is_empty() => {
            (true, Reason::Watching, "every version that the triggers take is released".to_owned())
        }
        [] => (true, Reason::Watching, notes.join("; ")),
        [(reason, _), ..] => {
            let sentences: Vec<&str> = problems.iter().map(|(_, message)| message.as_str()).collect();
            (false, *reason, sentences.join("; "))
        }
    };
    Fact { kind: ConditionType::Triggered, holds: Some(holds), reason: reason.as_str(), message }
}

fn name(observed: &Observed, candidate: &Candidate) -> String {
    format!("{}-{}", observed.project.metadata.name.as_deref().unwrap_or_default(), candidate.version)
}

fn release(observed: &Observed, trigger: &Trigger, candidate: &Candidate) -> Release {
    let project = observed.project.metadata.name.clone().unwrap_or_default();
    let version = |(name, tag): (&crate::domain::name::PackageName, &crate::domain::image::Tag)| PackageVersion {
        name: name.to_string(),
        version: Some(tag.to_string()),
        digest: None,
    };
    let spec = ReleaseSpec {
        project,
        version: candidate.version.to_string(),
        channel: trigger.channel.as_ref().map(ToString::to_string),
        packages: candidate.packages.iter().map(version).collect(),
        cause: Some(ReleaseCause { kind: "Trigger".to_owned(), name: trigger.name.to_string() }),
        ..ReleaseSpec::default()
    };
    let mut release = Release::new(&name(observed, candidate), spec);
    release.metadata.namespace.clone_from(&observed.project.metadata.namespace);
    release
}

/// A release as a trigger sees it; `default` is the channel of those that name none.
#[must_use]
pub fn made(release: &Release, default: Option<&ChannelName>) -> Made {
    let status = release.status.as_ref();
    let channel = status.and_then(|status| status.channel.clone()).or_else(|| release.spec.channel.clone());
    let given = release.spec.packages.iter().filter_map(|one| Some((one.name.clone(), one.version.clone()?)));
    let resolved = status.into_iter().flat_map(|status| &status.packages);
    let resolved = resolved.filter_map(|one| Some((one.name.clone(), one.version.clone()?)));
    Made {
        version: release.spec.version.clone(),
        channel: channel.or_else(|| default.map(ToString::to_string)),
        packages: given.chain(resolved).collect::<BTreeMap<_, _>>(),
    }
}

#[cfg(test)]
mod tests;
