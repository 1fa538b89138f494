//! What was applied.

use super::object::ObjectRef;

/// One object as the API server has it after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which object.
    pub object: ObjectRef,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion; no older state of it counts as its state.
    pub resource_version: String,
    /// Its generation, for kinds that have one.
    pub generation: Option<i64>,
    /// Whether the apply changed anything.
    pub changed: bool,
}
