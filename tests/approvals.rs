//! Who must agree before a promotion starts: with people's own certificates, on the real API server.

use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::audit_record::AuditKind;
use gantry::api::v1alpha1::{Approval, AuditRecordSpec, Environment, Promotion, Release};
use gantry_plane::Identity;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::image::push;
use crate::support::manifest::config_map;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// A space where alice promotes, and alice, bob and carol may approve.
struct Shop {
    space: Space,
}

impl Shop {
    /// With an environment `production` of this rule, and releases 1.0.0 and 1.1.0 of `checkout`.
    async fn open(approvals: Value) -> Self {
        let space = Space::create(shared().await.admin().await).await;
        for (role, person) in [
            ("gantry-releaser", "alice"),
            ("gantry-approver", "alice"),
            ("gantry-approver", "bob"),
            ("gantry-approver", "carol"),
        ] {
            space
                .apply(json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                    "metadata": {"name": format!("{role}-{person}"), "namespace": space.name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
                }))
                .await;
        }
        space.environment_with("production", json!({"order": 10, "approvals": approvals})).await;
        let image = format!("{}/checkout", shared().await.plane.registry().host());
        space.project("checkout", &image, json!([config_map("settings", "${{ release.version }}")])).await;
        space.release("checkout", "1.0.0").await;
        space.release("checkout", "1.1.0").await;
        Self { space }
    }

    async fn client(&self, person: &str) -> Client {
        shared().await.plane.client(&Identity::user(person)).await.expect("a client")
    }

    /// Asks for a promotion as alice, and waits until it says how many approvals are missing.
    async fn asked(&self, version: &str) -> Promotion {
        let name = format!("checkout-{version}-production");
        let spec = json!({"project": "checkout", "version": version, "environment": "production"});
        let object = serde_json::from_value(self.space.object("Promotion", &name, spec)).expect("a promotion");
        let promotions: Api<Promotion> = Api::namespaced(self.client("alice").await, &self.space.name);
        wait::eventually("alice may promote", || async {
            promotions.create(&PostParams::default(), &object).await.ok()
        })
        .await;
        self.waits(&name).await
    }

    /// Waits until a promotion waits for approvals of the environment as it is now.
    async fn waits(&self, name: &str) -> Promotion {
        self.space.in_phase(name, "Pending", Some("ApprovalsMissing")).await
    }

    /// An approval of a promotion as it is.
    fn approval(&self, name: &str, promotion: &Promotion) -> Approval {
        let digest = promotion.status.as_ref().and_then(|status| status.plan_digest.clone()).expect("a plan");
        let spec = json!({
            "promotion": promotion.name_any(), "promotionUid": promotion.uid(), "environment": "production",
            "planDigest": digest, "decision": "Approve",
        });
        serde_json::from_value(self.space.object("Approval", name, spec)).expect("an approval")
    }

    /// Decides on a promotion as it is, as somebody.
    async fn decides(&self, person: &str, decision: &str, promotion: &Promotion) -> Result<Approval, String> {
        let digest = promotion.status.as_ref().and_then(|status| status.plan_digest.clone()).expect("a plan");
        let name = format!("{}-{person}-{}", promotion.name_any(), &digest[..8]);
        let spec = json!({
            "promotion": promotion.name_any(), "promotionUid": promotion.uid(), "environment": "production",
            "planDigest": digest, "decision": decision, "comment": format!("{person} looked"),
        });
        let object = serde_json::from_value(self.space.object("Approval", &name, spec)).expect("an approval");
        let api: Api<Approval> = Api::namespaced(self.client(person).await, &self.space.name);
        api.create(&PostParams::default(), &object).await.map_err(|error| error.to_string())
    }

    /// The same once it is looked at: whether it counts, and what it says.
    async fn decided(&self, person: &str, decision: &str, promotion: &Promotion) -> (bool, String) {
        let made =
            wait::eventually("the right is known", || async { self.decides(person, decision, promotion).await.ok() })
                .await;
        assert_eq!(made.spec.by.as_ref().map(|by| by.username.as_str()), Some(person));
        self.says(&made.name_any()).await
    }

    async fn says(&self, approval: &str) -> (bool, String) {
        let ready = |known: &Approval| {
            let conditions = known.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            condition::find(conditions, ConditionType::Ready).filter(|ready| ready.reason != "Looking").cloned()
        };
        let known = wait::object(&self.space.api(), approval, "looked at", |known| ready(known).is_some()).await;
        let ready = ready(&known).expect("a condition");
        (ready.status == "True", ready.message)
    }

    /// What the audit record of somebody's decision says.
    async fn recorded(&self, person: &str) -> AuditRecordSpec {
        wait::eventually(&format!("the decision of {person} is recorded"), || async {
            let records = self.space.audit_records(AuditKind::Approval).await;
            let by = |spec: &AuditRecordSpec| spec.by.as_ref().is_some_and(|by| by.username == person);
            records.into_iter().map(|record| record.spec).find(by)
        })
        .await
    }

    async fn edit(&self, spec: Value) {
        let environments: Api<Environment> = self.space.api();
        let patch = Patch::Merge(json!({"spec": spec}));
        environments.patch("production", &PatchParams::default(), &patch).await.expect("an administrator may");
        self.space.environment_ready("production").await;
    }

    /// The reasons of the Events on a promotion with these words.
    async fn told(&self, promotion: &Promotion, reason: &str, words: &str) {
        let events: Api<Event> = self.space.api();
        wait::eventually(&format!("Event {reason}"), || async {
            let all = events.list(&kube::api::ListParams::default()).await.ok()?;
            let of = all.items.into_iter().find(|event| {
                event.regarding.as_ref().and_then(|about| about.uid.clone()) == promotion.uid()
                    && event.reason.as_deref() == Some(reason)
                    && event.note.as_deref().is_some_and(|note| note.contains(words))
            });
            of.map(|_| ())
        })
        .await;
    }
}

