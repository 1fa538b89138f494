//! What is wrong is refused when it is written, or said in a condition within a second, with the field and the remedy.
//!
//! The second is measured by the API server's own log: from the arrival of the object to the answer to the write that says what is
//! wrong with it. Everything else on the machine runs at the same time, so it is measured several times, each time with an object of
//! its own, and the median counts: neither the best moment of the machine nor its worst.

use gantry_plane::{AuditEvent, Login, Registry, RegistryOptions};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, deployment};
use crate::support::shared::{is_write_of_the_operator, shared};
use crate::support::space::Space;
use crate::support::wait::PATIENCE;

/// How long it may take until something wrong is said.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);
/// How often it is measured, at most: as soon as more than half say the same, the median is on that side.
const TRIES: usize = 7;

/// Something wrong.
struct Wrong {
    what: &'static str,
    /// What is there before.
    before: Vec<Value>,
    /// What makes it wrong: an object of this kind, name and spec, made anew for each try.
    object: (&'static str, String, Value),
    /// The field and the remedy.
    says: Vec<String>,
}

impl Wrong {
    fn new(what: &'static str, object: (&'static str, &str, Value), says: &[&str]) -> Self {
        let says = says.iter().map(|&word| word.to_owned()).collect();
        Self { what, before: Vec::new(), object: (object.0, object.1.to_owned(), object.2), says }
    }

    fn after(mut self, before: impl IntoIterator<Item = Value>) -> Self {
        self.before.extend(before);
        self
    }

    /// The object of this try. A release is named by its version.
    fn object(&self, space: &Space, (number, attempt): (usize, usize)) -> Value {
        let (kind, name, mut spec) = self.object.clone();
        if kind != "Release" {
            return space.object(kind, &format!("{name}-{attempt}"), spec);
        }
        let version = format!("2.{number}.{attempt}");
        spec["project"] = json!(name);
        spec["version"] = json!(version);
        space.object(kind, &format!("{name}-{version}"), spec)
    }
}

/// What a write of a status says to people: its sentence, and those of its conditions.
fn sentences(written: &Value) -> String {
    let status = &written["status"];
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = conditions.iter().map(|condition| &condition["message"]).chain([&status["message"]]);
    said.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// How long it took from the object until what is wrong with it was said; else what was said.
async fn measured(space: &Space, wrong: &Wrong, place: (usize, usize)) -> Result<SignedDuration, Vec<String>> {
    let audit = shared().await.plane.audit();
    let (mark, object) = (audit.mark(), wrong.object(space, place));
    space.apply(object.clone()).await;
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    let of_object =
        |event: &AuditEvent| event.namespace == space.name && event.name == name && event.group == "gantry.dev";
    let made = audit.find(mark, PATIENCE, |event| of_object(event) && event.code == 201).await.expect("it was made");
    let told = |event: &AuditEvent| {
        let status = event.subresource == "status" && event.code == 200 && is_write_of_the_operator(event);
        (of_object(event) && status).then(|| event.request_object.as_ref().map(sentences).unwrap_or_default())
    };
    let said = |event: &AuditEvent| told(event).is_some_and(|told| wrong.says.iter().all(|word| told.contains(word)));
    match audit.find(mark, PATIENCE / 4, said).await {
        Ok(said) => Ok(time(&said.answered).duration_since(time(&made.received))),
        Err(_) => Err(audit.since(mark).expect("an audit log").iter().filter_map(told).collect()),
    }
}

fn project(space: &Space, name: &str, (packages, apply): (Value, Value)) -> Value {
    let spec = json!({"packages": packages, "process": [{"name": "deploy", "timeout": "2m", "apply": apply}]});
    space.object("Project", name, spec)
}

/// What is wrong with names: of environments, releases, projects, packages, versions.
fn names(space: &Space, image: &str) -> Vec<Wrong> {
    let settings = json!({"manifests": [config_map("settings", "x")]});
    let good = project(space, "good", (json!([{"name": "api", "image": image}]), settings));
    let promotion = |project: &str, version: &str, environment: &str| json!({"project": project, "version": version, "environment": environment});
    let release = |package: &str, version: &str| json!({"packages": [{"name": package, "version": version}]});
    let mut wrong = vec![
        Wrong::new(
            "an unknown environment",
            ("Promotion", "nowhere", promotion("good", "1.0.0", "nowhere")),
            &["environment nowhere (spec.environment) does not exist", "create it, or cancel this promotion"],
        ),
        Wrong::new(
            "an unknown release",
            ("Promotion", "unmade", promotion("good", "9.9.9", "dev")),
            &["release good-9.9.9 (spec.version) does not exist", "create it, or cancel this promotion"],
        ),
        Wrong::new(
            "an unknown project",
            ("Promotion", "nobody", promotion("nobody", "1.0.0", "dev")),
            &["project nobody (spec.project) does not exist", "create it, or cancel this promotion"],
        ),
        Wrong::new(
            "a release of an unknown project",
            ("Release", "nobody", release("api", "1.0.0")),
            &["project nobody does not exist", "create it, or correct spec.project"],
        ),
        Wrong::new(
            "an unknown package",
            ("Release", "good", release("web", "1.0.0")),
            &[
                "spec.packages[0].name",
                "package web",
                "only api",
                "add it to the project, or make a release without it",
            ],
        ),
        Wrong::new(
            "a version that is not in the registry",
            ("Release", "good", release("api", "9.9.9")),
            &["no version 9.9.9", "push it, or correct spec.packages[0].version"],
        ),
    ];
    let sealed = json!({"project": "good", "version": "1.0.0", "packages": [{"name": "api", "version": "1.0.0"}]});
    wrong[0].before = vec![good, space.object("Release", "good-1.0.0", sealed)];
    wrong
}

/// A ConfigMap with this text, and a project that takes its manifests from there.
fn from(space: &Space, name: &str, text: &str) -> [Value; 2] {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space.name}, "data": {"app.yaml": text}});
    [map, project(space, name, (json!([]), json!({"manifestsFrom": {"configMap": name}})))]
}

