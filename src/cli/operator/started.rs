//! How controllers and what wakes them are run, until the operator is told to stop.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::cluster::runner::{self, Next, Queue, Quiet};
use crate::cluster::tasks::Tasks;
use crate::controllers::command::CommandController;
use crate::controllers::command::wake::wake as wake_commands;
use crate::controllers::context::Context;
use crate::controllers::environment::provisioned::Provisioned;
use crate::controllers::environment::wake;
use crate::controllers::pipeline::{self, Controller};
use crate::controllers::promotion::PromotionController;

/// What every runner needs.
pub(super) struct Started {
    pub(super) context: Arc<Context>,
    pub(super) stop: CancellationToken,
}

impl Started {
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
        self.run(tasks, ("promotion", requests, Quiet::NONE), reconcile);
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
        self.run(tasks, ("command", requests, Quiet::NONE), reconcile);
        let (workloads, stores) = (self.context.workloads.clone(), self.context.stores.clone());
        self.until_stopped(tasks, "the wake-ups by scripts", wake_commands(workloads, stores, queue.clone()));
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
        self.run(tasks, (C::NAME, requests, quiet), reconcile);
    }

    /// Runs whatever is asked for, under the name of a controller.
    pub(super) fn run<F, Fut>(
        &self,
        tasks: &mut Tasks,
        (name, requests, quiet): (&'static str, mpsc::UnboundedReceiver<Key>, Quiet),
        reconcile: F,
    ) where
        F: Fn(Key) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Next, ClusterError>> + Send + 'static,
    {
        let settings = runner::Settings { name, workers: usize::from(self.context.settings.workers), quiet };
        let running = (self.context.metrics.clone(), self.stop.clone());
        tasks.spawn(format!("the controller {name}"), runner::run(settings, requests, running, reconcile));
    }
}
