//! The stage of the demo: the cluster, the installation, the operator, and how to wait for things.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use gantry_plane::node::real::RealNode;
use gantry_plane::programs::{Programs, find_or_build};
use gantry_plane::run::Invocation;
use gantry_plane::{Identity, Options, Plane, Program, answers, manifests};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::Value;

/// How long one step of the story may take, on two slow cores.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often is looked at what cannot be watched.
const LOOK: Duration = Duration::from_millis(500);
/// What a sample is applied from.
const SAMPLES: &str = "deploy/samples";
/// The folders of samples all of which the demo applies.
const APPLIED: [&str; 2] = ["checkout", "later"];
/// Where the images of the samples are.
const EXAMPLE: &str = "localhost:5000";
/// The team's space.
pub const SPACE: &str = "shop";

/// What a chapter gives, or why it did not happen.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The cluster and what the story needs of it.
pub struct Story {
    pub plane: Plane,
    pub client: Client,
    begun: Instant,
    pub real: bool,
    /// The samples that were applied.
    samples: RefCell<BTreeSet<String>>,
}

impl Story {
    pub async fn begin(simulated: bool) -> Outcome<Self> {
        let options = match RealNode::available() {
            _ if simulated => {
                println!("· Containers are simulated, as asked for.");
                Options::default()
            }
            Ok(()) => Options::real(),
            Err(why) if RealNode::is_required() => return Err(format!("a real node is required here: {why}").into()),
            Err(why) => {
                println!("· Containers are simulated here: {why}.");
                Options::default()
            }
        };
        let real = options.real_node;
        println!(
            "▸ Starting a Kubernetes cluster from source (the first time, its programs are built; that takes a while)"
        );
        Programs::find_or_build(&options.programs()).await?;
        for program in gantry_plane::image::PROGRAMS {
            find_or_build(program).await?;
        }
        let begun = Instant::now();
        let plane = Plane::start(options).await?;
        let client = plane.client(&Identity::Admin).await?;
        let story = Self { plane, client, begun, real, samples: RefCell::default() };
        story.say(&format!("cluster ready: {} with {} node", story.plane.server(), kind(real)));
        for version in ["1.0.0", "1.1.0", "1.2.0-rc.1"] {
            gantry_plane::image::push_sample(story.plane.registry(), "checkout", version).await?;
        }
        story.say(&format!("{}/checkout has the tags 1.0.0, 1.1.0 and 1.2.0-rc.1", story.plane.registry().host()));
        Ok(story)
    }

