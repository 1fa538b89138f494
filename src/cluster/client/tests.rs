//! Clients over an API server that is a function.

use std::sync::{Arc, Mutex};

use axum::body::Body as AxumBody;
use futures::StreamExt;
use http::{Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchParams};
use kube::client::Body;
use tokio::time::Instant;

use super::*;
use crate::error::Class;

type Seen = Arc<Mutex<Vec<http::request::Parts>>>;

/// A cluster whose API server gives this answer to everything, and what it was asked.
fn cluster(answer: fn() -> Response<AxumBody>) -> (Cluster, Seen) {
    let seen = Seen::default();
    let remembered = Arc::clone(&seen);
    let server = tower::service_fn(move |request: Request<Body>| {
        remembered.lock().unwrap().push(request.into_parts().0);
        std::future::ready(Ok::<_, std::convert::Infallible>(answer()))
    });
    let client = Client::new(server, "default");
    let cluster = Cluster::over((client.clone(), client), &Metrics::new().unwrap());
    cluster.gate().open_until(std::time::Instant::now() + Duration::from_hours(1));
    (cluster, seen)
}

fn empty() -> Response<AxumBody> {
    Response::new(AxumBody::from(r#"{"metadata": {}, "items": []}"#))
}

/// Headers, half an answer, and then nothing for ever.
fn silent() -> Response<AxumBody> {
    let half = futures::stream::once(async { Ok::<_, std::io::Error>(r#"{"metadata""#) });
    Response::new(AxumBody::from_stream(half.chain(futures::stream::pending())))
}

#[tokio::test]
async fn every_request_of_an_account_carries_its_identity() {
    let (cluster, seen) = cluster(empty);
    let client = cluster.acting_as("shop-dev", "gantry-deployer").unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "shop-dev");
    let _ = pods.get("web").await;
    let _ = pods.list(&ListParams::default()).await;
    let _ = pods.watch(&WatchParams::default(), "0").await;
    let _ = pods.create(&PostParams::default(), &Pod::default()).await;
    let _ = pods.replace("web", &PostParams::default(), &Pod::default()).await;
    let _ = pods.patch("web", &PatchParams::apply("gantry"), &Patch::Apply(Pod::default())).await;
    let _ = pods.patch_status("web", &PatchParams::default(), &Patch::Merge(Pod::default())).await;
    let _ = pods.delete("web", &DeleteParams::default()).await;
    let _ = pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    let _ = pods.logs("web", &LogParams::default()).await;
    let _ = client.apiserver_version().await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 11);
    for request in seen.iter() {
        let identity = request.headers.get_all("impersonate-user").iter().collect::<Vec<_>>();
        assert_eq!(identity, ["system:serviceaccount:shop-dev:gantry-deployer"], "{} {}", request.method, request.uri);
    }
}

#[tokio::test]
async fn no_user_of_an_accounts_client_can_be_somebody_else_with_it() {
    let (cluster, seen) = cluster(empty);
    let client = cluster.acting_as("shop-dev", "gantry-deployer").unwrap();
    let forged = Request::get("/api/v1/secrets")
        .header("Impersonate-User", "admin")
        .header("Impersonate-Group", "system:masters")
        .header("Impersonate-Uid", "1")
        .header("Impersonate-Extra-scopes", "all");
    client.send(forged.body(Body::empty()).unwrap()).await.unwrap();
    let seen = seen.lock().unwrap();
    let told: Vec<_> = seen[0].headers.iter().filter(|(name, _)| name.as_str().starts_with("impersonate")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].1, "system:serviceaccount:shop-dev:gantry-deployer");
}

#[tokio::test]
async fn what_should_act_as_an_account_and_does_not_is_never_sent() {
    let (cluster, seen) = cluster(empty);
    let client = cluster.client();
    let writes = [
        ("POST", "/api/v1/namespaces/shop-dev/pods"),
        ("POST", "/api/v1/namespaces/shop-dev/configmaps"),
        ("PATCH", "/apis/apps/v1/namespaces/shop-dev/deployments/web?dryRun=All"),
        ("PUT", "/apis/apps/v1/namespaces/shop-dev/deployments/web/scale"),
        ("DELETE", "/apis/batch/v1/namespaces/shop-dev/jobs/migrate"),
        ("PATCH", "/apis/example.com/v1/namespaces/shop-dev/widgets/x"),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ];
    for (method, uri) in writes {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let error = ClusterError::api("write it", client.send(request).await.unwrap_err());
        assert_eq!(error.class(), Class::Bug, "{method} {uri}: {error}");
    }
    // An empty identity would be the operator itself; another one has more rights than either account.
    for identity in
        ["", " ", "system:admin", "system:serviceaccount::gantry-deployer", "system:serviceaccount:shop:default"]
    {
        for method in ["GET", "POST"] {
            let request = Request::builder().method(method).uri("/api/v1/namespaces/shop-dev/secrets");
            let request = request.header("Impersonate-User", identity).body(Body::empty()).unwrap();
            assert!(client.send(request).await.is_err(), "{method} as {identity:?}");
        }
    }
    let grouped = Request::get("/api/v1/pods").header("Impersonate-Group", "system:masters").body(Body::empty());
    assert!(client.send(grouped.unwrap()).await.is_err(), "a group without a user");
    assert_eq!(seen.lock().unwrap().len(), 0, "nothing left the process");

    let own = [
        ("PATCH", "/apis/gantry.dev/v1alpha1/namespaces/shop/promotions/x/status"),
        ("POST", "/apis/coordination.k8s.io/v1/namespaces/shop/leases"),
        ("PATCH", "/api/v1/namespaces/shop-dev"),
        ("GET", "/apis/apps/v1/deployments"),
    ];
    for (method, uri) in own {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        client.send(request).await.unwrap_or_else(|error| panic!("{method} {uri}: {error}"));
    }
}

#[tokio::test]
async fn an_account_without_a_proper_name_cannot_be_acted_as() {
    let (cluster, _) = cluster(empty);
    let too_long = "a".repeat(254);
    for (namespace, account) in [
        ("", "gantry-deployer"),
        ("shop", ""),
        ("shop:gantry-deployer", "x"),
        ("shop", "x:y"),
        ("shop\n", "x"),
        ("shop", "Deployer"),
        ("shop", " "),
        ("shop", "default"),
        ("shop", "gantry"),
        (too_long.as_str(), "gantry-deployer"),
        ("shop", too_long.as_str()),
    ] {
        let refused = cluster.acting_as(namespace, account).err().map(|error| error.class());
        assert_eq!(refused, Some(Class::Bug), "{namespace:?} {account:?}");
    }
}

#[tokio::test]
async fn writes_of_every_client_but_the_elections_are_held_back_while_this_process_does_not_lead() {
    let (cluster, seen) = cluster(empty);
    cluster.gate().close();
    for client in [cluster.client(), cluster.acting_as("shop-dev", "gantry-deployer").unwrap()] {
        let secrets: Api<Secret> = Api::namespaced(client, "shop-dev");
        let error = secrets.create(&PostParams::default(), &Secret::default()).await.unwrap_err();
        assert_eq!(ClusterError::api("make it", error).class(), Class::Terminal);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        assert!(secrets.create(&dry, &Secret::default()).await.is_ok());
    }
    assert_eq!(seen.lock().unwrap().len(), 2, "only the dry runs left the process");
    let leases: Api<Lease> = Api::namespaced(cluster.election_client(), "gantry-system");
    assert!(leases.create(&PostParams::default(), &Lease::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_in_the_middle_is_given_up_at_the_deadline() {
    let (cluster, _) = cluster(silent);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "shop");
    let begun = Instant::now();
    let error = ClusterError::api("read it", maps.get("x").await.unwrap_err());
    assert_eq!((begun.elapsed(), error.class()), (exchange::DEADLINE, Class::Retryable));
    assert!(error.to_string().contains("did not answer within 10 seconds"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_may_be_silent_for_longer_than_a_deadline() {
    let (cluster, _) = cluster(silent);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "shop");
    let mut events = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let long = 10 * exchange::DEADLINE;
    assert!(tokio::time::timeout(long, events.next()).await.is_err(), "it neither ended nor failed");
}

#[test]
fn a_configuration_that_acts_as_somebody_else_is_refused() {
    let with = |change: fn(&mut AuthInfo)| {
        let mut config = Config::new("http://127.0.0.1:1".parse().unwrap());
        change(&mut config.auth_info);
        acts_as_another(&config.auth_info)
    };
    assert!(!with(|_| ()));
    assert!(with(|auth| auth.impersonate = Some("admin".into())));
    assert!(with(|auth| auth.impersonate_uid = Some("1".into())));
    assert!(with(|auth| auth.impersonate_groups = Some(vec!["system:masters".into()])));
    assert!(with(|auth| auth.impersonate_user_extra = Some([("a".into(), vec![])].into())));
}

#[tokio::test]
async fn what_goes_over_the_wire_names_gantry_and_its_version() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut agents) = tokio::sync::mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(move |headers: axum::http::HeaderMap| {
        sender.send(headers["user-agent"].clone()).unwrap();
        std::future::ready(r#"{"metadata": {}}"#)
    });
    tokio::spawn(axum::serve(listener, router).into_future());
    let metrics = Metrics::new().unwrap();
    let cluster =
        Cluster::with(Config::new(format!("http://{address}").parse().unwrap()), "pod (1)\n", &metrics).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.acting_as("shop", "gantry-console").unwrap(), "shop");
    maps.get("x").await.unwrap();
    assert_eq!(agents.recv().await.unwrap(), format!("{AGENT} (pod__1__)"));
    let counted = r#"gantry_api_requests_total{code="2xx",resource="configmaps",verb="get"} 1"#;
    assert!(metrics.text().unwrap().contains(counted));
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named() {
    let nowhere = std::path::Path::new("/nowhere/config");
    let Err(error) = Cluster::connect(Some(nowhere), "me", Metrics::new().unwrap()).await else {
        panic!("it is not there")
    };
    assert!(error.to_string().starts_with("no API server: kubeconfig /nowhere/config: it cannot be read"), "{error}");
}
