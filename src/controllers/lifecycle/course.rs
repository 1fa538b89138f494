//! How far a release is on the lifecycle that counts for it. Releases show it, promotions are judged by it: both ask here, so
//! that what is shown is what happens. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::convert;
use crate::api::v1alpha1::{Environment, Lifecycle as Object, Project, Release};
use crate::domain::lifecycle::Lifecycle;
use crate::domain::lifecycle::arrival::Arrivals;
use crate::domain::lifecycle::choice::{self, Branch, Chosen};
use crate::domain::lifecycle::journey::{Journey, Situation};
use crate::domain::lifecycle::reach::Reach;
use crate::domain::name::EnvironmentName;

/// The lifecycle that a release of a project follows. This is the one place where it is chosen.
#[must_use]
pub fn chosen<'a>(project: Option<&'a Project>, release: Option<&'a Release>) -> Chosen<'a> {
    let Some(project) = project else { return Chosen::ByOrder };
    let sealed = release.and_then(|release| release.status.as_ref()?.channel.as_deref());
    let channel = sealed.or_else(|| release.and_then(|release| release.spec.channel.as_deref()));
    let branches = project.spec.channels.iter().map(|channel| Branch {
        channel: &channel.name,
        default: channel.default,
        lifecycle: channel.lifecycle.as_deref(),
    });
    choice::chosen(project.spec.lifecycle.as_deref(), &branches.collect::<Vec<_>>(), channel)
}

/// Every lifecycle that releases of a project may follow.
pub fn named(project: &Project) -> impl Iterator<Item = &str> {
    let channels = project.spec.channels.iter().filter_map(|channel| channel.lifecycle.as_deref());
    project.spec.lifecycle.as_deref().into_iter().chain(channels)
}

