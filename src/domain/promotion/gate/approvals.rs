//! The gate of approvals, and what it says.

use super::{Gate, GateFacts, Verdict};
use crate::domain::promotion::approval::{Choice, Judged, Void};
use crate::domain::promotion::reason::Reason;
use crate::domain::remade;

/// How many void approvals a message tells of.
const VOIDED: usize = 2;
/// How many characters of a comment a message holds.
const COMMENT: usize = 256;

impl Gate {
    /// Enough people agreed, or the history that they would look at was lost.
    pub(super) fn approved(self, facts: &GateFacts) -> Verdict {
        let tally = &facts.approvals;
        if facts.recovering || tally.needed == 0 {
            return Verdict::Open;
        }
        if tally.is_anonymous() {
            let robot = facts.stamped.as_ref().map(|person| person.name.as_str()).unwrap_or_default();
            let message = format!(
                "{} wants approvals of others than who asked, and nobody knows who that is: {robot} is a service account and spec.onBehalfOf names no person; ask again with spec.onBehalfOf, under another name",
                facts.subject.environment
            );
            return self.refused(facts, Reason::RequesterUnknown, message);
        }
        match tally.missing() {
            0 => Verdict::Open,
            missing => self.waiting(Reason::ApprovalsMissing, missing_approvals(facts, missing)),
        }
    }
}

/// Who rejected it, and what to do.
#[must_use]
pub(super) fn rejected(facts: &GateFacts) -> Option<String> {
    let rejection = facts.approvals.rejection()?;
    let by = rejection.by.as_ref().map(|person| person.name.as_str()).unwrap_or_default();
    let comment = rejection.comment.as_deref().filter(|comment| !comment.is_empty());
    let comment = comment.map(|comment| format!(" ({})", cut(comment))).unwrap_or_default();
    Some(format!(
        "{by} rejected it{comment}; nothing was applied, and a rejection is final: make a new promotion with another name"
    ))
}

/// How many approvals are missing, which right approves, and which approvals count for nothing.
fn missing_approvals(facts: &GateFacts, missing: u32) -> String {
    let (tally, environment) = (&facts.approvals, &facts.subject.environment);
    let are = if missing == 1 { "is" } else { "are" };
    let others = match tally.requesters() {
        names if tally.rule.allow_requester || names.is_empty() => String::new(),
        names => format!(" who is not {}", names.join(" or ")),
    };
    let relaxed = if tally.needed_now < tally.needed {
        format!(" ({} when it was asked for; make a new promotion to go by the rule of now)", tally.needed)
    } else {
        String::new()
    };
    let voided: String = tally.judged.iter().filter_map(void_approval).take(VOIDED).collect();
    let no_return = tally.is_no_return().then(|| remade::sentence(&facts.subject.release(), "there"));
    let no_return = no_return.map(|why| format!("; this is no return, since {why}")).unwrap_or_default();
    format!(
        "{missing} of {} approvals {are} missing{relaxed}: somebody{others} with the verb approve on environments.gantry.dev/{environment} must make an Approval of its status.planDigest{voided}{no_return}",
        tally.needed
    )
}

/// Whose approval counts for nothing, and why.
fn void_approval(known: &Judged) -> Option<String> {
    let void = known.void.filter(|void| *void != Void::Repeated && known.decision.choice == Choice::Approve)?;
    let by = known.decision.by.as_ref().map_or("nobody", |person| person.name.as_str());
    Some(format!("; the approval of {by} does not count: {}", void.sentence()))
}

/// As much of a comment as a sentence holds.
fn cut(comment: &str) -> String {
    comment.chars().take(COMMENT).collect()
}
