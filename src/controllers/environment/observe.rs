//! Reads what one run of an environment needs to know.
//!
//! A cache is believed where it says that nothing is to be done; everything else is read live, so that neither an old cache
//! nor the own last write causes a write that changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::Environments;
use super::bounds;
use super::claim::{Claim, claim, forbidden};
use super::desired::{self, ACCOUNTS, DEFAULT_ACCOUNT, Grant};
use super::differs::{self, Difference};
use super::furnishing::{Furnishing, Kept};
use super::observed::{Inside, Observed, Operator, Owner, Place, Rival, Running, Source, is_settled, row};
use super::pull_secret;
use crate::api::v1alpha1::Environment;
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::cluster::cache::{Cache, Key};
use crate::cluster::error::ClusterError;
use crate::controllers::command;
use crate::controllers::promotion::reads::is_underway;

/// How long a right that was just granted may take to be known to the API server, and how often it is tried meanwhile.
const GRANT_TAKES: Duration = Duration::from_secs(3);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

impl Environments {
    /// Everything about one environment; nothing if it is gone.
    pub(super) async fn look(&self, key: &Key) -> Result<Option<Observed>, ClusterError> {
        let Some(environment) = self.newest(key).await? else { return Ok(None) };
        let owner = self.owner(&environment);
        let leaving = environment.metadata.deletion_timestamp.is_some();
        let targets = desired::targets(&environment);
        let (mut places, mut former) = (Vec::new(), Vec::new());
        for (index, target) in targets.iter().enumerate().filter(|_| !leaving) {
            let field = match environment.spec.targets.len() {
                0 => "spec.targets".to_owned(),
                _ => format!("spec.targets[{index}].namespace"),
            };
            let empty = self.place((&target.name, field, &target.namespace), &environment);
            places.push(self.wanted(&environment, &owner, empty).await?);
        }
        for (target, namespace) in self.formerly(&environment, leaving) {
            let empty = self.place((&target, "status.targets".to_owned(), &namespace), &environment);
            former.push(self.given_up(empty).await?);
        }
        let sources = if leaving { BTreeMap::new() } else { self.sources(&environment, key).await? };
        let space_ends = leaving && self.ends(&key.namespace).await?;
        let unguarded = self.context.guard.known().broken().map(str::to_owned);
        let now = Timestamp::now();
        let running = self.running(key);
        Ok(Some(Observed { environment, owner, now, places, former, sources, space_ends, running, unguarded }))
    }

    /// The environment as it is. What the cache says of one that is settled is believed: a write that follows from it carries the
    /// version that was read. Of one that is not, the cache may not have heard yet that it is, and what somebody else changed in
    /// its namespaces would be put back as if it had never been there.
    async fn newest(&self, key: &Key) -> Result<Option<Arc<Environment>>, ClusterError> {
        let Some(cached) = self.context.stores.environments.get(key) else { return Ok(None) };
        if is_settled(&cached) || cached.metadata.deletion_timestamp.is_some() {
            return Ok(Some(cached));
        }
        let live: Api<Environment> = Api::namespaced(self.context.cluster.client(), &key.namespace);
        // Gantry may list environments, and an answer to a list of one is as good as that to a read.
        let found = live.list(&ListParams::default().fields(&format!("metadata.name={}", key.name))).await;
        let found = found.map_err(|error| ClusterError::api(format!("read environment {}", key.name), error))?;
        Ok(found.items.into_iter().next().map(Arc::new))
    }

    /// The first of the commands that have begun in an environment, or of the promotions that run there.
    fn running(&self, key: &Key) -> Option<Running> {
        let commands = self.context.stores.commands.in_namespace(&key.namespace);
        let mut begun = commands.iter().filter(|command| command.spec.environment == key.name);
        if let Some(command) = begun.find(|command| command::has_begun(command)) {
            return Some(Running::Command(command.metadata.name.clone().unwrap_or_default()));
        }
        let unfinished = self.context.stores.unfinished.in_namespace(&key.namespace);
        let mut here = unfinished.iter().filter(|promotion| promotion.spec.environment == key.name);
        let promotion = here.find(|promotion| is_underway(promotion))?;
        Some(Running::Promotion(promotion.metadata.name.clone().unwrap_or_default()))
    }