fn message(promotion: &Promotion) -> &str {
    promotion.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

// Attack T3.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_waits_for_two_others_and_remembers_who_they_were_and_what_they_said() {
    let shop = Shop::open(json!({"required": 2})).await;
    let waiting = shop.asked("1.0.0").await;
    assert!(message(&waiting).starts_with("2 of 2 approvals are missing: somebody who is not alice with the verb approve on environments.gantry.dev/production"), "{}", message(&waiting));
    let (counts, says) = shop.decided("alice", "Approve", &waiting).await;
    assert!(!counts && says.contains("whoever asked cannot approve here"), "{says}");
    assert!(shop.decided("bob", "Approve", &waiting).await.0);
    let half = wait::object(&shop.space.api(), &waiting.name_any(), "half approved", |known: &Promotion| {
        message(known).starts_with("1 of 2 approvals is missing")
    })
    .await;
    assert_eq!(half.status.as_ref().expect("a status").started_at, None);
    assert!(shop.decided("carol", "Approve", &waiting).await.0);
    let ended = shop.space.ended(&waiting.name_any()).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{:?}", status.message);
    let record = status.approvals.as_ref().expect("approvals");
    assert_eq!((record.needed, record.given), (2, 2));
    let given: Vec<_> = record.decisions.iter().filter(|known| known.void.is_none()).collect();
    let people: Vec<_> = given.iter().filter_map(|known| Some(known.by.as_ref()?.username.as_str())).collect();
    assert_eq!((people, given[0].comment.as_deref()), (vec!["bob", "carol"], Some("bob looked")));
    assert_eq!(status.decided_on.iter().filter(|known| known.kind == "Approval").count(), 2);
    shop.told(&ended, "Approved", "carol approved checkout 1.0.0 to production (2 of 2 needed): carol looked").await;
    shop.told(&ended, "ApprovalVoid", "of alice").await;
    let audit = shop.space.audit_record(&ended.name_any()).await;
    assert_eq!(audit.plan_digest, status.plan_digest);
    let people: Vec<_> = audit.approvals.iter().map(|known| known.by.username.as_str()).collect();
    assert_eq!(people, ["bob", "carol"]);
    let records = wait::eventually("each decision is recorded", || async {
        let records = shop.space.audit_records(AuditKind::Approval).await;
        (records.len() == 3).then_some(records)
    })
    .await;
    let mut recorded: Vec<_> = records
        .into_iter()
        .filter_map(|record| Some((record.spec.by?.username, record.spec.approval?)))
        .map(|(by, part)| (by, part.counted, part.comment, Some(part.plan_digest) == status.plan_digest))
        .collect();
    recorded.sort();
    let looked = |person: &str| Some(format!("{person} looked"));
    let expected = [("alice", false), ("bob", true), ("carol", true)];
    assert_eq!(recorded, expected.map(|(by, counted)| (by.to_owned(), counted, looked(by), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_is_final_and_a_decision_is_not_taken_back_and_goes_with_its_promotion() {
    let shop = Shop::open(json!({"required": 1})).await;
    let waiting = shop.asked("1.0.0").await;
    let (counts, _) = shop.decided("bob", "Reject", &waiting).await;
    assert!(counts);
    let ended = shop.space.ended(&waiting.name_any()).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!((status.phase.as_deref(), status.applied), (Some("Rejected"), false));
    assert!(message(&ended).starts_with("bob rejected it (bob looked); nothing was applied"), "{}", message(&ended));
    shop.told(&ended, "Rejected", "bob rejected it").await;
    let said = shop.recorded("bob").await;
    let approval = said.approval.expect("a decision");
    assert_eq!((approval.decision.as_str(), approval.counted, approval.void), ("Reject", true, None));
    assert_eq!(
        (approval.promotion_uid, approval.comment.as_deref()),
        (ended.uid().expect("a uid"), Some("bob looked"))
    );
    assert_eq!((said.project.as_deref(), said.environment.as_deref()), (Some("checkout"), Some("production")));
    let record = shop.space.audit_record(&waiting.name_any()).await;
    let decisions: Vec<_> =
        record.approvals.iter().map(|one| (one.by.username.as_str(), one.decision.as_str())).collect();
    assert_eq!((record.phase.as_str(), decisions), ("Rejected", vec![("bob", "Reject")]));
    let kept = status.approvals.as_ref().and_then(|known| known.decisions.first()).expect("it stays in the status");
    assert_eq!(
        (kept.by.as_ref().map(|by| by.username.as_str()), kept.comment.as_deref()),
        (Some("bob"), Some("bob looked"))
    );
    let (counts, says) = shop.decided("carol", "Approve", &waiting).await;
    assert!(!counts && says.contains("had started or ended before"), "{says}");
    let approval = shop.recorded("carol").await.approval.expect("a decision");
    assert!(!approval.counted && approval.void.is_some_and(|why| why.contains("had started or ended before")));
    let approvals: Api<Approval> = shop.space.api();
    let rejection = format!(
        "{}-bob-{}",
        waiting.name_any(),
        &waiting.status.as_ref().and_then(|status| status.plan_digest.clone()).expect("a plan")[..8]
    );
    let refused = approvals.delete(&rejection, &DeleteParams::default()).await.expect_err("nor an administrator");
    assert!(refused.to_string().contains("a decision is not taken back"), "{refused}");
    let promotions: Api<Promotion> = shop.space.api();
    promotions.delete(&waiting.name_any(), &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&approvals, &rejection).await;
}

// Attack T3.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_counts_once_however_often_they_approve_and_a_robot_only_where_the_environment_says_so() {
    let shop = Shop::open(json!({"required": 2})).await;
    let space = &shop.space;
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot", "namespace": space.name}});
    space.apply(account).await;
    space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "bot", "namespace": space.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-approver"},
            "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": space.name}],
        }))
        .await;
    let bot = Identity::service_account(&space.name, "bot");
    let client = shared().await.plane.client(&bot).await.expect("a client");
    let waiting = shop.asked("1.0.0").await;
    assert!(shop.decided("bob", "Approve", &waiting).await.0);
    // Of two in one second the first by name is the one.
    let again = shop.approval("once-more-of-bob", &waiting);
    let bob: Api<Approval> = Api::namespaced(shop.client("bob").await, &space.name);
    bob.create(&PostParams::default(), &again).await.expect("bob may say it twice");
    let (counts, says) = shop.says("once-more-of-bob").await;
    assert!(!counts && says.contains("the same person approved before, and counts once"), "{says}");
    let robots: Api<Approval> = Api::namespaced(client, &space.name);
    let robot = |name: &'static str, promotion: Promotion| {
        let (robots, approval) = (robots.clone(), shop.approval(name, &promotion));
        async move {
            wait::eventually("the bot may approve", || async {
                robots.create(&PostParams::default(), &approval).await.ok()
            })
            .await;
        }
    };
    robot("of-bot", waiting.clone()).await;
    let (counts, says) = shop.says("of-bot").await;
    assert!(!counts && says.contains("approvals of service accounts do not count here"), "{says}");
    let half = shop.waits(&waiting.name_any()).await;
    assert!(message(&half).starts_with("1 of 2 approvals is missing"), "{}", message(&half));
    assert!(shop.decided("carol", "Approve", &waiting).await.0);
    let ended = space.ended(&waiting.name_any()).await.status.expect("a status");
    let given: Vec<_> = ended.approvals.map(|record| record.given).into_iter().collect();
    assert_eq!((ended.phase.as_deref(), given), (Some("Succeeded"), vec![2]));

    shop.edit(json!({"approvals": {"required": 1, "allowServiceAccounts": true}})).await;
    let waiting = shop.asked("1.1.0").await;
    robot("of-bot-too", waiting.clone()).await;
    let ended = space.ended(&waiting.name_any()).await;
    assert_eq!(
        ended.status.as_ref().and_then(|status| status.phase.as_deref()),
        Some("Succeeded"),
        "{}",
        message(&ended)
    );
    let record = space.audit_record(&waiting.name_any()).await;
    assert_eq!(record.approvals.len(), 1);
    assert_eq!(record.approvals[0].by.username, bot.user_name());
}

