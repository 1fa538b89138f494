use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::domain::guard;

fn environment(generation: i64, meta: &Value) -> Subject {
    let mut object = json!({"metadata": {"name": "dev", "namespace": "shop", "uid": "u", "generation": generation},
        "spec": {"order": 10, "changedBy": {"username": "alice", "uid": "7"}}});
    if let (Value::Object(known), Value::Object(more)) = (&mut object["metadata"], meta) {
        known.extend(more.clone());
    }
    Subject::Environment(Arc::new(serde_json::from_value(object).unwrap()))
}

fn release(generation: i64, blocked: Option<&str>) -> Subject {
    let blocked = blocked.map(|reason| json!({"reason": reason, "by": {"username": "alice"}}));
    let mut object = json!({"metadata": {"name": "checkout-1", "namespace": "shop", "uid": "r", "generation": generation},
        "spec": {"project": "checkout", "version": "1", "changedBy": {"username": "alice"}}});
    if let Some(blocked) = blocked {
        object["spec"]["blocked"] = blocked;
    }
    Subject::Release(Arc::new(serde_json::from_value(object).unwrap()))
}

fn sighting(subject: Subject, state: State) -> Sighting {
    Sighting { subject, state, at: Timestamp::UNIX_EPOCH, vouched: true }
}

fn seen(subject: Subject, known: Option<i64>) -> AuditRecord {
    let state = subject.state(false).unwrap();
    record(&sighting(subject, state), known)
}

fn by(record: &AuditRecord) -> Option<&str> {
    record.spec.by.as_ref().map(|by| by.username.as_str())
}

