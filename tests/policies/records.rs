//! What only the operator writes: status, audit records and slots.

use gantry::api::v1alpha1::AuditRecord;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{DryRun, Shop, api_of, apply, create, lease, record, slot};
use crate::support::wait;

async fn write_status(client: &Client, object: &Value) -> Result<(), String> {
    let (api, name) = api_of(client, object);
    let status = json!({"status": {"observedGeneration": 1}});
    let written = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
    written.map(|_| ()).map_err(|error| error.to_string())
}

// Attacks T5, T32.
#[tokio::test(flavor = "multi_thread")]
async fn status_is_written_by_the_operator_alone() {
    let shop = Shop::open().await;
    let package = json!([{"name": "api", "image": "localhost:5000/checkout"}]);
    let process = json!([{"name": "deploy", "apply": {"manifestsFrom": {"configMap": "checkout"}}}]);
    let version = json!([{"name": "api", "version": "1.0.0"}]);
    let objects = [
        shop.space.object("Environment", "dev", json!({"order": 10})),
        shop.space.object("Project", "checkout", json!({"packages": package, "process": process})),
        shop.space.object(
            "Release",
            "checkout-1.0.0",
            json!({"project": "checkout", "version": "1.0.0", "packages": version}),
        ),
        shop.promotion("status", json!({})),
        shop.space.object(
            "Pin",
            "checkout.dev",
            json!({"project": "checkout", "environment": "dev", "version": "1.0.0"}),
        ),
    ];
    for object in objects {
        shop.space.apply(object.clone()).await;
        for person in [&shop.mallory, &shop.space.client] {
            let said = write_status(person, &object).await.expect_err("only the operator may");
            assert!(said.contains("status is written by Gantry alone; change spec instead"), "{said}");
        }
        write_status(&shop.operator, &object).await.expect("the operator may");
    }
}

// Attacks T31, T32.
#[tokio::test(flavor = "multi_thread")]
async fn audit_records_are_written_by_the_operator_and_never_touched_again() {
    let shop = Shop::open().await;
    let wanted = record(&shop.space.name, "promotion-one");
    for person in [&shop.mallory, &shop.space.client] {
        let said = apply(person, wanted.clone()).await.expect_err("only the operator may");
        assert!(said.contains("AuditRecords and AuditCheckpoints are written by Gantry alone"), "{said}");
    }
    let object: AuditRecord = serde_json::from_value(wanted).expect("a record");
    let own: Api<AuditRecord> = Api::namespaced(shop.operator.clone(), &shop.space.name);
    own.create(&kube::api::PostParams::default(), &object).await.expect("the operator may");

    for person in [&shop.mallory, &shop.space.client] {
        let records: Api<AuditRecord> = Api::namespaced(person.clone(), &shop.space.name);
        for change in [json!({"spec": {"message": "other"}}), json!({"metadata": {"labels": {"a": "b"}}})] {
            let changed = records.patch("promotion-one", &PatchParams::default(), &Patch::Merge(change)).await;
            let said = changed.expect_err("it never changes").to_string();
            assert!(said.contains("neither changed nor deleted") || said.contains("immutable"), "{said}");
        }
        let said = records.delete("promotion-one", &DeleteParams::default()).await.expect_err("it stays").to_string();
        assert!(
            said.contains(
                "AuditRecords and AuditCheckpoints are neither changed nor deleted; they go with their namespace"
            ),
            "{said}"
        );
        let all = records.delete_collection(&DeleteParams::default(), &kube::api::ListParams::default()).await;
        all.expect_err("they stay");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_deleted_takes_its_records_along() {
    let shop = Shop::open().await;
    let object: AuditRecord = serde_json::from_value(record(&shop.space.name, "promotion-one")).expect("a record");
    let own: Api<AuditRecord> = Api::namespaced(shop.operator.clone(), &shop.space.name);
    own.create(&kube::api::PostParams::default(), &object).await.expect("the operator may");
    shop.promoted("waits").await;
    create(&shop.operator, slot(&shop.space.name, "checkout.dev"), DryRun::No).await.expect("the operator may");

    let namespaces: Api<Namespace> = Api::all(shop.space.client.clone());
    namespaces.delete(&shop.space.name, &DeleteParams::default()).await.expect("an administrator may");
    // The promotion waits for the operator, nothing else does.
    wait::gone(&shop.space.api::<AuditRecord>(), "promotion-one").await;
    let ending = json!({"metadata": {"finalizers": null}});
    wait::eventually("the promotion is being deleted", || async {
        let promotion = shop.promotions(&shop.operator).get("waits").await.expect("the promotion");
        promotion.metadata.deletion_timestamp.map(|_| ())
    })
    .await;
    shop.change(&shop.operator, "waits", ending).await.expect("finalizers can be taken off in a terminating namespace");
    wait::gone(&namespaces, &shop.space.name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_written_by_the_operator_alone_and_other_leases_by_anyone() {
    let shop = Shop::open().await;
    let name = &shop.space.name;
    create(&shop.operator, slot(name, "checkout.dev"), DryRun::No).await.expect("the operator may");
    apply(&shop.mallory, lease(name, "another")).await.expect("no slot");
    let leases: Api<Lease> = Api::namespaced(shop.mallory.clone(), name);

    let unlabelled = json!({"metadata": {"labels": null}});
    let labelled = json!({"metadata": {"labels": {"gantry.dev/slot": "true"}}});
    let held = json!({"spec": {"holderIdentity": "mallory"}});
    for (lease, change) in [("checkout.dev", unlabelled), ("checkout.dev", held), ("another", labelled)] {
        let changed = leases.patch(lease, &PatchParams::default(), &Patch::Merge(change.clone())).await;
        let said = changed.expect_err("no person may").to_string();
        assert!(said.contains("Leases with the label gantry.dev/slot are written by Gantry alone"), "{change}: {said}");
    }
    leases.delete("checkout.dev", &DeleteParams::default()).await.expect_err("no person may");
    apply(&shop.mallory, slot(name, "checkout.test")).await.expect_err("no person may");
    leases.delete("another", &DeleteParams::default()).await.expect("no slot");
}