/// Objects of Gantry among those that are to be applied.
fn own_kinds(space: &Space) -> Vec<Wrong> {
    vec![
        Wrong::new(
            "an object of Gantry in a ConfigMap",
            ("Release", "own", json!({})),
            &["step deploy", "ConfigMap own, key app.yaml", "apiVersion: is Gantry's own", "remove it"],
        )
        .after(from(
            space,
            "own",
            "apiVersion: gantry.dev/v1alpha1\nkind: Promotion\nmetadata: {name: mine}\nspec: {project: own, version: 1.0.0, environment: dev}\n",
        )),
        Wrong::new(
            "an object of Gantry in a manifest",
            ("Project", "inline", json!({"process": [{"name": "deploy", "apply": {"manifests": [
                {"apiVersion": "gantry.dev/v1alpha1", "kind": "Pin", "metadata": {"name": "own.dev"}},
            ]}}]})),
            &["spec.process[0].apply.manifests[0].apiVersion", "Gantry's own kinds: remove the Pin"],
        ),
    ]
}

/// What is wrong with manifests when a release is made.
fn manifests(space: &Space) -> Vec<Wrong> {
    let large =
        json!({"manifests": [config_map("a", &"x".repeat(150 << 10)), config_map("b", &"x".repeat(150 << 10))]});
    vec![
        Wrong::new(
            "a manifest that is not an object",
            ("Release", "text", json!({})),
            &["step deploy", "ConfigMap text, key app.yaml", "an object"],
        )
        .after(from(space, "text", "- just\n- words\n")),
        Wrong::new(
            "a manifest that is not YAML",
            ("Release", "broken", json!({})),
            &["step deploy", "ConfigMap broken, key app.yaml", "is not YAML", "correct the text"],
        )
        .after(from(space, "broken", "kind: [ConfigMap")),
        Wrong::new(
            "a manifest without a kind",
            ("Release", "kindless", json!({})),
            &["spec.process[0].apply.manifests[0].kind: it is missing", "add kind"],
        )
        .after([project(
            space,
            "kindless",
            (json!([]), json!({"manifests": [{"apiVersion": "v1", "metadata": {"name": "x"}}]})),
        )]),
        Wrong::new(
            "manifests that are too large",
            ("Release", "large", json!({})),
            &["spec.process", "may be 256", "split the project"],
        )
        .after([project(space, "large", (json!([]), large))]),
        Wrong::new(
            "an object too large by itself",
            ("Release", "huge", json!({})),
            &["step deploy, ConfigMap a: is larger than 256 KiB: split it"],
        )
        .after([project(
            space,
            "huge",
            (json!([]), json!({"manifests": [config_map("a", &"x".repeat(300 << 10))]})),
        )]),
        Wrong::new(
            "an image that is not of the project",
            ("Release", "foreign", json!({})),
            &[
                "spec.template.spec.containers[0].image: image docker.io/library/nginx:latest",
                "add it to the project's packages, or write it with @sha256:",
            ],
        )
        .after([project(
            space,
            "foreign",
            (json!([]), json!({"manifests": [deployment("x", "docker.io/library/nginx:latest")]})),
        )]),
    ]
}

