//! How controllers and what wakes them are run, until the operator is told to stop.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::cache::Key;
use crate::cluster::runner::{self, Queue, Quiet};
use crate::cluster::tasks::Tasks;
use crate::controllers::command::CommandController;
use crate::controllers::context::Context;
use crate::controllers::environment::provisioned::Provisioned;
use crate::controllers::environment::wake;
use crate::controllers::pipeline::{self, Controller};
use crate::controllers::promotion::PromotionController;
use crate::telemetry::metrics::Metrics;

/// What every runner needs.
pub(super) struct Started {
    pub(super) context: Arc<Context>,
    pub(super) stop: CancellationToken,
}

impl Started {
    pub(super) fn settings(&self, name: &'static str, quiet: Quiet) -> runner::Settings {
        runner::Settings { name, workers: usize::from(self.context.settings.workers), quiet }
    }

    pub(super) fn running(&self) -> (Metrics, CancellationToken) {
        (self.context.metrics.clone(), self.stop.clone())
    }

    /// Runs something that has no end of its own.
    pub(super) fn until_stopped(
        &self,
        tasks: &mut Tasks,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        tasks.spawn(name, async move {
            // Stopped or ended: both are an end.
            let _ = stop.run_until_cancelled_owned(task).await;
        });
    }

    /// Runs the controller of promotions, which has a shape of its own.
    pub(super) fn promotions(&self, tasks: &mut Tasks, promotion: PromotionController) -> Queue {
        let (queue, requests) = Queue::new();
        let reconcile = move |key: Key| {
            let promotion = promotion.clone();
            async move { Box::pin(promotion.reconcile(key)).await }
        };
        let run = runner::run(self.settings("promotion", Quiet::NONE), requests, self.running(), reconcile);
        tasks.spawn("the controller promotion", run);
        queue
    }

    /// Wakes environments by the guard, and by what they provisioned.
    pub(super) fn wake(&self, tasks: &mut Tasks, provisioned: &Provisioned, queue: Queue) {
        let stores = &self.context.stores;
        let guarded = wake::guarded(stores.environments.clone(), self.context.guard.changes(), queue.clone());
        self.until_stopped(tasks, "the wake-ups by the guard", guarded);
        let woken = wake::wake(stores.clone(), provisioned.clone(), queue);
        self.until_stopped(tasks, "the wake-ups of environments", woken);
    }

    /// Runs the controller of commands, which writes before it acts.
    pub(super) fn commands(&self, tasks: &mut Tasks) -> Queue {
        let (queue, requests) = Queue::new();
        let controller = CommandController { context: Arc::clone(&self.context) };
        let reconcile = move |key: Key| {
            let controller = controller.clone();
            async move { Box::pin(controller.reconcile(key)).await }
        };
        let run = runner::run(self.settings("command", Quiet::NONE), requests, self.running(), reconcile);
        tasks.spawn("the controller command", run);
        queue
    }

    /// Runs a controller of the one pipeline, and gives back the way into its queue.
    pub(super) fn queue<C: Controller + Clone>(&self, tasks: &mut Tasks, controller: C, quiet: Quiet) -> Queue {
        let (queue, requests) = Queue::new();
        self.spawn(tasks, controller, (requests, quiet));
        queue
    }

    /// The same with a queue that is there already.
    pub(super) fn spawn<C: Controller + Clone>(
        &self,
        tasks: &mut Tasks,
        controller: C,
        (requests, quiet): (mpsc::UnboundedReceiver<Key>, Quiet),
    ) {
        let context = Arc::clone(&self.context);
        let reconcile = move |key: Key| {
            let (controller, context) = (controller.clone(), Arc::clone(&context));
            async move {
                let client = context.cluster.client();
                pipeline::reconcile(&controller, (&client, &context.events), &key).await
            }
        };
        let run = runner::run(self.settings(C::NAME, quiet), requests, self.running(), reconcile);
        tasks.spawn(format!("the controller {}", C::NAME), run);
    }
}
