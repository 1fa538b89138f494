//! The freezes that concern one promotion: which of them hold it, and until when.

use jiff::Timestamp;

use super::{Freeze, Hold, Running};

/// How many freezes a sentence tells of.
const TOLD: usize = 3;

/// The freezes of a promotion's project and environment, and which of them it may pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freezes {
    /// All of them, by name.
    pub concerning: Vec<Freeze>,
    /// Those that its override names.
    pub overridden: Vec<String>,
    /// Whether none holds it, since it puts back what ran before a failure.
    pub exempt: bool,
}

/// A freeze that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding<'a> {
    /// Which.
    pub freeze: &'a Freeze,
    /// How long.
    pub hold: Hold,
}

impl Freezes {
    /// Those that hold the promotion at this time.
    #[must_use]
    pub fn holding(&self, at: Timestamp) -> Vec<Holding<'_>> {
        let holds = |holding: &Holding<'_>| !self.exempt && !self.is_overridden(holding.freeze);
        self.active(at).filter(holds).collect()
    }

    /// Those that would hold it at this time without its override.
    #[must_use]
    pub fn overrode(&self, at: Timestamp) -> Vec<&Freeze> {
        let passes = |holding: &Holding<'_>| !self.exempt && self.is_overridden(holding.freeze);
        self.active(at).filter(passes).map(|holding| holding.freeze).collect()
    }

    /// Those that keep it, while it runs, from its next step.
    #[must_use]
    pub fn pausing(&self, now: Timestamp) -> Vec<Holding<'_>> {
        let mut holding = self.holding(now);
        holding.retain(|holding| holding.freeze.running == Running::Pause);
        holding
    }

    /// The next time at which one of them begins or ends.
    #[must_use]
    pub fn border(&self, now: Timestamp) -> Option<Timestamp> {
        self.concerning.iter().filter(|_| !self.exempt).filter_map(|freeze| freeze.border(now)).min()
    }

    fn active(&self, at: Timestamp) -> impl Iterator<Item = Holding<'_>> {
        self.concerning.iter().filter_map(move |freeze| Some(Holding { freeze, hold: freeze.hold(at)? }))
    }

    fn is_overridden(&self, freeze: &Freeze) -> bool {
        self.overridden.contains(&freeze.name)
    }
}

/// What holds, as a part of a sentence: `freeze year-end (nobody is there) until 2027-01-03T00:00:00Z`.
#[must_use]
pub fn told(holding: &[Holding<'_>]) -> String {
    let mut parts: Vec<String> = holding.iter().take(TOLD).map(one).collect();
    if holding.len() > TOLD {
        parts.push(format!("{} more", holding.len() - TOLD));
    }
    parts.join(" and ")
}

fn one(holding: &Holding<'_>) -> String {
    let Freeze { name, reason, .. } = holding.freeze;
    let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    match &holding.hold {
        Hold::Until(end) => format!("freeze {name}{because} until {end}"),
        Hold::Unknown { why } => format!("freeze {name}{because}, whose periods nobody knows ({why})"),
    }
}