    fn owner(&self, environment: &Environment) -> Owner {
        let (meta, settings) = (&environment.metadata, &self.context.settings);
        Owner {
            space: meta.namespace.clone().unwrap_or_default(),
            environment: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            operator: Operator { namespace: settings.namespace.clone(), account: settings.service_account.clone() },
        }
    }

    /// A namespace of which nothing was read yet, and who else has to do with it.
    fn place(&self, (target, field, namespace): (&str, String, &str), environment: &Environment) -> Place {
        let stores = &self.context.stores;
        let all = stores.environments.all();
        let others = all.iter().filter(|other| other.metadata.uid != environment.metadata.uid);
        Place {
            target: target.to_owned(),
            field,
            namespace: namespace.to_owned(),
            found: None,
            rivals: others.filter_map(|other| rival(other, namespace)).collect(),
            is_space: !stores.environments.in_namespace(namespace).is_empty()
                || !stores.projects.in_namespace(namespace).is_empty(),
            inside: Inside::default(),
        }
    }

    /// Namespaces that were claimed and are no longer wanted, with the targets that they were. Those that a crash kept out of
    /// the status are found by their marks.
    fn formerly(&self, environment: &Environment, leaving: bool) -> BTreeSet<(String, String)> {
        let wanted = |namespace: &str| !leaving && desired::wants(environment, namespace);
        let rows = environment.status.iter().flat_map(|status| &status.targets);
        let mut former: BTreeSet<_> =
            rows.filter(|row| !wanted(&row.namespace)).map(|row| (row.name.clone(), row.namespace.clone())).collect();
        let observed = environment.status.as_ref().and_then(|status| status.observed_generation);
        if !leaving && observed == environment.metadata.generation {
            return former;
        }
        let meta = &environment.metadata;
        let marked = |found: &Namespace| {
            let label = |name: &str| found.metadata.labels.as_ref()?.get(name);
            label(SPACE_LABEL) == meta.namespace.as_ref() && label(ENVIRONMENT_LABEL) == meta.name.as_ref()
        };
        let known = self.provisioned.namespaces.all();
        let marked = known.iter().filter(|found| marked(found)).filter_map(|found| found.metadata.name.clone());
        let claimed = desired::targets(environment).into_iter().map(|target| target.namespace).filter(|_| leaving);
        for namespace in marked.chain(claimed).filter(|namespace| !wanted(namespace)) {
            if !former.iter().any(|(_, known)| *known == namespace) {
                former.insert((String::new(), namespace));
            }
        }
        former
    }

    async fn wanted(&self, environment: &Environment, owner: &Owner, empty: Place) -> Result<Place, ClusterError> {
        let row = row(environment, &empty.namespace);
        if forbidden(owner, &empty).is_some() {
            return Ok(empty);
        }
        let labels = desired::namespace_labels(owner, &environment.spec);
        let wanted = kube::api::ObjectMeta { labels: Some(labels), ..Default::default() };
        let cached = self.provisioned.namespaces.get(&Key::new("", &*empty.namespace)).filter(|cached| {
            let same = row.and_then(|row| row.uid.as_ref()) == cached.metadata.uid.as_ref();
            same && cached.metadata.deletion_timestamp.is_none() && differs::has_metadata(&cached.metadata, &wanted)
        });
        let found = match cached {
            Some(cached) => Some((*cached).clone()),
            None => self.namespace(&empty.namespace).await?,
        };
        let mut place = Place { found, ..empty };
        if let Claim::Ours { .. } = claim(owner, &place, row) {
            place.inside = self.inside(environment, owner, &place.namespace).await?;
        }
        Ok(place)
    }