/// The lifecycle that counts for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Governing {
    /// It is known.
    Known(Lifecycle),
    /// The one that was chosen does not exist.
    Absent {
        /// Its name.
        name: String,
    },
    /// None can be chosen: the project does not have the release's channel any more.
    NoChannel {
        /// The channel's name.
        name: String,
    },
    /// The one that was chosen cannot be used.
    Broken {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Governing {
    /// Whether nobody knows how far a release is while this environment of the space does not read as one: where the
    /// environments by order are the lifecycle, and where one that was `chosen` names it or has a phase that takes all that are
    /// left.
    #[must_use]
    pub fn concerns(&self, chosen: bool, environment: &str) -> bool {
        match self {
            Self::Known(lifecycle) if chosen => lifecycle.concerns(environment),
            // One that is not known lets nothing through, whatever the environment is.
            Self::Known(_) | Self::Absent { .. } | Self::NoChannel { .. } | Self::Broken { .. } => true,
        }
    }
}

/// What is known of the lifecycle that was chosen.
#[derive(Clone, Debug)]
pub enum Choice {
    /// None was: the environments by order.
    ByOrder,
    /// None could be: the project does not have this channel.
    NoChannel(String),
    /// This one, which exists or not.
    Named {
        /// Its name.
        name: String,
        /// The object.
        object: Option<Arc<Object>>,
        /// Why it does not read as its kind, if it does not.
        broken: Option<Arc<str>>,
    },
}

impl Choice {
    /// The object, if one was chosen and exists.
    #[must_use]
    pub fn object(&self) -> Option<Arc<Object>> {
        match self {
            Self::ByOrder | Self::NoChannel(_) => None,
            Self::Named { object, .. } => object.clone(),
        }
    }

    /// The lifecycle, in a space with these environments.
    #[must_use]
    pub fn governing(&self, environments: &[(EnvironmentName, i64)]) -> Governing {
        let (name, object, broken) = match self {
            Self::ByOrder => return Governing::Known(Lifecycle::by_order(environments)),
            Self::NoChannel(name) => return Governing::NoChannel { name: name.clone() },
            Self::Named { name, object, broken } => (name.clone(), object, broken),
        };
        match (object, broken) {
            (Some(object), _) => match convert::lifecycle::lifecycle(&object.spec) {
                Ok(lifecycle) => Governing::Known(lifecycle),
                Err(wrong) => {
                    let sentences: Vec<String> = wrong.iter().map(ToString::to_string).collect();
                    Governing::Broken { name, problem: sentences.join("; ") }
                }
            },
            (None, Some(problem)) => Governing::Broken { name, problem: problem.to_string() },
            (None, None) => Governing::Absent { name },
        }
    }
}

/// Everything that decides how far a release is and where it may go.
#[derive(Clone, Debug)]
pub struct Course {
    /// The lifecycle.
    pub governing: Governing,
    /// The object that says so, if one was chosen.
    pub lifecycle: Option<Arc<Object>>,
    /// The environments of the space.
    pub environments: BTreeSet<EnvironmentName>,
    /// What the release achieved.
    pub arrivals: Arrivals,
    /// Where another release of its name succeeded, which was deleted.
    pub made_again: BTreeSet<EnvironmentName>,
    /// Why somebody blocked it.
    pub blocked: Option<String>,
    /// The time.
    pub now: Timestamp,
}

impl Course {
    /// Nothing is known, so nothing may go anywhere.
    #[must_use]
    pub fn unknown(now: Timestamp) -> Self {
        Self {
            lifecycle: None,
            governing: Governing::Absent { name: String::new() },
            environments: BTreeSet::new(),
            arrivals: Arrivals::default(),
            made_again: BTreeSet::new(),
            blocked: None,
            now,
        }
    }

    /// How far the release is; nothing where nobody knows its lifecycle.
    #[must_use]
    pub fn journey(&self) -> Option<Journey> {
        let Governing::Known(lifecycle) = &self.governing else { return None };
        Some(lifecycle.journey(&Situation {
            environments: &self.environments,
            arrivals: &self.arrivals,
            blocked: self.blocked.is_some(),
            now: self.now,
        }))
    }

    /// Whether the release may go to an environment, its block apart.
    #[must_use]
    pub fn reach(&self, environment: &EnvironmentName) -> Reach {
        match (&self.governing, self.journey()) {
            (Governing::Absent { name }, _) => Reach::NoLifecycle { name: name.clone() },
            (Governing::NoChannel { name }, _) => Reach::NoChannel { name: name.clone() },
            (Governing::Broken { name, problem }, _) => {
                Reach::BrokenLifecycle { name: name.clone(), problem: problem.clone() }
            }
            (Governing::Known(_), journey) => {
                journey.map_or(Reach::NotInLifecycle, |known| known.reach(environment).made_again(&self.made_again))
            }
        }
    }

    /// Whether nobody knows how far the release is while this environment of the space does not read as one.
    #[must_use]
    pub fn concerns(&self, environment: &str) -> bool {
        self.governing.concerns(self.lifecycle.is_some(), environment)
    }

    /// Why a block keeps the release out of an environment, if it does.
    #[must_use]
    pub fn block(&self, environment: &EnvironmentName) -> Option<String> {
        let why = self.blocked.as_ref()?;
        // Where nobody knows the lifecycle, nobody knows which phases were entered.
        let shut = self.journey().is_none_or(|journey| journey.is_shut(environment));
        shut.then(|| why.clone())
    }
}

/// Environments that are not about to go.
pub fn staying<'a>(environments: impl Iterator<Item = &'a Environment>) -> impl Iterator<Item = &'a Environment> {
    environments.filter(|environment| environment.metadata.deletion_timestamp.is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::v1alpha1::ReleaseStatus;
    use crate::api::v1alpha1::channel::Channel;

    fn course(choice: &Choice) -> Course {
        let environments = [("dev".parse().unwrap(), 10), ("production".parse().unwrap(), 30)];
        Course {
            governing: choice.governing(&environments),
            lifecycle: choice.object(),
            environments: environments.iter().map(|(name, _)| name.clone()).collect(),
            arrivals: Arrivals::new(),
            made_again: BTreeSet::new(),
            blocked: Some("bug 42".into()),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn named(object: Option<serde_json::Value>) -> Choice {
        let object = object.map(|spec| json!({"metadata": {"name": "hotfix"}, "spec": spec}));
        let object = object.map(|object| Arc::new(serde_json::from_value(object).unwrap()));
        Choice::Named { name: "hotfix".into(), object, broken: None }
    }

    #[test]
    fn without_a_name_it_is_the_environments_by_order() {
        let course = course(&Choice::ByOrder);
        let next = course.journey().unwrap().next();
        assert_eq!(next, ["dev".parse().unwrap()]);
        assert_eq!(course.block(&"dev".parse().unwrap()), None, "the first phase stays open");
        assert_eq!(course.block(&"production".parse().unwrap()).as_deref(), Some("bug 42"));
    }

    #[test]
    fn a_release_follows_the_lifecycle_of_its_channel_or_else_of_its_project() {
        let channel = |name: &str, lifecycle: Option<&str>| Channel {
            name: name.into(),
            default: name == "stable",
            lifecycle: lifecycle.map(str::to_owned),
            rules: Vec::new(),
        };
        let mut project = Project::default();
        let mut release = Release::default();
        assert_eq!(chosen(Some(&project), Some(&release)), Chosen::ByOrder);
        project.spec.lifecycle = Some("slow".into());
        project.spec.channels = vec![channel("stable", None), channel("hotfix", Some("short"))];
        assert_eq!(chosen(Some(&project), Some(&release)), Chosen::Named("slow"));
        release.spec.channel = Some("hotfix".into());
        assert_eq!(chosen(Some(&project), Some(&release)), Chosen::Named("short"));
        release.spec.channel = None;
        release.status = Some(ReleaseStatus { channel: Some("hotfix".into()), ..ReleaseStatus::default() });
        assert_eq!(chosen(Some(&project), Some(&release)), Chosen::Named("short"), "the channel that it was made in");
        assert_eq!(super::named(&project).collect::<Vec<_>>(), ["slow", "short"]);
        assert_eq!(chosen(None, Some(&release)), Chosen::ByOrder);
        project.spec.channels.pop();
        assert_eq!(chosen(Some(&project), Some(&release)), Chosen::NoChannel("hotfix"), "it goes nowhere else");
    }

    #[test]
    fn a_release_whose_channel_is_gone_goes_nowhere() {
        let course = course(&Choice::NoChannel("beta".into()));
        let dev: EnvironmentName = "dev".parse().unwrap();
        assert_eq!(course.reach(&dev), Reach::NoChannel { name: "beta".into() });
        assert!(course.journey().is_none() && course.block(&dev).is_some());
    }

    #[test]
    fn a_lifecycle_that_is_absent_or_broken_lets_nothing_through() {
        let dev: EnvironmentName = "dev".parse().unwrap();
        let absent = course(&named(None));
        assert_eq!(absent.reach(&dev), Reach::NoLifecycle { name: "hotfix".into() });
        assert!(absent.journey().is_none() && absent.block(&dev).is_some());
        let broken = course(&named(Some(json!({"phases": [{"name": "a", "environments": ["A"]}]}))));
        assert!(matches!(broken.reach(&dev), Reach::BrokenLifecycle { problem, .. } if problem.contains("phases[0]")));
    }

    #[test]
    fn an_environment_that_does_not_read_concerns_those_whose_lifecycle_depends_on_it() {
        let concerns = |choice: &Choice| course(choice).concerns("broken");
        let phases = |phases: serde_json::Value| named(Some(json!({"phases": phases})));
        assert!(concerns(&Choice::ByOrder), "nobody knows its place in the order");
        assert!(!concerns(&phases(json!([{"name": "live", "environments": ["production"]}]))));
        assert!(concerns(&phases(json!([{"name": "live", "environments": ["production", "broken"]}]))));
        assert!(concerns(&phases(json!([{"name": "live", "environments": ["production"]}, {"name": "rest"}]))));
        assert!(concerns(&named(None)), "what is not known is not excused");
    }

    #[test]
    fn a_named_lifecycle_counts_and_not_the_order() {
        let hotfix = named(Some(json!({"phases": [{"name": "live", "environments": ["production"]}]})));
        let course = course(&hotfix);
        assert_eq!(course.reach(&"production".parse().unwrap()), Reach::Reachable);
        assert_eq!(course.reach(&"dev".parse().unwrap()), Reach::NotInLifecycle);
    }
}
