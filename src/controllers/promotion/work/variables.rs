//! What variables mean for one step in one target: for what they are wanted, and what the other names of expressions are. Pure.

use serde_json::{Map, Value, json};

use crate::api::condition::cut;
use crate::api::v1alpha1::Promotion;
use crate::api::v1alpha1::history::PinnedPackage;
use crate::api::v1alpha1::promotion_status::StepRecord;
use crate::api::v1alpha1::variable::UsedVariable;
use crate::api::variables;
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::plan::Plan;
use crate::controllers::release::snapshot::Snapshot;
use crate::domain::variable::{Bindings, Declared, Source, Subject};

/// The variables of a snapshot.
#[must_use]
pub fn declared(snapshot: &Snapshot) -> Vec<Declared> {
    let sets = snapshot.variable_sets.iter();
    let sets = sets.map(|set| variables::declared(Source::Set(set.name.as_str().into()), &set.variables));
    let own = variables::declared(Source::Project, &snapshot.variables);
    let all = std::iter::once(own).chain(sets);
    all.filter(|declared| !declared.variables.is_empty()).collect()
}

/// For what the variables of a step in a target are wanted.
#[must_use]
pub fn subject(observed: &Observed, record: &StepRecord) -> Subject {
    let environment = observed.environment.as_deref();
    let target = environment.and_then(|known| known.spec.targets.iter().find(|target| target.name == record.target));
    let release = observed.release.as_deref().and_then(|release| release.status.as_ref());
    Subject {
        environment: observed.promotion.spec.environment.clone(),
        target: record.target.clone(),
        roles: target.map(|target| target.roles.clone()).unwrap_or_default(),
        channel: release.and_then(|status| status.channel.clone()),
        step: record.name.clone(),
    }
}

/// Every name of expressions but `variables`.
#[must_use]
pub fn names(promotion: &Promotion, plan: &Plan, record: &StepRecord) -> Map<String, Value> {
    let spec = &promotion.spec;
    let packages: Map<String, Value> = plan.packages.iter().map(package).collect();
    let names = json!({
        "space": {"name": promotion.metadata.namespace},
        "project": {"name": spec.project},
        "release": {"version": spec.version},
        "environment": {"name": spec.environment},
        "target": {"name": record.target, "namespace": record.namespace},
        "step": {"name": record.name},
        "packages": packages,
    });
    match names {
        Value::Object(names) => names,
        _ => Map::new(),
    }
}

/// A package: its image as it is deployed, and the parts of it.
fn package(pinned: &PinnedPackage) -> (String, Value) {
    let tag = pinned.version.as_ref().map(|version| format!(":{version}")).unwrap_or_default();
    let value = json!({
        "image": format!("{}{tag}@{}", pinned.image, pinned.digest),
        "repository": pinned.image,
        "version": pinned.version,
        "digest": pinned.digest,
    });
    (pinned.name.clone(), value)
}

/// What status says about the variables that were used.
#[must_use]
pub fn used(bindings: &Bindings<'_>, record: &StepRecord, salt: &str) -> Vec<UsedVariable> {
    let row = |(name, resolved): (&str, &crate::domain::variable::resolve::Resolved<'_>)| UsedVariable {
        name: name.to_owned(),
        source: cut(&resolved.place.to_string(), 320),
        scope: cut(&resolved.scope.to_string(), 512),
        targets: vec![record.target.clone()],
        hash: bindings.hash(name, salt),
    };
    bindings.used().map(row).collect()
}

/// Both together: a variable that is the same in several targets or steps is one row.
#[must_use]
pub fn joined(known: &[UsedVariable], newer: &[UsedVariable]) -> Vec<UsedVariable> {
    /// As many rows as status has room for.
    const MOST: usize = 128;
    let mut rows: Vec<UsedVariable> = Vec::new();
    for row in known.iter().chain(newer) {
        let same = |other: &&mut UsedVariable| {
            (&other.name, &other.source, &other.scope, &other.hash) == (&row.name, &row.source, &row.scope, &row.hash)
        };
        match rows.iter_mut().find(same) {
            Some(there) => {
                there.targets.extend(row.targets.iter().cloned());
                there.targets.sort();
                there.targets.dedup();
            }
            None => rows.push(row.clone()),
        }
    }
    rows.sort();
    rows.truncate(MOST);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_its_image_as_it_is_deployed() {
        let pinned = PinnedPackage {
            name: "api".into(),
            image: "ghcr.io/acme/checkout".into(),
            version: Some("1.4.2".into()),
            digest: "sha256:1".into(),
        };
        assert_eq!(package(&pinned).1["image"], "ghcr.io/acme/checkout:1.4.2@sha256:1");
        let plain = PinnedPackage { version: None, ..pinned };
        assert_eq!(package(&plain).1["image"], "ghcr.io/acme/checkout@sha256:1");
    }

    #[test]
    fn a_variable_that_is_the_same_in_two_targets_is_one_row() {
        let row = |target: &str, hash: &str| UsedVariable {
            name: "A".into(),
            source: "Project, value 1".into(),
            scope: "everywhere".into(),
            targets: vec![target.into()],
            hash: Some(hash.into()),
        };
        let rows = joined(&[row("eu", "1")], &[row("us", "1"), row("us", "1"), row("asia", "2")]);
        assert_eq!(rows.iter().map(|row| row.targets.join(",")).collect::<Vec<_>>(), ["asia", "eu,us"]);
    }
}
