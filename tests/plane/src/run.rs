//! One run: the processes it started, their logs, and the promise that they end with it.
//!
//! Everything that must end is in the run's journal before it matters, newest last. A small shell
//! process, the warden, reads a pipe whose other end only this process holds. Stopping, dropping,
//! panicking, Ctrl-C and SIGKILL all close that pipe; then the warden ends what the journal names,
//! newest first, and removes the directory (`run/sweep.sh`). If the warden was killed as well, the
//! next start does its work. A process is known by its id and its start time, so nothing that the
//! run did not start is ever touched.

mod slot;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::PlaneError;
use slot::Slot;

const SWEEP: &str = include_str!("run/sweep.sh");
/// Lines of a log that an error shows.
const LOG_LINES: usize = 15;
/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program with its arguments, as it is started and started again.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it finds in its environment besides ours.
    pub environment: Vec<(String, String)>,
}

/// How a program is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL: at once, as in a crash.
    Kill,
    /// SIGTERM: it may finish what it does.
    Terminate,
}

/// The processes, files and cleanups of one cluster.
#[derive(Debug)]
pub struct Run {
    slot: u8,
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: File,
    /// The warden and the pipe that it watches.
    warden: Option<(Child, ChildStdin)>,
    running: BTreeMap<String, Running>,
    next_port: u16,
}

#[derive(Debug)]
struct Running {
    child: Child,
    invocation: Invocation,
}

impl Run {
    /// Takes a slot, clears what earlier runs left behind, and posts the warden.
    ///
    /// # Errors
    /// All slots are taken, or the directory cannot be made.
    pub fn create() -> Result<Self, PlaneError> {
        let slot = Slot::take()?;
        let directory = slot.directory();
        for path in [directory.clone(), directory.join("logs")] {
            let made = fs::DirBuilder::new().mode(0o700).create(&path);
            made.map_err(PlaneError::system(format!("making {}", path.display())))?;
        }
        if std::env::var_os("GANTRY_PLANE_KEEP").is_some_and(|value| !value.is_empty()) {
            let _ = File::create(directory.join("keep"));
        }
        let path = directory.join("journal");
        let journal = File::create(&path).map_err(PlaneError::system(format!("making {}", path.display())))?;
        let next_port = slot.first_port();
        let number = slot.number();
        let warden = post_warden(slot, &directory)?;
        let state = State { journal, warden: Some(warden), running: BTreeMap::new(), next_port };
        Ok(Self { slot: number, directory, state: Mutex::new(state) })
    }

    /// Where this run keeps its files. Short enough for socket paths.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The number of this run among those at work on this machine; what must differ between them
    /// (bridge, subnet) is derived from it.
    #[must_use]
    pub const fn slot(&self) -> u8 {
        self.slot
    }

    /// The log file of the program called `name`.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    /// A port of 127.0.0.1 that nobody listens on. No two calls of one run get the same, and no two
    /// runs draw from the same range.
    ///
    /// # Errors
    /// The range is used up.
    pub fn free_port(&self) -> Result<u16, PlaneError> {
        let mut state = self.state();
        let first = Slot::first_port_of(self.slot);
        while state.next_port < first + Slot::PORTS {
            let port = state.next_port;
            state.next_port += 1;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        Err(PlaneError::NoPort { slot: self.slot, first })
    }

    /// Has `command` (one line of `sh`) run when the run ends, after everything that is started or
    /// registered later has ended.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn on_end(&self, command: &str) -> Result<(), PlaneError> {
        self.record(&mut self.state(), &format!("cleanup {}\n", command.replace('\n', " ")))
    }

