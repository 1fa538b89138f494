//! Whatever goes wrong between the operator and the API server, once at any write: the same end, each change once, then silence.
//!
//! As in `crash.rs` a story is told once without a fault, and then again for each of its writes and each fault; here every space has
//! its own fault, so many are told at once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gantry::api::v1alpha1::{Project, Promotion};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::support::manifest::{deployment, failing};
use crate::support::proxy::{Fault, WatchFault};
use crate::support::quiet;
use crate::support::space::Space;
use crate::support::story::{Story, World, changes, end, reference};
use crate::support::wait;

/// How many stories are told at once: each has a minute, on a machine that does much else.
const AT_ONCE: usize = 8;

/// Promise 4: how long it may take until everything is as it should be after the last fault.
const CONVERGED: Duration = Duration::from_mins(1);

/// What goes wrong with a write and is over then.
const PASSING: [Fault; 6] = [
    Fault::Refused(409),
    Fault::Refused(429),
    Fault::Refused(500),
    Fault::Unanswered,
    Fault::FailedAfterCommit,
    Fault::Repeated,
];

/// One fault of one story.
#[derive(Clone, Copy, Debug)]
struct Point {
    story: Story,
    n: usize,
    fault: Fault,
}

/// A story to which nothing happens: its writes, and how it ends.
struct Told {
    writes: Vec<String>,
    ended: Vec<String>,
}

async fn told(world: &World, story: Story) -> Told {
    let (writes, ended) = reference(world, story).await;
    Told { writes, ended }
}

/// Tells these at once, and gives back how each has ended differently for a minute after the last fault, and how many faults there were.
async fn different(world: &World, points: &[Point], expected: &BTreeMap<Story, Told>) -> (Vec<String>, usize) {
    let since = world.plane.audit().mark();
    let spaces = join_all(points.iter().map(|point| async {
        let space = Space::create(world.client.clone()).await;
        point.story.prepare(world, &space).await;
        world.proxy.fail(&space.name, point.n, point.fault);
        space
    }))
    .await;
    join_all(points.iter().zip(&spaces).map(|(point, space)| world.tell(point.story, space))).await;
    let deadline = Instant::now() + CONVERGED;
    let mut left: Vec<_> = points.iter().zip(&spaces).collect();
    let mut ends = Vec::new();
    while !left.is_empty() && Instant::now() < deadline {
        let changes = changes(world, since);
        ends = join_all(left.iter().map(|(_, space)| end(world, space, &changes))).await;
        let still = left.iter().zip(&ends).filter(|((point, _), ended)| **ended != expected[&point.story].ended);
        let still: Vec<_> = still.map(|(one, ended)| (*one, ended.clone())).collect();
        (left, ends) = still.into_iter().unzip();
    }
    let wrong = left.iter().zip(&ends).map(|((point, space), ended)| {
        let known = &expected[&point.story];
        let ours: Vec<_> = ended.iter().filter(|line| !known.ended.contains(line)).collect();
        let theirs: Vec<_> = known.ended.iter().filter(|line| !ended.contains(line)).collect();
        let write = known.writes.get(point.n - 1);
        format!("{point:?} at {write:?} in {}: {ours:#?} instead of {theirs:#?}", space.name)
    });
    let happened = spaces.iter().filter(|space| world.proxy.has_reached(&space.name)).count();
    let wrong = wrong.collect();
    world.proxy.forget();
    (wrong, happened)
}

