//! What the steps of a process do in a target's namespace, as the target's own account.
//!
//! A step does its work without knowing who asked: it is given plain values (what to apply, where, on whose behalf) and a
//! [fence](apply::fence), and gives back plain values. Rules are pure functions; what talks to the API server says so.
//!
//! - [`apply`]: manifests are prepared (pure), checked, applied, remembered in an inventory, pruned.
//! - [`health`]: whether what was applied has become healthy, or certainly never will.

pub mod apply;
pub mod health;
