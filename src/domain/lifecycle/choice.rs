//! Which lifecycle a release follows: its channel's, else its project's; without a name, the environments by order.

/// A channel of a project, as far as lifecycles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// Whether it is the one of releases that name none.
    pub default: bool,
    /// The lifecycle that it names, if it does.
    pub lifecycle: Option<&'a str>,
}

/// Which lifecycle a release follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen<'a> {
    /// The environments by order.
    ByOrder,
    /// The one of this name, which may exist or not.
    Named(&'a str),
    /// None: the release is of this channel, which the project does not have. What another channel's lifecycle, or the project's,
    /// lets through says nothing about it.
    NoChannel(&'a str),
}

/// Chooses for a release of `channel`, if it is of one; of several branches of one name the first counts.
#[must_use]
pub fn chosen<'a>(project: Option<&'a str>, branches: &[Branch<'a>], channel: Option<&'a str>) -> Chosen<'a> {
    let is_its = |branch: &&Branch<'_>| channel.map_or(branch.default, |name| branch.channel == name);
    let branch = branches.iter().find(is_its);
    match (channel, branch) {
        (Some(channel), None) => Chosen::NoChannel(channel),
        (_, branch) => branch.and_then(|branch| branch.lifecycle).or(project).map_or(Chosen::ByOrder, Chosen::Named),
    }
}

/// What to say of `release` while the lifecycle that it follows does not exist.
#[must_use]
pub fn absent(release: &str, lifecycle: &str) -> String {
    format!(
        "lifecycle {lifecycle} of {release} does not exist in this space: create it, or correct the project's lifecycle"
    )
}

/// What to say of `release` while the lifecycle that it follows cannot be used.
#[must_use]
pub fn broken(release: &str, lifecycle: &str, problem: &str) -> String {
    format!("lifecycle {lifecycle} of {release} cannot be used: {problem}")
}

/// What to say of `release` while the project does not have its channel.
#[must_use]
pub fn without_channel(release: &str, channel: &str) -> String {
    format!(
        "channel {channel} of {release} is no longer in the project, so nothing says where it may go: add the channel again, or make a release of another one"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STABLE: Branch<'_> = Branch { channel: "stable", default: true, lifecycle: None };
    const BETA: Branch<'_> = Branch { channel: "beta", default: false, lifecycle: Some("short") };

    #[test]
    fn a_channels_lifecycle_comes_before_the_projects() {
        let all = [STABLE, BETA];
        assert_eq!(chosen(Some("slow"), &all, Some("beta")), Chosen::Named("short"));
        assert_eq!(chosen(Some("slow"), &all, Some("stable")), Chosen::Named("slow"));
        assert_eq!(chosen(Some("slow"), &all, None), Chosen::Named("slow"));
        assert_eq!(chosen(None, &all, None), Chosen::ByOrder);
        assert_eq!(chosen(Some("slow"), &[], None), Chosen::Named("slow"));
    }

    fn branch() -> impl Strategy<Value = Branch<'static>> {
        let channel = prop::sample::select(vec!["stable", "beta", "canary"]);
        let lifecycle = prop::option::of(prop::sample::select(vec!["short", "slow"]));
        (channel, any::<bool>(), lifecycle).prop_map(|(channel, default, lifecycle)| Branch {
            channel,
            default,
            lifecycle,
        })
    }

    proptest! {
        #[test]
        fn whatever_becomes_of_the_other_channels_a_release_follows_its_own_or_nothing(
            before in prop::collection::vec(branch(), 0..5),
            after in prop::collection::vec(branch(), 0..5),
            project in prop::option::of(prop::sample::select(vec!["open", "shut"])),
        ) {
            let own = |branches: &[Branch<'static>]| branches.iter().find(|branch| branch.channel == "beta").copied();
            for branches in [&before, &after] {
                let expected = match own(branches) {
                    None => Chosen::NoChannel("beta"),
                    Some(branch) => branch.lifecycle.or(project).map_or(Chosen::ByOrder, Chosen::Named),
                };
                prop_assert_eq!(chosen(project, branches, Some("beta")), expected);
            }
            if own(&before) == own(&after) {
                prop_assert_eq!(chosen(project, &before, Some("beta")), chosen(project, &after, Some("beta")));
            }
        }
    }
}
