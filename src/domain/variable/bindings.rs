//! What the names in expressions mean for one subject.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::budget::Budget;
use super::evaluate::{Evaluated, evaluate};
use super::expression::Expression;
use super::fault::{Fault, FaultReason};
use super::function;
use super::resolve::{Resolution, Resolved, Unresolved, resolve};
use super::secret::{SecretPlace, SecretReference, SecretText};
use super::template::{Part, Template};
use super::{Content, Declared, Given, Source, Subject};

/// The longest chain of variables that use each other.
const CHAIN_MAX: usize = 16;
/// The largest text that expressions make.
const TEXT_MAX: usize = 128 * 1024;

/// What was read of the Secrets of the space: the text, or why there is none.
pub type Secrets = BTreeMap<SecretReference, Result<SecretText, String>>;

/// A text after its expressions were replaced.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// Anybody may see it. Not always a text: one that is a single expression keeps its type.
    Plain(Value),
    /// It holds a secret, or was decided by one.
    Secret(SecretText),
    /// It is an entry of a Secret that is never read.
    Reference(SecretReference),
}

/// What a variable is, once it was looked at.
#[derive(Clone, Debug)]
enum Bound {
    Value(Evaluated),
    Reference(SecretReference),
}

/// The names of expressions for one subject. Variables are evaluated when they are used, once.
#[derive(Debug)]
pub struct Bindings<'a> {
    /// Every other name than `variables`: `release`, `environment`, …
    pub names: &'a Map<String, Value>,
    pub(super) budget: Budget,
    resolved: Resolution<'a>,
    secrets: &'a Secrets,
    known: BTreeMap<String, Result<Bound, Fault>>,
    chain: Vec<String>,
    wanted: BTreeSet<SecretReference>,
}

impl<'a> Bindings<'a> {
    /// The names for a subject.
    #[must_use]
    pub fn new(
        (declared, given): (&'a [Declared], &'a [Given]),
        subject: &Subject,
        (names, secrets): (&'a Map<String, Value>, &'a Secrets),
    ) -> Self {
        Self {
            names,
            budget: Budget::default(),
            resolved: resolve(declared, given, subject),
            secrets,
            known: BTreeMap::new(),
            chain: Vec::new(),
            wanted: BTreeSet::new(),
        }
    }

    /// The text with its expressions replaced; nothing if there is nothing to replace.
    ///
    /// # Errors
    /// When an expression of it has no value.
    pub fn text(&mut self, text: &str) -> Result<Option<Text>, Fault> {
        let Some(template) = Template::parse(text)? else { return Ok(None) };
        self.budget.renew();
        let text = match self.template(&template)? {
            Bound::Reference(reference) => Text::Reference(reference),
            Bound::Value(Evaluated { value, salts }) if salts.is_empty() => Text::Plain(value),
            Bound::Value(Evaluated { value, salts }) => {
                let salt = salts.into_iter().collect::<Vec<_>>().join(",");
                Text::Secret(SecretText::new(function::text(&value)?, &salt))
            }
        };
        Ok(Some(text))
    }

    /// Secrets of the space that expressions wanted to read and that nobody has read yet.
    #[must_use]
    pub fn wanted(&self) -> &BTreeSet<SecretReference> {
        &self.wanted
    }

    /// The variables that expressions used, with the values that won.
    pub fn used(&self) -> impl Iterator<Item = (&str, &Resolved<'a>)> {
        self.known.keys().filter_map(|name| {
            let resolved = self.resolved.get(name.as_str())?.as_ref().ok()?;
            Some((name.as_str(), resolved))
        })
    }

    /// What a used variable evaluates to, as a salted hash; nothing for a reference, which is never read.
    #[must_use]
    pub fn hash(&self, name: &str, salt: &str) -> Option<String> {
        let Bound::Value(Evaluated { value, salts }) = self.known.get(name)?.as_ref().ok()? else { return None };
        let salts = salts.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let hash = function::sha256(&format!("{salt}/{salts}/{name}/{value}"));
        hash.get(..16).map(str::to_owned)
    }

    /// What is wrong with the values that were given, or not given, with the promotion, whether they are used or not.
    pub fn complaints(&self) -> impl Iterator<Item = (&str, Fault)> {
        self.resolved.iter().filter_map(|(name, resolved)| match resolved {
            Err(wrong @ (Unresolved::Unknown | Unresolved::Unanswered(_) | Unresolved::WrongAnswer(_))) => {
                Some((*name, fault(name, wrong)))
            }
            Ok(_) | Err(_) => None,
        })
    }

    /// The value of a variable, for an expression that does something with it.
    pub(super) fn variable(&mut self, name: &str) -> Result<Evaluated, Fault> {
        match self.bound(name)? {
            Bound::Value(value) => Ok(value),
            Bound::Reference(reference) => Err(Fault::new(
                FaultReason::SecretInPlainText,
                format!(
                    "variable {name} is {reference} in the target's namespace, which is never read: use it alone as the value of an environment variable, or say from: Space"
                ),
            )),
        }
    }

    /// Whether a variable has a value here.
    pub(super) fn has(&self, name: &str) -> Result<bool, Fault> {
        match self.resolved.get(name) {
            Some(Ok(_)) => Ok(true),
            Some(Err(Unresolved::OutOfScope(_) | Unresolved::NoValue)) => Ok(false),
            Some(Err(wrong)) => Err(fault(name, wrong)),
            None => Err(fault(name, &Unresolved::Unknown)),
        }
    }

