//! Who leads, judged and raced.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

fn election() -> Election {
    Election {
        namespace: "gantry-system".into(),
        name: "gantry".into(),
        identity: "me".into(),
        duration: Duration::from_secs(15),
        interval: Duration::from_secs(2),
    }
}

fn held_by(holder: &str, version: &str) -> Lease {
    Lease {
        metadata: ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec { holder_identity: Some(holder.into()), ..LeaseSpec::default() }),
    }
}

#[test]
fn a_lease_that_is_missing_or_given_up_is_taken_and_ours_is_renewed() {
    let mut seen = None;
    assert_eq!(election().judge(None, &mut seen), Claim::Take);
    assert_eq!(election().judge(Some(&held_by("", "1")), &mut seen), Claim::Take);
    assert_eq!(election().judge(Some(&held_by("me", "2")), &mut seen), Claim::Renew);
}

#[test]
fn another_holder_is_believed_until_nothing_was_heard_of_it_for_the_duration() {
    let mut seen = None;
    assert_eq!(election().judge(Some(&held_by("other", "1")), &mut seen), Claim::Wait);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(16)).unwrap();
    seen = Some(("1".into(), long_ago));
    assert_eq!(election().judge(Some(&held_by("other", "1")), &mut seen), Claim::Take);
    seen = Some(("1".into(), long_ago));
    assert_eq!(election().judge(Some(&held_by("other", "2")), &mut seen), Claim::Wait, "it was renewed since");
}
#[test]
fn a_holder_with_a_longer_lease_is_believed_for_as_long_as_it_says_within_reason() {
    let mut lease = held_by("other", "1");
    let mut belief = |seconds: Option<i32>| {
        lease.spec.as_mut().unwrap().lease_duration_seconds = seconds;
        election().belief(&lease).as_secs()
    };
    assert_eq!([None, Some(-1), Some(5), Some(60), Some(i32::MAX)].map(&mut belief), [15, 15, 15, 60, 300]);
}

/// An API server that has one Lease, minds resourceVersions, and can be cut off from one candidate.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    version: Arc<Mutex<u64>>,
    /// Written by somebody else between the next read and the write that follows it.
    meddle: Arc<Mutex<bool>>,
}

/// Whether a candidate reaches the server.
type Wire = Arc<Mutex<bool>>;

impl Server {
    fn client(&self) -> (Client, Wire) {
        let (server, wire) = (self.clone(), Arc::new(Mutex::new(true)));
        let reached = Arc::clone(&wire);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, reached) = (server.clone(), *reached.lock().unwrap());
            async move {
                if !reached {
                    return Err(std::io::Error::other("cut off"));
                }
                let (head, body) = request.into_parts();
                let sent = body.collect_bytes().await.unwrap();
                let (code, answer) = server.answer(&head.method, serde_json::from_slice(&sent).ok());
                Ok(Response::builder().status(code).body(axum::body::Body::from(answer.to_string())).unwrap())
            }
        });
        (Client::new(service, "gantry-system"), wire)
    }

    fn answer(&self, method: &Method, sent: Option<Value>) -> (u16, Value) {
        let refused = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "refused"}))
        };
        let mut lease = self.lease.lock().unwrap();
        let known = lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method, sent) {
            (&Method::GET, _) => {
                let answer = lease.clone().map_or_else(|| refused(404), |lease| (200, lease));
                if let Some(lease) = lease.as_mut().filter(|_| std::mem::take(&mut *self.meddle.lock().unwrap())) {
                    lease["metadata"]["resourceVersion"] = self.next_version();
                }
                answer
            }
            (&Method::POST, Some(sent)) if known.is_none() => (201, self.store(&mut lease, sent)),
            (&Method::PUT, Some(sent)) if known.as_ref() == Some(&sent["metadata"]["resourceVersion"]) => {
                (200, self.store(&mut lease, sent))
            }
            _ => refused(409),
        }
    }

    fn next_version(&self) -> Value {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        json!(version.to_string())
    }

    fn store(&self, lease: &mut Option<Value>, mut sent: Value) -> Value {
        sent["metadata"]["resourceVersion"] = self.next_version();
        lease.insert(sent).clone()
    }

    fn spec(&self) -> Value {
        self.lease.lock().unwrap().clone().unwrap()["spec"].clone()
    }
}

