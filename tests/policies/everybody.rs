//! Everybody who has a shipped role, a stranger, somebody with every verb on every kind and the cluster's administrator, against every
//! kind: who refuses what each may not, and with which sentence.

use gantry::api::crds;
use gantry_plane::{Identity, manifests};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::attacks::eve;
use super::confinement::labelled;
use super::{DryRun, Shop, api_of, apply, client, create, inventory, person_may, record, slot};
use crate::support::wait;

/// People, and the shipped role that each has in the space.
const PEOPLE: [(&str, &str); 5] = [
    ("vera", "gantry-viewer"),
    ("dave", "gantry-developer"),
    ("alice", "gantry-releaser"),
    ("bob", "gantry-approver"),
    ("ada", "gantry-space-admin"),
];

/// Somebody who tries.
struct Person {
    name: &'static str,
    client: Client,
    held: Held,
}

/// What RBAC lets somebody do in the space.
enum Held {
    Role(Value),
    Nothing,
    Everything,
}

impl Person {
    fn may(&self, verb: &str, resource: &str) -> bool {
        match &self.held {
            Held::Nothing => false,
            Held::Everything => true,
            Held::Role(role) => role["rules"].as_array().into_iter().flatten().any(|rule| {
                let has = |list: &str, word: &str| {
                    rule[list].as_array().into_iter().flatten().any(|known| known.as_str() == Some(word))
                };
                has("resources", resource) && has("verbs", verb)
            }),
        }
    }

    /// Fails unless RBAC refused this where the role does not have it, and else this policy.
    fn is_refused(&self, said: Result<(), String>, (verb, resource): (&str, &str), policy: &str) {
        let Err(said) = said else { panic!("{} was let {verb} {resource}", self.name) };
        let sentence = if self.may(verb, resource) {
            format!(
                "ValidatingAdmissionPolicy '{policy}.gantry.dev' with binding '{policy}.gantry.dev' denied request: "
            )
        } else {
            format!("is forbidden: User \"{}\" cannot {verb} resource \"{resource}\"", self.name)
        };
        assert!(said.contains(&sentence), "{} {verb} {resource}: {said}\nand not: {sentence}", self.name);
        // What a policy says has what is wrong, and what to do instead.
        let told = said.split_once("denied request: ").is_none_or(|(_, told)| told.contains("; "));
        assert!(told, "{said}");
    }
}

/// Everybody who tries, once the API server knows their rights.
async fn everybody(shop: &Shop) -> Vec<Person> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac.yaml");
    let roles = manifests::documents(&std::fs::read_to_string(path).expect("a file")).expect("YAML");
    let mut everybody = Vec::new();
    for (name, role) in PEOPLE {
        shop.space.apply(person_may(&shop.space.name, role, name)).await;
        let client = client(shop.plane, &Identity::user(name)).await;
        let (promotions, _) = api_of(&client, &shop.promotion("x", json!({})));
        wait::eventually(role, || async { promotions.list(&ListParams::default()).await.ok() }).await;
        let shipped = |known: &&Value| known["kind"] == "ClusterRole" && known["metadata"]["name"] == role;
        let role = roles.iter().find(shipped).expect("a shipped role").clone();
        everybody.push(Person { name, client, held: Held::Role(role) });
    }
    let (eve, _) = eve(shop).await;
    everybody.push(Person { name: "eve", client: eve, held: Held::Nothing });
    everybody.push(Person { name: "mallory", client: shop.mallory.clone(), held: Held::Everything });
    everybody.push(Person { name: "gantry-plane-admin", client: shop.space.client.clone(), held: Held::Everything });
    everybody
}

/// The field of a kind that says who asked, decided or changed it.
fn stamp(kind: &str) -> Option<&'static str> {
    match kind {
        "Approval" | "CommandRun" => Some("by"),
        "Promotion" | "Pin" => Some("requestedBy"),
        "Release" => Some("createdBy"),
        "Environment" | "Freeze" | "Lifecycle" | "Project" => Some("changedBy"),
        _ => None,
    }
}

