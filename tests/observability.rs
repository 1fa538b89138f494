//! What the operator says of itself: metrics, probes, logs; and that one broken object stops nobody else.

use gantry::api::condition::{self, ConditionType};
use gantry::api::crds;
use gantry::api::v1alpha1::{Environment, Freeze, Lifecycle, Project, Promotion, Release, ReleaseStatus};
use gantry_plane::{Identity, Options, Plane};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, ObjectMeta};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::manifest::{config_map, failing};
use crate::support::operator::Operator;
use crate::support::shared::{self, shared};
use crate::support::space::Space;
use crate::support::wait;

async fn shop() -> (Space, String) {
    let cluster = shared().await;
    let space = Space::create(cluster.admin().await).await;
    let image = format!("{}/checkout", cluster.plane.registry().host());
    space.environment("dev", 10).await;
    (space, image)
}

/// Waits until `/metrics` has a line with all of these words, and gives it back.
async fn series(words: &[&str]) -> String {
    let operator = &shared().await.operator;
    wait::eventually(&format!("a series with {words:?}"), || async {
        let (_, text) = operator.get("/metrics").await.ok()?;
        text.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_runs_what_waits_and_how_it_ended() {
    let (space, image) = shop().await;
    let here = format!("space=\"{}\"", space.name);
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let namespace = format!("target_namespace=\"{}-dev\"", space.name);
    series(&["gantry_deployment_info", &here, "version=\"1.0.0\"", &namespace, " 1"]).await;
    series(&["gantry_promotions_total", &here, "result=\"Succeeded\"", " 1"]).await;
    series(&["gantry_promotion_duration_seconds_count", &here, " 1"]).await;
    series(&["gantry_lead_time_seconds_count", &here, " 1"]).await;
    series(&["gantry_leader", " 1"]).await;
    series(&["gantry_reconciles_total", "controller=\"promotion\""]).await;
    series(&["gantry_api_requests_total", "verb=\"get\"", "resource=\"promotions\""]).await;
    space.project("checkout", &image, json!([failing("checkout", &image, "never-ready")])).await;
    space.release("checkout", "1.1.0").await;
    let running = space.promote("checkout", "1.1.0", "dev").await;
    series(&["gantry_promotions_running", &here, " 1"]).await;
    let waiting = json!({"project": "checkout", "version": "1.0.0", "environment": "dev"});
    space.apply(space.object("Promotion", "next", waiting)).await;
    series(&["gantry_promotion_waiting_since_seconds", &here, "reason=\"QueuedBehind\""]).await;
    let promotions: Api<Promotion> = space.api();
    let cancel = Patch::Merge(json!({"spec": {"cancel": {}}}));
    promotions.patch(&running, &PatchParams::default(), &cancel).await.expect("canceled");
    series(&["gantry_promotions_total", &here, "result=\"Canceled\"", " 1"]).await;
    series(&["gantry_promotions_running", &here, " 0"]).await;
    let (_, text) = shared().await.operator.get("/metrics").await.expect("metrics");
    assert!(!text.contains("checkout-1.0.0-dev"), "no promotion is a label");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_failed_says_since_when_until_it_is_well_again() {
    let (space, image) = shop().await;
    space.project("checkout", &image, json!([failing("checkout", &image, "image-pull")])).await;
    space.release("checkout", "1.0.0").await;
    let failed = space.promote("checkout", "1.0.0", "dev").await;
    let ended = space.ended(&failed).await.status.expect("a status").finished_at.expect("an end").0;
    let here = format!("space=\"{}\"", space.name);
    let line = series(&["gantry_failed_since_seconds", &here, "environment=\"dev\""]).await;
    let since: f64 = line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a time");
    assert!((since - ended.as_duration().as_secs_f64()).abs() < 1.0, "{since} {ended}");
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    space.release("checkout", "1.1.0").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    wait::eventually("the failure is over", || async {
        let (_, text) = shared().await.operator.get("/metrics").await.ok()?;
        let failed = text.lines().any(|line| line.starts_with("gantry_failed_since_seconds") && line.contains(&here));
        (!failed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_and_logs_name_the_object() {
    let cluster = shared().await;
    let healthy = cluster.operator.get("/healthz").await.expect("an answer");
    assert_eq!(healthy, (200, "ok\n".to_owned()));
    assert_eq!(cluster.operator.get("/readyz").await.expect("an answer").0, 200);
    let (space, image) = shop().await;
    space.project("checkout", &image, json!([config_map("settings", "x")])).await;
    space.release("checkout", "1.0.0").await;
    space.deploy("checkout", "1.0.0", "dev").await;
    let named = format!("namespace=\"{}\" name=\"checkout-1.0.0-dev\"", space.name);
    for reason in ["Started", "Succeeded"] {
        let words = ["INFO", "kind=\"Promotion\"", &named, &format!("reason=\"{reason}\""), "checkout 1.0.0"];
        wait::eventually(&format!("a line of log with {words:?}"), || async {
            let log = cluster.operator.log(&cluster.plane);
            log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        })
        .await;
    }
}

/// For each kind, a spec that does not read as it, whatever else is right.
fn unreadable() -> [(&'static str, &'static str, Value); 12] {
    let no_text = json!({"not": "a text"});
    let release = json!({"project": "checkout", "version": "1.0.0"});
    let with = |mut spec: Value, field: &str, value: &Value| {
        spec[field] = value.clone();
        spec
    };
    let promotion = with(release.clone(), "environment", &json!("dev"));
    [
        ("Project", "projects", json!({"description": no_text})),
        ("Environment", "environments", json!({"order": "first"})),
        ("Release", "releases", with(release, "notes", &no_text)),
        ("Promotion", "promotions", with(promotion.clone(), "whenNotReady", &json!(["no", "enum"]))),
        ("Pin", "pins", with(promotion.clone(), "reason", &no_text)),
        (
            "Approval",
            "approvals",
            json!({"promotion": "checkout-1.0.0-dev", "environment": "dev", "decision": ["both"]}),
        ),
        ("AuditRecord", "auditrecords", with(promotion, "applied", &json!("perhaps"))),
        ("AuditCheckpoint", "auditcheckpoints", json!({"number": "first"})),
        ("CommandRun", "commandruns", json!({"environment": "dev", "project": "checkout", "reason": no_text})),
        ("Freeze", "freezes", json!({"reason": no_text})),
        ("Lifecycle", "lifecycles", json!({"phases": "none"})),
        ("VariableSet", "variablesets", json!({"description": no_text})),
    ]
}

/// Stores an object that the definition of its kind would refuse, as an older or newer version of Gantry may have.
async fn store(space: &Space, writer: &Client, (kind, plural, spec): (&str, &str, Value)) {
    let definitions: Api<CustomResourceDefinition> = Api::all(space.client.clone());
    let definition = format!("{plural}.gantry.dev");
    let strict = definitions.get(&definition).await.expect("the definition");
    let mut loose = strict.clone();
    loose.metadata.managed_fields = None;
    for version in &mut loose.spec.versions {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        version.schema = serde_json::from_value(json!({"openAPIV3Schema": schema})).expect("a schema");
        version.selectable_fields = None;
    }
    definitions.replace(&definition, &PostParams::default(), &loose).await.expect("loosened");
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("gantry.dev", "v1alpha1", kind), plural);
    let objects: Api<DynamicObject> = Api::namespaced_with(writer.clone(), &space.name, &resource);
    let broken: DynamicObject = serde_json::from_value(space.object(kind, "broken", spec)).expect("an object");
    wait::eventually(&format!("the broken {kind} is taken"), || async {
        objects.create(&PostParams::default(), &broken).await.ok()
    })
    .await;
    let now = definitions.get(&definition).await.expect("the definition");
    let (name, resource_version) = (strict.metadata.name.clone(), now.metadata.resource_version);
    let metadata = ObjectMeta { name, resource_version, ..ObjectMeta::default() };
    let restored = CustomResourceDefinition { metadata, ..strict };
    definitions.replace(&definition, &PostParams::default(), &restored).await.expect("restored");
}

// Attack T27.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_kind_that_do_not_read_stop_nobody_who_does_not_depend_on_them() {
    let plane = shared::own(Options::default()).await;
    let client = plane.client(&Identity::Admin).await.expect("a client");
    let space = Space::create(client.clone()).await;
    let image = format!("{}/checkout", plane.registry().host());
    let operator = plane.client(&Identity::service_account("gantry-system", "gantry")).await.expect("a client");
    // Where an environment does not read, nobody knows a lifecycle that depends on it, and where a freeze does not, nobody knows what
    // it holds: those who depend on them wait, and say so.
    let (waiting, frozen) = (Space::create(client.clone()).await, Space::create(client.clone()).await);
    for broken in unreadable() {
        let writer = if broken.0.starts_with("Audit") { &operator } else { &client };
        let somewhere = match broken.0 {
            "Environment" => &waiting,
            "Freeze" => &frozen,
            _ => &space,
        };
        store(somewhere, writer, broken).await;
    }
    for definition in crds::all() {
        let kind = definition.spec.names.kind;
        assert!(unreadable().iter().any(|(known, ..)| *known == kind), "{kind} is not in the table");
    }
    assert!(space.api::<Project>().get("broken").await.is_err(), "it does not read");
    let operator = Operator::start_logging_json(&plane, "broken").await;
    for space in [&space, &waiting, &frozen] {
        space.environment("dev", 10).await;
        space.project("checkout", &image, json!([config_map("settings", "x")])).await;
        for version in ["1.0.0", "1.1.0"] {
            let packages = json!([{"name": "api", "version": version, "digest": format!("sha256:{}", "c".repeat(64))}]);
            let spec = json!({"project": "checkout", "version": version, "packages": packages});
            space.apply(space.object("Release", &format!("checkout-{version}"), spec)).await;
        }
    }
    let held = waits_for_what_does_not_read(&waiting, "Blocked", "environment broken exists and cannot be read").await;
    let cold =
        waits_for_what_does_not_read(&frozen, "Frozen", "freeze broken, whose periods nobody knows (it cannot be read")
            .await;
    independent(&waiting).await;
    for version in ["1.0.0", "1.1.0"] {
        let promotion = space.deploy("checkout", version, "dev").await;
        space.audit_record(&promotion.metadata.name.expect("a name")).await;
    }
    space
        .project_says("checkout", "showing 1.1.0", |project| {
            let rows = project.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.current.as_ref().is_some_and(|current| current.version == "1.1.0"))
        })
        .await;
    let lifecycles: Api<Lifecycle> = waiting.api();
    lifecycles.delete("of-broken", &DeleteParams::default()).await.expect("deleted");
    for (space, held, kind) in
        [(&waiting, held, ApiResource::erase::<Environment>(&())), (&frozen, cold, ApiResource::erase::<Freeze>(&()))]
    {
        let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), &space.name, &kind);
        wait::eventually("no lifecycle names it any more", || async {
            objects.delete("broken", &DeleteParams::default()).await.ok()
        })
        .await;
        assert_eq!(space.ended(&held).await.status.expect("a status").phase.as_deref(), Some("Succeeded"));
        assert_eq!(knows_its_phases(space, "checkout-1.0.0", true).await.phases.len(), 1, "it is told no more");
    }
    every_line_is_an_object(&plane, &operator, &waiting).await;
}

/// Promotes where something does not read; gives back the promotion, which waits and says why.
async fn waits_for_what_does_not_read(space: &Space, reason: &str, says: &str) -> String {
    let waits = space.promote("checkout", "1.0.0", "dev").await;
    let status = space.in_phase(&waits, "Pending", Some(reason)).await.status.expect("a status");
    let said = status.message.unwrap_or_default();
    assert!(said.contains(says) && said.contains("apply it again"), "{said}");
    waits
}

/// In a space with an environment that does not read: projects whose lifecycles do, and do not, depend on it.
async fn independent(space: &Space) {
    for (name, rest) in [("named", json!([])), ("rest", json!([{"name": "rest"}])), ("broken", json!([]))] {
        let environments = if name == "broken" { json!(["dev", "broken"]) } else { json!(["dev"]) };
        let mut phases = json!([{"name": "dev", "environments": environments}]);
        phases.as_array_mut().expect("phases").extend(rest.as_array().expect("phases").clone());
        space.apply(space.object("Lifecycle", &format!("of-{name}"), json!({"phases": phases}))).await;
        let process = json!([{"name": "deploy", "apply": {"manifests": [config_map(name, "x")]}}]);
        let project = json!({"lifecycle": format!("of-{name}"), "process": process});
        space.apply(space.object("Project", name, project)).await;
        let release = json!({"project": name, "version": "1.0.0"});
        space.apply(space.object("Release", &format!("{name}-1.0.0"), release)).await;
    }
    space.deploy("named", "1.0.0", "dev").await;
    for name in ["rest", "broken"] {
        let waits = space.promote(name, "1.0.0", "dev").await;
        let status = space.in_phase(&waits, "Pending", Some("Blocked")).await.status.expect("a status");
        let said = status.message.unwrap_or_default();
        assert!(said.contains("environment broken exists and cannot be read"), "{name}: {said}");
        let release = knows_its_phases(space, &format!("{name}-1.0.0"), false).await;
        assert!(release.phases.is_empty() && release.next.is_empty() && release.due.is_empty(), "{name}: {release:?}");
        let said = condition::find(&release.conditions, ConditionType::PhasesKnown).expect("the condition");
        assert_eq!(said.reason, "EnvironmentUnreadable", "{name}");
        assert!(said.message.starts_with("environment broken exists and cannot be read"), "{name}: {}", said.message);
    }
    assert_eq!(knows_its_phases(space, "named-1.0.0", true).await.phases.len(), 1);
}

/// The status of a release once it says, or does not, that nobody knows how far it is.
async fn knows_its_phases(space: &Space, release: &str, known: bool) -> ReleaseStatus {
    let what = if known { "showing its phases" } else { "saying why nobody knows its phases" };
    let seen = wait::object(&space.api(), release, what, |seen: &Release| {
        let Some(status) = &seen.status else { return false };
        let said = condition::find(&status.conditions, ConditionType::PhasesKnown).is_some();
        status.sealed_at.is_some() && said != known
    })
    .await;
    seen.status.expect("a status")
}

/// The log for programs: one JSON object a line, whatever is in it, and each run says of which object it is.
async fn every_line_is_an_object(plane: &Plane, operator: &Operator, space: &Space) {
    let lines = || operator.log(plane).lines().map(str::to_owned).collect::<Vec<_>>();
    let read = |line: &String| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let ended = wait::eventually("the end of the promotion is in the log", || async {
        // The last line may be half written.
        let (_, whole) = lines().split_last().map(|(last, whole)| (last.clone(), whole.to_vec()))?;
        let told: Vec<_> = whole.iter().map(read).collect();
        told.into_iter()
            .filter(|line| {
                line["fields"]["reason"] == "Succeeded" && line["fields"]["namespace"] == space.name.as_str()
            })
            .find(|line| line["fields"]["name"] == "checkout-1.0.0-dev")
    })
    .await;
    for field in ["timestamp", "level", "target"] {
        assert!(ended[field].is_string(), "no {field}: {ended}");
    }
    assert!(ended["fields"]["name"] == "checkout-1.0.0-dev" && ended["fields"]["kind"] == "Promotion", "{ended}");
    let run =
        json!({"name": "run", "controller": "promotion", "namespace": space.name, "object": "checkout-1.0.0-dev"});
    let spans = ended["spans"].as_array().expect("spans");
    assert_eq!(
        spans.iter().filter(|span| span["name"] == "run").collect::<Vec<_>>(),
        [&run],
        "one run, of this object"
    );
    let failed = lines().iter().map(read).any(|line| line["level"] == "WARN" && line.to_string().contains("broken"));
    assert!(failed, "what does not read is a warning");
}
