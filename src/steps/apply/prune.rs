//! Deletes what a release no longer has, fenced, and only while it is still ours.

use std::time::Instant;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::check::Terms;
use super::deployer::Deployer;
use super::fence::{Fence, TRIES};
use super::inventory::Entry;
use super::live::Live;
use super::object::ObjectRef;
use super::ownership::Ownership;
use super::unquoted;
use super::write::{WriteError, is_stale, refusal_of};
use crate::cluster::discovery::Kind;
use crate::cluster::error::ClusterError;

/// Annotation of an object that is to stay when releases no longer have it, such as a volume claim with data: `"false"`.
pub const PRUNE: &str = "gantry.dev/prune";

/// Deletes one object by uid and resourceVersion, its dependents in the background. Gives it back if it is gone now; nothing if it
/// stays, because it was made anew by somebody, is another project's, or says that it is to stay.
///
/// # Errors
/// See [`WriteError`].
pub async fn prune<F: Fence>(
    deployer: &Deployer,
    entry: &Entry,
    (terms, fence): (&Terms, &F),
) -> Result<Option<ObjectRef>, WriteError> {
    let object = entry.object();
    if object.namespace != deployer.namespace {
        return Ok(None);
    }
    let Some(kind) = deployer.discovery.kind(&object.gvk()).await?.filter(|kind| kind.namespaced) else {
        // The definition of the kind went, and all objects with it.
        return Ok(Some(object));
    };
    for _ in 0..TRIES {
        let Some(live) = deployer.live(&kind, &object).await? else { return Ok(Some(object)) };
        let read = Instant::now();
        if stays(entry, &live, terms) {
            return Ok(None);
        }
        if live.leaving {
            return Ok(Some(object));
        }
        fence.verify(read).await?;
        match delete(deployer, &kind, (&object, &live)).await {
            Ok(()) => return Ok(Some(object)),
            Err(error) if error.is_not_found() => return Ok(Some(object)),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(refusal_of(terms, &object, error)),
        }
    }
    Err(WriteError::Busy(object))
}

/// Whether it is none of ours to delete.
fn stays(entry: &Entry, live: &Live, terms: &Terms) -> bool {
    // An entry without uid was about to be applied: its labels alone say whose it is.
    let other = !entry.uid.is_empty() && entry.uid != live.uid;
    let ours = terms.scope.judge(Some(&live.labels)) == Ownership::Ours;
    other || !ours || live.annotations.get(PRUNE).is_some_and(|prune| prune == "false")
}

async fn delete(deployer: &Deployer, kind: &Kind, (object, live): (&ObjectRef, &Live)) -> Result<(), ClusterError> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(live.uid.clone()),
            resource_version: Some(live.resource_version.clone()),
        }),
        ..DeleteParams::default()
    };
    let deleted = deployer.api(kind).delete(&object.name, &params).await;
    deleted.map(|_| ()).map_err(|error| unquoted::error(object, "delete", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::apply::ownership::example::scope;
    use crate::steps::apply::ownership::{ENVIRONMENT, PROJECT, SPACE};

    fn live(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Live {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Live {
            uid: "u1".into(),
            resource_version: "7".into(),
            labels: map(labels),
            annotations: map(annotations),
            leaving: false,
        }
    }

    #[test]
    fn only_the_very_object_that_is_ours_and_does_not_say_otherwise_goes() {
        let terms = Terms { scope: scope(), force: false };
        let entry = |uid: &str| Entry {
            group: String::new(),
            kind: "Service".into(),
            namespace: "shop-dev".into(),
            name: "old".into(),
            version: "v1".into(),
            uid: uid.into(),
            fields: String::new(),
            step: String::new(),
        };
        let ours = [(SPACE, "shop"), (PROJECT, "checkout"), (ENVIRONMENT, "dev")];
        assert!(!stays(&entry("u1"), &live(&ours, &[]), &terms));
        assert!(!stays(&entry(""), &live(&ours, &[]), &terms));
        assert!(!stays(&entry("u1"), &live(&ours, &[(PRUNE, "true")]), &terms));
        assert!(stays(&entry("u2"), &live(&ours, &[]), &terms), "made anew");
        assert!(stays(&entry("u1"), &live(&[], &[]), &terms), "the labels were taken off");
        assert!(stays(&entry("u1"), &live(&[ours[0], (PROJECT, "billing"), ours[2]], &[]), &terms));
        assert!(stays(&entry("u1"), &live(&ours, &[(PRUNE, "false")]), &terms));
    }
}
