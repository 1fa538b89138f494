//! Who must agree before a promotion starts, and who did.
//!
//! A decision counts only for the promotion, the environment and the plan that it names, and only if it is of somebody who may
//! decide there; otherwise it is void, and says why. The strictest rule that held while the promotion waited counts. A rejection
//! is final.

use jiff::Timestamp;

use crate::domain::remade::Before;

/// How an account of a robot is called: Kubernetes' own name for service accounts.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// A person or account as the API server authenticated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user's name.
    pub name: String,
    /// The user's uid, where the authenticator gives one.
    pub uid: Option<String>,
}

impl Person {
    /// Whether both are the same account.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name || (self.uid.is_some() && self.uid == other.uid)
    }

    /// Whether it is an account of a program.
    #[must_use]
    pub fn is_service_account(&self) -> bool {
        self.name.starts_with(SERVICE_ACCOUNT)
    }
}

/// What an environment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many people must approve.
    pub required: u32,
    /// How many must approve a return to a release that succeeded there before.
    pub rollback: u32,
    /// Whether whoever asked may approve.
    pub allow_requester: bool,
    /// Whether approvals of service accounts count.
    pub allow_service_accounts: bool,
}

impl Rule {
    /// The rule of an environment that asks for nothing.
    pub const NONE: Self = Self { required: 0, rollback: 0, allow_requester: true, allow_service_accounts: true };

    /// What is stricter of both, in every respect.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            required: self.required.max(other.required),
            rollback: self.rollback.max(other.rollback),
            allow_requester: self.allow_requester && other.allow_requester,
            allow_service_accounts: self.allow_service_accounts && other.allow_service_accounts,
        }
    }

    /// How many approvals a promotion needs, by what its release was there before.
    #[must_use]
    pub fn needed(self, before: Before) -> u32 {
        match before {
            Before::Itself => self.rollback,
            Before::Never | Before::Another => self.required,
        }
    }
}

/// What people decide on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The promotion's uid.
    pub uid: String,
    /// Where it goes.
    pub environment: String,
    /// What it would do: another release, environment or variable makes another one. Nothing as long as nobody knows.
    pub plan_digest: Option<String>,
    /// Who asked, as the API server authenticated them.
    pub requested_by: Option<Person>,
    /// For whom a robot asked, as it says.
    pub on_behalf_of: Option<String>,
    /// Whether nobody asked: Gantry itself made it, of a release that a trigger made. Then there is nobody whose own request
    /// an approval could be, so that the approvals of people are enough.
    pub unasked: bool,
}

impl Proposal {
    /// Whether a person is the one who asked.
    #[must_use]
    pub fn is_of(&self, person: &Person) -> bool {
        let claimed = self.on_behalf_of.as_deref().is_some_and(|name| name.trim().eq_ignore_ascii_case(&person.name));
        claimed || self.requested_by.as_ref().is_some_and(|requester| requester.is(person))
    }

    /// Whether nobody but a robot asked, so that nobody knows whose approval would be their own.
    fn is_of_a_robot_alone(&self) -> bool {
        let robot = self.requested_by.as_ref().is_none_or(Person::is_service_account);
        robot && !self.unasked && self.on_behalf_of.as_deref().is_none_or(|name| name.trim().is_empty())
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It may start.
    Approve,
    /// It may not, for good.
    Reject,
}

impl Choice {
    /// The choice as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
        }
    }
}

/// One decision of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The name of the object that says so.
    pub approval: String,
    /// Its uid.
    pub approval_uid: String,
    /// When it was made.
    pub at: Timestamp,
    /// Who decided, as the API server authenticated them.
    pub by: Option<Person>,
    /// What they decided.
    pub choice: Choice,
    /// The uid of the promotion that they decided on.
    pub promotion_uid: String,
    /// The environment that they decided on.
    pub environment: String,
    /// The plan that they decided on.
    pub plan_digest: String,
    /// What they said.
    pub comment: Option<String>,
}

/// Why a decision counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Nobody is recorded as its author.
    NotStamped,
    /// It is of another promotion, which may have had the same name.
    OtherPromotion,
    /// It is for another environment, whose approvers may be others.
    OtherEnvironment,
    /// It is for another plan: environment or release have changed since, or will never be so.
    OtherPlan,
    /// It is of whoever asked.
    Requester,
    /// It is of a service account.
    ServiceAccount,
    /// The same person approved before.
    Repeated,
}

