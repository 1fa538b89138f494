//! What the code may look like: who may use whom, how long things are, what they are called.
//!
//! Every rule is a function from one source file to the sentences that are wrong with it, so each is
//! also tried here on code that breaks it. [`LAYERS`] is the one place where the directions of
//! dependencies are written down.

mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// The bound on a function's lines, without comments and empty lines; `clippy.toml` has the same.
const FUNCTION_LINES: usize = 60;
/// The bound on a file's lines, without its tests.
const FILE_LINES: usize = 400;

/// One top-level module of `src` and what it may use.
struct Layer {
    name: &'static str,
    /// The other layers that it may use.
    ours: &'static [&'static str],
    /// The crates, or paths in them, that it may use.
    crates: Crates,
    /// What is lost if it uses more.
    why: &'static str,
}

enum Crates {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// Dependencies point downwards only.
const LAYERS: &[Layer] = &[
    Layer {
        name: "domain",
        ours: &[],
        crates: Crates::Only(&[
            "std",
            "base64",
            "cel",
            "croner",
            "jiff",
            "regex",
            "semver",
            "serde",
            "serde_json",
            "serde_saphyr",
            "sha2",
            "thiserror",
        ]),
        why: "the rules must not know Kubernetes, a network, a clock or a log",
    },
    Layer {
        name: "api",
        ours: &["domain"],
        crates: Crates::AllBut(&[
            "tokio",
            "tokio_util",
            "futures",
            "tracing",
            "prometheus",
            "axum",
            "reqwest",
            "oci_client",
            "tower",
            "kube::client",
            "kube::runtime",
            "kube::api",
            "kube::Client",
            "kube::Api",
        ]),
        why: "the kinds are data that a tool without a cluster can use",
    },
    Layer { name: "error", ours: &[], crates: Crates::AllBut(&["axum"]), why: "everything stands on it" },
    Layer { name: "telemetry", ours: &["error"], crates: Crates::AllBut(&[]), why: "metrics must not know the kinds" },
    Layer {
        name: "cluster",
        ours: &["telemetry", "error"],
        crates: Crates::AllBut(&["axum"]),
        why: "it talks to Kubernetes and must not know our kinds and rules",
    },
    Layer {
        name: "registry",
        ours: &["domain", "telemetry", "error"],
        crates: Crates::AllBut(&["kube", "k8s_openapi", "axum"]),
        why: "it talks to registries of images and must not know Kubernetes",
    },
    Layer {
        name: "steps",
        ours: &["cluster", "registry", "domain", "telemetry", "error"],
        crates: Crates::AllBut(&["axum"]),
        why: "a step does its work without knowing who asked",
    },
    Layer {
        name: "settings",
        ours: &["domain", "error"],
        crates: Crates::AllBut(&["kube", "axum"]),
        why: "settings are values that everything can be given",
    },
    Layer {
        name: "server",
        ours: &["telemetry", "settings", "error"],
        crates: Crates::AllBut(&[]),
        why: "it shows what it is given",
    },
    Layer {
        name: "controllers",
        ours: &["api", "domain", "steps", "cluster", "registry", "telemetry", "settings", "error"],
        crates: Crates::AllBut(&["axum"]),
        why: "only the command line starts them and only the server shows them",
    },
    Layer {
        name: "dashboard",
        ours: &["api", "domain", "cluster", "telemetry", "settings", "error"],
        crates: Crates::AllBut(&[]),
        why: "it shows what is in the cluster, with its caller's rights",
    },
    Layer {
        name: "cli",
        ours: &[
            "api",
            "controllers",
            "dashboard",
            "domain",
            "steps",
            "cluster",
            "registry",
            "server",
            "telemetry",
            "settings",
            "error",
        ],
        crates: Crates::AllBut(&[]),
        why: "it is the top",
    },
];

/// What a file that decides may not use: deciding is a function of what was observed.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures",
    "tracing",
    "prometheus",
    "reqwest",
    "kube::client",
    "kube::runtime",
    "kube::api",
    "kube::Client",
    "kube::Api",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];

