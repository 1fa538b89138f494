use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::decide::decide as decide_project;
use super::*;
use crate::api::condition;
use crate::api::v1alpha1::{Project, ProjectStatus};
use crate::controllers::release::problem::Problem;
use crate::domain::trigger::{Seen, VersionOf};
use crate::domain::variable::stray::Names;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn trigger() -> Trigger {
    Trigger {
        name: "new".parse().unwrap(),
        channel: Some("stable".parse().unwrap()),
        packages: vec!["api".parse().unwrap()],
        version_of: VersionOf::Package("api".parse().unwrap()),
        same_version: false,
        settle: SignedDuration::ZERO,
        interval: SignedDuration::from_mins(5),
    }
}

fn known() -> Known {
    let candidate = Candidate {
        version: "1.1.0".parse().unwrap(),
        rank: "1.1.0".parse().unwrap(),
        packages: BTreeMap::from([("api".parse().unwrap(), "1.1.0".parse().unwrap())]),
    };
    Known { candidate: Some((candidate, Seen { since: at(0), last: at(0) })), ..Known::default() }
}

fn observed(known: Option<Known>, made: Vec<Made>) -> Observed {
    let project = json!({
        "metadata": {"name": "checkout", "namespace": "shop", "generation": 1},
        "spec": {
            "packages": [{"name": "api", "image": "ghcr.io/acme/checkout"}],
            "process": [{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "x"}}}],
        },
    });
    Observed {
        project: Arc::new(serde_json::from_value::<Project>(project).unwrap()),
        outcomes: Vec::new(),
        unfinished: Vec::new(),
        order: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        standings: BTreeMap::new(),
        missing_lifecycle: None,
        variable_sets: Vec::new(),
        names: Names::default(),
        triggers: vec![Watched { trigger: trigger(), known, next: Some(at(300)) }],
        made,
        now: at(10),
    }
}

fn made(channel: &str) -> Made {
    Made { version: "1.1.0".into(), channel: Some(channel.into()), packages: BTreeMap::new() }
}

fn said(status: &ProjectStatus) -> Option<(&str, &str, &str)> {
    let found = condition::find(&status.conditions, ConditionType::Triggered)?;
    Some((&found.status, &found.reason, &found.message))
}

#[test]
fn before_anything_is_heard_nothing_is_said_or_made() {
    let decision = decide_project(&observed(None, Vec::new()));
    assert_eq!((said(&decision.status), decision.effects.len(), decision.next), (None, 0, Next::At(at(300))));
}

#[test]
fn a_new_version_is_released_once_in_the_triggers_channel_with_its_cause() {
    let decision = decide_project(&observed(Some(known()), Vec::new()));
    let [Effect::MakeRelease(release)] = decision.effects.as_slice() else { panic!("{:?}", decision.effects) };
    assert_eq!(
        serde_json::to_value(&release.spec).unwrap(),
        json!({
            "project": "checkout", "version": "1.1.0", "channel": "stable",
            "packages": [{"name": "api", "version": "1.1.0"}], "cause": {"kind": "Trigger", "name": "new"},
        })
    );
    assert_eq!(release.metadata.name.as_deref(), Some("checkout-1.1.0"));
    let decision = decide_project(&observed(Some(known()), vec![made("stable")]));
    assert!(decision.effects.is_empty());
    assert_eq!(said(&decision.status).unwrap().0, "True");
}

