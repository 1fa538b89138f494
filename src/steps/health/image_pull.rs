//! Why an image cannot be pulled, from the words of container runtimes and registries. Pure.

/// Whether another attempt may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The registry answered, and no other answer is to be expected.
    Certain(&'static str),
    /// It may go away: an overloaded registry, a network.
    Uncertain(String),
}

/// Words of a registry's final answers. From containerd's `core/remotes/docker` (`resolver.go`, `authorizer.go`, `errdefs`) and the
/// error codes of the distribution specification.
const ANSWERS: [(&str, &str); 12] = [
    ("code = NotFound", "not found"),
    (": not found", "not found"),
    ("manifest unknown", "not found"),
    ("name unknown", "not found"),
    ("404 Not Found", "not found"),
    (
        "pull access denied",
        "is refused by the registry: check its name and the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "insufficient_scope",
        "is refused by the registry: check its name and the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "authorization failed",
        "is refused by the registry: check the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "no basic auth credentials",
        "is refused by the registry: check the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "401 Unauthorized",
        "is refused by the registry: check the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "403 Forbidden",
        "is refused by the registry: check the rights of the environment's pullSecrets, and delete the pod afterwards",
    ),
    (
        "code = Unauthenticated",
        "is refused by the registry: check the environment's pullSecrets, and delete the pod afterwards",
    ),
];

/// Reads the message of a waiting container.
pub(super) fn cause(message: &str) -> Cause {
    // A registry that is asked too often says so in many words, some of which look like a refusal.
    let overloaded = ["toomanyrequests", "429 Too Many Requests"].iter().any(|word| message.contains(word));
    match ANSWERS.iter().find(|(word, _)| !overloaded && message.contains(word)) {
        Some((_, answer)) => Cause::Certain(answer),
        None => Cause::Uncertain(innermost(message)),
    }
}

/// The part that says what happened: runtimes put each layer's words in front.
fn innermost(message: &str) -> String {
    let told = message.rsplit_once("desc = ").map_or(message, |(_, told)| told).trim();
    if told.is_empty() { "no cause is given".to_owned() } else { told.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_answered_for_good_is_certain() {
        for (message, expected) in [
            (
                r#"Back-off pulling image "localhost:5000/checkout:9.9.9": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "localhost:5000/checkout:9.9.9": failed to resolve reference "localhost:5000/checkout:9.9.9": localhost:5000/checkout:9.9.9: not found"#,
                "not found",
            ),
            (
                r#"failed to pull and unpack image "docker.io/acme/private:1": failed to resolve reference "docker.io/acme/private:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"#,
                "is refused by the registry: check its name and the environment's pullSecrets, and delete the pod afterwards",
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized",
                "is refused by the registry: check the environment's pullSecrets, and delete the pod afterwards",
            ),
            (
                r#"failed to resolve reference "r.example/a:1": unexpected status from HEAD request to https://r.example/v2/a/manifests/1: 403 Forbidden"#,
                "is refused by the registry: check the rights of the environment's pullSecrets, and delete the pod afterwards",
            ),
        ] {
            assert_eq!(cause(message), Cause::Certain(expected), "{message}");
        }
    }

    #[test]
    fn what_may_go_away_is_not() {
        for message in [
            r#"rpc error: code = Unknown desc = failed to resolve reference "r.example/a:1": dial tcp: lookup r.example: no such host"#,
            r#"rpc error: code = Unknown desc = failed to do request: Head "https://r.example/v2/a/manifests/1": dial tcp 192.0.2.1:443: i/o timeout"#,
            "rpc error: code = Unknown desc = unexpected status: 429 Too Many Requests - toomanyrequests: pull access denied for now",
            "rpc error: code = Unavailable desc = unexpected status: 503 Service Unavailable",
            "",
        ] {
            assert!(matches!(cause(message), Cause::Uncertain(_)), "{message}");
        }
        assert_eq!(
            cause("rpc error: code = Unavailable desc = unexpected status: 503 Service Unavailable"),
            Cause::Uncertain("unexpected status: 503 Service Unavailable".into())
        );
    }
}
