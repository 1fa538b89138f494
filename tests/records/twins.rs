//! Two operators that both believe they lead, one of which dies at each of its writes, one after the other: what happens meanwhile is
//! recorded once, and sealed once.
//!
//! Both run under one identity, so each takes the leader Lease for its own and renews it: the gate of neither ever closes.

use std::collections::BTreeSet;
use std::io::Write as _;

use futures::future::join_all;
use gantry::api::v1alpha1::{AuditRecord, CommandRun, Environment, Freeze, Promotion, Release};
use gantry::domain::audit::Checkpoint;
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::sentence;
use crate::support::manifest::config_map;
use crate::support::operator::Operator;
use crate::support::proxy::{Moment, Proxy, kind};
use crate::support::sealed::{self, checkpoints};
use crate::support::shared;
use crate::support::space::Space;
use crate::support::wait;

/// In so many spaces one of the two dies at once, each time at another write: fewer than a controller has workers.
const AT_ONCE: usize = 12;

/// Merges this into an object, as an administrator.
async fn patch<K>(space: &Space, name: &str, spec: Value)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let patch = Patch::Merge(json!({ "spec": spec }));
    space.api::<K>().patch(name, &PatchParams::default(), &patch).await.expect("an administrator may");
}

/// What people do in a space: of everything that is recorded one, and of what is recorded generation by generation several.
async fn live(space: &Space, image: &str) {
    let approvals = json!({"required": 1, "allowRequester": true});
    space.environment_with("dev", json!({"order": 10, "approvals": approvals})).await;
    let freeze = json!({"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z", "reason": "nobody is there"});
    space.apply(space.object("Freeze", "winter", freeze)).await;
    space.project("checkout", image, json!([config_map("settings", "x")])).await;
    let packages = json!([{"name": "api", "version": "1.0.0", "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": "1.0.0", "packages": packages});
    space.apply(space.object("Release", "checkout-1.0.0", spec)).await;
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "dev",
        "freezeOverride": {"names": ["winter"], "reason": "CHG-1"}});
    space.apply(space.object("Promotion", "urgent", spec)).await;
    let waiting = space.in_phase("urgent", "Pending", Some("ApprovalsMissing")).await;
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone());
    let spec = json!({"promotion": "urgent", "promotionUid": waiting.uid(), "environment": "dev", "planDigest": digest,
        "decision": "Approve"});
    space.apply(space.object("Approval", "yes", spec)).await;
    wait::object(&space.api(), "urgent", "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
    let restart = json!({"environment": "dev", "project": "checkout", "reason": "CHG-2",
        "restart": {"workload": "Deployment/none"}});
    space.apply(space.object("CommandRun", "again", restart)).await;
    wait::object(&space.api(), "again", "finished", |known: &CommandRun| {
        known.status.as_ref().is_some_and(|status| status.finished)
    })
    .await;
    for order in 11..=13 {
        patch::<Environment>(space, "dev", json!({ "order": order })).await;
    }
    patch::<Release>(space, "checkout-1.0.0", json!({"blocked": {"reason": "bug 42"}})).await;
    patch::<Release>(space, "checkout-1.0.0", json!({"blocked": null})).await;
    space.api::<Freeze>().delete("winter", &DeleteParams::default()).await.expect("deleted");
    space.environment_ready("dev").await;
    let bindings = space.in_environment::<RoleBinding>("dev");
    bindings.delete("gantry-impersonator", &DeleteParams::default()).await.expect("deleted");
    wait::object(&bindings, "gantry-impersonator", "made again", |_: &RoleBinding| true).await;
}

/// What is recorded of it.
const RECORDED: [&str; 15] = [
    "gantry-plane-admin: Changed 2",
    "gantry-plane-admin: Changed 3",
    "gantry-plane-admin: Changed 4",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Created 1",
    "gantry-plane-admin: Succeeded",
    "gantry-plane-admin: approved, which counts: true",
    "gantry-plane-admin: blocked false 3",
    "gantry-plane-admin: blocked true 2",
    "gantry-plane-admin: had restart of Deployment/none",
    "gantry-plane-admin: overrides winter",
    "nobody: Claimed namespace SPACE-dev",
    "nobody: Corrected RoleBinding SPACE-dev/gantry-impersonator",
    "nobody: Deleted 0",
];

/// What is recorded in a space.
async fn said(space: &Space) -> Vec<String> {
    let records = space.api::<AuditRecord>().list(&ListParams::default()).await.expect("records").items;
    let mut said: Vec<String> = records.iter().map(sentence).collect();
    said.sort();
    said
}

/// Waits until that is recorded and sealed, and fails if anything is missing, or more than once.
async fn recorded(space: &Space, died: &str) {
    let all = wait::eventually("everything is recorded", || async {
        (said(space).await.len() >= RECORDED.len()).then_some(())
    });
    // What is missing is told below.
    let _ = tokio::time::timeout(wait::PATIENCE / 2, all).await;
    assert_eq!(said(space).await, RECORDED, "{}: {died}", space.name);
    let names = sealed::everything(space).await;
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!((names.len(), different.len()), (RECORDED.len(), RECORDED.len()), "{died}: {names:?}");
    let chain = checkpoints(space).await;
    assert!(chain.iter().all(Checkpoint::is_whole), "{died}");
    assert!(chain.iter().zip(1..).all(|(one, number)| one.number == number), "{died}");
    assert!(chain.windows(2).all(|two| two[1].previous == Some(two[0].root)), "{died}");
}

/// The kinds of writes that a proxy has seen in these spaces.
fn kinds(proxy: &Proxy, spaces: &[Space]) -> BTreeSet<String> {
    spaces.iter().flat_map(|space| proxy.seen(&space.name)).map(|write| kind(&write)).collect()
}