#[test]
fn what_keeps_a_release_from_being_made_is_said_and_taken_back() {
    let decision = decide_project(&observed(Some(known()), vec![made("beta")]));
    let (status, reason, message) = said(&decision.status).unwrap();
    assert_eq!((status, reason), ("False", "VersionTaken"));
    assert!(message.starts_with("trigger new: release checkout-1.1.0 is not what would be made now"), "{message}");

    let refused = Known { refused: Some("quota exceeded".into()), ..known() };
    let decision = decide_project(&observed(Some(refused), Vec::new()));
    assert!(decision.effects.is_empty(), "not again before tags are heard again");
    assert_eq!(
        said(&decision.status).unwrap(),
        ("False", "ReleaseRefused", "trigger new: version 1.1.0 cannot be released in channel stable: quota exceeded")
    );

    let down = Known { problems: vec![Problem::new(Reason::RegistryUnreachable, "down")], ..known() };
    let mut without = observed(Some(down), Vec::new());
    let decision = decide_project(&without);
    assert_eq!(said(&decision.status).unwrap(), ("False", "RegistryUnreachable", "trigger new: down"));
    let mut project = without.project.as_ref().clone();
    project.status = Some(decision.status);
    (without.project, without.triggers) = (Arc::new(project), Vec::new());
    assert_eq!(said(&decide_project(&without).status), None, "without triggers there is nothing to say");
}

#[test]
fn the_channel_of_a_release_is_the_one_that_it_was_sealed_in() {
    let release = |change: serde_json::Value| {
        let mut release =
            json!({"metadata": {}, "spec": {"project": "checkout", "version": "1.1.0", "packages": [{"name": "api"}]}});
        for (path, value) in change.as_object().unwrap() {
            release[path.as_str()] = value.clone();
        }
        serde_json::from_value::<Release>(release).unwrap()
    };
    let default = "stable".parse().unwrap();
    assert_eq!(super::made(&release(json!({})), Some(&default)).channel.as_deref(), Some("stable"));
    assert_eq!(super::made(&release(json!({})), None).channel, None);
    let package = json!({"name": "api", "image": "x", "version": "7", "digest": "sha256:1"});
    let sealed = super::made(&release(json!({"status": {"channel": "old", "packages": [package]}})), Some(&default));
    assert_eq!((sealed.channel.as_deref(), sealed.packages["api"].as_str()), (Some("old"), "7"));
}

fn row(name: &str, version: &str) -> TriggerRow {
    TriggerRow { name: name.into(), version: version.into(), channel: Some("stable".into()) }
}

#[test]
fn a_release_that_was_made_is_remembered_and_not_made_again_when_somebody_deletes_it() {
    let written = |observed: &mut Observed, status: ProjectStatus| {
        Arc::make_mut(&mut observed.project).status = Some(status);
    };
    let just_made = Known { made: "1.1.0".parse().ok(), ..known() };
    for (heard, made) in [(known(), vec![made("stable")]), (just_made, Vec::new())] {
        let decision = decide_project(&observed(Some(heard), made));
        assert_eq!((decision.effects.len(), decision.status.triggers.clone()), (0, vec![row("new", "1.1.0")]));
        let mut deleted = observed(Some(known()), Vec::new());
        written(&mut deleted, decision.status);
        let decision = decide_project(&deleted);
        assert!(decision.effects.is_empty(), "also by a process that knows nothing of it but the status");
        let (status, _, message) = said(&decision.status).unwrap();
        assert_eq!(status, "True");
        assert!(
            message.starts_with("trigger new: release checkout-1.1.0 was made once and somebody deleted"),
            "{message}"
        );
        assert_eq!(decision.status.triggers, [row("new", "1.1.0")]);
    }
    assert_eq!(decide_project(&observed(Some(known()), Vec::new())).status.triggers, [], "nothing is there yet");
}

#[test]
fn what_is_remembered_is_kept_while_a_trigger_is_away_and_is_bounded() {
    let mut observed = observed(None, Vec::new());
    let project = Arc::make_mut(&mut observed.project);
    let spec = json!([{"name": "z-kept", "packages": ["api"]}]);
    project.spec.triggers = serde_json::from_value(spec).unwrap();
    let mut rows: Vec<_> = (0..40).map(|number| row(&format!("gone-{number:02}"), "1.0.0")).collect();
    rows.push(row("z-kept", "2.0.0"));
    project.status = Some(ProjectStatus { triggers: rows, ..ProjectStatus::default() });
    let kept = decide_project(&observed).status.triggers;
    assert_eq!((kept.len(), kept.last()), (32, Some(&row("z-kept", "2.0.0"))));
}
