//! The slot of a project and environment: a Lease `<project>.<environment>` in the space whose holder is a promotion's UID.
//!
//! It is taken before any effect and never given up: it is free when its holder is finished, which costs no write. Every take
//! carries the resourceVersion that was read, so of two operators that both believe they lead, one gets a conflict.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};

use crate::api::v1alpha1::{Promotion, PromotionStatus};
use crate::cluster::error::ClusterError;
use crate::domain::promotion::machine::Slot as Holder;
use crate::domain::promotion::phase::Phase;
use crate::domain::promotion::reason::Reason;
use crate::steps::apply::fence::{Fence, Lost};

/// Label that marks a Lease as a slot: only the operator may write those.
pub const SLOT_LABEL: &str = "gantry.dev/slot";
/// Annotation with the name of the holder, so that people and a live read find it.
const PROMOTION_ANNOTATION: &str = "gantry.dev/promotion";

/// A slot as one promotion sees it.
#[derive(Clone)]
pub struct Slot {
    leases: Api<Lease>,
    promotions: Api<DynamicObject>,
    name: String,
    promotion: String,
    uid: String,
}

/// What was read of a slot: who holds it, and the Lease if there is one.
pub struct Look {
    /// The holder as the promotion machine sees it.
    pub holder: Holder,
    lease: Option<Lease>,
}

