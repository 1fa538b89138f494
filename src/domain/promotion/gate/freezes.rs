//! The gate of freezes, and what it says.

use super::{Gate, GateFacts, Verdict, WhenNotReady};
use crate::domain::freeze::{self, Hold, Holding};
use crate::domain::promotion::reason::Reason;

impl Gate {
    /// No freeze holds it when it is to start, nor when it starts. One that was there, and held, at the start that was asked for
    /// refuses it; one that began or was made while it waited lets it wait.
    pub(super) fn not_frozen(self, facts: &GateFacts) -> Verdict {
        let holding = facts.freezes.holding(facts.window.intended(facts.now));
        if holding.is_empty() {
            return Verdict::Open;
        }
        let asked = facts.window.intended(facts.asked);
        let held_then = |holding: &Holding<'_>| {
            holding.freeze.made <= facts.asked && matches!(holding.freeze.hold(asked), Some(Hold::Until(_)))
        };
        let message = frozen(facts, &holding);
        let verb = format!("the verb override on environments.gantry.dev/{}", facts.subject.environment);
        if facts.when_not_ready == WhenNotReady::Refuse && holding.iter().any(held_then) {
            let remedy = "promote again under another name, after that, with whenNotReady: Wait to wait for it, or with spec.freezeOverride";
            return self.refused(facts, Reason::Frozen, format!("{message}: {remedy} ({verb})"));
        }
        let remedy =
            format!("it goes on by itself afterwards; only a new one with spec.freezeOverride ({verb}) starts before");
        self.waiting(Reason::Frozen, format!("{message}: {remedy}"))
    }
}

/// What is frozen, by which freezes, and what its override lacks.
fn frozen(facts: &GateFacts, holding: &[Holding<'_>]) -> String {
    let when = match facts.window.not_before.filter(|time| *time > facts.now) {
        Some(time) => format!("at {time}, when it is to start, "),
        None => String::new(),
    };
    let lacks = if facts.freezes.overridden.is_empty() {
        String::new()
    } else {
        let missing: Vec<&str> = holding.iter().map(|holding| holding.freeze.name.as_str()).collect();
        format!(", which its spec.freezeOverride does not name (add {} to names)", missing.join(", "))
    };
    let (project, environment) = (&facts.subject.project, &facts.subject.environment);
    format!("{when}promotions of {project} to {environment} are held by {}{lacks}", freeze::told(holding))
}
