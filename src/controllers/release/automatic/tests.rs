use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::api::v1alpha1::history::Person;
use crate::controllers::lifecycle::course::Governing;
use crate::controllers::release::arrivals::Happened;
use crate::controllers::release::rows;
use crate::domain::lifecycle::{Lifecycle, LifecyclePhase};
use crate::domain::promotion::outcome::Outcome;
use crate::domain::promotion::outcome::example::success;

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

fn phase(name: &str, environments: &[&str]) -> LifecyclePhase {
    let environments: Vec<_> = environments.iter().map(|name| environment(name)).collect();
    LifecyclePhase { name: name.into(), automatic: environments.clone(), environments, ..LifecyclePhase::default() }
}

/// A sealed release that was nowhere, and is promoted to dev and then to both tests by itself.
fn observed() -> Observed {
    let release = json!({
        "metadata": {"name": "checkout-1.0.0", "namespace": "shop", "uid": "r"},
        "spec": {"project": "checkout", "version": "1.0.0", "createdBy": {"username": "alice"}},
    });
    let lifecycle = Lifecycle::new(vec![phase("dev", &["dev"]), phase("test", &["eu", "us"])]).unwrap();
    Observed {
        release: Arc::new(serde_json::from_value(release).unwrap()),
        sealing: None,
        outcomes: Vec::new(),
        runs: Vec::new(),
        environments: ["dev", "eu", "us"].map(String::from).into(),
        happened: Happened::default(),
        governing: Governing::Known(lifecycle),
        unreadable: None,
        places: ["dev", "eu", "us"].map(environment).into(),
        overtaken: [].into(),
        pinned: [].into(),
        secrets: [].into(),
        underway: [].into(),
        unmade: [].into(),
        unvouched: false,
        now: Timestamp::from_second(100).unwrap(),
    }
}

fn outcome(promotion: &str, environment: &str, phase: Phase) -> Arc<Outcome> {
    Arc::new(Outcome {
        uid: format!("uid-{promotion}"),
        promotion: promotion.into(),
        release_uid: Some("r".into()),
        phase,
        message: "the reason".into(),
        ..success(environment, Timestamp::from_second(50).unwrap())
    })
}

/// One run on a status; gives back what was wanted.
fn run(observed: &Observed, status: &mut ReleaseStatus) -> (Vec<Wanted>, Vec<Note>) {
    status.environments = rows::join(
        std::mem::take(&mut status.environments),
        "r",
        observed.outcomes.iter().map(AsRef::<Outcome>::as_ref),
    );
    let journey = observed.journey(&status.environments);
    plan(observed, status, journey.as_ref())
}

fn names(wanted: &[Wanted]) -> Vec<&str> {
    wanted.iter().map(|wanted| wanted.environment.as_str()).collect()
}

fn condition(status: &ReleaseStatus) -> Option<(&str, &str)> {
    let found = condition::find(&status.conditions, ConditionType::AutomaticallyPromoted)?;
    Some((found.reason.as_str(), found.message.as_str()))
}

#[test]
fn a_promotion_is_wanted_once_and_carries_its_cause_and_the_person_at_its_root() {
    let (observed, mut status) = (observed(), ReleaseStatus::default());
    let (wanted, notes) = run(&observed, &mut status);
    assert_eq!((names(&wanted), notes.len()), (vec!["dev"], 1));
    let made = promotion(&observed.release, &wanted[0]);
    assert_eq!(made.spec.requested_by, Some(Person { username: "alice".into(), uid: None }));
    assert_eq!(made.spec.cause, Some(cause(&observed.release)));
    assert_eq!((made.spec.environment.as_str(), made.spec.when_not_ready), ("dev", WhenNotReady::Wait));
    assert_eq!(condition(&status).unwrap().0, "Promoted");
    assert_eq!(run(&observed, &mut status), (Vec::new(), Vec::new()), "a second run wants nothing");
    let again = run(&observed, &mut ReleaseStatus::default()).0;
    assert_eq!(again, wanted, "who died before the status was written makes the same one");
}

