//! One real cluster with Gantry in it, for every test of this binary.
//!
//! The cluster, the operator (as its own ServiceAccount, under exactly the shipped RBAC) and the policies are shared; every
//! test has a space of its own, and an operator or a cluster of its own where it breaks something.

pub mod image;
pub mod manifest;
pub mod operator;
pub mod proxy;
pub mod shared;
pub mod space;
pub mod wait;