/// What is wrong with where steps run, and with what a promotion leaves out; `names` made the release `good-1.0.0`.
fn steps() -> Vec<Wrong> {
    let settings = json!({"manifests": [config_map("settings", "x")]});
    let process = |key: &str, value: Value| {
        let mut step = json!({"name": "deploy", "apply": settings});
        step[key] = value;
        json!({"process": [step]})
    };
    let part = |key: &str, value: Value| {
        let mut part = json!({"project": "good", "version": "1.0.0", "environment": "dev"});
        part[key] = value;
        part
    };
    vec![
        Wrong::new(
            "a condition that is no expression",
            ("Project", "condition", process("when", json!("promotion.mode = 'Deploy'"))),
            &["spec.process[0].when: the expression is not CEL", "correct it"],
        ),
        Wrong::new(
            "a step for an unknown channel",
            ("Project", "channel", process("channels", json!(["beta"]))),
            &["spec.process[0].channels[0]: there is no channel beta", "correct it, or add the channel"],
        ),
        Wrong::new(
            "an unknown target",
            ("Promotion", "target", part("targets", json!(["asia"]))),
            &["environment dev has no target asia (spec.targets[0]), it has default", "with one of these"],
        ),
        Wrong::new(
            "an unknown step",
            ("Promotion", "step", part("skipSteps", json!(["migrate"]))),
            &["release good-1.0.0 has no step migrate (spec.skipSteps[0]), it has deploy", "with one of these"],
        ),
    ]
}

/// What only the target's API server can say, before anything is applied.
fn objects(space: &Space) -> Vec<Wrong> {
    let mut elsewhere = config_map("x", "y");
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "mine"}, "rules": []});
    let rocket = json!({"apiVersion": "example.com/v1", "kind": "Rocket", "metadata": {"name": "x"}});
    let cases = [
        (
            "a cluster-scoped kind",
            "wide",
            role,
            vec!["ClusterRole mine: kind: ClusterRole belongs to no namespace", "remove it"],
        ),
        ("a foreign namespace", "abroad", elsewhere, vec!["metadata.namespace", "remove the field"]),
        (
            "an unknown kind",
            "rocket",
            rocket,
            vec!["Rocket x: kind: the cluster has no kind Rocket", "correct it, or install its definition"],
        ),
    ];
    let wrong = cases.into_iter().map(|(what, name, manifest, says)| {
        let spec = json!({"project": name, "version": "1.0.0", "environment": "dev"});
        let release = json!({"project": name, "version": "1.0.0"});
        let before = [
            project(space, name, (json!([]), json!({"manifests": [manifest]}))),
            space.object("Release", &format!("{name}-1.0.0"), release),
        ];
        Wrong::new(what, ("Promotion", name, spec), &says).after(before)
    });
    wrong.collect()
}

