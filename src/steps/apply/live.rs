//! An object as it is now: who owns it, and the uid and resourceVersion that fence a write. Never its content.
//!
//! A deployer may not read Secrets, and need not: a server-side apply of nothing, as a dry run, changes nothing, needs only the
//! right to write, and answers with the object as it is, of which only the metadata is asked for. An absent object would be made
//! by it, and then has no resourceVersion, since nothing is stored.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::deployer::Deployer;
use super::object::ObjectRef;
use super::unquoted;
use crate::cluster::discovery::Kind;
use crate::cluster::error::ClusterError;

/// Who looks: an applier of nothing, which therefore manages nothing.
const LOOKS_AS: &str = "gantry-look";

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub uid: String,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Whether it is on its way out.
    pub leaving: bool,
}

impl Live {
    /// Nothing if the object is not stored.
    fn of(meta: ObjectMeta) -> Option<Self> {
        Some(Self {
            uid: meta.uid?,
            resource_version: meta.resource_version.filter(|version| !version.is_empty())?,
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            leaving: meta.deletion_timestamp.is_some(),
        })
    }
}

impl Deployer {
    /// The uid of an object that is there.
    ///
    /// # Errors
    /// When it cannot be read, or its kind cannot be discovered.
    pub async fn uid(&self, object: &ObjectRef) -> Result<Option<String>, ClusterError> {
        let Some(kind) = self.discovery.kind(&object.gvk()).await? else { return Ok(None) };
        Ok(self.live(&kind, object).await?.map(|live| live.uid))
    }

    /// The object as it is now, if there is one.
    pub(super) async fn live(&self, kind: &Kind, object: &ObjectRef) -> Result<Option<Live>, ClusterError> {
        if object.is_secret() {
            return self.look_without_reading(kind, object).await;
        }
        match self.api(kind).get_metadata_opt(&object.name).await {
            Ok(found) => Ok(found.and_then(|found| Live::of(found.metadata))),
            Err(error) => Err(unquoted::error(object, "read", error)),
        }
    }

    async fn look_without_reading(&self, kind: &Kind, object: &ObjectRef) -> Result<Option<Live>, ClusterError> {
        let nothing = json!({
            "apiVersion": kind.resource.api_version, "kind": kind.resource.kind,
            "metadata": {"name": object.name, "namespace": object.namespace},
        });
        let look = PatchParams { dry_run: true, field_manager: Some(LOOKS_AS.to_owned()), ..PatchParams::default() };
        match self.api(kind).patch_metadata(&object.name, &look, &Patch::Apply(&nothing)).await {
            Ok(found) => Ok(Live::of(found.metadata)),
            Err(error) => Err(unquoted::error(object, "look at", error)),
        }
    }
}
