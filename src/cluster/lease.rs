//! Which of several operators leads: a Lease whose every write carries the resourceVersion that was read.
//!
//! After the design of linkerd-kubert's lease. While this process holds the Lease, the write gate is open until a margin
//! before the Lease would expire for others; a renewal that fails lets it close by itself.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::ClusterError;
use super::gate::Gate;

/// How an election is held.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease: the operator's own.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who this process is.
    pub identity: String,
    /// How long a holder that is not heard of still holds.
    pub duration: Duration,
    /// How often the holder renews, and others look.
    pub interval: Duration,
}

/// How much earlier than the others this process believes that its Lease has expired: clocks and answers take time.
const MARGIN: Duration = Duration::from_secs(3);

/// What to do about a Lease that was read. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It is ours: renew it.
    Renew,
    /// It is free or has expired: take it.
    Take,
    /// Somebody else holds it.
    Wait,
}

impl Election {
    /// Takes part until the token is cancelled, then gives the Lease up. The watch says whether this process leads.
    pub async fn run(self, client: Client, gate: Gate, (leads, stop): (watch::Sender<bool>, CancellationToken)) {
        let leases: Api<Lease> = Api::namespaced(client, &self.namespace);
        let mut seen: Option<(String, Instant)> = None;
        while !stop.is_cancelled() {
            let begun = Instant::now();
            match self.campaign(&leases, &mut seen).await {
                Ok(true) => {
                    gate.open_until(begun + self.duration.saturating_sub(MARGIN));
                    leads.send_if_modified(|leads| !std::mem::replace(leads, true));
                }
                Ok(false) => Self::stand_by(&gate, &leads),
                Err(error) => {
                    tracing::warn!(%error, "the leader Lease could not be renewed");
                    if !gate.is_open() {
                        Self::stand_by(&gate, &leads);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        gate.close();
        self.give_up(&leases).await;
        leads.send_replace(false);
    }

    fn stand_by(gate: &Gate, leads: &watch::Sender<bool>) {
        gate.close();
        leads.send_if_modified(|leads| std::mem::replace(leads, false));
    }

    /// One look at the Lease, and one write where it is ours to write. Says whether this process leads.
    async fn campaign(&self, leases: &Api<Lease>, seen: &mut Option<(String, Instant)>) -> Result<bool, ClusterError> {
        let deadline = self.interval.max(Duration::from_secs(2));
        let turn = async {
            let known = leases.get_opt(&self.name).await?;
            let claim = self.judge(known.as_ref(), seen);
            match (claim, known) {
                (Claim::Wait, _) => Ok(false),
                (Claim::Take | Claim::Renew, Some(lease)) => {
                    let wanted = self.lease(Some(&lease), claim);
                    leases.replace(&self.name, &PostParams::default(), &wanted).await.map(|_| true)
                }
                (Claim::Take | Claim::Renew, None) => {
                    leases.create(&PostParams::default(), &self.lease(None, claim)).await.map(|_| true)
                }
            }
        };
        match tokio::time::timeout(deadline, turn).await {
            Ok(Ok(leads)) => Ok(leads),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(false),
            Ok(Err(error)) => Err(ClusterError::api("renew the leader Lease", error)),
            Err(_) => Err(ClusterError::Deadline { action: "renew the leader Lease".to_owned() }),
        }
    }

    /// A holder is believed for the duration after its last write was *seen*: no clock of another machine is trusted.
    fn judge(&self, lease: Option<&Lease>, seen: &mut Option<(String, Instant)>) -> Claim {
        let Some(lease) = lease else { return Claim::Take };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder == self.identity {
            return Claim::Renew;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match seen {
            Some((known, since)) if *known == version => *since,
            _ => {
                *seen = Some((version, Instant::now()));
                Instant::now()
            }
        };
        if holder.is_empty() || since.elapsed() > self.duration { Claim::Take } else { Claim::Wait }
    }

    fn lease(&self, known: Option<&Lease>, claim: Claim) -> Lease {
        let spec = known.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = Some(MicroTime(Timestamp::now()));
        let taken = claim == Claim::Take;
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                resource_version: known.and_then(|lease| lease.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
                acquire_time: if taken { now.clone() } else { spec.acquire_time },
                renew_time: now,
                lease_transitions: Some(spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(taken))),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Lets another process lead at once. What cannot be given up expires.
    async fn give_up(&self, leases: &Api<Lease>) {
        let Ok(Some(mut lease)) = leases.get_opt(&self.name).await else { return };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder != Some(self.identity.as_str()) {
            return;
        }
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = None;
        }
        if let Err(error) = leases.replace(&self.name, &PostParams::default(), &lease).await {
            tracing::debug!(%error, "the leader Lease was not given up and will expire");
        }
    }
}

#[cfg(test)]
mod tests {
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
}
