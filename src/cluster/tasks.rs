//! Tasks that live as long as the process: when one of them ends, the process no longer does its work and must end, too.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};

/// A task ended though nobody told it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} {how}, so this process no longer does its work and must be started again; its log says more")]
pub struct Ended {
    /// What the task was: `the controller of promotions`.
    pub task: String,
    how: &'static str,
}

/// Running tasks, by what they are. Those that are left are aborted when this is dropped.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Tasks {
    /// Runs a task.
    pub fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.running.spawn(task);
        self.names.insert(handle.id(), name.into());
    }

    /// Waits until one ends. Loses nothing when it is dropped before. Where there is none, none ends.
    pub async fn first_end(&mut self) -> Ended {
        let Some(ended) = self.running.join_next_with_id().await else { return std::future::pending().await };
        let (id, how) = match ended {
            Ok((id, ())) => (id, "ended"),
            Err(error) => (error.id(), told(&error)),
        };
        Ended { task: self.names.remove(&id).unwrap_or_default(), how }
    }

    /// Waits until all have ended, which they were told to.
    pub async fn finish(mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            if let Err(error) = ended {
                let task = self.names.remove(&error.id()).unwrap_or_default();
                tracing::error!(task, %error, "a task did not end in order");
            }
        }
    }

    /// Ends all, whatever they do.
    pub async fn abort(mut self) {
        self.running.shutdown().await;
    }
}

fn told(error: &JoinError) -> &'static str {
    if error.is_panic() { "panicked" } else { "was aborted" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_first_task_that_panics_or_ends_is_named_while_the_others_go_on() {
        let mut tasks = Tasks::default();
        tasks.spawn("the triggers", std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(20), tasks.first_end()).await.is_err(), "all of them live");
        tasks.spawn("the controller of releases", async { panic!("a bug") });
        let told = tasks.first_end().await.to_string();
        assert!(told.starts_with("the controller of releases panicked, so this process"), "{told}");
        tasks.spawn("the watch of projects", async {});
        assert_eq!(tasks.first_end().await.task, "the watch of projects");
        tasks.abort().await;
    }

    #[tokio::test]
    async fn a_panic_at_the_end_keeps_nobody_from_finishing() {
        let mut tasks = Tasks::default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawn("the controller of releases", async { panic!("a bug") });
        tasks.spawn("the controller of projects", async move {
            tokio::task::yield_now().await;
            sender.send("finished").unwrap();
        });
        tasks.finish().await;
        assert_eq!(receiver.await, Ok("finished"));
    }

    #[tokio::test]
    async fn where_there_is_no_task_none_ends() {
        assert!(tokio::time::timeout(Duration::from_millis(20), Tasks::default().first_end()).await.is_err());
    }
}
