//! What the README says is true: its manifests are applied, its table of metrics is the registry's.

use std::fmt::Write;

use gantry::api::v1alpha1::Pin;
use gantry::telemetry::metrics::DOCUMENTED;

use crate::support::image::push;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_in_the_readme_is_applied_and_leads_to_a_success() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    push((&cluster.plane.registry().host(), None), ("tools", "1.0.0"), "tools").await;
    let text = readme();
    let mut manifests = 0;
    for block in text.split("```yaml\n").skip(1) {
        let yaml = block.split("```").next().expect("a block");
        let yaml = yaml
            .replace("namespace: shop", &format!("namespace: {}", space.name))
            .replace("localhost:5000", &cluster.plane.registry().host());
        gantry_plane::manifests::apply(&space.client, "kubectl", &yaml)
            .await
            .unwrap_or_else(|e| panic!("{e}:\n{yaml}"));
        manifests += 1;
    }
    assert_eq!(
        manifests, 16,
        "one manifest for each of the kinds that people write, a script, a release whose channel chooses, several steps, and the files of a repository"
    );
    wait::object(&space.api(), "banner.production", "deployed", |known: &Pin| {
        known.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Succeeded"))
    })
    .await;
    let next = space.sealed("greeter-1.2.0-next").await.status.expect("a status");
    assert_eq!(next.packages[0].version.as_deref(), Some("1.2.0-rc.1"));
    let ended = space.ended("greeter-1.0.0-dev").await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"), "{:?}", ended.message);
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = readme();
    let (_, promises) = text.split_once("## Promises and limits").expect("the promises");
    let (promises, _) = promises.split_once("\n## ").expect("what follows them");
    let lines: Vec<&str> = promises.lines().collect();
    for number in 1..=10 {
        let place = lines.iter().position(|line| line.starts_with(&format!("{number}. "))).expect("ten promises");
        assert!(lines[place + 1].contains("::"), "promise {number} names no test");
    }
    let named = promises.split('`').skip(1).step_by(2).filter(|name| name.contains("::"));
    for name in named {
        let (module, function) = name.rsplit_once("::").expect("a module");
        let file = format!("{}/tests/{}.rs", env!("CARGO_MANIFEST_DIR"), module.replace("::", "/"));
        let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("async fn {function}()")), "{name} is no test");
    }
}

#[test]
fn the_table_of_metrics_is_what_the_operator_registers() {
    let mut table = "| metric | labels | meaning |\n|---|---|---|\n".to_owned();
    for known in DOCUMENTED {
        let labels = if known.labels.is_empty() { "–" } else { known.labels };
        let _ = writeln!(table, "| `{}` | {labels} | {} |", known.name, known.help);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = readme();
    let (before, rest) = text.split_once("<!-- metrics -->\n").expect("the place of the table");
    let (written, after) = rest.split_once("<!-- /metrics -->").expect("the end of the table");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}<!-- metrics -->\n{table}<!-- /metrics -->{after}")).expect("written");
        return;
    }
    assert_eq!(written, table, "run UPDATE_GOLDEN=1 cargo test the_table_of_metrics");
}
