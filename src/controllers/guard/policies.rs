//! The admission policies that Gantry needs, and whether those of the cluster are they. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::shipped::Shipped;
use crate::cluster::cache::Versioned;
use crate::domain::audit::Hash;
use crate::domain::guard::Found;

/// How our policies are labelled.
pub const OURS: &str = "app.kubernetes.io/name=gantry";

/// Policies that validate, each with a binding of the same name.
pub const VALIDATING: [&str; 21] = [
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
    "revisions.gantry.dev",
    "slots.gantry.dev",
    "space-label.gantry.dev",
    "status.gantry.dev",
];
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
const STAMPS: [(&str, [&str; 2]); 5] = [
    ("approvals", ["approval-stamp.gantry.dev", "approval-rights.gantry.dev"]),
    ("commandruns", ["command-stamp.gantry.dev", "command-rights.gantry.dev"]),
    ("pins", ["pin-stamp.gantry.dev", "pin-rights.gantry.dev"]),
    ("promotions", ["promotion-stamp.gantry.dev", "promotion-rights.gantry.dev"]),
    ("releases", ["release-stamp.gantry.dev", "release-rights.gantry.dev"]),
];
/// What to do when one is missing, or does not act.
pub const REMEDY: &str = "apply Gantry's policies again (deploy/policies.yaml, or helm upgrade)";
/// What to do when one is another: applying alone would keep what somebody added.
const ANEW: &str = "delete it and apply Gantry's policies again (deploy/policies.yaml, or helm upgrade)";

/// A policy or a binding of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
    /// When it was made.
    pub made: Timestamp,
    /// How many times it was written anew: labels and the like do not count.
    pub generation: i64,
    /// What it says.
    pub spec: Value,
}

impl Versioned for Seen {
    fn uid(&self) -> Option<&str> {
        Some(&self.uid)
    }
    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

/// A kind of object, and a name.
pub type Named = (&'static str, String);

/// Which policies are there, and since when those of each stamped kind.
///
/// # Errors
/// The first one that is not there, or is not what is shipped.
pub fn found(shipped: &Shipped, seen: &BTreeMap<Named, Arc<Seen>>) -> Result<Found, String> {
    let (mut versions, mut untouched) = (Vec::new(), true);
    let mut made: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for named in shipped.names() {
        let (kind, name) = named;
        let Some(found) = seen.get(named) else {
            return Err(format!("{kind} {name} is missing, or has lost its label {OURS}: {REMEDY}"));
        };
        if let Some(difference) = shipped.difference(named, &found.spec) {
            return Err(format!(
                "{kind} {name} is not the one that this version of Gantry ships, it {difference}: {ANEW}"
            ));
        }
        versions.push(format!("{kind}/{name}/{}/{}", found.uid, found.generation));
        untouched &= found.generation <= 1;
        let newest = made.entry(name).or_insert(found.made);
        *newest = (*newest).max(found.made);
    }
    let newest = |names: [&str; 2]| names.iter().filter_map(|name| made.get(name)).max().copied();
    let since = STAMPS.into_iter().filter_map(|(kind, names)| Some((kind, newest(names)?))).collect();
    let version = Hash::leaf(versions.join("\n").as_bytes()).to_string();
    Ok(Found { since, version, untouched })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shipped() -> Shipped {
        Shipped::to("gantry-system", "system:serviceaccount:gantry-system:gantry").unwrap()
    }

    fn all() -> BTreeMap<Named, Arc<Seen>> {
        let shipped = shipped();
        let seen = |named: &Named| Seen {
            uid: named.1.clone(),
            version: "1".to_owned(),
            made: at(1),
            generation: 1,
            spec: shipped.spec(named).unwrap().clone(),
        };
        shipped.names().map(|named| (named.clone(), Arc::new(seen(named)))).collect()
    }

    fn change(seen: &mut BTreeMap<Named, Arc<Seen>>, named: &Named, change: impl FnOnce(&mut Seen)) {
        change(Arc::get_mut(seen.get_mut(named).unwrap()).unwrap());
    }

    #[test]
    fn all_of_them_are_needed_and_the_newest_says_since_when() {
        let mut seen = all();
        let since = |seen: &BTreeMap<Named, Arc<Seen>>| found(&shipped(), seen).map(|found| found.since);
        let kinds = ["approvals", "commandruns", "pins", "promotions", "releases"];
        let mut known: BTreeMap<_, _> = kinds.map(|kind| (kind, at(1))).into();
        assert_eq!(since(&seen).unwrap(), known);
        let binding = ("MutatingAdmissionPolicyBinding", "promotion-stamp.gantry.dev".to_owned());
        change(&mut seen, &binding, |seen| seen.made = at(7));
        known.insert("promotions", at(7));
        assert_eq!(since(&seen).unwrap(), known);
        for named in all().into_keys() {
            let mut fewer = all();
            fewer.remove(&named);
            let said = since(&fewer).unwrap_err();
            assert!(said.starts_with(&format!("{} {} is missing, or has lost", named.0, named.1)), "{said}");
        }
    }

    #[test]
    fn one_that_is_not_as_shipped_is_as_good_as_none() {
        for named in all().into_keys() {
            let mut seen = all();
            change(&mut seen, &named, |seen| seen.spec["policyName"] = "other".into());
            let said = found(&shipped(), &seen).unwrap_err();
            assert!(said.starts_with(&format!("{} {} is not the one that", named.0, named.1)), "{said}");
            assert!(said.contains("spec.policyName") && said.contains("delete it and apply"), "{said}");
        }
    }

    #[test]
    fn a_change_of_any_of_them_is_another_version_even_when_it_was_put_back() {
        let first = found(&shipped(), &all()).unwrap();
        assert!(first.untouched);
        for named in all().into_keys() {
            let mut edited = all();
            change(&mut edited, &named, |seen| seen.generation = 3);
            let edited = found(&shipped(), &edited).unwrap();
            assert!(!edited.untouched && edited.version != first.version, "{named:?}");
            let mut anew = all();
            change(&mut anew, &named, |seen| seen.uid = "another".to_owned());
            let anew = found(&shipped(), &anew).unwrap();
            assert!(anew.untouched && anew.version != first.version, "{named:?}");
            let mut labelled = all();
            change(&mut labelled, &named, |seen| seen.version = "2".to_owned());
            assert_eq!(found(&shipped(), &labelled).unwrap(), first, "{named:?}");
        }
    }
}
