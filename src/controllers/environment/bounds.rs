//! What bounds the pods of an environment: whom they reach, how much they may have, and what they get that ask for nothing. Pure.
//!
//! A namespace starts closed: nothing comes in from other namespaces and nothing goes out but questions to the cluster's DNS. A
//! release opens what it needs with network policies of its own, which add to this one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, LimitRangeSpec, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::desired::meta;
use super::differs::{self, Difference};
use super::effect::{Effect, Identity};
use super::furnishing::Furnishing;
use super::observed::{Observed, Owner, Place};
use super::provision::{Blame, Work, change, note};
use crate::api::v1alpha1::EnvironmentSpec;
use crate::api::v1alpha1::bounds::{Amounts, Isolation};

/// Name of the network policy.
pub const ISOLATION: &str = "gantry-isolation";
/// Name of the quota.
pub const QUOTA: &str = "gantry-quota";
/// Name of the limit range.
pub const LIMITS: &str = "gantry-limits";

/// Where the cluster's DNS runs, and the address at which a node's cache of it listens (`NodeLocal DNSCache`).
const DNS_NAMESPACE: &str = "kube-system";
const DNS_ON_NODE: &str = "169.254.20.10/32";
const DNS_PORT: i32 = 53;

/// The network policy that an environment wants, if it wants one.
#[must_use]
pub fn isolation(owner: &Owner, namespace: &str, spec: &EnvironmentSpec) -> Option<NetworkPolicy> {
    let neighbours = match spec.isolation {
        Isolation::Open => return None,
        Isolation::Strict => None,
        Isolation::Namespace => Some(vec![NetworkPolicyPeer {
            pod_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        }]),
    };
    let out = neighbours.clone().map(|to| NetworkPolicyEgressRule { to: Some(to), ports: None });
    let policy = NetworkPolicySpec {
        pod_selector: Some(LabelSelector::default()),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: neighbours.map(|from| vec![NetworkPolicyIngressRule { from: Some(from), ports: None }]),
        egress: Some(std::iter::once(dns()).chain(out).collect()),
    };
    Some(NetworkPolicy { metadata: meta(owner, namespace, ISOLATION), spec: Some(policy) })
}

fn dns() -> NetworkPolicyEgressRule {
    let name = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), DNS_NAMESPACE.to_owned())]);
    let service = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: Some(name), ..LabelSelector::default() }),
        ..NetworkPolicyPeer::default()
    };
    let cache = NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: DNS_ON_NODE.to_owned(), except: None }),
        ..NetworkPolicyPeer::default()
    };
    let port = |protocol: &str| NetworkPolicyPort {
        port: Some(IntOrString::Int(DNS_PORT)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    };
    NetworkPolicyEgressRule { to: Some(vec![service, cache]), ports: Some(vec![port("UDP"), port("TCP")]) }
}

/// The quota that an environment wants, if it wants one.
#[must_use]
pub fn quota(owner: &Owner, namespace: &str, spec: &EnvironmentSpec) -> Option<ResourceQuota> {
    let hard = quantities(&spec.quota)?;
    let spec = ResourceQuotaSpec { hard: Some(hard), ..ResourceQuotaSpec::default() };
    Some(ResourceQuota { metadata: meta(owner, namespace, QUOTA), spec: Some(spec), status: None })
}

/// The limit range that an environment wants, if it wants one.
#[must_use]
pub fn limits(owner: &Owner, namespace: &str, spec: &EnvironmentSpec) -> Option<LimitRange> {
    let wanted = &spec.limits;
    // As the API server would fill them in; otherwise what it wrote would look like somebody's doing.
    let or = |first: &Amounts, second: &Amounts| -> Amounts {
        second.iter().chain(first).map(|(name, amount)| (name.clone(), amount.clone())).collect()
    };
    let default = or(&wanted.default, &wanted.max);
    let request = or(&wanted.default_request, &default);
    if request.is_empty() {
        return None;
    }
    let item = LimitRangeItem {
        type_: "Container".to_owned(),
        default: quantities(&default),
        default_request: quantities(&request),
        max: quantities(&wanted.max),
        ..LimitRangeItem::default()
    };
    let spec = LimitRangeSpec { limits: vec![item] };
    Some(LimitRange { metadata: meta(owner, namespace, LIMITS), spec: Some(spec) })
}

fn quantities(amounts: &Amounts) -> Option<BTreeMap<String, Quantity>> {
    let all = amounts.iter().map(|(name, amount)| (name.clone(), Quantity(amount.0.clone())));
    (!amounts.is_empty()).then(|| all.collect())
}

/// Adds what has to change of what bounds a namespace that is ours.
pub(super) fn furnish(observed: &Observed, place: &Place, blame: Blame, work: &mut Work) {
    let (owner, namespace, spec) = (&observed.owner, place.namespace.as_str(), &observed.environment.spec);
    let inside = &place.inside;
    let site = Site { observed, blame };
    site.keep("RestoreIsolation", (inside.isolation.as_ref(), isolation(owner, namespace, spec)), work);
    site.keep("RestoreQuota", (inside.quota.as_ref(), quota(owner, namespace, spec)), work);
    site.keep("RestoreLimits", (inside.limits.as_ref(), limits(owner, namespace, spec)), work);
}

/// A namespace, and whose doing it is that something differs there.
struct Site<'a> {
    observed: &'a Observed,
    blame: Blame,
}

impl Site<'_> {
    /// Adds the change of one object, if it needs one.
    fn keep<K: Furnishing>(&self, action: &'static str, (found, wanted): (Option<&K>, Option<K>), work: &mut Work) {
        let Some(wanted) = wanted else {
            work.effects.extend(found.map(|found| Effect::Remove(found.clone().object(), Identity::of(found))));
            return;
        };
        let difference = differs::furnishing(found, &wanted);
        let object = wanted.object();
        let what = object.to_string();
        match (difference, found) {
            (Difference::None, _) => return,
            (Difference::Replace, Some(found)) => change(work, Effect::Replace(object, Identity::of(found))),
            (Difference::Apply | Difference::Replace, _) => change(work, Effect::Apply(object)),
        }
        note(self.observed, self.blame, (action, what), work);
    }
}
