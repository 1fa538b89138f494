//! Runs a script in a target: makes its Job as the deployer, which alone may, looks at it, stops it. What the container wrote is read as the
//! console.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};

use super::end::{End, is_refused, reason, told};
use super::job::{self, CONTAINER, Sight, Span};
use super::{decide, secrets};
use crate::api::v1alpha1::command_run::{CommandTarget, ScriptCommand};
use crate::api::v1alpha1::{CommandRun, Environment};
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::environment::desired::{CONSOLE, DEPLOYER};
use crate::controllers::promotion::work::redaction::hidden;
use crate::domain::command::output::{self, Output};
use crate::domain::command::reason::Reason;

/// How many of the last lines are read.
const LINES: i64 = 500;
/// The most bytes that are read of them: lines may be of any length.
const READ: i64 = 1024 * 1024;
/// How long a command that is deleted waits for an API server that does not let its Job be deleted.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// What came of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// It goes on.
    Goes(String),
    /// It ended.
    Ended(End),
}

/// A script in one target.
pub struct Script<'a> {
    context: &'a Context,
    command: &'a CommandRun,
    wanted: &'a ScriptCommand,
    target: &'a CommandTarget,
    jobs: Api<Job>,
    pods: Api<Pod>,
}

impl<'a> Script<'a> {
    /// The script of a command in a target.
    ///
    /// # Errors
    /// When the namespace is no name.
    pub fn of(
        context: &'a Context,
        (command, wanted): (&'a CommandRun, &'a ScriptCommand),
        target: &'a CommandTarget,
    ) -> Result<Self, ClusterError> {
        let deployer = context.cluster.acting_as(&target.namespace, DEPLOYER)?;
        let console = context.cluster.acting_as(&target.namespace, CONSOLE)?;
        let (jobs, pods) = (Api::namespaced(deployer, &target.namespace), Api::namespaced(console, &target.namespace));
        Ok(Self { context, command, wanted, target, jobs, pods })
    }

    fn name(&self) -> String {
        job::name(self.uid(), &self.target.name)
    }

    /// Makes the Job.
    pub async fn begin(&self, image: &str, environment: Option<&Environment>) -> Turn {
        let place = (self.target.namespace.as_str(), self.target.name.as_str());
        let Some(environment) = environment else {
            return Turn::Ended(End::failed(Reason::NotFound, "its environment is gone".to_owned()));
        };
        let Ok(wanted) = job::write((self.command, self.wanted), place, (image, environment)) else {
            return Turn::Ended(End::failed(Reason::NotUnderstood, "its Job cannot be written".to_owned()));
        };
        match self.jobs.create(&PostParams::default(), &wanted).await {
            Ok(_) => Turn::Goes(format!("its Job {} was made", self.name())),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => self.look().await,
            Err(error) if is_refused(&error) => {
                let message = format!("its Job was not made: {}", told(&error, DEPLOYER));
                Turn::Ended(End::failed(reason(&error), message))
            }
            Err(_) => self.look().await,
        }
    }

    /// What became of it, without beginning it again.
    pub async fn look(&self) -> Turn {
        let found = match self.found().await {
            Ok(Some(found)) => found,
            Ok(None) => return Turn::Ended(self.gone()),
            Err(turn) => return turn,
        };
        match self.see(&found).await {
            Sight::Ended { code, pod } => Turn::Ended(self.ended(code, pod.as_deref()).await),
            Sight::TimedOut { pod } => {
                let message = format!(
                    "it had not ended after {} and was stopped; what it did until then is done",
                    self.wanted.timeout
                );
                Turn::Ended(self.with_output(End::failed(Reason::TimedOut, message), &pod).await)
            }
            Sight::Goes { message, .. } => Turn::Goes(format!("its Job {} {message}", self.name())),
            Sight::Homeless { pod, uid, version } => self.homeless(&found, (pod, uid, version)).await,
            Sight::CannotRun { message } => {
                let kept =
                    self.delete(&found).await.err().map(|_| "; its Job could not be deleted").unwrap_or_default();
                Turn::Ended(End::failed(Reason::CannotRun, format!("it did not run: {message}{kept}")))
            }
            Sight::Lost { reason, message } => {
                let kept = match self.delete(&found).await {
                    Ok(()) => "its Job was deleted",
                    Err(_) => "its Job could not be deleted",
                };
                Turn::Ended(End::unknown(reason, format!("nobody knows how it ended: {message}; {kept}")))
            }
        }
    }

