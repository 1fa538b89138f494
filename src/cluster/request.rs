//! What a request to the API server is, for metrics: few values, never a name.

use http::{Method, Request, StatusCode};

/// Verb and resource of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: &'static str,
    /// Plural name, with the subresource: `promotions/status`. Anything that is no object is `other`.
    pub resource: String,
    /// Whether it is a watch, which has no end.
    pub watch: bool,
}

impl Call {
    /// Reads method, path and query.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        let mut parts = request.uri().path().trim_matches('/').split('/');
        match parts.next() {
            Some("api") => drop(parts.next()),
            Some("apis") => drop((parts.next(), parts.next())),
            _ => return Self { verb: "get", resource: "other".to_owned(), watch: false },
        }
        let mut rest: Vec<&str> = parts.collect();
        if rest.first() == Some(&"namespaces")
            && rest.len() > 2
            && !matches!(rest.get(2), Some(&"status" | &"finalize"))
        {
            rest.drain(..2);
        }
        let watch = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let follow = request.uri().query().is_some_and(|query| query.contains("follow=true"));
        let verb = match (request.method(), rest.len() > 1, watch) {
            (&Method::GET, _, true) => "watch",
            (&Method::GET, true, false) => "get",
            (&Method::GET, false, false) => "list",
            (&Method::POST, _, _) => "create",
            (&Method::PUT, _, _) => "update",
            (&Method::PATCH, _, _) => "patch",
            (&Method::DELETE, _, _) => "delete",
            _ => "other",
        };
        let resource = match (rest.first(), rest.get(2)) {
            (Some(resource), Some(sub)) => format!("{resource}/{sub}"),
            (Some(resource), None) => (*resource).to_owned(),
            (None, _) => "other".to_owned(),
        };
        Self { verb, resource, watch: watch || follow }
    }
}

/// `2xx`, `4xx` and so on; the codes that an operator looks for are their own class.
#[must_use]
pub fn code_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "403",
        404 => "404",
        409 => "409",
        429 => "429",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, uri: &str) -> (&'static str, String) {
        let call = Call::of(&Request::builder().method(method).uri(uri).body(()).unwrap());
        (call.verb, call.resource)
    }

    #[test]
    fn verb_and_resource_are_read_from_the_path() {
        let status = "/apis/gantry.dev/v1alpha1/namespaces/shop/promotions/x/status?a=b";
        assert_eq!(call(Method::PATCH, status), ("patch", "promotions/status".into()));
        assert_eq!(call(Method::GET, "/api/v1/namespaces"), ("list", "namespaces".into()));
        assert_eq!(call(Method::GET, "/api/v1/namespaces/shop"), ("get", "namespaces".into()));
        assert_eq!(call(Method::GET, "/api/v1/pods?watch=true"), ("watch", "pods".into()));
        assert_eq!(call(Method::POST, "/api/v1/namespaces/shop/pods"), ("create", "pods".into()));
        assert_eq!(call(Method::GET, "/version"), ("get", "other".into()));
    }
}
