//! What a promotion is to its environment: something newer, the same again, or a step back.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

use crate::domain::version::Version;

/// How a release compares with the one that runs where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A newer release, or the first one.
    Deploy,
    /// The release that runs there already.
    Redeploy,
    /// An older release.
    Rollback,
}

/// A release, as far as its age goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged<'a> {
    /// Its version.
    pub version: &'a str,
    /// Its UID, where that is known.
    pub uid: Option<&'a str>,
    /// When it was made, where that is known.
    pub made: Option<Timestamp>,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Deploy, Self::Redeploy, Self::Rollback];

    /// What it is to put `release` where `current` runs. Versions decide; of two that have no order (one is no version, or they
    /// are the same version written differently), the one that was made earlier is older. The same release is the one with the same
    /// UID: one that was made again is deployed, and so is one of which nobody knows whether it was.
    #[must_use]
    pub fn of(release: &Aged<'_>, current: Option<&Aged<'_>>) -> Self {
        let Some(current) = current else { return Self::Deploy };
        if release.version == current.version {
            let same = release.uid.zip(current.uid).is_some_and(|(mine, theirs)| mine == theirs);
            return if same { Self::Redeploy } else { Self::Deploy };
        }
        let by_version = match (release.version.parse::<Version>(), current.version.parse::<Version>()) {
            (Ok(mine), Ok(theirs)) => mine.cmp(&theirs),
            (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => Ordering::Equal,
        };
        let by_age = || release.made.zip(current.made).map_or(Ordering::Equal, |(mine, theirs)| mine.cmp(&theirs));
        match by_version.then_with(by_age) {
            Ordering::Less => Self::Rollback,
            Ordering::Equal | Ordering::Greater => Self::Deploy,
        }
    }

    /// The mode as it is written in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "Deploy",
            Self::Redeploy => "Redeploy",
            Self::Rollback => "Rollback",
        }
    }

    /// The mode that is written as `text`, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(version: &str, second: i64) -> Aged<'_> {
        Aged { version, uid: Some(version), made: Some(Timestamp::from_second(second).unwrap()) }
    }

    #[test]
    fn a_release_is_deployed_redeployed_or_rolled_back_by_what_runs_there() {
        for (release, current, expected) in [
            (at("1.0.0", 1), None, Mode::Deploy),
            (at("1.1.0", 2), Some(at("1.0.0", 1)), Mode::Deploy),
            (at("1.1.0", 2), Some(at("1.1.0", 2)), Mode::Redeploy),
            (at("1.0.0", 1), Some(at("1.1.0", 2)), Mode::Rollback),
            // A fix of an old line is made later, and is older all the same.
            (at("1.0.1", 9), Some(at("2.0.0", 2)), Mode::Rollback),
            (at("1.10.0", 1), Some(at("1.9.0", 2)), Mode::Deploy),
            (at("1.0.0-rc.1", 3), Some(at("1.0.0", 2)), Mode::Rollback),
            // Where versions say nothing, age does.
            (at("blue", 1), Some(at("green", 2)), Mode::Rollback),
            (at("green", 2), Some(at("blue", 1)), Mode::Deploy),
            (at("1.2", 1), Some(at("1.2.0", 2)), Mode::Rollback),
            (at("1.0.0", 1), Some(at("blue", 2)), Mode::Rollback),
            (Aged { version: "blue", uid: Some("blue"), made: None }, Some(at("green", 2)), Mode::Deploy),
            // One that was made again is another one, whenever that was.
            (Aged { uid: Some("again"), ..at("1.0.0", 3) }, Some(at("1.0.0", 1)), Mode::Deploy),
            (Aged { uid: Some("again"), ..at("1.0.0", 1) }, Some(at("1.0.0", 3)), Mode::Deploy),
            (at("1.0.0", 1), Some(Aged { uid: None, ..at("1.0.0", 1) }), Mode::Deploy),
        ] {
            assert_eq!(Mode::of(&release, current.as_ref()), expected, "{release:?} where {current:?} runs");
        }
    }

    #[test]
    fn every_mode_reads_back_as_itself() {
        for mode in Mode::ALL {
            assert_eq!(Mode::parse(mode.as_str()), Some(mode));
        }
        assert_eq!(Mode::parse("deploy"), None);
    }

    proptest! {
        #[test]
        fn of_two_releases_exactly_one_way_is_back(one in (0..3_u8, 0..3_u8), other in (0..3_u8, 0..3_u8)) {
            let text = |(major, minor): (u8, u8)| format!("{major}.{minor}");
            let (one, other) = (text(one), text(other));
            let (there, back) = (
                Mode::of(&at(&one, 1), Some(&at(&other, 2))),
                Mode::of(&at(&other, 2), Some(&at(&one, 1))),
            );
            if one == other {
                prop_assert_eq!((there, back), (Mode::Redeploy, Mode::Redeploy));
            } else {
                prop_assert_eq!(usize::from(there == Mode::Rollback) + usize::from(back == Mode::Rollback), 1);
                prop_assert!(there != Mode::Redeploy && back != Mode::Redeploy);
            }
        }
    }
}