// Attack T4.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_voids_approvals_and_the_strictest_rule_since_the_request_counts() {
    let shop = Shop::open(json!({"required": 2})).await;
    let waiting = shop.asked("1.0.0").await;
    let name = waiting.name_any();
    assert!(shop.decided("bob", "Approve", &waiting).await.0);
    let digest = waiting.status.as_ref().and_then(|status| status.plan_digest.clone()).expect("a plan");
    shop.edit(json!({"approvals": {"required": 1}})).await;
    // While the environment is provisioned anew, that is what it waits for.
    let changed = wait::object(&shop.space.api(), &name, "another plan", |known: &Promotion| {
        let status = known.status.as_ref();
        let another = status.and_then(|status| status.plan_digest.as_ref()).is_some_and(|known| *known != digest);
        another && status.is_some_and(|status| status.reason.as_deref() == Some("ApprovalsMissing"))
    })
    .await;
    assert!(
        message(&changed).starts_with("2 of 2 approvals are missing (2 when it was asked for;"),
        "{}",
        message(&changed)
    );
    assert!(
        message(&changed).contains("the approval of bob does not count: it is for another plan"),
        "{}",
        message(&changed)
    );
    shop.told(&changed, "ApprovalVoid", "it is for another plan").await;
    let first = format!("{name}-bob-{}", &digest[..8]);
    wait::eventually("the approval says so", || async { (!shop.says(&first).await.0).then_some(()) }).await;
    // The same object again is the approval of the old plan.
    let refused = shop.decides("bob", "Approve", &waiting).await.expect_err("its name is taken");
    assert!(refused.contains("already exists"), "{refused}");
    assert!(shop.decided("bob", "Approve", &changed).await.0);
    shop.space.in_phase(&name, "Pending", Some("ApprovalsMissing")).await;
    assert!(shop.decided("carol", "Approve", &changed).await.0);
    let ended = shop.space.ended(&name).await;
    assert_eq!(
        ended.status.as_ref().and_then(|status| status.phase.as_deref()),
        Some("Succeeded"),
        "{}",
        message(&ended)
    );
}