/// Words that say nothing about what is inside.
const EMPTY_WORDS: &[&str] = &["util", "utils", "helper", "helpers", "manager", "common", "misc", "handle"];

#[test]
fn dependencies_point_downwards_only() {
    every_file(&["src"], layers);
}

#[test]
fn what_decides_is_pure() {
    every_file(&["src"], purity);
}

#[test]
fn functions_and_files_are_short() {
    every_file(&["src", "tests/plane/src", "examples", "benches"], lengths);
}

#[test]
fn names_say_what_is_inside() {
    every_file(&["src", "tests", "examples", "benches"], names);
}

#[test]
fn nothing_panics_on_purpose_outside_tests() {
    every_file(&["src", "tests/plane/src"], panics);
}

#[test]
fn the_test_cluster_is_no_part_of_the_operator() {
    let dependencies = source::crates(&read("Cargo.toml"), &["dependencies"]);
    assert!(!dependencies.contains("gantry_plane"), "Cargo.toml: gantry-plane belongs under [dev-dependencies]");
}

#[test]
fn there_is_one_tls_stack() {
    let lock = read("Cargo.lock");
    for other in ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"] {
        let found = lock.contains(&format!("name = \"{other}\"\n"));
        assert!(!found, "Cargo.lock has {other}: choose features of its dependent that use rustls with ring");
    }
}

/// Which layers and crates a file uses that it must not.
fn layers(file: &Source) -> Vec<String> {
    let Some(top) = file.module.first() else { return Vec::new() };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == top) else {
        return vec![format!("{} is in no layer: add `{top}` to LAYERS in tests/architecture.rs", file.path)];
    };
    let mut wrong = Vec::new();
    for import in &file.imports {
        let used = import.path.join("::");
        let allowed = match (import.ours, import.path.first()) {
            (_, None) => true,
            (true, Some(other)) => other == top || layer.ours.contains(&other.as_str()) || !is_layer(other),
            (false, Some(name)) => match layer.crates {
                Crates::Only(crates) => crates.contains(&name.as_str()),
                Crates::AllBut(paths) => !paths.iter().any(|path| is_within(&used, path)),
            },
        };
        if !allowed {
            wrong.push(format!(
                "{}:{} uses {used}: {} (see LAYERS in tests/architecture.rs)",
                file.path, import.line, layer.why
            ));
        }
    }
    wrong
}

fn is_layer(name: &str) -> bool {
    LAYERS.iter().any(|layer| layer.name == name)
}

fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Held to it: the domain, every `decide.rs`, and every file whose first comment says that it is pure.
fn is_pure(file: &Source) -> bool {
    let decides = file.module.last().is_some_and(|name| name == "decide");
    file.module.first().is_some_and(|top| top == "domain") || decides || file.doc.contains("Pure")
}

/// What a file that must be pure does that is not.
fn purity(file: &Source) -> Vec<String> {
    const RULE: &str = "what decides must be a pure function of what was observed, the time included (see IMPURE in tests/architecture.rs)";
    if !is_pure(file) {
        return Vec::new();
    }
    let outside = file.imports.iter().filter(|import| !import.ours);
    let imports = outside
        .map(|import| (import.line, import.path.join("::")))
        .filter(|(_, path)| IMPURE.iter().any(|impure| is_within(path, impure)))
        .map(|(line, path)| format!("{}:{line} uses {path}: {RULE}", file.path));
    let words = file.tokens.windows(3).filter_map(|tokens| {
        let [before, word, after] = tokens else { return None };
        let reads_clock = matches!(word.text.as_str(), "now" | "elapsed") && after.text == "(" && before.text != "fn";
        let waits = matches!(word.text.as_str(), "async" | "await");
        let unordered = matches!(word.text.as_str(), "HashMap" | "HashSet");
        let found = reads_clock || waits || unordered;
        found.then(|| format!("{}:{} says `{}`: {RULE}", file.path, word.line, word.text))
    });
    imports.chain(words).collect()
}

