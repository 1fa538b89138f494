//! Whether a Secret of the space can be copied as a pull secret. Pure.

use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::desired::DOCKER_CONFIG_TYPE;
use super::observed::Source;
use crate::registry::credentials::DOCKER_CONFIG_KEY;

/// What a Docker configuration must at least have.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "auths")]
    _auths: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
}

/// Judges a Secret of the space; no message holds anything of its content.
#[must_use]
pub fn judge(secret: Option<Secret>, name: &str, space: &str) -> Source {
    let make = format!("make it with kubectl create secret docker-registry {name} -n {space}");
    let Some(secret) = secret else {
        return Source::Unusable(format!("Secret {name} does not exist in space {space}; {make}"));
    };
    let kind = secret.type_.unwrap_or_default();
    if kind != DOCKER_CONFIG_TYPE {
        let message =
            format!("Secret {name} of space {space} has type {kind:?}, not {DOCKER_CONFIG_TYPE}; delete it and {make}");
        return Source::Unusable(message);
    }
    let content = secret.data.unwrap_or_default().remove(DOCKER_CONFIG_KEY).unwrap_or_default();
    if serde_json::from_slice::<DockerConfig>(&content.0).is_err() {
        let message =
            format!("Secret {name} of space {space} holds no Docker configuration with an object \"auths\"; {make}");
        return Source::Unusable(message);
    }
    Source::Found { version: secret.metadata.resource_version.unwrap_or_default(), content }
}

/// What to say when Gantry may not read Secrets of the space.
#[must_use]
pub fn unreadable(name: &str, space: &str) -> Source {
    Source::Unusable(format!(
        "Gantry may not read Secret {name} of space {space}; bind ClusterRole gantry-space to its account there, as deploy/samples/checkout/1-space.yaml does"
    ))
}

/// What to say when a name is none.
#[must_use]
pub fn misnamed(name: &str) -> Source {
    let shown: String = name.chars().take(80).collect();
    Source::Unusable(format!("{shown:?} is not the name of a Secret; give the name of one in the space"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(kind: &str, key: &str, content: &str) -> Secret {
        Secret {
            type_: Some(kind.to_owned()),
            data: Some(BTreeMap::from([(key.to_owned(), ByteString(content.as_bytes().to_vec()))])),
            ..Secret::default()
        }
    }

    #[test]
    fn a_secret_that_is_no_docker_configuration_is_refused_without_showing_it() {
        let table = [
            (None, "does not exist"),
            (Some(secret("Opaque", DOCKER_CONFIG_KEY, r#"{"auths":{}}"#)), "has type"),
            (Some(secret(DOCKER_CONFIG_TYPE, "other", r#"{"auths":{}}"#)), "no Docker configuration"),
            (Some(secret(DOCKER_CONFIG_TYPE, DOCKER_CONFIG_KEY, "hunter2")), "no Docker configuration"),
            (Some(secret(DOCKER_CONFIG_TYPE, DOCKER_CONFIG_KEY, r#"{"hunter2":{}}"#)), "no Docker configuration"),
            (
                Some(secret(DOCKER_CONFIG_TYPE, DOCKER_CONFIG_KEY, r#"{"auths":["hunter2"]}"#)),
                "no Docker configuration",
            ),
        ];
        for (found, said) in table {
            let Source::Unusable(message) = judge(found, "ghcr", "shop") else { panic!("{said}") };
            assert!(message.contains(said) && message.contains("kubectl create secret"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_docker_configuration_can_be_copied() {
        let found = secret(DOCKER_CONFIG_TYPE, DOCKER_CONFIG_KEY, r#"{"auths":{"ghcr.io":{"auth":"x"}}}"#);
        assert!(matches!(judge(Some(found), "ghcr", "shop"), Source::Found { .. }));
    }
}