    async fn given_up(&self, empty: Place) -> Result<Place, ClusterError> {
        let found = if desired::is_name(&empty.namespace) { self.namespace(&empty.namespace).await? } else { None };
        let mut place = Place { found, ..empty };
        if place.found.is_some() && !place.is_terminating() {
            let api = Api::<RoleBinding>::namespaced(self.context.cluster.client(), &place.namespace);
            for grant in Grant::ALL {
                let binding = get(&api, grant.name()).await?;
                place.inside.bindings.extend(binding.map(|binding| (grant, binding)));
            }
        }
        Ok(place)
    }

    async fn namespace(&self, name: &str) -> Result<Option<Namespace>, ClusterError> {
        get(&Api::all(self.context.cluster.client()), name).await
    }

    async fn inside(&self, environment: &Environment, owner: &Owner, namespace: &str) -> Result<Inside, ClusterError> {
        let (known, client, spec) = (&self.provisioned, self.context.cluster.client(), &environment.spec);
        let mut inside = Inside::default();
        for name in ACCOUNTS {
            let wanted = desired::account(owner, namespace, name);
            inside.accounts.extend(believed(&known.accounts, &client, &wanted).await?.map(|found| (name, found)));
        }
        for grant in Grant::ALWAYS {
            let wanted = desired::binding(owner, namespace, grant, grant.role(spec));
            inside.bindings.extend(believed(&known.bindings, &client, &wanted).await?.map(|found| (grant, found)));
        }
        let at = |name: &str| Key::new(namespace, name);
        let isolation = bounds::isolation(owner, namespace, spec);
        inside.isolation = bound((&known.isolations, &client), &at(bounds::ISOLATION), isolation).await?;
        let quota = bounds::quota(owner, namespace, spec);
        inside.quota = bound((&known.quotas, &client), &at(bounds::QUOTA), quota).await?;
        let limits = bounds::limits(owner, namespace, spec);
        inside.limits = bound((&known.limits, &client), &at(bounds::LIMITS), limits).await?;
        self.for_pull_secrets(environment, (owner, namespace), &mut inside).await?;
        Ok(inside)
    }

    /// What has to do with pull secrets: the right to copies, the copies, and the account that offers them to pods.
    async fn for_pull_secrets(
        &self,
        environment: &Environment,
        (owner, namespace): (&Owner, &str),
        inside: &mut Inside,
    ) -> Result<(), ClusterError> {
        let (known, client) = (&self.provisioned, self.context.cluster.client());
        let listed: BTreeSet<String> = environment.spec.pull_secrets.iter().cloned().collect();
        let wanted = (!listed.is_empty()).then(|| desired::copies_binding(owner, namespace, &listed));
        let right = bound((&known.bindings, &client), &Key::new(namespace, Grant::PullSecrets.name()), wanted).await?;
        let Some(right) = right else {
            let wanted = desired::default_account(owner, namespace, (&[], environment.spec.default_token));
            inside.default_account = believed(&known.accounts, &client, &wanted).await?;
            return Ok(());
        };
        inside.default_account = get(&Api::namespaced(client, namespace), DEFAULT_ACCOUNT).await?;
        inside.copies = self.copies(namespace, (owner, &listed), &right).await?;
        inside.bindings.insert(Grant::PullSecrets, right);
        Ok(())
    }

    /// The copies of pull secrets that there are; none while the right to read them is not as it should be.
    async fn copies(
        &self,
        namespace: &str,
        (owner, listed): (&Owner, &BTreeSet<String>),
        right: &RoleBinding,
    ) -> Result<BTreeMap<String, Secret>, ClusterError> {
        let known = desired::remembered(Some(right));
        let names: BTreeSet<String> = known.union(listed).filter(|name| desired::is_name(name)).cloned().collect();
        let wanted = desired::copies_binding(owner, namespace, &names);
        let mut copies = BTreeMap::new();
        if differs::binding(Some(right), &wanted) != Difference::None {
            return Ok(copies);
        }
        let api = Api::<Secret>::namespaced(self.context.cluster.client(), namespace);
        for name in names {
            let found = once_granted(|| get(&api, &name)).await?;
            copies.extend(found.map(|found| (name, found)));
        }
        Ok(copies)
    }

