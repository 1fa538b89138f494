//! Records, checkpoints over them, and what `gantry audit` says of them: on the real API server, with a viewer's rights. That no death
//! and no fault seals one twice or loses one is part of every story (`support/story.rs`).

use std::path::Path;
use std::process::Output;

use gantry_plane::{Identity, Plane};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
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
