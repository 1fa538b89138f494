use super::*;

/// So many milliseconds after some full second.
fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + milliseconds).unwrap()
}

/// A freeze that was there at 10 s and gone at 20 s.
fn winter() -> Deleted {
    Deleted {
        resource: "freezes".into(),
        namespace: "shop".into(),
        name: "winter".into(),
        uid: "u".into(),
        there: Some(at(10_000)),
        taken: None,
        gone: at(20_000),
    }
}

/// A request of somebody that came then and was answered 5 ms later, and of which the log has the answer.
fn request(by: &str, received: i64, uids: &[&str]) -> Request {
    let objects = uids.iter().map(|uid| Object { uid: (*uid).to_owned(), taken: None }).collect();
    Request { answer: Answer::Objects(objects), ..silent(by, received) }
}

/// The same without an answer.
fn silent(by: &str, received: i64) -> Request {
    Request {
        id: format!("{by}-{received}"),
        by: by.into(),
        impersonated_by: None,
        resource: "freezes".into(),
        namespace: "shop".into(),
        name: Some("winter".into()),
        received: at(received),
        answered: at(received + 5),
        answer: Answer::Done,
    }
}

/// The same of all that a selector fits.
fn of_all(request: Request) -> Request {
    Request { name: None, ..request }
}

fn held(request: Request, taken: i64) -> Request {
    let Answer::Objects(objects) = request.answer else { return request };
    let objects = objects.into_iter().map(|object| Object { taken: Some(at(taken)), ..object }).collect();
    Request { answer: Answer::Objects(objects), ..request }
}

/// Who did it, in one word each.
fn told(deleted: &Deleted, requests: &[Request]) -> String {
    match deleted.author(requests) {
        Author::Known(request, proof) => format!("{} by {}", request.id, proof.as_str()),
        Author::Unsure(all) => {
            let ids: Vec<&str> = all.iter().map(|request| request.id.as_str()).collect();
            format!("unsure: {}", ids.join(" "))
        }
        Author::Missing => "missing".to_owned(),
    }
}

#[test]
fn the_answer_that_has_the_uid_is_the_one_whatever_else_was_asked_for() {
    let elsewhere = Request { namespace: "stock".into(), ..request("eve", 15_000, &["u"]) };
    let of_another_kind = Request { resource: "lifecycles".into(), ..request("eve", 15_000, &["u"]) };
    let named_otherwise = Request { name: Some("summer".into()), ..request("eve", 15_000, &["u"]) };
    let of_its_successor = request("carol", 19_000, &["v"]);
    let log = [elsewhere, of_another_kind, named_otherwise, of_its_successor, silent("bob", 15_000)];
    let with = |one: Request| told(&winter(), &[log.as_slice(), &[one]].concat());
    assert_eq!(with(request("dora", 15_000, &["u"])), "dora-15000 by its UID");
    // Clocks of two machines differ: where there is a UID no time is compared.
    assert_eq!(with(request("dora", 21_000, &["u"])), "dora-21000 by its UID");
    assert_eq!(with(of_all(request("dora", 15_000, &["t", "u"]))), "dora-15000 by its UID");
}

#[test]
fn of_what_something_held_the_one_that_was_first_is_the_author() {
    let winter = Deleted { taken: Some(at(15_000)), ..winter() };
    let first = held(request("dora", 15_300, &["u"]), 15_000);
    let later = held(request("bob", 17_000, &["u"]), 15_000);
    assert_eq!(told(&winter, &[later.clone(), first.clone()]), "dora-15300 by its UID");
    assert_eq!(told(&winter, std::slice::from_ref(&later)), "missing", "the log that was given begins too late");
    let at_once = held(request("bob", 15_400, &["u"]), 15_000);
    assert_eq!(told(&winter, &[first.clone(), at_once]), "unsure: dora-15300 bob-15400");
    let twice = held(request("dora", 15_400, &["u"]), 15_000);
    assert_eq!(told(&winter, &[first.clone(), twice]), "dora-15300 by its UID");
    // The record may not know when that was; the answers do.
    let unknown = Deleted { taken: None, ..winter };
    assert_eq!(told(&unknown, &[later, first]), "dora-15300 by its UID");
}

#[test]
fn where_the_log_has_no_answers_name_and_time_must_leave_one_person() {
    assert_eq!(told(&winter(), &[silent("dora", 15_000)]), "dora-15000 by its name and the time");
    for (received, told_of) in [(9_000, "missing"), (9_996, "dora-9996 by its name and the time"), (20_001, "missing")]
    {
        assert_eq!(told(&winter(), &[silent("dora", received)]), told_of);
    }
    assert_eq!(told(&winter(), &[silent("dora", 15_000), silent("bob", 16_000)]), "unsure: dora-15000 bob-16000");
    assert_eq!(
        told(&winter(), &[silent("dora", 15_000), of_all(silent("bob", 16_000))]),
        "unsure: dora-15000 bob-16000"
    );
    assert_eq!(told(&winter(), &[of_all(silent("bob", 16_000))]), "unsure: bob-16000", "it may have been of others");
    let stopped = Request { answer: Answer::Stopped, ..silent("bob", 16_000) };
    assert_eq!(told(&winter(), std::slice::from_ref(&stopped)), "unsure: bob-16000", "it may have stopped before");
    assert_eq!(told(&winter(), &[stopped, request("dora", 15_000, &["u"])]), "dora-15000 by its UID");
    let taken = Deleted { taken: Some(at(15_000)), ..winter() };
    assert_eq!(
        told(&taken, &[silent("bob", 14_000), silent("dora", 15_999), silent("eve", 16_000)]),
        "dora-15999 by its name and the time"
    );
}

#[test]
fn nobody_is_named_where_nothing_was_asked_for_and_one_event_counts_once() {
    assert_eq!(told(&winter(), &[]), "missing");
    assert_eq!(told(&winter(), &[request("dora", 15_000, &[])]), "missing");
    let again = request("dora", 15_000, &["u"]);
    assert_eq!(told(&winter(), &[again.clone(), again]), "dora-15000 by its UID");
    let as_dora = Request { impersonated_by: Some("eve".into()), ..held(request("dora", 15_400, &["u"]), 15_000) };
    let herself = held(request("dora", 15_300, &["u"]), 15_000);
    assert_eq!(told(&winter(), &[herself, as_dora]), "unsure: dora-15300 dora-15400");
}