/// Functions and files that are too long.
fn lengths(file: &Source) -> Vec<String> {
    let functions = file.functions.iter().filter(|function| function.lines > FUNCTION_LINES).map(|function| {
        format!(
            "{}:{} {} has {} lines: split it, {FUNCTION_LINES} are the most (see clippy.toml)",
            file.path, function.line, function.name, function.lines
        )
    });
    let long = (file.lines > FILE_LINES).then(|| {
        format!(
            "{} has {} lines without its tests: split it by concept, {FILE_LINES} are the most (see FILE_LINES in tests/architecture.rs)",
            file.path, file.lines
        )
    });
    functions.chain(long).collect()
}

/// Names that say nothing.
fn names(file: &Source) -> Vec<String> {
    let rule = "a name says what is inside (see EMPTY_WORDS in tests/architecture.rs)";
    let mut wrong = Vec::new();
    if file.path.ends_with("/mod.rs") {
        wrong.push(format!("{}: name the file after its module, not mod.rs: {rule}", file.path));
    }
    let parts = file.path.trim_end_matches(".rs").split('/').flat_map(|part| part.split(['_', '-']));
    for part in parts.filter(|part| EMPTY_WORDS.contains(part)) {
        wrong.push(format!("{}: `{part}` is an empty word: {rule}", file.path));
    }
    for function in &file.functions {
        if let Some(word) = function.name.split('_').find(|word| EMPTY_WORDS.contains(word)) {
            let (path, line, name) = (&file.path, function.line, &function.name);
            wrong.push(format!("{path}:{line} {name}: `{word}` is an empty word: {rule}"));
        }
    }
    wrong
}

/// Calls that end the process.
fn panics(file: &Source) -> Vec<String> {
    let rule = "return an error that says what to do (see [workspace.lints.clippy] in Cargo.toml)";
    let call = |tokens: &[source::Token]| {
        let [before, word, after] = tokens else { return None };
        let method = before.text == "." && after.text == "(" && matches!(word.text.as_str(), "unwrap" | "expect");
        let makro = after.text == "!" && matches!(word.text.as_str(), "panic" | "todo" | "unimplemented");
        (method || makro).then(|| format!("{}:{} calls {}: {rule}", file.path, word.line, word.text))
    };
    file.tokens.windows(3).filter_map(call).collect()
}

