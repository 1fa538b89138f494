//! The demo where containers are simulated, as it is for who is not root; the one with real containers is run by `.ci/run`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the demo says when everything is there to look at.
const LOOK: &str = "  KUBECONFIG=";
/// How it says a command that does what it does then.
const COMMAND: &str = "    $ ";

/// A demo that is interrupted when the test ends, however it does.
struct Demo(Child);

impl Demo {
    fn interrupt(&self) {
        sh(&format!("kill -s INT {}", self.0.id()));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.interrupt();
            let _ = self.0.wait();
        }
    }
}

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Types what the demo says that it did, where it ran: nothing is new to the cluster.
fn type_what_it_said(said: &[String], look: &str) {
    let commands: Vec<_> = said.iter().filter_map(|line| line.strip_prefix(COMMAND)).collect();
    let samples = commands.iter().filter(|command| command.contains("deploy/samples/")).count();
    assert!(samples >= 12 && commands.len() > samples, "it says how to install and each sample: {commands:?}");
    let mut words = look.split(' ');
    let (settings, kubectl) = (words.by_ref().take(2).collect::<Vec<_>>().join(" "), words.next().expect("a program"));
    let folder = Path::new(kubectl).parent().expect("a folder").display();
    let root = env!("CARGO_MANIFEST_DIR");
    let typed = |script: &str| sh(&format!("cd {root}; export {settings} PATH=\"{folder}:$PATH\"; set -e\n{script}"));
    // Not the records, which are sealed a little later.
    let kinds = ["projects", "lifecycles", "environments", "variablesets", "releases", "promotions"]
        .map(|kind| format!("{kind}.gantry.dev"));
    let of_each = "{range .items[*]}{.kind} {.metadata.name} {.metadata.generation}\\n{end}";
    let generations = format!("kubectl get {} -n shop -o jsonpath='{of_each}'", kinds.join(","));
    let before = typed(&generations);
    assert!(before.contains("Project checkout "), "{before}");
    typed(&commands.join("\n"));
    assert_eq!(typed(&generations), before, "they are what the demo did");
}

/// Builds the demo, and starts it where containers are simulated.
fn start(arguments: &[&str], errors: Stdio) -> Demo {
    let built = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--example", "demo"])
        .status()
        .expect("cargo");
    assert!(built.success());
    // Where the tests are, the examples are next to them.
    let program = Path::new(env!("CARGO_BIN_EXE_gantry")).with_file_name("examples").join("demo");
    let mut demo = Command::new(program);
    let demo = demo.arg("--simulated").args(arguments).stdout(Stdio::piped()).stderr(errors);
    Demo(demo.spawn().expect("the demo starts"))
}

#[test]
fn a_demo_whose_operator_dies_says_so_and_does_not_end_well() {
    let mut demo = start(&[], Stdio::piped());
    let mut lines = BufReader::new(demo.0.stdout.take().expect("an output")).lines();
    let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("environment production is ready")));
    assert!(ready.is_some(), "the demo got that far");
    sh(&format!("pkill -KILL -P {} -f -- --operator", demo.0.id()));
    let told: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let ended = demo.0.wait().expect("an end");
    let mut said = String::new();
    demo.0.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("\n✗ the operator has ended; the last of its log:\n"), "{said}");
    assert!(!told.iter().any(|line| line.contains("really happened")), "{told:?}");
}

#[test]
fn kept_the_demo_tells_everything_runs_on_until_it_is_interrupted_and_can_be_looked_at_as_it_says() {
    let mut demo = start(&["--keep"], Stdio::inherit());
    let mut said = Vec::new();
    for line in BufReader::new(demo.0.stdout.take().expect("an output")).lines() {
        said.push(line.expect("text"));
        if said.last().is_some_and(|line| line.starts_with(LOOK)) {
            break;
        }
    }
    let told = said.join("\n");
    for step in [
        "Containers are simulated, as asked for.",
        "a forged request is stamped with its real author: gantry-plane-admin",
        "environment production is ready: namespace shop-production",
        "release checkout-1.0.0 is sealed: api is localhost:",
        "checkout-1.0.0-production is Pending: ",
        "checkout-1.0.0-production is Running: ",
        "production runs 1.0.0",
        "production runs 1.1.0",
        "/checkout:1.2.0-rc.1@sha256:",
        "checkout-9.9.9-dev failed (ImagePullBackOff): ",
        "✓ Everything above really happened",
    ] {
        assert!(told.contains(step), "the demo does not say {step:?}: {told}");
    }
    let look = said.last().expect("a line").trim();
    let found = sh(look);
    for object in [
        "project.gantry.dev/checkout",
        "environment.gantry.dev/production",
        "promotion.gantry.dev/checkout-1.0.0-dev-again",
    ] {
        assert!(found.contains(object), "{look} shows no {object}: {found}");
    }
    type_what_it_said(&said, look);
    let metrics = told.split("(metrics on :").nth(1).and_then(|rest| rest.split('/').next()).expect("a port");
    let metrics: u16 = metrics.parse().expect("a port");
    assert!(std::net::TcpStream::connect(("127.0.0.1", metrics)).is_ok(), "the operator still runs");
    let kubeconfig = look.trim_start_matches(LOOK.trim()).split(' ').next().expect("a path");
    demo.interrupt();
    assert!(demo.0.wait().expect("an end").success());
    assert!(!Path::new(kubeconfig).parent().expect("a folder").exists(), "nothing is left");
    assert!(std::net::TcpStream::connect(("127.0.0.1", metrics)).is_err(), "the operator has ended");
}
