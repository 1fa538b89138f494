//! Kubeconfigs of remote clusters, read by a type of our own: what it does not know is refused.
//!
//! A kubeconfig can name programs to run, files to read and proxies to go through, and a client would do all of that with the
//! operator's rights. So nothing is taken but a server, whom to trust, and one credential, all in the text itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::invalid::Invalid;

/// The longest kubeconfig that is read, in bytes: a Secret may hold a mebibyte, a kubeconfig of one cluster needs a few kilobytes.
const LONGEST: usize = 64 * 1024;

/// How to reach one cluster, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The API server, by HTTPS. Example: `https://eu.example.com:6443`
    pub server: String,
    /// Whom its certificate must be signed by, as PEM in base64.
    pub authority: String,
    /// As whom.
    pub credential: Credential,
}

/// A credential.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token.
    Token(String),
    /// A certificate and its key, as PEM in base64.
    Certificate {
        /// The certificate.
        certificate: String,
        /// Its key.
        key: String,
    },
}

/// Names the server only: a credential belongs in no log.
impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubeconfig").field("server", &self.server).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Named<T> {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, T>,
}
