//! The guard: looks whether the API server enforces who may do what, at start, every minute and whenever a policy changes. While
//! it does not, nothing is promoted. What follows from what was seen: [`crate::domain::guard`].

pub mod forged;
pub mod policies;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::cluster::cache::{Cache, Change};
use crate::cluster::error::ClusterError;
use crate::cluster::tasks::Tasks;
use crate::domain::guard::{Guard as Known, Look};
use policies::{Named, Seen};

/// How often a forged request is tried although nothing changed.
const EVERY: Duration = Duration::from_mins(1);
/// How soon it is tried again while the policies do not act, and after a change: that takes seconds to act.
const AGAIN: Duration = Duration::from_secs(2);
/// How many times after a change.
const TIMES: u32 = 5;
/// How our policies are labelled.
const OURS: &str = "app.kubernetes.io/name=gantry";

/// Knows whether the policies act. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    validating: Cache<ValidatingAdmissionPolicy>,
    validating_bindings: Cache<ValidatingAdmissionPolicyBinding>,
    mutating: Cache<MutatingAdmissionPolicy>,
    mutating_bindings: Cache<MutatingAdmissionPolicyBinding>,
    known: Arc<watch::Sender<Known>>,
}

impl Guard {
    /// Begins the watches; the tasks end with `tasks`.
    #[must_use]
    pub fn start(client: &Client, tasks: &mut Tasks) -> Self {
        let ours = || watcher::Config::default().labels(OURS);
        let (validating, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of validating policies", task);
        let (validating_bindings, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of bindings of validating policies", task);
        let (mutating, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of mutating policies", task);
        let (mutating_bindings, task) = Cache::watch(Api::all(client.clone()), ours());
        tasks.spawn("the watch of bindings of mutating policies", task);
        let known = Arc::new(watch::channel(Known::default()).0);
        Self { validating, validating_bindings, mutating, mutating_bindings, known }
    }

    /// Waits until the first list of every kind is complete.
    pub async fn until_synced(&self) {
        self.validating.until_synced().await;
        self.validating_bindings.until_synced().await;
        self.mutating.until_synced().await;
        self.mutating_bindings.until_synced().await;
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Changes whenever what is known does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Whether Gantry may make something that carries somebody's name.
    ///
    /// # Errors
    /// While the policies do not act; it is tried again.
    pub fn admits(&self) -> Result<(), ClusterError> {
        match self.known().broken() {
            Some(why) => Err(ClusterError::Unguarded { why: why.to_owned() }),
            None => Ok(()),
        }
    }

    /// Looks now.
    pub async fn look(&self, client: &Client, own_namespace: &str) {
        let look = match policies::since(&self.seen()) {
            Err(why) => Look::Broken { why },
            Ok(since) => match forged::refused(client, own_namespace).await {
                Ok(()) => Look::Acts { since },
                Err(forged::Problem::LetThrough { what }) => {
                    Look::Broken { why: format!("{what} was not refused: {}", policies::REMEDY) }
                }
                Err(forged::Problem::NoAnswer { why }) => Look::Failed { why },
            },
        };
        self.known.send_if_modified(|known| {
            let before = known.clone();
            known.saw(look, Timestamp::now());
            let changed = before.broken() != known.broken();
            if let Some(why) = known.broken().filter(|_| changed) {
                tracing::warn!(why, "the admission policies do not act, or nobody knows");
            }
            changed
        });
    }

    /// Looks for ever.
    pub async fn run(self, client: Client, own_namespace: String) {
        let mut changes = Changes {
            validating: self.validating.subscribe(),
            validating_bindings: self.validating_bindings.subscribe(),
            mutating: self.mutating.subscribe(),
            mutating_bindings: self.mutating_bindings.subscribe(),
        };
        let mut soon = 0_u32;
        loop {
            changes.forget();
            self.look(&client, &own_namespace).await;
            let pause = if soon > 0 || self.known().broken().is_some() { AGAIN } else { EVERY };
            soon = match tokio::time::timeout(pause, changes.next()).await {
                Ok(()) => TIMES,
                Err(_) => soon.saturating_sub(1),
            };
        }
    }

    fn seen(&self) -> BTreeMap<Named, Seen> {
        let validating = self.validating.all().into_iter().map(|known| {
            let spec = known.spec.as_ref();
            seen(known.as_ref(), policies::policy(spec.and_then(|spec| spec.failure_policy.as_deref())))
        });
        let mutating = self.mutating.all().into_iter().map(|known| {
            let spec = known.spec.as_ref();
            seen(known.as_ref(), policies::policy(spec.and_then(|spec| spec.failure_policy.as_deref())))
        });
        let validating_bindings = self.validating_bindings.all().into_iter().map(|known| {
            let spec = &known.spec;
            let name = known.metadata.name.as_deref().unwrap_or_default();
            let asks_all = name == policies::ASKS && spec.param_ref.as_ref().is_none_or(is_of_all);
            let narrowed = spec.match_resources.is_some() || (spec.param_ref.is_some() && !asks_all);
            let wrong = policies::binding((name, Some(&spec.policy_name)), narrowed, Some(&spec.validation_actions));
            seen(known.as_ref(), wrong)
        });
        let mutating_bindings = self.mutating_bindings.all().into_iter().map(|known| {
            let spec = known.spec.as_ref();
            let policy = spec.and_then(|spec| spec.policy_name.as_deref());
            let narrowed = spec.is_some_and(|spec| spec.match_resources.is_some() || spec.param_ref.is_some());
            let name = known.metadata.name.as_deref().unwrap_or_default();
            seen(known.as_ref(), policies::binding((name, policy), narrowed, None))
        });
        validating.chain(mutating).chain(validating_bindings).chain(mutating_bindings).collect()
    }
}

/// What happens to policies and bindings.
struct Changes {
    validating: UnboundedReceiver<Change<ValidatingAdmissionPolicy>>,
    validating_bindings: UnboundedReceiver<Change<ValidatingAdmissionPolicyBinding>>,
    mutating: UnboundedReceiver<Change<MutatingAdmissionPolicy>>,
    mutating_bindings: UnboundedReceiver<Change<MutatingAdmissionPolicyBinding>>,
}

impl Changes {
    /// The next one.
    async fn next(&mut self) {
        tokio::select! {
            Some(_) = self.validating.recv() => {}
            Some(_) = self.validating_bindings.recv() => {}
            Some(_) = self.mutating.recv() => {}
            Some(_) = self.mutating_bindings.recv() => {}
            else => std::future::pending().await,
        }
    }

    /// Leaves out those that are already there: the look that follows sees them.
    fn forget(&mut self) {
        while self.validating.try_recv().is_ok() {}
        while self.validating_bindings.try_recv().is_ok() {}
        while self.mutating.try_recv().is_ok() {}
        while self.mutating_bindings.try_recv().is_ok() {}
    }
}

/// Whether a policy is asked with every object of its parameter's kind in the space.
fn is_of_all(asked: &ParamRef) -> bool {
    let everything = |selector: &LabelSelector| {
        selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
            && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
    };
    asked.name.is_none() && asked.namespace.is_none() && asked.selector.as_ref().is_some_and(everything)
}

fn seen<K: Resource<DynamicType = ()> + k8s_openapi::Resource + Debug>(
    object: &K,
    wrong: Option<&'static str>,
) -> (Named, Seen) {
    let meta = object.meta();
    let made = meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
    ((K::KIND, meta.name.clone().unwrap_or_default()), Seen { made, wrong })
}
