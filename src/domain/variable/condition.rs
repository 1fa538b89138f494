//! Expressions that decide whether something happens.

use super::bindings::Bindings;
use super::evaluate::evaluate;
use super::expression::Expression;
use super::fault::{Fault, FaultReason};
use super::operator::kind;

impl Bindings<'_> {
    /// Whether a condition is true. It sees everything but secrets: what happens would tell something about them.
    ///
    /// # Errors
    /// When it is no expression, has no value, or one that is neither true nor false.
    pub fn condition(&mut self, text: &str) -> Result<bool, Fault> {
        let expression = Expression::parse(text.trim())?;
        self.budget.renew();
        let evaluated = evaluate(&expression, self);
        // One that was not read was wanted all the same.
        if !self.wanted().is_empty() || evaluated.as_ref().is_ok_and(|evaluated| !evaluated.salts.is_empty()) {
            let message = "the condition reads a secret, and whether a step runs would tell something about it: use a \
                           variable that is none";
            return Err(Fault::new(FaultReason::SecretInPlainText, message));
        }
        let value = evaluated?.value;
        value.as_bool().ok_or_else(|| {
            Fault::invalid(format!(
                "the condition is {}, and neither true nor false: compare it, e.g. … == \"x\"",
                kind(&value)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::bindings::Secrets;
    use super::super::secret::SecretPlace;
    use super::super::{Candidate, Content, Declared, Scope, SecretReference, SecretText, Source, Subject, Variable};
    use super::*;

    fn evaluated(text: &str, read: bool) -> Result<bool, Fault> {
        let reference = SecretReference { name: "db".into(), key: "password".into(), from: SecretPlace::Space };
        let variable = |name: &str, content: Content| Variable {
            name: name.into(),
            values: vec![Candidate { content, scope: Scope::default() }],
            prompt: None,
        };
        let variables = vec![
            variable("REGION", Content::Value(json!("eu"))),
            variable("PASSWORD", Content::Secret(reference.clone())),
        ];
        let declared = [Declared { source: Source::Project, variables }];
        let secret = Ok(SecretText::new("hunter2".into(), "uid"));
        let secrets = if read { Secrets::from([(reference, secret)]) } else { Secrets::new() };
        let names = json!({"promotion": {"mode": "Redeploy"}});
        let names = names.as_object().unwrap();
        Bindings::new((&declared, &[]), &Subject::default(), (names, &secrets)).condition(text)
    }

    #[test]
    fn a_condition_is_true_or_false() {
        for (text, expected) in [
            ("promotion.mode != 'Redeploy'", false),
            (" promotion.mode in ['Deploy', 'Redeploy'] && variables.REGION == 'eu' ", true),
            ("true", true),
        ] {
            assert_eq!(evaluated(text, true), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_decided_says_why_and_what_to_do() {
        for (text, reason, says) in [
            ("promotion.mode =", FaultReason::InvalidExpression, "is not CEL"),
            ("variables.REGION", FaultReason::InvalidExpression, "the condition is a text, and neither true nor false"),
            ("variables.OTHER == 'x'", FaultReason::UnresolvedVariable, "OTHER"),
            ("mode == 'x'", FaultReason::InvalidExpression, "there is no name mode"),
            ("", FaultReason::InvalidExpression, "is empty"),
        ] {
            let fault = evaluated(text, true).unwrap_err();
            assert!(fault.reason == reason && fault.message.contains(says), "{text}: {fault:?}");
        }
    }

    #[test]
    fn no_secret_decides_whether_a_step_runs() {
        for read in [true, false] {
            for text in ["variables.PASSWORD == 'hunter2'", "size(variables.PASSWORD) > 0 || true"] {
                let fault = evaluated(text, read).unwrap_err();
                assert_eq!(fault.reason, FaultReason::SecretInPlainText, "{text}");
                assert!(fault.message.contains("use a variable that is none"));
            }
        }
    }
}