// Attacks T4, T20.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_void_for_a_release_that_was_made_again() {
    let shop = Shop::open(json!({"required": 2})).await;
    let space = &shop.space;
    let waiting = shop.asked("1.0.0").await;
    let name = waiting.name_any();
    assert!(shop.decided("bob", "Approve", &waiting).await.0);
    space.api::<Release>().delete("checkout-1.0.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&space.api::<Release>(), "checkout-1.0.0").await;
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    space.project("checkout", &image, json!([config_map("settings", "another")])).await;
    space.release("checkout", "1.0.0").await;
    let before = plan_of(&waiting);
    let changed = wait::object(&space.api(), &name, "another plan", |known: &Promotion| {
        let status = known.status.as_ref();
        let another = status.and_then(|status| status.plan_digest.as_ref()).is_some_and(|known| *known != before);
        another && status.is_some_and(|status| status.reason.as_deref() == Some("ApprovalsMissing"))
    })
    .await;
    let says = message(&changed);
    assert!(says.starts_with("2 of 2 approvals are missing: "), "{says}");
    assert!(says.contains("the approval of bob does not count: it is for another plan"), "{says}");
    shop.told(&changed, "ApprovalVoid", "it is for another plan").await;
    for person in ["bob", "carol"] {
        assert!(shop.decided(person, "Approve", &changed).await.0);
    }
    let ended = space.ended(&name).await.status.expect("a status");
    assert_eq!((ended.phase.as_deref(), ended.approvals.map(|record| record.given)), (Some("Succeeded"), Some(2)));
}