/// An object of the kind, for the environment dev or live.
fn object(shop: &Shop, kind: &str, environment: &str) -> Value {
    let version = if environment == "dev" { "1.0.0" } else { "2.0.0" };
    let (name, spec) = match kind {
        "Approval" => {
            let uid = "0b5e9a1c-6f0d-4a53-8a57-2f1d3c9b7e60";
            let spec = json!({"promotion": "of-somebody", "promotionUid": uid, "environment": environment,
                "planDigest": "a".repeat(64), "decision": "Approve"});
            (environment.to_owned(), spec)
        }
        "AuditRecord" => return record(&shop.space.name, environment),
        "AuditCheckpoint" => {
            let records = json!([{"name": "dev", "hash": "a".repeat(64)}]);
            (environment.to_owned(), json!({"number": 1, "root": "a".repeat(64), "count": 1, "records": records}))
        }
        "CommandRun" => {
            let logs = json!({"workload": "Deployment/checkout"});
            let spec = json!({"environment": environment, "project": "checkout", "reason": "CHG-1", "logs": logs});
            (environment.to_owned(), spec)
        }
        "Environment" => (environment.to_owned(), json!({"order": 10})),
        "Freeze" => {
            let spec = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "a holiday"});
            (environment.to_owned(), spec)
        }
        "Lifecycle" => (environment.to_owned(), json!({"phases": [{"name": "first"}]})),
        "Pin" => {
            let spec = json!({"project": "checkout", "environment": environment, "version": "1.0.0"});
            (format!("checkout.{environment}"), spec)
        }
        "Project" => {
            let process = json!([{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "checkout"}}}]);
            (environment.to_owned(), json!({"process": process}))
        }
        "Promotion" => {
            let spec = json!({"project": "checkout", "version": "1.0.0", "environment": environment});
            (environment.to_owned(), spec)
        }
        "Release" => (format!("checkout-{version}"), json!({"project": "checkout", "version": version})),
        "VariableSet" => {
            let variables = json!([{"name": "LEVEL", "values": [{"value": "info"}]}]);
            (environment.to_owned(), json!({"variables": variables}))
        }
        other => panic!("{other} is a kind that this test does not know: say what nobody may do to it"),
    };
    shop.space.object(kind, &name, spec)
}

/// Kind and plural of every kind of Gantry.
fn kinds() -> Vec<(String, String)> {
    crds::all().into_iter().map(|known| (known.spec.names.kind, known.spec.names.plural)).collect()
}

fn is_record(kind: &str) -> bool {
    ["AuditRecord", "AuditCheckpoint"].contains(&kind)
}

/// Makes one of every kind, as whoever may.
async fn one_of_every_kind(shop: &Shop) {
    for (kind, _) in kinds() {
        let maker = if is_record(&kind) { &shop.operator } else { &shop.space.client };
        create(maker, object(shop, &kind, "dev"), DryRun::No).await.unwrap_or_else(|said| panic!("{kind}: {said}"));
    }
}

async fn change(client: &Client, object: &Value, change: Value) -> Result<DynamicObject, String> {
    let (api, name) = api_of(client, object);
    let changed = api.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await;
    changed.map_err(|error| error.to_string())
}

async fn delete(client: &Client, object: &Value) -> Result<(), String> {
    let (api, name) = api_of(client, object);
    api.delete(&name, &DeleteParams::default()).await.map(|_| ()).map_err(|error| error.to_string())
}

// Attacks T1, T2.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_that_somebody_else_asked_whatever_the_kind() {
    let shop = Shop::open().await;
    one_of_every_kind(&shop).await;
    for person in everybody(&shop).await {
        for (kind, resource) in kinds() {
            let Some(field) = stamp(&kind) else { continue };
            let mut forged = object(&shop, &kind, "live");
            forged["spec"][field] = json!({"username": "somebody"});
            let (api, _) = api_of(&person.client, &forged);
            let try_only = PostParams { dry_run: true, ..PostParams::default() };
            let forged: DynamicObject = serde_json::from_value(forged).expect("an object");
            match api.create(&try_only, &forged).await {
                Ok(made) => assert_eq!(made.data["spec"][field]["username"], person.name, "{kind}"),
                Err(error) => {
                    // Whoever may write the kind still needs the verb: promote, approve, logs.
                    let policy = format!("{}-rights", kind.trim_end_matches("Run").to_lowercase());
                    person.is_refused(Err(error.to_string()), ("create", &resource), &policy);
                }
            }
            // Who is known to have asked is so for ever.
            let before = object(&shop, &kind, "dev");
            let forged = json!({"spec": {field: {"username": "somebody"}}});
            match change(&person.client, &before, forged).await {
                Ok(now) => assert_eq!(now.data["spec"][field]["username"], "gantry-plane-admin", "{kind}"),
                Err(said) if said.contains("immutable") => {}
                Err(said) => assert!(!person.may("patch", &resource), "{} {kind}: {said}", person.name),
            }
        }
    }
}

