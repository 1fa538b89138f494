//! The approval controller: says on each decision whether it counts, and removes it when its promotion is gone.
//!
//! The promotion is the only judge: what its status says of a decision is said here. See `promotion/approvals.rs`.

pub mod decide;
pub mod record;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Preconditions};

use crate::api::v1alpha1::{Approval, ApprovalStatus, Promotion};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::guard::vouched::is_vouched;
use crate::controllers::pipeline::Controller;
use crate::controllers::records;
use decide::{Decision, Effect};

/// Keeps `Approval.status` true.
#[derive(Clone)]
pub struct ApprovalController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one run knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The decision.
    pub approval: Arc<Approval>,
    /// The promotion of the name that it says, if it has not ended, or has and may have looked at this first.
    pub promotion: Option<Arc<Promotion>>,
    /// Whether there is a promotion of that name and UID, ended or not.
    pub exists: bool,
    /// Whether the API server can have written who decided.
    pub vouched: bool,
    /// The time of the run.
    pub now: Timestamp,
}

impl Controller for ApprovalController {
    type Kind = Approval;
    type Status = ApprovalStatus;
    type Observed = Observed;
    type Effect = Effect;

    const NAME: &'static str = "approval";

    async fn observe(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let stores = &self.context.stores;
        let Some(approval) = stores.approvals.get(key) else { return Ok(None) };
        if approval.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let name = Key::new(&key.namespace, &approval.spec.promotion);
        let is_its_own = |meta: &ObjectMeta| meta.uid.as_ref() == Some(&approval.spec.promotion_uid);
        let mut promotion = stores.unfinished.get(&name);
        let ended = stores.finished.get(&name).is_some_and(|known| is_its_own(&known.metadata));
        // One that has just ended is in neither cache for a moment.
        if promotion.is_none() && !decide::is_settled(&approval) {
            promotion = self.read(&approval).await?.map(Arc::new);
        }
        let exists = ended || promotion.as_ref().is_some_and(|known| is_its_own(&known.metadata));
        let vouched = is_vouched(&self.context.guard.known(), approval.as_ref());
        Ok(Some(Observed { approval, promotion, exists, vouched, now: Timestamp::now() }))
    }

    fn object(observed: &Observed) -> &Approval {
        &observed.approval
    }

    fn status(observed: &Observed) -> ApprovalStatus {
        observed.approval.status.clone().unwrap_or_default()
    }

    fn decide(observed: &Observed) -> Decision {
        decide::decide(observed)
    }

    async fn act(&self, observed: &Observed, effect: &Effect) -> Result<(), ClusterError> {
        match effect {
            Effect::Record(record) => records::keep(&self.context, record).await.map(drop),
            Effect::Remove => self.remove(&observed.approval).await,
        }
    }
}

impl ApprovalController {
    /// The promotion of the name that it says, as it is now.
    async fn read(&self, approval: &Approval) -> Result<Option<Promotion>, ClusterError> {
        let Key { namespace, name } = Key::of(approval);
        let promotions: Api<Promotion> = Api::namespaced(self.context.cluster.client(), &namespace);
        let read = promotions.get_opt(&approval.spec.promotion).await;
        read.map_err(|error| ClusterError::api(format!("read the promotion of approval {name}"), error))
    }

    /// Removes a decision whose promotion is gone; the caches may have missed one that has just ended.
    async fn remove(&self, approval: &Approval) -> Result<(), ClusterError> {
        let Key { namespace, name } = Key::of(approval);
        let known = self.read(approval).await?;
        if known.is_some_and(|known| known.metadata.uid.as_ref() == Some(&approval.spec.promotion_uid)) {
            return Ok(());
        }
        let approvals: Api<Approval> = Api::namespaced(self.context.cluster.client(), &namespace);
        let same = Preconditions { uid: approval.metadata.uid.clone(), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
        match approvals.delete(&name, &parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(ClusterError::api(format!("remove approval {name}, whose promotion is gone"), error)),
            Ok(_) => Ok(()),
        }
    }
}
