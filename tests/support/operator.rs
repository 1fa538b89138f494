//! The operator as a process, as its own ServiceAccount.

use std::path::PathBuf;

use gantry_plane::run::Invocation;
use gantry_plane::{Ending, Identity, Plane, Registry};

use super::wait;

/// A running operator. It ends with its cluster, or when it is killed.
pub struct Operator {
    name: String,
    port: u16,
}

impl Operator {
    /// Starts an operator under the name, and waits until it is ready.
    pub async fn start(plane: &Plane, name: &str) -> Self {
        Self::start_against(plane, name, kubeconfig(plane).await).await
    }

    /// The same with a kubeconfig of the test's own, which leads through a proxy.
    pub async fn start_against(plane: &Plane, name: &str, kubeconfig: PathBuf) -> Self {
        Self::start_with(plane, name, (kubeconfig, &["--log-level=info,gantry=debug"])).await
    }

    /// The same that may ask this registry over plain HTTP.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_allowing(plane: &Plane, name: &str, registry: &Registry) -> Self {
        let plain = format!("--plain-http-registry={}", registry.host());
        Self::start_with(plane, name, (kubeconfig(plane).await, &["--log-level=info,gantry=debug", &plain])).await
    }

    /// The same under an identity that another one may have, too: both take the leader Lease for their own. However slow the
    /// machine is, neither loses it.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_as(plane: &Plane, (name, identity): (&str, &str), kubeconfig: PathBuf) -> Self {
        let arguments = [&format!("--identity={identity}"), "--lease-seconds=60", "--log-level=info,gantry=debug"];
        Self::start_with(plane, name, (kubeconfig, &arguments)).await
    }

    /// The same that tries every second whether the policies act.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_guarding(plane: &Plane, name: &str, kubeconfig: PathBuf) -> Self {
        Self::start_with(plane, name, (kubeconfig, &["--guard-seconds=1", "--log-level=info,gantry=debug"])).await
    }

    /// The same that asks these registries inside the network, and no others.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_asking(plane: &Plane, name: &str, registry: &str) -> Self {
        let arguments = [&format!("--internal-registry={registry}"), "--log-level=info,gantry=debug"];
        Self::start_with(plane, name, (kubeconfig(plane).await, &arguments)).await
    }

    /// The same whose log is for programs.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_logging_json(plane: &Plane, name: &str) -> Self {
        let arguments = ["--log-level=info,gantry=debug", "--log-format=json"];
        Self::start_with(plane, name, (kubeconfig(plane).await, &arguments)).await
    }

    /// The same without a line of log that is no warning.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub async fn start_quietly(plane: &Plane, name: &str) -> Self {
        Self::start_quietly_against(plane, name, kubeconfig(plane).await).await
    }

    /// The same with a kubeconfig that leads through a proxy.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub async fn start_quietly_against(plane: &Plane, name: &str, kubeconfig: PathBuf) -> Self {
        Self::start_with(plane, name, (kubeconfig, &["--log-level=warn"])).await
    }

    /// The same of an installation in another namespace than `gantry-system`.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn start_in(plane: &Plane, (name, namespace): (&str, &str)) -> Self {
        let identity = Identity::service_account(namespace, "gantry");
        let kubeconfig = plane.kubeconfig(&identity).await.expect("a kubeconfig");
        let arguments = [&format!("--namespace={namespace}"), "--log-level=info,gantry=debug"];
        Self::start_with(plane, name, (kubeconfig, &arguments)).await
    }

    async fn start_with(plane: &Plane, name: &str, (kubeconfig, more): (PathBuf, &[&str])) -> Self {
        let operator = Self { name: format!("operator-{name}"), port: plane.run().free_port().expect("a port") };
        let mut arguments = vec![
            "controller".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--listen=127.0.0.1:{}", operator.port),
            format!("--registry-ca={}", registry_ca(plane).display()),
        ];
        // The registries of tests are on this machine.
        if !more.iter().any(|argument| argument.starts_with("--internal-registry")) {
            arguments.extend(["localhost", "127.0.0.1", "127.0.0.2"].map(|host| format!("--internal-registry={host}")));
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        for default in [format!("--identity={name}"), "--lease-seconds=5".to_owned()] {
            let flag = default.split_once('=').map_or("", |(flag, _)| flag);
            if !more.iter().any(|argument| argument.starts_with(flag)) {
                arguments.push(default);
            }
        }
        let invocation = Invocation { program: program(plane), arguments, environment: Vec::new() };
        plane.run().start(&operator.name, invocation).expect("the operator starts");
        operator.until_ready().await;
        operator
    }

    /// Waits until it has seen everything.
    pub async fn until_ready(&self) {
        wait::eventually("the operator is ready", || async {
            let (code, _) = self.get("/readyz").await.ok()?;
            (code == 200).then_some(())
        })
        .await;
    }

    /// Whether it says that it leads.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn leads(&self) -> bool {
        let metrics = self.get("/metrics").await.map(|(_, text)| text).unwrap_or_default();
        metrics.lines().any(|line| line == "gantry_leader 1")
    }

    /// Asks it over HTTP.
    pub async fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        ask(self.port, path).await
    }

    /// Kills it as the kernel would: no goodbye.
    pub fn kill(&self, plane: &Plane) {
        plane.run().end(&self.name, Ending::Kill).expect("the operator ends");
    }

    /// Starts it again after it was killed.
    pub async fn resume(&self, plane: &Plane) {
        plane.run().start_again(&self.name).expect("the operator starts");
        self.until_ready().await;
    }

    /// Starts it again whenever it has ended by itself, as Kubernetes does; to be run beside what may make it end.
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub async fn keep_running(&self, plane: &Plane) -> std::convert::Infallible {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            look.tick().await;
            if plane.run().exit_code(&self.name).is_some() {
                plane.run().start_again(&self.name).expect("the operator starts");
            }
        }
    }

    /// Stops it in its tracks, as a machine that stands still would.
    pub fn pause(&self, plane: &Plane) {
        plane.run().pause(&self.name).expect("the operator is paused");
    }

    /// Lets it go on after it was paused.
    pub fn go_on(&self, plane: &Plane) {
        plane.run().go_on(&self.name).expect("the operator goes on");
    }

    /// Waits until it has ended by itself, and gives back its exit code.
    pub async fn ended(&self, plane: &Plane) -> i32 {
        wait::eventually("the operator has ended", || async { plane.run().exit_code(&self.name) }).await
    }

    /// How many TCP addresses it listens on (`/proc`: its sockets that are in state LISTEN).
    #[allow(dead_code, reason = "the benchmark includes this file")]
    pub fn listening(&self, plane: &Plane) -> usize {
        let pid = plane.run().process_id(&self.name).expect("it runs");
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
        let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let sockets: Vec<String> = targets.map(|target| target.to_string_lossy().into_owned()).collect();
        let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")));
        let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
        let listens = rows.filter_map(|row| {
            let fields: Vec<&str> = row.split_whitespace().collect();
            (fields.get(3) == Some(&"0A")).then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
        });
        listens.filter(|inode| sockets.contains(inode)).count()
    }

    /// The most memory that it ever had, in KiB (`VmHWM` of `/proc`).
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn peak_memory(&self, plane: &Plane) -> u64 {
        self.memory(plane, "VmHWM:")
    }

    /// What it holds in memory now, in KiB.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn resident_memory(&self, plane: &Plane) -> u64 {
        self.memory(plane, "VmRSS:")
    }

    fn memory(&self, plane: &Plane, which: &str) -> u64 {
        let id = plane.run().process_id(&self.name).expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
        let line = status.lines().find(|line| line.starts_with(which)).expect("a peak");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Everything that it logged.
    pub fn log(&self, plane: &Plane) -> String {
        std::fs::read_to_string(plane.run().log(&self.name)).unwrap_or_default()
    }
}

/// Asks an operator on this machine over HTTP.
pub async fn ask(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok((code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// The binary as it is now: one that is built while the test runs does not become an operator that is started again.
pub fn program(plane: &Plane) -> PathBuf {
    let (built, kept) = (PathBuf::from(env!("CARGO_BIN_EXE_gantry")), plane.directory().join("gantry"));
    let linked = std::fs::hard_link(&built, &kept).is_ok() || kept.exists() || std::fs::copy(&built, &kept).is_ok();
    if linked { kept } else { built }
}

/// A file with the cluster's own authority: it also signs registries of tests.
fn registry_ca(plane: &Plane) -> PathBuf {
    let path = plane.directory().join("registry-ca.crt");
    std::fs::write(&path, plane.authority().certificate()).expect("a file");
    path
}

/// The operator's own identity.
pub async fn kubeconfig(plane: &Plane) -> PathBuf {
    plane.kubeconfig(&Identity::service_account("gantry-system", "gantry")).await.expect("a kubeconfig")
}