/// What is wrong with the Secret for a registry.
fn secrets(space: &Space, image: &str) -> Vec<Wrong> {
    let secret = |name: &str, kind: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": space.name}, "stringData": data});
    let docker =
        |name: &str, config: &str| secret(name, "kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": config}));
    let other = json!({"auths": {"ghcr.io": {"username": "robot", "password": "x"}}}).to_string();
    let host = image.split('/').next().unwrap_or_default();
    let garbled = json!({"auths": {host: {"auth": "%%%"}}}).to_string();
    let wrong_password = json!({"auths": {host: {"username": "robot", "password": "x"}}}).to_string();
    let make = "kubectl create secret docker-registry";
    let cases = [
        (
            "a Secret that is not there",
            "absent",
            None,
            vec!["Secret absent does not exist", "create it, or correct the package's pullSecret"],
        ),
        (
            "a Secret of another type",
            "opaque",
            Some(secret("opaque", "Opaque", json!({"password": "x"}))),
            vec!["Secret opaque is not of type kubernetes.io/dockerconfigjson", make],
        ),
        (
            "a Secret without credentials for the registry",
            "other",
            Some(docker("other", &other)),
            vec![
                "Secret other cannot be used: .dockerconfigjson has no entry in auths for",
                "add one for its registry",
            ],
        ),
        (
            "a Secret whose entry does not read",
            "garbled",
            Some(docker("garbled", &garbled)),
            vec![
                "Secret garbled cannot be used: .dockerconfigjson",
                ".auth: it is not the base64 of username:password",
            ],
        ),
        (
            "a Secret with a wrong password",
            "refused",
            Some(docker("refused", &wrong_password)),
            vec!["Secret refused, the package's pullSecret", "correct that Secret"],
        ),
    ];
    let wrong = cases.into_iter().map(|(what, name, object, says)| {
        let packages = json!([{"name": "api", "image": image, "pullSecret": name}]);
        let settings = json!({"manifests": [config_map("settings", "x")]});
        let release = json!({"packages": [{"name": "api", "version": "1.0.0"}]});
        let before = object.into_iter().chain([project(space, name, (packages, settings))]);
        Wrong::new(what, ("Release", name, release), &says).after(before)
    });
    let copied = Wrong::new(
        "a Secret that cannot be copied to an environment",
        ("Environment", "copies", json!({"order": 90, "pullSecrets": ["absent"]})),
        &["spec.pullSecrets[0]: ", "does not exist in space"],
    );
    wrong.chain([copied]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_within_a_second_with_field_and_remedy() {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    space.environment("dev", 10).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    let login = Login { user: "robot".into(), password: "right-password".into() };
    let options = RegistryOptions { auth: Some(login), ..RegistryOptions::default() };
    let locked = Registry::start(options).await.expect("a registry");
    let private = format!("{}/private/api", locked.host());
    let mut all = names(&space, &image);
    all.extend(manifests(&space));
    all.extend(own_kinds(&space));
    all.extend(steps());
    all.extend(objects(&space));
    all.extend(secrets(&space, &private));
    let mut wanting = Vec::new();
    for (number, wrong) in all.iter().enumerate() {
        for object in &wrong.before {
            space.apply(object.clone()).await;
            if object["kind"] == "Release" {
                space.sealed(object["metadata"]["name"].as_str().expect("a name")).await;
            }
        }
        let (mut at_once, mut late) = (0, Vec::new());
        for attempt in 0..TRIES {
            match measured(&space, wrong, (number, attempt)).await {
                Ok(took) if took < AT_ONCE => at_once += 1,
                Ok(took) => late.push(took),
                Err(said) => {
                    wanting.push(format!("{}: not {:?}, but {said:#?}", wrong.what, wrong.says));
                    break;
                }
            }
            if at_once.max(late.len()) > TRIES / 2 {
                break;
            }
        }
        if late.len() > TRIES / 2 {
            wanting.push(format!("{}: {at_once} times at once, but else only after {late:?}", wrong.what));
        }
    }
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_seen_without_looking_elsewhere_is_refused_when_it_is_written() {
    let space = Space::create(shared().await.admin().await).await;
    let package = |image: &str| json!([{"name": "api", "image": image}]);
    let settings = json!({"manifests": [config_map("settings", "x")]});
    let text = json!({"manifests": ["just words"]});
    let cases = [
        (
            project(&space, "tagged", (package("ghcr.io/acme/api:1.0.0"), settings)),
            ["spec.packages[].image", "versions belong to releases"],
        ),
        (project(&space, "text", (json!([]), text)), [".apply.manifests[0]", "expected map"]),
        (
            space.object(
                "Environment",
                "prod",
                json!({"order": 10, "targets": [{"name": "default", "namespace": "kube-system"}]}),
            ),
            ["namespace", "kube-"],
        ),
        (
            space.object("Release", "other-1.0.0", json!({"project": "checkout", "version": "1.0.0"})),
            ["metadata.name must be", "<spec.project>-<spec.version>"],
        ),
    ];
    for (object, words) in cases {
        let name = object["metadata"]["name"].clone();
        let refused = space.try_apply(object).await.expect_err("it is refused");
        assert!(words.iter().all(|word| refused.contains(word)), "{name}: {refused}");
    }
}

#[test]
fn every_command_names_an_invalid_kubeconfig_with_its_field_and_shows_nothing_of_it() {
    let config = |user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts: [{{name: two, context: {{cluster: shop}}}}]\nusers: [{user}]\n"
        )
    };
    let cases = [
        (config("{name: ann, user: {token: s3cr3t: x}}"), "it is no YAML of a kubeconfig at line 5, column "),
        (
            config("{name: ann, user: {token: s3cr3t}}"),
            "current-context: contexts has no \"one\"; choose one with kubectl",
        ),
    ];
    let directory = std::env::temp_dir().join(format!("gantry-invalid-kubeconfig-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a folder");
    for (n, (text, expected)) in cases.into_iter().enumerate() {
        let path = directory.join(n.to_string());
        std::fs::write(&path, text).expect("a file");
        for command in [&["controller", "--namespace=gantry-system"][..], &["audit", "verify"], &["uninstall"]] {
            let mut gantry = std::process::Command::new(env!("CARGO_BIN_EXE_gantry"));
            let ended = gantry.args(command).arg("--kubeconfig").arg(&path).output().expect("gantry runs");
            let said = String::from_utf8(ended.stderr).expect("text");
            assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{command:?}: {said}");
            assert!(said.contains(&format!("kubeconfig {}: {expected}", path.display())), "{command:?}: {said}");
            assert!(!said.contains("s3cr3t"), "{command:?}: {said}");
        }
    }
    std::fs::remove_dir_all(&directory).expect("the folder goes");
}
