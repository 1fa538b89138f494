//! Whom a freeze wakes, and what wakes a freeze.

use super::{Specs, Wakes};
use crate::api::v1alpha1::{Freeze, Promotion};
use crate::cluster::cache::{Change, Key};
use crate::controllers::promotion::decide::between;
use crate::controllers::promotion::reads;

impl Wakes {
    /// Promotions that wait, or are kept from their next step, are judged anew. One that does not read as a freeze holds all.
    pub(super) fn freeze(&self, change: &Change<Freeze>, specs: &mut Specs) {
        self.queues.freezes.add(change.key.clone());
        if !specs.changed(change) {
            return;
        }
        for promotion in self.context.stores.unfinished.in_namespace(&change.key.namespace) {
            if !reads::is_running(&promotion) || between::is_paused(&promotion) {
                self.queues.promotions.add(Key::of(promotion.as_ref()));
            }
        }
    }

    /// The freezes of a space: what exists that they may name, or what they may hold back, changed.
    pub(super) fn freezes(&self, space: &str) {
        for freeze in self.context.stores.freezes.in_namespace(space) {
            self.queues.freezes.add(Key::of(freeze.as_ref()));
        }
    }

    /// The same for what a promotion is about.
    pub(super) fn freezes_of(&self, space: &str, promotion: &Promotion) {
        let (project, environment) = (&promotion.spec.project, &promotion.spec.environment);
        let names = |named: &[String], name: &String| named.is_empty() || named.contains(name);
        for freeze in self.context.stores.freezes.in_namespace(space) {
            if names(&freeze.spec.projects, project) && names(&freeze.spec.environments, environment) {
                self.queues.freezes.add(Key::of(freeze.as_ref()));
            }
        }
    }
}