impl Void {
    /// Why, and what to do, after the name of who decided.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotStamped => {
                "the API server did not record whose it is: install Gantry's admission policies and decide again"
            }
            Self::OtherPromotion => {
                "it has the UID of another promotion: decide again with the metadata.uid of this one"
            }
            Self::OtherEnvironment => "it names another environment: decide again with the one that the promotion has",
            Self::OtherPlan => {
                "it is for another plan, since environment, release or variables are not what they were: decide again with the promotion's status.planDigest"
            }
            Self::Requester => "whoever asked cannot approve here: ask somebody else",
            Self::ServiceAccount => "approvals of service accounts do not count here: ask a person",
            Self::Repeated => "the same person approved before, and counts once: ask somebody else",
        }
    }
}

impl Decision {
    /// Why it counts for nothing, as far as it alone says. What is said against who may approve is not said against who may
    /// reject: a no is always safe.
    fn void(&self, proposal: &Proposal, rule: Rule) -> Option<Void> {
        let Some(by) = &self.by else { return Some(Void::NotStamped) };
        if self.promotion_uid != proposal.uid {
            return Some(Void::OtherPromotion);
        }
        if self.environment != proposal.environment {
            return Some(Void::OtherEnvironment);
        }
        if proposal.plan_digest.as_ref() != Some(&self.plan_digest) {
            return Some(Void::OtherPlan);
        }
        match self.choice {
            Choice::Approve if !rule.allow_requester && proposal.is_of(by) => Some(Void::Requester),
            Choice::Approve if !rule.allow_service_accounts && by.is_service_account() => Some(Void::ServiceAccount),
            Choice::Approve | Choice::Reject => None,
        }
    }
}

/// A decision, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The decision.
    pub decision: Decision,
    /// Why it counts for nothing; nothing if it counts.
    pub void: Option<Void>,
}

/// Everything that was decided on a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The strictest rule so far.
    pub rule: Rule,
    /// How many approvals it needs.
    pub needed: u32,
    /// How many it would need if it were asked for now.
    pub needed_now: u32,
    /// What its release was there before.
    pub before: Before,
    /// What people decide on.
    pub proposal: Proposal,
    /// Every decision, oldest first.
    pub judged: Vec<Judged>,
}

/// Judges every decision. Of several approvals by one person the first that counts is the one.
#[must_use]
pub fn tally(proposal: Proposal, (rule, now): (Rule, Rule), before: Before, mut decisions: Vec<Decision>) -> Tally {
    decisions.sort_by(|a, b| (a.at, &a.approval).cmp(&(b.at, &b.approval)));
    let mut judged: Vec<Judged> = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let repeats = |known: &Judged| {
            let same = known.decision.by.as_ref().zip(decision.by.as_ref()).is_some_and(|(one, other)| one.is(other));
            known.void.is_none() && known.decision.choice == Choice::Approve && same
        };
        let repeated = decision.choice == Choice::Approve && judged.iter().any(repeats);
        let void = decision.void(&proposal, rule).or_else(|| repeated.then_some(Void::Repeated));
        judged.push(Judged { decision, void });
    }
    Tally { rule, needed: rule.needed(before), needed_now: now.needed(before), before, proposal, judged }
}

impl Tally {
    /// The approvals that count.
    pub fn given(&self) -> impl Iterator<Item = &Decision> {
        let counts = |known: &&Judged| known.void.is_none() && known.decision.choice == Choice::Approve;
        self.judged.iter().filter(counts).map(|known| &known.decision)
    }

    /// How many approvals are missing.
    #[must_use]
    pub fn missing(&self) -> u32 {
        let given = u32::try_from(self.given().count()).unwrap_or(u32::MAX);
        self.needed.saturating_sub(given)
    }

    /// Whether it would need fewer if another release of its name, which was deleted, had not been made again.
    #[must_use]
    pub fn is_no_return(&self) -> bool {
        self.before == Before::Another && self.rule.needed(Before::Itself) < self.needed
    }

    /// The first rejection that counts.
    #[must_use]
    pub fn rejection(&self) -> Option<&Decision> {
        let counts = |known: &&Judged| known.void.is_none() && known.decision.choice == Choice::Reject;
        self.judged.iter().find(counts).map(|known| &known.decision)
    }

    /// Whether nobody knows whose approval would be their own, where that matters.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.needed > 0 && !self.rule.allow_requester && self.proposal.is_of_a_robot_alone()
    }

    /// Who cannot approve because they asked.
    #[must_use]
    pub fn requesters(&self) -> Vec<&str> {
        let asked =
            self.proposal.requested_by.as_ref().filter(|_| !self.proposal.unasked).map(|person| person.name.as_str());
        let mut names: Vec<&str> = asked.into_iter().chain(self.proposal.on_behalf_of.as_deref()).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests;
