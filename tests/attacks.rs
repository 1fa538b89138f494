//! Attacks on Gantry: what stops each, and which tests show it. A test that shows one says so in the line above it (`// Attack T1.`); from
//! that `docs/attacks.md` is made: `UPDATE_GOLDEN=1 cargo test --test integration attacks`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// An attack: its name, what somebody tries, what stops him.
type Attack = (&'static str, &'static str, &'static str);

const ATTACKS: [Attack; 37] = [
    (
        "T1",
        "Say that somebody else asked, approved, blocked or changed it: in a field, in an annotation",
        "A mutating policy writes the authenticated user over whatever was sent, a validating one refuses anything else; no annotation is ever read",
    ),
    (
        "T2",
        "Change who asked, or what for, later: by update, patch, apply, replace, `status`",
        "Specs are immutable by the kind itself, stamps are restored by policy, status is the operator's alone",
    ),
    (
        "T3",
        "Approve one's own promotion, under another name of the same account, or in the name for whom a robot asked",
        "The requester is the user, the uid and `onBehalfOf` together, and does not count",
    ),
    (
        "T4",
        "Use an approval again: for another release, another environment, after a change",
        "It is bound to the promotion's uid, the environment and the digest of the plan",
    ),
    (
        "T5",
        "Write `status` to fake a success or an approval",
        "A policy: status is written by the operator alone, and no role has it",
    ),
    (
        "T6",
        "Take away or weaken a policy or a binding",
        "The operator compares each with what is shipped, and tries forged requests, every minute and with every change: while one differs or lets through, nothing is promoted",
    ),
    (
        "T7",
        "Make objects before the policies are there, or while they are not",
        "What was made then counts as never stamped, and is never executed",
    ),
    (
        "T8",
        "Promote through another door than the API server",
        "There is none: the operator listens for metrics and probes, and answers nothing else",
    ),
    (
        "T9",
        "Let the operator make RBAC, webhooks or other cluster-scoped objects from a release",
        "Kinds without a namespace are refused before anything is applied, and the account that applies has no right to them",
    ),
    (
        "T10",
        "Write into another namespace from a manifest; hide objects in others; names that are made up later",
        "A manifest names no namespace but its target's, and exactly one object with its name",
    ),
    (
        "T11",
        "Refer to another space's Secret, ConfigMap or release",
        "No field of the API can say so: references are names inside the space",
    ),
    (
        "T12",
        "Claim somebody else's namespace as an environment: kube-system, another space's, another environment's",
        "Only what Gantry made, or what somebody who may label namespaces gave to the space; forbidden names are refused",
    ),
    (
        "T13",
        "Make what the operator would make, before it does",
        "It is not taken: the condition names the owner and the remedy",
    ),
    (
        "T14",
        "Use the operator's rights to get others",
        "No wildcard, no escalate, bind by name only, and a policy that confines its account",
    ),
    ("T15", "Read Secrets with the operator's token", "It has no right to Secrets but where a space gave it"),
    (
        "T16",
        "Run a pod, or ask for a token, as the account that releases are applied with",
        "A policy refuses pods, token requests and token Secrets of it to everybody",
    ),
    (
        "T17",
        "Read other Secrets or get a token with the script of a command",
        "Its pod has no token, runs as an account that reads no Secret, as Pod Security restricted asks, from an image by digest",
    ),
    (
        "T18",
        "Run a command without the right, or in more places than were asked for",
        "One verb each on the environment, judged for who writes it; its spec never changes",
    ),
    (
        "T19",
        "Finalizers and owner references: keep objects for ever, let them go too early, cascade a deletion",
        "Only the operator takes its finalizer off; manifests may have neither",
    ),
    (
        "T20",
        "Delete and make again under the same name, to inherit approvals or successes, to run twice, or to be rid of a block or a lifecycle",
        "Everything is bound to UIDs: an approval to its promotion and plan, a success to the release that it brought; a promotion's name is used once and for ever, and what is blocked or names a lifecycle is deleted by whoever may change that",
    ),
    ("T21", "Move a tag between the check and the use", "A release is digests; the tag is for people"),
    (
        "T22",
        "Give a kubeconfig that runs a program, reads a file, goes through a proxy or believes any certificate",
        "A strict parser of our own takes a server, whom to trust and one credential, and refuses every other field",
    ),
    (
        "T23",
        "Let the operator ask an address that only it reaches, as a registry: metadata of the cloud, a Service, itself; by a name, a redirect, a place for tokens",
        "What is inside the network is refused where the connection is made, but for hosts that the cluster's administrator lists (`internalRegistries`)",
    ),
    (
        "T24",
        "Get a registry's password by changing the host of an image, by a redirect or by the place where tokens are given out",
        "A password belongs to the host that its Secret names, and goes to no other",
    ),
    (
        "T25",
        "Break out of a string with the value of a variable; expressions without end",
        "Values are put in after YAML is parsed; expressions have a budget",
    ),
    (
        "T26",
        "Objects and expressions that grow without end when they are read: aliases of aliases, huge lists and texts",
        "Everything that is read has a bound, and what exceeds it is refused with its field",
    ),
    (
        "T27",
        "Objects, labels and names that no program expects",
        "What does not read as its kind is kept apart and told; everything else goes on",
    ),
    (
        "T28",
        "Get a Secret's value into status, Events, logs, records",
        "Values are read where they are used, marked, and taken out of whatever is said",
    ),
    (
        "T29",
        "Write what a terminal or a program would obey: colors, lines of their own, forged lines of a log",
        "Whatever Gantry says is on one line and has no such characters; a log in JSON is one object a line",
    ),
    ("T30", "Forge Events as the operator", "Events are a courtesy: no decision and no check of records reads them"),
    (
        "T31",
        "Edit, drop or cut the history",
        "Records are immutable by policy and sealed: any change shows against a root that was kept",
    ),
    (
        "T32",
        "Be system:masters",
        "Policies hold for it, too: it is stamped, and neither writes status nor changes records",
    ),
    (
        "T33",
        "Starve others: ask for more promotions than can run",
        "Each project has a slot of its own in each environment, and what waits for its turn holds no worker: nobody else waits for it. How much slower others get meanwhile is not measured",
    ),
    ("T34", "Fill etcd with huge objects", "Every string, list and map of every kind has a bound"),
    (
        "T35",
        "Use a namespace of an environment that is open: to privileged pods, to others, by the token of default",
        "Pod Security restricted at a pinned version, a network policy that denies, limits, and no token of default",
    ),
    (
        "T37",
        "Lead what the operator sends back to the API server or to itself",
        "It sends nothing but questions to registries, and none inside the network; there are no notifications yet",
    ),
    (
        "T38",
        "Run a second operator, or wake one that was asleep",
        "A Lease with preconditions, a gate before every write, and writes that carry the version that was read",
    ),
];

/// Attacks on what is not there yet, and those that something else than a test of this repository stops.
const ELSEWHERE: [(&str, &str); 1] = [(
    "T36",
    "no image is published and nothing is signed yet; what Gantry is built of is pinned in `Cargo.lock` and in the Go modules of `tests/plane`",
)];

/// Every source file of tests.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests", "src"] {
        walk(&root.join(folder), &mut found);
    }
    found.retain(|path| !path.starts_with(root.join("tests/plane")) && !path.ends_with("tests/attacks.rs"));
    found.sort();
    found
}

