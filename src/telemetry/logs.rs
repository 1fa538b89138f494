//! Logs: text for people, JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard error, as text or as one JSON object a line. A second call does nothing.
pub fn start(json: bool, level: &str) {
    let mut filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // The library says of every request that got no answer, as an error and without a word of which; whoever sends it says that.
    if let (false, Ok(quiet)) = (level.contains("kube_client"), "kube_client::client::builder=off".parse()) {
        filter = filter.add_directive(quiet);
    }
    let registry = tracing_subscriber::registry().with(filter);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = if json { registry.with(lines.json()).try_init() } else { registry.with(lines).try_init() };
    drop(started);
}
