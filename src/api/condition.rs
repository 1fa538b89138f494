//! Conditions: closed sets of types and reasons, and the one way to write them.
//!
//! Conditions are sorted by type, carry no timestamps or counters in their messages, and keep `lastTransitionTime` while their
//! status stays the same. `Ready`, `Reconciling` and `Stalled` follow kstatus, so that Argo CD and Flux understand every kind.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message that a condition may carry, in bytes (the API convention's bound is 32 KiB; ours keeps status small).
const LONGEST_MESSAGE: usize = 1024;

/// Types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Gantry has promoted a release wherever its lifecycle says so.
    AutomaticallyPromoted,
    /// Somebody keeps a release from going further.
    Blocked,
    /// Something else than a pin's version came to its environment after it.
    Diverged,
    /// A promotion has ended, however.
    Finished,
    /// The API server enforces who may promote.
    Guarded,
    /// Whether anybody knows how far a release is on its lifecycle.
    PhasesKnown,
    /// The object is as its spec wants it.
    Ready,
    /// Work is under way that can succeed without a person.
    Reconciling,
    /// Every name in the scopes of variables and steps exists.
    ScopesKnown,
    /// A release's versions and process are fixed.
    Sealed,
    /// A Secret that a release's variables refer to changed since it was sealed.
    SecretsChanged,
    /// Nothing moves until a person acts.
    Stalled,
    /// A promotion has ended well.
    Succeeded,
    /// Every version that a project's triggers take is released.
    Triggered,
}

impl ConditionType {
    /// The type as the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AutomaticallyPromoted => "AutomaticallyPromoted",
            Self::Blocked => "Blocked",
            Self::Diverged => "Diverged",
            Self::Finished => "Finished",
            Self::Guarded => "Guarded",
            Self::PhasesKnown => "PhasesKnown",
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::ScopesKnown => "ScopesKnown",
            Self::Sealed => "Sealed",
            Self::SecretsChanged => "SecretsChanged",
            Self::Stalled => "Stalled",
            Self::Succeeded => "Succeeded",
            Self::Triggered => "Triggered",
        }
    }
}