#[test]
fn names_differ_between_environments_and_between_releases_of_one_name_and_fit() {
    let observed = observed();
    let mut other = observed.release.as_ref().clone();
    other.metadata.uid = Some("s".into());
    let (dev, eu) = (environment("dev"), environment("eu"));
    let first = name(&observed.release, &dev);
    assert!(first.starts_with("checkout-1.0.0-dev-") && first.len() == "checkout-1.0.0-dev-".len() + 8, "{first}");
    assert!(first != name(&other, &dev) && first != name(&observed.release, &eu));
    (other.spec.project, other.spec.version) = ("p".repeat(63), "1".repeat(63));
    assert_eq!(name(&other, &environment(&"e".repeat(63))).len(), 200);
}

#[test]
fn a_success_leads_on_and_a_failure_is_told_until_somebody_makes_it_good() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    let first = run(&observed, &mut status).0.remove(0);
    observed.outcomes = vec![outcome(&first.name, "dev", Phase::Succeeded)];
    let wanted = run(&observed, &mut status).0;
    assert_eq!(names(&wanted), ["eu", "us"]);
    observed.outcomes = vec![outcome(&wanted[0].name, "eu", Phase::Refused)];
    let (more, notes) = run(&observed, &mut status);
    assert_eq!((more.len(), notes.len()), (0, 1));
    let (reason, message) = condition(&status).unwrap();
    assert_eq!(reason, "NotPromoted");
    assert!(message.contains(&wanted[0].name) && message.contains("Refused: the reason"), "{message}");
    assert_eq!(run(&observed, &mut status).1, [], "said once");
    observed.outcomes = vec![outcome("by-hand", "eu", Phase::Succeeded)];
    run(&observed, &mut status);
    assert_eq!(condition(&status).unwrap().0, "Promoted");
}

#[test]
fn what_somebody_promotes_already_is_left_to_him() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    observed.underway.insert("dev".into(), vec!["by-hand".into()]);
    assert_eq!(run(&observed, &mut status), (Vec::new(), Vec::new()));
    assert_eq!(condition(&status), None);
}

#[test]
fn what_was_made_and_not_written_down_is_remembered_wherever_it_is_found() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    let name = name(&observed.release, &environment("dev"));
    observed.underway.insert("dev".into(), vec![name.clone()]);
    let (wanted, notes) = run(&observed, &mut status);
    assert!(wanted.is_empty() && notes.is_empty());
    assert_eq!((status.automatic[0].promotion.as_str(), status.automatic[0].phase.as_deref()), (name.as_str(), None));

    let mut status = ReleaseStatus::default();
    observed.underway.clear();
    observed.outcomes = vec![outcome(&name, "dev", Phase::Succeeded)];
    assert_eq!(names(&run(&observed, &mut status).0), ["eu", "us"]);
    let dev = status.automatic.iter().find(|row| row.environment == "dev").unwrap();
    assert_eq!(dev.phase.as_deref(), Some("Succeeded"));
}

#[test]
fn nothing_goes_backwards_by_itself_and_that_is_told() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    observed.overtaken.insert(environment("dev"));
    let (wanted, notes) = run(&observed, &mut status);
    assert_eq!((wanted.len(), notes.len()), (0, 1));
    let (reason, message) = condition(&status).unwrap();
    assert_eq!(reason, "Overtaken");
    assert!(message.contains("made later") && message.contains("dev"), "{message}");
}

#[test]
fn where_a_pin_says_what_runs_nothing_is_promoted_also_when_the_pin_goes() {
    let pinned = Observed { pinned: ["dev".to_owned()].into(), ..observed() };
    let mut status = ReleaseStatus::default();
    let journey = pinned.journey(&[]);
    let (wanted, notes) = plan(&pinned, &mut status, journey.as_ref());
    assert!(wanted.is_empty() && notes.is_empty(), "{wanted:?} {notes:?}");
    assert_eq!(status.automatic[0].message.as_deref(), Some("pin checkout.dev says what runs there"));
    let (wanted, _) = plan(&observed(), &mut status, journey.as_ref());
    assert!(wanted.is_empty(), "{wanted:?}");
}

