//! Why something cannot be applied: all of it at once, each with place and remedy.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::domain::variable::FaultReason;

/// How many problems are told; nobody reads more, and status has room for no more.
const TOLD: usize = 20;
/// The most characters of one sentence, as status bounds it.
const SENTENCE: usize = 1000;

/// The classes of problems; the words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemReason {
    /// The manifest is not what it must be, or the API server says so.
    InvalidManifest,
    /// An image is neither a package of the project nor pinned by a digest.
    InvalidImage,
    /// The API server has no such kind.
    UnknownKind,
    /// Objects of the kind live in no namespace.
    ClusterScoped,
    /// The deployer may not do it, or a policy of the cluster refuses it.
    Forbidden,
    /// Somebody else manages fields that the manifest sets.
    Conflict,
    /// The object belongs to another project or environment.
    OwnedByOther,
    /// The namespace's Pod Security level refuses the pods.
    PodSecurity,
    /// An expression has no value, or would show a secret.
    Variable(FaultReason),
}

impl ProblemReason {
    /// The class as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidManifest => "InvalidManifest",
            Self::InvalidImage => "InvalidImage",
            Self::UnknownKind => "UnknownKind",
            Self::ClusterScoped => "ClusterScoped",
            Self::Forbidden => "Forbidden",
            Self::Conflict => "Conflict",
            Self::OwnedByOther => "OwnedByOther",
            Self::PodSecurity => "PodSecurity",
            Self::Variable(reason) => reason.as_str(),
        }
    }
}

impl fmt::Display for ProblemReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The step; empty when it is not about one.
    pub step: String,
    /// The targets of an environment that has several; a problem that is the same in two of them is one.
    pub targets: Vec<String>,
    /// The object, `Deployment checkout`, or where its manifest is, `manifests[2]`.
    pub object: String,
    /// The field, `spec.template.spec.containers[0].image`; empty when it is the whole object.
    pub path: String,
    /// The class, for programs.
    pub reason: ProblemReason,
    /// What is wrong and what to do, in one sentence.
    pub message: String,
}

impl Problem {
    /// Whether it is the same one, perhaps in another target.
    fn is(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (&str, &str, &str, ProblemReason, &str) {
        (&self.step, &self.object, &self.path, self.reason, &self.message)
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity().hash(&mut hasher);
        hasher.finish()
    }

    /// With the step before it, and where: `step deploy (in eu, us): Deployment checkout: spec.replicas: …`.
    fn sentence(&self) -> String {
        let text = match (self.step.as_str(), self.targets.as_slice()) {
            ("", _) => self.to_string(),
            (step, []) => format!("step {step}: {self}"),
            (step, targets) => format!("step {step} (in {}): {self}", targets.join(", ")),
        };
        shortened(&text, SENTENCE)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = [self.object.as_str(), self.path.as_str()].into_iter().filter(|part| !part.is_empty());
        let text = place.chain([self.message.as_str()]).collect::<Vec<_>>().join(": ");
        f.write_str(&shortened(&text, SENTENCE))
    }
}

/// Everything that stands in the way, in the order in which it was found. Never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    told: Vec<Problem>,
    /// Which others there are.
    untold: BTreeSet<u64>,
}

impl Problems {
    /// Adds one that is not there yet; beyond twenty they are only counted.
    pub fn push(&mut self, problem: Problem) {
        if let Some(known) = self.told.iter_mut().find(|known| known.is(&problem)) {
            let more = problem.targets.into_iter().filter(|target| !known.targets.contains(target));
            known.targets.extend(more.collect::<Vec<_>>());
        } else if self.told.len() < TOLD {
            self.told.push(problem);
        } else {
            self.untold.insert(problem.hash());
        }
    }

    /// Adds all of another list.
    pub fn append(&mut self, other: Self) {
        self.extend(other.told);
        let known: BTreeSet<u64> = self.told.iter().map(Problem::hash).collect();
        self.untold.extend(other.untold.difference(&known));
    }