/// Defines a closed set of reasons with their meaning, so that docs are generated from the code.
macro_rules! closed_set {
    ($(#[$outer:meta])* $name:ident { $($variant:ident => $meaning:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $meaning] $variant,)+ }

        impl $name {
            /// Every member, with its meaning.
            pub const ALL: &'static [($name, &'static str)] = &[$(($name::$variant, $meaning),)+];

            /// The reason as the API writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

closed_set! {
    /// Reasons on Projects, Environments and Releases. Promotions have [`crate::domain`]'s own.
    Reason {
        Provisioned => "Namespaces, accounts and bindings are as the environment wants them.",
        Upgraded => "An older version of Gantry provisioned it; what this one has besides was added.",
        DriftCorrected => "Somebody changed what Gantry provisioned; it was put back.",
        NamespaceForbidden => "The namespace may never be a target.",
        NamespaceTaken => "The namespace belongs to somebody else.",
        NamespaceTerminating => "The namespace is being deleted.",
        PromotionRunning => "A namespace is given up once the promotion that runs there has ended.",
        CommandRunning => "A namespace is given up once the command that is carried out there has ended.",
        NothingLost => "A recovery was opened where releases had run, so it opens nothing.",
        PullSecretInvalid => "A pull secret is missing, unreadable or not a kubernetes.io/dockerconfigjson Secret.",
        Provisioning => "Namespaces, accounts and bindings are being made.",
        ProvisioningFailed => "The API server refused something that the environment needs.",
        UnknownEnvironment => "The lifecycle or freeze names an environment that the space does not have.",
        UnknownProject => "The freeze names a project that the space does not have.",
        Frozen => "The freeze holds now.",
        NotFrozen => "The freeze does not hold now, and will.",
        Over => "The freeze will hold nothing any more.",
        OnlyOptionalPhases => "Every phase of the lifecycle is optional, so none is ever current.",
        EnvironmentUnreadable => "An environment that a release's lifecycle depends on does not read as one.",
        LifecycleNotFound => "The project names a lifecycle that does not exist yet.",
        Blocked => "Somebody keeps the release from going further.",
        Unblocked => "The release may go on.",
        Promoted => "Every automatic environment that the release may go to has its promotion.",
        NotPromoted => "A promotion to an automatic environment could not be made, or did not succeed.",
        PromptRequired => "A promotion to an automatic environment needs an answer that only a person can give.",
        Overtaken => "A release that was made later came to an automatic environment first, or is on its way there, so this one is left to people.",
        Valid => "Everything that can be checked without a release is well-formed.",
        Invalid => "A field cannot be used as it is.",
        Sealed => "Versions are digests and the process is a snapshot.",
        ProjectNotFound => "The release's project does not exist yet.",
        UnknownPackage => "The release names a package that its project does not have.",
        ChannelNotFound => "The release is of a channel that its project does not have.",
        VersionRefused => "The release names a version that its channel does not take.",
        NoVersion => "The registry has no version that the channel takes.",
        AmbiguousVersion => "Two tags are the highest version that the channel takes.",
        MovingTag => "A release was made of the tag latest; its digest of that moment is what counts.",
        TagNotFound => "The registry does not have the version.",
        Watching => "Every version that the triggers take is released.",
        ReleaseMade => "A trigger made a release.",
        VersionTaken => "A release of the version that a trigger found is made of something else.",
        ReleaseRefused => "The API server does not take a release that a trigger wants.",
        RegistryUnauthorized => "The registry refuses the credentials, or wants some.",
        RegistryUnreachable => "The registry does not answer.",
        RegistryRefused => "The registry must not be asked this way, or answered nonsense.",
        ManifestsNotFound => "The ConfigMap of manifests is missing or unreadable.",
        VariableSetNotFound => "A variable set that the project uses does not exist.",
        UnknownName => "A scope of a variable or a step names something that does not exist, so it matches nothing there.",
        NamesKnown => "Everything that scopes of variables and steps name exists.",
        AmbiguousVariable => "A variable has several values of the same rank somewhere.",
        SecretChanged => "A Secret that the release refers to changed or is gone since it was sealed.",
        SecretUnreadable => "A Secret that the release refers to cannot be read now.",
        NotRead => "Nothing was seen of the Secrets that the release refers to.",
        Unchanged => "No Secret that the release refers to changed since it was sealed.",
        SnapshotTooLarge => "The process with its manifests is larger than 256 KiB.",
        Deployed => "The pin's version runs in its environment.",
        Deploying => "The pin's promotion is on its way, or waits for something that comes by itself.",
        NotInLifecycle => "The lifecycle of the pin's release does not hold its environment.",
        Waiting => "The pin's promotion waits for people, a freeze or a time.",
        Diverged => "Something else came to the environment after the pin's version, and is not fought.",
        Following => "Nothing else came to the environment after the pin's version.",
        NotStamped => "The API server did not record who changed the pin.",
        Canceled => "Somebody canceled the pin's promotion.",
        Refused => "The pin's promotion was refused.",
        Rejected => "Somebody who may approve rejected the pin's promotion.",
        Counted => "The approval or rejection counts for its promotion.",
        NotCounted => "The approval or rejection counts for nothing.",
        PromotionNotFound => "The promotion that is approved or rejected does not exist.",
        Looking => "The approval or rejection was not looked at yet.",
        Failed => "What was wanted failed, or something unexpected went wrong; the message or the operator's log has more.",
        PoliciesMissing => "Gantry's admission policies do not act, so nothing is promoted.",
        PoliciesAct => "Gantry's admission policies act again.",
        NotBroken => "Nothing needs a person.",
        AtRest => "Nothing is under way.",
    }
}

/// How an object stands, in kstatus terms.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// As the spec wants it.
    Ready,
    /// On its way there by itself.
    Reconciling,
    /// Waits for a person.
    Stalled,
}

/// One fact to be written as a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<'a> {
    /// The condition's type.
    pub kind: ConditionType,
    /// Whether it holds; `None` is `Unknown`.
    pub holds: Option<bool>,
    /// One word from a closed set.
    pub reason: &'a str,
    /// One sentence: the object and the next action.
    pub message: String,
}

