//! What the columns of `kubectl get` show: an API server shows one value a column, and nothing of a list may be hidden by that.

use serde_json::{Value, json};

use crate::support::manifest::config_map;
use crate::support::shared::shared;
use crate::support::space::Space;
use crate::support::wait;

/// What `kubectl get` shows of an object (`projects/checkout`) in one column.
pub async fn shown(space: &Space, object: &str, column: &str) -> Value {
    let request = http::Request::get(format!("/apis/gantry.dev/v1alpha1/namespaces/{}/{object}", space.name))
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .expect("a request");
    let table: Value = space.client.request(request).await.expect("a table");
    let columns = table["columnDefinitions"].as_array().expect("columns");
    let place = columns.iter().position(|known| known["name"] == column);
    let place = place.unwrap_or_else(|| panic!("{object} has no column {column}"));
    table["rows"][0]["cells"][place].clone()
}

/// Waits until that is shown.
async fn shows(space: &Space, (object, column): (&str, &str), expected: Value) {
    wait::eventually(&format!("{object} shows {expected} in {column}"), || async {
        (shown(space, object, column).await == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_show_all_of_a_list_and_what_belongs_to_what() {
    let space = Space::create(shared().await.admin().await).await;
    let set =
        json!({"variables": [{"name": "A", "values": [{"value": "1"}]}, {"name": "B", "values": [{"value": "2"}]}]});
    space.apply(space.object("VariableSet", "shared", set)).await;
    for (order, environment) in [(10, "dev"), (20, "test")] {
        space.environment(environment, order).await;
    }
    let targets = json!([
        {"name": "eu", "namespace": format!("{}-eu", space.name)}, {"name": "us", "namespace": format!("{}-us", space.name)}]);
    space.apply(space.object("Environment", "production", json!({"order": 30, "targets": targets}))).await;
    let both = format!("{0}-eu, {0}-us", space.name);
    shows(&space, ("environments/production", "Namespaces"), json!(both)).await;

    let phases = json!([{"name": "first", "environments": ["dev"]}, {"name": "rest", "environments": ["test", "production"], "minimum": 1}]);
    space.apply(space.object("Lifecycle", "fast", json!({"phases": phases}))).await;
    shows(&space, ("lifecycles/fast", "Phases"), json!("first, rest")).await;

    for project in ["cart", "checkout"] {
        let process = json!([{"name": "deploy", "apply": {"manifests": [config_map(project, "x")]}}]);
        let spec = json!({"lifecycle": "fast", "variableSets": ["shared"], "process": process});
        space.apply(space.object("Project", project, spec)).await;
        for version in ["1.0.0", "1.1.0"] {
            let spec = json!({"project": project, "version": version});
            space.apply(space.object("Release", &format!("{project}-{version}"), spec)).await;
            space.sealed(&format!("{project}-{version}")).await;
        }
        space.deploy(project, "1.0.0", "dev").await;
    }
    shows(&space, ("variablesets/shared", "Variables"), json!("A, B")).await;
    shows(&space, ("variablesets/shared", "Used By"), json!("cart, checkout")).await;
    shows(&space, ("environments/dev", "Deployed"), json!("cart 1.0.0, checkout 1.0.0")).await;

    // Nothing runs in test: what runs in production is not shown as if it ran there.
    space.deploy("checkout", "1.0.0", "production").await;
    space.deploy("checkout", "1.1.0", "dev").await;
    shows(&space, ("projects/checkout", "Deployed"), json!("dev 1.1.0, production 1.0.0")).await;
    shows(&space, ("releases/checkout-1.0.0", "Deployed"), json!("production")).await;
    shows(&space, ("releases/checkout-1.1.0", "Deployed"), json!("dev")).await;
    shows(&space, ("releases/checkout-1.1.0", "Due"), json!("test, production")).await;
}
