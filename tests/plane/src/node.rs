//! The two kinds of node: simulated (no containers, any number, faults on request) and real.

pub mod real;
pub mod simulated;
