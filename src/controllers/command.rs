//! The controller of commands: says that a target's turn has come, carries the command out there as `gantry-console`, says what came
//! of it. At most once in each target, also when the operator dies in between. Whoever deletes a command cancels it, and it stays
//! until its end is recorded. Start with `command/decide.rs`; a script runs in a Job (`command/job.rs`), whose changes wake its
//! command (`command/wake.rs`).

pub mod console;
pub mod decide;
pub mod end;
pub mod job;
pub mod pace;
pub mod pin;
pub mod record;
pub mod script;
pub mod secrets;
pub mod wake;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;

use crate::api::RECORDED_FINALIZER;
use crate::api::v1alpha1::command_run::{CommandRunStatus, CommandTarget};
use crate::api::v1alpha1::{CommandRun, Environment};
use crate::cluster::cache::Key;
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::finalizer;
use crate::cluster::runner::Next;
use crate::cluster::status as status_write;
use crate::controllers::context::Context;
use crate::controllers::{pipeline, records};
use crate::domain::command::reason::Reason;
use crate::domain::guard::Guard;
use crate::telemetry::metrics::Place;
use console::Console;
use decide::{Effect, Outcome};
use end::End;
use script::{Script, Turn};

/// How many turns one run takes at most: two for each target, one for its image and one to end.
const TURNS: usize = 20;

/// Carries out commands.
#[derive(Clone)]
pub struct CommandController {
    /// What it works with.
    pub context: Arc<Context>,
}

/// What one turn knows.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The command, read live.
    pub command: Arc<CommandRun>,
    /// Its environment, if there is one.
    pub environment: Option<Arc<Environment>>,
    /// Whether the API server enforces who may do what, and did when things were made.
    pub guard: Guard,
    /// What came of the effect just now.
    pub outcome: Option<Outcome>,
    /// The time of the turn.
    pub now: Timestamp,
}

impl CommandController {
    /// One run: one live read of the command, then turns until it has ended and nothing keeps it any more.
    ///
    /// # Errors
    /// When something could not be read or written; then what was begun is not begun again.
    pub async fn reconcile(&self, key: Key) -> Result<Next, ClusterError> {
        let cached = self.context.stores.commands.get(&key);
        if cached.is_some_and(|known| is_over(&known)) {
            return Ok(Next::Await);
        }
        let commands: Api<CommandRun> = Api::namespaced(self.context.cluster.client(), &key.namespace);
        let read = commands.get_opt(&key.name).await.map_err(|error| ClusterError::api("read the command", error))?;
        let Some(mut command) = read.map(Arc::new) else { return Ok(Next::Await) };
        let mut outcome = None;
        for _ in 0..TURNS {
            let observed = self.observe(&command, outcome.take());
            let decision = decide::decide(&observed);
            let before = command.status.clone().unwrap_or_default();
            if decision.status.finished && !before.finished {
                records::keep(&self.context, &record::record(&command, &decision.status, &self.context.guard.known()))
                    .await?;
            }
            let written = status_write::write(&commands, command.as_ref(), (&before, &decision.status)).await?;
            for note in decision.events {
                pipeline::say(&self.context.events, note, (pipeline::reference(command.as_ref()), None));
            }
            if decision.status.finished && written.is_some() {
                self.count(&command, &decision.status);
            }
            command = written.map_or(command, Arc::new);
            let Some(effect) = decision.effects.first() else {
                if decision.status.finished {
                    finalizer::remove(&commands, command.as_ref(), RECORDED_FINALIZER).await?;
                }
                return Ok(pipeline::from_now(decision.next));
            };
            outcome = self.act(&command, *effect).await;
        }
        Ok(Next::Again)
    }

    fn observe(&self, command: &Arc<CommandRun>, outcome: Option<Outcome>) -> Observed {
        let space = command.metadata.namespace.as_deref().unwrap_or_default();
        Observed {
            environment: self.context.stores.environments.get(&Key::new(space, &command.spec.environment)),
            guard: self.context.guard.known(),
            outcome,
            now: Timestamp::now(),
            command: Arc::clone(command),
        }
    }

