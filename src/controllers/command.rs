//! The controller of commands: says that a target's turn has come, carries the command out there as `gantry-console`, says what came
//! of it. At most once in each target, also when the operator dies in between. Start with `command/decide.rs`.

pub mod console;
pub mod decide;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;

use crate::api::v1alpha1::{CommandRun, Environment};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::Next;
use crate::cluster::status as status_write;
use crate::controllers::context::Context;
use crate::controllers::pipeline;
use crate::domain::guard::Guard;
use console::Console;
use decide::{Effect, Outcome};

/// How many turns one run takes at most: two for each target, and one to end.
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
    /// What came of the target that was begun or looked at just now.
    pub outcome: Option<Outcome>,
    /// The time of the turn.
    pub now: Timestamp,
}

impl CommandController {
    /// One run: one live read of the command, then turns until it has ended.
    ///
    /// # Errors
    /// When something could not be read or written; then what was begun is not begun again.
    pub async fn reconcile(&self, key: Key) -> Result<Next, ClusterError> {
        let cached = self.context.stores.commands.get(&key);
        if cached.is_some_and(|known| known.status.as_ref().is_some_and(|status| status.finished)) {
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
            let written = status_write::write(&commands, command.as_ref(), (&before, &decision.status)).await?;
            for note in decision.events {
                pipeline::say(&self.context.events, note, (pipeline::reference(command.as_ref()), None));
            }
            command = written.map_or(command, Arc::new);
            let Some(effect) = decision.effects.first() else { return Ok(pipeline::from_now(decision.next)) };
            outcome = Some(self.act(&command, *effect).await);
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

    /// Carries out one effect. Whatever goes wrong is what came of it.
    async fn act(&self, command: &CommandRun, effect: Effect) -> Outcome {
        let index = match effect {
            Effect::CarryOut { target } | Effect::FindOut { target } => target,
        };
        let rows = command.status.as_ref().map(|status| status.targets.as_slice()).unwrap_or_default();
        let namespace = rows.get(index).map(|row| row.namespace.clone()).unwrap_or_default();
        let end = match Console::of(&self.context.cluster, command, &namespace) {
            Ok(console) => match effect {
                Effect::CarryOut { .. } => console.carry_out().await,
                Effect::FindOut { .. } => console.find_out().await,
            },
            Err(error) => console::End::failed(error.to_string()),
        };
        Outcome { target: index, end }
    }
}
