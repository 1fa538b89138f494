//! Asks image registries which digest a tag names, and which tags there are.
//!
//! A release is sealed with what [`Resolver::digest`] answers, a version is chosen from [`Resolver::tags`]; nothing else in
//! Gantry talks to a registry. A few HTTP requests of the OCI distribution protocol are all that is needed, so they are written here:
//! credentials of one space can then never answer for another (nothing is kept between calls), an answer
//! has a bound in bytes and time, a password goes to no host but the registry's own, and nobody is asked inside the network.
//! Read [`resolver`] first, then [`challenge`] for how a registry asks who we are, and [`address`] for whom it may lead to.

pub mod address;
pub mod challenge;
pub mod credentials;
pub mod error;
pub mod resolver;

pub use credentials::{Credentials, InvalidCredentials};
pub use error::RegistryError;
pub use resolver::{Access, ETags, Listed, Resolver, TagList};
