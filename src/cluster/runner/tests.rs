//! The runner on paused time: every pause passes at once, and every moment is exact.

use std::sync::{Arc, Mutex};

use super::*;

/// When each run began, since the test began.
type Starts = Arc<Mutex<Vec<(String, Duration)>>>;

#[derive(Debug, thiserror::Error)]
#[error("a failure of class {0:?}")]
struct Failure(Class, bool);

impl RunError for Failure {
    fn class(&self) -> Class {
        self.0
    }
    fn is_conflict(&self) -> bool {
        self.1
    }
}

struct Trial {
    queue: Queue,
    starts: Starts,
    stop: CancellationToken,
    runner: tokio::task::JoinHandle<()>,
    metrics: Metrics,
}

impl Trial {
    /// Runs `reconcile` with the number of runs that its key had before.
    fn begin<Fut>(quiet: Quiet, workers: usize, reconcile: impl Fn(usize) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<Next, Failure>> + Send + 'static,
    {
        let (queue, requests) = Queue::new();
        let (starts, stop, metrics) = (Starts::default(), CancellationToken::new(), Metrics::new().unwrap());
        let (begun, recorded) = (Instant::now(), Arc::clone(&starts));
        let settings = Settings { name: "trial", workers, quiet };
        let runner = tokio::spawn(run(settings, requests, (metrics.clone(), stop.clone()), move |key| {
            let mut recorded = recorded.lock().unwrap();
            let before = recorded.iter().filter(|(name, _)| *name == key.name).count();
            recorded.push((key.name, begun.elapsed()));
            reconcile(before)
        }));
        Self { queue, starts, stop, runner, metrics }
    }

    fn ask(&self, name: &str) {
        self.queue.add(Key::new("shop", name));
    }

    async fn ends(self) -> Vec<(String, Duration)> {
        self.stop.cancel();
        self.runner.await.expect("the runner itself never panics");
        let starts = self.starts.lock().unwrap();
        starts.clone()
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn times(starts: &[(String, Duration)]) -> Vec<Duration> {
    starts.iter().map(|(_, at)| *at).collect()
}

fn ok() -> impl Future<Output = Result<Next, Failure>> + Send {
    std::future::ready(Ok(Next::Await))
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_at_once_and_requests_before_it_are_one_run() {
    let trial = Trial::begin(Quiet::NONE, 4, |_| ok());
    for _ in 0..10 {
        trial.ask("a");
    }
    pass(ms(5)).await;
    assert_eq!(times(&trial.ends().await), [ms(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_during_a_run_is_one_more_run_after_it() {
    let trial = Trial::begin(Quiet::NONE, 4, |_| async {
        tokio::time::sleep(ms(10)).await;
        Ok(Next::Await)
    });
    trial.ask("a");
    pass(ms(5)).await;
    for _ in 0..10 {
        trial.ask("a");
    }
    pass(ms(50)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(10)]);
}

#[tokio::test(start_paused = true)]
async fn no_more_keys_run_at_once_than_there_are_workers() {
    let trial = Trial::begin(Quiet::NONE, 2, |_| async {
        tokio::time::sleep(ms(10)).await;
        Ok(Next::Await)
    });
    for name in ["a", "b", "c", "d", "e"] {
        trial.ask(name);
    }
    pass(ms(100)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(0), ms(10), ms(10), ms(20)]);
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_run_is_coalesced_to_one_run_a_quiet_period() {
    let trial = Trial::begin(Quiet::always(ms(200)), 4, |_| ok());
    for _ in 0..100 {
        trial.ask("a");
        pass(ms(10)).await;
    }
    pass(ms(1000)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(200), ms(400), ms(600), ms(800), ms(1000)]);
}

#[tokio::test(start_paused = true)]
async fn the_longer_a_burst_lasts_the_longer_a_key_rests_and_after_it_as_little_as_before() {
    let trial = Trial::begin(Quiet { least: ms(200), most: ms(1000) }, 4, |_| ok());
    for _ in 0..300 {
        trial.ask("a");
        pass(ms(10)).await;
    }
    pass(ms(2000)).await;
    trial.ask("a");
    pass(ms(50)).await;
    trial.ask("a");
    pass(ms(1000)).await;
    assert_eq!(times(&trial.ends().await), [0, 200, 600, 1400, 2400, 3400, 5000, 5200].map(ms));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for_again_by_its_own_write_is_no_burst() {
    let trial = Trial::begin(Quiet { least: ms(200), most: ms(1000) }, 4, |_| ok());
    for _ in 0..4 {
        trial.ask("a");
        pass(ms(10)).await;
        trial.ask("a");
        pass(ms(200)).await;
    }
    assert_eq!(times(&trial.ends().await), [0, 200, 400, 600, 800].map(ms));
}

#[tokio::test(start_paused = true)]
async fn the_first_request_after_a_quiet_period_runs_at_once() {
    let trial = Trial::begin(Quiet::always(ms(200)), 4, |_| ok());
    trial.ask("a");
    pass(ms(300)).await;
    trial.ask("a");
    pass(ms(10)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(300)]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_many_years_does_not_end_the_runner() {
    let trial = Trial::begin(Quiet::NONE, 4, |_| async { Ok(Next::After(Duration::MAX)) });
    trial.ask("a");
    pass(ms(10)).await;
    trial.ask("b");
    pass(ms(10)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_early_when_somebody_asks() {
    let trial = Trial::begin(Quiet::NONE, 4, |before| async move {
        Ok(if before == 0 { Next::After(Duration::from_mins(1)) } else { Next::Await })
    });
    trial.ask("a");
    pass(ms(50)).await;
    trial.ask("a");
    pass(Duration::from_mins(2)).await;
    assert_eq!(times(&trial.ends().await), [ms(0), ms(50)]);
}

#[tokio::test(start_paused = true)]
async fn the_first_conflict_runs_again_at_once_and_the_second_waits() {
    let trial = Trial::begin(Quiet::NONE, 4, |before| async move {
        if before < 2 { Err(Failure(Class::Retryable, true)) } else { Ok(Next::Await) }
    });
    trial.ask("a");
    pass(Duration::from_secs(10)).await;
    let starts = times(&trial.ends().await);
    assert_eq!((starts.len(), starts[1]), (3, ms(0)));
    assert!(starts[2] >= ms(50), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn the_change_that_caused_a_conflict_wakes_at_once() {
    let trial = Trial::begin(Quiet::NONE, 4, |before| async move {
        if before < 4 { Err(Failure(Class::Retryable, true)) } else { Ok(Next::Await) }
    });
    for _ in 0..5 {
        trial.ask("a");
        pass(ms(1)).await;
    }
    let starts = times(&trial.ends().await);
    assert!(starts.len() >= 5 && starts[4] <= ms(5), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_wakes_a_failing_object_does_not_defeat_its_back_off() {
    let trial = Trial::begin(Quiet::NONE, 4, |_| async { Err(Failure(Class::Retryable, false)) });
    for _ in 0..1000 {
        trial.ask("a");
        pass(ms(10)).await;
    }
    let starts = times(&trial.ends().await);
    assert!(starts.len() <= 12, "{} runs in ten seconds", starts.len());
}

#[tokio::test(start_paused = true)]
async fn a_failing_object_is_tried_again_within_a_minute_so_that_all_converges_after_faults() {
    let trial = Trial::begin(Quiet::NONE, 4, |_| async { Err(Failure(Class::Retryable, false)) });
    trial.ask("a");
    pass(Duration::from_hours(1)).await;
    let starts = times(&trial.ends().await);
    let longest = starts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap();
    assert!(longest < Duration::from_secs(55), "{longest:?}");
    assert!(starts.len() < 400, "and it backs off: {} runs in an hour", starts.len());
}

#[tokio::test(start_paused = true)]
async fn a_mended_object_is_seen_soon_though_it_failed_for_long() {
    let trial = Trial::begin(Quiet::NONE, 4, |before| async move {
        if before < 20 { Err(Failure(Class::Blocked, false)) } else { Ok(Next::Await) }
    });
    trial.ask("a");
    while trial.starts.lock().unwrap().len() < 20 {
        pass(ms(1)).await;
    }
    let failed = trial.starts.lock().unwrap()[19].1;
    trial.ask("a");
    pass(Duration::from_mins(1)).await;
    let seen = times(&trial.ends().await)[20];
    assert!(seen <= failed + Duration::from_secs(10), "failed at {failed:?}, seen at {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_quarantines_only_the_object_that_caused_it() {
    let trial = Trial::begin(Quiet::NONE, 1, |_| async { panic!("on purpose") as Result<Next, Failure> });
    for _ in 0..100 {
        trial.ask("bad");
        pass(ms(10)).await;
    }
    trial.ask("other");
    pass(ms(10)).await;
    let text = trial.metrics.text().unwrap();
    let starts = trial.ends().await;
    let names: Vec<&str> = starts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bad", "other"]);
    assert!(text.contains(r#"gantry_reconciles_total{controller="trial",outcome="panicked"} 2"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn runs_under_way_are_finished_before_the_runner_ends() {
    let finished = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&finished);
    let trial = Trial::begin(Quiet::NONE, 4, move |_| {
        let seen = Arc::clone(&seen);
        async move {
            tokio::time::sleep(ms(500)).await;
            *seen.lock().unwrap() = true;
            Ok(Next::Again)
        }
    });
    trial.ask("a");
    pass(ms(10)).await;
    assert_eq!(trial.ends().await.len(), 1, "and nothing new begins");
    assert!(*finished.lock().unwrap());
}
