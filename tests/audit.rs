//! Records, checkpoints over them, and what `gantry audit` says of them: on the real API server, with a viewer's rights. That no death
//! and no fault seals one twice or loses one is part of every story (`support/story.rs`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Output;

use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::{AuditRecord, Environment, Freeze, Lifecycle, Project};
use gantry_plane::{Identity, Plane};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::sealed::{self, checkpoints};
use crate::support::shared::shared;
use crate::support::space::Space;

use crate::support::wait;

/// Who may read a space, and nothing else.
async fn viewer(plane: &Plane, space: &Space) -> String {
    let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "vera"});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-viewer"});
    space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "vera", "namespace": space.name}, "roleRef": role, "subjects": [subject],
        }))
        .await;
    let kubeconfig = plane.kubeconfig(&Identity::user("vera")).await.expect("a kubeconfig");
    kubeconfig.to_str().expect("text").to_owned()
}

fn gantry(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_gantry")).args(arguments).output().expect("gantry runs")
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A space with `count` promotions that have ended.
async fn told(space: &Space, count: usize) {
    let image = "localhost:5000/checkout";
    space.environment("dev", 10).await;
    for n in 1..=count {
        let version = format!("1.{n}.0");
        space.project("checkout", image, json!([config_map("checkout", &version)])).await;
        let package = json!({"name": "api", "version": version, "digest": format!("sha256:{n:064x}")});
        let release = json!({"project": "checkout", "version": version, "packages": [package]});
        space.apply(space.object("Release", &format!("checkout-{version}"), release)).await;
        space.sealed(&format!("checkout-{version}")).await;
        space.deploy("checkout", &version, "dev").await;
    }
}

// Attack T31.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_sealed_once_and_whoever_may_read_the_space_can_check_and_export_it() {
    let shared = shared().await;
    let space = Space::create(shared.admin().await).await;
    told(&space, 2).await;
    let names = sealed::everything(&space).await;
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len(), "each once: {names:?}");
    let promotions: Vec<_> = names.iter().filter(|name| name.starts_with("promotion-")).collect();
    assert_eq!(promotions, ["promotion-checkout-1.1.0-dev", "promotion-checkout-1.2.0-dev"]);
    let newest = checkpoints(&space).await.pop().expect("a checkpoint");
    let events: Api<Event> = space.api();
    let root = newest.root.to_string();
    let said_so = wait::eventually("an Event names the newest root", || async {
        let all = events.list(&ListParams::default()).await.expect("events").items;
        all.into_iter().find(|event| event.note.as_ref().is_some_and(|note| note.contains(&root)))
    })
    .await;
    let count = newest.records.len();
    let words = format!("Checkpoint {} seals {count} records; its root is {root}.", newest.number);
    assert_eq!((said_so.reason.as_deref(), said_so.note.as_deref()), (Some("Sealed"), Some(words.as_str())));
    let about = said_so.regarding.expect("what it is about");
    let name = format!("checkpoint-{:010}", newest.number);
    assert_eq!((about.kind.as_deref(), about.name), (Some("AuditCheckpoint"), Some(name)));
    let log = shared.operator.log(&shared.plane);
    let printed = log.lines().filter(|line| line.contains(&root) && line.contains(&space.name)).count();
    assert_eq!(printed, 1, "the log keeps it where the Event is gone after an hour");

    let kubeconfig = viewer(&shared.plane, &space).await;
    let reach = ["--kubeconfig", &kubeconfig, "-n", &space.name];
    let kept = format!("{}:{root}", newest.number);
    let verify: Vec<&str> = ["audit", "verify", "--kept", &kept].into_iter().chain(reach).collect();
    let (good, out, errors) = said(&gantry(&verify));
    assert!(good, "{out}{errors}");
    assert!(out.contains(&format!("space {}: {} records are as ", space.name, names.len())), "{out}");
    assert!(out.contains(&format!("--kept {kept}")), "{out}");

    let export: Vec<&str> = ["audit", "export"].into_iter().chain(reach).collect();
    let (good, lines, errors) = said(&gantry(&export));
    assert!(good, "{errors}");
    let directory = shared.plane.directory().join(format!("audit-{}", space.name));
    std::fs::create_dir_all(&directory).expect("a directory");
    edits_of_an_export_are_found(&directory, &lines, &kept);
    what_ran_before_is_exported(&lines);

    let events: Vec<&str> = export.iter().copied().chain(["--format", "cloudevents"]).collect();
    let (good, lines, errors) = said(&gantry(&events));
    assert!(good, "{errors}");
    let types: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["type"].take()).collect();
    let of_services = types.iter().filter(|kind| kind.as_str().is_some_and(|kind| kind.contains(".service.")));
    let expected = ["dev.cdevents.service.deployed.0.3.0", "dev.cdevents.service.upgraded.0.3.0"];
    assert_eq!(of_services.collect::<Vec<_>>(), expected);
    for kind in ["dev.cdevents.environment.created.0.3.0", "dev.gantry.project.created", "dev.gantry.project.changed"] {
        assert!(types.iter().any(|known| known == kind), "{kind}: {types:?}");
    }
}

