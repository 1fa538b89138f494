//! Tests of real containers, where there is no real node.

use std::io::Write;

use gantry_plane::node::real::RealNode;

/// Says that a test did not run, in one line past the capture of a test's output.
///
/// # Panics
/// Where a real node is required (`GANTRY_REQUIRE_REAL_NODE=1`).
pub fn left_out(test: &str, why: &str) {
    let line = format!("{test} did not run: {why}");
    assert!(!RealNode::is_required(), "{line}");
    let _ = writeln!(std::io::stderr(), "{line}");
}
