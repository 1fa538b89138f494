//! Who deleted what is recorded as deleted. The API server stamps nobody there, so its own log is the only witness: it is asked for
//! answered requests to delete, and names somebody only where no other request can have done it.

use jiff::{SignedDuration, Timestamp};

/// The API server keeps the time of a deletion in whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Something of which a record says that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Its resource, as requests name it. Example: `freezes`
    pub resource: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was last known to be there.
    pub there: Option<Timestamp>,
    /// When the API server took the deletion, where it kept that; to the second.
    pub taken: Option<Timestamp>,
    /// When it was seen to be gone.
    pub gone: Timestamp,
}

/// One request to delete that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id in the log.
    pub id: String,
    /// Who asked.
    pub by: String,
    /// Who asked as that one, if somebody did.
    pub impersonated_by: Option<String>,
    /// The resource.
    pub resource: String,
    /// The namespace.
    pub namespace: String,
    /// Which one; nothing for all that a selector fits.
    pub name: Option<String>,
    /// When it came.
    pub received: Timestamp,
    /// When it was answered.
    pub answered: Timestamp,
    /// What it was answered.
    pub answer: Answer,
}

/// What a request to delete was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These objects were deleted.
    Objects(Vec<Object>),
    /// It was done; the log does not keep what was answered.
    Done,
    /// It ended with an error, which may have come after the deletion.
    Stopped,
}

/// What the answer to a request says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its UID.
    pub uid: String,
    /// Since when it is on its way out, if something holds it; to the second.
    pub taken: Option<Timestamp>,
}

/// What a log says of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author<'a> {
    /// This request did it, and no other can have.
    Known(&'a Request, Proof),
    /// Each of these can have done it, and they are not all of one person; or the only one may have stopped before.
    Unsure(Vec<&'a Request>),
    /// None can have done it.
    Missing,
}

/// Why a request is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its answer has the UID.
    Uid,
    /// It names the object, and came between the time when it was there and the time when it was gone. The log has no answers.
    NameAndTime,
}

impl Proof {
    /// The proof in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uid => "its UID",
            Self::NameAndTime => "its name and the time",
        }
    }
}

impl Deleted {
    /// Who did it, as far as these requests say.
    #[must_use]
    pub fn author<'a>(&self, requests: &'a [Request]) -> Author<'a> {
        let mut here: Vec<&Request> = requests.iter().filter(|request| self.may_be_of(request)).collect();
        here.sort_by_key(|request| (request.received, &request.id));
        here.dedup_by_key(|request| &request.id);
        let (told, silent): (Vec<&Request>, Vec<&Request>) =
            here.into_iter().partition(|request| matches!(request.answer, Answer::Objects(_)));
        let certain: Vec<&Request> = told.into_iter().filter(|request| self.is_told_by(request)).collect();
        if !certain.is_empty() {
            return of_one(certain, Proof::Uid);
        }
        let possible: Vec<&Request> = silent.into_iter().filter(|request| self.is_in_time(request)).collect();
        if possible.iter().any(|request| request.name.is_none() || request.answer == Answer::Stopped) {
            return Author::Unsure(possible);
        }
        of_one(possible, Proof::NameAndTime)
    }

    fn may_be_of(&self, request: &Request) -> bool {
        let named = request.name.as_ref().is_none_or(|name| *name == self.name);
        named && request.resource == self.resource && request.namespace == self.namespace
    }

    /// Whether its answer has this object, and it was not on its way out before. A second request to delete what something holds
    /// is answered like the first.
    fn is_told_by(&self, request: &Request) -> bool {
        let Answer::Objects(objects) = &request.answer else { return false };
        let mut objects = objects.iter().filter(|object| object.uid == self.uid);
        objects.any(|object| object.taken.or(self.taken).is_none_or(|taken| took(request, taken)))
    }

    fn is_in_time(&self, request: &Request) -> bool {
        match self.taken {
            Some(taken) => took(request, taken),
            None => self.there.is_none_or(|there| there <= request.answered) && request.received <= self.gone,
        }
    }
}

/// Whether a request may be the one that the API server took at that second.
fn took(request: &Request, taken: Timestamp) -> bool {
    let next = taken.checked_add(SECOND).unwrap_or(Timestamp::MAX);
    request.received < next && taken <= request.answered
}

/// Several requests of one person are the first one's.
fn of_one(requests: Vec<&Request>, proof: Proof) -> Author<'_> {
    let Some(first) = requests.first().copied() else { return Author::Missing };
    let who = |request: &Request| (request.by.clone(), request.impersonated_by.clone());
    if requests.iter().all(|request| who(request) == who(first)) {
        return Author::Known(first, proof);
    }
    Author::Unsure(requests)
}

#[cfg(test)]
mod tests;
