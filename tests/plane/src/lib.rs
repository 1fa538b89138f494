//! A real Kubernetes cluster for tests and the demo, built from source: etcd, the API server, the
//! controller manager, the scheduler, a registry, and simulated or real nodes.

pub mod image;
pub mod node;
