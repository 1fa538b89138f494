//! What remains of a promotion once it has ended.

use jiff::Timestamp;

use super::history::{Ended, Success};
use super::mode::Mode;
use super::phase::Phase;
use super::reason::Reason;
use crate::domain::image::Digest;
use crate::domain::name::{EnvironmentName, PackageName, ProjectName, ReleaseVersion};
use crate::domain::remade::are_two;

/// The end of one promotion. Outcomes are ordered by when they ended, then by uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// When it ended.
    pub finished: Timestamp,
    /// The promotion's uid.
    pub uid: String,
    /// The promotion's name.
    pub promotion: String,
    /// The namespace of the promotion.
    pub space: String,
    /// The project.
    pub project: ProjectName,
    /// The version of its release.
    pub version: ReleaseVersion,
    /// The UID of its release, which was decided on when it started. One that never started has none, and neither has one from before
    /// Gantry wrote it down.
    pub release_uid: Option<String>,
    /// The environment.
    pub environment: EnvironmentName,
    /// Who asked, as the API server authenticated them; empty if it was never recorded.
    pub requested_by: String,
    /// Why, as they said.
    pub reason_given: Option<String>,
    /// What it was to the environment, if it started.
    pub mode: Option<Mode>,
    /// Whether targets or steps of the release were left out.
    pub partial: bool,
    /// The end.
    pub phase: Phase,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in one sentence.
    pub message: String,
    /// When it started to run, if it did.
    pub started: Option<Timestamp>,
    /// What the release put there.
    pub packages: Vec<DeployedPackage>,
    /// Whether it changed anything in the environment.
    pub applied: bool,
}

/// A package as a release fixed it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeployedPackage {
    /// The package's name in its project.
    pub name: PackageName,
    /// The image, without version.
    pub image: String,
    /// The version, for people, where one was chosen.
    pub version: Option<String>,
    /// The digest, for truth.
    pub digest: Digest,
}

impl Outcome {
    /// Whether it is part of any history. The end that a reused name takes is not: it is a copy of one
    /// that is there already, and nothing happened.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.reason != Reason::AlreadyRecorded
    }

    /// Why it was asked for, as far as rows keep it: the first 256 characters.
    #[must_use]
    pub fn reason_in_rows(&self) -> Option<String> {
        self.reason_given.as_ref().map(|reason| reason.chars().take(256).collect())
    }

    /// Whether it is an end of the release with this UID: of any, as far as nothing was ever done for it. One that started and says
    /// no UID is from before Gantry wrote it down, and is of none, since nobody knows of which.
    #[must_use]
    pub fn is_of(&self, release_uid: &str) -> bool {
        match &self.release_uid {
            Some(known) => known == release_uid,
            None => self.started.is_none(),
        }
    }

    /// Whether the release with this UID, and no other of its name, runs in the environment since: what a lifecycle, a soak and a
    /// return count. What nobody knows to be of it counts for nothing.
    #[must_use]
    pub fn is_success_of(&self, release_uid: &str) -> bool {
        self.is_success() && self.release_uid.as_deref() == Some(release_uid)
    }

    /// Whether it is a success of another release of this version, which was deleted.
    #[must_use]
    pub fn is_success_of_another(&self, version: &str, release_uid: &str) -> bool {
        let another = are_two(self.release_uid.as_deref(), Some(release_uid));
        self.is_success() && self.version.as_str() == version && another
    }

    /// Whether the release runs in the environment since. A part of it does not make it what runs there.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.counts() && self.phase == Phase::Succeeded && !self.partial
    }
}

impl Ended for Outcome {
    fn finished(&self) -> Timestamp {
        self.finished
    }

    fn uid(&self) -> &str {
        &self.uid
    }
}

impl Success for Outcome {
    fn version(&self) -> &str {
        self.version.as_str()
    }
}

/// An end for tests, which change what they are about.
#[cfg(test)]
pub(crate) mod example {
    use super::*;

    /// Release 1.0.0 of `checkout` ran since `finished` in an environment of the space `shop`.
    pub(crate) fn success(environment: &str, finished: Timestamp) -> Outcome {
        Outcome {
            finished,
            uid: format!("uid-{environment}-{}", finished.as_second()),
            promotion: format!("checkout-1.0.0-{environment}"),
            space: "shop".into(),
            project: "checkout".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            release_uid: Some("uid-1.0.0".into()),
            environment: environment.parse().unwrap(),
            requested_by: "alice".into(),
            reason_given: None,
            mode: Some(Mode::Deploy),
            partial: false,
            phase: Phase::Succeeded,
            reason: Reason::Deployed,
            message: String::new(),
            started: None,
            packages: Vec::new(),
            applied: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::example::success;
    use super::*;

    // Attack T20.
    #[test]
    fn a_success_is_of_the_release_with_its_uid_alone_and_of_none_where_nobody_knows() {
        let end = Outcome { started: Some(Timestamp::UNIX_EPOCH), ..success("test", Timestamp::UNIX_EPOCH) };
        let unknown = Outcome { release_uid: None, ..end.clone() };
        let never_started =
            Outcome { release_uid: None, started: None, phase: Phase::Refused, applied: false, ..end.clone() };
        for (end, uid, is_of, counts, of_another) in [
            (&end, "uid-1.0.0", true, true, false),
            (&end, "made-again", false, false, true),
            (&unknown, "uid-1.0.0", false, false, false),
            (&never_started, "made-again", true, false, false),
        ] {
            let said = (end.is_of(uid), end.is_success_of(uid), end.is_success_of_another("1.0.0", uid));
            assert_eq!(said, (is_of, counts, of_another), "{end:?} and {uid}");
        }
        assert!(!end.is_success_of_another("1.1.0", "made-again"), "that is another version");
    }
}
