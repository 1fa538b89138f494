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
    } else if error.class() == Class::Blocked || is_role(error) {
        Problem { standing: Standing::Stalled, reason: Reason::ProvisioningFailed, message: message(error) }
    } else {
        return None;
    };
    Some(report::status(observed, before.targets, &[problem]).0)
}

/// Whether a role may not be given: the API server looks for rights in it unless it is on the list.
fn is_role(error: &ClusterError) -> bool {
    error.status().is_some_and(|status| {
        let kind = status.details.as_ref().map(|details| details.kind.as_str());
        status.message.contains("attempting to grant RBAC permissions")
            || status.code == 404 && kind == Some("clusterroles")
    })
}

fn message(error: &ClusterError) -> String {
    let said = match (error, error.status()) {
        // All rights of a role follow in lines of their own.
        (ClusterError::Api { action, .. }, Some(status)) => {
            let first = status.message.lines().next().unwrap_or_default();
            format!("cannot {action}: {}", first.trim_end_matches(':'))
        }
        (_, _) => error.to_string(),
    };
    if is_role(error) {
        return format!(
            "spec.deployer.clusterRole, spec.console.clusterRole: {said}; choose a role of the list that an administrator keeps, or let him add it (clusterRoles of the chart)"
        );
    }
    if error.is_forbidden() {
        return format!("{said}; give Gantry this right (deploy/ has them all) or remove the policy that refuses it");
    }
    said
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use kube::core::Status;

    use super::*;
    use crate::api::condition::{ConditionType, find};
    use crate::api::v1alpha1::Environment;
    use crate::controllers::environment::observed::{Operator, Owner};

    fn observed() -> Observed {
        let operator = Operator { namespace: "gantry-system".into(), account: "gantry".into() };
        Observed {
            environment: Arc::new(Environment::default()),
            owner: Owner { space: "shop".into(), environment: "dev".into(), uid: "u".into(), created: None, operator },
            now: jiff::Timestamp::UNIX_EPOCH,
            places: Vec::new(),
            former: Vec::new(),
            sources: BTreeMap::new(),
            space_ends: false,
            running: None,
            unguarded: None,
        }
    }

    fn refused(code: u16, cause: Option<&str>) -> ClusterError {
        let causes: Vec<_> = cause.map(|reason| serde_json::json!({"reason": reason})).into_iter().collect();
        let said = serde_json::json!({"code": code, "message": "no", "details": {"causes": causes}});
        let said: Status = serde_json::from_value(said).unwrap();
        ClusterError::api("apply RoleBinding shop-dev/gantry-deployer", kube::Error::Api(Box::new(said)))
    }

    fn told(error: &ClusterError) -> Option<(String, String)> {
        let status = status(&observed(), error)?;
        find(&status.conditions, ConditionType::Ready).map(|ready| (ready.reason.clone(), ready.message.clone()))
    }

    #[test]
    fn what_the_api_server_refuses_is_said_with_the_object_and_the_remedy() {
        let (reason, message) = told(&refused(403, None)).unwrap();
        assert_eq!(reason, "ProvisioningFailed");
        assert_eq!(
            message,
            "cannot apply RoleBinding shop-dev/gantry-deployer: no; give Gantry this right (deploy/ has them all) or remove the policy that refuses it"
        );
        assert_eq!(told(&refused(422, None)).unwrap().0, "ProvisioningFailed");
    }

    #[test]
    fn a_role_that_is_not_on_the_list_is_said_with_its_fields() {
        let with = |status: serde_json::Value| {
            let status: Status = serde_json::from_value(status).unwrap();
            ClusterError::api("apply RoleBinding shop-dev/gantry-console", kube::Error::Api(Box::new(status)))
        };
        let grants = with(
            serde_json::json!({"code": 403, "message": "user \"gantry\" is attempting to grant RBAC permissions not currently held:\n{APIGroups:[]}"}),
        );
        let absent = with(
            serde_json::json!({"code": 404, "message": "clusterroles \"x\" not found", "details": {"kind": "clusterroles"}}),
        );
        for error in [grants, absent] {
            let (reason, message) = told(&error).unwrap();
            assert_eq!(reason, "ProvisioningFailed");
            assert!(
                message.starts_with("spec.deployer.clusterRole, spec.console.clusterRole: cannot apply"),
                "{message}"
            );
            assert!(!message.contains('\n'), "{message}");
            assert!(message.ends_with("let him add it (clusterRoles of the chart)"), "{message}");
        }
    }

    #[test]
    fn what_goes_away_by_itself_is_not_worth_a_condition() {
        for code in [409, 429, 500, 503] {
            assert_eq!(told(&refused(code, None)), None, "{code}");
        }
    }

    #[test]
    fn a_namespace_that_goes_is_waited_for() {
        assert_eq!(told(&refused(403, Some("NamespaceTerminating"))).unwrap().0, "NamespaceTerminating");
    }
}
