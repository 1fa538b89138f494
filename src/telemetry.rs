//! What the process says of itself: metrics and logs.

pub mod logs;
pub mod metrics;
pub mod pulse;
