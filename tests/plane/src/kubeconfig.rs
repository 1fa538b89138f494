//! Kubeconfig files: credentials embedded, no paths, no commands.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::authority::{Authority, Credential, write_private};
use crate::error::PlaneError;

/// A single call that takes longer than this has failed.
const CALL: Duration = Duration::from_secs(30);

/// A user by client certificate.
pub(crate) fn certificate_user(credential: &Credential) -> Value {
    json!({
        "client-certificate-data": ByteString(credential.certificate.clone().into_bytes()),
        "client-key-data": ByteString(credential.key.clone().into_bytes()),
    })
}

/// A user by token.
pub(crate) fn token_user(token: &str) -> Value {
    json!({ "token": token })
}

/// Writes a kubeconfig (JSON is YAML too) for `user` at `server`, mode 0600.
pub(crate) fn write(path: &Path, authority: &Authority, server: &str, user: &Value) -> Result<(), PlaneError> {
    let cluster = json!({
        "server": server,
        "certificate-authority-data": ByteString(authority.certificate().as_bytes().to_vec()),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "plane", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "plane", "context": { "cluster": "plane", "user": "user" } }],
        "current-context": "plane",
    });
    write_private(path, config.to_string().as_bytes())
}

/// A client with the kubeconfig at `path`. It belongs to the runtime that made it.
pub(crate) async fn client(path: &Path) -> Result<Client, PlaneError> {
    let failed = || {
        let path = path.display().to_string();
        move |source| PlaneError::Kubeconfig { path, source: Box::new(source) }
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(failed())?;
    config.connect_timeout = Some(CALL);
    Client::try_from(config).map_err(PlaneError::api(format!("making a client from {}", path.display())))
}
