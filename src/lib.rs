//! Gantry promotes releases of containers through environments, natively in Kubernetes.

pub mod api;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod error;
pub mod registry;
pub mod settings;
pub mod telemetry;
