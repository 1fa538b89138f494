//! Variables from the wire to the domain, and everything that is wrong with them and can be seen in one object. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::v1alpha1::variable::{
    GivenVariable, Prompt, PromptType, SecretFrom, SecretKeyRef, Variable, VariableScope, VariableValue,
};
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::variable as domain;
use crate::domain::variable::prompt::PromptKind;
use crate::domain::variable::secret::SecretPlace;
use crate::domain::variable::template::Template;
use crate::domain::variable::{Candidate, Content, Declared, Given, Scope, SecretReference, Source};

/// The variables of one place, for the domain.
#[must_use]
pub fn declared(source: Source, variables: &[Variable]) -> Declared {
    let variable = |variable: &Variable| domain::Variable {
        name: variable.name.clone(),
        values: variable.values.iter().map(candidate).collect(),
        prompt: variable.prompt.as_ref().map(prompt),
    };
    Declared { source, variables: variables.iter().map(variable).collect() }
}

/// The values that come with a promotion.
#[must_use]
pub fn given(variables: &[GivenVariable]) -> Vec<Given> {
    let one = |given: &GivenVariable| Given {
        name: given.name.clone(),
        content: match &given.secret_key_ref {
            Some(reference) => Content::Secret(secret(reference)),
            None => Content::Value(given.value.clone().unwrap_or_default().into()),
        },
    };
    variables.iter().map(one).collect()
}

/// Everything that is wrong with variables wherever they are used.
#[must_use]
pub fn validate(variables: &[Variable], path: &str) -> Vec<Invalid> {
    let (mut names, mut wrong) = (BTreeMap::new(), Vec::new());
    for (index, variable) in variables.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !domain::is_name(&variable.name) {
            let message = format!("{:?} is no name of a variable: use letters, digits and _", variable.name);
            wrong.push(Invalid::new(format!("{path}.name"), InvalidReason::Malformed, message));
        }
        if let Some(first) = names.insert(variable.name.as_str(), index) {
            let message = format!(
                "variable {} is given twice, first at place {first}: put all values under one name",
                variable.name
            );
            wrong.push(Invalid::new(format!("{path}.name"), InvalidReason::Duplicate, message));
        }
        let values = variable.values.iter().enumerate();
        wrong.extend(values.flat_map(|(at, value)| of_value(value, &format!("{path}.values[{at}]"))));
    }
    wrong
}

fn of_value(value: &VariableValue, path: &str) -> Vec<Invalid> {
    match (&value.value, &value.secret_key_ref) {
        (Some(_), Some(_)) => {
            let message = "it has both value and secretKeyRef: remove one of them";
            vec![Invalid::new(path, InvalidReason::Forbidden, message)]
        }
        (None, None) => {
            let message = "it has neither value nor secretKeyRef: add value: …";
            vec![Invalid::new(path, InvalidReason::Required, message)]
        }
        (None, Some(_)) => Vec::new(),
        (Some(value), None) => {
            let mut wrong = Vec::new();
            expressions(&value.0, &format!("{path}.value"), &mut wrong);
            wrong
        }
    }
}

/// Every text in a value whose expressions cannot be read.
pub fn expressions(value: &Value, path: &str, wrong: &mut Vec<Invalid>) {
    match value {
        Value::String(text) => {
            wrong.extend(Template::parse(text).err().map(|fault| Invalid::new(path, InvalidReason::Malformed, fault)));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| expressions(item, &format!("{path}[{at}]"), wrong));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| expressions(field, &format!("{path}.{key}"), wrong));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn candidate(value: &VariableValue) -> Candidate {
    let content = match &value.secret_key_ref {
        Some(reference) => Content::Secret(secret(reference)),
        None => Content::Value(value.value.clone().unwrap_or_default().0),
    };
    Candidate { content, scope: value.scope.as_ref().map(scope).unwrap_or_default() }
}

fn scope(scope: &VariableScope) -> Scope {
    let VariableScope { steps, targets, roles, environments, channels } = scope.clone();
    Scope { steps, targets, roles, environments, channels }
}

fn secret(reference: &SecretKeyRef) -> SecretReference {
    let from = match reference.from {
        SecretFrom::Target => SecretPlace::Target,
        SecretFrom::Space => SecretPlace::Space,
    };
    SecretReference { name: reference.name.clone(), key: reference.key.clone(), from }
}

fn prompt(prompt: &Prompt) -> domain::Prompt {
    domain::Prompt {
        label: prompt.label.clone(),
        required: prompt.required,
        kind: match prompt.kind {
            PromptType::Text => PromptKind::Text,
            PromptType::Number => PromptKind::Number,
            PromptType::Boolean => PromptKind::Boolean,
            PromptType::Choice => PromptKind::Choice(prompt.choices.clone()),
        },
        sensitive: prompt.sensitive,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(value: Value) -> Vec<Variable> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_wrong_with_variables_is_named_by_its_place() {
        let wrong = validate(
            &variables(json!([
                {"name": "A", "values": [{"value": "${{ 1 +"}, {}]},
                {"name": "A", "values": [{"value": {"a": ["${{ }}"]}}, {"value": 1, "secretKeyRef": {"name": "a", "key": "b"}}]},
                {"name": "a-b", "values": [{"value": "fine ${{ variables.A }}"}]},
            ])),
            "spec.variables",
        );
        let paths: Vec<&str> = wrong.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "spec.variables[0].values[0].value",
                "spec.variables[0].values[1]",
                "spec.variables[1].name",
                "spec.variables[1].values[0].value.a[0]",
                "spec.variables[1].values[1]",
                "spec.variables[2].name",
            ]
        );
    }

    #[test]
    fn variables_are_read_as_they_are_written() {
        let read = declared(
            Source::Project,
            &variables(json!([{"name": "A", "values": [
                {"value": [1, true]},
                {"secretKeyRef": {"name": "db", "key": "password", "from": "Space"}, "scope": {"environments": ["dev"]}},
            ], "prompt": {"type": "Choice", "choices": ["x"]}}])),
        );
        let variable = &read.variables[0];
        assert_eq!(variable.values[0].content, Content::Value(json!([1, true])));
        let reference = SecretReference { name: "db".into(), key: "password".into(), from: SecretPlace::Space };
        assert_eq!(variable.values[1].content, Content::Secret(reference));
        assert_eq!(variable.values[1].scope.environments, ["dev"]);
        assert_eq!(variable.prompt.as_ref().unwrap().kind, PromptKind::Choice(vec!["x".into()]));
    }
}
