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

/// By this part of the Lease's duration this process believes earlier than the others that it has expired: a write that is
/// on its way, and clocks that run at different speeds, take time.
const MARGIN: u32 = 5;
/// The longest time for which another holder is believed, whatever its Lease says.
const LONGEST_BELIEF: Duration = Duration::from_mins(5);

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

/// What one turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// This process holds the Lease.
    Leads,
    /// Another one does.
    StandsBy,
    /// Somebody wrote the Lease in between; the next turn knows more. Whoever led still does until its time has passed.
    Undecided,
}

impl Election {
    /// Takes part until the token is cancelled and nobody listens any more to whether this process leads: who listens has
    /// work under way, and that may still be finished. Then gives the Lease up.
    pub async fn run(self, client: Client, gate: Gate, (leads, stop): (watch::Sender<bool>, CancellationToken)) {
        let leases: Api<Lease> = Api::namespaced(client, &self.namespace);
        let mut seen: Option<(String, Instant)> = None;
        while !(stop.is_cancelled() && leads.is_closed()) {
            let begun = Instant::now();
            match self.campaign(&leases, &mut seen).await {
                Ok(Turn::Leads) => {
                    // Others count from when they see the write, which is later than when it was begun.
                    gate.open_until(begun + self.duration.saturating_sub(self.duration / MARGIN));
                    leads.send_if_modified(|leads| !std::mem::replace(leads, true));
                }
                Ok(Turn::StandsBy) => Self::stand_by(&gate, &leads),
                Ok(Turn::Undecided) => Self::stand_by_unless_open(&gate, &leads),
                Err(error) => {
                    tracing::warn!(%error, "the leader Lease could not be read or written");
                    Self::stand_by_unless_open(&gate, &leads);
                }
            }
            let over = async {
                stop.cancelled().await;
                leads.closed().await;
            };
            tokio::select! {
                () = over => break,
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

    fn stand_by_unless_open(gate: &Gate, leads: &watch::Sender<bool>) {
        if !gate.is_open() {
            Self::stand_by(gate, leads);
        }
    }

    /// One look at the Lease, and one write where it is ours to write.
    async fn campaign(&self, leases: &Api<Lease>, seen: &mut Option<(String, Instant)>) -> Result<Turn, ClusterError> {
        let deadline = self.interval.max(Duration::from_secs(2));
        let turn = async {
            let known = leases.get_opt(&self.name).await?;
            let claim = self.judge(known.as_ref(), seen);
            match (claim, known) {
                (Claim::Wait, _) => Ok(Turn::StandsBy),
                (Claim::Take | Claim::Renew, Some(lease)) => {
                    let wanted = self.lease(Some(&lease), claim);
                    leases.replace(&self.name, &PostParams::default(), &wanted).await.map(|_| Turn::Leads)
                }
                (Claim::Take | Claim::Renew, None) => {
                    leases.create(&PostParams::default(), &self.lease(None, claim)).await.map(|_| Turn::Leads)
                }
            }
        };
        match tokio::time::timeout(deadline, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(Turn::Undecided),
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
        if holder.is_empty() || since.elapsed() > self.belief(lease) { Claim::Take } else { Claim::Wait }
    }

    /// How long a silent holder still holds: as long as its own Lease says, which another version may have set otherwise.
    fn belief(&self, lease: &Lease) -> Duration {
        let said = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        let said = Duration::from_secs(u64::try_from(said).unwrap_or(0));
        said.clamp(self.duration, LONGEST_BELIEF.max(self.duration))
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
mod tests;
