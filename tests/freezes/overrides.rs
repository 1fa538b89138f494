//! What starts in spite of a freeze, and how that is told.

use gantry::api::v1alpha1::Freeze;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::{ending, freeze_for, merge, message, promote, release, shop};
use crate::support::manifest::failing;
use crate::support::space::Space;
use crate::support::wait;

fn naming(names: &[&str]) -> Value {
    json!({"freezeOverride": {"names": names, "reason": "CHG-1234"}})
}

async fn events(space: &Space, promotion: &str, reason: &str) -> Vec<String> {
    let about = ListParams::default().fields(&format!("regarding.kind=Promotion,regarding.name={promotion}"));
    wait::eventually(&format!("an Event {reason}"), || async {
        let all = space.api::<Event>().list(&about).await.expect("events").items;
        let of_reason = all.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
        let notes: Vec<String> = of_reason.filter_map(|event| event.note).collect();
        (!notes.is_empty()).then_some(notes)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_must_name_every_freeze_that_holds_and_is_recorded_and_the_freezes_stay_in_force() {
    let space = shop().await;
    freeze_for(&space, "winter", 3600).await;
    freeze_for(&space, "audit", 3600).await;
    promote(&space, "half", "1.0.0", naming(&["winter"])).await;
    let refused = space.ended("half").await;
    assert_eq!(ending(&refused), ("Refused", "Frozen"));
    let said = message(&refused);
    assert!(said.contains("freeze audit") && said.contains("does not name (add audit to names)"), "{said}");
    assert!(refused.status.expect("a status").freeze_override.is_none(), "it passed none");
    let record = space.audit_record("half").await.freeze_override.expect("what was asked for");
    assert_eq!((record.names, record.passed), (vec!["winter".to_owned()], Vec::new()));

    promote(&space, "whole", "1.0.0", naming(&["winter", "audit", "gone"])).await;
    let ended = space.ended("whole").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"), "{}", message(&ended));
    let status = ended.status.expect("a status");
    let kinds: Vec<&str> = status.decided_on.iter().map(|known| known.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "Freeze").count(), 2, "{kinds:?}");
    let passed = status.freeze_override.expect("a record");
    assert_eq!((passed.passed, passed.reason.as_str()), (vec!["audit".to_owned(), "winter".to_owned()], "CHG-1234"));
    assert_eq!(passed.by, ended.spec.requested_by);
    let record = space.audit_record("whole").await;
    let overridden = record.freeze_override.expect("a record");
    assert_eq!((overridden.passed, overridden.reason.as_str()), (vec!["audit".into(), "winter".into()], "CHG-1234"));
    let told = events(&space, "whole", "FreezeOverridden").await;
    assert!(told[0].contains("in spite of freeze audit, winter, since") && told[0].ends_with(": CHG-1234"), "{told:?}");

    promote(&space, "next", "1.1.0", json!({})).await;
    assert_eq!(ending(&space.ended("next").await), ("Refused", "Frozen"), "it is still in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_a_part_of_what_uses_up_a_name() {
    let space = shop().await;
    freeze_for(&space, "winter", 3600).await;
    promote(&space, "once", "1.0.0", naming(&["winter", "other"])).await;
    assert_eq!(ending(&space.ended("once").await), ("Succeeded", "Deployed"));
    for (given, reason) in
        [(naming(&["other", "winter"]), "AlreadyRecorded"), (naming(&["winter"]), "NameUsed"), (json!({}), "NameUsed")]
    {
        let promotions = space.api::<gantry::api::v1alpha1::Promotion>();
        wait::object(&promotions, "once", "recorded", |known| known.metadata.finalizers.is_none()).await;
        promotions.delete("once", &DeleteParams::default()).await.expect("deleted");
        wait::gone(&promotions, "once").await;
        promote(&space, "once", "1.0.0", given).await;
        assert_eq!(ending(&space.ended("once").await).1, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_an_override_goes_before_those_that_the_freeze_holds_in_a_queue() {
    let space = shop().await;
    space.apply(space.object("Environment", "production", json!({"order": 10, "queue": "Queue"}))).await;
    space.environment_ready("production").await;
    space.deploy("checkout", "1.0.0", "production").await;
    let end = freeze_for(&space, "winter", 12).await;
    promote(&space, "patient", "1.0.0", json!({"whenNotReady": "Wait"})).await;
    space.in_phase("patient", "Pending", Some("Frozen")).await;
    let mut hotfix = naming(&["winter"]);
    merge(&mut hotfix, json!({"reason": "the shop is down"}));
    promote(&space, "hotfix", "1.1.0", hotfix).await;
    let ended = space.ended("hotfix").await;
    assert_eq!(ending(&ended), ("Succeeded", "Deployed"), "{}", message(&ended));
    assert!(ended.status.and_then(|status| status.finished_at).expect("an end").0 < end, "it did not wait");
    assert_eq!(ending(&space.ended("patient").await), ("Succeeded", "Deployed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_puts_back_what_ran_before_a_failure_is_held_by_no_freeze() {
    let space = shop().await;
    let spec = json!({"order": 10, "onFailure": "Rollback", "failAfter": {"crashLoop": 1}});
    space.apply(space.object("Environment", "production", spec)).await;
    space.environment_ready("production").await;
    space.deploy("checkout", "1.0.0", "production").await;
    let image = "ghcr.io/acme/checkout";
    space.project("checkout", image, json!([failing("checkout", image, "crash-loop")])).await;
    release(&space, "2.0.0").await;
    freeze_for(&space, "winter", 3600).await;
    promote(&space, "bad", "2.0.0", naming(&["winter"])).await;
    let ended = space.ended("bad").await;
    assert_eq!(ending(&ended).0, "RolledBack", "{}", message(&ended));
    let rollback = ended.status.and_then(|status| status.rollback).expect("a rollback").promotion;
    let rollback = space.ended(&rollback).await;
    assert_eq!(ending(&rollback), ("Succeeded", "Deployed"));
    assert!(rollback.status.expect("a status").freeze_override.is_none(), "nobody overrode for it");
    let active = space.api::<Freeze>().get("winter").await.expect("the freeze").status.expect("a status").active;
    assert!(active, "it held all the time");
}
