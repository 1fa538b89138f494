//! One real cluster with Gantry in it, for every test of this binary.
//!
//! The cluster, the operator (as its own ServiceAccount, under exactly the shipped RBAC) and the policies are shared; every
//! test has a space of its own, and an operator or a cluster of its own where it breaks something.

// Paths are written out, since the benchmark includes this file from its own folder.
#[path = "support/git.rs"]
pub mod git;
#[path = "support/image.rs"]
pub mod image;
#[path = "support/manifest.rs"]
pub mod manifest;
#[path = "support/operator.rs"]
pub mod operator;
#[path = "support/proxy.rs"]
pub mod proxy;
#[path = "support/quiet.rs"]
pub mod quiet;
#[path = "support/real_node.rs"]
pub mod real_node;
#[path = "support/registry_front.rs"]
pub mod registry_front;
#[path = "support/sealed.rs"]
pub mod sealed;
#[path = "support/shared.rs"]
pub mod shared;
#[path = "support/space.rs"]
pub mod space;
#[path = "support/story.rs"]
pub mod story;
#[path = "support/target.rs"]
pub mod target;
#[path = "support/token_service.rs"]
pub mod token_service;
#[path = "support/wait.rs"]
pub mod wait;