struct Candidate {
    gate: Gate,
    wire: Wire,
    leads: watch::Receiver<bool>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Candidate {
    fn enter(server: &Server, identity: &str) -> Self {
        let ((client, wire), gate, stop) = (server.client(), Gate::default(), CancellationToken::new());
        let (sender, leads) = watch::channel(false);
        let election = Election {
            identity: identity.into(),
            duration: Duration::from_secs(1),
            interval: Duration::from_millis(20),
            ..election()
        };
        let task = tokio::spawn(election.run(client, gate.clone(), (sender, stop.clone())));
        Self { gate, wire, leads, stop, task }
    }

    async fn comes_to_lead(&mut self, leads: bool) {
        let reached = self.leads.wait_for(|now| *now == leads);
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("within 20 seconds").unwrap();
    }
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_writing_before_another_one_begins() {
    let server = Server::default();
    let mut first = Candidate::enter(&server, "first");
    first.comes_to_lead(true).await;
    let mut second = Candidate::enter(&server, "second");
    assert!(first.gate.is_open() && !second.gate.is_open());
    *first.wire.lock().unwrap() = false;
    let watching = Instant::now();
    while !second.gate.is_open() {
        assert!(watching.elapsed() < Duration::from_secs(20), "the second never leads");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!first.gate.is_open(), "two may write at once");
    first.comes_to_lead(false).await;
    second.comes_to_lead(true).await;
    *first.wire.lock().unwrap() = true;
    let held = Instant::now();
    while held.elapsed() < Duration::from_millis(300) {
        assert!(second.gate.is_open() && !first.gate.is_open(), "the lead came back by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((&server.spec()["holderIdentity"], &server.spec()["leaseTransitions"]), (&json!("second"), &json!(2)));
}

#[tokio::test]
async fn who_stops_gives_the_lead_up_and_another_one_need_not_wait() {
    let server = Server::default();
    let mut first = Candidate::enter(&server, "first");
    first.comes_to_lead(true).await;
    let mut second = Candidate::enter(&server, "second");
    first.stop.cancel();
    drop(first.leads);
    first.task.await.unwrap();
    assert!(!first.gate.is_open());
    let given_up = Instant::now();
    second.comes_to_lead(true).await;
    assert!(given_up.elapsed() < Duration::from_millis(800), "{:?}", given_up.elapsed());
}

#[tokio::test]
async fn work_under_way_may_be_finished_before_the_lead_is_given_up() {
    let server = Server::default();
    let mut leader = Candidate::enter(&server, "leader");
    leader.comes_to_lead(true).await;
    leader.stop.cancel();
    let told = Instant::now();
    // For longer than the Lease lasts: it is still renewed.
    while told.elapsed() < Duration::from_millis(1300) {
        assert!(leader.gate.is_open() && !leader.task.is_finished());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(leader.leads);
    leader.task.await.unwrap();
    assert!(!leader.gate.is_open());
    assert_eq!(server.spec().get("holderIdentity"), None);
}

#[tokio::test]
async fn of_many_candidates_at_once_exactly_one_leads() {
    let server = Server::default();
    let mut all: Vec<_> = (0..8).map(|n| Candidate::enter(&server, &format!("candidate-{n}"))).collect();
    let watching = Instant::now();
    while watching.elapsed() < Duration::from_millis(500) {
        let open = all.iter().filter(|candidate| candidate.gate.is_open()).count();
        assert!(open <= 1, "{open} may write at once");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(all.iter_mut().filter(|candidate| *candidate.leads.borrow()).count(), 1);
}

#[tokio::test]
async fn somebody_who_edits_the_lease_does_not_depose_the_leader() {
    let server = Server::default();
    let mut leader = Candidate::enter(&server, "leader");
    leader.comes_to_lead(true).await;
    leader.leads.mark_unchanged();
    *server.meddle.lock().unwrap() = true;
    let edited = Instant::now();
    while *server.meddle.lock().unwrap() || edited.elapsed() < Duration::from_millis(300) {
        assert!(edited.elapsed() < Duration::from_secs(20), "nobody read the Lease");
        assert!(leader.gate.is_open());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!leader.leads.has_changed().unwrap(), "it was deposed, if only for a moment");
}