/// Where one of the two dies.
#[derive(Clone, Debug)]
enum Death {
    /// At this write of a space.
    Nth(usize, Moment),
    /// After the first write of this kind.
    At(String),
}

/// Two operators, of which the first is mortal.
struct Twins {
    plane: Plane,
    client: Client,
    image: String,
    mortal: (Operator, Proxy),
    other: (Operator, Proxy),
}

impl Twins {
    async fn born() -> Self {
        let plane = shared::own(Options::default().with_simulated_nodes(0)).await;
        let (one, two) = (Proxy::start(&plane, "one").await, Proxy::start(&plane, "other").await);
        let mortal = Operator::start_as(&plane, ("one", "one"), one.kubeconfig.clone()).await;
        let other = Operator::start_as(&plane, ("other", "one"), two.kubeconfig.clone()).await;
        for operator in [&mortal, &other] {
            wait::eventually("both lead", || async { operator.leads().await.then_some(()) }).await;
        }
        let client = plane.client(&Identity::Admin).await.expect("a client");
        let image = format!("{}/checkout", plane.registry().host());
        Self { plane, client, image, mortal: (mortal, one), other: (other, two) }
    }

    async fn spaces(&self, count: usize) -> Vec<Space> {
        join_all((0..count).map(|_| Space::create(self.client.clone()))).await
    }

    /// Nobody dies: both record, both seal. Gives back how many writes the mortal one had at most, and of which kinds.
    async fn undisturbed(&self) -> (usize, BTreeSet<String>) {
        let (spaces, one) = (self.spaces(4).await, &self.mortal.1);
        for proxy in [one, &self.other.1] {
            for space in &spaces {
                proxy.count(&space.name);
            }
        }
        join_all(spaces.iter().map(|space| live(space, &self.image))).await;
        join_all(spaces.iter().map(|space| recorded(space, "nobody died"))).await;
        for proxy in [one, &self.other.1] {
            let kinds = kinds(proxy, &spaces);
            for what in ["POST auditrecords/", "POST auditcheckpoints/"] {
                assert!(kinds.contains(what), "one of them wrote no {what}, so this shows nothing: {kinds:?}");
            }
        }
        let most = spaces.iter().map(|space| one.seen(&space.name).len()).max().unwrap_or_default();
        let kinds = kinds(one, &spaces);
        one.forget();
        self.other.1.forget();
        (most, kinds)
    }

    /// One dies, in each space at its own write, and comes back when the other one has done its work. Gives back at what kind of write it
    /// died in each; where the other one was faster, its write may never have come.
    async fn survive(&self, deaths: &[Death]) -> Vec<String> {
        let (spaces, (mortal, proxy)) = (self.spaces(deaths.len()).await, &self.mortal);
        for (death, space) in deaths.iter().zip(&spaces) {
            match death {
                Death::Nth(n, moment) => proxy.arm(&space.name, *n, *moment),
                Death::At(kind) => proxy.arm_at(&space.name, kind),
            }
        }
        join_all(spaces.iter().map(|space| live(space, &self.image))).await;
        mortal.kill(&self.plane);
        proxy.disarm();
        let reached = deaths.iter().zip(&spaces).filter(|(_, space)| proxy.has_reached(&space.name));
        let died_at = reached.filter_map(|(death, space)| match death {
            Death::Nth(n, _) => proxy.seen(&space.name).get(n - 1).map(|write| kind(write)),
            Death::At(kind) => Some(kind.clone()),
        });
        let died_at: Vec<String> = died_at.collect();
        mortal.resume(&self.plane).await;
        wait::eventually("both lead again", || async { mortal.leads().await.then_some(()) }).await;
        let died = deaths.iter().map(|death| format!("one died {death:?}"));
        join_all(spaces.iter().zip(died).map(|(space, died)| async move { recorded(space, &died).await })).await;
        proxy.forget();
        died_at
    }
}

// Attack T38.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_that_both_lead_and_one_that_dies_at_any_write_record_and_seal_everything_once() {
    let twins = Twins::born().await;
    let (most, kinds) = twins.undisturbed().await;
    // A death just before the next write would be the same one.
    let first = Death::Nth(1, Moment::Before);
    let nth = (1..=most).map(|n| Death::Nth(n, Moment::AfterCommit));
    let deaths: Vec<Death> = std::iter::once(first).chain(nth).collect();
    let mut died_at = Vec::new();
    for deaths in deaths.chunks(AT_ONCE) {
        died_at.extend(twins.survive(deaths).await);
    }
    let happened = died_at.len();
    // Which write is the n-th is a matter of the race between the two: whatever nobody died at by chance, one dies at now.
    let missing =
        |died_at: &[String]| -> Vec<String> { kinds.iter().filter(|kind| !died_at.contains(kind)).cloned().collect() };
    for _ in 0..2 {
        let missing: Vec<Death> = missing(&died_at).into_iter().map(Death::At).collect();
        let twice: Vec<Death> = missing.iter().chain(&missing).cloned().collect();
        for deaths in twice.chunks(AT_ONCE) {
            died_at.extend(twins.survive(deaths).await);
        }
    }
    let never = missing(&died_at);
    // Past the capture of a test's output: a pass says, too, how much it has shown.
    let told = format!(
        "one of two leaders died at {happened} of {} writes, and never at one of these: {never:?}",
        deaths.len()
    );
    let _ = writeln!(std::io::stderr(), "{told}");
    assert!(!never.iter().any(|kind| kind.contains("audit") || kind.contains("commandruns")), "{told}");
    assert!(10 * happened >= 7 * deaths.len() && 10 * never.len() <= 2 * kinds.len(), "{told}");
}
