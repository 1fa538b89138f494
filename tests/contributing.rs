//! What CONTRIBUTING.md says works: a cluster to develop against, and the operator in it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::operator::ask;
use crate::support::wait;

const PAGE: &str = include_str!("../CONTRIBUTING.md");
/// How a line of the page begins that starts a cluster, and one that starts the operator.
const UP: &str = "cargo run -p gantry-plane -- ";
const OPERATOR: &str = "cargo run -- ";

/// A process that is interrupted when the test ends, however it does.
struct Started(Child);

impl Started {
    fn interrupt(&mut self) -> bool {
        let told = Command::new("sh").args(["-c", &format!("kill -s INT {}", self.0.id())]).status();
        told.is_ok_and(|told| told.success()) && self.0.wait().is_ok_and(|ended| ended.success())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.interrupt();
        }
    }
}

/// The arguments of the page's line that begins so, without what it says of itself.
fn line(start: &str, command: &str) -> String {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix(start));
    let found =
        lines.map(|line| line.split('#').next().unwrap_or_default().trim()).find(|line| line.starts_with(command));
    found.unwrap_or_else(|| panic!("the page says no {start}{command}")).to_owned()
}

/// Builds the program that keeps a cluster. With the demo, since then it has the features that the tests have, and nothing else is
/// built anew.
fn plane() -> Command {
    let built = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--example", "demo", "--bin", "gantry-plane"])
        .status()
        .expect("cargo");
    assert!(built.success());
    Command::new(Path::new(env!("CARGO_BIN_EXE_gantry")).with_file_name("gantry-plane"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_to_develop_against_and_the_operator_in_it_work_as_the_page_says() {
    let up = line(UP, "up --gantry");
    let mut cluster = Started(plane().args(up.split(' ')).stdout(Stdio::piped()).spawn().expect("it starts"));
    let lines = BufReader::new(cluster.0.stdout.take().expect("an output")).lines().map(|line| line.expect("text"));
    let told: Vec<String> = lines.take_while(|line| line != "Ctrl-C stops it.").collect();
    let said = |start: &str| {
        let found = told.iter().find_map(|line| line.strip_prefix(start));
        found.unwrap_or_else(|| panic!("it does not say {start}: {told:?}"))
    };
    let (settings, kubectl) = (said("export "), said("kubectl: "));
    let operator = said("operator: ").strip_prefix(OPERATOR).expect("how to start the operator");
    let on_the_page = line(OPERATOR, "controller");
    assert!(operator.starts_with(on_the_page.trim_end_matches('…')), "{operator} is not {on_the_page}");
    let mut gantry = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let gantry = gantry.args(operator.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    let port = operator.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("where it answers");
    let mut operator = Started(gantry.spawn().expect("it starts"));
    // What is asked for while the policies are new is refused.
    wait::eventually("the operator is ready", || async {
        let (code, _) = ask(port, "/readyz").await.ok()?;
        (code == 200).then_some(())
    })
    .await;

    // It writes status, which only its own account may, and it is guarded: it looks at what a promotion asks for.
    let script = format!(
        "set -ex; export {settings}; kubectl() {{ {kubectl} \"$@\"; }}
         kubectl create namespace shop
         kubectl apply --server-side -f deploy/samples/checkout/2-environments.yaml
         kubectl wait environments.gantry.dev --all -n shop --for=condition=Ready --timeout=5m
         kubectl apply --server-side -f deploy/samples/checkout/5-promotions-1.0.0.yaml
         kubectl wait promotions.gantry.dev/checkout-1.0.0-dev -n shop --for=jsonpath='{{.status.reason}}'=ProjectNotFound --timeout=5m"
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(operator.interrupt() && cluster.interrupt(), "both end well");
}

#[test]
fn what_writes_generated_files_anew_names_tests_that_do() {
    let line = line("UPDATE_GOLDEN=1 cargo test --test integration -- ", "");
    for name in line.split(' ') {
        let (module, function) = name.split_once("::").expect("a module and a test");
        let places = [format!("tests/{module}.rs"), format!("tests/policies/{module}.rs")];
        let source = places.iter().find_map(|place| std::fs::read_to_string(place).ok()).expect("a module of tests");
        assert!(
            source.contains("UPDATE_GOLDEN") && source.contains(&format!("fn {function}")),
            "{name} writes nothing"
        );
    }
}