    /// Stops it, unless it has ended.
    pub async fn stop(&self) -> Turn {
        let canceled = decide::canceled(self.command);
        let found = match self.found().await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let message =
                    format!("{canceled} after it had begun: its Job is gone, and what it did until then is done");
                return Turn::Ended(End::canceled(message));
            }
            Err(turn) => return turn,
        };
        let pod = match self.see(&found).await {
            Sight::Goes { pod, .. } => pod,
            Sight::Homeless { .. } => None,
            Sight::Ended { .. } | Sight::TimedOut { .. } | Sight::CannotRun { .. } | Sight::Lost { .. } => {
                return self.look().await;
            }
        };
        let message = format!(
            "{canceled} after it had begun: its Job was deleted, which ends its container, and what it did until then is done"
        );
        let end = End::canceled(message);
        let end = match pod {
            Some(pod) => self.with_output(end, &pod).await,
            None => end,
        };
        match self.delete(&found).await {
            Ok(()) => Turn::Ended(end),
            Err(error) if self.is_given_up() => {
                let message = format!(
                    "nobody knows how it ended: its Job {} could not be deleted ({}) and ends at its timeout",
                    self.name(),
                    told(&error, DEPLOYER)
                );
                Turn::Ended(End::unknown(reason(&error), message))
            }
            Err(error) => Turn::Goes(format!("its Job {} cannot be deleted: {}", self.name(), told(&error, DEPLOYER))),
        }
    }

    /// Whether nobody waits any longer for an answer: it is long over, or was deleted a while ago, so that a space can always be.
    fn is_given_up(&self) -> bool {
        let deleted = self.command.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let now = Timestamp::now();
        now >= self.span().last || deleted.is_some_and(|deleted| now.duration_since(deleted) >= PATIENCE)
    }

    /// The Job, if it is there and this command's.
    async fn found(&self) -> Result<Option<Job>, Turn> {
        let name = self.name();
        match self.jobs.get_opt(&name).await {
            Ok(found) => {
                Ok(found.filter(|job| job.labels().get(job::COMMAND_LABEL) == self.command.metadata.uid.as_ref()))
            }
            Err(_) if self.is_given_up() => {
                let message = format!("nobody knows how it ended: its Job {name} cannot be read");
                Err(Turn::Ended(End::unknown(Reason::NoAnswer, message)))
            }
            Err(error) => Err(Turn::Goes(format!("its Job {name} cannot be read: {}", told(&error, DEPLOYER)))),
        }
    }

    async fn see(&self, found: &Job) -> Sight {
        let of_job = ListParams::default().labels(&format!("{}={}", job::COMMAND_LABEL, self.uid()));
        let pods = self.pods.list(&of_job).await.ok();
        job::see(found, pods.as_ref().map(|pods| pods.items.as_slice()), (self.span(), Timestamp::now()))
    }

    fn uid(&self) -> &str {
        self.command.metadata.uid.as_deref().unwrap_or_default()
    }

    fn span(&self) -> Span {
        let began = self.target.started_at.as_ref().map_or_else(Timestamp::now, |began| began.0);
        Span::of(self.wanted, began)
    }

    fn gone(&self) -> End {
        let message = format!(
            "nobody knows whether it ran: its Job {} is not there, because Gantry stopped before it made it or somebody deleted it",
            self.name()
        );
        End::unknown(Reason::JobGone, message)
    }

    /// The very pod that no node had taken is deleted; if one takes it first, it is not.
    async fn homeless(&self, found: &Job, (pod, uid, version): (String, String, String)) -> Turn {
        let preconditions = Preconditions { uid: Some(uid), resource_version: Some(version) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let pods: Api<Pod> = Api::namespaced(self.jobs.clone().into_client(), &self.target.namespace);
        if pods.delete(&pod, &params).await.is_err() {
            return Turn::Goes(format!("its Job {} waits for a node", self.name()));
        }
        // The pod was all there was of it: what is left of the Job does no harm.
        let _ = self.delete(found).await;
        let message = format!("it did not run: no node had room for it within {}", self.wanted.timeout);
        Turn::Ended(End::failed(Reason::Unschedulable, message))
    }

    async fn delete(&self, found: &Job) -> Result<(), kube::Error> {
        let params =
            DeleteParams::background().preconditions(Preconditions { uid: found.uid(), resource_version: None });
        match self.jobs.delete(&self.name(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ended(&self, code: i32, pod: Option<&str>) -> End {
        let end = match code {
            0 => End::succeeded("the script ended with exit code 0".to_owned()),
            code => End::failed(Reason::ExitCode, format!("the script ended with exit code {code}")),
        };
        let end = End { exit_code: Some(code), ..end };
        match pod {
            Some(pod) => self.with_output(end, pod).await,
            None => End { message: format!("{}; its pod is gone, so nobody knows what it wrote", end.message), ..end },
        }
    }

    /// The end with the last of what the container wrote.
    async fn with_output(&self, end: End, pod: &str) -> End {
        match self.output(pod).await {
            Ok(output) => End { output: Some(output), ..end },
            Err(why) => End { message: format!("{}; what it wrote is not shown: {why}", end.message), ..end },
        }
    }

    async fn output(&self, pod: &str) -> Result<Output, String> {
        let params = LogParams {
            container: Some(CONTAINER.to_owned()),
            tail_lines: Some(LINES),
            limit_bytes: Some(READ),
            ..LogParams::default()
        };
        let text = self.pods.logs(pod, &params).await.map_err(|error| told(&error, CONSOLE))?;
        let known = secrets::known(self.context, self.command).await;
        let known = known.map_err(|_| "the Secrets that it might show cannot be read now".to_owned())?;
        let output = output::tail(&hidden(output::plain(&text), &known), output::BYTES);
        let most = usize::try_from(LINES).unwrap_or(usize::MAX);
        let whole = text.lines().count() < most && i64::try_from(text.len()).is_ok_and(|bytes| bytes < READ);
        Ok(Output { truncated: output.truncated || !whole, ..output })
    }
}
