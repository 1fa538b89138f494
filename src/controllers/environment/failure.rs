//! What the status says when a change was refused. Pure.

use super::observed::Observed;
use super::report::{self, Problem};
use crate::api::condition::{Reason, Standing};
use crate::api::v1alpha1::EnvironmentStatus;
use crate::cluster::error::ClusterError;
use crate::error::Class;

/// The status that tells of an error; nothing if it is likely to go away by itself.
#[must_use]
pub fn status(observed: &Observed, error: &ClusterError) -> Option<EnvironmentStatus> {
    let before = observed.status();
    let problem = if error.is_terminating() {
        let message = "a namespace of this environment is being deleted; it is made again once it is gone".to_owned();
        Problem { standing: Standing::Reconciling, reason: Reason::NamespaceTerminating, message }
    } else if error.class() == Class::Blocked {
        Problem { standing: Standing::Stalled, reason: Reason::ProvisioningFailed, message: message(error) }
    } else {
        return None;
    };
    Some(report::status(observed, before.targets, &[problem]).0)
}

fn message(error: &ClusterError) -> String {
    let said = match (error, error.status()) {
        (ClusterError::Api { action, .. }, Some(status)) => format!("cannot {action}: {}", status.message),
        (_, _) => error.to_string(),
    };
    if error.is_forbidden() {
        return format!("{said}; give Gantry this right (deploy/ has them all) or remove the policy that refuses it");
    }
    said
}
