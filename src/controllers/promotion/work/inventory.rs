//! Where the inventory of a project in a target is kept: ControllerRevision `<project>.<environment>.<target>` in the space.
//!
//! The API server lets nobody change the data of a ControllerRevision (k8s.io/kubernetes `pkg/apis/apps/validation`), and an
//! inventory changes; so the list is in an annotation, which holds up to 256 KiB, and the data is empty.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::v1alpha1::Promotion;
use crate::api::{ENVIRONMENT_LABEL, PROJECT_LABEL};
use crate::cluster::error::ClusterError;
use crate::steps::apply::inventory::Inventory;

/// The annotation that holds the list.
pub const ANNOTATION: &str = "gantry.dev/inventory";
/// What the last promotion that pruned has deleted. It is written with the inventory that no longer has it: else a crash before
/// the promotion's status is written would leave nobody who knows.
const PRUNED: &str = "gantry.dev/pruned";

/// Objects that a promotion has pruned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pruned {
    promotion: String,
    objects: Vec<String>,
}

/// The inventory of one project in one target, as it is stored.
#[derive(Clone)]
pub struct Stored {
    revisions: Api<ControllerRevision>,
    name: String,
    labels: BTreeMap<String, String>,
    version: Option<String>,
    pruned: Pruned,
    /// What it says.
    pub inventory: Inventory,
}

impl Stored {
    /// Reads the inventory that a promotion starts from; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read, or does not read as an inventory: then nobody knows what would have to be pruned.
    pub async fn read(client: &Client, promotion: &Promotion, target: &str) -> Result<Self, ClusterError> {
        let spec = &promotion.spec;
        let revisions: Api<ControllerRevision> =
            Api::namespaced(client.clone(), promotion.metadata.namespace.as_deref().unwrap_or_default());
        let name = format!("{}.{}.{target}", spec.project, spec.environment);
        let known = revisions.get_opt(&name).await.map_err(|e| ClusterError::api("read the inventory", e))?;
        let annotation =
            |key: &str| known.as_ref().and_then(|revision| revision.metadata.annotations.as_ref()?.get(key).cloned());
        let text = annotation(ANNOTATION);
        let inventory = match text {
            None => Inventory::default(),
            Some(text) => serde_json::from_str(&text).map_err(|error| ClusterError::Unreadable {
                object: format!("ControllerRevision {name}"),
                message: format!(
                    "annotation {ANNOTATION}: {error}; to start without an inventory take the binding of policy revisions.gantry.dev away, delete it, and apply Gantry's policies again"
                ),
            })?,
        };
        let uid = promotion.metadata.uid.clone().unwrap_or_default();
        let pruned = annotation(PRUNED).and_then(|text| serde_json::from_str::<Pruned>(&text).ok());
        let pruned = pruned.filter(|pruned| pruned.promotion == uid);
        let labels = [(PROJECT_LABEL, &spec.project), (ENVIRONMENT_LABEL, &spec.environment)];
        Ok(Self {
            revisions,
            name,
            labels: labels.map(|(label, value)| (label.to_owned(), value.clone())).into(),
            version: known.and_then(|revision| revision.metadata.resource_version),
            pruned: pruned.unwrap_or(Pruned { promotion: uid, objects: Vec::new() }),
            inventory,
        })
    }

    /// Writes another inventory, on the version that was read. The same one again writes nothing.
    ///
    /// # Errors
    /// When the API server does not take it; a conflict means that somebody else wrote since.
    pub async fn write(&mut self, inventory: Inventory) -> Result<(), ClusterError> {
        if self.version.is_some() && inventory == self.inventory {
            return Ok(());
        }
        self.store(inventory, BTreeMap::new()).await
    }

    /// Writes the inventory that is left after these objects were pruned, on the version that was read.
    ///
    /// # Errors
    /// As [`Stored::write`].
    pub async fn forget(&mut self, inventory: Inventory, pruned: Vec<String>) -> Result<(), ClusterError> {
        self.pruned.objects.extend(pruned);
        let text = json!(self.pruned).to_string();
        self.store(inventory, BTreeMap::from([(PRUNED.to_owned(), text)])).await
    }

    /// What this promotion has pruned, this time or before a crash.
    #[must_use]
    pub fn pruned(&self) -> &[String] {
        &self.pruned.objects
    }

    async fn store(
        &mut self,
        inventory: Inventory,
        mut annotations: BTreeMap<String, String>,
    ) -> Result<(), ClusterError> {
        annotations.insert(ANNOTATION.to_owned(), inventory.canonical());
        let written = match &self.version {
            Some(version) => {
                let patch = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
                self.revisions.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await
            }
            None => self.revisions.create(&PostParams::default(), &self.revision(annotations)).await,
        };
        let written = written.map_err(|error| ClusterError::api("write the inventory", error))?;
        self.version = written.metadata.resource_version;
        self.inventory = inventory;
        Ok(())
    }

    fn revision(&self, annotations: BTreeMap<String, String>) -> ControllerRevision {
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(self.labels.clone()),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            data: Some(k8s_openapi::apimachinery::pkg::runtime::RawExtension(json!({}))),
            revision: 1,
        }
    }
}
