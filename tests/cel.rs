//! Every CEL rule of every kind: one object that it lets through and one that it refuses, by a message that names the field.
//! Tried here with kube's evaluator, and on the real API server, which also proves that the rules fit its cost budget.

use std::collections::BTreeSet;
use std::io::Write as _;

use gantry::api::crds;
use gantry_plane::Identity;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::cel::Validator;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::shared::shared;
use crate::support::space::Space;

/// One rule, tried.
struct Case {
    kind: &'static str,
    /// How the rule's message begins.
    message: &'static str,
    /// What is there before, for rules about changes.
    before: Option<Value>,
    accepted: Value,
    refused: Value,
    /// What a policy of the API server does before the rule is asked; it cannot be reached there.
    shadowed: Option<&'static str>,
}

impl Case {
    fn new(kind: &'static str, message: &'static str, (accepted, refused): (Value, Value)) -> Self {
        Self { kind, message, before: None, accepted, refused, shadowed: None }
    }

    fn after(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }

    fn shadowed(self, why: &'static str) -> Self {
        Self { shadowed: Some(why), ..self }
    }
}

/// An object of a kind with this name and spec.
#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gantry.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn environment(name: &str, namespaces: &[&str]) -> Value {
    let target = |(index, namespace)| json!({"name": format!("t{index}"), "namespace": namespace});
    let targets: Vec<Value> = namespaces.iter().enumerate().map(target).collect();
    object("Environment", name, json!({"order": 10, "targets": targets}))
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn project(name: &str, image: &str, step: Value) -> Value {
    let spec = json!({"packages": [{"name": "api", "image": image}], "process": [step]});
    object("Project", name, spec)
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn step(apply: Value) -> Value {
    json!({"name": "deploy", "timeout": "10m", "apply": apply})
}

fn inline() -> Value {
    step(json!({"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}]}))
}

fn release(name: &str, spec: Value) -> Value {
    let mut given = json!({"project": "checkout", "version": "1.4.2"});
    merge(&mut given, spec);
    object("Release", name, given)
}

fn promotion(change: Value) -> Value {
    let mut spec = json!({"project": "checkout", "version": "1.4.2", "environment": "dev", "whenNotReady": "Refuse", "priority": 0});
    merge(&mut spec, change);
    object("Promotion", "cel", spec)
}

fn ended(phase: &str) -> Value {
    let mut promotion = promotion(json!({}));
    promotion["status"] = json!({"phase": phase, "finished": true, "applied": false});
    promotion
}

fn record(message: &str) -> Value {
    let spec = json!({
        "promotion": "checkout-1.4.2-dev", "promotionUid": "u", "project": "checkout", "version": "1.4.2", "environment": "dev",
        "requestedBy": {"username": "alice"}, "phase": "Succeeded", "reason": "Deployed", "message": message, "applied": true,
        "createdAt": "2026-01-01T00:00:00.000000Z", "finishedAt": "2026-01-01T00:00:00.000000Z",
    });
    object("AuditRecord", "promotion-checkout-1.4.2-dev", spec)
}

/// A record of another kind than a promotion, with this part.
fn other_record(kind: &str, part: &str, said: Value) -> Value {
    let object_of = json!({"kind": "Environment", "name": "dev", "uid": "u"});
    let mut spec = json!({"kind": kind, "at": "2026-01-01T00:00:00.000000Z", "object": object_of});
    spec[part] = said;
    object("AuditRecord", "record-tried", spec)
}

fn of_records() -> Vec<Case> {
    let created = || json!({"action": "Created"});
    let without = |field: &str| {
        let mut record = record("it runs");
        record["metadata"]["name"] = json!("record-tried");
        record["spec"].as_object_mut().expect("an object").remove(field);
        record
    };
    let mut both = other_record("Change", "change", created());
    both["spec"]["provisioning"] = json!({"action": "Claimed", "objects": []});
    let mut nothing = other_record("Change", "change", created());
    nothing["spec"].as_object_mut().expect("an object").remove("object");
    let whole = || other_record("Change", "change", created());
    let tried = || {
        let mut record = record("it runs");
        record["metadata"]["name"] = json!("record-tried");
        record
    };
    vec![
        Case::new("AuditRecord", "spec has exactly one part", (whole(), both)),
        Case::new("AuditRecord", "spec.kind says which part", (whole(), other_record("Block", "change", created()))),
        Case::new("AuditRecord", "spec.phase: the record of a promotion says", (tried(), without("version"))),
        Case::new("AuditRecord", "spec.object and spec.at", (whole(), nothing)),
    ]
}

fn checkpoint(change: Value) -> Value {
    let (root, sealed) = ("a".repeat(64), json!([{"name": "promotion-x", "hash": "b".repeat(64)}]));
    let mut spec = json!({"number": 1, "root": root, "count": 1, "records": sealed});
    merge(&mut spec, change);
    object("AuditCheckpoint", "checkpoint-tried", spec)
}

fn of_checkpoints() -> Vec<Case> {
    let whole = || checkpoint(json!({}));
    let stored = |change: Value| {
        let mut stored = checkpoint(change);
        stored["metadata"]["name"] = json!("checkpoint-stored");
        stored
    };
    let edited = stored(json!({"root": "d".repeat(64)}));
    vec![
        Case::new(
            "AuditCheckpoint",
            "spec.count is how many records there are",
            (whole(), checkpoint(json!({"count": 2}))),
        ),
        Case::new(
            "AuditCheckpoint",
            "spec.previous is the root of the checkpoint before, which only the first has not",
            (whole(), checkpoint(json!({"previous": "c".repeat(64)}))),
        ),
        Case::new("AuditCheckpoint", "spec is immutable", (stored(json!({})), edited)).after(stored(json!({}))),
    ]
}

fn merge(into: &mut Value, change: Value) {
    if let (Value::Object(into), Value::Object(change)) = (into, change) {
        into.extend(change);
    }
}

fn freeze(name: &str, times: Value) -> Value {
    let mut spec = json!({"reason": "nobody is there"});
    merge(&mut spec, times);
    object("Freeze", name, spec)
}

fn of_freezes() -> Vec<Case> {
    let (start, end) = ("2026-12-20T00:00:00Z", "2027-01-04T00:00:00Z");
    let once = || freeze("winter", json!({"start": start, "end": end}));
    let weekly = |duration: &str| json!({"cron": "0 18 * * FRI", "timeZone": "Europe/Berlin", "duration": duration});
    let both = json!({"start": start, "end": end, "schedule": weekly("62h")});
    vec![
        Case::new("Freeze", "metadata.name must be", (once(), freeze("win.ter", json!({"start": start, "end": end})))),
        Case::new("Freeze", "spec.start and spec.end, or spec.schedule", (once(), freeze("winter", both))),
        Case::new(
            "Freeze",
            "spec.end must be after spec.start",
            (once(), freeze("winter", json!({"start": end, "end": start}))),
        ),
        Case::new(
            "Freeze",
            "spec.schedule.duration must be more than nothing",
            (freeze("w", json!({"schedule": weekly("62h")})), freeze("w", json!({"schedule": weekly("8785h")}))),
        ),
    ]
}

#[test]
fn a_freeze_has_times_or_a_schedule_and_all_of_it() {
    let definition = crds::all().into_iter().find(|known| known.spec.names.kind == "Freeze").expect("the kind");
    let (start, schedule) =
        ("2026-12-20T00:00:00Z", json!({"cron": "0 18 * * FRI", "timeZone": "UTC", "duration": "1h"}));
    for times in [
        json!({}),
        json!({"start": start}),
        json!({"end": start}),
        json!({"start": start, "schedule": schedule}),
        json!({"end": start, "schedule": schedule}),
    ] {
        let refused =
            Validator::new().validate_with_defaults(&schema(&definition), &freeze("winter", times.clone()), None);
        let said = refused.map_err(kube::core::cel::ValidationErrors::into_vec).expect_err("one of the two");
        assert!(said[0].message.starts_with("spec.start and spec.end, or spec.schedule"), "{times}: {said:?}");
    }
}

fn command(change: Value) -> Value {
    let restart = json!({"workload": "Deployment/checkout"});
    let mut spec = json!({"environment": "dev", "project": "checkout", "reason": "CHG-1", "restart": restart});
    merge(&mut spec, change);
    object("CommandRun", "cel", spec)
}

/// The same with a script.
fn script(change: Value) -> Value {
    let mut object = command(json!({"script": {"image": "localhost:5000/tools:1", "run": "ls", "timeout": "5m"}}));
    object["spec"].as_object_mut().expect("a spec").remove("restart");
    merge(&mut object["spec"]["script"], change);
    object
}

fn of_commands() -> Vec<Case> {
    let (same, logs) = (|| command(json!({})), json!({"workload": "Deployment/checkout", "tail": 100}));
    let named = |name: &str, mut object: Value| {
        object["metadata"]["name"] = json!(name);
        object
    };
    let changed = |name: &str, message, (before, accepted, refused): (Value, Value, Value)| {
        let case = Case::new("CommandRun", message, (named(name, accepted), named(name, refused)));
        case.after(named(name, before))
    };
    let canceled = || command(json!({"cancel": {"reason": "no"}}));
    let stamped = || command(json!({"by": {"username": "alice"}}));
    let mut only_logs = command(json!({"logs": logs}));
    only_logs["spec"].as_object_mut().expect("a spec").remove("restart");
    let mut fewer = only_logs.clone();
    fewer["spec"]["logs"]["tail"] = json!(5);
    let other = command(json!({"restart": {"workload": "Deployment/other"}}));
    let ended = |phase: &str| {
        let mut ended = command(json!({}));
        ended["status"] = json!({"phase": phase, "finished": true});
        ended
    };
    vec![
        Case::new("CommandRun", "spec.logs, spec.restart or spec.script", (same(), command(json!({"logs": logs})))),
        Case::new(
            "CommandRun",
            "spec.script.image needs a tag",
            (script(json!({})), script(json!({"image": "x:1/y"}))),
        ),
        Case::new("CommandRun", "spec.script.run is empty", (script(json!({})), script(json!({"run": " \n"})))),
        Case::new(
            "CommandRun",
            "spec.script.timeout is at least",
            (script(json!({})), script(json!({"timeout": "7h"}))),
        ),
        changed(
            "cel-a",
            "spec.environment, spec.project",
            (same(), canceled(), command(json!({"environment": "test"}))),
        ),
        changed("cel-b", "spec.logs is immutable", (only_logs.clone(), only_logs, fewer)),
        changed("cel-c", "spec.restart is immutable", (same(), same(), other)),
        changed(
            "cel-g",
            "spec.script is immutable",
            (script(json!({})), script(json!({})), script(json!({"run": "rm"}))),
        ),
        changed("cel-d", "spec.by is written by the API server", (stamped(), stamped(), same()))
            .shadowed("the API server restores the caller before it asks the rule"),
        changed("cel-e", "spec.cancel cannot be taken back", (canceled(), canceled(), same())),
        changed("cel-f", "status.phase never changes", (ended("Failed"), ended("Failed"), ended("Succeeded")))
            .shadowed("the operator ends it before the test can"),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = of_environments();
    cases.extend(of_projects());
    cases.extend(of_lifecycles());
    cases.extend(of_freezes());
    cases.extend(of_commands());
    cases.extend(of_channels());
    cases.extend(of_releases());
    cases.extend(of_promotions());
    cases.push(of_pins());
    cases.push(of_approvals());
    cases.push(of_versioning());
    cases.extend(of_variables());
    let records = Case::new("AuditRecord", "spec is immutable", (record("it runs"), record("it never ran")));
    cases.push(records.after(record("it runs")));
    cases.extend(of_records());
    cases.extend(of_checkpoints());
    cases
}

fn of_approvals() -> Case {
    let approval = |decision: &str| {
        let spec = json!({
            "promotion": "checkout-1.4.2-dev", "promotionUid": "u", "environment": "dev", "planDigest": "a".repeat(64),
            "decision": decision,
        });
        object("Approval", "of-bob", spec)
    };
    let case =
        Case::new("Approval", "spec is immutable, a decision is made once", (approval("Approve"), approval("Reject")));
    case.after(approval("Approve"))
}

/// An environment one of whose accounts has this role.
fn with_role(account: &str, role: &str) -> Value {
    object("Environment", "dev", json!({"order": 1, account: {"clusterRole": role}}))
}

fn of_environments() -> Vec<Case> {
    vec![
        Case::new(
            "Environment",
            "spec.deployer.clusterRole must not lead",
            (with_role("deployer", "shop-deployer"), with_role("deployer", "edit")),
        ),
        Case::new(
            "Environment",
            "spec.console.clusterRole must not lead",
            (with_role("console", "gantry-deployer"), with_role("console", "gantry-impersonator")),
        ),
        Case::new(
            "Environment",
            "metadata.name must be a DNS label",
            (environment("production", &[]), environment("production.eu", &[])),
        ),
        Case::new(
            "Environment",
            "spec.targets[].namespace must not be default",
            (environment("dev", &["shop-dev"]), environment("dev", &["kube-system"])),
        ),
        Case::new(
            "Environment",
            "spec.targets[].namespace must differ",
            (environment("dev", &["shop-a", "shop-b"]), environment("dev", &["shop-a", "shop-a"])),
        ),
        Case::new(
            "Environment",
            "spec.approvals.rollback must not be more",
            (
                object("Environment", "dev", json!({"order": 1, "approvals": {"required": 1, "rollback": 0}})),
                object("Environment", "dev", json!({"order": 1, "approvals": {"required": 1, "rollback": 2}})),
            ),
        ),
    ]
}

fn of_projects() -> Vec<Case> {
    let image = "ghcr.io:443/acme/checkout";
    vec![
        Case::new(
            "Project",
            "metadata.name must be a DNS label",
            (project("checkout", image, inline()), project("check.out", image, inline())),
        ),
        Case::new(
            "Project",
            "spec.packages[].image must have no tag",
            (project("checkout", image, inline()), project("checkout", "ghcr.io/acme/checkout:1.4.2", inline())),
        ),
        Case::new(
            "Project",
            "spec.process[] needs exactly one thing to do",
            (project("checkout", image, inline()), project("checkout", image, json!({"name": "deploy"}))),
        ),
        Case::new(
            "Project",
            "spec.process[].apply needs exactly one of",
            (
                project("checkout", image, step(json!({"manifestsFrom": {"configMap": "x"}}))),
                project("checkout", image, step(json!({}))),
            ),
        ),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn lifecycle(name: &str, phases: Value) -> Value {
    object("Lifecycle", name, json!({"phases": phases}))
}

fn of_lifecycles() -> Vec<Case> {
    let case = |message, accepted, refused| {
        Case::new("Lifecycle", message, (lifecycle("standard", accepted), lifecycle("standard", refused)))
    };
    let two = || json!([{"name": "dev", "environments": ["dev"]}, {"name": "rest"}]);
    vec![
        Case::new(
            "Lifecycle",
            "metadata.name must be a DNS label",
            (lifecycle("standard", two()), lifecycle("stan.dard", two())),
        ),
        case(
            "spec.phases[].environments must not name an environment in two phases",
            json!([{"name": "dev", "environments": ["dev"]}, {"name": "test", "environments": ["test"]}]),
            json!([{"name": "dev", "environments": ["dev"]}, {"name": "test", "environments": ["test", "dev"]}]),
        ),
        case(
            "spec.phases[].environments may be left out in one phase only",
            json!([{"name": "rest", "automatic": ["test"]}, {"name": "dev", "environments": ["dev"]}]),
            json!([{"name": "rest"}, {"name": "dev", "environments": ["dev"]}, {"name": "more"}]),
        ),
        case(
            "spec.phases[].automatic of a phase without environments must name none that another phase names",
            two(),
            json!([{"name": "rest", "automatic": ["dev"]}, {"name": "dev", "environments": ["dev"]}]),
        ),
        case(
            "spec.phases[].automatic must be empty in an optional phase",
            json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"]}]),
            json!([{"name": "dev", "environments": ["dev"], "automatic": ["dev"], "optional": true}]),
        ),
        case(
            "spec.phases[].automatic must name environments of the phase",
            json!([{"name": "dev", "environments": ["dev"]}, {"name": "rest", "automatic": ["production"]}]),
            json!([{"name": "dev", "environments": ["dev"], "automatic": ["test"]}]),
        ),
        case(
            "spec.phases[].minimum must not be above the number of environments",
            json!([{"name": "test", "environments": ["eu", "us"], "minimum": 2}, {"name": "rest", "minimum": 3}]),
            json!([{"name": "test", "environments": ["eu", "us"], "minimum": 3}]),
        ),
    ]
}

/// A project with these channels.
#[expect(clippy::needless_pass_by_value, reason = "callers write the literal in place")]
fn channels(channels: Value) -> Value {
    let packages = json!([{"name": "api", "image": "ghcr.io/acme/checkout"}]);
    object("Project", "checkout", json!({"packages": packages, "channels": channels, "process": [inline()]}))
}

fn of_channels() -> Vec<Case> {
    let rule = |rule: Value| channels(json!([{"name": "stable", "default": true, "rules": [rule]}]));
    let (stable, beta) = (|default: bool| json!({"name": "stable", "default": default}), json!({"name": "beta"}));
    vec![
        Case::new(
            "Project",
            "spec.channels must have exactly one default",
            (channels(json!([stable(true), beta])), channels(json!([stable(true), {"name": "beta", "default": true}]))),
        ),
        Case::new(
            "Project",
            "spec.channels[].rules[] needs a range or a pattern",
            (rule(json!({"versions": ">=1.0, <2"})), rule(json!({"packages": ["api"]}))),
        ),
    ]
}

fn of_versioning() -> Case {
    let with = |versioning: Value| {
        let mut project = project("checkout", "ghcr.io/acme/checkout", inline());
        project["spec"]["versioning"] = versioning;
        project
    };
    let template = "${{ packages.api.version }}";
    let both = json!({"fromPackage": "api", "template": template});
    Case::new("Project", "spec.versioning needs exactly one of", (with(json!({"template": template})), with(both)))
}

fn of_releases() -> Vec<Case> {
    vec![
        Case::new(
            "Release",
            "metadata.name must be <spec.project>-<spec.version>",
            (release("checkout-1.4.2", json!({})), release("checkout-1.4.3", json!({}))),
        ),
        Case::new(
            "Release",
            "spec is immutable",
            (
                release("checkout-1.4.2", json!({"blocked": {"reason": "bug 42"}})),
                release("checkout-1.4.2", json!({"notes": "other"})),
            ),
        )
        .after(release("checkout-1.4.2", json!({}))),
        Case::new(
            "Release",
            "spec.createdBy is written by the API server",
            (
                release("checkout-1.4.2", json!({"createdBy": {"username": "alice"}})),
                release("checkout-1.4.2", json!({})),
            ),
        )
        .after(release("checkout-1.4.2", json!({"createdBy": {"username": "alice"}})))
        .shadowed("the API server restores the author before it asks the rule"),
    ]
}

fn of_pins() -> Case {
    let pin = |name| object("Pin", name, json!({"project": "checkout", "environment": "dev", "version": "1.4.2"}));
    Case::new(
        "Pin",
        "metadata.name must be <spec.project>.<spec.environment>",
        (pin("checkout.dev"), pin("checkout.test")),
    )
}

fn of_promotions() -> Vec<Case> {
    let same = || promotion(json!({}));
    let changed = |message, change| Case::new("Promotion", message, (same(), promotion(change))).after(same());
    let mut long = same();
    long["metadata"]["name"] = "x".repeat(201).into();
    let canceled = || promotion(json!({"cancel": {"reason": "wrong version"}}));
    let caused = || promotion(json!({"cause": {"kind": "Release", "name": "checkout-1.4.2", "uid": "u"}}));
    let stamped = || promotion(json!({"requestedBy": {"username": "alice"}}));
    vec![
        Case::new("Promotion", "metadata.name must have at most 200", (same(), long)),
        changed("spec.project, spec.version and spec.environment are immutable", json!({"environment": "production"})),
        changed("spec.reason is immutable", json!({"reason": "because"})),
        changed("spec.onBehalfOf is immutable", json!({"onBehalfOf": "dora"})),
        changed("spec.whenNotReady is immutable", json!({"whenNotReady": "Wait"})),
        changed("spec.notBefore is immutable", json!({"notBefore": "2026-07-01T22:00:00Z"})),
        changed("spec.expiresAt is immutable", json!({"expiresAt": "2026-07-01T22:00:00Z"})),
        changed("spec.priority is immutable", json!({"priority": 1})),
        changed("spec.targets is immutable", json!({"targets": ["eu"]})),
        changed("spec.skipSteps is immutable", json!({"skipSteps": ["migrate"]})),
        changed(
            "spec.freezeOverride is immutable",
            json!({"freezeOverride": {"names": ["winter"], "reason": "CHG-1"}}),
        ),
        Case::new(
            "Promotion",
            "spec.expiresAt must be after spec.notBefore",
            (
                promotion(json!({"notBefore": "2026-07-01T22:00:00+02:00", "expiresAt": "2026-07-01T20:30:00Z"})),
                promotion(json!({"notBefore": "2026-07-01T22:00:00Z", "expiresAt": "2026-07-01T22:00:00Z"})),
            ),
        ),
        Case::new("Promotion", "spec.requestedBy is written by the API server", (stamped(), same()))
            .after(stamped())
            .shadowed("the API server restores the requester before it asks the rule"),
        Case::new("Promotion", "spec.cause is written by Gantry alone", (same(), caused()))
            .after(same())
            .shadowed("a policy of Gantry's refuses it to everybody else first"),
        Case::new("Promotion", "spec.cancel cannot be taken back", (canceled(), same())).after(canceled()),
        Case::new("Promotion", "status.phase never changes", (ended("Failed"), ended("Succeeded")))
            .after(ended("Failed")),
    ]
}

fn of_variables() -> Vec<Case> {
    let with = |kind: &'static str, variable: Value| match kind {
        "Project" => {
            let mut project = project("checkout", "ghcr.io/acme/checkout", inline());
            project["spec"]["variables"] = json!([variable]);
            project
        }
        kind => object(kind, "shared", json!({"variables": [variable]})),
    };
    let mut cases = Vec::new();
    for kind in ["Project", "VariableSet"] {
        let case = |message, accepted, refused| Case::new(kind, message, (with(kind, accepted), with(kind, refused)));
        cases.push(case(
            "spec.variables[] needs values or a prompt",
            json!({"name": "A", "values": [{"value": {"any": ["thing", 1, true]}}]}),
            json!({"name": "A"}),
        ));
        cases.push(case(
            "spec.variables[].prompt.choices belongs to",
            json!({"name": "A", "prompt": {"type": "Choice", "choices": ["a"]}}),
            json!({"name": "A", "prompt": {"type": "Text", "choices": ["a"]}}),
        ));
    }
    let given = |value: Value| promotion(json!({"variables": [value]}));
    cases.push(Case::new(
        "Promotion",
        "spec.variables[] needs exactly one of",
        (given(json!({"name": "A", "value": ""})), given(json!({"name": "A"}))),
    ));
    let one = || given(json!({"name": "A", "value": "1"}));
    let case =
        Case::new("Promotion", "spec.variables is immutable", (one(), given(json!({"name": "A", "value": "2"}))));
    cases.push(case.after(one()));
    cases
}

/// The rules of a definition: kind and message of each.
fn rules(definition: &CustomResourceDefinition) -> BTreeSet<(String, String)> {
    fn walk(kind: &str, schema: &Value, found: &mut BTreeSet<(String, String)>) {
        match schema {
            Value::Object(fields) => {
                for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    let message = rule["message"].as_str().unwrap_or_default();
                    found.insert((kind.to_owned(), message.to_owned()));
                }
                fields.values().for_each(|value| walk(kind, value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(kind, value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(&definition.spec.names.kind, &schema(definition), &mut found);
    found
}

fn schema(definition: &CustomResourceDefinition) -> Value {
    let version = definition.spec.versions[0].schema.as_ref().expect("a schema");
    serde_json::to_value(version.open_api_v3_schema.as_ref().expect("a schema")).expect("JSON")
}

#[test]
fn every_rule_has_a_case_and_a_message_that_names_a_field() {
    let known: BTreeSet<_> = crds::all().iter().flat_map(rules).collect();
    let cases = cases();
    for (kind, message) in &known {
        assert!(
            ["spec", "metadata.", "status."].iter().any(|field| message.starts_with(field)),
            "the message of a rule of {kind} begins with no field: {message}"
        );
        let tried = cases.iter().filter(|case| case.kind == kind && message.starts_with(case.message)).count();
        assert_eq!(tried, 1, "a rule of {kind} has {tried} cases in tests/cel.rs: {message}");
    }
    assert_eq!(known.len(), cases.len(), "a case without a rule");
}

#[test]
fn every_field_of_a_release_is_immutable_but_for_the_block_and_who_blocked_it() {
    let definition = crds::all().into_iter().find(|known| known.spec.names.kind == "Release").expect("the kind");
    let spec = &schema(&definition)["properties"]["spec"];
    let rules = spec["x-kubernetes-validations"].to_string();
    let fields = spec["properties"].as_object().expect("fields");
    for field in fields.keys().filter(|field| !["blocked", "changedBy"].contains(&field.as_str())) {
        assert!(rules.contains(&format!("self.{field} == oldSelf.{field}")), "spec.{field} could be edited");
    }
}

#[test]
fn every_rule_lets_the_good_object_through_and_refuses_the_bad_one() {
    let definitions = crds::all();
    for case in cases() {
        let definition = definitions.iter().find(|known| known.spec.names.kind == case.kind).expect("the kind");
        let schema = schema(definition);
        let says = |object: &Value| {
            let validated = Validator::new().validate_with_defaults(&schema, object, case.before.as_ref());
            validated.err().map(kube::core::cel::ValidationErrors::into_vec).unwrap_or_default()
        };
        let accepted = says(&case.accepted);
        assert!(accepted.is_empty(), "{} {}: the good object is refused: {accepted:?}", case.kind, case.message);
        let refused = says(&case.refused);
        assert!(
            refused.iter().any(|error| error.message.starts_with(case.message)),
            "{} {}: the bad object is not refused by it: {refused:?}",
            case.kind,
            case.message
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_refuses_by_the_same_rules() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let operator = cluster.plane.client(&Identity::service_account("gantry-system", "gantry")).await.expect("a client");
    for (number, mut case) in cases().into_iter().enumerate() {
        if let Some(why) = case.shadowed {
            // Past what captures the output of a test.
            let line = format!("{} {}: not tried on the API server, since {why}", case.kind, case.message);
            let _ = writeln!(std::io::stderr(), "{line}");
            continue;
        }
        // Updates need an object that is there, which is this case's own.
        if case.kind == "Promotion" && case.before.is_some() {
            for object in [&mut case.accepted, &mut case.refused].into_iter().chain(&mut case.before) {
                object["metadata"]["name"] = format!("cel-{number}").into();
            }
        }
        let tried = Tried { admin: &space.client, operator: &operator, space: &space.name, case: &case };
        let (accepted, refused) = tried.run().await;
        assert!(accepted.is_none(), "{} {}: the good object is refused: {accepted:?}", case.kind, case.message);
        let refused = refused.unwrap_or_default();
        assert!(refused.contains(case.message), "{} {}: the bad object: {refused:?}", case.kind, case.message);
    }
}

/// One case on the API server.
struct Tried<'a> {
    admin: &'a Client,
    operator: &'a Client,
    space: &'a str,
    case: &'a Case,
}

impl Tried<'_> {
    /// What is said against the good and the bad object, each as a dry run.
    async fn run(&self) -> (Option<String>, Option<String>) {
        let Some(before) = &self.case.before else {
            return (self.create(&self.case.accepted).await, self.create(&self.case.refused).await);
        };
        // Records and status are the operator's to write.
        let creator = if self.is_for_the_operator() { self.operator } else { self.admin };
        let api = self.api(creator);
        let mut there = api.create(&PostParams::default(), &Self::read(before)).await.expect("the object before");
        if let Some(status) = before.get("status") {
            let patch = Patch::Merge(json!({"status": status}));
            let name = there.metadata.name.clone().expect("a name");
            let params = PatchParams::default();
            there = self.api(self.operator).patch_status(&name, &params, &patch).await.expect("the status before");
        }
        (self.update(&there, &self.case.accepted).await, self.update(&there, &self.case.refused).await)
    }

    async fn create(&self, object: &Value) -> Option<String> {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let creator = if self.is_for_the_operator() { self.operator } else { self.admin };
        self.api(creator).create(&dry, &Self::read(object)).await.err().map(|error| error.to_string())
    }

    /// Records are written by the operator alone.
    fn is_for_the_operator(&self) -> bool {
        self.case.kind.starts_with("Audit")
    }

    /// Only what the case changes is changed: spec, or status.
    async fn update(&self, there: &DynamicObject, object: &Value) -> Option<String> {
        let name = there.metadata.name.as_deref().expect("a name");
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        if let Some(status) = object.get("status") {
            let patch = Patch::Merge(json!({"status": status}));
            let patched = self.api(self.operator).patch_status(name, &dry, &patch).await;
            return patched.err().map(|error| error.to_string());
        }
        let (path, value) = ("/spec", &object["spec"]);
        let operations = json!([{"op": "replace", "path": path, "value": value}]);
        let replacement = Patch::Json::<()>(serde_json::from_value(operations).expect("a patch"));
        let replaced = self.api(self.admin).patch(name, &dry, &replacement).await;
        let said = replaced.err().map(|error| error.to_string());
        // Nobody but the operator touches records, whatever the rule says.
        said.filter(|said| !self.is_for_the_operator() || said.contains(self.case.message))
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let plural = format!("{}s", self.case.kind.to_lowercase());
        let resource = ApiResource {
            group: "gantry.dev".into(),
            version: "v1alpha1".into(),
            api_version: "gantry.dev/v1alpha1".into(),
            kind: self.case.kind.into(),
            plural,
        };
        Api::namespaced_with(client.clone(), self.space, &resource)
    }

    fn read(object: &Value) -> DynamicObject {
        serde_json::from_value(object.clone()).expect("an object")
    }
}
