//! A running cluster, and what it offers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::audit::AuditLog;
use crate::authority::Authority;
use crate::control_plane::{ControlPlane, get};
use crate::error::PlaneError;
use crate::identity::Identity;
use crate::kubeconfig;
use crate::node::real::RealNode;
use crate::node::simulated::SimulatedNodes;
use crate::options::Options;
use crate::programs::{self, Program, Programs};
use crate::registry::{Launch, Registry, RegistryOptions};
use crate::run::{Ending, Run};

/// How long a token of a service account lasts.
const TOKEN_SECONDS: i64 = 7 * 24 * 3600;
/// How long the cluster's own controllers may take to do their first work.
const FIRST_WORK: Duration = Duration::from_mins(1);

/// A running cluster. It ends when this value is dropped, when the process ends in any way, or at
/// [`Plane::stop`]. It belongs to no async runtime, so it can live in a static that many tests use.
#[derive(Debug)]
pub struct Plane {
    run: Arc<Run>,
    programs: Programs,
    authority: Authority,
    control: ControlPlane,
    registry: Registry,
    admin: PathBuf,
    real: Option<RealNode>,
}

impl Plane {
    /// Starts a cluster and waits until it is ready: the API server answers, the controllers have
    /// made the first service account, and all nodes are ready and untainted.
    ///
    /// # Errors
    /// A program that cannot be had, does not start, or is not ready in time; the error shows the
    /// end of its log.
    pub async fn start(options: Options) -> Result<Self, PlaneError> {
        // Another crate of the process may have installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if options.real_node {
            // Before minutes of building.
            RealNode::available().map_err(PlaneError::Unmet)?;
        }
        let programs = Programs::find_or_build(&options.programs()).await?;
        let run = Arc::new(Run::create()?);
        let authority = Authority::create()?;
        let control = ControlPlane::prepare(Arc::clone(&run), &authority, options.audit_bodies)?;
        control.start_store_and_server(&programs, options.real_node)?;
        let launch = Launch { program: programs.path(Program::Registry)?, options: RegistryOptions::default() };
        let registry = Registry::launch(Arc::clone(&run), Program::Registry.name(), launch)?;
        let admin = run.directory().join(Identity::Admin.file_name());
        let mut plane = Self { run, programs, authority, control, registry, admin, real: None };
        plane.write_certificate_kubeconfig(
            &Identity::Admin.user_name(),
            &["system:masters".to_owned()],
            &plane.admin,
        )?;
        let client = plane.client(&Identity::Admin).await?;
        plane.control.until_ready(Program::ApiServer, &client).await?;
        plane.control.start_controllers(&plane.programs, &plane.authority)?;
        let nodes = SimulatedNodes::start(&plane, &client, options.simulated_nodes).await?;
        plane.until_first_work(&client).await?;
        plane.registry.until_ready().await?;
        if options.real_node {
            plane.real = Some(RealNode::start(&plane, options.simulated_nodes > 0).await?);
        }
        nodes.until_ready(&client).await?;
        Ok(plane)
    }

    /// Ends everything that the cluster started, and removes its files.
    pub fn stop(self) {
        self.run.stop();
    }

    /// The kubeconfig file of `identity`, mode 0600, credentials embedded. It goes with the cluster.
    ///
    /// # Errors
    /// The service account does not exist, or the file cannot be written.
    pub async fn kubeconfig(&self, identity: &Identity) -> Result<PathBuf, PlaneError> {
        let path = self.run.directory().join(identity.file_name());
        match identity {
            Identity::Admin => {}
            Identity::User { name, groups } => self.write_certificate_kubeconfig(name, groups, &path)?,
            Identity::ServiceAccount { namespace, name } => {
                let user = kubeconfig::token_user(&self.token(namespace, name).await?);
                kubeconfig::write(&path, &self.authority, &self.server(), &user)?;
            }
        }
        Ok(path)
    }

    /// A client for `identity`. It belongs to the async runtime that it is made in.
    ///
    /// # Errors
    /// As [`Plane::kubeconfig`].
    pub async fn client(&self, identity: &Identity) -> Result<Client, PlaneError> {
        kubeconfig::client(&self.kubeconfig(identity).await?).await
    }

    /// A token of a service account that exists, good for a week.
    ///
    /// # Errors
    /// The service account does not exist.
    pub async fn token(&self, namespace: &str, name: &str) -> Result<String, PlaneError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(kubeconfig::client(&self.admin).await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let action = format!("asking for a token of service account {namespace}/{name}");
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let status = answer.map_err(PlaneError::api(action.clone()))?.status;
        status.and_then(|status| status.token).ok_or_else(|| PlaneError::Unmet(format!("{action} gave none")))
    }

    /// kubectl, as admin of this cluster.
    ///
    /// # Errors
    /// Never, for a cluster that was started.
    pub fn kubectl(&self) -> Result<Command, PlaneError> {
        let mut command = Command::new(self.programs.path(Program::Kubectl)?);
        command.env("KUBECONFIG", &self.admin).env("KUBECACHEDIR", self.kubectl_cache());
        Ok(command)
    }

    /// Where kubectl is to keep what it learnt of this cluster (`KUBECACHEDIR`): elsewhere it keeps it by address, and takes it
    /// for true of the next cluster that has the same.
    #[must_use]
    pub fn kubectl_cache(&self) -> PathBuf {
        self.run.directory().join("kubectl")
    }

    /// The helm binary, built first if it was never used.
    ///
    /// # Errors
    /// The build fails.
    pub async fn helm_program(&self) -> Result<PathBuf, PlaneError> {
        Ok(programs::ensure(Program::Helm).await?)
    }

    /// The API server's address on this machine.
    #[must_use]
    pub fn server(&self) -> String {
        self.control.server()
    }

    /// The API server's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.control.port()
    }

    /// The registry of this cluster, open to everyone on this machine.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The real node, if the cluster was started with one.
    #[must_use]
    pub const fn real_node(&self) -> Option<&RealNode> {
        self.real.as_ref()
    }

    /// The API server's audit log.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.control.audit_log())
    }

    /// The API server's own metrics, Prometheus text.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn api_server_metrics(&self) -> Result<String, PlaneError> {
        get(&self.client(&Identity::Admin).await?, "/metrics").await
    }

    /// Signs certificates of this cluster.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The programs that this cluster was started with.
    #[must_use]
    pub const fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The run: files, ports, and further programs that end with the cluster.
    #[must_use]
    pub const fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Where the cluster keeps its files, the logs under `logs`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.run.directory()
    }

    /// Ends one program; its data stays. [`Plane::resume`] starts it again.
    ///
    /// # Errors
    /// The program is not part of this cluster.
    pub fn halt(&self, program: Program, ending: Ending) -> Result<(), PlaneError> {
        self.run.end(program.name(), ending)
    }

    /// Starts one program again with the same data, and waits until it is ready.
    ///
    /// # Errors
    /// The program is not part of this cluster, or is not ready in time.
    pub async fn resume(&self, program: Program) -> Result<(), PlaneError> {
        self.run.start_again(program.name())?;
        if program == Program::Registry {
            return self.registry.until_ready().await;
        }
        let client = kubeconfig::client(&self.admin).await?;
        self.control.until_ready(program, &client).await?;
        if program == Program::Etcd {
            self.control.until_ready(Program::ApiServer, &client).await?;
        }
        Ok(())
    }

    /// Kills one program, as in a crash, and starts it again with the same data.
    ///
    /// # Errors
    /// As [`Plane::halt`] and [`Plane::resume`].
    pub async fn restart(&self, program: Program) -> Result<(), PlaneError> {
        self.halt(program, Ending::Kill)?;
        self.resume(program).await
    }

    fn write_certificate_kubeconfig(&self, name: &str, groups: &[String], path: &Path) -> Result<(), PlaneError> {
        let user = kubeconfig::certificate_user(&self.authority.client(name, groups)?);
        kubeconfig::write(path, &self.authority, &self.server(), &user)
    }

    /// Waits until the controller manager, the scheduler, and the first service account are there.
    async fn until_first_work(&self, client: &Client) -> Result<(), PlaneError> {
        self.control.until_ready(Program::ControllerManager, client).await?;
        self.control.until_ready(Program::Scheduler, client).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let deadline = Instant::now() + FIRST_WORK;
        while !accounts.get_opt("default").await.is_ok_and(|account| account.is_some()) {
            if Instant::now() > deadline {
                let what = "the controller manager's first service account".to_owned();
                return Err(PlaneError::Late { what, seconds: FIRST_WORK.as_secs() });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }
}
