//! The two kinds of node: simulated (no containers, any number, faults on request) and real.

pub mod real;
pub mod simulated;

use std::net::Ipv4Addr;

/// The label that tells the two kinds apart: `simulated` or `real`.
pub const NODE_LABEL: &str = "plane.gantry.dev/node";

/// The address of the real node, and of this machine as its pods see it, in the run of that slot.
/// The run's subnet is 10.(88 + slot).0.0/16.
#[must_use]
pub const fn gateway(slot: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 88 + slot, 0, 1)
}
