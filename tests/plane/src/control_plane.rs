//! etcd, the API server, the controller manager and the scheduler: how they are invoked.

use std::path::PathBuf;
use std::sync::Arc;

use crate::authority::{Authority, CredentialFiles, write_private};
use crate::error::PlaneError;
use crate::identity::Identity;
use crate::kubeconfig;
use crate::node;
use crate::programs::{Program, Programs};
use crate::readiness::{answers, until_ready};
use crate::run::{Invocation, Run};

/// What is asked of the API server's audit log. A request is recorded once it is answered, not when it arrives.
const AUDIT_POLICY: &str = include_str!("../../../deploy/audit/policy.yaml");
/// The same without what was sent and answered, as many clusters have it.
const AUDIT_POLICY_WITHOUT_BODIES: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [
    { "level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"] },
    { "level": "Metadata" }
  ]
}"#;
/// The name of the API server for those that are let in by a pod's address.
const SERVICE_NAMES: [&str; 5] =
    ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// The addresses of Services. Every cluster has the same: pods of different clusters never see each other.
pub(crate) const SERVICES: &str = "10.0.0.0/24";
/// The address of the Service `kubernetes` in it.
pub(crate) const API_SERVICE: &str = "10.0.0.1";

/// The four programs of one run, and where they listen.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    run: Arc<Run>,
    files: Files,
    api_server: u16,
    etcd: u16,
    controller_manager: u16,
    scheduler: u16,
}

/// The files that the programs are given.
#[derive(Debug)]
struct Files {
    authority: PathBuf,
    serving: CredentialFiles,
    kubelet_client: CredentialFiles,
    tokens: CredentialFiles,
    audit_policy: PathBuf,
    audit_log: PathBuf,
}

impl ControlPlane {
    /// Writes what the programs need and chooses their ports.
    pub(crate) fn prepare(run: Arc<Run>, authority: &Authority, audit_bodies: bool) -> Result<Self, PlaneError> {
        let directory = run.directory().join("pki");
        std::fs::create_dir(&directory).map_err(PlaneError::system(format!("making {}", directory.display())))?;
        let gateway = node::gateway(run.slot()).to_string();
        let names: Vec<&str> = SERVICE_NAMES.into_iter().chain([API_SERVICE, gateway.as_str()]).collect();
        let kubelet_groups = ["system:masters".to_owned()];
        let files = Files {
            authority: directory.join("authority.crt"),
            serving: authority.server("kube-apiserver", &names)?.write(&directory, "serving")?,
            kubelet_client: authority
                .client("kube-apiserver-kubelet-client", &kubelet_groups)?
                .write(&directory, "kubelet-client")?,
            // Only the keys of this credential are used: they sign and check the tokens of service accounts.
            tokens: authority.client("service-accounts", &[])?.write(&directory, "service-accounts")?,
            audit_policy: run.directory().join("audit-policy.yaml"),
            audit_log: run.directory().join("logs/audit.log"),
        };
        write_private(&files.authority, authority.certificate().as_bytes())?;
        let policy = if audit_bodies { AUDIT_POLICY } else { AUDIT_POLICY_WITHOUT_BODIES };
        write_private(&files.audit_policy, policy.as_bytes())?;
        let (api_server, etcd) = (run.free_port()?, run.free_port()?);
        let (controller_manager, scheduler) = (run.free_port()?, run.free_port()?);
        Ok(Self { run, files, api_server, etcd, controller_manager, scheduler })
    }

