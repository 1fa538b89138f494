//! The tags of a repository: a list in pages, bounded in number, bytes and time.

use std::time::Duration;

use reqwest::header::{ACCEPT, ETAG, IF_NONE_MATCH, LINK};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::{Authorization, Question, Resolver};
use crate::domain::image::{Repository, Tag};
use crate::registry::credentials::Credentials;
use crate::registry::error::RegistryError;

/// The longest time that all pages together may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many tags are asked for at a time; registries may give fewer (Docker's own at most 100).
const PAGE: usize = 1000;
/// The most tags that are looked through.
const MOST_TAGS: usize = 10_000;
/// The most pages that are asked for, so that empty pages come to an end: all tags, a hundred at a time, twice.
const MOST_PAGES: usize = 200;
/// The largest page that is read: the most tags of the greatest length (128) with quotes and commas, in a single page.
const LARGEST_PAGE: usize = 2 * 1024 * 1024;

/// What a registry says of the tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// They are what they were when the registry gave the given ETags.
    Unchanged,
    /// These.
    Tags(TagList),
}

/// The tags of a repository, in no particular order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList {
    /// The tags. What is not written as a tag is left out: nothing could be done with it.
    pub tags: Vec<Tag>,
    /// What to ask with the next time; nothing where the registry gives none, or not for every page.
    pub etags: Option<ETags>,
}

/// The ETags of all pages of a list. One speaks of its own page alone: a new tag may stand in any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ETags {
    pages: Vec<(Url, String)>,
}

/// The pages that were read so far.
#[derive(Default)]
struct Pages {
    tags: Vec<Tag>,
    /// How many tags each had.
    counts: Vec<usize>,
    etags: Vec<(Url, String)>,
}

/// A page as registries write it; one without tags may have `null`.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Resolver {
    /// The tags of a repository, asked anonymously or with `credentials`, and on the condition that they are not those of the
    /// ETags `known`.
    ///
    /// # Errors
    /// A [`RegistryError`] whose message says which repository or registry it is about and what to do.
    pub async fn tags(
        &self,
        repository: &Repository,
        credentials: Option<&Credentials>,
        known: Option<&ETags>,
    ) -> Result<Listed, RegistryError> {
        let question = self.question(repository, credentials)?;
        tokio::time::timeout(DEADLINE, question.tags(known)).await.unwrap_or_else(|_| {
            Err(question.unreachable(&format!("no list of tags within {} seconds", DEADLINE.as_secs())))
        })
    }
}

