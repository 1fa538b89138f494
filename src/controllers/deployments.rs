//! Keeps `Environment.status.deployments` (what runs here) and `.history` (the newest ends) in step with ends of promotions.
//!
//! The environment controller provisions and writes the other fields of the same status; both write only what changed, with
//! the resourceVersion that they read.

pub mod rows;