    /// The API server's address on this machine.
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_server)
    }

    /// The API server's port.
    pub(crate) const fn port(&self) -> u16 {
        self.api_server
    }

    /// The audit log's file.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.files.audit_log.clone()
    }

    /// Starts etcd and the API server, which waits for etcd itself.
    pub(crate) fn start_store_and_server(&self, programs: &Programs, reachable: bool) -> Result<(), PlaneError> {
        self.start(programs, Program::Etcd, self.etcd_arguments()?)?;
        self.start(programs, Program::ApiServer, self.api_server_arguments(reachable))
    }

    /// Starts the controller manager and the scheduler, which need a server that is ready.
    pub(crate) fn start_controllers(&self, programs: &Programs, authority: &Authority) -> Result<(), PlaneError> {
        let controllers = self.write_kubeconfig(authority, "system:kube-controller-manager")?;
        self.start(programs, Program::ControllerManager, self.controllers_arguments(&controllers))?;
        let scheduler = self.write_kubeconfig(authority, "system:kube-scheduler")?;
        self.start(programs, Program::Scheduler, self.scheduler_arguments(&scheduler))
    }

    /// Waits until `program`, one of the four, answers; any other counts as ready when it runs.
    pub(crate) async fn until_ready(&self, program: Program, admin: &kube::Client) -> Result<(), PlaneError> {
        let (run, name) = (&*self.run, program.name());
        match program {
            Program::Etcd => {
                until_ready(run, name, async || answers(("127.0.0.1", self.etcd), "/readyz", &["200"]).await).await
            }
            Program::ApiServer => until_ready(run, name, async || get(admin, "/readyz").await.is_ok()).await,
            Program::ControllerManager => self.until_healthy(name, self.controller_manager).await,
            Program::Scheduler => self.until_healthy(name, self.scheduler).await,
            _ => until_ready(run, name, async || true).await,
        }
    }

    async fn until_healthy(&self, name: &str, port: u16) -> Result<(), PlaneError> {
        let failed = || PlaneError::Unmet(format!("{name} cannot be asked for its health"));
        let uri = format!("https://127.0.0.1:{port}").parse().map_err(|_| failed())?;
        let mut config = kube::Config::new(uri);
        // Nothing is sent but the question, and nothing but "ok" is believed.
        config.accept_invalid_certs = true;
        let client = kube::Client::try_from(config).map_err(PlaneError::api(format!("making a client for {name}")))?;
        until_ready(&self.run, name, async || get(&client, "/healthz").await.is_ok()).await
    }

    fn start(&self, programs: &Programs, program: Program, arguments: Vec<String>) -> Result<(), PlaneError> {
        let invocation = Invocation { program: programs.path(program)?, arguments, environment: Vec::new() };
        self.run.start(program.name(), invocation)
    }

    fn write_kubeconfig(&self, authority: &Authority, name: &str) -> Result<PathBuf, PlaneError> {
        let path = self.run.directory().join(Identity::user(name).file_name());
        let user = kubeconfig::certificate_user(&authority.client(name, &[])?);
        kubeconfig::write(&path, authority, &self.server(), &user)?;
        Ok(path)
    }

    fn etcd_arguments(&self) -> Result<Vec<String>, PlaneError> {
        let peer = format!("http://127.0.0.1:{}", self.run.free_port()?);
        let client = format!("http://127.0.0.1:{}", self.etcd);
        Ok(vec![
            format!("--data-dir={}", self.run.directory().join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            // A crash of the machine may lose data; a crash of the program does not.
            "--unsafe-no-fsync=true".to_owned(),
            "--log-level=warn".to_owned(),
        ])
    }

    fn api_server_arguments(&self, reachable: bool) -> Vec<String> {
        let Files { authority, serving, kubelet_client, tokens, audit_policy, audit_log } = &self.files;
        let bind = if reachable { "0.0.0.0" } else { "127.0.0.1" };
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd),
            format!("--secure-port={}", self.api_server),
            format!("--bind-address={bind}"),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--anonymous-auth=false".to_owned(),
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
            format!("--client-ca-file={}", authority.display()),
            format!("--tls-cert-file={}", serving.certificate.display()),
            format!("--tls-private-key-file={}", serving.key.display()),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", tokens.certificate.display()),
            format!("--service-account-signing-key-file={}", tokens.key.display()),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--kubelet-client-certificate={}", kubelet_client.certificate.display()),
            format!("--kubelet-client-key={}", kubelet_client.key.display()),
            format!("--audit-policy-file={}", audit_policy.display()),
            format!("--audit-log-path={}", audit_log.display()),
            "--audit-log-mode=blocking-strict".to_owned(),
            // Readers keep offsets into the file.
            "--audit-log-maxsize=0".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn controllers_arguments(&self, kubeconfig: &std::path::Path) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--service-account-private-key-file={}", self.files.tokens.key.display()),
            format!("--root-ca-file={}", self.files.authority.display()),
            "--use-service-account-credentials=true".to_owned(),
            // Otherwise it makes one for the whole machine.
            format!("--flex-volume-plugin-dir={}", self.run.directory().join("volume-plugins").display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.controller_manager),
            format!("--tls-cert-file={}", self.files.serving.certificate.display()),
            format!("--tls-private-key-file={}", self.files.serving.key.display()),
            // A thousand rollouts at once must wait for nobody but the API server.
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn scheduler_arguments(&self, kubeconfig: &std::path::Path) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.scheduler),
            format!("--tls-cert-file={}", self.files.serving.certificate.display()),
            format!("--tls-private-key-file={}", self.files.serving.key.display()),
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }
}

/// What the server answers to `GET path`.
pub(crate) async fn get(client: &kube::Client, path: &str) -> Result<String, PlaneError> {
    let failed = || format!("asking for {path}");
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| PlaneError::Unmet(format!("{}: {error}", failed())))?;
    client.request_text(request).await.map_err(PlaneError::api(failed()))
}