/// Asks for the deletion of one object, or of all with a label, until the right to do so is known.
async fn delete<K>(person: &Client, space: &Space, name: Option<&str>)
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(person.clone(), &space.name);
    let labelled = ListParams::default().labels("season=spring");
    wait::eventually("the right to delete is known", || async {
        match name {
            Some(name) => api.delete(name, &DeleteParams::default()).await.map(|_| ()).ok(),
            None => api.delete_collection(&DeleteParams::default(), &labelled).await.map(|_| ()).ok(),
        }
    })
    .await;
}

/// Gives somebody the rights of a space admin, and that to delete many freezes at once, which no shipped role has.
async fn space_admin(space: &Space, name: &str) -> Client {
    let group = "rbac.authorization.k8s.io";
    let (rbac, many) = (format!("{group}/v1"), format!("many-{name}"));
    let rule = json!({"apiGroups": ["gantry.dev"], "resources": ["freezes"], "verbs": ["deletecollection"]});
    space
        .apply(json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": many, "namespace": space.name}, "rules": [rule]}))
        .await;
    for (kind, role) in [("ClusterRole", "gantry-space-admin"), ("Role", many.as_str())] {
        space
            .apply(json!({
                "apiVersion": rbac, "kind": "RoleBinding",
                "metadata": {"name": format!("{role}-{name}"), "namespace": space.name},
                "roleRef": {"apiGroup": group, "kind": kind, "name": role},
                "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
            }))
            .await;
    }
    shared().await.plane.client(&Identity::user(name)).await.expect("a client")
}

/// The record of the end of an object of this name.
async fn end(space: &Space, object: &str) -> AuditRecord {
    wait::eventually(&format!("the end of {object} is recorded"), || async {
        let records = space.audit_records(AuditKind::Change).await;
        records.into_iter().find(|record| {
            let named = record.spec.object.as_ref().is_some_and(|known| known.name == object);
            named && record.spec.change.as_ref().is_some_and(|change| change.action == "Deleted")
        })
    })
    .await
}

/// A freeze of 2035, an environment that Gantry holds until its end is recorded, a lifecycle and a project, and their ends: dora deletes, and bob only tries.
async fn deleted_by_dora(space: &Space) -> Vec<AuditRecord> {
    let (dora, bob) = (space_admin(space, "dora").await, space_admin(space, "bob").await);
    let period = json!({"start": "2035-01-01T00:00:00Z", "end": "2035-01-02T00:00:00Z", "reason": "nobody is there"});
    for name in ["winter", "spring"] {
        let mut freeze = space.object("Freeze", name, period.clone());
        freeze["metadata"]["labels"] = json!({"season": name});
        space.apply(freeze).await;
    }
    space.environment("dev", 10).await;
    let phases = json!([{"name": "dev", "environments": ["dev"]}]);
    space.apply(space.object("Lifecycle", "standard", json!({"phases": phases}))).await;
    space.project("checkout", "localhost:5000/checkout", json!([config_map("checkout", "1")])).await;
    let freezes: Api<Freeze> = Api::namespaced(bob, &space.name);
    let tried = DeleteParams { dry_run: true, ..DeleteParams::default() };
    wait::eventually("bob may delete", || async { freezes.delete("winter", &tried).await.ok() }).await;
    delete::<Freeze>(&dora, space, Some("winter")).await;
    delete::<Freeze>(&dora, space, None).await;
    delete::<Lifecycle>(&dora, space, Some("standard")).await;
    delete::<Project>(&dora, space, Some("checkout")).await;
    delete::<Environment>(&dora, space, Some("dev")).await;
    let mut ends = Vec::new();
    for object in ["winter", "spring", "standard", "checkout", "dev"] {
        ends.push(end(space, object).await);
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deleted_something_says_the_api_servers_log_and_export_and_verify_join_it() {
    let shared = shared().await;
    let space = Space::create(shared.admin().await).await;
    let ends = deleted_by_dora(&space).await;
    for record in &ends {
        let (object, change) = (record.spec.object.clone().expect("it"), record.spec.change.clone().expect("a change"));
        assert_eq!(record.spec.by, None, "nobody is stamped");
        let keys = format!(
            "of {}.gantry.dev in namespace {}, name {}, uid {}, before ",
            object.resource().expect("its end is recorded"),
            space.name,
            object.name,
            object.uid
        );
        let witness = change.witness.expect("where it stands");
        assert!(
            witness.starts_with("the API server's audit log says who deleted it: ") && witness.contains(&keys),
            "{witness}"
        );
    }
    sealed::everything(&space).await;
    let kubeconfig = viewer(&shared.plane, &space).await;
    let directory = shared.plane.directory().join(format!("audit-{}", space.name));
    std::fs::create_dir_all(&directory).expect("a directory");
    let of_space = format!("\"{}\"", space.name);
    let log = excerpt(shared.plane.audit().path(), &directory.join("audit.log"), |line| line.contains(&of_space));
    let export = ["audit", "export", "--kubeconfig", &kubeconfig, "-n", &space.name, "--audit-log", &log];
    let (good, lines, errors) = said(&gantry(&export));
    assert!(good, "{errors}");
    let authors: BTreeMap<String, Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter_map(|mut line| Some((line["metadata"]["name"].as_str()?.to_owned(), line.get_mut("author")?.take())))
        .collect();
    assert_eq!(authors.len(), ends.len(), "{authors:#?}");
    for record in &ends {
        let author = &authors[&record.name_any()];
        assert_eq!((&author["username"], &author["knownBy"]), (&json!("dora"), &json!("its UID")), "{author}");
    }
    what_is_joined_is_checked(&directory, (&lines, &log), &ends[0]);

    let (good, events, errors) = said(&gantry(&[export.as_slice(), &["--format", "cloudevents"]].concat()));
    assert!(good, "{errors}");
    let of_end = events.lines().find(|line| line.contains("dev.gantry.freeze.deleted")).expect("an event");
    let event: Value = serde_json::from_str(of_end).expect("JSON");
    assert_eq!(event["data"]["author"]["username"], "dora");
}

/// The whole lines of a log that are wanted, in a file of their own: the log itself grows with every test.
fn excerpt(log: &Path, into: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let (mut source, mut copy) =
        (BufReader::new(File::open(log).expect("the log")), File::create(into).expect("a file"));
    let mut line = String::new();
    while source.read_line(&mut line).expect("text") > 0 {
        if line.ends_with('\n') && wanted(&line) {
            copy.write_all(line.as_bytes()).expect("written");
        }
        line.clear();
    }
    into.to_str().expect("text").to_owned()
}

/// An export with authors is checked like any other, and so are they where the log is given again.
fn what_is_joined_is_checked(directory: &Path, (lines, log): (&str, &str), end: &AuditRecord) {
    let path = directory.join("export.jsonl");
    let check = |text: &str, log: &str| {
        std::fs::write(&path, text).expect("written");
        said(&gantry(&["audit", "verify", "--file", path.to_str().expect("text"), "--audit-log", log]))
    };
    let (good, out, errors) = check(lines, log);
    assert!(good, "{out}{errors}");
    let told = format!("freezes.gantry.dev winter (record {}) was deleted by dora at ", end.name_any());
    assert!(out.contains(&told), "{out}");
    let (good, out, _) = check(&lines.replace(r#""username":"dora""#, r#""username":"bob""#), log);
    assert!(!good && out.contains(&format!("record {} names another author than the log", end.name_any())), "{out}");
    // A log that begins too late names nobody.
    let dora = r#""username":"dora""#;
    let late = excerpt(Path::new(log), &directory.join("late.log"), |line| !line.contains(dora));
    let plain: String = lines.replace(r#""author":"#, r#""other":"#);
    let (good, out, errors) = check(&plain, &late);
    let told = format!(
        "freezes.gantry.dev winter (record {}) was deleted, and no request in the log can have done it",
        end.name_any()
    );
    assert!(good && out.contains(&told), "{out}{errors}");
}

/// Of the second of two promotions, an export says what the first one had brought.
fn what_ran_before_is_exported(lines: &str) {
    let record = |name: &str| -> Value {
        let mut all = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        all.find(|line| line["metadata"]["name"] == name).expect("the record of a promotion")
    };
    let previous = record("promotion-checkout-1.2.0-dev")["spec"]["previous"].take();
    assert_eq!((&previous["version"], &previous["promotion"]), (&json!("1.1.0"), &json!("checkout-1.1.0-dev")));
    assert_eq!(record("promotion-checkout-1.1.0-dev")["spec"]["previous"], Value::Null);
}

/// Bytes of each line changed, each line dropped, the end cut off: each is named to its record or checkpoint. That this is so of every bit
/// show the unit tests.
fn edits_of_an_export_are_found(directory: &Path, lines: &str, kept: &str) {
    let check = |text: &[u8]| {
        let path = directory.join("export.jsonl");
        std::fs::write(&path, text).expect("written");
        said(&gantry(&["audit", "verify", "--kept", kept, "--file", path.to_str().expect("text")]))
    };
    let (good, out, errors) = check(lines.as_bytes());
    assert!(good, "{out}{errors}");
    let all: Vec<&str> = lines.lines().collect();
    for (place, line) in all.iter().enumerate() {
        let name = serde_json::from_str::<Value>(line).expect("JSON")["metadata"]["name"].take();
        let named = name.as_str().expect("a name");
        let number = named.strip_prefix("checkpoint-").and_then(|number| number.parse::<u64>().ok());
        let told = number.map_or_else(|| format!("record {named}"), |number| format!("checkpoint {number} "));
        let rest = [&all[..place], &all[place + 1..]].concat();
        let (good, out, _) = check(rest.join("\n").as_bytes());
        assert!(!good && out.contains(&told), "{named} is gone: {out}");
        // A prime step comes to every kind of place.
        for at in (0..line.len()).step_by(149) {
            let mut edited: Vec<Vec<u8>> = all.iter().map(|line| line.as_bytes().to_vec()).collect();
            edited[place][at] ^= 1;
            let (good, out, _) = check(&edited.join(&b'\n'));
            let is_of = |finding: &str| {
                finding.contains(&told)
                    || finding.contains(named)
                    || finding.starts_with(&format!("✗ line {}: ", place + 1))
            };
            let findings: Vec<&str> = out.lines().filter(|line| line.starts_with('✗')).collect();
            let blamed = findings.iter().any(|finding| finding.contains(&told) || finding.contains(named));
            assert!(!good && blamed && findings.iter().all(|finding| is_of(finding)), "byte {at} of {named}: {out}");
        }
    }
    for end in [all.len() / 2, all.len() - 1] {
        let (good, out, _) = check(all[..end].join("\n").as_bytes());
        assert!(!good && out.contains("was kept outside and is not here: the history was cut"), "{out}");
    }
}
