//! What a target had of the project and this release has no more: found in the inventory, and deleted once everything is done.

use super::bench::Job;
use super::inventory::Stored;
use super::manifests;
use super::{Workbench, into_cluster};
use crate::cluster::error::ClusterError;
use crate::controllers::promotion::slot::Slot;
use crate::steps::apply::inventory::{Entry, Inventory};
use crate::steps::apply::object::ObjectRef;
use crate::steps::apply::prune::prune;

impl Workbench<'_> {
    /// Deletes what the inventory has and this release has not, then forgets it.
    pub(super) async fn prune(&self, job: &Job) -> Result<Vec<String>, ClusterError> {
        let kept = self.kept(job, &job.inventory).await?;
        if self.leftovers(&job.inventory, &kept).is_empty() {
            return Ok(job.progress.pruned.clone());
        }
        let client = self.controller.context.cluster.client();
        let mut stored = Stored::read(&client, &self.observed.promotion, &self.planned.record.target).await?;
        let leftovers = self.leftovers(&stored.inventory, &kept);
        let (deployer, terms) = (self.deployer()?, self.terms(self.planned)?);
        let slot = Slot::of(&client, &self.observed.promotion);
        let mut pruned = Vec::new();
        for entry in &leftovers {
            let gone = prune(&deployer, entry, (&terms, &slot)).await.map_err(into_cluster)?;
            pruned.extend(gone.map(|object| object.slashed()));
        }
        let entries = stored.inventory.entries().iter().filter(|entry| !leftovers.contains(entry)).cloned();
        let left = Inventory::new(entries.collect::<Vec<_>>());
        stored.forget(left, pruned).await?;
        Ok(stored.pruned().to_vec())
    }

    /// Everything that this release has in the target: what this step applied, and what the status says that earlier steps did.
    /// Of those, what they would apply now may differ, since a Secret may have changed since: both are kept.
    async fn kept(&self, job: &Job, inventory: &Inventory) -> Result<Inventory, ClusterError> {
        let mut kept: Vec<ObjectRef> = job.applied.iter().map(|one| one.object.clone()).collect();
        let target = &self.planned.record.target;
        let status = self.observed.promotion.status.as_ref();
        let done = status.iter().flat_map(|status| &status.steps).filter(|step| step.target == *target);
        let done: Vec<&String> = done.flat_map(|step| &step.objects).collect();
        let known = inventory.entries().iter().map(Entry::object);
        kept.extend(known.filter(|object| done.contains(&&object.slashed())));
        for (index, planned) in self.plan.steps.iter().enumerate().filter(|(_, step)| step.record.target == *target) {
            if index == self.step || self.is_skipped(index) {
                continue;
            }
            let scope = self.terms(planned)?.scope;
            match self.renderer().render(planned, &scope).await? {
                Ok(rendered) => kept.extend(rendered.prepared.into_iter().map(|one| one.object)),
                // Without knowing what a step has, nothing is known to be left over.
                Err(problems) => return Err(ClusterError::Refused { what: problems.to_string() }),
            }
        }
        Ok(Inventory::planned(&kept))
    }

    /// What is to be pruned: the inventory has it, this release has not, and no step that is skipped now may have it.
    fn leftovers(&self, inventory: &Inventory, kept: &Inventory) -> Vec<Entry> {
        let mut leftovers = inventory.leftovers(kept);
        leftovers.retain(|entry| !self.stays(entry));
        leftovers
    }

    /// Whether a step that is skipped now may have applied an object earlier, or would if it ran: what it had stays as it is.
    fn stays(&self, entry: &Entry) -> bool {
        let target = &self.planned.record.target;
        let skipped = self.plan.steps.iter().enumerate().filter(|(index, _)| self.is_skipped(*index));
        let mut here = skipped.filter(|(_, planned)| planned.record.target == *target);
        here.any(|(_, planned)| {
            // Who applied it was not always kept.
            entry.step.is_empty() || entry.step == planned.record.name || manifests::may_have(&planned.step, entry)
        })
    }
}