#[test]
fn a_failure_that_is_known_from_its_row_alone_says_where_the_reason_is() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    let first = run(&observed, &mut status).0.remove(0);
    let ended = [outcome(&first.name, "dev", Phase::Failed)];
    status.environments = rows::join(Vec::new(), "r", ended.iter().map(AsRef::<Outcome>::as_ref));
    observed.outcomes.clear();
    run(&observed, &mut status);
    let (reason, message) = condition(&status).unwrap();
    assert_eq!(reason, "NotPromoted");
    let expected = format!("Failed: the reason is in its AuditRecord, promotion-{};", first.name);
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn nothing_is_promoted_in_a_name_that_nobody_vouches_for_and_the_release_says_so() {
    let (observed, mut status) = (Observed { unvouched: true, ..observed() }, ReleaseStatus::default());
    let (wanted, notes) = run(&observed, &mut status);
    assert!(wanted.is_empty() && status.automatic.is_empty(), "{:?}", status.automatic);
    assert_eq!(notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["NotPromoted"]);
    assert_eq!(condition(&status).unwrap(), ("NotPromoted", UNVOUCHED));
}

#[test]
fn what_could_not_be_made_has_no_row_and_is_told_with_everything_else_that_went_wrong() {
    let (mut observed, mut status) = (observed(), ReleaseStatus::default());
    observed.outcomes = vec![outcome("by-hand", "dev", Phase::Succeeded)];
    let unmade = [(environment("eu"), "the name of eu is taken".to_owned())];
    let both = [unmade[0].clone(), (environment("us"), "the quota is full".to_owned())];
    let (wanted, notes) = run(&Observed { unmade: both.into(), ..observed.clone() }, &mut status);
    assert!(wanted.is_empty() && status.automatic.is_empty(), "{:?}", status.automatic);
    assert_eq!(notes.iter().map(|note| note.reason).collect::<Vec<_>>(), ["NotPromoted"]);
    assert_eq!(condition(&status).unwrap(), ("NotPromoted", "the name of eu is taken; the quota is full"));
    let observed = Observed { unmade: unmade.into(), ..observed };
    let (wanted, _) = run(&observed, &mut status);
    assert_eq!((names(&wanted), status.automatic.len()), (vec!["us"], 1), "one that fails stops no other");
    assert_eq!(condition(&status).unwrap(), ("NotPromoted", "the name of eu is taken"));
    let ended = vec![outcome(&wanted[0].name, "us", Phase::Failed)];
    run(&Observed { outcomes: ended, ..observed }, &mut status);
    let message = condition(&status).unwrap().1;
    assert!(message.starts_with("the name of eu is taken; promotion checkout-1.0.0-us-"), "{message}");
}

#[test]
fn a_release_whose_channel_is_gone_goes_nowhere_by_itself_and_says_so_once() {
    let gone = Observed { governing: Governing::NoChannel { name: "beta".into() }, ..observed() };
    let mut status = ReleaseStatus::default();
    let (wanted, notes) = run(&gone, &mut status);
    assert_eq!((wanted.len(), notes.len()), (0, 1));
    let (reason, message) = condition(&status).unwrap();
    assert!(
        reason == "ChannelNotFound" && message.starts_with("channel beta of checkout-1.0.0 is no longer"),
        "{message}"
    );
    assert_eq!(run(&gone, &mut status).1, [], "said once");
    assert_eq!(names(&run(&observed(), &mut status).0), ["dev"], "and it goes on when the channel is back");
    assert_eq!(condition(&status).unwrap().0, "Promoted");
}
