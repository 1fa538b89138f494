//! Which value of each variable holds for one subject, who lost, and why. The order of declarations never matters.

use std::collections::BTreeMap;
use std::fmt;

use super::prompt::{Prompt, read_like};
use super::scope::{Scope, Subject};
use super::{Candidate, Content, Declared, Given, Source};
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
pub struct Resolved {
    /// The value.
    pub content: Content,
    /// Where it is declared.
    pub place: Place,
    /// Where it holds.
    pub scope: Scope,
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

/// Everything that is known of one variable before a subject is known.
#[derive(Default)]
struct Known<'a> {
    candidates: Vec<(Place, &'a Candidate)>,
    prompt: Option<(&'a Source, &'a Prompt)>,
}

/// What every declared or given variable is for one subject.
#[must_use]
pub fn resolve(
    declared: &[Declared],
    given: &[Given],
    subject: &Subject,
) -> BTreeMap<String, Result<Resolved, Unresolved>> {
    let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for Declared { source, variables } in declared {
        for variable in variables {
            let entry = known.entry(&variable.name).or_default();
            let places = variable.values.iter().enumerate();
            entry.candidates.extend(places.map(|(index, value)| (Place { source: source.clone(), index }, value)));
            let asks = variable.prompt.as_ref().map(|prompt| (source, prompt));
            // The project's question is asked, or that of the first set by name.
            entry.prompt = [entry.prompt, asks].into_iter().flatten().min_by_key(|(source, _)| *source);
        }
    }
    let answers: BTreeMap<&str, &Content> = given.iter().map(|one| (one.name.as_str(), &one.content)).collect();
    let unknown = answers.keys().filter(|name| !known.contains_key(*name));
    let unknown = unknown.map(|name| ((*name).to_owned(), Err(Unresolved::Unknown))).collect::<Vec<_>>();
    let resolved = known.into_iter().map(|(name, known)| (name.to_owned(), one(known, answers.get(name), subject)));
    resolved.chain(unknown).collect()
}

fn one(known: Known<'_>, answer: Option<&&Content>, subject: &Subject) -> Result<Resolved, Unresolved> {
    let Known { mut candidates, prompt } = known;
    let prompt = prompt.map(|(_, prompt)| prompt);
    candidates.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (holds, out): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(_, value)| value.scope.applies(subject));
    let mut lost: Vec<_> = out.into_iter().map(|(place, _)| (place, Lost::OutOfScope)).collect();
    if let Some(answer) = answer {
        let winner = best(&holds).first().map(|(_, value)| &value.content);
        let content = accepted(answer, prompt, winner).map_err(Unresolved::WrongAnswer)?;
        lost.extend(holds.into_iter().map(|(place, _)| (place, Lost::Given)));
        let place = Place { source: Source::Promotion, index: 0 };
        return Ok(Resolved { content, place, scope: Scope::default(), lost });
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
            Ok(Resolved { content: value.content.clone(), place: place.clone(), scope: value.scope.clone(), lost })
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

/// Variables of a project and its sets that are ambiguous somewhere, with the places of values that tie there.
#[must_use]
pub fn ambiguities(declared: &[Declared]) -> BTreeMap<String, Vec<Place>> {
    let mut by_name: BTreeMap<&str, Vec<Declared>> = BTreeMap::new();
    for Declared { source, variables } in declared {
        for variable in variables {
            let only = Declared { source: source.clone(), variables: vec![variable.clone()] };
            by_name.entry(&variable.name).or_default().push(only);
        }
    }
    let tie = |(name, declared): (&str, Vec<Declared>)| Some((name.to_owned(), tie(name, &declared)?));
    by_name.into_iter().filter_map(tie).collect()
}

/// Values of the one variable in `declared` that tie for some subject.
fn tie(name: &str, declared: &[Declared]) -> Option<Vec<Place>> {
    let values: Vec<_> = declared.iter().flat_map(|only| &only.variables).flat_map(|one| &one.values).collect();
    let pairs = values.iter().enumerate().flat_map(|(at, one)| values.iter().skip(at + 1).map(move |two| (one, two)));
    let ties = pairs.filter(|(one, two)| one.scope.specificity() == two.scope.specificity());
    let mut subjects = ties.filter_map(|(one, two)| one.scope.witness(&two.scope));
    subjects.find_map(|subject| match resolve(declared, &[], &subject).remove(name)? {
        Err(Unresolved::Ambiguous(places)) => Some(places),
        Ok(_) | Err(_) => None,
    })
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