    pub fn say(&self, what: &str) {
        println!("  {:>6.1}s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// A command that anybody can type, and that does what happens now.
    fn command(command: &str) {
        println!("    $ {command}");
    }

    /// Since the cluster's programs were there.
    pub fn took_at_most(&self, within: Duration) -> Outcome<()> {
        let took = self.begun.elapsed();
        if took > within {
            return Err(format!("it took {took:.0?} once the programs were built, and may take {within:?}").into());
        }
        Ok(())
    }

    /// As in the README: definitions, then everything else. The operator itself runs as a process here.
    pub async fn install(&self) -> Outcome<()> {
        println!("\n▸ Installing Gantry, without deploy/operator.yaml: the operator is a process here");
        for command in gantry_plane::install::commands() {
            Self::command(&command);
        }
        let by = gantry_plane::install::install(&self.client, "kubectl", root()).await?;
        self.say(&format!("a forged request is stamped with its real author: {by}"));
        Ok(())
    }

    pub async fn apply(&self, text: &str) -> Outcome<()> {
        manifests::apply(&self.client, "kubectl", text).await?;
        Ok(())
    }

    /// Applies a file of the samples (`checkout/1-space`), and says the command that does the same.
    pub async fn sample(&self, name: &str) -> Outcome<()> {
        let file = format!("{SAMPLES}/{name}.yaml");
        if std::fs::read_to_string(root().join(&file))?.contains(EXAMPLE) {
            let host = self.plane.registry().host();
            Self::command(&format!("sed 's|{EXAMPLE}|{host}|' {file} | kubectl apply --server-side -f -"));
        } else {
            Self::command(&format!("kubectl apply --server-side -f {file}"));
        }
        self.apply(&self.text_of(name)?).await?;
        self.samples.borrow_mut().insert(name.to_owned());
        Ok(())
    }

    /// A file of the samples, with images of the cluster's registry.
    pub fn text_of(&self, name: &str) -> Outcome<String> {
        let text = std::fs::read_to_string(root().join(SAMPLES).join(format!("{name}.yaml")))?;
        Ok(text.replace(EXAMPLE, &self.plane.registry().host()))
    }

    /// Everything in the folders of the demo was applied.
    pub fn nothing_was_left_out(&self) -> Outcome<()> {
        for folder in APPLIED {
            for file in std::fs::read_dir(root().join(SAMPLES).join(folder))? {
                let name = format!("{folder}/{}", file?.path().file_stem().unwrap_or_default().display());
                if !self.samples.borrow().contains(&name) {
                    return Err(format!("the demo does not apply {SAMPLES}/{name}.yaml: mend the demo").into());
                }
            }
        }
        Ok(())
    }

    /// The operator, as its own ServiceAccount and with no other right.
    pub async fn operator(&self) -> Outcome<()> {
        let account = Identity::service_account("gantry-system", "gantry");
        let kubeconfig = self.plane.kubeconfig(&account).await?;
        let port = self.plane.run().free_port()?;
        let invocation = Invocation {
            program: std::env::current_exe()?,
            arguments: vec![
                "--operator".to_owned(),
                "controller".to_owned(),
                format!("--kubeconfig={}", kubeconfig.display()),
                format!("--listen=127.0.0.1:{port}"),
                format!("--internal-registry={}", self.plane.registry().host()),
            ],
            environment: Vec::new(),
        };
        self.plane.run().start("operator", invocation)?;
        self.say(&format!(
            "operator started as system:serviceaccount:gantry-system:gantry (metrics on :{port}/metrics)"
        ));
        self.ready(port).await?;
        self.say("operator ready: the admission policies act");
        Ok(())
    }

    /// Waits until the operator is ready, as `kubectl rollout status` does: what is asked for before is not believed, since the API
    /// server takes some moments to load the admission policies.
    async fn ready(&self, port: u16) -> Outcome<()> {
        let ready = async {
            let mut tick = tokio::time::interval(LOOK);
            while !answers(("127.0.0.1", port), "/readyz", &["200"]).await {
                tick.tick().await;
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(PATIENCE, ready) => {
                ready.map_err(|_| format!("the operator was not ready within {PATIENCE:?}").into())
            }
            ended = self.operator_has_ended() => Err(ended.into()),
        }
    }

    /// Waits until there is no operator any more, which is the end of the demo.
    async fn operator_has_ended(&self) -> String {
        let run = self.plane.run();
        let mut tick = tokio::time::interval(LOOK);
        while run.process_id("operator").is_some() {
            tick.tick().await;
        }
        format!("the operator has ended; the last of its log:\n{}", run.log_tail("operator"))
    }

    pub async fn end(self, keep: bool) -> Outcome<()> {
        if keep {
            let kubeconfig = self.plane.kubeconfig(&Identity::Admin).await?;
            println!("\nEverything keeps running until Ctrl-C. Look at it with");
            // The cluster's own: a fresh machine has no other, and what it keeps of an older cluster at this address is wrong here.
            let (kubectl, cache) = (self.plane.programs().path(Program::Kubectl)?, self.plane.kubectl_cache());
            print!("  KUBECONFIG={} KUBECACHEDIR={} ", kubeconfig.display(), cache.display());
            println!("{} get gantry -n {SPACE}", kubectl.display());
            tokio::signal::ctrl_c().await?;
        }
        self.plane.stop();
        Ok(())
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), SPACE)
    }

    pub async fn until<K>(&self, name: &str, condition: impl Fn(&K) -> bool) -> Outcome<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Send
            + 'static,
    {
        let api: Api<K> = self.api();
        let reached = await_condition(api.clone(), name, |object: Option<&K>| object.is_some_and(&condition));
        let found = tokio::select! {
            found = tokio::time::timeout(PATIENCE, reached) => found,
            told = self.operator_has_ended() => return Err(told.into()),
        };
        if let Ok(found) = found {
            return found?.ok_or_else(|| format!("{name} is gone").into());
        }
        let last = serde_json::to_value(api.get_opt(name).await?)?;
        let status = last.get("status").map(Value::to_string).unwrap_or_default();
        Err(format!("{name} did not get there within {PATIENCE:?}; its status is {status}").into())
    }
}

pub fn kind(real: bool) -> &'static str {
    if real { "a real" } else { "a simulated" }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
