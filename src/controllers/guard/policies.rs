//! The admission policies that Gantry needs, and whether those of the cluster are they. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Policies that validate, each with a binding of the same name.
pub const VALIDATING: [&str; 20] = [
    "approval-rights.gantry.dev",
    "change-author.gantry.dev",
    "command-rights.gantry.dev",
    "environment-accounts.gantry.dev",
    "environment-lifecycles.gantry.dev",
    "environment-recovery.gantry.dev",
    "operator-accounts.gantry.dev",
    "operator-leases.gantry.dev",
    "operator-namespaces.gantry.dev",
    "operator-revisions.gantry.dev",
    "ownership.gantry.dev",
    "pin-rights.gantry.dev",
    "project-lifecycle.gantry.dev",
    "promotion-rights.gantry.dev",
    "records.gantry.dev",
    "release-cause.gantry.dev",
    "release-rights.gantry.dev",
    "slots.gantry.dev",
    "space-label.gantry.dev",
    "status.gantry.dev",
];
/// The one policy that is asked with other objects, the lifecycles of the space.
pub const ASKS: &str = "environment-lifecycles.gantry.dev";
/// Policies that write stamps, each with a binding of the same name.
pub const MUTATING: [&str; 7] = [
    "approval-stamp.gantry.dev",
    "change-stamp.gantry.dev",
    "command-stamp.gantry.dev",
    "environment-recovery-stamp.gantry.dev",
    "pin-stamp.gantry.dev",
    "promotion-stamp.gantry.dev",
    "release-stamp.gantry.dev",
];
/// Whose objects carry a stamp that is asked for later, and the policies that write and check it.
const STAMPS: [(&str, [&str; 2]); 3] = [
    ("approvals", ["approval-stamp.gantry.dev", "approval-rights.gantry.dev"]),
    ("commandruns", ["command-stamp.gantry.dev", "command-rights.gantry.dev"]),
    ("promotions", ["promotion-stamp.gantry.dev", "promotion-rights.gantry.dev"]),
];
/// What to do about any of them.
pub const REMEDY: &str = "apply Gantry's policies again (deploy/policies.yaml, or helm upgrade)";

/// A policy or a binding, as far as it can be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it was made.
    pub made: Timestamp,
    /// What is wrong with it, if something is.
    pub wrong: Option<&'static str>,
}

/// A kind of object, and a name.
pub type Named = (&'static str, String);

/// Since when the policies of each stamped kind are there.
///
/// # Errors
/// The first one that is not there, or not as it must be.
pub fn since(seen: &BTreeMap<Named, Seen>) -> Result<BTreeMap<&'static str, Timestamp>, String> {
    let kinds = [
        ("ValidatingAdmissionPolicy", VALIDATING.as_slice()),
        ("ValidatingAdmissionPolicyBinding", VALIDATING.as_slice()),
        ("MutatingAdmissionPolicy", MUTATING.as_slice()),
        ("MutatingAdmissionPolicyBinding", MUTATING.as_slice()),
    ];
    let mut made: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (kind, names) in kinds {
        for name in names {
            match seen.get(&(kind, (*name).to_owned())) {
                None => return Err(format!("{kind} {name} is missing: {REMEDY}")),
                Some(Seen { wrong: Some(wrong), .. }) => return Err(format!("{kind} {name} {wrong}: {REMEDY}")),
                Some(Seen { made: at, wrong: None }) => {
                    let newest = made.entry(name).or_insert(*at);
                    *newest = (*newest).max(*at);
                }
            }
        }
    }
    let newest = |names: [&str; 2]| names.iter().filter_map(|name| made.get(name)).max().copied();
    Ok(STAMPS.into_iter().filter_map(|(kind, names)| Some((kind, newest(names)?))).collect())
}

/// What is wrong with a policy.
#[must_use]
pub fn policy(failure_policy: Option<&str>) -> Option<&'static str> {
    (failure_policy != Some("Fail")).then_some("lets requests through that it cannot judge")
}

/// What is wrong with a binding.
#[must_use]
pub fn binding(
    (name, policy): (&str, Option<&str>),
    narrowed: bool,
    actions: Option<&[String]>,
) -> Option<&'static str> {
    if policy != Some(name) {
        return Some("binds another policy");
    }
    if narrowed {
        return Some("holds for a part of the cluster only");
    }
    let denies = actions.is_none_or(|actions| actions.iter().any(|action| action == "Deny"));
    (!denies).then_some("refuses nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn all() -> BTreeMap<Named, Seen> {
        let seen = Seen { made: at(1), wrong: None };
        let of = |kinds: [&'static str; 2], names: &'static [&'static str]| {
            names.iter().flat_map(move |name| kinds.map(|kind| (kind, (*name).to_owned())))
        };
        let validating = of(["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"], &VALIDATING);
        let mutating = of(["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"], &MUTATING);
        validating.chain(mutating).map(|named| (named, seen.clone())).collect()
    }

    #[test]
    fn all_of_them_are_needed_and_the_newest_says_since_when() {
        let mut seen = all();
        assert_eq!(since(&seen).unwrap(), [("approvals", at(1)), ("commandruns", at(1)), ("promotions", at(1))].into());
        let binding = ("MutatingAdmissionPolicyBinding", "promotion-stamp.gantry.dev".to_owned());
        seen.get_mut(&binding).unwrap().made = at(7);
        assert_eq!(since(&seen).unwrap(), [("approvals", at(1)), ("commandruns", at(1)), ("promotions", at(7))].into());
        for named in all().into_keys() {
            let mut fewer = all();
            fewer.remove(&named);
            let said = since(&fewer).unwrap_err();
            assert!(said.starts_with(&format!("{} {} is missing: apply", named.0, named.1)), "{said}");
        }
    }

    #[test]
    fn one_that_was_weakened_is_as_good_as_none() {
        assert_eq!(policy(Some("Fail")), None);
        let name = "status.gantry.dev";
        let deny = ["Deny".to_owned()];
        assert_eq!(binding((name, Some(name)), false, Some(&deny)), None);
        for (policy, narrowed, actions) in [
            (Some("other"), false, deny.as_slice()),
            (None, false, deny.as_slice()),
            (Some(name), true, deny.as_slice()),
            (Some(name), false, &["Warn".to_owned()]),
            (Some(name), false, &[]),
        ] {
            assert!(binding((name, policy), narrowed, Some(actions)).is_some(), "{policy:?} {narrowed} {actions:?}");
        }
        let mut seen = all();
        let weak = ("ValidatingAdmissionPolicy", "records.gantry.dev".to_owned());
        seen.get_mut(&weak).unwrap().wrong = policy(Some("Ignore"));
        let said = since(&seen).unwrap_err();
        assert!(said.starts_with("ValidatingAdmissionPolicy records.gantry.dev lets requests through"), "{said}");
    }
}