    /// Starts a program under a name that is unique in this run.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, name: &str, invocation: Invocation) -> Result<(), PlaneError> {
        let mut state = self.state();
        let mut child = self.spawn(name, &invocation)?;
        let pid = child.id();
        let started = start_time(pid).unwrap_or_default();
        if let Err(error) = self.record(&mut state, &format!("process {pid} {started} {name}\n")) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        state.running.insert(name.to_owned(), Running { child, invocation });
        Ok(())
    }

    /// Ends the program called `name` and waits until it is gone. Its data stays.
    ///
    /// # Errors
    /// No such program, or it does not go.
    pub fn end(&self, name: &str, ending: Ending) -> Result<(), PlaneError> {
        let mut state = self.state();
        let Some(running) = state.running.get_mut(name) else {
            return Err(PlaneError::NotStarted { program: name.to_owned() });
        };
        let failed = || PlaneError::system(format!("ending {name}"));
        if ending == Ending::Terminate && running.child.try_wait().is_ok_and(|status| status.is_none()) {
            let signal = format!("kill -TERM {}", running.child.id());
            Command::new("sh").args(["-c", &signal]).status().map_err(failed())?;
            let deadline = Instant::now() + PATIENCE;
            while running.child.try_wait().map_err(failed())?.is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        running.child.kill().map_err(failed())?;
        running.child.wait().map_err(failed())?;
        Ok(())
    }

    /// Stops the program called `name` in its tracks, until [`Run::go_on`].
    ///
    /// # Errors
    /// No such program.
    pub fn pause(&self, name: &str) -> Result<(), PlaneError> {
        self.signal(name, "STOP")
    }

    /// Lets the program called `name` go on after [`Run::pause`].
    ///
    /// # Errors
    /// No such program.
    pub fn go_on(&self, name: &str) -> Result<(), PlaneError> {
        self.signal(name, "CONT")
    }

    /// With which code the program called `name` ended by itself; nothing while it runs, and if a signal ended it.
    #[must_use]
    pub fn exit_code(&self, name: &str) -> Option<i32> {
        let mut state = self.state();
        state.running.get_mut(name)?.child.try_wait().ok()??.code()
    }

    fn signal(&self, name: &str, signal: &str) -> Result<(), PlaneError> {
        let id = self.process_id(name).ok_or_else(|| PlaneError::NotStarted { program: name.to_owned() })?;
        let told = Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status();
        told.map(|_| ()).map_err(PlaneError::system(format!("sending {signal} to {name}")))
    }

    /// Starts the program called `name` again, as it was started before.
    ///
    /// # Errors
    /// No such program, or it cannot be started.
    pub fn start_again(&self, name: &str) -> Result<(), PlaneError> {
        let invocation = self.state().running.get(name).map(|running| running.invocation.clone());
        let invocation = invocation.ok_or_else(|| PlaneError::NotStarted { program: name.to_owned() })?;
        self.start(name, invocation)
    }

    /// The process id of the program called `name`, while it runs.
    #[must_use]
    pub fn process_id(&self, name: &str) -> Option<u32> {
        let mut state = self.state();
        let running = state.running.get_mut(name)?;
        running.child.try_wait().is_ok_and(|status| status.is_none()).then(|| running.child.id())
    }

    /// The last lines of the log of the program called `name`.
    #[must_use]
    pub fn log_tail(&self, name: &str) -> String {
        let bytes = fs::read(self.log(name)).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&bytes), LOG_LINES)
    }

    /// Ends everything and removes the directory. Does nothing the second time.
    pub fn stop(&self) {
        let mut state = self.state();
        let Some((mut warden, pipe)) = state.warden.take() else { return };
        drop(pipe);
        let _ = warden.wait();
        if self.directory.exists() {
            sweep(&self.directory);
        }
        for running in state.running.values_mut() {
            let _ = running.child.wait();
        }
    }

    fn spawn(&self, name: &str, invocation: &Invocation) -> Result<Child, PlaneError> {
        let path = self.log(name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(PlaneError::system(format!("opening {}", path.display())))?;
        let second = log.try_clone().map_err(PlaneError::system(format!("opening {}", path.display())))?;
        Command::new(&invocation.program)
            .args(&invocation.arguments)
            .envs(invocation.environment.iter().map(|(key, value)| (key, value)))
            .env("GANTRY_PLANE_RUN", &self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .process_group(0)
            .spawn()
            .map_err(PlaneError::system(format!("starting {}", invocation.program.display())))
    }

    fn record(&self, state: &mut State, line: &str) -> Result<(), PlaneError> {
        let written = state.journal.write_all(line.as_bytes());
        written.map_err(PlaneError::system(format!("writing the journal of {}", self.directory.display())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the warden. Its output is the slot's lock file: so the slot stays taken until the warden
/// has finished, however this process ends.
fn post_warden(slot: Slot, directory: &Path) -> Result<(Child, ChildStdin), PlaneError> {
    let script = format!("trap '' INT TERM HUP\nwhile read -r _; do :; done\n{SWEEP}");
    let failed = || PlaneError::system(format!("starting the warden of {}", directory.display()));
    let lock = slot.into_lock();
    let mut warden = Command::new("sh")
        .args(["-c", &script, "gantry-plane-warden"])
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(lock)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(failed())?;
    let pipe = warden.stdin.take();
    pipe.map(|pipe| (warden, pipe)).ok_or_else(|| failed()(std::io::ErrorKind::BrokenPipe.into()))
}

/// Does the warden's work for a run that has none any more.
fn sweep(directory: &Path) {
    let _ = Command::new("sh")
        .args(["-c", SWEEP, "gantry-plane-sweep"])
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// When a process started, in clock ticks since the machine did.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the 20th word after it is the start time.
    stat.rsplit_once(") ")?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The last `count` lines of `text`.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}