impl Slot {
    /// The slot that `promotion` wants.
    #[must_use]
    pub fn of(client: &Client, promotion: &Promotion) -> Self {
        let space = promotion.metadata.namespace.clone().unwrap_or_default();
        Self {
            leases: Api::namespaced(client.clone(), &space),
            promotions: Api::namespaced_with(client.clone(), &space, &ApiResource::erase::<Promotion>(&())),
            name: format!("{}.{}", promotion.spec.project, promotion.spec.environment),
            promotion: promotion.metadata.name.clone().unwrap_or_default(),
            uid: promotion.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// Who holds the slot now, by live reads.
    ///
    /// # Errors
    /// When the Lease or its holder cannot be read.
    pub async fn look(&self) -> Result<Look, ClusterError> {
        let lease = self.leases.get_opt(&self.name).await.map_err(|e| ClusterError::api("read the slot", e))?;
        if lease.as_ref().is_some_and(|lease| !is_slot(lease)) {
            let message = format!("it has no label {SLOT_LABEL}, so anyone may have written it; delete it");
            return Err(ClusterError::Unreadable { object: format!("Lease {}", self.name), message });
        }
        let holder = match lease.as_ref().and_then(|lease| holder_uid(lease)) {
            None => Holder::Free,
            Some(uid) if uid == self.uid => Holder::Mine,
            Some(uid) => self.judge(lease.as_ref(), uid).await?,
        };
        Ok(Look { holder, lease })
    }

    /// Whether another holder still needs it. One that is gone was finished before it went, and one that took the slot and then
    /// found a gate closed has begun nothing: should it start all the same, the fence stops its first effect.
    async fn judge(&self, lease: Option<&Lease>, uid: &str) -> Result<Holder, ClusterError> {
        let name = lease.and_then(|lease| lease.metadata.annotations.as_ref()?.get(PROMOTION_ANNOTATION));
        let Some(name) = name else { return Ok(Holder::Held { by: uid.to_owned() }) };
        let holder = self.promotions.get_opt(name).await.map_err(|e| ClusterError::api("read the slot's holder", e))?;
        let needed = match holder.filter(|promotion| promotion.metadata.uid.as_deref() == Some(uid)) {
            Some(promotion) => needs_slot(name, &promotion)?,
            None => false,
        };
        Ok(if needed { Holder::Held { by: name.clone() } } else { Holder::Free })
    }

    /// Takes the slot if it is free.
    ///
    /// # Errors
    /// When the API server does not take the write; a conflict means that somebody else was faster.
    pub async fn take(&self, now: Timestamp) -> Result<Holder, ClusterError> {
        let look = self.look().await?;
        if look.holder != Holder::Free {
            return Ok(look.holder);
        }
        let wanted = self.lease(look.lease.as_ref(), now);
        let written = match look.lease {
            Some(_) => self.leases.replace(&self.name, &PostParams::default(), &wanted).await,
            None => self.leases.create(&PostParams::default(), &wanted).await,
        };
        written.map_err(|e| ClusterError::api("take the slot", e))?;
        Ok(Holder::Mine)
    }

    fn lease(&self, known: Option<&Lease>, now: Timestamp) -> Lease {
        let transitions = known.and_then(|lease| lease.spec.as_ref()?.lease_transitions).unwrap_or(0);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: known.and_then(|lease| lease.metadata.resource_version.clone()),
                labels: Some(BTreeMap::from([(SLOT_LABEL.to_owned(), "true".to_owned())])),
                annotations: Some(BTreeMap::from([(PROMOTION_ANNOTATION.to_owned(), self.promotion.clone())])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.uid.clone()),
                acquire_time: Some(MicroTime(now)),
                lease_transitions: Some(transitions.saturating_add(1)),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// Whether a promotion runs, or waits for nothing but its turn. Nothing else of it is read, so nothing else of it can stand in the
/// way; one whose status does not read has the slot unless it says that it has ended.
fn needs_slot(name: &str, promotion: &DynamicObject) -> Result<bool, ClusterError> {
    let Some(said) = promotion.data.get("status") else { return Ok(true) };
    let status = match serde_json::from_value::<PromotionStatus>(said.clone()) {
        Ok(status) => status,
        Err(_) if said.get("finished") == Some(&true.into()) => return Ok(false),
        Err(error) => {
            let message = format!(
                "{error}; once nothing of it runs any more, let an administrator set its status.finished to true as Gantry's own account, which alone may write a status (kubectl patch --subresource=status --as=…)"
            );
            return Err(ClusterError::Unreadable {
                object: format!("promotion {name}, which holds the slot,"),
                message,
            });
        }
    };
    let runs = status.phase.as_deref() == Some(Phase::Running.as_str());
    let reason = status.reason.as_deref().map(Reason::parse);
    Ok(!status.finished && (runs || reason.is_none_or(|reason| reason.is_turn())))
}

/// Whether admission kept everyone but the operator from writing it.
fn is_slot(lease: &Lease) -> bool {
    lease.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(SLOT_LABEL))
}

fn holder_uid(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

impl Fence for Slot {
    /// The slot is still this promotion's, by a live read.
    async fn verify(&self, _object_read: Instant) -> Result<(), Lost> {
        match self.look().await {
            Ok(Look { holder: Holder::Mine, .. }) => Ok(()),
            Ok(Look { holder: Holder::Held { by }, .. }) => Err(Lost::Taken { by }),
            Ok(Look { holder: Holder::Free | Holder::Unknown, .. }) => Err(Lost::Taken { by: "nobody".to_owned() }),
            Err(error) => Err(Lost::Unknown(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn needs(status: &Value) -> Result<bool, String> {
        let promotion = json!({"metadata": {"name": "p"}, "spec": {"cancel": "no longer an object"}, "status": status});
        let promotion: DynamicObject = serde_json::from_value(promotion).unwrap();
        needs_slot("p", &promotion).map_err(|error| error.to_string())
    }

    #[test]
    fn a_holder_whose_spec_does_not_read_is_judged_by_its_status() {
        assert_eq!(needs(&json!({"phase": "Running", "finished": false})), Ok(true));
        assert_eq!(needs(&json!({"phase": "Pending", "reason": "SlotHeld"})), Ok(true));
        assert_eq!(needs(&json!({"phase": "Pending", "reason": "EnvironmentPaused"})), Ok(false));
        assert_eq!(needs(&json!({"phase": "Succeeded", "finished": true})), Ok(false));
    }

    #[test]
    fn a_holder_whose_status_does_not_read_keeps_the_slot_and_is_named_unless_it_says_that_it_has_ended() {
        assert_eq!(needs(&json!({"steps": "seven", "finished": true})), Ok(false));
        let said = needs(&json!({"steps": "seven", "phase": "Succeeded"})).unwrap_err();
        assert!(said.starts_with("promotion p, which holds the slot, does not read: "), "{said}");
        assert!(
            said.contains("let an administrator set its status.finished to true as Gantry's own account"),
            "{said}"
        );
    }
}
