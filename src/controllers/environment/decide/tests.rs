use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{LocalObjectReference, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::*;
use crate::api::condition::{ConditionType, find};
use crate::api::v1alpha1::Environment;
use crate::api::v1alpha1::bounds::{Amount, Amounts, Isolation, Limits};
use crate::api::v1alpha1::environment::{DeletionPolicy, EnvironmentSpec, Target, TargetStatus};
use crate::api::{ENVIRONMENT_LABEL, SPACE_LABEL};
use crate::controllers::decision::Severity;
use crate::controllers::environment::bounds;
use crate::controllers::environment::desired::{self, CREATED_FOR, Grant, MANAGED_BY_LABEL};
use crate::controllers::environment::effect::Object;
use crate::controllers::environment::observed::{Inside, Operator, Owner, Place, Rival, Running, Source};

/// What a run does once what it puts back is written down; what it records has tests of its own.
fn decide(observed: &Observed) -> Decision<EnvironmentStatus, Effect> {
    let mut decision = super::decide(observed);
    let intends = decision.status.corrections.as_ref().is_some_and(|known| !known.underway.is_empty());
    if intends && decision.effects.is_empty() {
        assert_eq!((decision.next, decision.events.as_slice()), (Next::Again, [].as_slice()));
        let environment = Arc::new(after(observed.environment.as_ref().clone(), &decision));
        decision = super::decide(&Observed { environment, ..observed.clone() });
    }
    decision.effects.retain(|effect| !matches!(effect, Effect::Record(_)));
    decision
}

/// The records of a run, in their order among its effects.
fn records(decision: &Decision<EnvironmentStatus, Effect>) -> Vec<(usize, String, Vec<String>)> {
    let record = |(place, effect): (usize, &Effect)| match effect {
        Effect::Record(record) => {
            let part = record.spec.provisioning.clone().unwrap();
            Some((place, record.metadata.name.clone().unwrap(), part.objects))
        }
        _ => None,
    };
    decision.effects.iter().enumerate().filter_map(record).collect()
}

#[test]
fn a_namespace_is_recorded_when_it_became_the_environments_and_only_then() {
    let fresh = environment(EnvironmentSpec::default());
    let decision = super::decide(&observed(fresh.clone(), whole()));
    let [(place, name, objects)] = records(&decision).try_into().unwrap();
    assert_eq!(place + 1, decision.effects.len(), "when everything in it is done");
    assert_eq!(name, "provisioning-env-uid-claim-ns-uid");
    assert_eq!(objects, ["namespace shop-dev"]);
    let later = super::decide(&observed(after(fresh, &decision), whole()));
    assert!(later.effects.is_empty(), "{:?}", later.effects);
}

#[test]
fn what_is_put_back_is_written_down_before_and_recorded_once_whenever_the_operator_dies() {
    let healthy = settled(EnvironmentSpec::default(), &whole());
    let mut broken = whole();
    broken.inside.bindings.remove(&Grant::Impersonator);
    let intent = super::decide(&observed(healthy.clone(), broken.clone()));
    assert!(intent.effects.is_empty() && intent.events.is_empty());
    let intended = after(healthy.clone(), &intent);
    let restored = vec!["RoleBinding shop-dev/gantry-impersonator".to_owned()];

    let acting = super::decide(&observed(intended.clone(), broken.clone()));
    assert_eq!(records(&acting), [(0, "provisioning-env-uid-correction-1".to_owned(), restored.clone())]);
    assert_eq!(acting.effects.len(), 2);
    // It died after it had put it back: the record is written, and nothing else.
    let again = super::decide(&observed(intended.clone(), whole()));
    assert_eq!(records(&again), [(0, "provisioning-env-uid-correction-1".to_owned(), restored)]);
    assert_eq!(again.effects.len(), 1);
    // Something else was changed meanwhile: it is written down, too, before anything is done.
    broken.inside.accounts.remove(desired::DEPLOYER);
    let more = super::decide(&observed(intended.clone(), broken.clone()));
    assert!(more.effects.is_empty());
    let known = more.status.corrections.clone().unwrap();
    assert_eq!((known.number, known.underway.len()), (1, 2));

    let done = after(intended, &acting);
    assert!(super::decide(&observed(done.clone(), whole())).effects.is_empty());
    broken.inside.accounts = whole().inside.accounts;
    let next = super::decide(&observed(done, broken));
    assert_eq!(next.status.corrections.unwrap().number, 2);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn owner() -> Owner {
    Owner {
        space: "shop".into(),
        environment: "dev".into(),
        uid: "env-uid".into(),
        created: Some(at(100)),
        operator: Operator { namespace: "gantry-system".into(), account: "gantry".into() },
    }
}

/// An environment `dev` of space `shop` whose one namespace is `shop-dev`.
fn environment(spec: EnvironmentSpec) -> Environment {
    let mut environment = Environment::new("dev", spec);
    environment.metadata = ObjectMeta {
        name: Some("dev".into()),
        namespace: Some("shop".into()),
        uid: Some("env-uid".into()),
        generation: Some(1),
        finalizers: Some(vec![PROVISIONED_FINALIZER.into()]),
        ..ObjectMeta::default()
    };
    environment
}

fn place(found: Option<Namespace>) -> Place {
    Place {
        target: "default".into(),
        field: "spec.targets".into(),
        namespace: "shop-dev".into(),
        found,
        rivals: Vec::new(),
        is_space: false,
        inside: Inside::default(),
    }
}

fn namespace(uid: &str, labels: &[(&str, &str)]) -> Namespace {
    let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Namespace {
        metadata: ObjectMeta {
            name: Some("shop-dev".into()),
            uid: Some(uid.into()),
            resource_version: Some("7".into()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// The namespace as Gantry makes it.
fn made(uid: &str) -> Namespace {
    let mut namespace = desired::namespace(&owner(), "shop-dev", &EnvironmentSpec::default());
    namespace.metadata.uid = Some(uid.into());
    namespace
}

/// A binding as an environment that says nothing of roles has it.
fn bound(grant: Grant) -> k8s_openapi::api::rbac::v1::RoleBinding {
    desired::binding(&owner(), "shop-dev", grant, grant.role(&EnvironmentSpec::default()))
}

/// A namespace with everything that an environment without pull secrets has.
fn whole() -> Place {
    let inside = Inside {
        accounts: desired::ACCOUNTS.map(|name| (name, desired::account(&owner(), "shop-dev", name))).into(),
        bindings: Grant::ALWAYS.map(|grant| (grant, bound(grant))).into(),
        isolation: bounds::isolation(&owner(), "shop-dev", &EnvironmentSpec::default()),
        limits: bounds::limits(&owner(), "shop-dev", &EnvironmentSpec::default()),
        default_account: Some(desired::default_account(&owner(), "shop-dev", (&[], false))),
        ..Inside::default()
    };
    Place { inside, ..place(Some(made("ns-uid"))) }
}

fn observed(environment: Environment, place: Place) -> Observed {
    Observed {
        environment: Arc::new(environment),
        owner: owner(),
        now: at(1000),
        places: vec![place],
        former: Vec::new(),
        sources: BTreeMap::new(),
        space_ends: false,
        running: None,
        unguarded: None,
    }
}

/// What a run leaves behind, so that the next one can be asked.
fn after(mut environment: Environment, decision: &Decision<EnvironmentStatus, Effect>) -> Environment {
    environment.status = Some(decision.status.clone());
    environment
}

fn settled(spec: EnvironmentSpec, place: &Place) -> Environment {
    let fresh = environment(spec);
    let decision = decide(&observed(fresh.clone(), place.clone()));
    after(fresh, &decision)
}

fn ready(status: &EnvironmentStatus) -> (&str, &str, &str) {
    let ready = find(&status.conditions, ConditionType::Ready).unwrap();
    (&ready.status, &ready.reason, &ready.message)
}

fn stalled(status: &EnvironmentStatus) -> bool {
    find(&status.conditions, ConditionType::Stalled).unwrap().status == "True"
}

fn rival(space: &str, name: &str, created: i64) -> Rival {
    Rival { space: space.into(), environment: name.into(), created: Some(at(created)), holds: None, wants: true }
}

#[test]
fn the_finalizer_comes_before_everything_else() {
    let mut bare = environment(EnvironmentSpec::default());
    bare.metadata.finalizers = None;
    let decision = decide(&observed(bare, place(None)));
    assert_eq!(decision.effects, [Effect::AddFinalizer]);
    assert_eq!(decision.status, EnvironmentStatus::default());
}

#[test]
fn a_namespace_that_does_not_exist_is_created_with_its_labels() {
    let decision = decide(&observed(environment(EnvironmentSpec::default()), place(None)));
    let [Effect::CreateNamespace(created)] = decision.effects.as_slice() else { panic!("{:?}", decision.effects) };
    let labels = created.metadata.labels.clone().unwrap();
    let expected = [
        ("app.kubernetes.io/managed-by", "gantry"),
        ("gantry.dev/environment", "dev"),
        ("gantry.dev/space", "shop"),
        ("pod-security.kubernetes.io/audit", "restricted"),
        ("pod-security.kubernetes.io/audit-version", "v1.36"),
        ("pod-security.kubernetes.io/enforce", "restricted"),
        ("pod-security.kubernetes.io/enforce-version", "v1.36"),
        ("pod-security.kubernetes.io/warn", "restricted"),
        ("pod-security.kubernetes.io/warn-version", "v1.36"),
    ];
    assert_eq!(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!((ready(&decision.status).1, decision.next), ("Provisioning", Next::Again));
    assert!(decision.status.targets.is_empty());
}

#[test]
fn a_created_namespace_gets_its_accounts_and_bindings_and_is_ready() {
    let decision = decide(&observed(environment(EnvironmentSpec::default()), place(Some(made("ns-uid")))));
    let names: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert_eq!(
        names,
        [
            "Apply(NetworkPolicy shop-dev/gantry-isolation)",
            "Apply(LimitRange shop-dev/gantry-limits)",
            "Apply(ServiceAccount shop-dev/gantry-deployer)",
            "Apply(ServiceAccount shop-dev/gantry-console)",
            "Apply(RoleBinding shop-dev/gantry-deployer)",
            "Apply(RoleBinding shop-dev/gantry-console)",
            "Apply(RoleBinding shop-dev/gantry-impersonator)",
            "Apply(ServiceAccount shop-dev/default)",
        ]
    );
    assert_eq!(ready(&decision.status), ("True", "Provisioned", "namespace shop-dev is provisioned"));
    let row = TargetStatus {
        edition: 1,
        name: "default".into(),
        namespace: "shop-dev".into(),
        uid: Some("ns-uid".into()),
        created: true,
    };
    assert_eq!(decision.status.targets, [row]);
    assert_eq!(decision.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Provisioned"]);
}

#[test]
fn the_accounts_get_no_token_and_each_right_has_one_holder() {
    for name in desired::ACCOUNTS {
        assert_eq!(desired::account(&owner(), "shop-dev", name).automount_service_account_token, Some(false));
    }
    let subject = |grant| {
        let binding = bound(grant);
        let subject = binding.subjects.unwrap().remove(0);
        (binding.role_ref.name, subject.namespace.unwrap(), subject.name)
    };
    let text = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(subject(Grant::Deployer), text(("gantry-deployer", "shop-dev", "gantry-deployer")));
    assert_eq!(subject(Grant::Console), text(("gantry-console", "shop-dev", "gantry-console")));
    assert_eq!(subject(Grant::Impersonator), text(("gantry-impersonator", "gantry-system", "gantry")));
    assert_eq!(subject(Grant::PullSecrets), text(("gantry-pull-secrets", "gantry-system", "gantry")));
}

#[test]
fn at_rest_there_is_nothing_to_do_and_nothing_to_say() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let before = environment.status.clone().unwrap();
    let decision = decide(&Observed { now: at(5000), ..observed(environment, whole()) });
    assert_eq!((decision.effects, decision.events.len(), decision.status), (Vec::new(), 0, before));
}

#[test]
fn rows_of_deployments_and_history_stay_as_they_are() {
    let mut environment = environment(EnvironmentSpec::default());
    let history = vec![crate::api::v1alpha1::history::HistoryEntry {
        project: "checkout".into(),
        version: "1.0.0".into(),
        release_uid: None,
        promotion: "p".into(),
        promotion_uid: "u".into(),
        by: "anna".into(),
        reason_given: None,
        mode: None,
        partial: false,
        phase: "Succeeded".into(),
        started: None,
        finished: k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(at(1)),
        applied: true,
        message: String::new(),
    }];
    environment.status = Some(EnvironmentStatus { history: history.clone(), ..EnvironmentStatus::default() });
    assert_eq!(decide(&observed(environment, whole())).status.history, history);
}

type Change = fn(&mut Place);
/// What somebody changes, what is done about it, and what is said.
type Case = (&'static str, Change, &'static str, &'static str);

fn changes() -> [Case; 6] {
    [
        (
            "a label of the namespace",
            |place| drop(place.found.as_mut().unwrap().metadata.labels.as_mut().unwrap().remove(ENVIRONMENT_LABEL)),
            "LabelNamespace",
            "namespace shop-dev was",
        ),
        (
            "the account",
            |place| drop(place.inside.accounts.remove(desired::DEPLOYER)),
            "Apply(ServiceAccount",
            "ServiceAccount shop-dev/gantry-deployer",
        ),
        (
            "the token that pods of the other account would get",
            |place| {
                let console = place.inside.accounts.get_mut(desired::CONSOLE).unwrap();
                console.automount_service_account_token = Some(true);
            },
            "Apply(ServiceAccount",
            "ServiceAccount shop-dev/gantry-console",
        ),
        (
            "a binding",
            |place| drop(place.inside.bindings.remove(&Grant::Impersonator)),
            "Apply(RoleBinding",
            "RoleBinding shop-dev/gantry-impersonator",
        ),
        (
            "the subject of a binding",
            |place| place.inside.bindings.get_mut(&Grant::Deployer).unwrap().subjects = None,
            "Apply(RoleBinding",
            "RoleBinding shop-dev/gantry-deployer",
        ),
        (
            "the role of a binding, which can only be made anew",
            |place| place.inside.bindings.get_mut(&Grant::Deployer).unwrap().role_ref.name = "cluster-admin".into(),
            "Replace(RoleBinding",
            "RoleBinding shop-dev/gantry-deployer",
        ),
    ]
}

fn changes_of_bounds() -> [Case; 4] {
    [
        (
            "whom pods reach",
            |place| place.inside.isolation.as_mut().unwrap().spec.as_mut().unwrap().egress = None,
            "Apply(NetworkPolicy",
            "NetworkPolicy shop-dev/gantry-isolation",
        ),
        (
            "what containers get",
            |place| place.inside.limits.as_mut().unwrap().spec.as_mut().unwrap().limits.clear(),
            "Apply(LimitRange",
            "LimitRange shop-dev/gantry-limits",
        ),
        (
            "a label of what bounds them",
            |place| place.inside.isolation.as_mut().unwrap().metadata.labels = None,
            "Apply(NetworkPolicy",
            "NetworkPolicy shop-dev/gantry-isolation",
        ),
        (
            "the token of the account that pods have by default",
            |place| place.inside.default_account.as_mut().unwrap().automount_service_account_token = None,
            "Apply(ServiceAccount shop-dev/default",
            "ServiceAccount shop-dev/default",
        ),
    ]
}

#[test]
fn whatever_somebody_changes_is_put_back_and_said() {
    for (what, change, effect, said) in changes().into_iter().chain(changes_of_bounds()) {
        let environment = settled(EnvironmentSpec::default(), &whole());
        let mut place = whole();
        change(&mut place);
        let decision = decide(&observed(environment, place));
        assert_eq!(decision.effects.len(), 1, "{what}: {:?}", decision.effects);
        assert!(format!("{:?}", decision.effects[0]).starts_with(effect), "{what}: {:?}", decision.effects);
        assert_eq!(decision.events.len(), 1, "{what}");
        assert_eq!(decision.events[0].reason, "DriftCorrected", "{what}");
        assert!(decision.events[0].message.contains(said), "{what}: {}", decision.events[0].message);
        assert_eq!(ready(&decision.status).0, "True", "{what}");
    }
}

#[test]
fn what_an_older_version_of_gantry_did_not_have_is_added_and_nobody_is_blamed_for_it() {
    let mut environment = settled(EnvironmentSpec::default(), &whole());
    let row = environment.status.as_mut().unwrap().targets.first_mut().unwrap();
    let edition = std::mem::replace(&mut row.edition, 0);
    assert!(edition > 0);
    let mut place = whole();
    (place.inside.isolation, place.inside.limits) = (None, None);
    let decision = decide(&observed(environment, place));
    assert_eq!(decision.effects.len(), 2, "{:?}", decision.effects);
    let told: Vec<_> = decision.events.iter().map(|note| (note.reason, note.severity)).collect();
    assert_eq!(told, [("Upgraded", Severity::Normal); 2]);
    let said = &decision.events[0].message;
    assert!(
        said.starts_with("NetworkPolicy shop-dev/gantry-isolation was added or changed: an older version"),
        "{said}"
    );
    assert_eq!(decision.status.targets[0].edition, edition, "from now on a difference is somebody's doing");
}

#[test]
fn a_role_that_the_spec_names_is_bound_and_another_one_needs_a_new_binding() {
    let mut spec = EnvironmentSpec::default();
    spec.console.cluster_role = "shop-console".into();
    let decision = decide(&observed(environment(spec.clone()), place(Some(made("ns-uid")))));
    let bound: Vec<_> = decision
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Apply(Object::Binding(binding)) => Some(binding.role_ref.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(bound, ["gantry-deployer", "shop-console", "gantry-impersonator"]);
    let mut changed = settled(EnvironmentSpec::default(), &whole());
    (changed.spec, changed.metadata.generation) = (spec, Some(2));
    let decision = decide(&observed(changed, whole()));
    assert!(matches!(decision.effects.as_slice(), [Effect::Replace(Object::Binding(_), _)]), "{:?}", decision.effects);
    assert!(decision.events.is_empty(), "nobody changed anything");
}

#[test]
fn what_bounds_pods_comes_and_goes_with_the_spec() {
    let amounts = |name: &str, amount: &str| Amounts::from([(name.into(), Amount(amount.into()))]);
    let spec = EnvironmentSpec {
        isolation: Isolation::Open,
        quota: amounts("requests.memory", "1024Mi"),
        limits: Limits { default_request: Amounts::new(), ..Limits::default() },
        ..EnvironmentSpec::default()
    };
    let mut changed = settled(EnvironmentSpec::default(), &whole());
    (changed.spec, changed.metadata.generation) = (spec.clone(), Some(2));
    let decision = decide(&observed(changed, whole()));
    let names: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert!(names[0].starts_with("Remove(NetworkPolicy shop-dev/gantry-isolation"), "{names:?}");
    assert!(names[1].starts_with("Apply(ResourceQuota shop-dev/gantry-quota"), "{names:?}");
    assert!(names[2].starts_with("Remove(LimitRange shop-dev/gantry-limits"), "{names:?}");
    assert_eq!((names.len(), decision.events.len()), (3, 0), "{names:?}");

    let mut place = whole();
    (place.inside.isolation, place.inside.limits) = (None, None);
    place.inside.quota = bounds::quota(&owner(), "shop-dev", &spec);
    // As the API server writes it, and with a bound of somebody else.
    let hard = place.inside.quota.as_mut().unwrap().spec.as_mut().unwrap().hard.as_mut().unwrap();
    hard.insert("requests.memory".into(), Quantity("1Gi".into()));
    hard.insert("pods".into(), Quantity("3".into()));
    let rested = settled(spec, &place);
    let decision = decide(&observed(rested.clone(), place.clone()));
    assert_eq!((decision.effects, decision.events.len()), (Vec::new(), 0));
    let scopes = Some(vec!["Terminating".to_owned()]);
    place.inside.quota.as_mut().unwrap().spec.as_mut().unwrap().scopes = scopes;
    let decision = decide(&observed(rested, place));
    assert!(matches!(decision.effects.as_slice(), [Effect::Replace(Object::Quota(_), _)]), "{:?}", decision.effects);
}

#[test]
fn nothing_comes_in_and_only_questions_to_the_dns_go_out_unless_the_spec_says_so() {
    let rules = |isolation: Isolation| {
        let spec = EnvironmentSpec { isolation, ..EnvironmentSpec::default() };
        let policy = bounds::isolation(&owner(), "shop-dev", &spec)?.spec.unwrap();
        assert_eq!(policy.policy_types.unwrap(), ["Ingress", "Egress"]);
        assert_eq!(policy.pod_selector, Some(LabelSelector::default()), "every pod");
        Some((policy.ingress.unwrap_or_default(), policy.egress.unwrap()))
    };
    let (ingress, egress) = rules(Isolation::Strict).unwrap();
    assert_eq!((ingress.len(), egress.len()), (0, 1));
    let ports: Vec<_> =
        egress[0].ports.iter().flatten().map(|port| (port.port.clone(), port.protocol.clone())).collect();
    assert_eq!(ports, ["UDP", "TCP"].map(|protocol| (Some(IntOrString::Int(53)), Some(protocol.to_owned()))));
    assert!(egress[0].to.iter().flatten().all(|to| to.namespace_selector.is_some() || to.ip_block.is_some()));
    let (ingress, egress) = rules(Isolation::Namespace).unwrap();
    assert_eq!((ingress.len(), egress.len()), (1, 2));
    for peers in [&ingress[0].from, &egress[1].to] {
        let [peer] = peers.as_deref().unwrap() else { panic!("{peers:?}") };
        assert!(peer.pod_selector.is_some() && peer.namespace_selector.is_none() && peer.ip_block.is_none());
    }
    assert_eq!(rules(Isolation::Open), None);
}

#[test]
fn limits_are_written_as_the_api_server_completes_them() {
    let amounts = |all: &[(&str, &str)]| -> Amounts {
        all.iter().map(|(name, amount)| ((*name).into(), Amount((*amount).into()))).collect()
    };
    let limits = Limits {
        default_request: amounts(&[("cpu", "10m")]),
        default: amounts(&[("memory", "256Mi")]),
        max: amounts(&[("memory", "1Gi"), ("cpu", "2")]),
    };
    let spec = EnvironmentSpec { limits, ..EnvironmentSpec::default() };
    let item = bounds::limits(&owner(), "shop-dev", &spec).unwrap().spec.unwrap().limits.remove(0);
    let texts = |all: Option<BTreeMap<String, Quantity>>| {
        all.unwrap().into_iter().map(|(name, amount)| format!("{name}={}", amount.0)).collect::<Vec<_>>()
    };
    assert_eq!(texts(item.default), ["cpu=2", "memory=256Mi"]);
    assert_eq!(texts(item.default_request), ["cpu=10m", "memory=256Mi"]);
    assert_eq!(texts(item.max), ["cpu=2", "memory=1Gi"]);
}

#[test]
fn a_change_that_the_spec_asks_for_is_no_drift() {
    let mut environment = settled(EnvironmentSpec::default(), &whole());
    environment.metadata.generation = Some(2);
    environment.spec.pod_security = crate::api::v1alpha1::bounds::PodSecurity::Baseline;
    let decision = decide(&observed(environment, whole()));
    assert!(matches!(decision.effects.as_slice(), [Effect::LabelNamespace(_)]));
    assert!(decision.events.is_empty());
}

#[test]
fn labels_are_written_on_the_version_that_was_judged() {
    let prepared = place(Some(namespace("ns-uid", &[(SPACE_LABEL, "shop")])));
    let decision = decide(&observed(environment(EnvironmentSpec::default()), prepared));
    let Effect::LabelNamespace(labelled) = &decision.effects[0] else { panic!("{:?}", decision.effects) };
    assert_eq!(labelled.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(labelled.metadata.uid.as_deref(), Some("ns-uid"));
    assert!(!decision.status.targets[0].created);
}

#[test]
fn a_namespace_that_vanished_is_made_again() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let decision = decide(&observed(environment, place(None)));
    assert!(matches!(decision.effects.as_slice(), [Effect::CreateNamespace(_)]));
    assert_eq!(decision.events[0].reason, "DriftCorrected");
}

#[test]
fn namespaces_of_others_are_refused_with_the_field_the_owner_and_the_remedy() {
    let own = |label: &str| place(Some(namespace("other-uid", &[(SPACE_LABEL, "shop"), (ENVIRONMENT_LABEL, label)])));
    let with_rival = |rival: Rival, found: Option<Namespace>| Place { rivals: vec![rival], ..place(found) };
    let named = |name: &str| Place { namespace: name.into(), ..place(None) };
    let open = || namespace("other-uid", &[(SPACE_LABEL, "shop")]);
    let holder = |uid: &str| Rival { holds: Some(uid.into()), ..rival("pay", "live", 500) };
    let table = vec![
        (named("kube-system"), "NamespaceForbidden", "belongs to Kubernetes"),
        (named("default"), "NamespaceForbidden", "shared by everybody"),
        (named("gantry-system"), "NamespaceForbidden", "Gantry runs in"),
        (named("shop"), "NamespaceForbidden", "the space itself"),
        (Place { is_space: true, ..named("pay") }, "NamespaceForbidden", "is a space"),
        (named(&"x".repeat(64)), "NamespaceForbidden", "cannot be the name of a namespace"),
        (place(Some(namespace("u", &[]))), "NamespaceTaken", "label it gantry.dev/space=shop"),
        (place(Some(namespace("u", &[(SPACE_LABEL, "pay")]))), "NamespaceTaken", "belongs to space pay"),
        (own("test"), "NamespaceTaken", "labelled for environment test of space shop"),
        (with_rival(rival("pay", "live", 50), None), "NamespaceTaken", "environment live of space pay"),
        (with_rival(rival("shop", "test", 50), Some(open())), "NamespaceTaken", "environment test of space shop"),
        (with_rival(holder("other-uid"), Some(open())), "NamespaceTaken", "environment live of space pay"),
        (with_rival(holder("gone"), None), "NamespaceTaken", "environment live of space pay"),
    ];
    for (place, reason, said) in table {
        let decision = decide(&observed(environment(EnvironmentSpec::default()), place));
        let (status, why, message) = ready(&decision.status);
        assert_eq!((status, why, stalled(&decision.status)), ("False", reason, true), "{message}");
        assert!(message.starts_with("spec.targets: ") && message.contains(said), "{message}");
        assert!(message.contains("choose another namespace"), "{message}");
        assert_eq!(decision.effects, Vec::new(), "{message}");
        assert_eq!(
            (decision.events[0].reason, decision.events[0].severity),
            (reason, crate::controllers::decision::Severity::Warning)
        );
        assert!(matches!(decision.next, Next::At(_)), "{message}");
    }
}

#[test]
fn claims_that_do_not_stand_refuse_nobody() {
    let open = || Some(namespace("u", &[(SPACE_LABEL, "shop")]));
    let holds = |uid: &str| Rival { holds: Some(uid.into()), ..rival("shop", "test", 50) };
    let table = [
        ("a younger environment", rival("shop", "test", 200), open()),
        ("one of a space that the label does not name", rival("pay", "live", 50), open()),
        ("one that is going", Rival { wants: false, ..rival("shop", "test", 50) }, open()),
        ("one that held another namespace of that name", Rival { wants: false, ..holds("older") }, open()),
        ("an older one, where the label is ours", rival("shop", "test", 50), Some(made("u"))),
    ];
    for (what, rival, found) in table {
        let place = Place { rivals: vec![rival], ..place(found) };
        let decision = decide(&observed(environment(EnvironmentSpec::default()), place));
        assert_eq!(ready(&decision.status).0, "True", "{what}: {:?}", decision.status.conditions);
    }
}

#[test]
fn of_two_environments_that_want_a_new_namespace_exactly_one_gets_it() {
    let age = |created| Owner { created: Some(at(created)), ..owner() };
    let other = Owner { space: "sho".into(), environment: "p-dev".into(), created: Some(at(100)), ..owner() };
    let claims = |mine: &Owner, theirs: &Owner| {
        let rival = Rival { created: theirs.created, ..rival(&theirs.space, &theirs.environment, 0) };
        let place = Place { rivals: vec![rival], ..place(None) };
        crate::controllers::environment::claim::claim(mine, &place, None)
            == crate::controllers::environment::claim::Claim::Absent
    };
    for created in [50, 100, 150] {
        let mine = age(created);
        assert!(claims(&mine, &other) ^ claims(&other, &mine), "{created}");
    }
}

// Attacks T12, T20.
#[test]
fn a_namespace_that_somebody_made_again_is_judged_anew() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let foreign = place(Some(namespace("another-uid", &[])));
    let decision = decide(&observed(environment.clone(), foreign));
    assert_eq!(ready(&decision.status).1, "NamespaceTaken");
    assert!(decision.status.targets.is_empty() && decision.effects.is_empty());

    let offered = place(Some(namespace("another-uid", &[(SPACE_LABEL, "shop")])));
    let decision = decide(&observed(environment, offered));
    assert_eq!(decision.status.targets[0].uid.as_deref(), Some("another-uid"));
    assert!(!decision.status.targets[0].created);
}

#[test]
fn a_namespace_that_was_taken_from_the_space_is_left_alone() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let mut withdrawn = whole();
    withdrawn.found.as_mut().unwrap().metadata.labels.as_mut().unwrap().remove(SPACE_LABEL);
    let decision = decide(&observed(environment, withdrawn));
    assert_eq!((ready(&decision.status).1, decision.effects), ("NamespaceTaken", Vec::new()));
}

#[test]
fn a_namespace_that_is_being_deleted_is_waited_for() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let mut going = made("ns-uid");
    going.metadata.deletion_timestamp = Some(Time(at(900)));
    let decision = decide(&observed(environment, place(Some(going))));
    assert_eq!((ready(&decision.status).1, decision.effects), ("NamespaceTerminating", Vec::new()));
    assert!(!stalled(&decision.status));
}

#[test]
fn one_refused_target_does_not_stop_the_others() {
    let target =
        |name: &str, namespace: &str| Target { name: name.into(), namespace: namespace.into(), ..Target::default() };
    let spec = EnvironmentSpec {
        targets: vec![target("a", "pay"), target("default", "shop-dev")],
        ..EnvironmentSpec::default()
    };
    let refused = Place {
        namespace: "pay".into(),
        field: "spec.targets[0].namespace".into(),
        ..place(Some(namespace("u", &[])))
    };
    let mut both = observed(environment(spec), refused);
    both.places.push(place(Some(made("ns-uid"))));
    let decision = decide(&both);
    assert_eq!(decision.effects.len(), 8);
    assert_eq!(decision.status.targets.len(), 1);
    assert!(ready(&decision.status).2.starts_with("spec.targets[0].namespace: namespace pay exists already"));
}

fn pulling(names: &[&str]) -> EnvironmentSpec {
    EnvironmentSpec {
        pull_secrets: names.iter().map(|name| (*name).to_owned()).collect(),
        ..EnvironmentSpec::default()
    }
}

fn source(version: &str) -> Source {
    Source::Found { version: version.into(), content: ByteString(b"{\"auths\":{}}".to_vec()) }
}

fn copied(name: &str, version: &str) -> (String, Secret) {
    let content = ByteString(b"{\"auths\":{}}".to_vec());
    (name.to_owned(), desired::copy(&owner(), ("shop-dev", name), (version, &content)))
}

/// A namespace with these copies, as Gantry left it.
fn whole_with(copies: &[(&str, &str)]) -> Place {
    let mut place = whole();
    let names: BTreeSet<String> = copies.iter().map(|(name, _)| (*name).to_owned()).collect();
    place.inside.bindings.insert(Grant::PullSecrets, desired::copies_binding(&owner(), "shop-dev", &names));
    place.inside.copies = copies.iter().map(|(name, version)| copied(name, version)).collect();
    let names: Vec<String> = names.into_iter().collect();
    place.inside.default_account = Some(desired::default_account(&owner(), "shop-dev", (&names, false)));
    place
}

fn pull(environment: Environment, place: Place, sources: &[(&str, Source)]) -> Observed {
    let sources = sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
    Observed { sources, ..observed(environment, place) }
}

#[test]
fn the_right_to_copy_comes_before_the_copies() {
    let fresh = environment(pulling(&["ghcr"]));
    let decision = decide(&pull(fresh.clone(), whole(), &[("ghcr", source("1"))]));
    assert_eq!(format!("{:?}", decision.effects), "[Apply(RoleBinding shop-dev/gantry-pull-secrets)]");
    assert_eq!((decision.next, ready(&decision.status).0), (Next::Again, "False"));

    let mut granted = whole_with(&[("ghcr", "1")]);
    granted.inside.copies.clear();
    granted.inside.default_account = None;
    let decision = decide(&pull(after(fresh, &decision), granted, &[("ghcr", source("1"))]));
    assert_eq!(
        format!("{:?}", decision.effects),
        "[Apply(Secret shop-dev/ghcr), Apply(ServiceAccount shop-dev/default)]"
    );
    assert_eq!(ready(&decision.status).0, "True");
    assert_eq!(decision.events.iter().map(|note| note.reason).collect::<Vec<_>>(), ["Provisioned"]);
}

#[test]
fn a_copy_follows_its_source_and_its_editor_is_corrected() {
    let whole = whole_with(&[("ghcr", "1")]);
    let fresh = environment(pulling(&["ghcr"]));
    let decision = decide(&pull(fresh.clone(), whole.clone(), &[("ghcr", source("1"))]));
    assert!(decision.effects.is_empty(), "{:?}", decision.effects);
    let settled = after(fresh, &decision);

    let newer = decide(&pull(settled.clone(), whole.clone(), &[("ghcr", source("2"))]));
    assert_eq!(format!("{:?}", newer.effects), "[Apply(Secret shop-dev/ghcr)]");
    assert!(newer.events.is_empty());

    let mut edited = whole.clone();
    let data = edited.inside.copies.get_mut("ghcr").unwrap().data.as_mut().unwrap();
    data.insert(".dockerconfigjson".into(), ByteString(b"{}".to_vec()));
    let corrected = decide(&pull(settled.clone(), edited.clone(), &[("ghcr", source("1"))]));
    assert_eq!(format!("{:?}", corrected.effects), "[Apply(Secret shop-dev/ghcr)]");
    assert!(corrected.events[0].message.contains("Secret shop-dev/ghcr"));

    let data = edited.inside.copies.get_mut("ghcr").unwrap().data.as_mut().unwrap();
    data.insert("more".into(), ByteString(b"x".to_vec()));
    let replaced = decide(&pull(settled, edited, &[("ghcr", source("1"))]));
    assert!(format!("{:?}", replaced.effects).starts_with("[Replace(Secret shop-dev/ghcr"));
}

#[test]
fn only_the_docker_configuration_of_a_secret_is_copied() {
    let (_, copy) = copied("ghcr", "1");
    assert_eq!(copy.data.unwrap().keys().collect::<Vec<_>>(), [".dockerconfigjson"]);
    assert_eq!(copy.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    assert_eq!(copy.metadata.labels.unwrap()[MANAGED_BY_LABEL], "gantry");
}

#[test]
fn a_copy_that_is_no_longer_listed_is_removed_and_then_forgotten() {
    let decision = decide(&pull(
        environment(pulling(&["ghcr"])),
        whole_with(&[("ghcr", "1"), ("quay", "1")]),
        &[("ghcr", source("1"))],
    ));
    let names: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert_eq!(names[0], "Apply(ServiceAccount shop-dev/default)");
    assert!(names[1].starts_with("RemoveCopy") && names[1].contains("quay"), "{names:?}");
    let Effect::Apply(Object::Binding(narrowed)) = &decision.effects[2] else { panic!("{names:?}") };
    assert_eq!(desired::remembered(Some(narrowed)), BTreeSet::from(["ghcr".to_owned()]));
}

#[test]
fn without_pull_secrets_gantry_keeps_no_right_to_secrets() {
    let decision = decide(&observed(environment(EnvironmentSpec::default()), whole_with(&[("ghcr", "1")])));
    let names: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[1].starts_with("RemoveCopy") && names[2].starts_with("RemoveBinding"), "{names:?}");
    assert_eq!(ready(&decision.status).0, "True");
}

#[test]
fn pull_secrets_that_others_gave_the_default_account_stay() {
    let mut place = whole_with(&[("ghcr", "1")]);
    let account = place.inside.default_account.as_mut().unwrap();
    account.image_pull_secrets = Some(vec![LocalObjectReference { name: "theirs".into() }]);
    let decision = decide(&pull(environment(pulling(&["ghcr"])), place, &[("ghcr", source("1"))]));
    let [Effect::Apply(Object::Account(account))] = decision.effects.as_slice() else {
        panic!("{:?}", decision.effects)
    };
    let names: Vec<_> = account.image_pull_secrets.iter().flatten().map(|reference| reference.name.as_str()).collect();
    assert_eq!(names, ["theirs", "ghcr"]);
}

#[test]
fn an_unusable_pull_secret_is_said_with_its_field_and_keeps_the_last_copy() {
    let unusable = Source::Unusable("Secret ghcr does not exist in space shop; make it".into());
    let decision = decide(&pull(environment(pulling(&["ghcr"])), whole_with(&[("ghcr", "1")]), &[("ghcr", unusable)]));
    assert_eq!(decision.effects, Vec::new());
    let (_, reason, message) = ready(&decision.status);
    assert_eq!(
        (reason, message),
        ("PullSecretInvalid", "spec.pullSecrets[0]: Secret ghcr does not exist in space shop; make it")
    );
}

#[test]
fn a_secret_of_somebody_else_is_never_overwritten() {
    let mut place = whole_with(&[("ghcr", "1")]);
    place.inside.copies.get_mut("ghcr").unwrap().metadata =
        ObjectMeta { name: Some("ghcr".into()), namespace: Some("shop-dev".into()), ..ObjectMeta::default() };
    let decision = decide(&pull(environment(pulling(&["ghcr"])), place, &[("ghcr", source("1"))]));
    assert!(!format!("{:?}", decision.effects).contains("Secret"), "{:?}", decision.effects);
    assert_eq!(ready(&decision.status).1, "PullSecretInvalid");
}

#[test]
fn a_name_that_would_be_a_path_is_no_name_of_a_secret() {
    for name in ["../../pay/secrets/x", "a/b", "", ".", "..", "A", "a..b", &"x".repeat(254)] {
        assert!(!desired::is_name(name), "{name}");
    }
    assert!(desired::is_name("ghcr.io-pull"));
}

fn leaving(policy: DeletionPolicy, place: &Place) -> Observed {
    let mut environment = settled(EnvironmentSpec { deletion_policy: policy, ..EnvironmentSpec::default() }, place);
    environment.metadata.deletion_timestamp = Some(Time(at(900)));
    Observed { places: Vec::new(), former: vec![place.clone()], ..observed(environment, place.clone()) }
}

#[test]
fn an_environment_that_goes_takes_gantrys_rights_along_and_leaves_the_workloads() {
    let decision = decide(&leaving(DeletionPolicy::Retain, &whole()));
    let names: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert!(names[..3].iter().all(|name| name.starts_with("RemoveBinding")), "{names:?}");
    assert!(names[3].starts_with("ReleaseNamespace"), "{names:?}");
    assert_eq!(decision.effects[4], Effect::RemoveFinalizer);
}

#[test]
fn a_namespace_is_not_given_up_while_a_promotion_or_a_command_runs_there() {
    let promotion = Running::Promotion("checkout-1.4.2-dev".to_owned());
    let command = Running::Command("clean".to_owned());
    for (running, reason, what) in [
        (promotion.clone(), "PromotionRunning", "promotion checkout-1.4.2-dev"),
        (command.clone(), "CommandRunning", "command clean"),
    ] {
        for policy in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
            let waits = decide(&Observed { running: Some(running.clone()), ..leaving(policy, &whole()) });
            assert_eq!((waits.effects, waits.status.targets.len()), (Vec::new(), 1));
            let why = find(&waits.status.conditions, ConditionType::Reconciling).unwrap();
            let says = "has ended: wait for it, or cancel it (spec.cancel)";
            assert_eq!(why.reason, reason);
            assert_eq!(why.message, format!("namespace shop-dev is given up once {what} {says}"));
        }
    }
    let ends =
        |running| Observed { running: Some(running), space_ends: true, ..leaving(DeletionPolicy::Retain, &whole()) };
    let goes = decide(&ends(promotion));
    assert_eq!(goes.effects.last(), Some(&Effect::RemoveFinalizer), "no promotion is waited for in a space that goes");
    let waits = decide(&ends(command));
    assert_eq!(waits.effects, [], "a command is deleted with its space, and ends soon if it still has its accounts");
}

#[test]
fn a_namespace_that_gantry_created_is_deleted_and_waited_for() {
    let decision = decide(&leaving(DeletionPolicy::Delete, &whole()));
    assert!(
        matches!(decision.effects.as_slice(), [Effect::DeleteNamespace(identity)] if identity.uid.as_deref() == Some("ns-uid"))
    );
    assert_eq!(ready(&decision.status).1, "NamespaceTerminating");

    let mut going = whole();
    going.found.as_mut().unwrap().metadata.deletion_timestamp = Some(Time(at(950)));
    let waits = decide(&Observed { former: vec![going], ..leaving(DeletionPolicy::Delete, &whole()) });
    assert_eq!(waits.effects, Vec::new());
    let gone = decide(&Observed { former: vec![place(None)], ..leaving(DeletionPolicy::Delete, &whole()) });
    assert_eq!(gone.effects, [Effect::RemoveFinalizer]);
}

#[test]
fn a_namespace_that_gantry_did_not_create_is_never_deleted() {
    let mut offered = whole();
    offered.found.as_mut().unwrap().metadata.annotations = None;
    let decision = decide(&leaving(DeletionPolicy::Delete, &offered));
    assert!(!format!("{:?}", decision.effects).contains("DeleteNamespace"), "{:?}", decision.effects);
    offered.found.as_mut().unwrap().metadata.annotations =
        Some([(CREATED_FOR.to_owned(), "an older environment".to_owned())].into());
    let decision = decide(&leaving(DeletionPolicy::Delete, &offered));
    assert!(!format!("{:?}", decision.effects).contains("DeleteNamespace"), "{:?}", decision.effects);
}

#[test]
fn a_space_that_goes_away_is_not_held_back() {
    let decision = decide(&Observed { space_ends: true, ..leaving(DeletionPolicy::Delete, &whole()) });
    assert!(matches!(decision.effects.as_slice(), [Effect::DeleteNamespace(_), Effect::RemoveFinalizer]));
}

#[test]
fn a_claim_that_a_crash_kept_out_of_the_status_is_given_up_too() {
    let mut environment = environment(EnvironmentSpec::default());
    environment.metadata.deletion_timestamp = Some(Time(at(900)));
    let left = Observed { places: Vec::new(), former: vec![whole()], ..observed(environment, whole()) };
    assert!(decide(&left).effects.iter().any(|effect| matches!(effect, Effect::ReleaseNamespace(_))));
}

#[test]
fn a_namespace_that_another_environment_has_by_now_is_left_alone() {
    let mut taken = whole();
    taken.found.as_mut().unwrap().metadata.labels.as_mut().unwrap().insert(ENVIRONMENT_LABEL.into(), "test".into());
    let left = Observed { former: vec![taken], ..leaving(DeletionPolicy::Delete, &whole()) };
    assert_eq!(decide(&left).effects, [Effect::RemoveFinalizer]);
}

#[test]
fn a_namespace_that_is_no_longer_wanted_is_released() {
    let environment = settled(EnvironmentSpec::default(), &whole());
    let wanted = Place { namespace: "shop-other".into(), ..place(None) };
    let moved = Observed { places: vec![wanted], former: vec![whole()], ..observed(environment, whole()) };
    let names: Vec<_> = decide(&moved).effects.iter().map(|effect| format!("{effect:?}")).collect();
    assert!(names[3].starts_with("ReleaseNamespace") && names[4].starts_with("CreateNamespace"), "{names:?}");
    assert!(decide(&moved).status.targets.is_empty());
}

#[test]
fn runs_at_rest_are_spread_and_those_with_pull_secrets_come_within_six_minutes() {
    let pulling =
        decide(&pull(environment(pulling(&["ghcr"])), whole_with(&[("ghcr", "1")]), &[("ghcr", source("1"))]));
    let Next::At(next) = pulling.next else { panic!("{:?}", pulling.next) };
    assert!((270..=324).contains(&next.duration_since(at(1000)).as_secs()));
    let Next::At(next) = decide(&observed(environment(EnvironmentSpec::default()), whole())).next else { panic!() };
    assert!((3300..=3960).contains(&next.duration_since(at(1000)).as_secs()));
}

#[test]
fn no_secret_shows_in_a_decision_or_an_observation() {
    let observed = pull(environment(pulling(&["ghcr"])), whole_with(&[("ghcr", "1")]), &[("ghcr", source("2"))]);
    let shown = format!("{observed:?} {:?}", decide(&observed));
    assert!(!shown.contains("auths") && !shown.contains("dockerconfigjson\": ByteString"), "{shown}");
}
