//! Persistent volume claims: bound, or waiting for a pod that nobody runs yet. Pure.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Assessment, Case, FailureReason};

pub(super) fn assess(case: &Case, claim: &PersistentVolumeClaim) -> Assessment {
    match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Bound") => Assessment::healthy(),
        Some("Lost") => {
            case.failure(FailureReason::ClaimLost, "its volume is gone: restore or delete the claim").into()
        }
        // Many storage classes bind with the first pod, and only they know: a claim that no pod uses keeps nobody waiting.
        _ if !case.related.is_claim_used(claim.metadata.name.as_deref().unwrap_or_default()) => Assessment::healthy(),
        _ => case.progressing("waits to be bound to a volume"),
    }
}
