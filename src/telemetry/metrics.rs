//! Every metric, in one place. Labels are closed or bounded by objects of the API; a promotion, a user or a message is none.

use std::collections::HashMap;
use std::time::Duration;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::pulse::Pulse;

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// As it should.
    Ok,
    /// Somebody else wrote first; it runs again at once.
    Conflict,
    /// It failed and is tried again.
    Failed,
    /// It panicked.
    Panicked,
}

impl RunOutcome {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// A project in an environment of a space: the labels of everything about deployments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The space.
    pub space: String,
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: String,
}

impl Place {
    fn labels(&self) -> [&str; 3] {
        [&self.space, &self.project, &self.environment]
    }

    fn labels_and<'a>(&'a self, more: &'a str) -> [&'a str; 4] {
        [&self.space, &self.project, &self.environment, more]
    }
}

/// How what runs in a place is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether all of it is healthy.
    pub healthy: bool,
    /// Whether somebody changed what was applied.
    pub drifted: bool,
}

/// What is documented of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documented {
    /// Its name.
    pub name: &'static str,
    /// Its labels, comma-separated.
    pub labels: &'static str,
    /// What it says.
    pub help: &'static str,
}

const PLACE: [&str; 3] = ["space", "project", "environment"];

/// The registry and every metric in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pulse: Pulse,
    registry: Registry,
    deployment_info: IntGaugeVec,
    healthy: IntGaugeVec,
    drifted: IntGaugeVec,
    promotions: IntCounterVec,
    promotion_duration: HistogramVec,
    waiting_since: GaugeVec,
    running: IntGaugeVec,
    failed_since: GaugeVec,
    lead_time: HistogramVec,
    commands: IntCounterVec,
    runs: IntCounterVec,
    run_duration: HistogramVec,
    api_requests: IntCounterVec,
    api_duration: HistogramVec,
    events_dropped: IntCounter,
    leader: prometheus::IntGauge,
}

/// Every metric with its labels and meaning: the README's table is made of it.
pub const DOCUMENTED: &[Documented] = &[
    doc("gantry_deployment_info", "space, project, environment, version, target_namespace", "1 for what runs where"),
    doc(
        "gantry_deployment_healthy",
        "space, project, environment, target_namespace",
        "1 while everything that was applied is healthy, else 0",
    ),
    doc(
        "gantry_deployment_drifted",
        "space, project, environment, target_namespace",
        "1 while somebody changed what was applied, else 0",
    ),
    doc("gantry_promotions_total", "space, project, environment, result", "finished promotions"),
    doc("gantry_promotion_duration_seconds", "space, project, environment", "from taking its turn to the end"),
    doc(
        "gantry_promotion_waiting_since_seconds",
        "space, project, environment, reason",
        "Unix time since when the oldest promotion waits",
    ),
    doc("gantry_promotions_running", "space, project, environment", "promotions that run now"),
    doc(
        "gantry_failed_since_seconds",
        "space, project, environment",
        "Unix time of the last end, while it was a failure",
    ),
    doc("gantry_lead_time_seconds", "space, project, environment", "from a release's creation to its success there"),
    doc(
        "gantry_commands_total",
        "space, project, environment, command, result",
        "finished commands: logs, restart or script",
    ),
    doc("gantry_reconciles_total", "controller, outcome", "runs of the controllers"),
    doc("gantry_reconcile_duration_seconds", "controller", "how long a run takes"),
    doc("gantry_api_requests_total", "verb, resource, code", "requests to the API server"),
    doc("gantry_api_request_duration_seconds", "verb", "how long they take, watches apart"),
    doc("gantry_events_dropped_total", "", "Events that could not be written"),
    doc("gantry_leader", "", "1 while this process leads"),
];

const fn doc(name: &'static str, labels: &'static str, help: &'static str) -> Documented {
    Documented { name, labels, help }
}

fn opts(name: &str) -> Opts {
    let help = DOCUMENTED.iter().find(|known| known.name == name).map_or("", |known| known.help);
    Opts::new(name, help)
}

