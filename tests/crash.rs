//! Killing the operator at any write and starting it again ends the same, each effect once.
//!
//! Every story is told once without a death. Then it is told again for each of its writes, and the operator is killed just after the
//! API server took that write, before it hears of it. (A death just before the next write would be the same one: what the process
//! learned in between dies with it. Only the first write has a "before".) Several spaces tell their stories at once, each up to a
//! write of its own, so that one death is one for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};

use crate::support::proxy::{Moment, kind};
use crate::support::space::Space;
use crate::support::story::{STORIES, Story, World, changes, end, reference};

/// How many spaces share a death: fewer than a controller of the operator has workers, since each may hold one up.
const AT_ONCE: usize = 15;

/// At how many writes the operator must have died at least: several dozen.
const DEATHS: usize = 100;
/// How much later than the story the audit log, the rows of releases and the checkpoints may be: what the README promises. An operator
/// that starts again looks at the records of each space once, in turn, and here are hundreds of spaces.
const LATE: Duration = Duration::from_mins(1);

/// One death.
#[derive(Clone, Copy, Debug)]
struct Point {
    story: Story,
    n: usize,
    moment: Moment,
}

impl Point {
    fn is(self, other: &Self) -> bool {
        (self.story, self.n) == (other.story, other.n)
    }
}

/// Tells stories at once, each up to its write; kills the operator there and starts it again. Where writes were coalesced, there
/// may be fewer of them than in the reference, and the armed one never comes. Gives back those that never came.
async fn tell_with_a_death(world: &World, points: &[Point], expected: &BTreeMap<Story, Vec<String>>) -> Vec<Point> {
    let since = world.plane.audit().mark();
    let spaces = join_all(points.iter().map(|point| async {
        let space = Space::create(world.client.clone()).await;
        point.story.prepare(world, &space).await;
        space
    }))
    .await;
    for (point, space) in points.iter().zip(&spaces) {
        world.proxy.arm(&space.name, point.n, point.moment);
    }
    let told = join_all(points.iter().zip(&spaces).map(|(point, space)| async {
        world.tell(point.story, space).await;
        world.proxy.is_over(&space.name);
    }));
    let death = async {
        let reached = world.proxy.until_stopped().await;
        if reached > 0 {
            world.operator.kill(&world.plane);
            world.proxy.disarm();
            world.operator.resume(&world.plane).await;
        }
    };
    join(told, death).await;
    let deadline = Instant::now() + LATE;
    let mut left: Vec<_> = points.iter().zip(&spaces).collect();
    while !left.is_empty() {
        let (late, audit) = (Instant::now() > deadline, changes(world, since));
        let ends = join_all(left.iter().map(|(_, space)| end(world, space, &audit))).await;
        let mut others = Vec::new();
        for ((point, space), ended) in left.into_iter().zip(ends) {
            if ended != expected[&point.story] {
                let seen = world.proxy.seen(&space.name);
                assert!(!late, "{point:?} in {}: {ended:#?} {:#?} {seen:#?}", space.name, expected[&point.story]);
                others.push((point, space));
            }
        }
        left = others;
    }
    let never_came = |(point, space): (&Point, &Space)| (!world.proxy.has_reached(&space.name)).then_some(*point);
    let missed = points.iter().zip(&spaces).filter_map(never_came).collect();
    world.proxy.forget();
    missed
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_the_operator_ends_the_same() {
    let world = World::start("crash").await;

    let (mut points, mut expected, mut named) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for story in STORIES {
        let (writes, ended) = reference(&world, story).await;
        let records = writes.iter().filter(|write| write.contains("/auditrecords")).count();
        let kept = ended.iter().filter(|told| told.starts_with("record ")).count();
        assert!(records <= kept, "without a death every record is written once: {writes:#?} {ended:#?}");
        points.push(Point { story, n: 1, moment: Moment::Before });
        points.extend((1..=writes.len()).map(|n| Point { story, n, moment: Moment::AfterCommit }));
        expected.insert(story, ended);
        named.insert(story, writes);
    }
    assert!(expected[&Story::Second].contains(&"ConfigMap kept was in 2 states".to_owned()), "{expected:#?}");
    let mut missed = Vec::new();
    for points in points.chunks(AT_ONCE) {
        missed.extend(tell_with_a_death(&world, points, &expected).await);
    }
    world.stop_watching();
    let deaths = points.len() - missed.len();
    let write = |point: &Point| kind(&named[&point.story][point.n - 1]);
    let never: BTreeSet<String> = missed.iter().map(write).collect();
    let came = points.iter().filter(|point| !missed.iter().any(|one| one.is(point))).map(write).collect();
    let never: Vec<&String> = never.difference(&came).collect();
    assert!(never.is_empty(), "nobody ever died at these: {never:?}");
    let missed: Vec<_> =
        missed.iter().map(|point| format!("{point:?}: {}", named[&point.story][point.n - 1])).collect();
    // Past the capture of a test's output: a pass says, too, how much it has shown.
    let told = format!("the operator died at {deaths} of {} writes; these never came: {missed:#?}", points.len());
    let _ = writeln!(std::io::stderr(), "{told}");
    assert!(deaths >= DEATHS && 10 * deaths >= 7 * points.len(), "{told}");
}