/// How a test of a file is called.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a file of ours").with_extension("");
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    let inside = parts[1..].join("::");
    if parts[0] == "src" && !inside.ends_with("::tests") { format!("{inside}::tests") } else { inside }
}

/// The attacks that a line says the next test shows.
fn marked(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let named = line.strip_prefix("// Attack ").or_else(|| line.strip_prefix("// Attacks "))?;
    // It may say more after a colon.
    let attacks = named.split_once(':').map_or(named, |(attacks, _)| attacks);
    Some(attacks.trim_end_matches('.').split(", ").collect())
}

/// The test that begins after a mark: its first attribute, then, after others, the function.
fn test_after<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let first = lines.next()?.trim();
    if !(first.starts_with("#[test]") || first.starts_with("#[tokio::test")) {
        return None;
    }
    let function = lines.map(str::trim).find(|line| !line.starts_with("#["))?;
    let name = function.trim_start_matches("async ").strip_prefix("fn ")?.split('(').next()?;
    Some((first, name))
}

/// Whether a test asks the real API server. Tests that wait for nothing, and those beside the code, have none.
fn is_on_the_cluster(path: &Path, attribute: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.starts_with(root.join("tests")) && attribute.starts_with("#[tokio::test")
}

/// Which tests show each attack.
fn shown() -> BTreeMap<String, Vec<String>> {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources() {
        let source = std::fs::read_to_string(&path).expect("a file");
        let lines: Vec<&str> = source.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(attacks) = marked(line) else { continue };
            let test = test_after(lines[number + 1..].iter().copied());
            let (attribute, test) =
                test.unwrap_or_else(|| panic!("{}:{}: no test follows", path.display(), number + 1));
            let place = if is_on_the_cluster(&path, attribute) { "" } else { " (unit)" };
            for attack in attacks {
                shown.entry(attack.to_owned()).or_default().push(format!("`{}::{test}`{place}", module(&path)));
            }
        }
    }
    shown
}

#[test]
fn every_attack_is_shown_by_tests_and_docs_say_by_which() {
    let shown = shown();
    for attack in shown.keys() {
        assert!(ATTACKS.iter().any(|(known, ..)| known == attack), "{attack} is no attack of the table");
    }
    let mut page = "# Attacks\n\nWhat somebody may try, what stops him, and which tests show it. Tests ask a real API server, as \
                    people with their own certificates or as the operator with its own token; those marked (unit) need none: they \
                    look at the code alone, at the shipped roles or at the definitions.\n\
                    Made from the tests: `UPDATE_GOLDEN=1 cargo test --test integration attacks`.\n\n\
                    | | attack | what stops it | tests |\n|---|---|---|---|\n"
        .to_owned();
    for (attack, tried, stopped) in ATTACKS {
        let tests = shown.get(attack).unwrap_or_else(|| panic!("no test shows {attack}: {tried}"));
        let _ = writeln!(page, "| {attack} | {tried} | {stopped} | {} |", tests.join("<br>"));
    }
    page.push_str("\nNot here:\n\n");
    for (attack, why) in ELSEWHERE {
        let _ = writeln!(page, "- {attack}: {why}.");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/attacks.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, page).expect("written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "run UPDATE_GOLDEN=1 cargo test --test integration attacks");
}

#[test]
fn a_mark_is_followed_by_its_test() {
    assert_eq!(marked("// Attacks T1, T32."), Some(vec!["T1", "T32"]));
    assert_eq!(marked("    // Attack T2."), Some(vec!["T2"]));
    assert_eq!(marked("// Attack T15: and what of it."), Some(vec!["T15"]));
    assert_eq!(marked("// An attack."), None);
    let test = ["#[tokio::test(flavor = \"multi_thread\")]", "#[ignore]", "async fn it_holds() {"];
    assert_eq!(test_after(test.into_iter()), Some((test[0], "it_holds")));
    assert_eq!(test_after(["fn no_test() {"].into_iter()), None);
}