/// When and for which generation of the spec conditions are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp {
    /// The time of the run.
    pub now: Timestamp,
    /// Generation of the spec that was looked at.
    pub generation: Option<i64>,
}

/// Writes `fact` into `conditions`: sorted by type, the time changes only when the status does.
pub fn set(conditions: &mut Vec<Condition>, fact: &Fact<'_>, stamp: Stamp) {
    let status = match fact.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let kept = conditions
        .iter()
        .find(|known| known.type_ == fact.kind.as_str() && known.status == status)
        .map(|known| known.last_transition_time.clone());
    conditions.retain(|known| known.type_ != fact.kind.as_str());
    conditions.push(Condition {
        type_: fact.kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: fact.reason.to_owned(),
        message: cut(&fact.message, LONGEST_MESSAGE),
        observed_generation: stamp.generation,
        last_transition_time: kept.unwrap_or(Time(stamp.now)),
    });
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
}

/// Writes `Ready`, `Reconciling` and `Stalled` for one standing.
pub fn set_standing(conditions: &mut Vec<Condition>, standing: &Standing, because: (&str, &str), stamp: Stamp) {
    let (reason, message) = because;
    let ready = matches!(standing, Standing::Ready);
    let reconciling = matches!(standing, Standing::Reconciling);
    let stalled = matches!(standing, Standing::Stalled);
    let fact =
        |kind, holds, reason, message: &str| Fact { kind, holds: Some(holds), reason, message: message.to_owned() };
    set(conditions, &fact(ConditionType::Ready, ready, reason, message), stamp);
    let (why, what) = if reconciling { (reason, message) } else { (Reason::AtRest.as_str(), "") };
    set(conditions, &fact(ConditionType::Reconciling, reconciling, why, what), stamp);
    let (why, what) = if stalled { (reason, message) } else { (Reason::NotBroken.as_str(), "") };
    set(conditions, &fact(ConditionType::Stalled, stalled, why, what), stamp);
}

/// The condition of a type, if it is there.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether the condition of a type is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// The text on one line, with a space for whatever a terminal would obey instead of showing it: controls, and characters that turn the
/// direction of writing.
#[must_use]
pub fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect()
}

/// The plain text, cut at a character boundary to at most `longest` bytes, with an ellipsis where something is missing.
#[must_use]
pub fn cut(text: &str, longest: usize) -> String {
    let text = plain(text);
    if text.len() <= longest {
        return text;
    }
    let mut end = longest.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut: String = text
        .chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= end).then_some(c)
        })
        .collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seconds: i64) -> Stamp {
        Stamp { now: Timestamp::from_second(seconds).unwrap(), generation: Some(seconds) }
    }

    #[test]
    fn the_time_of_a_condition_changes_only_with_its_status() {
        let mut conditions = Vec::new();
        set_standing(&mut conditions, &Standing::Reconciling, ("A", "first"), stamp(1));
        set_standing(&mut conditions, &Standing::Reconciling, ("B", "second"), stamp(2));
        let reconciling = find(&conditions, ConditionType::Reconciling).unwrap();
        assert_eq!((reconciling.last_transition_time.0.as_second(), reconciling.message.as_str()), (1, "second"));
        set_standing(&mut conditions, &Standing::Ready, ("C", "third"), stamp(3));
        let ready = find(&conditions, ConditionType::Ready).unwrap();
        assert_eq!((ready.last_transition_time.0.as_second(), ready.observed_generation), (3, Some(3)));
    }

    #[test]
    fn conditions_are_sorted_and_there_is_one_of_each_type() {
        let mut conditions = Vec::new();
        set_standing(&mut conditions, &Standing::Stalled, ("A", "x"), stamp(1));
        set_standing(&mut conditions, &Standing::Ready, ("A", "x"), stamp(2));
        let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "Reconciling", "Stalled"]);
    }

    #[test]
    fn nothing_is_left_that_a_terminal_would_obey() {
        let words = "red \u{1b}[31m\u{7}bell\r\nline\u{9b}1m\u{202e}back\u{2028}end — äöü";
        assert_eq!(plain(words), "red  [31m bell  line 1m back end — äöü");
        assert_eq!(cut("a\nb", 3), "a b");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character_boundary() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüß", 7), "äö…");
    }
}
