//! From the wire to the lifecycle of the domain.

use jiff::SignedDuration;

use crate::api::v1alpha1::LifecycleSpec;
use crate::api::v1alpha1::lifecycle::LifecyclePhase as Written;
use crate::domain::invalid::{Invalid, InvalidReason};
use crate::domain::lifecycle::{Lifecycle, LifecyclePhase};
use crate::domain::name::EnvironmentName;

/// The longest soak: a month, after which nobody remembers what was waited for.
const LONGEST_SOAK: SignedDuration = SignedDuration::from_hours(24 * 31);

/// The lifecycle that a spec describes.
///
/// # Errors
/// Everything that is wrong with it and can be seen without looking elsewhere.
pub fn lifecycle(spec: &LifecycleSpec) -> Result<Lifecycle, Vec<Invalid>> {
    let (mut phases, mut wrong) = (Vec::new(), Vec::new());
    for (index, written) in spec.phases.iter().enumerate() {
        match phase(written, &format!("spec.phases[{index}]")) {
            Ok(phase) => phases.push(phase),
            Err(problems) => wrong.extend(problems),
        }
    }
    if wrong.is_empty() { Lifecycle::new(phases) } else { Err(wrong) }
}

fn phase(written: &Written, path: &str) -> Result<LifecyclePhase, Vec<Invalid>> {
    let environments = names(&written.environments, &format!("{path}.environments"));
    let automatic = names(&written.automatic, &format!("{path}.automatic"));
    let soak = written.soak.as_deref().map_or(Ok(SignedDuration::ZERO), |text| soak(text, &format!("{path}.soak")));
    match (environments, automatic, soak) {
        (Ok(environments), Ok(automatic), Ok(soak)) => Ok(LifecyclePhase {
            name: written.name.clone(),
            environments,
            automatic,
            minimum: written.minimum,
            optional: written.optional,
            soak,
        }),
        (environments, automatic, soak) => {
            let names = environments.err().into_iter().chain(automatic.err()).flatten();
            Err(names.chain(soak.err()).collect())
        }
    }
}

fn names(written: &[String], path: &str) -> Result<Vec<EnvironmentName>, Vec<Invalid>> {
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    for name in written {
        match EnvironmentName::try_from(name.as_str()) {
            Ok(name) => names.push(name),
            Err(error) => wrong.push(error.at(path)),
        }
    }
    if wrong.is_empty() { Ok(names) } else { Err(wrong) }
}

fn soak(text: &str, path: &str) -> Result<SignedDuration, Invalid> {
    let wrong = |reason, problem: &str| {
        let message = format!("{text:?} {problem}: write a duration of seconds, minutes and hours, e.g. 2h");
        Invalid::new(path, reason, message)
    };
    let soak: SignedDuration =
        text.parse().map_err(|_| wrong(InvalidReason::Malformed, "is not a duration that can be read"))?;
    if soak.is_negative() {
        return Err(wrong(InvalidReason::Forbidden, "is negative"));
    }
    if soak > LONGEST_SOAK {
        return Err(wrong(InvalidReason::TooLarge, "is longer than 31 days"));
    }
    Ok(soak)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(phases: &serde_json::Value) -> Result<Lifecycle, Vec<String>> {
        let spec: LifecycleSpec = serde_json::from_value(json!({"phases": phases})).unwrap();
        lifecycle(&spec).map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_phase_is_read_with_all_of_its_rules() {
        let read = read(&json!([
            {"name": "test", "environments": ["eu", "us"], "automatic": ["eu"], "minimum": 1, "soak": "1h30m"},
            {"name": "rest", "optional": true},
        ]))
        .unwrap();
        let [test, rest] = read.phases() else { panic!("{read:?}") };
        assert_eq!((test.minimum, test.soak, test.optional), (Some(1), SignedDuration::from_mins(90), false));
        assert_eq!(test.automatic, [EnvironmentName::try_from("eu").unwrap()]);
        assert_eq!((rest.environments.len(), rest.soak, rest.optional), (0, SignedDuration::ZERO, true));
    }

    #[test]
    fn everything_that_cannot_be_read_is_named_with_its_field() {
        let wrong = read(&json!([
            {"name": "a", "environments": ["A"], "soak": "2d"},
            {"name": "b", "environments": ["b"], "soak": "9999h"},
        ]))
        .unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].starts_with("spec.phases[0].environments:"), "{wrong:?}");
        assert!(wrong[1].starts_with("spec.phases[0].soak:") || wrong[1].contains("longer"), "{wrong:?}");
        assert!(wrong[2].contains("spec.phases[1].soak") && wrong[2].contains("e.g. 2h"), "{wrong:?}");
    }
}
