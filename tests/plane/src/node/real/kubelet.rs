//! The kubelet.

use serde_json::json;

use super::runtime::SOCKET;
use super::{NODE_LABEL, RealNode, Site, TAINT, display, start_isolated};
use crate::error::PlaneError;
use crate::identity::Identity;
use crate::plane::Plane;
use crate::programs::Program;

/// Starts the kubelet in the node's mount namespace.
pub(super) async fn start(plane: &Plane, site: &Site, reserved: bool) -> Result<(), PlaneError> {
    let identity =
        Identity::User { name: format!("system:node:{}", RealNode::NAME), groups: vec!["system:nodes".to_owned()] };
    let kubeconfig = plane.kubeconfig(&identity).await?;
    let config = site.write("kubelet.json", &configuration(plane, site)?)?;
    let mut arguments = vec![
        format!("--config={}", config.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", site.path("kubelet").display()),
        format!("--cert-dir={}", site.path("kubelet-certificates").display()),
        format!("--hostname-override={}", RealNode::NAME),
        format!("--node-ip={}", site.address),
        format!("--node-labels={NODE_LABEL}=real"),
    ];
    if reserved {
        arguments.push(format!("--register-with-taints={TAINT}=:NoSchedule"));
    }
    start_isolated(plane, Program::Kubelet, arguments)
}

fn configuration(plane: &Plane, site: &Site) -> Result<String, PlaneError> {
    let authority = site.write("authority.crt", plane.authority().certificate())?;
    let address = site.address.to_string();
    let serving = plane.authority().server(RealNode::NAME, &[&address])?.write(&site.directory, "kubelet")?;
    let endpoint = format!("unix://{}", site.path(SOCKET).display());
    Ok(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        // Each run has an address of its own, so the usual port is free.
        "port": 10250,
        "healthzPort": 0,
        "tlsCertFile": serving.certificate,
        "tlsPrivateKeyFile": serving.key,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": authority },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": endpoint,
        "imageServiceEndpoint": endpoint,
        "podLogsDir": display(&site.path("pod-logs")),
        "volumePluginDir": display(&site.path("volume-plugins")),
        // Nobody answers there. With no server named, every pod would get a warning Event.
        "clusterDNS": [address],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        // The machine is not ours to divide: no limits above those of containers, no evictions.
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": false,
        // Tests start many pods at once.
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    })
    .to_string())
}
