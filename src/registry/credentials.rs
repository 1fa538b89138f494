//! A user name and password for one registry, read from a `kubernetes.io/dockerconfigjson` Secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The key under which such a Secret keeps its content.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// Names by which Docker's own registry is written in configuration files and images.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A user name and password. Has neither `Debug` nor `Display`, so that no log or message can show it.
#[derive(Clone)]
pub struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

/// Why a pull Secret cannot be used. Names the key, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCredentials {
    /// Not the JSON of a Docker configuration.
    #[error(
        "{DOCKER_CONFIG_KEY} is not a Docker configuration (JSON with an object \"auths\"); make the Secret with kubectl create secret docker-registry"
    )]
    NotDockerConfig,
    /// Nothing in it is for the registry that is asked.
    #[error("{DOCKER_CONFIG_KEY} has no entry in auths for {repository}; add one for its registry")]
    NoEntry {
        /// Host and path of the repository that was looked for.
        repository: String,
    },
    /// An entry without a usable user name and password.
    #[error("{DOCKER_CONFIG_KEY} is invalid at auths[\"{entry}\"].{field}: {problem}")]
    Entry {
        /// The registry as the Secret writes it.
        entry: String,
        /// The field at fault.
        field: &'static str,
        /// What is wrong and what is expected.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Credentials {
    /// These two, as they are.
    #[must_use]
    pub fn new(username: String, password: String) -> Self {
        Self { username, password }
    }

    /// Reads the entry for a repository (`host/path`); the most specific one wins, as in a kubelet.
    ///
    /// # Errors
    /// If the bytes are no Docker configuration, hold nothing for the repository, or hold it incompletely.
    pub fn from_dockerconfigjson(content: &[u8], repository: &str) -> Result<Self, InvalidCredentials> {
        let config: DockerConfig = serde_json::from_slice(content).map_err(|_| InvalidCredentials::NotDockerConfig)?;
        let (key, entry) = config
            .auths
            .iter()
            .filter(|(key, _)| covers(key, repository))
            .max_by_key(|(key, _)| scope(key).len())
            .ok_or_else(|| InvalidCredentials::NoEntry { repository: repository.to_owned() })?;
        entry.credentials().map_err(|(field, problem)| InvalidCredentials::Entry {
            entry: super::error::printable(key),
            field,
            problem,
        })
    }
}

impl Entry {
    fn credentials(&self) -> Result<Credentials, (&'static str, &'static str)> {
        let (username, password) =
            if self.auth.is_empty() { (self.username.clone(), self.password.clone()) } else { decoded(&self.auth)? };
        if username.is_empty() {
            return Err((
                "username",
                "it is empty; give username and password, or auth as base64 of username:password",
            ));
        }
        if password.is_empty() {
            return Err((
                "password",
                "it is empty; give username and password, or auth as base64 of username:password",
            ));
        }
        Ok(Credentials { username, password })
    }
}

fn decoded(auth: &str) -> Result<(String, String), (&'static str, &'static str)> {
    const EXPECTED: &str = "it is not the base64 of username:password";
    let bytes = STANDARD.decode(auth.trim()).map_err(|_| ("auth", EXPECTED))?;
    let text = String::from_utf8(bytes).map_err(|_| ("auth", EXPECTED))?;
    let (username, password) = text.split_once(':').ok_or(("auth", EXPECTED))?;
    Ok((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// What an entry's key covers: `host` or `host/path`, without scheme and without the version that old clients write.
fn scope(key: &str) -> String {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    canonical(bare)
}

fn covers(key: &str, repository: &str) -> bool {
    let repository = canonical(repository);
    repository.strip_prefix(&scope(key)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn canonical(reference: &str) -> String {
    let (host, path) = reference.split_once('/').map_or((reference, None), |(host, path)| (host, Some(path)));
    let host = if DOCKER_HUB.contains(&host) { "docker.io" } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str, repository: &str) -> Result<(String, String), String> {
        Credentials::from_dockerconfigjson(content.as_bytes(), repository)
            .map(|found| (found.username, found.password))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn auth_is_decoded_and_a_password_may_hold_colons() {
        let content = format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{}"}}}}}}"#, STANDARD.encode("ann:a:b"));
        assert_eq!(read(&content, "ghcr.io/acme/api"), Ok(("ann".to_owned(), "a:b".to_owned())));
    }

    #[test]
    fn username_and_password_stand_in_for_auth_and_other_fields_are_ignored() {
        let content =
            r#"{"auths":{"https://ghcr.io/v2/":{"username":"ann","password":"p","email":"a@b"}},"credsStore":"x"}"#;
        assert_eq!(read(content, "ghcr.io/acme/api"), Ok(("ann".to_owned(), "p".to_owned())));
    }

    // Attack T24.
    #[test]
    fn the_most_specific_entry_wins_and_a_longer_name_is_no_prefix() {
        let content =
            r#"{"auths":{"r.io":{"username":"host","password":"p"},"r.io/acme":{"username":"team","password":"p"}}}"#;
        assert_eq!(read(content, "r.io/acme/api").unwrap().0, "team");
        assert_eq!(read(content, "r.io/acmes/api").unwrap().0, "host");
        assert!(
            read(content, "r.io.evil.com/acme/api")
                .unwrap_err()
                .contains("no entry in auths for r.io.evil.com/acme/api")
        );
    }

    #[test]
    fn the_key_that_docker_writes_for_its_own_registry_is_understood() {
        let content = r#"{"auths":{"https://index.docker.io/v1/":{"username":"ann","password":"p"}}}"#;
        assert!(read(content, "docker.io/library/nginx").is_ok());
    }

    // Attack T24.
    #[test]
    fn a_port_belongs_to_the_host() {
        let content = r#"{"auths":{"localhost:5000":{"username":"ann","password":"p"}}}"#;
        assert!(read(content, "localhost:5000/checkout").is_ok());
        assert!(read(content, "localhost:5001/checkout").is_err());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key_and_no_value_is_shown() {
        for (content, expected) in [
            ("hunter2", "is not a Docker configuration"),
            (r#"{"ghcr.io":{"auth":"c2VjcmV0"}}"#, "is not a Docker configuration"),
            (r#"{"auths":{"ghcr.io":{"auth":"c2VjcmV0"}}}"#, "auths[\"ghcr.io\"].auth: it is not the base64"),
            (r#"{"auths":{"ghcr.io":{"auth":"%hunter2%"}}}"#, "auths[\"ghcr.io\"].auth: it is not the base64"),
            (r#"{"auths":{"ghcr.io":{"username":"hunter2"}}}"#, "auths[\"ghcr.io\"].password: it is empty"),
            (r#"{"auths":{"ghcr.io":{}}}"#, "auths[\"ghcr.io\"].username: it is empty"),
        ] {
            let message = read(content, "ghcr.io/acme/api").unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2") && !message.contains("c2VjcmV0"), "{message}");
        }
    }
}
