//! What is said of a promotion in Events and counted in metrics: on the promotion, and what changes the environment also on that and
//! on the release.

use super::news::News;
use super::record;
use crate::api::v1alpha1::Promotion;
use crate::cluster::cache::Key;
use crate::controllers::context::Context;
use crate::controllers::decision::Note;
use crate::controllers::pipeline;
use crate::controllers::promotion::decide;
use crate::controllers::promotion::reads;
use crate::domain::promotion::outcome::Outcome;

/// Says what happened.
pub fn tell(context: &Context, promotion: &Promotion, note: Note) {
    let about = pipeline::reference(promotion);
    if News::is_told_elsewhere(note.reason) {
        let space = about.namespace.clone().unwrap_or_default();
        let stores = &context.stores;
        let environment = stores.environments.get(&Key::new(&space, promotion.spec.environment.as_str()));
        let release = stores.releases.get(&Key::new(&space, reads::release_of(promotion)));
        let environment = environment.map(|known| pipeline::reference(known.as_ref()));
        let release = release.map(|known| pipeline::reference(known.as_ref()));
        for regarding in environment.into_iter().chain(release) {
            pipeline::mention(&context.events, note.clone(), (regarding, about.clone()));
        }
    }
    pipeline::say(&context.events, note, (about, None));
}

/// Says and counts an end that this process found written: the answer to its own write was lost, or another process died before it
/// said so. Nothing that this process has said already is said again.
pub fn end(context: &Context, promotion: &Promotion) {
    if context.outcomes.told(promotion.metadata.uid.as_deref().unwrap_or_default()) {
        if let Some(note) = decide::ended(promotion) {
            tell(context, promotion, note);
        }
        count(context, promotion);
    }
}

/// Counts the end of a promotion, where it counts.
pub fn count(context: &Context, promotion: &Promotion) {
    if let Some(outcome) = record::outcome(promotion).filter(Outcome::counts) {
        let release = context.stores.releases.get(&reads::release_key(&outcome));
        context.count(&outcome, release.as_deref());
    }
}
