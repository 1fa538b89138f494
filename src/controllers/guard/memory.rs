//! What is known of the policies outlives the process: in a Lease of the operator's own namespace, written by the leader, and only
//! when something has changed.
//!
//! Every write carries the resourceVersion that was read, so of two that believe they lead one learns first what the other wrote.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};

use crate::domain::guard::{Memory, STALE};

/// The Lease.
pub const LEASE: &str = "gantry-guard";
/// Its annotation.
pub const ANNOTATION: &str = "gantry.dev/guard";

/// [`Memory`] as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    #[serde(default)]
    gaps: Vec<(String, String)>,
}

/// What an earlier process knew, and until when one is known to have watched.
///
/// # Errors
/// When it cannot be read now.
pub async fn recalled(client: &Client, own: &str, leader: &str) -> Result<Option<(Memory, Timestamp)>, String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), own);
    let Some(kept) = read(&leases, (own, LEASE)).await? else { return Ok(None) };
    let led = read(&leases, (own, leader)).await?.as_ref().and_then(renewed);
    if written(&kept).is_none() {
        tracing::warn!(
            "Lease {own}/{LEASE} does not say what is remembered of the admission policies, so nothing that was made before now is believed: nothing is to be done but to make again, under another name, what is refused for it"
        );
    }
    Ok(Some((memory(&kept), watched(renewed(&kept), led, Timestamp::now()))))
}

async fn read(leases: &Api<Lease>, (own, name): (&str, &str)) -> Result<Option<Lease>, String> {
    let lease = leases.get_opt(name).await;
    lease.map_err(|error| format!("Lease {own}/{name}, which says what is remembered of them, cannot be read: {error}"))
}

/// Until when somebody watched: until something was remembered last; and whoever led looked not long before it was last heard of.
fn watched(kept: Option<Timestamp>, led: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let led = led.and_then(|led| led.checked_sub(STALE).ok());
    kept.into_iter().chain(led).filter(|time| *time <= now).max().unwrap_or(Timestamp::MIN)
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    Some(lease.spec.as_ref()?.renew_time.as_ref()?.0)
}

/// What a Lease says. One that says nothing, or nothing that can be read, vouches for nothing that was made before.
fn memory(lease: &Lease) -> Memory {
    written(lease).unwrap_or(Memory { version: None, broken: Some(Timestamp::MIN), gaps: Vec::new() })
}

fn written(lease: &Lease) -> Option<Memory> {
    let annotation = lease.metadata.annotations.as_ref()?.get(ANNOTATION)?;
    serde_json::from_str::<Written>(annotation).ok().and_then(parsed)
}

fn parsed(written: Written) -> Option<Memory> {
    let time = |text: &String| text.parse::<Timestamp>().ok();
    let gaps = written.gaps.iter().map(|(from, until)| Some((time(from)?, time(until)?)));
    let broken = match &written.broken {
        Some(from) => Some(time(from)?),
        None => None,
    };
    Some(Memory { broken, gaps: gaps.collect::<Option<_>>()?, version: written.version })
}

fn text(memory: &Memory) -> Result<String, String> {
    let gaps = memory.gaps.iter().map(|(from, until)| (from.to_string(), until.to_string()));
    let broken = memory.broken.map(|from| from.to_string());
    let written = Written { version: memory.version.clone(), broken, gaps: gaps.collect() };
    serde_json::to_string(&written).map_err(|error| error.to_string())
}

/// Writes down what is to be remembered, which depends on what is; nothing where that is the same.
///
/// # Errors
/// When it cannot be read or written, or somebody wrote in between: it is tried again.
pub async fn keep(
    client: &Client,
    (own, now): (&str, Timestamp),
    remember: impl FnOnce(Option<&Memory>) -> Option<Memory>,
) -> Result<(), String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), own);
    let failed = |error: kube::Error| format!("Lease {own}/{LEASE}: {error}");
    let stored = leases.get_opt(LEASE).await.map_err(failed)?;
    let known = stored.as_ref().map(memory);
    let Some(wanted) = remember(known.as_ref()).filter(|wanted| Some(wanted) != known.as_ref()) else { return Ok(()) };
    let spec = LeaseSpec { renew_time: Some(MicroTime(now)), ..LeaseSpec::default() };
    let metadata = ObjectMeta {
        name: Some(LEASE.to_owned()),
        annotations: Some(BTreeMap::from([(ANNOTATION.to_owned(), text(&wanted)?)])),
        resource_version: stored.and_then(|lease| lease.metadata.resource_version),
        ..ObjectMeta::default()
    };
    let is_new = metadata.resource_version.is_none();
    let (lease, params) = (Lease { metadata, spec: Some(spec) }, PostParams::default());
    let written =
        if is_new { leases.create(&params, &lease).await } else { leases.replace(LEASE, &params, &lease).await };
    written.map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lease(annotation: Option<&str>) -> Lease {
        let annotations = annotation.map(|text| BTreeMap::from([(ANNOTATION.to_owned(), text.to_owned())]));
        Lease { metadata: ObjectMeta { annotations, ..ObjectMeta::default() }, spec: None }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for known in [
            Memory::default(),
            Memory {
                version: Some("a".to_owned()),
                broken: Some(at(9)),
                gaps: vec![(Timestamp::MIN, at(3)), (at(4), at(5))],
            },
        ] {
            assert_eq!(memory(&lease(Some(&text(&known).unwrap()))), known);
        }
    }

    #[test]
    fn what_cannot_be_read_vouches_for_nothing_before() {
        let nothing = Memory { version: None, broken: Some(Timestamp::MIN), gaps: Vec::new() };
        for text in [None, Some(""), Some("{"), Some(r#"{"gaps":[["x","y"]]}"#), Some(r#"{"broken":"x"}"#)] {
            assert_eq!(memory(&lease(text)), nothing, "{text:?}");
        }
    }

    #[test]
    fn somebody_watched_until_it_was_written_or_shortly_before_the_leader_was_last_heard_of() {
        let stale = STALE.as_secs();
        assert_eq!(watched(Some(at(1000)), None, at(5000)), at(1000));
        assert_eq!(watched(Some(at(1000)), Some(at(1010)), at(5000)), at(1000));
        assert_eq!(watched(Some(at(1000)), Some(at(4000)), at(5000)), at(4000 - stale));
        assert_eq!(watched(None, None, at(5000)), Timestamp::MIN);
        assert_eq!(watched(Some(at(1000)), Some(at(9000)), at(5000)), at(1000), "no clock of the future");
    }
}