    /// The pull secrets of the space: by name and live, since Gantry has no right to list or watch Secrets.
    async fn sources(&self, environment: &Environment, key: &Key) -> Result<BTreeMap<String, Source>, ClusterError> {
        let space = key.namespace.as_str();
        let api = Api::<Secret>::namespaced(self.context.cluster.client(), space);
        let mut sources = BTreeMap::new();
        for name in &environment.spec.pull_secrets {
            let source =
                if desired::is_name(name) { read(&api, name, space).await? } else { pull_secret::misnamed(name) };
            sources.insert(name.clone(), source);
        }
        Ok(sources)
    }

    async fn ends(&self, space: &str) -> Result<bool, ClusterError> {
        let found = self.namespace(space).await?;
        Ok(found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()))
    }
}

/// A pull secret of the space; one that may not be read is a fact and no error.
async fn read(api: &Api<Secret>, name: &str, space: &str) -> Result<Source, ClusterError> {
    match get(api, name).await {
        Ok(found) => Ok(pull_secret::judge(found, name, space)),
        Err(error) if error.is_forbidden() => Ok(pull_secret::unreadable(name, space)),
        Err(error) => Err(error),
    }
}

/// What another environment has to do with a namespace, if anything.
fn rival(other: &Environment, namespace: &str) -> Option<Rival> {
    let row = row(other, namespace);
    let wants = desired::wants(other, namespace) && other.metadata.deletion_timestamp.is_none();
    (wants || row.is_some()).then(|| Rival {
        space: other.metadata.namespace.clone().unwrap_or_default(),
        environment: other.metadata.name.clone().unwrap_or_default(),
        created: other.metadata.creation_timestamp.as_ref().map(|time| time.0),
        holds: row.and_then(|row| row.uid.clone()),
        wants,
    })
}

/// The object as it is wanted if the cache says that it is so, and otherwise as it really is.
async fn believed<K>(cache: &Cache<Kept>, client: &Client, wanted: &K) -> Result<Option<K>, ClusterError>
where
    K: Furnishing + Debug + DeserializeOwned,
{
    let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
    if cache.get(&Key::new(namespace.as_str(), name.as_str())).is_some_and(|known| known.is(wanted)) {
        return Ok(Some(wanted.clone()));
    }
    get(&Api::namespaced(client.clone(), &namespace), &name).await
}

/// The same for an object that may not be wanted: then it is read if the cache says that it is there.
async fn bound<K>(
    (cache, client): (&Cache<Kept>, &Client),
    key: &Key,
    wanted: Option<K>,
) -> Result<Option<K>, ClusterError>
where
    K: Furnishing + Debug + DeserializeOwned,
{
    match wanted {
        Some(wanted) => believed(cache, client, &wanted).await,
        None if cache.get(key).is_none() => Ok(None),
        None => get(&Api::namespaced(client.clone(), &key.namespace), &key.name).await,
    }
}

async fn get<K>(api: &Api<K>, name: &str) -> Result<Option<K>, ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let action = || format!("read {} {name}", K::kind(&()));
    api.get_opt(name).await.map_err(|error| ClusterError::api(action(), error))
}

/// Tries again for a moment while the answer is "forbidden": the API server learns of a new binding a little later.
pub(super) async fn once_granted<T, F>(attempt: impl Fn() -> F) -> Result<T, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    let deadline = tokio::time::Instant::now() + GRANT_TAKES;
    loop {
        match attempt().await {
            Err(error) if error.is_forbidden() && !error.is_terminating() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            result => return result,
        }
    }
}
