//! Which value of each variable holds for one subject, who lost, and why. The order of declarations never matters.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::prompt::{Prompt, read_like};
use super::scope::{Scope, Subject};
use super::{Candidate, Content, Declared, Given, Source, Variable};
use serde_json::Value;

/// How many losers and rivals a message names.
const NAMED: usize = 4;

/// One value of a variable, by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it is declared.
    pub source: Source,
    /// Which of the values there.
    pub index: usize,
}

impl fmt::Display for Place {
    /// `VariableSet shared, value 2`, counted from 1 as people do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Source::Promotion => f.write_str("Promotion"),
            Source::Project | Source::Set(_) => write!(f, "{}, value {}", self.source, self.index + 1),
        }
    }
}

/// The value that holds, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<'a> {
    /// The value.
    pub content: Cow<'a, Content>,
    /// Where it is declared.
    pub place: Place,
    /// Where it holds.
    pub scope: Cow<'a, Scope>,
    /// The values that hold too and lost, or that do not hold here.
    pub lost: Vec<(Place, Lost)>,
}

/// Why a value lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// Its scope does not match.
    OutOfScope,
    /// It is less specific than the winner.
    LessSpecific,
    /// It is as specific, and a project's value beats a set's.
    BelongsToSet,
    /// The promotion gives a value.
    Given,
}

/// Why no value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Nobody declares the variable.
    Unknown,
    /// It has values, and none holds here.
    OutOfScope(Vec<Place>),
    /// Several hold and none is more specific than the others.
    Ambiguous(Vec<Place>),
    /// It is declared without any value, and the promotion gives none.
    NoValue,
    /// A person must give it with the promotion, and nobody did.
    Unanswered(Option<String>),
    /// The promotion gives a value that cannot be one; what it must be instead.
    WrongAnswer(String),
}

/// Every variable by its name: the value that holds, or why none does.
pub type Resolution<'a> = BTreeMap<&'a str, Result<Resolved<'a>, Unresolved>>;

/// What every declared or given variable is for one subject.
#[must_use]
pub fn resolve<'a>(declared: &'a [Declared], given: &'a [Given], subject: &Subject) -> Resolution<'a> {
    let places = declared.iter().flat_map(|place| place.variables.iter().map(|variable| (&place.source, variable)));
    let mut places: Vec<(&Source, &Variable)> = places.collect();
    // Sorted once, not searched for each: the project comes first, then the sets by their names.
    places.sort_by(|(a, one), (b, two)| (&one.name, a).cmp(&(&two.name, b)));
    let answers: BTreeMap<&str, &Content> = given.iter().map(|one| (one.name.as_str(), &one.content)).collect();
    let known = |name: &str| places.binary_search_by(|(_, variable)| variable.name.as_str().cmp(name)).is_ok();
    let unknown = answers.keys().filter(|name| !known(name)).map(|name| (*name, Err(Unresolved::Unknown)));
    let of_one = places.chunk_by(|(_, one), (_, two)| one.name == two.name);
    let resolved = of_one.filter_map(|declared| {
        let name = declared.first()?.1.name.as_str();
        Some((name, one(declared, answers.get(name).copied(), subject)))
    });
    resolved.chain(unknown).collect()
}