#[test]
fn each_generation_is_a_record_of_its_own_with_its_author_and_what_it_says() {
    let made = seen(environment(1, &json!({})), None);
    assert_eq!(made.metadata.name.as_deref(), Some("change-u-1"));
    assert_eq!((by(&made), made.spec.environment.as_deref()), (Some("alice"), Some("dev")));
    let part = made.spec.change.unwrap();
    assert_eq!((part.action.as_str(), part.missed_since), ("Created", None));
    let said = part.spec.unwrap();
    assert!(said.contains(r#""order":10"#) && !said.contains("changedBy"), "{said}");
    assert_eq!(part.digest.unwrap(), sha256(&said));
    let next = seen(environment(2, &json!({})), Some(1));
    assert_eq!(next.metadata.name.as_deref(), Some("change-u-2"));
    let part = next.spec.change.unwrap();
    assert_eq!((part.action.as_str(), part.missed_since), ("Changed", None));
}

#[test]
fn generations_that_nobody_saw_are_told_as_a_range() {
    let missed = |generation, known| {
        seen(environment(generation, &json!({})), known).spec.change.and_then(|change| change.missed_since)
    };
    assert_eq!(missed(5, Some(2)), Some(3));
    assert_eq!(missed(5, Some(4)), None);
    assert_eq!(missed(5, None), Some(1));
}

#[test]
fn nobody_is_named_while_nobody_vouches_for_names_and_for_a_deletion() {
    let unvouched = Sighting { vouched: false, ..sighting(environment(2, &json!({})), State::Generation(2)) };
    assert_eq!(by(&record(&unvouched, Some(1))), None);
    let going = environment(3, &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
    assert_eq!(going.state(false), None, "a deletion is no change of the spec");
    assert_eq!(going.state(true), Some(State::Deleted));
    let gone = record(&sighting(going, State::Deleted), Some(2));
    assert_eq!((gone.metadata.name.as_deref(), by(&gone)), (Some("change-u-deleted"), None));
    let part = gone.spec.change.unwrap();
    assert_eq!((part.action.as_str(), part.spec), ("Deleted", None));
    assert_eq!(part.deleted_at.map(|time| time.0.to_string()).as_deref(), Some("2026-01-01T00:00:00Z"));
    let witness = "the API server's audit log says who deleted it: look for verb delete or deletecollection of environments.gantry.dev in namespace shop, name dev, uid u, before 1970-01-01T00:00:00Z; gantry audit export --audit-log does";
    assert_eq!(part.witness.as_deref(), Some(witness));
}

#[test]
fn a_release_is_told_of_only_when_it_was_blocked_and_of_its_end_only_when_it_is() {
    assert_eq!((release(1, None).state(false), release(1, None).state(true)), (None, None));
    assert_eq!(release(3, None).state(true), None, "it may have gone on before");
    let blocked = seen(release(2, Some("bug")), None);
    assert_eq!((blocked.metadata.name.as_deref(), by(&blocked)), (Some("block-r-2"), Some("alice")));
    let part = blocked.spec.block.unwrap();
    assert_eq!((part.blocked, part.reason.as_deref(), part.missed_since), (true, Some("bug"), None));
    let free = seen(release(3, None), Some(2)).spec.block.unwrap();
    assert_eq!((free.blocked, free.reason, free.missed_since), (false, None, None));
    assert_eq!(seen(release(4, None), Some(2)).spec.block.unwrap().missed_since, Some(3));
    assert_eq!(seen(release(3, None), None).spec.block.unwrap().missed_since, Some(1), "it was blocked unseen");
    assert_eq!(seen(release(1, Some("bug")), None).spec.block.unwrap().missed_since, None);
}

#[test]
fn a_block_that_goes_with_its_release_is_told() {
    let blocked = release(2, Some("bug"));
    let state = blocked.state(true).unwrap();
    let ended = record(&sighting(blocked.clone(), state), Some(2));
    let unseen = deleted_unseen(&seen(blocked, Some(1)), "block-r", Timestamp::UNIX_EPOCH).unwrap();
    for told in [ended, unseen] {
        assert_eq!((told.metadata.name.as_deref(), by(&told)), (Some("block-r-deleted"), None));
        assert_eq!((told.spec.kind, told.spec.change.is_none()), (Some(AuditKind::Block), true));
        assert_eq!(told.spec.object.unwrap().generation, None);
        let part = told.spec.block.unwrap();
        assert_eq!((part.blocked, part.deleted, part.reason.as_deref()), (false, true, Some("bug")));
        assert!(
            part.witness
                .unwrap()
                .contains("deletecollection of releases.gantry.dev in namespace shop, name checkout-1, uid r")
        );
    }
    let free = seen(release(3, None), Some(2));
    assert_eq!(deleted_unseen(&free, "block-r", Timestamp::UNIX_EPOCH), None, "no block went with it");
}

#[test]
fn an_end_that_nobody_saw_is_told_from_the_newest_record() {
    let newest = seen(environment(4, &json!({})), Some(3));
    let ended = deleted_unseen(&newest, "change-u", Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ended.metadata.name.as_deref(), Some("change-u-deleted"));
    let object = ended.spec.object.unwrap();
    assert_eq!((object.kind.as_str(), object.name.as_str(), object.generation), ("Environment", "dev", None));
    let part = ended.spec.change.unwrap();
    assert!(
        part.witness.is_some_and(|witness| witness.contains("name dev, uid u, before ")),
        "whoever did it is found"
    );
    assert_eq!(part.deleted_at, None);
    assert_eq!(State::of_record("change-u-deleted"), Some(("change-u", State::Deleted)));
}

#[test]
fn who_overrides_a_freeze_is_named_only_if_somebody_vouches_for_the_promotion() {
    let object = json!({"metadata": {"name": "p", "namespace": "shop", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"project": "checkout", "version": "1", "environment": "dev", "requestedBy": {"username": "alice"},
            "freezeOverride": {"names": ["year-end"], "reason": "CHG-1"}}});
    let promotion = Subject::Promotion(Arc::new(serde_json::from_value(object).unwrap()));
    for (guard, named) in [(guard::always(), Some("alice")), (Guard::default(), None)] {
        // Whether the policies act while it is seen says nothing of when it was made.
        for seen in [true, false] {
            let vouched = promotion.is_vouched(&guard, seen);
            let told = record(&Sighting { vouched, ..sighting(promotion.clone(), State::Generation(1)) }, None);
            assert_eq!(by(&told), named);
        }
    }
    let environment = environment(1, &json!({}));
    assert_eq!(
        (environment.is_vouched(&guard::always(), false), environment.is_vouched(&Guard::default(), true)),
        (false, true)
    );
}

#[test]
fn a_promotion_is_told_of_when_it_is_asked_for_in_spite_of_freezes() {
    let promotion = |more: &Value| {
        let mut object = json!({"metadata": {"name": "p", "namespace": "shop", "uid": "p", "generation": 2},
            "spec": {"project": "checkout", "version": "1", "environment": "dev", "requestedBy": {"username": "alice"}}});
        object["spec"]["freezeOverride"] = more.clone();
        Subject::Promotion(Arc::new(serde_json::from_value(object).unwrap()))
    };
    assert_eq!(promotion(&Value::Null).state(false), None);
    let overriding = promotion(&json!({"names": ["year-end"], "reason": "CHG-1"}));
    assert_eq!(overriding.state(true), None);
    let told = seen(overriding, None);
    assert_eq!((told.metadata.name.as_deref(), by(&told)), (Some("override-p-1"), Some("alice")));
    let part = told.spec.overridden.unwrap();
    assert_eq!((part.freezes, part.reason.as_str()), (vec!["year-end".to_owned()], "CHG-1"));
}
