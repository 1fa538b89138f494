//! How a registry asks who we are, and which host may be told.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::parser::ChallengeParser;
use reqwest::Url;
use std::net::IpAddr;

/// What a 401 answer asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The user name and password themselves.
    Basic,
    /// A token that another address gives out.
    Bearer {
        /// The address that gives it out.
        realm: Url,
        /// The name of the registry there.
        service: Option<String>,
    },
}

/// Reads the strongest challenge of an answer: a token before a password; `None` if there is none of the two.
#[must_use]
pub fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<Challenge> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| ChallengeParser::new(value).map_while(Result::ok).collect::<Vec<_>>())
        .filter_map(|found| {
            if found.scheme.eq_ignore_ascii_case("basic") {
                return Some(Challenge::Basic);
            }
            if !found.scheme.eq_ignore_ascii_case("bearer") {
                return None;
            }
            let parameter = |name: &str| {
                found
                    .params
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_unescaped())
            };
            let realm = Url::parse(&parameter("realm")?).ok()?;
            Some(Challenge::Bearer { realm, service: parameter("service") })
        })
        .collect();
    all.into_iter().min_by_key(|found| match found {
        Challenge::Bearer { .. } => 0,
        Challenge::Basic => 1,
    })
}

/// Whether a registry's password may be shown to the address that gives out its tokens.
///
/// The registry names that address itself, so it has to be the registry's own host or one of the same domain
/// (`registry.gitlab.com` and `gitlab.com`, `docker.io` and `auth.docker.io`), and TLS must not be given up for it.
#[must_use]
pub fn may_receive_password(registry: &Url, realm: &Url) -> bool {
    if registry.scheme() == "https" && realm.scheme() != "https" {
        return false;
    }
    let (Some(registry), Some(realm)) = (registry.host_str(), realm.host_str()) else {
        return false;
    };
    registry == realm || (!is_address(registry) && !is_address(realm) && same_domain(registry, realm))
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn same_domain(one: &str, other: &str) -> bool {
    let (one, other) = (last_two_labels(one), last_two_labels(other));
    one.is_some() && one == other
}

fn last_two_labels(host: &str) -> Option<&str> {
    let (rest, _) = host.rsplit_once('.')?;
    Some(rest.rsplit_once('.').map_or(host, |(before, _)| host.get(before.len() + 1..).unwrap_or(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static(value));
        }
        headers
    }

    fn allowed(registry: &str, realm: &str) -> bool {
        may_receive_password(&Url::parse(registry).unwrap(), &Url::parse(realm).unwrap())
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let found = challenge(&headers(&[
            r#"Basic realm="x""#,
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#,
        ]));
        let realm = Url::parse("https://auth.docker.io/token").unwrap();
        assert_eq!(found, Some(Challenge::Bearer { realm, service: Some("registry.docker.io".to_owned()) }));
    }

    #[test]
    fn an_unknown_or_broken_challenge_is_none() {
        assert_eq!(challenge(&headers(&["Negotiate"])), None);
        assert_eq!(challenge(&headers(&[r#"Bearer service="x""#])), None);
        assert_eq!(challenge(&headers(&[r#"Bearer realm="not a url""#])), None);
        assert_eq!(challenge(&headers(&[])), None);
        assert_eq!(challenge(&headers(&[r#"Basic realm="Registry""#])), Some(Challenge::Basic));
    }

    #[test]
    fn a_password_stays_in_the_registrys_own_domain() {
        assert!(allowed("https://ghcr.io/v2/", "https://ghcr.io/token"));
        assert!(allowed("https://registry-1.docker.io/v2/", "https://auth.docker.io/token"));
        assert!(allowed("https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth"));
        assert!(allowed("http://localhost:5000/v2/", "http://localhost:5001/token"));
        assert!(!allowed("https://ghcr.io/v2/", "https://evil.example/token"));
        assert!(!allowed("https://ghcr.io/v2/", "https://ghcr.io.evil.example/token"));
        assert!(!allowed("https://10.0.0.1/v2/", "https://10.0.0.2/token"));
        assert!(!allowed("https://registry/v2/", "https://other/token"));
    }

    #[test]
    fn a_password_is_never_sent_without_tls_to_help_a_registry_that_has_it() {
        assert!(!allowed("https://ghcr.io/v2/", "http://ghcr.io/token"));
    }
}