/// All of these, some at once.
async fn all_end_the_same(world: &World, points: &[Point], expected: &BTreeMap<Story, Told>) {
    let (mut wrong, mut happened) = (Vec::new(), 0);
    for points in points.chunks(AT_ONCE) {
        let (different, faults) = different(world, points, expected).await;
        wrong.extend(different);
        happened += faults;
    }
    // Past the capture of a test's output: a pass says, too, how much it has shown.
    let told = format!("{happened} of {} faults happened", points.len());
    let _ = writeln!(std::io::stderr(), "{told}");
    assert!(wrong.is_empty(), "{told}\n{}", wrong.join("\n"));
    assert!(10 * happened >= 9 * points.len(), "{told}");
    quiet::until_quiet(&world.plane).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_with_a_write_the_end_is_the_same_each_change_once_and_then_silence() {
    let world = World::start("faults").await;
    let (mut points, mut expected) = (Vec::new(), BTreeMap::new());
    for story in [Story::First, Story::Second] {
        let told = told(&world, story).await;
        for n in 1..=told.writes.len() {
            // A whole promotion with every fault at every write; what is made around it the first time with one at each.
            let some =
                PASSING.iter().enumerate().filter(|(place, _)| story == Story::Second || *place == n % PASSING.len());
            points.extend(some.map(|(_, fault)| Point { story, n, fault: *fault }));
        }
        expected.insert(story, told);
    }
    all_end_the_same(&world, &points, &expected).await;
    world.stop_watching();
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_end_or_expire_in_the_middle_of_a_promotion_change_nothing() {
    let world = World::start("watches").await;
    let told = told(&world, Story::Second).await;
    let mut points = Vec::new();
    for n in 1..=told.writes.len() {
        let fault = if n % 2 == 0 { WatchFault::Cut } else { WatchFault::Expired };
        points.push(Point { story: Story::Second, n, fault: Fault::Watches(fault) });
    }
    all_end_the_same(&world, &points, &BTreeMap::from([(Story::Second, told)])).await;
    world.stop_watching();
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_fall_silent_are_noticed_and_everything_converges_within_a_minute() {
    let world = World::start("silence").await;
    let image = format!("{}/checkout", world.plane.registry().host());
    let space = Space::create(world.client.clone()).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.0.0").await;
    let stuck = space.promote("checkout", "1.0.0", "dev").await;
    wait::object(&space.api(), &stuck, "waiting for its pods", |known: &Promotion| {
        let status = known.status.as_ref();
        status.is_some_and(|status| status.message.as_ref().is_some_and(|said| said.contains("Deployment checkout")))
    })
    .await;
    world.proxy.break_watches(WatchFault::Silent);
    let begun = Instant::now();
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<Promotion>().patch(&stuck, &PatchParams::default(), &cancel).await.expect("canceled");
    space.project("checkout", &image, json!([deployment("checkout", &image)])).await;
    let ended = space.ended(&stuck).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Canceled"), "{:?}", ended.message);
    space.release("checkout", "2.0.0").await;
    space.deploy("checkout", "2.0.0", "dev").await;
    assert!(begun.elapsed() < CONVERGED, "it took {:?}", begun.elapsed());
    world.stop_watching();
}

/// Cancels a promotion that runs; the answer to the write of its end is lost, unless another write of the space came first, and
/// that to the write of its record, if wanted.
async fn canceled_unheard(world: &World, space: &Space, (version, record): (&str, bool)) -> Option<String> {
    let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "a".repeat(64))}]);
    let spec = json!({"project": "checkout", "version": version, "packages": packages});
    let release = format!("checkout-{version}");
    space.apply(space.object("Release", &release, spec)).await;
    space.sealed(&release).await;
    let name = space.promote("checkout", version, "dev").await;
    // The project's row is the last to say so.
    wait::object(&space.api(), "checkout", "waiting for its pods", |known: &Project| {
        let rows = known.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
        let said = rows.iter().filter_map(|row| row.running.as_ref()).map(|running| format!("{running:?}"));
        said.into_iter().any(|running| running.contains(version) && running.contains("Deployment checkout"))
    })
    .await;
    world.proxy.fail(&space.name, 1, Fault::Unanswered);
    if record {
        world.proxy.fail_at(&space.name, "POST auditrecords/", Fault::Unanswered);
    }
    let cancel = Patch::Merge(json!({"spec": {"cancel": {"reason": "enough"}}}));
    space.api::<Promotion>().patch(&name, &PatchParams::default(), &cancel).await.expect("canceled");
    wait::object(&space.api(), &name, "recorded", |known: &Promotion| known.metadata.finalizers.is_none()).await;
    let seen = world.proxy.seen(&space.name);
    world.proxy.forget();
    let records = seen.iter().filter(|write| write.contains("/auditrecords?")).count();
    assert_eq!(records, if record { 2 } else { 1 }, "what is not answered is written again: {seen:?}");
    seen.first().is_some_and(|write| write.contains(&format!("promotions/{name}/status"))).then_some(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_told_and_counted_once_although_the_answers_to_its_write_and_to_that_of_its_record_were_lost() {
    let world = World::start("unheard").await;
    let image = format!("{}/checkout", world.plane.registry().host());
    let space = Space::create(world.client.clone()).await;
    space.environment("dev", 10).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    let mut canceled = 0;
    for record in [false, true] {
        let (most, mut unheard) = (canceled + 5, None);
        while unheard.is_none() && canceled < most {
            canceled += 1;
            unheard = canceled_unheard(&world, &space, (&format!("1.{canceled}.0"), record)).await;
        }
        let name = unheard.expect("one whose end was not heard of");
        wait::eventually(&format!("it is told once, record unanswered: {record}"), || async {
            let about = ListParams::default().fields(&format!("regarding.kind=Promotion,regarding.name={name}"));
            let told = space.api::<Event>().list(&about).await.ok()?.items;
            let ends = told.iter().filter(|event| event.reason.as_deref() == Some("Canceled"));
            (ends.map(|event| event.series.as_ref().map_or(1, |series| series.count)).sum::<i32>() == 1).then_some(())
        })
        .await;
    }
    let (_, metrics) = world.operator.get("/metrics").await.expect("metrics");
    let of_space = |line: &&str| line.starts_with("gantry_promotions_total") && line.contains(&space.name);
    let counted: Vec<_> = metrics.lines().filter(of_space).collect();
    assert!(counted.len() == 1 && counted[0].contains("result=\"Canceled\""), "{counted:?}");
    assert!(counted[0].ends_with(&format!(" {canceled}")), "each once: {counted:?}");
    world.stop_watching();
}

/// What the stories did to workloads.
fn workloads(ended: &[String]) -> Vec<String> {
    let workload = |line: &&String| ["Deployment ", "ConfigMap "].iter().any(|kind| line.starts_with(kind));
    ended.iter().filter(workload).cloned().collect()
}

/// A right that is missing for a moment fails a promotion that needs it just then, which says so; the next one ends as ever.
async fn with_a_right_that_was_missing(world: &World, told: &Told, n: usize) {
    let since = world.plane.audit().mark();
    let space = Space::create(world.client.clone()).await;
    Story::Second.prepare(world, &space).await;
    world.proxy.fail(&space.name, n, Fault::Refused(403));
    world.tell(Story::Second, &space).await;
    let write = &told.writes[n - 1];
    let promotion: Promotion = space.api().get("checkout-2.0.0-dev").await.expect("the promotion");
    let status = promotion.status.expect("a status");
    let failed = status.phase.as_deref() == Some("Failed");
    if failed {
        let said = status.message.unwrap_or_default();
        assert!(said.contains("Forbidden: a fault that the test made"), "{write}: {said}");
        let spec = json!({"project": "checkout", "version": "2.0.0", "environment": "dev"});
        space.apply(space.object("Promotion", "again", spec)).await;
        let again = space.ended("again").await.status.expect("a status");
        assert_eq!(again.phase.as_deref(), Some("Succeeded"), "{write}: {:?}", again.message);
    }
    wait::eventually(&format!("the same end where {write} was forbidden"), || async {
        let ended = end(world, &space, &changes(world, since)).await;
        let same = if failed { workloads(&ended) == workloads(&told.ended) } else { ended == told.ended };
        same.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_forbidden_once_fails_its_promotion_at_most_and_the_next_one_ends_the_same() {
    let world = World::start("forbidden").await;
    let told = told(&world, Story::Second).await;
    assert!(!workloads(&told.ended).is_empty());
    let places: Vec<_> = (1..=told.writes.len()).collect();
    for some in places.chunks(AT_ONCE) {
        join_all(some.iter().map(|n| with_a_right_that_was_missing(&world, &told, *n))).await;
    }
    quiet::until_quiet(&world.plane).await;
    world.stop_watching();
}
