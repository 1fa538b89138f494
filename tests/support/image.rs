//! The smallest thing that a registry takes for an image: enough to have a digest, and to move a tag.

use std::fmt::Write as _;

use futures::StreamExt;
use gantry_plane::Login;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Pushes an image with this content as `repository:tag`, and gives back its digest.
pub async fn push((host, login): (&str, Option<&Login>), image: (&str, &str), content: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    put((&client, &format!("http://{host}"), login), image, content).await
}

/// The same over TLS, to a registry whose certificate is signed by this authority.
#[allow(dead_code, reason = "the benchmark includes this file")]
pub async fn push_over_tls(
    (host, login): (&str, Option<&Login>),
    authority: &str,
    (image, content): ((&str, &str), &str),
) -> String {
    let certificate = reqwest::Certificate::from_pem(authority.as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("a client");
    put((&client, &format!("https://{host}"), login), image, content).await
}

async fn put(
    (client, server, login): (&reqwest::Client, &str, Option<&Login>),
    (repository, tag): (&str, &str),
    content: &str,
) -> String {
    let base = format!("{server}/v2/{repository}");
    let request = |method: Method, address: &str| {
        let request = client.request(method, address);
        match login {
            Some(login) => request.basic_auth(&login.user, Some(&login.password)),
            None => request,
        }
    };
    let config = json!({"architecture": "amd64", "os": "linux", "author": content}).to_string();
    let begun = send(request(Method::POST, &format!("{base}/blobs/uploads/"))).await;
    let location = begun.headers()["location"].to_str().expect("an address").to_owned();
    let place = if location.starts_with('/') { format!("{server}{location}") } else { location };
    let separator = if place.contains('?') { '&' } else { '?' };
    let upload = format!("{place}{separator}digest={}", digest(&config));
    send(request(Method::PUT, &upload).header("content-type", "application/octet-stream").body(config.clone())).await;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len(),
        },
        "layers": [],
    })
    .to_string();
    let put = request(Method::PUT, &format!("{base}/manifests/{tag}"));
    send(put.header("content-type", "application/vnd.oci.image.manifest.v1+json").body(manifest.clone())).await;
    digest(&manifest)
}

/// Pushes the same image under many tags.
pub async fn push_tags(host: &str, repository: &str, tags: impl Iterator<Item = String>) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut tags = tags.peekable();
    let first = tags.peek().expect("a tag").clone();
    push((host, None), (repository, &first), "the same").await;
    let address = |tag: &str| format!("http://{host}/v2/{repository}/manifests/{tag}");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = send(client.get(address(&first)).header("accept", kind)).await.bytes().await.expect("a manifest");
    let pushes = tags.map(|tag| send(client.put(address(&tag)).header("content-type", kind).body(manifest.clone())));
    futures::stream::iter(pushes).buffer_unordered(16).for_each(|_| std::future::ready(())).await;
}

async fn send(request: RequestBuilder) -> reqwest::Response {
    let answer = request.send().await.expect("the registry answers");
    assert!(answer.status().is_success(), "{} {}", answer.status(), answer.url());
    answer
}

fn digest(content: &str) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(content.as_bytes()) {
        write!(text, "{byte:02x}").expect("text");
    }
    text
}
