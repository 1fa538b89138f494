//! The conditions of a step. Pure.

use crate::api::v1alpha1::project::Step;
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::variable::expression::Expression;

/// What is wrong with the conditions of a step and can be seen without a promotion. Environments may be made later.
#[must_use]
pub fn conditions(step: &Step, channels: &[&str], path: &str) -> Vec<Invalid> {
    let mut wrong = Vec::new();
    for (index, channel) in step.channels.iter().enumerate() {
        if !channels.contains(&channel.as_str()) {
            let known =
                if channels.is_empty() { "has none".to_owned() } else { format!("has {}", channels.join(", ")) };
            let message = format!("there is no channel {channel}, the project {known}: correct it, or add the channel");
            wrong.push(Invalid::new(format!("{path}.channels[{index}]"), InvalidReason::Unknown, message));
        }
    }
    let when = step.when.as_deref().map(|when| Expression::parse(when.trim()));
    let fault = when.and_then(Result::err);
    wrong.extend(fault.map(|fault| Invalid::new(format!("{path}.when"), InvalidReason::Malformed, fault)));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_can_never_hold_or_is_none_is_named_by_its_place() {
        let step = Step {
            channels: vec!["stable".into(), "betta".into()],
            when: Some("promotion.mode = 'Deploy'".into()),
            ..Step::default()
        };
        let wrong: Vec<String> =
            conditions(&step, &["stable", "beta"], "spec.process[1]").iter().map(ToString::to_string).collect();
        let unknown = "spec.process[1].channels[1]: there is no channel betta, the project has stable, beta: correct it, or add \
                       the channel";
        assert_eq!(wrong[0], unknown);
        assert!(wrong[1].starts_with("spec.process[1].when: the expression is not CEL (column "), "{}", wrong[1]);
        assert_eq!(wrong.len(), 2);
        let fine = Step { when: Some("promotion.mode == 'Deploy'".into()), ..Step::default() };
        assert_eq!(conditions(&fine, &[], "spec.process[0]"), []);
    }
}