    /// Says of all that are about a step that they are so in this target.
    #[must_use]
    pub fn in_target(mut self, target: &str) -> Self {
        for problem in self.told.iter_mut().filter(|problem| !problem.step.is_empty()) {
            problem.targets = vec![target.to_owned()];
        }
        self
    }

    /// Whether one of those that are told is of this class.
    #[must_use]
    pub fn has(&self, reason: ProblemReason) -> bool {
        self.told.iter().any(|problem| problem.reason == reason)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The problems, at most twenty.
    #[must_use]
    pub fn told(&self) -> &[Problem] {
        &self.told
    }

    /// The class of the first one.
    #[must_use]
    pub fn reason(&self) -> ProblemReason {
        self.told.first().map_or(ProblemReason::InvalidManifest, |problem| problem.reason)
    }

    /// One sentence a problem, at most twenty.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.told.iter().map(Problem::sentence).collect()
    }

    /// `value` if there is no problem.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { told: vec![problem], untold: BTreeSet::new() }
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl fmt::Display for Problems {
    /// The first one, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.told.first() else { return f.write_str("no problem") };
        f.write_str(&first.sentence())?;
        match self.told.len() + self.untold.len() {
            1 => Ok(()),
            2 => f.write_str(" (and 1 more problem)"),
            all => write!(f, " (and {} more problems)", all - 1),
        }
    }
}

/// A text of at most `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(object: &str) -> Problem {
        Problem {
            step: "deploy".into(),
            targets: Vec::new(),
            object: object.into(),
            path: "spec.replicas".into(),
            reason: ProblemReason::InvalidManifest,
            message: "is not a number: write one".into(),
        }
    }

    #[test]
    fn a_problem_is_one_sentence_with_place_and_remedy() {
        assert_eq!(problem("Deployment a").to_string(), "Deployment a: spec.replicas: is not a number: write one");
    }

    #[test]
    fn a_problem_is_told_once_with_its_step_and_all_targets_that_have_it() {
        let mut problems = Problems::default();
        for target in ["eu", "us", "us"] {
            problems.append(Problems::from(problem("Deployment a")).in_target(target));
        }
        problems.append(Problems::from(problem("Deployment b")).in_target("us"));
        let rest = "spec.replicas: is not a number: write one";
        assert_eq!(
            problems.sentences(),
            [
                format!("step deploy (in eu, us): Deployment a: {rest}"),
                format!("step deploy (in us): Deployment b: {rest}")
            ]
        );
        assert_eq!(problems.to_string(), format!("step deploy (in eu, us): Deployment a: {rest} (and 1 more problem)"));
        let of_none = Problem { step: String::new(), ..problem("Promotion x") };
        assert!(Problems::from(of_none).in_target("eu").sentences()[0].starts_with("Promotion x: "));
        assert_eq!(Problems::from(problem("Deployment a")).sentences(), [format!("step deploy: Deployment a: {rest}")]);
    }

    #[test]
    fn what_is_not_told_is_counted_once_whatever_lists_it_comes_from() {
        let list = |numbers: std::ops::Range<usize>| {
            let mut problems = Problems::default();
            problems.extend(numbers.map(|n| problem(&format!("Deployment a{n}"))));
            problems
        };
        let mut problems = list(0..30);
        for _ in 0..3 {
            problems.append(list(10..40));
        }
        assert!(problems.to_string().ends_with("(and 39 more problems)"), "{problems}");
        assert!(problems.has(ProblemReason::InvalidManifest) && !problems.has(ProblemReason::Forbidden));
    }

    #[test]
    fn problems_beyond_twenty_are_counted_and_not_kept() {
        let mut problems = Problems::default();
        problems.extend((0..25).map(|n| problem(&format!("Deployment a{n}"))));
        assert_eq!(problems.told().len(), 20);
        assert!(problems.to_string().ends_with("write one (and 24 more problems)"));
    }

    #[test]
    fn no_problem_gives_the_value_back() {
        assert_eq!(Problems::default().or(7), Ok(7));
        assert!(Problems::from(problem("x")).or(7).is_err());
    }
}
