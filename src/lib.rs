//! Gantry promotes releases of containers through environments, natively in Kubernetes.
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`domain`] | the rules: names, lifecycle, queue, the promotion machine; no Kubernetes, no clock | nothing |
//! | [`api`] | what people write in YAML: kinds, conditions, generated definitions | `domain` |
//! | [`cluster`] | Kubernetes I/O: clients, caches, the reconcile loop, leases, Events | `telemetry` |
//! | [`registry`] | which tags there are, and their digests | `domain` |
//! | [`steps`] | what a step of a process does in a target namespace: apply, health, prune | `cluster`, `registry`, `domain` |
//! | [`controllers`] | observe → decide → act, one room a kind | all of the above |
//! | [`cli`] | the command line: starts the operator, prints the definitions, checks and exports records | all of the above |
//! | [`telemetry`], [`server`], [`settings`] | metrics, logs, probes, arguments | – |
//!
//! Read first: `domain/promotion/machine.rs` (everything that can happen to a promotion), `controllers/promotion/decide.rs`
//! (the same with status and Events), `controllers/pipeline.rs` (the shape of every reconcile), `controllers/wakes.rs`
//! (which change wakes whom), `cluster/gate.rs` and `controllers/promotion/slot.rs` (why two operators do no harm).

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controllers;
pub mod domain;
pub mod error;
pub mod registry;
pub mod server;
pub mod settings;
pub mod steps;
pub mod telemetry;
