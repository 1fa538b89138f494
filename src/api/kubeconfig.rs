//! Kubeconfigs of remote clusters, read by a type of our own: what it does not know is refused.
//!
//! A kubeconfig can name programs to run, files to read and proxies to go through, and a client would do all of that with the
//! operator's rights (the library that Gantry uses runs `exec` of whatever it is given). So nothing is taken but a server, whom to
//! trust, and one credential, all in the text itself. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use serde_saphyr::{Options, budget, options};

use crate::domain::invalid::{Invalid, InvalidReason};

/// How to reach one cluster, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The API server, by HTTPS. Example: `https://eu.example.com:6443`
    pub server: String,
    /// Whom its certificate must be signed by, as PEM.
    pub authority: Vec<u8>,
    /// As whom.
    pub credential: Credential,
}

/// A credential.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token.
    Token(String),
    /// A certificate and its key, as PEM.
    Certificate {
        /// The certificate.
        certificate: Vec<u8>,
        /// Its key.
        key: Vec<u8>,
    },
}

/// The server only: a credential belongs in no log.
impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubeconfig").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The longest kubeconfig that is read, in bytes: one of one cluster has a few kilobytes.
const LONGEST: usize = 64 * 1024;
/// What to have instead of any other credential.
const CREDENTIALS: &str = "give token, or client-certificate-data and client-key-data";

/// Fields that a client would follow out of the text, or that weaken it: what each would do, and what to do instead.
const REFUSED: [(&str, &str, &str); 18] = [
    ("exec", "it runs a program with the operator's rights", CREDENTIALS),
    ("auth-provider", "it runs a program or asks another server", CREDENTIALS),
    ("tokenFile", "it reads a file of the operator", CREDENTIALS),
    ("client-certificate", "it reads a file of the operator", "give its content as client-certificate-data"),
    ("client-key", "it reads a file of the operator", "give its content as client-key-data"),
    ("username", "API servers take no passwords", CREDENTIALS),
    ("password", "API servers take no passwords", CREDENTIALS),
    ("as", "it acts as somebody else", "give the credential of the account itself"),
    ("as-uid", "it acts as somebody else", "give the credential of the account itself"),
    ("as-groups", "it acts as somebody else", "give the credential of the account itself"),
    ("as-user-extra", "it acts as somebody else", "give the credential of the account itself"),
    ("certificate-authority", "it reads a file of the operator", "give its content as certificate-authority-data"),
    ("insecure-skip-tls-verify", "anybody could be that server", "remove it and give certificate-authority-data"),
    ("proxy-url", "everything would go through another server", "remove it; the server must be reachable directly"),
    (
        "tls-server-name",
        "the certificate must be that of the server",
        "remove it and name the server as its certificate does",
    ),
    ("disable-compression", "it is not needed", "remove it"),
    ("extensions", "it is not needed", "remove it"),
    ("preferences", "it is not needed", "remove it or leave it empty"),
];

/// Reads a kubeconfig. Nothing of it is ever part of a message but names of fields.
///
/// # Errors
/// Everything that is wrong with it, each with its field and remedy.
pub fn parse(text: &str) -> Result<Kubeconfig, Vec<Invalid>> {
    if text.len() > LONGEST {
        let message = format!("it has more than {LONGEST} bytes: leave only one cluster, user and context in it");
        return Err(vec![Invalid::new("kubeconfig", InvalidReason::TooLarge, message)]);
    }
    let Ok(Value::Object(config)) = serde_saphyr::from_str_with_options::<Value>(text, bounds()) else {
        let message = "it is no YAML object with each field once: write apiVersion, kind, clusters, users and contexts";
        return Err(vec![Invalid::new("kubeconfig", InvalidReason::Malformed, message)]);
    };
    let mut reader = Reader::default();
    let found = reader.config(&config);
    match found {
        Some(kubeconfig) if reader.wrong.is_empty() => Ok(kubeconfig),
        Some(_) | None => Err(reader.wrong),
    }
}

/// Bounds that no kubeconfig reaches, and no text of it in messages.
fn bounds() -> Options {
    options! {
        budget: budget! { max_depth: 16, max_documents: 1, max_nodes: 1_000, max_aliases: 0, max_anchors: 0 },
        with_snippet: false,
    }
}

/// Collects what is wrong.
#[derive(Default)]
struct Reader {
    wrong: Vec<Invalid>,
}

impl Reader {
    fn say(&mut self, path: &str, reason: InvalidReason, message: &str) {
        self.wrong.push(Invalid::new(path, reason, message));
    }

    fn config(&mut self, config: &Map<String, Value>) -> Option<Kubeconfig> {
        let known = ["apiVersion", "kind", "clusters", "users", "contexts", "current-context"];
        let mut config = config.clone();
        // kubectl always writes it.
        if config.get("preferences").and_then(Value::as_object).is_some_and(Map::is_empty) {
            config.remove("preferences");
        }
        self.fields("", &config, &known);
        for (field, value) in [("apiVersion", "v1"), ("kind", "Config")] {
            if config.get(field).and_then(Value::as_str) != Some(value) {
                self.say(field, InvalidReason::Malformed, &format!("it is not {value}: write {field}: {value}"));
            }
        }
        let cluster = self.only(&config, ("clusters", "cluster"));
        let user = self.only(&config, ("users", "user"));
        let context = self.only(&config, ("contexts", "context"));
        let (cluster, user, context) = (cluster?, user?, context?);
        self.context(&config, &context, (&cluster.name, &user.name));
        let server = self.server(&cluster);
        let authority = self.pem(&cluster, "certificate-authority-data");
        self.fields(&cluster.path, &cluster.content, &["server", "certificate-authority-data"]);
        self.fields(&user.path, &user.content, &["token", "client-certificate-data", "client-key-data"]);
        let credential = self.credential(&user);
        Some(Kubeconfig { server: server?, authority: authority?, credential: credential? })
    }

