//! Services: there at once, but for load balancers, which get an address. Pure.

use k8s_openapi::api::core::v1::Service;

use super::{Assessment, Case};

pub(super) fn assess(case: &Case, service: &Service) -> Assessment {
    let balanced = service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer");
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    if balanced && ingress.is_none_or(Vec::is_empty) {
        return case.progressing("waits for the address of its load balancer");
    }
    Assessment::healthy()
}
