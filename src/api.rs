//! The wire form: what a person writes in YAML and what `kubectl get` shows.
//!
//! Types here know serde, schemars and kube's derive, and no client. [`convert`] turns them once into the checked types of
//! [`crate::domain`]; rules never look at wire types. Start with [`v1alpha1::promotion`].

pub mod condition;
pub mod convert;
pub mod crds;
pub mod kubeconfig;
pub mod manifest;
pub mod seal;
pub mod v1alpha1;
pub mod variables;

/// The API group of every kind.
pub const GROUP: &str = "gantry.dev";

/// Label on a namespace that a space has claimed: its value is the space.
pub const SPACE_LABEL: &str = "gantry.dev/space";

/// Label on everything that belongs to an environment: its value is the environment.
pub const ENVIRONMENT_LABEL: &str = "gantry.dev/environment";

/// Label on everything that belongs to a project: its value is the project.
pub const PROJECT_LABEL: &str = "gantry.dev/project";

/// Label on a Secret of a space: the environments whose promotions may read it, joined with `_`, which no name of one holds.
pub const SECRET_ENVIRONMENTS_LABEL: &str = "gantry.dev/environments";

/// Finalizer that keeps a promotion until Project, Environment, Release and audit have recorded its end.
pub const RECORDED_FINALIZER: &str = "gantry.dev/recorded";

/// Finalizer that lets Gantry undo what an environment provisioned before the environment goes.
pub const PROVISIONED_FINALIZER: &str = "gantry.dev/provisioned";