    /// Counts it, where it was about a project and an environment that there are.
    fn count(&self, command: &CommandRun, status: &CommandRunStatus) {
        let (stores, space) = (&self.context.stores, command.metadata.namespace.as_deref().unwrap_or_default());
        let known = stores.projects.get(&Key::new(space, &command.spec.project)).is_some()
            && stores.environments.get(&Key::new(space, &command.spec.environment)).is_some();
        if !known {
            return;
        }
        let place = Place {
            space: command.metadata.namespace.clone().unwrap_or_default(),
            project: command.spec.project.clone(),
            environment: command.spec.environment.clone(),
        };
        let result = status.phase.as_deref().unwrap_or_default();
        self.context.metrics.command_ended(&place, (decide::word(&command.spec), result));
    }

    /// Carries out one effect. Whatever goes wrong is what came of it.
    async fn act(&self, command: &CommandRun, effect: Effect) -> Option<Outcome> {
        let space = command.metadata.namespace.as_deref().unwrap_or_default();
        let environment = self.context.stores.environments.get(&Key::new(space, &command.spec.environment));
        let environment = environment.as_deref();
        let target = match effect {
            Effect::Pin => return Some(Outcome::Pinned(pin::pin(&self.context, command, environment).await)),
            Effect::CarryOut { target } | Effect::FindOut { target } | Effect::Stop { target } => target,
        };
        let row = command.status.as_ref().and_then(|status| status.targets.get(target))?;
        let done = match &command.spec.script {
            Some(wanted) => match Script::of(&self.context, (command, wanted), row) {
                Ok(script) => Box::pin(run(&script, effect, (command, environment))).await,
                Err(error) => Turn::Ended(End::failed(Reason::NotUnderstood, error.to_string())),
            },
            None => Turn::Ended(Box::pin(self.at_once(command, row, effect)).await),
        };
        Some(match done {
            Turn::Goes(message) => Outcome::Goes { target, message },
            Turn::Ended(end) => Outcome::Ended { target, end },
        })
    }

    /// Carries out what is done in a moment, or finds out what became of it. To read again changes nothing.
    async fn at_once(&self, command: &CommandRun, row: &CommandTarget, effect: Effect) -> End {
        let cluster: &Cluster = &self.context.cluster;
        let console = match Console::of(cluster, command, &row.namespace) {
            Ok(console) => console,
            Err(error) => return End::failed(Reason::NotUnderstood, error.to_string()),
        };
        match (&command.spec.restart, &command.spec.logs) {
            (Some(restart), _) if matches!(effect, Effect::CarryOut { .. }) => console.restart(&restart.workload).await,
            (Some(restart), _) => console.was_restarted(&restart.workload, "Gantry stopped in between").await,
            (None, Some(logs)) => {
                let Ok(known) = secrets::known(&self.context, command).await else {
                    let message = "the Secrets that a log might show cannot be read now: make the command again";
                    return End::failed(Reason::NoAnswer, message.to_owned());
                };
                console.logs(logs, &known).await.unwrap_or_else(|end| end)
            }
            (None, None) => End::failed(Reason::NotUnderstood, "it says nothing that is done".to_owned()),
        }
    }
}

/// Whether a command has ended and is recorded.
fn is_over(command: &CommandRun) -> bool {
    let held = command.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == RECORDED_FINALIZER);
    !held && command.status.as_ref().is_some_and(|status| status.finished)
}

/// Whether somebody deletes a command, or its space: then it is canceled.
#[must_use]
pub fn is_deleted(command: &CommandRun) -> bool {
    command.metadata.deletion_timestamp.is_some()
}

/// Whether a command was begun somewhere and has not ended, so that it needs the accounts of its targets.
#[must_use]
pub fn has_begun(command: &CommandRun) -> bool {
    command.status.as_ref().is_some_and(|status| !status.finished && !status.targets.is_empty())
}

/// One turn of a script in a target.
async fn run(script: &Script<'_>, effect: Effect, (command, environment): (&CommandRun, Option<&Environment>)) -> Turn {
    let image = command.status.as_ref().and_then(|status| status.image.as_deref());
    match (effect, image) {
        (Effect::CarryOut { .. }, Some(image)) => script.begin(image, environment).await,
        (Effect::Stop { .. }, _) => script.stop().await,
        (Effect::CarryOut { .. } | Effect::FindOut { .. } | Effect::Pin, _) => script.look().await,
    }
}
