//! Whether what an object says of its author can be believed.

use kube::{Resource, ResourceExt as _};

use crate::domain::guard::Guard;

/// Whether the guard vouches for the author that was written when an object was made. For nobody's where nobody knows when that was.
#[must_use]
pub fn is_vouched<K: Resource<DynamicType = ()>>(guard: &Guard, object: &K) -> bool {
    object.creation_timestamp().is_some_and(|made| guard.vouches_for(&K::plural(&()), made.0))
}