/// One variable, from all its places.
fn one<'a>(
    declared: &[(&'a Source, &'a Variable)],
    answer: Option<&'a Content>,
    subject: &Subject,
) -> Result<Resolved<'a>, Unresolved> {
    // The project's question is asked, or that of the first set by name.
    let prompt = declared.iter().find_map(|(_, variable)| variable.prompt.as_ref());
    let values = declared.iter().flat_map(|(source, variable)| {
        let place = |index| Place { source: (*source).clone(), index };
        variable.values.iter().enumerate().map(move |(index, value)| (place(index), value))
    });
    let candidates: Vec<(Place, &Candidate)> = values.collect();
    let mut lost = Vec::with_capacity(candidates.len());
    let mut holds = candidates;
    holds.retain(|(place, value)| {
        let applies = value.scope.applies(subject);
        if !applies {
            lost.push((place.clone(), Lost::OutOfScope));
        }
        applies
    });
    if let Some(answer) = answer {
        let winner = best(&holds).first().map(|(_, value)| &value.content);
        let content = accepted(answer, prompt, winner).map_err(Unresolved::WrongAnswer)?;
        lost.extend(holds.into_iter().map(|(place, _)| (place, Lost::Given)));
        let place = Place { source: Source::Promotion, index: 0 };
        return Ok(Resolved { content: Cow::Owned(content), place, scope: Cow::Owned(Scope::default()), lost });
    }
    if let Some(prompt) = prompt.filter(|prompt| prompt.required) {
        return Err(Unresolved::Unanswered(prompt.label.clone()));
    }
    let best = best(&holds);
    let by_project: Vec<_> = best.iter().filter(|(place, _)| place.source == Source::Project).copied().collect();
    let finalists = if by_project.is_empty() { best } else { by_project };
    match finalists.as_slice() {
        [] if lost.is_empty() => Err(Unresolved::NoValue),
        [] => Err(Unresolved::OutOfScope(lost.into_iter().map(|(place, _)| place).collect())),
        [(place, value)] => {
            let rank = value.scope.specificity();
            let why = |rival: &Candidate| {
                if rival.scope.specificity() == rank { Lost::BelongsToSet } else { Lost::LessSpecific }
            };
            let rivals = holds.iter().filter(|(rival, _)| rival != place);
            lost.extend(rivals.map(|(rival, value)| (rival.clone(), why(value))));
            let (content, scope) = (Cow::Borrowed(&value.content), Cow::Borrowed(&value.scope));
            Ok(Resolved { content, place: place.clone(), scope, lost })
        }
        several => Err(Unresolved::Ambiguous(several.iter().map(|(place, _)| place.clone()).collect())),
    }
}

/// The most specific ones of those that hold.
fn best<'a, 'b>(holds: &'b [(Place, &'a Candidate)]) -> Vec<&'b (Place, &'a Candidate)> {
    let top = holds.iter().map(|(_, value)| value.scope.specificity()).max();
    holds.iter().filter(|(_, value)| Some(value.scope.specificity()) == top).collect()
}

/// The answer as a value of the right type.
fn accepted(answer: &Content, prompt: Option<&Prompt>, replaced: Option<&Content>) -> Result<Content, String> {
    let sensitive = prompt.is_some_and(|prompt| prompt.sensitive) || matches!(replaced, Some(Content::Secret(_)));
    match answer {
        Content::Value(_) if sensitive => Err("must be a secretKeyRef: its value is a secret".to_owned()),
        Content::Value(Value::String(text)) => {
            let read = match (prompt, replaced) {
                (Some(prompt), _) => prompt.kind.read(text),
                (None, Some(Content::Value(replaced))) => read_like(replaced, text),
                (None, _) => Ok(Value::from(text.as_str())),
            };
            read.map(Content::Value)
        }
        Content::Secret(_) | Content::Value(_) => Ok(answer.clone()),
    }
}

impl Unresolved {
    /// What is wrong with variable `name`, and what to do, in one sentence.
    #[must_use]
    pub fn sentence(&self, name: &str) -> String {
        match self {
            Self::Unknown => format!(
                "variable {name} is declared nowhere: add it to the project's variables or to one of its variable sets"
            ),
            Self::OutOfScope(places) => format!(
                "variable {name} has no value here ({} hold elsewhere): add a value whose scope matches",
                listed(places)
            ),
            Self::Ambiguous(places) => format!(
                "variable {name} has values of the same rank in {}: make one of their scopes more specific, or remove one",
                listed(places)
            ),
            Self::NoValue => format!(
                "variable {name} has no value: add one to its values, give it in the promotion's spec.variables, or use default()"
            ),
            Self::Unanswered(label) => {
                let asked = label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
                format!("variable {name}{asked} is asked for with every promotion: give it in spec.variables")
            }
            Self::WrongAnswer(must) => format!("variable {name} in the promotion's spec.variables {must}"),
        }
    }
}

/// The first places, and how many more there are.
#[must_use]
pub fn listed(places: &[Place]) -> String {
    let named: Vec<String> = places.iter().take(NAMED).map(ToString::to_string).collect();
    let more = places.len().saturating_sub(NAMED);
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{and}", named.join(" and "))
}

#[cfg(test)]
mod tests;
