//! Lists of tags against small HTTP servers; the real registry program is asked by the integration tests.

use axum::body::Body;
use axum::response::Response as Answer;

use super::super::tests::{Server, access, ann, server, status, text, with_header};
use super::*;

async fn list(host: &str, known: Option<&ETags>) -> Result<Listed, RegistryError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = format!("{host}/acme/api").parse::<Repository>().unwrap();
    Resolver::new(&access()).unwrap().tags(&repository, Some(&ann()), known).await
}

fn page(tags: &[String], next: Option<&str>) -> Answer {
    let answer = Answer::builder().header("etag", format!("\"{}\"", tags.len()));
    let answer = match next {
        Some(next) => answer.header("link", format!("<{next}>; rel=\"next\"")),
        None => answer,
    };
    answer.body(Body::from(serde_json::json!({"name": "acme/api", "tags": tags}).to_string())).unwrap()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("1.0.{number}")).collect()
}

fn etags(listed: Listed) -> Option<ETags> {
    let Listed::Tags(list) = listed else { panic!("{listed:?}") };
    list.etags
}

fn tags(listed: Listed) -> Vec<String> {
    let Listed::Tags(list) = listed else { panic!("{listed:?}") };
    list.tags.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_list_in_pages_is_read_to_its_end_and_never_leaves_the_host() {
    let registry: Server = server(|_, path, _, _| {
        if path.ends_with("last=b") {
            page(&numbered(2..3), None)
        } else {
            page(&numbered(0..2), Some("http://internal.example/v2/acme/api/tags/list?n=2&last=b"))
        }
    })
    .await;
    let found = list(&registry.host, None).await.unwrap();
    assert_eq!(tags(found), numbered(0..3));
    let seen = registry.seen.lock().unwrap().clone();
    assert_eq!(seen, ["GET /v2/acme/api/tags/list?n=1000 ", "GET /v2/acme/api/tags/list?n=2&last=b "]);
}

#[tokio::test]
async fn a_list_that_did_not_change_is_not_sent_again() {
    let registry = server(|_, _, _, _| page(&numbered(0..1), None)).await;
    let first = etags(list(&registry.host, None).await.unwrap()).expect("an ETag");
    let registry = server(|_, _, _, _| status(304)).await;
    assert_eq!(list(&registry.host, Some(&first)).await, Ok(Listed::Unchanged));
    assert!(matches!(list(&registry.host, None).await, Err(RegistryError::BadAnswer { .. })), "nobody asked for that");
}

/// The ETags of a list of pages with so many tags, which all have one.
async fn etags_of_pages(counts: &'static [usize]) -> Option<ETags> {
    let registry = server(move |_, path, _, _| {
        let number = path.rsplit_once("last=").map_or(0, |(_, number)| number.parse::<usize>().unwrap());
        let next = format!("/v2/acme/api/tags/list?last={}", number + 1);
        page(&numbered(0..counts[number]), (number + 1 < counts.len()).then_some(next.as_str()))
    })
    .await;
    etags(list(&registry.host, None).await.unwrap())
}

#[tokio::test]
async fn a_list_in_pages_did_not_change_when_none_of_them_did() {
    let known = etags_of_pages(&[3, 3, 2]).await.expect("an ETag for each page");
    // Where each page is; the host is another one now.
    let moved = |host: &str| ETags {
        pages: known
            .pages
            .iter()
            .map(|(address, etag)| {
                let mut address = address.clone();
                address.set_port(host.rsplit_once(':').and_then(|(_, port)| port.parse().ok())).unwrap();
                (address, etag.clone())
            })
            .collect(),
    };
    let registry = server(|_, _, _, _| status(304)).await;
    assert_eq!(list(&registry.host, Some(&moved(&registry.host))).await, Ok(Listed::Unchanged));
    assert_eq!(registry.seen.lock().unwrap().len(), 3, "each page is asked for");
    let registry =
        server(|_, path, _, _| if path.ends_with("last=2") { page(&numbered(0..3), None) } else { status(304) }).await;
    let error = list(&registry.host, Some(&moved(&registry.host))).await.unwrap_err();
    assert!(matches!(error, RegistryError::BadAnswer { .. }), "the whole is asked for without a condition: {error}");
    let seen = registry.seen.lock().unwrap().clone();
    assert_eq!((seen.len(), seen.last().unwrap().contains("?n=1000")), (4, true), "{seen:?}");
    let registry = server(
        |_, path, _, _| if path.ends_with("last=1") { with_header(429, "retry-after", "17") } else { status(304) },
    )
    .await;
    let error = list(&registry.host, Some(&moved(&registry.host))).await.unwrap_err();
    assert!(matches!(error, RegistryError::Busy { .. }) && registry.seen.lock().unwrap().len() == 2, "{error}");
}

#[tokio::test]
async fn where_the_next_tag_may_stand_on_another_page_the_list_is_asked_for_without_condition() {
    for (counts, conditional) in [
        (&[0][..], true),
        (&[7], true),
        (&[100], false),
        (&[100, 7], true),
        (&[100, 100], false),
        (&[100, 50, 50], false),
        (&[100, 60, 50], true),
    ] {
        assert_eq!(etags_of_pages(counts).await.is_some(), conditional, "{counts:?}");
    }
    let registry = server(|_, path, _, _| {
        if path.ends_with("last=b") {
            text(r#"{"tags":["c"]}"#)
        } else {
            page(&numbered(0..2), Some("/v2/acme/api/tags/list?n=2&last=b"))
        }
    })
    .await;
    assert_eq!(etags(list(&registry.host, None).await.unwrap()), None, "one page has no ETag");
}

#[tokio::test]
async fn credentials_are_shown_when_they_are_asked_for() {
    let registry = server(|_, _, authorization, _| match authorization {
        "Basic YW5uOnBhNTU=" => page(&numbered(0..1), None),
        _ => with_header(401, "www-authenticate", r#"Basic realm="r""#),
    })
    .await;
    assert_eq!(tags(list(&registry.host, None).await.unwrap()), numbered(0..1));
}

#[tokio::test]
async fn a_list_without_tags_is_empty_and_what_is_no_tag_is_left_out() {
    let registry = server(|_, _, _, _| text(r#"{"name":"acme/api","tags":null}"#)).await;
    assert_eq!(tags(list(&registry.host, None).await.unwrap()), [""; 0]);
    let registry = server(|_, _, _, _| text(r#"{"tags":["1.0.0","no tag","-x"]}"#)).await;
    assert_eq!(tags(list(&registry.host, None).await.unwrap()), ["1.0.0"]);
}

#[tokio::test]
async fn a_list_without_end_is_cut_off() {
    let registry = server(|_, path, _, _| {
        let count: usize = path.rsplit_once("last=").map_or(0, |(_, count)| count.parse().unwrap());
        page(&numbered(count..count + 1000), Some(&format!("/v2/acme/api/tags/list?last={}", count + 1000)))
    })
    .await;
    let error = list(&registry.host, None).await.unwrap_err();
    assert!(matches!(&error, RegistryError::TooManyTags { most: 10_000, .. }), "{error}");
    let registry = server(|_, path, _, _| {
        let count: usize = path.rsplit_once("last=").map_or(0, |(_, count)| count.parse().unwrap());
        page(&[], Some(&format!("/v2/acme/api/tags/list?last={}", count + 1)))
    })
    .await;
    let error = list(&registry.host, None).await.unwrap_err();
    assert!(error.to_string().contains("more than 200 pages"), "{error}");
    let registry = server(|_, path, _, _| page(&[], Some(path))).await;
    assert!(list(&registry.host, None).await.unwrap_err().to_string().contains("next page is itself"));
    let registry = server(|_, _, _, _| text(vec![b' '; LARGEST_PAGE + 1])).await;
    assert!(list(&registry.host, None).await.unwrap_err().to_string().contains("more than 2097152 bytes"));
}

#[tokio::test]
async fn each_refusal_of_a_list_has_its_own_error() {
    let registry = server(|_, _, _, _| status(404)).await;
    assert!(matches!(list(&registry.host, None).await, Err(RegistryError::RepositoryNotFound { .. })));
    let registry = server(|_, _, _, _| status(403)).await;
    assert!(matches!(list(&registry.host, None).await, Err(RegistryError::Unauthorized { .. })));
    let registry = server(|_, _, _, _| text("<html>")).await;
    assert!(list(&registry.host, None).await.unwrap_err().to_string().contains("no such JSON"));
    let registry = server(|_, _, _, _| with_header(429, "retry-after", "17")).await;
    let error = list(&registry.host, None).await.unwrap_err();
    let busy = matches!(&error, RegistryError::Busy { pause: Some(pause), .. } if pause.as_secs() == 17);
    assert!(busy && error.heals_by_itself() && error.to_string().contains("429 Too Many Requests"), "{error}");
}

#[test]
fn the_next_page_is_found_among_other_links() {
    assert_eq!(next_target(r#"</v2/x?n=1&last=a,b>; rel="next""#), Some("/v2/x?n=1&last=a,b"));
    assert_eq!(next_target(r#"</a>; rel="prev", </b>; title="x"; rel=next"#), Some("/b"));
    assert_eq!(next_target(r#"</a>; rel="prev""#), None);
    assert_eq!(next_target("nonsense"), None);
}