impl Question<'_> {
    async fn tags(&self, known: Option<&ETags>) -> Result<Listed, RegistryError> {
        let address = self.address(&format!("tags/list?n={PAGE}"))?;
        let known = known.and_then(|known| known.pages.split_first());
        let condition = known.map(|((_, etag), _)| etag.as_str());
        let mut authorization = Authorization::Anonymous;
        let mut answer = self.page(&address, &authorization, condition).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            authorization = self.authorize(answer.headers()).await?;
            answer = self.page(&address, &authorization, condition).await?;
        }
        if let Some((_, others)) = known.filter(|_| answer.status() == StatusCode::NOT_MODIFIED) {
            if self.are_unchanged(others, &authorization).await? {
                return Ok(Listed::Unchanged);
            }
            // Pages are not kept, they may be long: beside one that changed, the others are read again.
            answer = self.page(&address, &authorization, None).await?;
        }
        self.whole((address, answer), &authorization).await.map(Listed::Tags)
    }

    /// Whether these pages are what they were.
    async fn are_unchanged(
        &self,
        pages: &[(Url, String)],
        authorization: &Authorization<'_>,
    ) -> Result<bool, RegistryError> {
        for (address, etag) in pages {
            let answer = self.page(address, authorization, Some(etag)).await?;
            match answer.status() {
                StatusCode::NOT_MODIFIED => {}
                StatusCode::OK | StatusCode::NOT_FOUND => return Ok(false),
                _ => return Err(self.refusal(&answer)),
            }
        }
        Ok(true)
    }

    /// The whole list, from the answer for its first page on.
    async fn whole(
        &self,
        (mut address, mut answer): (Url, Response),
        authorization: &Authorization<'_>,
    ) -> Result<TagList, RegistryError> {
        let mut pages = Pages::default();
        for _ in 1..=MOST_PAGES {
            let next = self.next(&address, &answer)?;
            let etag = answer.headers().get(ETAG).and_then(|value| value.to_str().ok());
            pages.etags.extend(etag.map(|etag| (address, etag.to_owned())));
            self.collect(answer, &mut pages).await?;
            let Some(next) = next else { return Ok(pages.list()) };
            address = next;
            answer = self.page(&address, authorization, None).await?;
        }
        Err(self.bad(&format!("a list of tags in more than {MOST_PAGES} pages")))
    }

    async fn page(
        &self,
        address: &Url,
        authorization: &Authorization<'_>,
        known: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let request = self.request(Method::GET, address, authorization)?.header(ACCEPT, "application/json");
        let request = match known {
            Some(etag) => request.header(IF_NONE_MATCH, etag),
            None => request,
        };
        request.send().await.map_err(|error| self.failure(&error))
    }

    /// Adds the tags of a page.
    async fn collect(&self, answer: Response, pages: &mut Pages) -> Result<(), RegistryError> {
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(RegistryError::RepositoryNotFound { repository: self.repository.to_string() });
            }
            _ => return Err(self.refusal(&answer)),
        }
        let content = self.read(answer, LARGEST_PAGE).await?;
        let page: Page =
            serde_json::from_slice(&content).map_err(|_| self.bad("a list of tags that is no such JSON"))?;
        let read = page.tags.unwrap_or_default();
        if pages.tags.len() + read.len() > MOST_TAGS {
            return Err(RegistryError::TooManyTags { repository: self.repository.to_string(), most: MOST_TAGS });
        }
        pages.tags.extend(read.iter().filter_map(|text| text.parse::<Tag>().ok()));
        pages.counts.push(read.len());
        Ok(())
    }

    /// Where the next page is, always on the host that was asked: proxies are known to write another one, and a registry must
    /// not send credentials elsewhere.
    fn next(&self, address: &Url, answer: &Response) -> Result<Option<Url>, RegistryError> {
        let mut links = answer.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(target) = links.find_map(next_target) else { return Ok(None) };
        let written = address.join(target).map_err(|_| self.bad("a link to a next page that is no address"))?;
        let mut next = address.clone();
        next.set_path(written.path());
        next.set_query(written.query());
        if next == *address { Err(self.bad("a list of tags whose next page is itself")) } else { Ok(Some(next)) }
    }
}

impl Pages {
    fn list(self) -> TagList {
        let conditional = self.etags.len() == self.counts.len() && !self.is_last_full();
        TagList { tags: self.tags, etags: conditional.then_some(ETags { pages: self.etags }) }
    }

    /// Whether the last page may have no room for another tag. The next tag would then make another page, and of that only the link
    /// of the last one tells, which its ETag may leave out. Where nothing says how large a page is, a round number may be its size.
    fn is_last_full(&self) -> bool {
        const ROUND: usize = 10;
        match self.counts.as_slice() {
            [] | [0] => false,
            [only] => only % ROUND == 0,
            [others @ .., last] => others.iter().any(|other| last >= other),
        }
    }
}

/// The target of `rel="next"` in a Link header (RFC 8288).
fn next_target(value: &str) -> Option<&str> {
    value.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let next = parameters.split([';', ',']).any(|parameter| {
            let parameter = parameter.trim();
            parameter.eq_ignore_ascii_case("rel=next") || parameter.eq_ignore_ascii_case("rel=\"next\"")
        });
        next.then_some(target)
    })
}

#[cfg(test)]
mod tests;