// Attacks T2, T5, T32.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_the_status_of_any_kind() {
    let shop = Shop::open().await;
    one_of_every_kind(&shop).await;
    for person in everybody(&shop).await {
        for (kind, resource) in kinds() {
            if !has_status(&kind) {
                assert!(is_record(&kind), "{kind}");
                continue;
            }
            let (api, name) = api_of(&person.client, &object(&shop, &kind, "dev"));
            let status = Patch::Merge(json!({"status": {"observedGeneration": 1}}));
            let written = api.patch_status(&name, &PatchParams::default(), &status).await;
            let said = written.map(|_| ()).map_err(|error| error.to_string());
            person.is_refused(said, ("patch", &format!("{resource}/status")), "status");
        }
    }
}

fn has_status(kind: &str) -> bool {
    let of_kind = crds::all().into_iter().filter(|known| known.spec.names.kind == kind);
    of_kind
        .flat_map(|known| known.spec.versions)
        .all(|version| version.subresources.is_some_and(|subresources| subresources.status.is_some()))
}

// Attacks T2, T19, T31, T32.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_touches_records_checkpoints_decisions_slots_or_what_says_whose_an_object_is() {
    let shop = Shop::open().await;
    one_of_every_kind(&shop).await;
    let held = slot(&shop.space.name, "checkout.dev");
    let listed = inventory(&shop.space.name, "checkout.dev.dev");
    for object in [&held, &listed] {
        create(&shop.operator, object.clone(), DryRun::No).await.expect("the operator may");
    }
    let target = format!("{}-dev", shop.space.name);
    apply(&shop.operator, labelled(&target, &shop.space.name)).await.expect("a namespace of the space");
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": target,
        "labels": {"gantry.dev/project": "checkout"}}});
    for person in everybody(&shop).await {
        let label = json!({"metadata": {"labels": {"note": "x"}}});
        for (kind, resource) in [("AuditRecord", "auditrecords"), ("AuditCheckpoint", "auditcheckpoints")] {
            let known = object(&shop, kind, "dev");
            let made = create(&person.client, object(&shop, kind, "live"), DryRun::Yes).await;
            person.is_refused(made, ("create", resource), "records");
            let changed = change(&person.client, &known, label.clone()).await.map(|_| ());
            person.is_refused(changed, ("patch", resource), "records");
            person.is_refused(delete(&person.client, &known).await, ("delete", resource), "records");
        }
        let decision = delete(&person.client, &object(&shop, "Approval", "dev")).await;
        person.is_refused(decision, ("delete", "approvals"), "approval-rights");

        let other = create(&person.client, slot(&shop.space.name, "checkout.live"), DryRun::Yes).await;
        person.is_refused(other, ("create", "leases"), "slots");
        let freed = change(&person.client, &held, json!({"spec": {"holderIdentity": null}})).await.map(|_| ());
        person.is_refused(freed, ("patch", "leases"), "slots");
        person.is_refused(delete(&person.client, &held).await, ("delete", "leases"), "slots");

        let planted = create(&person.client, inventory(&shop.space.name, "checkout.live.live"), DryRun::Yes).await;
        person.is_refused(planted, ("create", "controllerrevisions"), "revisions");
        for emptied in [json!({"annotations": {"gantry.dev/inventory": "{}"}}), json!({"labels": null})] {
            let emptied = change(&person.client, &listed, json!({"metadata": emptied})).await.map(|_| ());
            person.is_refused(emptied, ("patch", "controllerrevisions"), "revisions");
        }
        person.is_refused(delete(&person.client, &listed).await, ("delete", "controllerrevisions"), "revisions");

        // Nobody but the administrator has any right in the namespace of an environment.
        let said = create(&person.client, owned.clone(), DryRun::Yes).await.expect_err("nobody may");
        let policy = "denied request: metadata.labels: gantry.dev/project and its like say what Gantry applied";
        let rbac = format!("User \"{}\" cannot create resource \"configmaps\"", person.name);
        assert!(said.contains(if person.name == "gantry-plane-admin" { policy } else { &rbac }), "{said}");

        for (kind, resource) in [("Promotion", "promotions"), ("CommandRun", "commandruns")] {
            let known = object(&shop, kind, "dev");
            let freed = change(&person.client, &known, json!({"metadata": {"finalizers": null}})).await;
            assert_eq!(freed.is_ok(), person.may("patch", resource), "{}: {freed:?}", person.name);
            let all: Api<DynamicObject> = api_of(&shop.space.client, &known).0;
            let known = all.get("dev").await.expect("it");
            assert_eq!(known.finalizers(), ["gantry.dev/recorded"], "{} {kind}", person.name);
        }
    }
}