    /// Whatever is not known is refused.
    fn fields(&mut self, path: &str, content: &Map<String, Value>, known: &[&str]) {
        for field in content.keys().filter(|field| !known.contains(&field.as_str())) {
            if let Some((_, why, remedy)) = REFUSED.iter().find(|(name, ..)| name == field) {
                self.say(&at(path, field), InvalidReason::Forbidden, &format!("{why}: {remedy}"));
                continue;
            }
            let (path, known) = (if path.is_empty() { "kubeconfig" } else { path }, known.join(", "));
            let message = format!("it has a field that is not known: leave only {known}");
            self.say(path, InvalidReason::Unknown, &message);
        }
    }

    /// The one entry of a list.
    fn only(&mut self, config: &Map<String, Value>, (list, field): (&str, &str)) -> Option<Entry> {
        let entries = config.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let [Value::Object(entry)] = entries else {
            let message =
                format!("it must have exactly one entry, or it is not clear which one is meant: leave one {field}");
            self.say(list, InvalidReason::Malformed, &message);
            return None;
        };
        let path = format!("{list}[0].{field}");
        self.fields(&format!("{list}[0]"), entry, &["name", field]);
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let content = entry.get(field).and_then(Value::as_object);
        if content.is_none() || name.is_empty() {
            let message = format!("it is missing: write name and {field}");
            self.say(&path, InvalidReason::Required, &message);
        }
        Some(Entry { name, path, content: content.cloned()? })
    }

    fn context(&mut self, config: &Map<String, Value>, context: &Entry, (cluster, user): (&str, &str)) {
        self.fields(&context.path, &context.content, &["cluster", "user", "namespace"]);
        for (field, name) in [("cluster", cluster), ("user", user)] {
            if context.content.get(field).and_then(Value::as_str) != Some(name) {
                let message = format!("it does not name the one {field} there is: correct it");
                self.say(&at(&context.path, field), InvalidReason::Unknown, &message);
            }
        }
        if config.get("current-context").and_then(Value::as_str) != Some(&context.name) {
            self.say(
                "current-context",
                InvalidReason::Unknown,
                "it does not name the one context there is: correct it",
            );
        }
    }

    fn server(&mut self, cluster: &Entry) -> Option<String> {
        let path = at(&cluster.path, "server");
        let Some(server) = cluster.content.get("server").and_then(Value::as_str) else {
            self.say(
                &path,
                InvalidReason::Required,
                "it is missing: give the address, e.g. https://eu.example.com:6443",
            );
            return None;
        };
        if !is_https(server) {
            let message = "it is not the https:// address of a host without user and query: give one, e.g. https://eu.example.com:6443";
            self.say(&path, InvalidReason::Forbidden, message);
            return None;
        }
        Some(server.to_owned())
    }

    fn credential(&mut self, user: &Entry) -> Option<Credential> {
        let has = |field: &str| user.content.contains_key(field);
        match (has("token"), has("client-certificate-data") || has("client-key-data")) {
            (true, false) => self.token(user),
            (false, true) => {
                let certificate = self.pem(user, "client-certificate-data");
                let key = self.pem(user, "client-key-data");
                Some(Credential::Certificate { certificate: certificate?, key: key? })
            }
            (true, true) => {
                self.say(&user.path, InvalidReason::Duplicate, "it has two credentials: leave one of them");
                None
            }
            (false, false) => {
                self.say(&user.path, InvalidReason::Required, &format!("it has no credential: {CREDENTIALS}"));
                None
            }
        }
    }

    fn token(&mut self, user: &Entry) -> Option<Credential> {
        let token = user.content.get("token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.say(&at(&user.path, "token"), InvalidReason::Malformed, "it is no token: give it as one word");
            return None;
        }
        Some(Credential::Token(token.to_owned()))
    }

    /// PEM in base64.
    fn pem(&mut self, entry: &Entry, field: &str) -> Option<Vec<u8>> {
        let path = at(&entry.path, field);
        let Some(text) = entry.content.get(field).and_then(Value::as_str) else {
            self.say(&path, InvalidReason::Required, "it is missing: give the PEM in base64");
            return None;
        };
        match STANDARD.decode(text.trim()) {
            Ok(pem) if pem.starts_with(b"-----BEGIN ") => Some(pem),
            Ok(_) | Err(_) => {
                self.say(
                    &path,
                    InvalidReason::Malformed,
                    "it is no PEM in base64: give the content of the file, encoded",
                );
                None
            }
        }
    }
}

/// A named entry of a list.
struct Entry {
    name: String,
    path: String,
    content: Map<String, Value>,
}

fn at(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn is_https(server: &str) -> bool {
    let Some(rest) = server.strip_prefix("https://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]/_".contains(&byte);
    !host.is_empty() && server.len() <= 2048 && rest.bytes().all(plain) && !rest.contains("..")
}

#[cfg(test)]
mod tests;