/// Applies `rule` to each source file below `folders`, and fails with all of its sentences.
fn every_file(folders: &[&str], rule: fn(&Source) -> Vec<String>) {
    let crates = source::crates(&read("Cargo.toml"), &["dependencies", "dev-dependencies"]);
    let mut files: Vec<PathBuf> = folders.iter().flat_map(|folder| rust_files(&root().join(folder))).collect();
    files.sort();
    files.dedup();
    assert!(!files.is_empty(), "no source file below {folders:?}");
    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        match Source::parse(&path, &fs::read_to_string(&file).unwrap(), &crates) {
            Ok(source) => wrong.extend(rule(&source)),
            Err(error) => wrong.push(format!("{path} cannot be parsed: {error}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Each rule, on code that breaks it and on code that does not.
mod rules {
    use super::*;

    fn wrong(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
        let crates = ["std", "kube", "tokio", "jiff", "proptest"].map(str::to_owned).into();
        rule(&Source::parse(path, text, &crates).unwrap())
    }

    fn breaks(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> bool {
        let found = wrong(rule, path, text);
        assert!(found.len() <= 1, "{found:?}");
        found.iter().all(|sentence| sentence.starts_with(path)) && !found.is_empty()
    }

    #[test]
    fn a_layer_uses_only_what_is_below_it() {
        for text in [
            "use kube::Client;",
            "use crate::api::condition;",
            "use super::super::cluster::lease;",
            "use crate::{api, domain};",
            "fn f() { tokio::spawn(x); }",
            "fn f() { assert!(crate::api::ok()); }",
            "type T = Vec<kube::core::Status>;",
        ] {
            assert!(breaks(layers, "src/domain/queue.rs", text), "{text}");
        }
        for text in [
            "use std::fmt; use jiff::Timestamp; use super::name; use crate::domain::lifecycle;",
            "use kubernetes::Client; enum A { B } use A::B;",
            "#[cfg(test)] mod tests { use proptest::prelude::*; use crate::api; }",
            "/// `kube::Client` and [`crate::api`]\nfn f() {}",
        ] {
            assert_eq!(wrong(layers, "src/domain/queue.rs", text), [""; 0], "{text}");
        }
        assert!(breaks(layers, "src/cluster/lease.rs", "use crate::domain::queue;"));
        assert!(breaks(layers, "src/api/condition.rs", "use kube::runtime::watcher;"));
        assert!(!breaks(layers, "src/api/condition.rs", "use kube::CustomResource;"));
        assert!(breaks(layers, "src/novelty.rs", ""));
        assert_eq!(
            wrong(layers, "src/domain/queue.rs", "\nuse kube::Client;"),
            [
                "src/domain/queue.rs:2 uses kube::Client: the rules must not know Kubernetes, a network, a clock or a log (see LAYERS in tests/architecture.rs)"
            ]
        );
    }

    #[test]
    fn what_decides_neither_waits_nor_reads_a_clock() {
        let decide = "src/controllers/promotion/decide.rs";
        for text in [
            "fn f() { Timestamp::now(); }",
            "fn f() { g(format!(\"{}\", Timestamp::now())); }",
            "fn f(clock: Clock) { clock.now(); }",
            "async fn f() {}",
            "use kube::Api;",
            "fn f() { std::env::var(X); }",
            "type T = HashMap<u8, u8>;",
        ] {
            assert!(breaks(purity, decide, text), "{text}");
            assert!(breaks(purity, "src/controllers/x.rs", &format!("//! Rows. Pure.\n{text}")), "{text}");
            assert!(!breaks(purity, "src/controllers/x.rs", text), "{text}");
        }
        assert!(!breaks(purity, decide, "use kube::ResourceExt; fn f(now: Timestamp) { g(now) }"));
        assert!(!breaks(purity, decide, "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { Timestamp::now(); } }"));
    }

    #[test]
    fn length_counts_code_and_not_tests() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        assert!(!breaks(lengths, "src/a.rs", &function(60)));
        assert!(breaks(lengths, "src/a.rs", &function(61)));
        assert!(breaks(lengths, "src/a.rs", &format!("impl A {{ {} }}", function(61))));
        assert!(!breaks(lengths, "src/a.rs", &format!("fn f() {{\n{}}}", "\n    // why\n".repeat(61))));
        assert!(breaks(lengths, "src/a.rs", &"const A: u8 = 1;\n".repeat(401)));
        let tested = format!("const A: u8 = 1;\n#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(401));
        assert!(!breaks(lengths, "src/a.rs", &tested));
    }

    #[test]
    fn empty_words_are_found_in_files_and_functions() {
        for path in [
            "src/util.rs",
            "src/a/helpers.rs",
            "src/lease_manager.rs",
            "src/common/a.rs",
            "src/handle_x.rs",
            "src/a/mod.rs",
        ] {
            assert!(breaks(names, path, ""), "{path}");
        }
        assert!(breaks(names, "src/a.rs", "fn handle_event() {}"));
        assert!(!breaks(names, "src/commonality.rs", "fn handles() {}"));
    }

    #[test]
    fn panics_are_found_outside_tests_only() {
        for text in ["fn f() { g().unwrap(); }", "fn f() { h!(g().expect(\"x\")); }", "fn f() { panic!(); }"] {
            assert!(breaks(panics, "src/a.rs", text), "{text}");
            assert!(!breaks(panics, "src/a.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}")), "{text}");
            assert!(!breaks(panics, "src/a/tests.rs", text), "{text}");
        }
        assert!(!breaks(panics, "src/a.rs", "#[expect(dead_code, reason = \"x\")]\nfn f() { g().unwrap_or(1); }"));
    }
}
