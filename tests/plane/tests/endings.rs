//! However a run ends, what it started ends with it, and nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail so")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantry_plane::run::{Invocation, Run};

const PATIENCE: Duration = Duration::from_mins(1);

/// A process and when it started, in clock ticks.
type Process = (u32, u64);

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    // A zombie is gone for all but its parent.
    if fields.first() == Some(&"Z") { None } else { fields.get(19)?.parse().ok() }
}

fn alive(process: Process) -> bool {
    started(process.0) == Some(process.1)
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes in a run's journal.
fn journal(directory: &Path) -> Vec<Process> {
    let text = fs::read_to_string(directory.join("journal")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("process "));
    let pairs = lines.map(|line| line.split(' ').take(2).map(|word| word.parse::<u64>().unwrap()).collect::<Vec<_>>());
    pairs.map(|pair| (u32::try_from(pair[0]).unwrap(), pair[1])).collect()
}

/// A cluster held by a process of its own: that process, and the cluster's directory.
fn held() -> (Child, PathBuf) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-plane"));
    let mut holder = command.arg("up").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.take_while(|line| line != "Ctrl-C stops it.").collect();
    let kubeconfig = said
        .first()
        .and_then(|line| line.strip_prefix("export KUBECONFIG=")?.split(' ').next())
        .expect("the cluster started");
    let directory = Path::new(kubeconfig).parent().unwrap().to_owned();
    (holder, directory)
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]).status().unwrap();
    assert!(sent.success());
}

/// The warden of the run in `directory`, found by its arguments.
fn warden(directory: &Path) -> u32 {
    let wanted = format!("\0gantry-plane-warden\0{}\0", directory.display());
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let is_warden = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&wanted)
    };
    processes.into_iter().find(is_warden).expect("a warden")
}

#[test]
fn a_killed_holder_takes_its_cluster_with_it() {
    let (mut holder, directory) = held();
    let processes = journal(&directory);
    assert_eq!(processes.len(), 6, "etcd, API server, registry, controller manager, scheduler, kwok");
    assert!(processes.iter().all(|process| alive(*process)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait("the end of every program", || !processes.iter().any(|process| alive(*process)));
    wait("the end of the directory", || !directory.exists());
}

#[test]
fn an_interrupted_holder_stops_its_cluster_before_it_ends() {
    let (mut holder, directory) = held();
    let processes = journal(&directory);
    signal("INT", holder.id());
    assert!(holder.wait().unwrap().success());
    assert!(!processes.iter().any(|process| alive(*process)));
    assert!(!directory.exists());
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next_and_nothing_else_is_touched() {
    let (mut holder, directory) = held();
    let processes = journal(&directory);
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let evidence = directory.with_extension("cleaned");
    let mut file = fs::File::options().append(true).open(directory.join("journal")).unwrap();
    // As if the bystander had been given the id of a program that is long gone.
    writeln!(file, "process {} 1 gone\ncleanup touch {}", bystander.id(), evidence.display()).unwrap();
    signal("KILL", warden(&directory));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(processes.iter().all(|process| alive(*process)), "nobody is left to end them");
    // Another test of this machine may start first and do it.
    let next = Run::create().unwrap();
    wait("the end of every program", || !processes.iter().any(|process| alive(*process)));
    wait("the cleanup", || evidence.exists());
    drop(next);
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander was not ours");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    fs::remove_file(evidence).unwrap();
}

#[test]
fn a_panic_ends_the_run_newest_first() {
    let trace = std::env::temp_dir().join(format!("gantry-plane-order-{}", std::process::id()));
    let path = trace.clone();
    let outcome = std::thread::spawn(move || {
        let run = Run::create().unwrap();
        for word in ["first", "second"] {
            run.on_end(&format!("echo {word} >> {}", path.display())).unwrap();
        }
        let sleep = Invocation { program: "sleep".into(), arguments: vec!["600".to_owned()], ..Invocation::default() };
        run.start("sleep", sleep).unwrap();
        std::panic::panic_any(run.process_id("sleep").unwrap());
    });
    let pid = *outcome.join().unwrap_err().downcast::<u32>().unwrap();
    assert_eq!(started(pid), None);
    assert_eq!(fs::read_to_string(&trace).unwrap(), "second\nfirst\n");
    fs::remove_file(trace).unwrap();
}
