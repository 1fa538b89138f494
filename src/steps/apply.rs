//! The `apply` step: manifests become objects in one namespace, and what a release no longer has goes away.
//!
//! Four stages, each of which takes only what the one before it made:
//! 0. [`substitute`](substitute::substitute) (pure): expressions in manifests become values.
//! 1. [`prepare`](prepare::prepare) (pure): [`Manifest`](manifest::Manifest)s become [`Prepared`](prepare::Prepared) objects,
//!    labelled and with the release's images, or *all* problems.
//! 2. [`check`](check::check): asks the API server, by reads and dry runs, whether every object would be taken. Nothing is
//!    changed. Makes [`Checked`](check::Checked).
//! 3. [`write`](write::write): server-side apply, one object after the other. Makes [`Applied`].
//! 4. [`prune`](prune::prune): deletes what the [`Inventory`](inventory::Inventory) of the last success had and this one has not.
//!
//! Stages 2 to 4 act as the [`Deployer`](deployer::Deployer); the two that write never do without a [`fence`].

pub mod account;
pub mod check;
pub mod deployer;
pub mod fence;
pub mod fingerprint;
pub mod image;
pub mod inventory;
mod live;
pub mod manifest;
pub mod object;
mod order;
pub mod ownership;
mod pod_security;
pub mod prepare;
pub mod problem;
pub mod prune;
mod refusal;
pub mod substitute;
pub mod unquoted;
pub mod write;

pub use write::Applied;