fn plan_of(promotion: &Promotion) -> String {
    promotion.status.as_ref().and_then(|status| status.plan_digest.clone()).expect("a plan")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_one_promotion_is_void_for_another_that_differs_in_its_variables_alone() {
    let shop = Shop::open(json!({"required": 2})).await;
    let space = &shop.space;
    let image = format!("{}/checkout", shared().await.plane.registry().host());
    // Of two that differ in nothing but their variables each has a plan of its own, and whoever names that of the other decides on nothing.
    let asks = |level: &str| {
        let variables = json!([{"name": "LEVEL", "value": level}]);
        json!({"project": "checkout", "version": "1.1.0", "environment": "production", "variables": variables})
    };
    let variables = json!([{"name": "LEVEL", "prompt": {}, "values": [{"value": "info"}]}]);
    let process =
        json!([{"name": "deploy", "apply": {"manifests": [config_map("settings", "${{ variables.LEVEL }}")]}}]);
    let project = json!({"packages": [{"name": "api", "image": image}], "variables": variables, "process": process});
    space.apply(space.object("Project", "checkout", project)).await;
    space.api::<Release>().delete("checkout-1.1.0", &DeleteParams::default()).await.expect("an administrator may");
    wait::gone(&space.api::<Release>(), "checkout-1.1.0").await;
    space.release("checkout", "1.1.0").await;
    space
        .apply(space.object(
            "Environment",
            "production",
            json!({"order": 10, "approvals": {"required": 2}, "queue": "Queue"}),
        ))
        .await;
    space.environment_ready("production").await;
    space.apply(space.object("Promotion", "quiet", asks("warn"))).await;
    let quiet = shop.waits("quiet").await;
    space.apply(space.object("Promotion", "loud", asks("debug"))).await;
    let loud = shop.waits("loud").await;
    assert_ne!(plan_of(&quiet), plan_of(&loud));
    let mut of_other = shop.approval("of-other", &loud);
    of_other.spec.plan_digest = plan_of(&quiet);
    let bob: Api<Approval> = Api::namespaced(shop.client("bob").await, &space.name);
    bob.create(&PostParams::default(), &of_other).await.expect("it is taken, and counts for nothing");
    let (counts, says) = shop.says("of-other").await;
    assert!(!counts && says.contains("it is for another plan"), "{says}");
    let still = shop.waits("loud").await;
    let says = message(&still);
    assert!(says.starts_with("2 of 2 approvals are missing: "), "{says}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_to_what_succeeded_there_needs_no_approval_where_the_environment_says_so() {
    let shop = Shop::open(json!({"required": 1, "rollback": 0})).await;
    for version in ["1.0.0", "1.1.0"] {
        let waiting = shop.asked(version).await;
        assert!(shop.decided("bob", "Approve", &waiting).await.0);
        let ended = shop.space.ended(&waiting.name_any()).await;
        assert_eq!(ended.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded"));
    }
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production", "reason": "back"});
    shop.space.apply(shop.space.object("Promotion", "back", spec)).await;
    let ended = shop.space.ended("back").await.status.expect("a status");
    assert_eq!((ended.phase.as_deref(), ended.mode.as_deref()), (Some("Succeeded"), Some("Rollback")));
}

// Attack T3.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_of_a_robot_waits_for_others_than_the_person_it_names() {
    let shop = Shop::open(json!({"required": 1})).await;
    let robot = Identity::service_account(&shop.space.name, "flux");
    shop.space
        .apply(json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "flux", "namespace": shop.space.name}}))
        .await;
    shop.space
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "flux", "namespace": shop.space.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gantry-releaser"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": shop.space.name}],
        }))
        .await;
    let flux = shared().await.plane.client(&robot).await.expect("a client");
    let pin = |more: Value| {
        let mut spec = json!({"project": "checkout", "environment": "production", "version": "1.0.0"});
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        shop.space.object("Pin", "checkout.production", spec)
    };
    let applied = |object: Value| {
        let flux = flux.clone();
        async move { gantry_plane::manifests::apply(&flux, "flux", &object.to_string()).await.map(|_| ()) }
    };
    wait::eventually("flux may pin", || async { applied(pin(json!({}))).await.ok() }).await;
    let of_pin = |reason: &'static str| {
        let space = &shop.space;
        async move {
            let promotions: Api<Promotion> = space.api();
            wait::eventually(reason, || async {
                let all = promotions.list(&kube::api::ListParams::default()).await.ok()?;
                all.items
                    .into_iter()
                    .find(|known| known.status.as_ref().and_then(|status| status.reason.as_deref()) == Some(reason))
            })
            .await
        }
    };
    let anonymous = of_pin("RequesterUnknown").await;
    assert!(message(&anonymous).contains("spec.onBehalfOf names no person"), "{}", message(&anonymous));
    applied(pin(json!({"onBehalfOf": "bob"}))).await.expect("flux may");
    let waiting = of_pin("ApprovalsMissing").await;
    let (counts, says) = shop.decided("bob", "Approve", &waiting).await;
    assert!(!counts && says.contains("whoever asked cannot approve"), "{says}");
    assert!(shop.decided("carol", "Approve", &waiting).await.0);
    let ended = shop.space.ended(&waiting.name_any()).await;
    assert_eq!(
        ended.status.as_ref().and_then(|status| status.phase.as_deref()),
        Some("Succeeded"),
        "{}",
        message(&ended)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_asks_two_people() {
    let space = Space::create(shared().await.admin().await).await;
    let registry = shared().await.plane.registry().host();
    for file in [
        "checkout/2-environments",
        "checkout/2-lifecycle",
        "checkout/3-project",
        "checkout/4-release-1.0.0",
        "more/approvals",
    ] {
        let path = format!("{}/deploy/samples/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        let text = text.replace("namespace: shop", &format!("namespace: {}", space.name));
        let text = text.replace("localhost:5000", &registry);
        gantry_plane::manifests::apply(&space.client, "test", &text).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let spec = json!({"project": "checkout", "version": "1.0.0", "environment": "production", "whenNotReady": "Wait"});
    space.apply(space.object("Promotion", "first", spec)).await;
    let waiting = space.in_phase("first", "Pending", Some("LifecycleNotReached")).await;
    let record = waiting.status.and_then(|status| status.approvals).expect("approvals");
    assert_eq!((record.needed, record.rule.rollback), (2, 0), "people may approve before its phase is reached");
}

/// Waits until somebody has made a release, and it is sealed.
async fn made(space: &Space, name: &str) -> Release {
    wait::eventually(name, || async { space.api::<Release>().get_opt(name).await.expect("an answer") }).await;
    space.sealed(name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_released_and_its_lifecycle_promotes_waits_for_people_and_for_no_requester() {
    let shop = Shop::open(json!({"required": 2})).await;
    let space = &shop.space;
    let host = shared().await.plane.registry().host();
    let name = &space.name;
    push((&host, None), (&format!("{name}/api"), "1.0.0"), "one").await;
    let phases = json!([{"name": "live", "environments": ["production"], "automatic": ["production"]}]);
    space.apply(space.object("Lifecycle", "automatic", json!({"phases": phases}))).await;
    let project = json!({
        "lifecycle": "automatic", "triggers": [{"name": "new", "interval": "5s"}],
        "packages": [{"name": "api", "image": format!("{host}/{name}/api")}],
        "process": [{"name": "deploy", "apply": {"manifests": [config_map("settings", "one")]}}],
    });
    space.apply(space.object("Project", "payments", project)).await;
    let release = made(space, "payments-1.0.0").await;
    let automatic = wait::object(&space.api::<Release>(), &release.name_any(), "its promotion", |known: &Release| {
        known.status.as_ref().is_some_and(|status| !status.automatic.is_empty())
    })
    .await;
    let promotion = automatic.status.expect("a status").automatic[0].promotion.clone();
    let waiting = shop.waits(&promotion).await;
    let message = waiting.status.as_ref().and_then(|status| status.message.clone()).expect("why");
    assert!(message.contains("2 of 2 approvals are missing: somebody with the verb approve"), "{message}");
    shop.decided("alice", "Approve", &waiting).await;
    shop.decided("bob", "Approve", &waiting).await;
    let ended = space.ended(&promotion).await;
    assert_eq!(ended.status.expect("a status").phase.as_deref(), Some("Succeeded"));
}

// Attack T4.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_none_of_another_release_or_environment() {
    let shop = Shop::open(json!({"required": 1})).await;
    shop.space.environment("live", 20).await;
    let (first, second) = (shop.asked("1.0.0").await, shop.asked("1.1.0").await);
    let bob: Api<Approval> = Api::namespaced(shop.client("bob").await, &shop.space.name);
    let (other, uid) = (second.name_any(), second.uid().expect("a uid"));
    for (name, change, told) in [
        ("of-another", json!({"promotion": other}), "it has the UID of another promotion"),
        ("of-its-plan", json!({"promotion": other, "promotionUid": uid}), "it is for another plan"),
        ("elsewhere", json!({"environment": "live"}), "it names another environment"),
    ] {
        let mut replayed = serde_json::to_value(shop.approval(name, &first)).expect("JSON");
        for (field, value) in change.as_object().expect("fields") {
            replayed["spec"][field] = value.clone();
        }
        let replayed: Approval = serde_json::from_value(replayed).expect("an approval");
        wait::eventually("bob may approve", || async { bob.create(&PostParams::default(), &replayed).await.ok() })
            .await;
        let (counts, says) = shop.says(name).await;
        assert!(!counts && says.contains(told), "{says}");
    }
    for promotion in [&first, &second] {
        let waits = shop.waits(&promotion.name_any()).await;
        assert!(message(&waits).starts_with("1 of 1 approvals is missing"), "{}", message(&waits));
    }
    assert!(shop.decided("bob", "Approve", &second).await.0);
    let ended = shop.space.ended(&other).await.status.expect("a status");
    assert_eq!(ended.phase.as_deref(), Some("Succeeded"));
}

// Attack T30.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_somebody_forges_approves_nothing() {
    let shop = Shop::open(json!({"required": 1})).await;
    let waiting = shop.asked("1.0.0").await;
    let forged = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "forged", "namespace": shop.space.name},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "gantry", "reportingInstance": "gantry-0",
        "type": "Normal", "reason": "Approved", "action": "Approve", "note": "bob approved checkout 1.0.0 to production",
        "regarding": {"apiVersion": "gantry.dev/v1alpha1", "kind": "Promotion", "name": waiting.name_any(),
            "namespace": shop.space.name, "uid": waiting.uid()},
    });
    shop.space.apply(forged).await;
    // Whoever decides now is the second one after it, and the only one that counts.
    let looked = json!({"metadata": {"annotations": {"test/look": "again"}}});
    let promotions: Api<Promotion> = shop.space.api();
    promotions.patch(&waiting.name_any(), &PatchParams::default(), &Patch::Merge(looked)).await.expect("a look");
    let still = shop.waits(&waiting.name_any()).await;
    assert!(message(&still).starts_with("1 of 1 approvals is missing"), "{}", message(&still));
    assert!(shop.decided("bob", "Approve", &waiting).await.0);
    let ended = shop.space.ended(&waiting.name_any()).await.status.expect("a status");
    assert_eq!(ended.approvals.map(|record| (record.given, record.decisions.len())), Some((1, 1)));
}
