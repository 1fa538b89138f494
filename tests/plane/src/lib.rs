//! A real Kubernetes cluster for tests and the demo, built from source: etcd, the API server, the
//! controller manager, the scheduler, a registry, and simulated or real nodes.
//!
//! [`Plane::start`] gives a cluster that is ready; it ends with the [`Plane`], or with the process
//! that holds it, however that ends. Nothing here is mocked but the nodes, where that is asked for.
//!
//! Where to read: [`plane`] (what a cluster offers), [`run`] (how everything that was started ends),
//! [`programs`] (where the binaries come from), [`manifests`] (applying YAML), [`install`] (Gantry itself), `control_plane.rs` (flags), [`node`], [`image`].
#![forbid(unsafe_code)]

pub mod audit;
pub mod authority;
mod control_plane;
mod error;
pub mod flux;
mod identity;
pub mod image;
pub mod install;
mod kubeconfig;
pub mod manifests;
pub mod node;
mod options;
pub mod plane;
pub mod programs;
mod progress;
mod readiness;
pub mod registry;
pub mod run;

pub use audit::{AuditEvent, AuditLog, AuditMark};
pub use error::PlaneError;
pub use identity::Identity;
pub use options::Options;
pub use plane::Plane;
pub use programs::Program;
pub use readiness::answers;
pub use registry::{Login, Reach, Registry, RegistryOptions, TokenAuth};
pub use run::Ending;
