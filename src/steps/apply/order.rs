//! In which order kinds are applied: what others need first. Pure.

/// Kinds in the order in which they are applied. What is not named comes last: a custom kind may need any of them.
const ORDER: [&str; 20] = [
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "Ingress",
];

/// The place of a kind; lower ones are applied first and pruned last.
pub(super) fn rank(kind: &str) -> usize {
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_need_comes_first() {
        let mut kinds = ["Ingress", "Certificate", "Deployment", "Service", "ConfigMap", "Secret"];
        kinds.sort_by_key(|kind| rank(kind));
        assert_eq!(kinds, ["Secret", "ConfigMap", "Service", "Deployment", "Ingress", "Certificate"]);
    }
}