    fn bound(&mut self, name: &str) -> Result<Bound, Fault> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if self.chain.iter().any(|known| known == name) {
            let from = self.chain.iter().position(|known| known == name).unwrap_or_default();
            let circle = self.chain.iter().skip(from).map(String::as_str).chain([name]).collect::<Vec<_>>().join(" → ");
            let message = format!("variables refer to each other in a circle ({circle}): break it");
            return Err(Fault::new(FaultReason::VariableCycle, message));
        }
        if self.chain.len() >= CHAIN_MAX {
            let message = format!("more than {CHAIN_MAX} variables use each other: shorten the chain");
            return Err(Fault::new(FaultReason::ExpressionTooCostly, message));
        }
        self.chain.push(name.to_owned());
        let bound = self.content(name);
        self.chain.pop();
        // A variable without a value, and a circle, are named by the message itself.
        let resolved = self.resolved.get(name).is_some_and(Result::is_ok);
        let inner =
            |fault: &Fault| resolved && fault.reason != FaultReason::VariableCycle && fault.chain.len() < CHAIN_MAX;
        let bound = bound.map_err(|fault| if inner(&fault) { fault.through(name) } else { fault });
        self.known.insert(name.to_owned(), bound.clone());
        bound
    }

    fn content(&mut self, name: &str) -> Result<Bound, Fault> {
        let resolved = match self.resolved.get(name) {
            Some(Ok(resolved)) => resolved,
            Some(Err(wrong)) => return Err(fault(name, wrong)),
            None => return Err(fault(name, &Unresolved::Unknown)),
        };
        let literal = resolved.place.source == Source::Promotion;
        match resolved.content.as_ref().clone() {
            Content::Secret(reference) => self.secret(reference),
            // Whoever may promote says a value, and not what the project's variables are used for.
            Content::Value(value) if literal => Ok(Bound::Value(Evaluated { value, salts: BTreeSet::new() })),
            Content::Value(Value::String(text)) => match Template::parse(&text)? {
                None => Ok(Bound::Value(Evaluated { value: text.into(), salts: BTreeSet::new() })),
                Some(template) => self.template(&template),
            },
            Content::Value(mut value) => {
                let mut salts = BTreeSet::new();
                self.structure(&mut value, &mut salts)?;
                Ok(Bound::Value(Evaluated { value, salts }))
            }
        }
    }

    fn secret(&mut self, reference: SecretReference) -> Result<Bound, Fault> {
        if reference.from == SecretPlace::Target {
            return Ok(Bound::Reference(reference));
        }
        match self.secrets.get(&reference) {
            Some(Ok(text)) => {
                let salts = BTreeSet::from([text.salt().to_owned()]);
                Ok(Bound::Value(Evaluated { value: text.reveal().into(), salts }))
            }
            Some(Err(why)) => Err(Fault::new(FaultReason::SecretUnavailable, why.clone())),
            None => {
                self.wanted.insert(reference.clone());
                Err(Fault::new(FaultReason::SecretUnavailable, format!("{reference} was not read yet")))
            }
        }
    }

    fn template(&mut self, template: &Template) -> Result<Bound, Fault> {
        if let Some(expression) = template.sole() {
            return match expression.sole_variable() {
                Some(name) => self.bound(name),
                None => evaluate(expression, self).map(Bound::Value),
            };
        }
        let (mut text, mut salts) = (String::new(), BTreeSet::new());
        for part in &template.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expression(expression) => {
                    let evaluated = self.part(expression)?;
                    salts.extend(evaluated.salts);
                    text.push_str(&function::text(&evaluated.value)?);
                }
            }
            if text.len() > TEXT_MAX {
                let message = format!("the text is larger than {} KiB: make it smaller", TEXT_MAX / 1024);
                return Err(Fault::new(FaultReason::ExpressionTooCostly, message));
            }
        }
        Ok(Bound::Value(Evaluated { value: text.into(), salts }))
    }

    fn part(&mut self, expression: &Expression) -> Result<Evaluated, Fault> {
        let evaluated = evaluate(expression, self)?;
        self.budget.value(&evaluated.value)?;
        Ok(evaluated)
    }

    /// Replaces the expressions in a list or map.
    fn structure(&mut self, value: &mut Value, salts: &mut BTreeSet<String>) -> Result<(), Fault> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.structure(item, salts)),
            Value::Object(fields) => fields.iter_mut().try_for_each(|(_, field)| self.structure(field, salts)),
            Value::String(text) => {
                let Some(template) = Template::parse(text)? else { return Ok(()) };
                match self.template(&template)? {
                    Bound::Value(evaluated) => {
                        salts.extend(evaluated.salts);
                        *value = evaluated.value;
                        Ok(())
                    }
                    Bound::Reference(reference) => Err(Fault::new(
                        FaultReason::SecretInPlainText,
                        format!("{reference} in the target's namespace is never read: a list or map cannot hold it"),
                    )),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

/// A variable without a value, as a fault.
fn fault(name: &str, wrong: &Unresolved) -> Fault {
    let message = wrong.sentence(name);
    match wrong {
        Unresolved::OutOfScope(_) | Unresolved::NoValue => Fault::missing(message),
        Unresolved::Unknown => Fault::new(FaultReason::UnresolvedVariable, message),
        Unresolved::Ambiguous(_) => Fault::new(FaultReason::AmbiguousVariable, message),
        Unresolved::Unanswered(_) | Unresolved::WrongAnswer(_) => Fault::new(FaultReason::PromptUnanswered, message),
    }
}

#[cfg(test)]
mod tests;
