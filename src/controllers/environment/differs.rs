//! Whether what is there is what should be there. Pure.
//!
//! Only what Gantry sets is compared: labels and annotations of other people stay as they are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::furnishing::Furnishing;

/// How something that is there has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is as it should be.
    None,
    /// Applying the right state is enough.
    Apply,
    /// A field that never changes is wrong: it must be deleted and made again.
    Replace,
}

/// A binding. What it binds to can never change.
#[must_use]
pub fn binding(found: Option<&RoleBinding>, wanted: &RoleBinding) -> Difference {
    let Some(found) = found else { return Difference::Apply };
    let (is, should_be) = (&found.role_ref, &wanted.role_ref);
    if is.kind != should_be.kind || is.name != should_be.name {
        return Difference::Replace;
    }
    furnishing(Some(found), wanted)
}

/// Any other object.
#[must_use]
pub fn furnishing<K: Furnishing>(found: Option<&K>, wanted: &K) -> Difference {
    let Some(found) = found else { return Difference::Apply };
    if found.is_beyond_repair() {
        return Difference::Replace;
    }
    apply_unless(found.is_as(wanted) && has_metadata(found.meta(), wanted.meta()))
}

/// A copy of a pull secret. Keys that somebody added go only with the whole Secret.
#[must_use]
pub fn copy(found: Option<&Secret>, wanted: &Secret) -> Difference {
    let Some(found) = found else { return Difference::Apply };
    let extra = |key: &String| !wanted.data.as_ref().is_some_and(|data| data.contains_key(key));
    let has_extra = found.data.iter().flat_map(BTreeMap::keys).any(extra);
    if found.type_ != wanted.type_ || has_extra || found.immutable == Some(true) && found.data != wanted.data {
        return Difference::Replace;
    }
    apply_unless(found.data == wanted.data && has_metadata(&found.metadata, &wanted.metadata))
}

/// Whether labels and annotations hold at least what they should.
#[must_use]
pub fn has_metadata(found: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    has_all(found.labels.as_ref(), wanted.labels.as_ref())
        && has_all(found.annotations.as_ref(), wanted.annotations.as_ref())
}

type Texts = BTreeMap<String, String>;

fn has_all(found: Option<&Texts>, wanted: Option<&Texts>) -> bool {
    wanted.into_iter().flatten().all(|(name, value)| found.and_then(|found| found.get(name)) == Some(value))
}

fn apply_unless(same: bool) -> Difference {
    if same { Difference::None } else { Difference::Apply }
}
