//! Whom and what every shipped policy judges, and that none can be passed by another version, another way to write or an error of its own.

use std::path::Path;

use serde_json::{Value, json};

/// What a mutating policy stamps.
const STAMPS: [(&str, &str); 7] = [
    ("approval-stamp", "CREATE UPDATE: approvals"),
    ("change-stamp", "CREATE UPDATE: environments lifecycles freezes projects releases"),
    ("command-stamp", "CREATE UPDATE: commandruns"),
    ("environment-recovery-stamp", "CREATE UPDATE: environments"),
    ("pin-stamp", "CREATE UPDATE: pins"),
    ("promotion-stamp", "CREATE UPDATE: promotions"),
    ("release-stamp", "CREATE UPDATE: releases"),
];

/// What a validating policy judges. Approvals never change (the kind itself says so), to delete a pin or what gates look at is a
/// right of RBAC alone, and a release's cause never changes.
const RIGHTS: [(&str, &str); 21] = [
    ("approval-rights", "CREATE DELETE: approvals"),
    ("change-author", "CREATE UPDATE: environments lifecycles freezes projects releases"),
    ("command-rights", "CREATE UPDATE DELETE: commandruns"),
    ("environment-accounts", "CREATE UPDATE: secrets serviceaccounts/token; CREATE: pods jobs"),
    ("environment-lifecycles", "DELETE: environments"),
    ("environment-recovery", "CREATE UPDATE: environments"),
    (
        "operator-accounts",
        "CREATE UPDATE DELETE: serviceaccounts rolebindings secrets networkpolicies resourcequotas limitranges",
    ),
    ("operator-leases", "CREATE UPDATE DELETE: leases"),
    ("operator-namespaces", "CREATE UPDATE DELETE: namespaces namespaces/status namespaces/finalize"),
    ("operator-revisions", "CREATE UPDATE DELETE: controllerrevisions"),
    ("ownership", "CREATE UPDATE: */*"),
    ("pin-rights", "CREATE UPDATE: pins"),
    ("project-lifecycle", "CREATE UPDATE DELETE: projects"),
    ("promotion-rights", "CREATE UPDATE DELETE: promotions"),
    ("records", "CREATE UPDATE DELETE: auditrecords auditcheckpoints"),
    ("release-cause", "CREATE: releases"),
    ("release-rights", "CREATE UPDATE DELETE: releases"),
    ("revisions", "CREATE UPDATE DELETE: controllerrevisions"),
    ("slots", "CREATE UPDATE DELETE: leases"),
    ("space-label", "CREATE UPDATE: namespaces namespaces/status namespaces/finalize"),
    ("status", "CREATE UPDATE: */status"),
];

/// Those that choose by labels: of namespaces by one that a policy guards, of objects by one that policies guard, too.
const SELECTORS: [(&str, &str, &str); 6] = [
    ("environment-accounts", "namespaceSelector", "gantry.dev/space"),
    ("ownership", "namespaceSelector", "gantry.dev/space"),
    ("ownership", "objectSelector", "gantry.dev/project"),
    ("revisions", "namespaceSelector", "gantry.dev/space"),
    ("revisions", "objectSelector", "gantry.dev/project"),
    ("slots", "objectSelector", "gantry.dev/slot"),
];

fn shipped() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policies.yaml");
    gantry_plane::manifests::documents(&std::fs::read_to_string(path).expect("a file")).expect("YAML")
}

fn name(document: &Value) -> &str {
    document["metadata"]["name"].as_str().and_then(|name| name.strip_suffix(".gantry.dev")).expect("a name of ours")
}

fn of(kind: &str) -> Vec<Value> {
    let mut found: Vec<_> = shipped().into_iter().filter(|document| document["kind"] == kind).collect();
    found.sort_by(|one, other| name(one).cmp(name(other)));
    found
}

fn words(list: &Value) -> String {
    let words: Vec<_> = list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

/// What it judges, as the tables say it.
fn judged(policy: &Value) -> String {
    let rules = policy["spec"]["matchConstraints"]["resourceRules"].as_array().expect("rules");
    let rules: Vec<_> =
        rules.iter().map(|rule| format!("{}: {}", words(&rule["operations"]), words(&rule["resources"]))).collect();
    rules.join("; ")
}

// Attack T2.
#[test]
fn each_policy_judges_what_it_is_for_in_every_version_and_an_error_of_its_own_refuses() {
    for (kind, table) in [("MutatingAdmissionPolicy", &STAMPS[..]), ("ValidatingAdmissionPolicy", &RIGHTS[..])] {
        let policies = of(kind);
        let found: Vec<_> = policies.iter().map(|policy| (name(policy), judged(policy))).collect();
        let expected: Vec<_> = table.iter().map(|(name, judged)| (*name, (*judged).to_owned())).collect();
        assert_eq!(found, expected);
        for policy in &policies {
            let (name, spec) = (name(policy), &policy["spec"]);
            assert_eq!(spec["failurePolicy"], "Fail", "{name}: an error of its own");
            assert_eq!(spec["matchConstraints"]["matchPolicy"], "Equivalent", "{name}: another version");
            assert_eq!(spec["matchConstraints"]["excludeResourceRules"], Value::Null, "{name}");
            for rule in spec["matchConstraints"]["resourceRules"].as_array().expect("rules") {
                assert_eq!(rule["apiVersions"], json!(["*"]), "{name}");
                assert_eq!(rule["resourceNames"], Value::Null, "{name}");
            }
            // What another mutation changes afterwards is stamped again.
            let again = if kind.starts_with("Mutating") { json!("IfNeeded") } else { Value::Null };
            assert_eq!(spec["reinvocationPolicy"], again, "{name}");
        }
    }
}

// Attack T6.
#[test]
fn no_policy_chooses_by_a_label_that_whoever_owns_a_namespace_or_an_object_may_change() {
    let mut found = Vec::new();
    for policy in of("MutatingAdmissionPolicy").iter().chain(&of("ValidatingAdmissionPolicy")) {
        for selector in ["namespaceSelector", "objectSelector"] {
            let chosen = policy["spec"]["matchConstraints"][selector].clone();
            if !chosen.is_null() {
                found.push((name(policy).to_owned(), selector, chosen.to_string()));
            }
        }
    }
    assert_eq!(found.len(), SELECTORS.len(), "{found:?}");
    for ((policy, selector, chosen), expected) in found.iter().zip(SELECTORS) {
        assert_eq!((policy.as_str(), *selector), (expected.0, expected.1));
        assert!(chosen.contains(expected.2), "{policy} {selector}: {chosen}");
    }
}

#[test]
fn each_binding_refuses_everywhere() {
    for (kind, actions) in
        [("MutatingAdmissionPolicyBinding", Value::Null), ("ValidatingAdmissionPolicyBinding", json!(["Deny"]))]
    {
        for binding in of(kind) {
            let (name, spec) = (name(&binding), &binding["spec"]);
            assert_eq!(spec["policyName"], format!("{name}.gantry.dev"));
            assert_eq!(spec["validationActions"], actions, "{name}");
            assert_eq!(spec["matchResources"], Value::Null, "{name}: everywhere");
            // Of a space without lifecycles none is needed.
            let parameters = spec["paramRef"]["parameterNotFoundAction"].as_str();
            let expected = (name == "environment-lifecycles").then_some("Allow");
            assert_eq!(parameters, expected, "{name}");
        }
    }
}
