//! Kubernetes I/O, generic over kinds: clients and identities, caches, the reconcile loop, leases, Events, watches.
//!
//! Knows kube and none of Gantry's kinds or rules. Nothing here decides anything about promotions.

pub mod account;
pub mod cache;
pub mod client;
pub mod discovery;
pub mod error;
pub mod events;
pub mod finalizer;
pub mod gate;
pub mod kubeconfig;
pub mod lease;
pub mod request;
pub mod runner;
pub mod status;
pub mod tasks;
pub mod watches;