fn histogram(name: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
    let opts = HistogramOpts { common_opts: opts(name), buckets: buckets.to_vec() };
    HistogramVec::new(opts, labels)
}

/// Removes every series of a place, whatever its other labels are.
fn remove_all<B: MetricVecBuilder>(series: &MetricVec<B>, place: &Place)
where
    MetricVec<B>: Collector,
{
    let [space, project, environment] = place.labels();
    let wanted = [("space", space), ("project", project), ("environment", environment)];
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if wanted.iter().all(|(name, value)| labels.get(name) == Some(value)) {
                // Somebody else may have removed it meanwhile.
                let _ = series.remove(&labels);
            }
        }
    }
}

/// Seconds, from a fast answer of an API server to its deadline.
const CALL_BUCKETS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];
/// Seconds, from an instant rollout to an hour.
const ROLLOUT_BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];
/// Seconds, from minutes to a quarter.
const LEAD_BUCKETS: [f64; 8] = [60.0, 600.0, 3600.0, 14_400.0, 86_400.0, 604_800.0, 2_592_000.0, 7_776_000.0];

impl Metrics {
    /// Every metric, registered.
    ///
    /// # Errors
    /// When two metrics have one name, which is a bug of ours.
    pub fn new() -> Result<Self, prometheus::Error> {
        let with = |more: &'static str| [PLACE[0], PLACE[1], PLACE[2], more];
        let metrics = Self {
            pulse: Pulse::default(),
            registry: Registry::new(),
            deployment_info: IntGaugeVec::new(
                opts("gantry_deployment_info"),
                &["space", "project", "environment", "version", "target_namespace"],
            )?,
            healthy: IntGaugeVec::new(opts("gantry_deployment_healthy"), &with("target_namespace"))?,
            drifted: IntGaugeVec::new(opts("gantry_deployment_drifted"), &with("target_namespace"))?,
            promotions: IntCounterVec::new(opts("gantry_promotions_total"), &with("result"))?,
            promotion_duration: histogram("gantry_promotion_duration_seconds", &ROLLOUT_BUCKETS, &PLACE)?,
            waiting_since: GaugeVec::new(opts("gantry_promotion_waiting_since_seconds"), &with("reason"))?,
            running: IntGaugeVec::new(opts("gantry_promotions_running"), &PLACE)?,
            failed_since: GaugeVec::new(opts("gantry_failed_since_seconds"), &PLACE)?,
            lead_time: histogram("gantry_lead_time_seconds", &LEAD_BUCKETS, &PLACE)?,
            commands: IntCounterVec::new(
                opts("gantry_commands_total"),
                &["space", "project", "environment", "command", "result"],
            )?,
            runs: IntCounterVec::new(opts("gantry_reconciles_total"), &["controller", "outcome"])?,
            run_duration: histogram("gantry_reconcile_duration_seconds", &CALL_BUCKETS, &["controller"])?,
            api_requests: IntCounterVec::new(opts("gantry_api_requests_total"), &["verb", "resource", "code"])?,
            api_duration: histogram("gantry_api_request_duration_seconds", &CALL_BUCKETS, &["verb"])?,
            events_dropped: IntCounter::with_opts(opts("gantry_events_dropped_total"))?,
            leader: prometheus::IntGauge::with_opts(opts("gantry_leader"))?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        registry.register(Box::new(self.deployment_info.clone()))?;
        registry.register(Box::new(self.healthy.clone()))?;
        registry.register(Box::new(self.drifted.clone()))?;
        registry.register(Box::new(self.promotions.clone()))?;
        registry.register(Box::new(self.promotion_duration.clone()))?;
        registry.register(Box::new(self.waiting_since.clone()))?;
        registry.register(Box::new(self.running.clone()))?;
        registry.register(Box::new(self.failed_since.clone()))?;
        registry.register(Box::new(self.lead_time.clone()))?;
        registry.register(Box::new(self.commands.clone()))?;
        registry.register(Box::new(self.runs.clone()))?;
        registry.register(Box::new(self.run_duration.clone()))?;
        registry.register(Box::new(self.api_requests.clone()))?;
        registry.register(Box::new(self.api_duration.clone()))?;
        registry.register(Box::new(self.events_dropped.clone()))?;
        registry.register(Box::new(self.leader.clone()))
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// When a metric cannot be written, which is a bug of ours.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    /// Which loops of this process still turn.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// A run of a controller ended.
    pub fn run(&self, controller: &str, outcome: RunOutcome, took: Duration) {
        self.runs.with_label_values(&[controller, outcome.as_str()]).inc();
        self.run_duration.with_label_values(&[controller]).observe(took.as_secs_f64());
    }

    /// The API server answered, or did not.
    pub fn api_request(&self, (verb, resource): (&str, &str), code: &str, took: Duration) {
        self.api_requests.with_label_values(&[verb, resource, code]).inc();
        if verb != "watch" {
            self.api_duration.with_label_values(&[verb]).observe(took.as_secs_f64());
        }
    }

    /// An Event could not be written.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Whether this process leads, as it was last said.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader.get() == 1
    }

    /// A promotion ended; `took` is absent when it never took its turn.
    pub fn promotion_ended(&self, place: &Place, result: &str, took: Option<Duration>) {
        self.promotions.with_label_values(&place.labels_and(result)).inc();
        if let Some(took) = took {
            self.promotion_duration.with_label_values(&place.labels()).observe(took.as_secs_f64());
        }
    }

    /// A command ended: its word, and how.
    pub fn command_ended(&self, place: &Place, (command, result): (&str, &str)) {
        let [space, project, environment] = place.labels();
        self.commands.with_label_values(&[space, project, environment, command, result]).inc();
    }

    /// A release succeeded in an environment, this long after it was made.
    pub fn lead_time(&self, place: &Place, took: Duration) {
        self.lead_time.with_label_values(&place.labels()).observe(took.as_secs_f64());
    }

    /// Shows nothing more of a place: its project or environment is gone.
    pub fn forget(&self, place: &Place) {
        remove_all(&self.deployment_info, place);
        remove_all(&self.healthy, place);
        remove_all(&self.drifted, place);
        remove_all(&self.promotions, place);
        remove_all(&self.promotion_duration, place);
        remove_all(&self.waiting_since, place);
        remove_all(&self.running, place);
        remove_all(&self.failed_since, place);
        remove_all(&self.lead_time, place);
        remove_all(&self.commands, place);
    }

    /// How many promotions run in a place.
    pub fn running(&self, place: &Place, count: i64) {
        self.running.with_label_values(&place.labels()).set(count);
    }

    /// How what runs in a place is doing, and in which namespace; nothing when nothing runs. Replaces what was said of the
    /// namespace `before`.
    pub fn standing(&self, place: &Place, before: Option<&str>, now: Option<(Standing, &str)>) {
        if let Some(namespace) = before.filter(|before| now.is_none_or(|(_, namespace)| namespace != *before)) {
            // A series that is not there needs no removal.
            let _ = self.healthy.remove_label_values(&place.labels_and(namespace));
            let _ = self.drifted.remove_label_values(&place.labels_and(namespace));
        }
        if let Some((standing, namespace)) = now {
            let labels = place.labels_and(namespace);
            self.healthy.with_label_values(&labels).set(i64::from(standing.healthy));
            self.drifted.with_label_values(&labels).set(i64::from(standing.drifted));
        }
    }

    /// Since when promotions wait in a place, and why; nothing when none does.
    pub fn waiting(&self, place: &Place, before: Option<&str>, now: Option<(&str, f64)>) {
        if let Some(reason) = before.filter(|before| now.is_none_or(|(reason, _)| reason != *before)) {
            // A series that is not there needs no removal.
            let _ = self.waiting_since.remove_label_values(&place.labels_and(reason));
        }
        if let Some((reason, since)) = now {
            self.waiting_since.with_label_values(&place.labels_and(reason)).set(since);
        }
    }

    /// Unix time of the last end in a place if it was a failure.
    pub fn failed_since(&self, place: &Place, since: Option<f64>) {
        match since {
            Some(since) => self.failed_since.with_label_values(&place.labels()).set(since),
            None => drop(self.failed_since.remove_label_values(&place.labels())),
        }
    }

    /// What runs in a place and where; replaces what ran there `before`.
    pub fn deployed(&self, place: &Place, before: Option<(&str, &str)>, now: Option<(&str, &str)>) {
        let [space, project, environment] = place.labels();
        if let Some((version, namespace)) = before.filter(|before| Some(*before) != now) {
            let _ = self.deployment_info.remove_label_values(&[space, project, environment, version, namespace]);
        }
        if let Some((version, namespace)) = now {
            self.deployment_info.with_label_values(&[space, project, environment, version, namespace]).set(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_metric_is_registered_and_every_other_way_round() {
        let metrics = Metrics::new().unwrap();
        let place = Place { space: "s".into(), project: "p".into(), environment: "e".into() };
        metrics.deployed(&place, None, Some(("1", "s-e")));
        metrics.standing(&place, None, Some((Standing { healthy: true, drifted: false }, "s-e")));
        metrics.promotion_ended(&place, "Succeeded", Some(Duration::ZERO));
        metrics.waiting(&place, None, Some(("QueuedBehind", 1.0)));
        metrics.running(&place, 1);
        metrics.failed_since(&place, Some(1.0));
        metrics.lead_time(&place, Duration::ZERO);
        metrics.command_ended(&place, ("script", "Succeeded"));
        metrics.run("promotion", RunOutcome::Ok, Duration::ZERO);
        metrics.api_request(("get", "promotions"), "2xx", Duration::ZERO);
        let gathered: Vec<String> = metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let mut documented: Vec<&str> = DOCUMENTED.iter().map(|known| known.name).collect();
        documented.sort_unstable();
        assert_eq!(gathered, documented);
    }

    #[test]
    fn nothing_is_shown_of_a_place_that_is_gone_and_everything_of_others() {
        let metrics = Metrics::new().unwrap();
        let place = |project: &str| Place { space: "s".into(), project: project.into(), environment: "e".into() };
        for place in [place("gone"), place("kept")] {
            metrics.deployed(&place, None, Some(("1", "s-e")));
            metrics.standing(&place, None, Some((Standing { healthy: true, drifted: false }, "s-e")));
            metrics.promotion_ended(&place, "Succeeded", Some(Duration::ZERO));
            metrics.promotion_ended(&place, "Failed", Some(Duration::ZERO));
            metrics.waiting(&place, None, Some(("QueuedBehind", 1.0)));
            metrics.running(&place, 1);
            metrics.failed_since(&place, Some(1.0));
            metrics.lead_time(&place, Duration::ZERO);
            metrics.command_ended(&place, ("logs", "Failed"));
        }
        let before = metrics.text().unwrap().matches("kept").count();
        metrics.forget(&place("gone"));
        let text = metrics.text().unwrap();
        assert!(!text.contains("gone"), "{text}");
        assert_eq!(text.matches("kept").count(), before);
    }

    #[test]
    fn a_series_goes_with_what_it_spoke_of() {
        let metrics = Metrics::new().unwrap();
        let place = Place { space: "s".into(), project: "p".into(), environment: "e".into() };
        metrics.deployed(&place, None, Some(("1", "s-e")));
        metrics.deployed(&place, Some(("1", "s-e")), Some(("2", "s-e")));
        let text = metrics.text().unwrap();
        assert!(text.contains("version=\"2\"") && !text.contains("version=\"1\""), "{text}");
        let standing = |healthy| Standing { healthy, drifted: !healthy };
        metrics.standing(&place, None, Some((standing(true), "s-e")));
        metrics.standing(&place, Some("s-e"), Some((standing(false), "moved")));
        let text = metrics.text().unwrap();
        assert!(!text.contains(
            "gantry_deployment_healthy{environment=\"e\",project=\"p\",space=\"s\",target_namespace=\"s-e\"}"
        ));
        for line in [
            "healthy{environment=\"e\",project=\"p\",space=\"s\",target_namespace=\"moved\"} 0",
            "target_namespace=\"moved\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
        metrics.standing(&place, Some("moved"), None);
        assert!(!metrics.text().unwrap().contains("moved"));
    }
}
