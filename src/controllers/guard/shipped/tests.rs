use super::*;

const OPERATOR: &str = "system:serviceaccount:gantry-system:gantry";

fn shipped() -> Shipped {
    Shipped::to("gantry-system", OPERATOR).unwrap()
}

/// Every shipped policy and binding with its spec as it is written in the file.
fn written() -> Vec<(Named, Value)> {
    let documents = serde_saphyr::from_multiple::<Value>(TEXT).unwrap();
    let named = documents.into_iter().filter(|document| !document.is_null()).map(|document| {
        let kind = KINDS.into_iter().find(|kind| document["kind"] == *kind).unwrap();
        ((kind, document["metadata"]["name"].as_str().unwrap().to_owned()), document["spec"].clone())
    });
    named.collect()
}

/// One weakening: what it is called, and the spec with it. Nothing where the spec has no such part.
type Weakening = (String, Value);

fn with(spec: &Value, pointer: &str, value: Value) -> Option<Value> {
    let mut changed = spec.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    let parent = changed.pointer_mut(parent)?;
    match parent {
        Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
        Value::Array(items) => *items.get_mut(key.parse::<usize>().ok()?)? = value,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    }
    Some(changed)
}

fn without(spec: &Value, pointer: &str) -> Option<Value> {
    let mut changed = spec.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    match changed.pointer_mut(parent)? {
        Value::Object(fields) => drop(fields.remove(key)?),
        Value::Array(items) => drop(items.remove(key.parse().ok()?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    }
    Some(changed)
}

/// The pointers of every value inside.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, field)| (format!("{at}/{key}"), field)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(key, item)| (format!("{at}/{key}"), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (pointer, value) in inside {
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

/// What an attacker would do to a policy.
fn named_weakenings(spec: &Value) -> Vec<Weakening> {
    let never = json!([{"name": "never", "expression": "false"}]);
    let elsewhere = json!({"matchLabels": {"nobody": "has"}});
    let nothing = json!([{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]);
    let changes = [
        ("lets through what it cannot judge", "/failurePolicy", json!("Ignore")),
        ("emptied validations", "/validations", json!([])),
        ("emptied mutations", "/mutations", json!([])),
        ("an extra condition", "/matchConditions", never),
        ("only requests of the same version", "/matchConstraints/matchPolicy", json!("Exact")),
        ("only some namespaces", "/matchConstraints/namespaceSelector", elsewhere.clone()),
        ("only some objects", "/matchConstraints/objectSelector", elsewhere.clone()),
        ("all but everything", "/matchConstraints/excludeResourceRules", nothing),
        ("no rules", "/matchConstraints/resourceRules", json!([])),
        ("another operation", "/matchConstraints/resourceRules/0/operations", json!(["CONNECT"])),
        ("another resource", "/matchConstraints/resourceRules/0/resources", json!(["others"])),
        ("another version", "/matchConstraints/resourceRules/0/apiVersions", json!(["v9"])),
        ("another group", "/matchConstraints/resourceRules/0/apiGroups", json!(["other"])),
        ("only cluster-wide objects", "/matchConstraints/resourceRules/0/scope", json!("Cluster")),
        ("only some names", "/matchConstraints/resourceRules/0/resourceNames", json!(["x"])),
        ("another expression", "/validations/0/expression", json!("true")),
        ("another mutation", "/mutations/0/jsonPatch/expression", json!("[]")),
        ("another variable", "/variables/0/expression", json!("true")),
        ("another condition", "/matchConditions/0/expression", json!("false")),
        ("no second try", "/reinvocationPolicy", json!("Never")),
        ("a parameter", "/paramKind", json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        ("something of a later Kubernetes", "/neverHeardOf", json!(true)),
    ];
    let has = |pointer: &str| {
        let optional = ["/matchConditions", "/paramKind", "/neverHeardOf"].contains(&pointer);
        let (parent, _) = pointer.rsplit_once('/').unwrap();
        optional || spec.pointer(pointer).is_some() || (parent.starts_with("/matchConstraints") && !parent.is_empty())
    };
    let has = changes.into_iter().filter(|(_, pointer, _)| has(pointer));
    has.filter_map(|(called, pointer, value)| Some((called.to_owned(), with(spec, pointer, value)?))).collect()
}

/// What an attacker would do to a binding.
fn weakenings_of_a_binding(spec: &Value) -> Vec<Weakening> {
    let elsewhere = json!({"namespaceSelector": {"matchLabels": {"nobody": "has"}}});
    let nothing = json!({"excludeResourceRules": [
        {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]});
    let changes = [
        ("another policy", "/policyName", json!("other")),
        ("only some namespaces", "/matchResources", elsewhere),
        ("all but everything", "/matchResources", nothing),
        ("asked with one object", "/paramRef", json!({"name": "x", "parameterNotFoundAction": "Allow"})),
        ("refuses nothing", "/validationActions", json!(["Audit"])),
        ("only warns", "/validationActions", json!(["Warn"])),
        ("does nothing", "/validationActions", json!([])),
    ];
    let made = |(called, pointer, value): (&str, &str, Value)| Some((called.to_owned(), with(spec, pointer, value)?));
    let has = |pointer: &str| pointer != "/validationActions" || spec.pointer(pointer).is_some();
    changes.into_iter().filter(|(_, pointer, _)| has(pointer)).filter_map(made).collect()
}

/// Every part taken away, and every text another one.
fn any_change(spec: &Value) -> Vec<Weakening> {
    let mut all = Vec::new();
    pointers(spec, "", &mut all);
    let removed = all.iter().filter_map(|pointer| Some((format!("without {pointer}"), without(spec, pointer)?)));
    let texts = all.iter().filter(|pointer| spec.pointer(pointer).is_some_and(Value::is_string));
    let other = texts.filter_map(|pointer| Some((format!("another {pointer}"), with(spec, pointer, json!("x"))?)));
    removed.chain(other).collect()
}

#[test]
fn every_weakening_of_every_policy_and_binding_is_seen() {
    let shipped = shipped();
    let mut tried = std::collections::BTreeSet::new();
    for (named, spec) in written() {
        let is_binding = named.0.ends_with("Binding");
        let weakenings = if is_binding { weakenings_of_a_binding(&spec) } else { named_weakenings(&spec) };
        assert!(weakenings.len() >= if is_binding { 4 } else { 12 }, "{named:?}: {weakenings:?}");
        for (called, weakened) in weakenings.into_iter().chain(any_change(&spec)) {
            // What the API server fills in is no weakening.
            let default = called == "without /failurePolicy" || called == "without /matchConstraints/matchPolicy";
            let said = shipped.difference(&named, &weakened);
            assert_eq!(said.is_none(), default, "{named:?}, {called}: {said:?}");
            assert!(said.is_none_or(|said| said.contains("spec.")), "it says which part");
            tried.insert(called);
        }
    }
    for must in ["emptied validations", "emptied mutations", "another mutation", "no second try", "refuses nothing"] {
        assert!(tried.contains(must), "{must}");
    }
}

#[test]
fn a_difference_names_the_part() {
    let named = ("ValidatingAdmissionPolicy", "status.gantry.dev".to_owned());
    let (_, spec) = written().into_iter().find(|(other, _)| *other == named).unwrap();
    let said = |changed: Option<Value>| shipped().difference(&named, &changed.unwrap()).unwrap();
    assert_eq!(said(with(&spec, "/failurePolicy", json!("Ignore"))), "has another spec.failurePolicy");
    assert_eq!(said(with(&spec, "/validations", json!([]))), "has no spec.validations");
    let operations = "/matchConstraints/resourceRules/0/operations";
    assert_eq!(said(without(&spec, operations)), "has no spec.matchConstraints.resourceRules[0].operations");
    let fewer = said(without(&spec, &format!("{operations}/0")));
    assert_eq!(fewer, "has another spec.matchConstraints.resourceRules[0].operations[0]");
    let never = json!([{"name": "never", "expression": "false"}]);
    assert_eq!(said(with(&spec, "/matchConditions", never)), "has a spec.matchConditions that is not shipped");
}

#[test]
fn what_is_shipped_and_what_the_api_server_makes_of_it_are_the_same() {
    let shipped = shipped();
    assert_eq!(shipped.names().count(), written().len());
    for (named, spec) in written() {
        assert_eq!(shipped.difference(&named, &spec), None, "{named:?}");
        let mut filled = normalised(named.0, spec);
        let fields = filled.as_object_mut().unwrap();
        for null in ["paramKind", "variables", "matchConditions", "auditAnnotations", "matchResources"] {
            fields.entry(null).or_insert(Value::Null);
        }
        assert_eq!(shipped.difference(&named, &filled), None, "{named:?}");
    }
}

#[test]
fn they_are_those_of_the_namespace_and_account_that_the_operator_has() {
    assert!(!TEXT.replace(OPERATOR, "").replace(NAMESPACE, "").contains("gantry-system"), "nothing else names them");
    let own = "system:serviceaccount:tools:gantry";
    let tools = Shipped::to("tools", own).unwrap();
    let text = TEXT.replace(OPERATOR, own).replace(NAMESPACE, "'tools'");
    for mut document in serde_saphyr::from_multiple::<Value>(&text).unwrap().into_iter().filter(|it| !it.is_null()) {
        let kind = KINDS.into_iter().find(|kind| document["kind"] == *kind).unwrap();
        let named = (kind, document["metadata"]["name"].as_str().unwrap().to_owned());
        assert_eq!(tools.difference(&named, &document["spec"].take()), None, "{named:?}");
    }
    let others: Vec<_> =
        written().into_iter().filter(|(named, spec)| tools.difference(named, spec).is_some()).collect();
    assert!(others.len() > 10, "those of gantry-system believe another operator: {others:?}");
}
