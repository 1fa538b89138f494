//! Gantry promotes releases of containers through environments, natively in Kubernetes.

pub mod api;
pub mod controllers;
pub mod domain;
pub mod registry;
