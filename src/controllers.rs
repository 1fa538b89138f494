//! The controllers: observe → decide → act.
//!
//! Each controller reads once (`observe`, with a live GET where staleness would matter), judges in a pure and total function
//! (`decide`, to plain data that tests compare), and writes (`act`: effects, then status, then events). [`pipeline`] drives
//! that shape for every kind; `promotion` is where the promises are kept. Start with `promotion/decide.rs`.

pub mod approval;
pub mod audit;
pub mod beside;
pub mod bound;
pub mod columns;
pub mod command;
pub mod context;
pub mod decision;
pub mod deployments;
pub mod environment;
pub mod freeze;
pub mod guard;
pub mod hosts;
pub mod lifecycle;
pub mod outcomes;
pub mod pause;
pub mod pin;
pub mod pipeline;
pub mod place;
pub mod project;
pub mod promotion;
pub mod records;
pub mod release;
pub mod scopes;
pub mod secret_versions;
pub mod stores;
pub mod variable_set;
pub mod wakes;
pub mod workloads;
