//! The write gate: no write leaves this process unless it leads.
//!
//! Leadership is time-bound: the gate closes by itself when the leader Lease was not renewed in time, so a process that was
//! paused finds it closed when it wakes. Dry runs pass; the election has a client of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{Method, Request};

/// A write was held back because this process does not lead.
#[derive(Debug, thiserror::Error)]
#[error("this process does not lead; the write was held back")]
pub struct NotLeading;

/// Open until a time that the leader election moves on.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    open_until: Arc<Mutex<Option<Instant>>>,
}

impl Gate {
    /// Opens the gate until `deadline`.
    pub fn open_until(&self, deadline: Instant) {
        *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    /// Closes the gate.
    pub fn close(&self) {
        *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a write may leave now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let until = *self.open_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Judges one request.
    ///
    /// # Errors
    /// When it writes and the gate is closed.
    pub fn admit<B>(&self, request: &Request<B>) -> Result<(), NotLeading> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let dry = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "dryRun=All"));
        let lets_through = reads || dry;
        if lets_through || self.is_open() { Ok(()) } else { Err(NotLeading) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn request(method: Method, uri: &str) -> Request<()> {
        Request::builder().method(method).uri(uri).body(()).unwrap()
    }

    #[test]
    fn a_closed_gate_holds_writes_back_and_lets_reads_and_dry_runs_pass() {
        let gate = Gate::default();
        assert!(gate.admit(&request(Method::GET, "/api/v1/pods")).is_ok());
        assert!(gate.admit(&request(Method::PATCH, "/api/v1/pods/x?dryRun=All&force=true")).is_ok());
        assert!(gate.admit(&request(Method::PATCH, "/api/v1/pods/x")).is_err());
        assert!(gate.admit(&request(Method::DELETE, "/api/v1/pods/x")).is_err());
    }

    #[test]
    fn an_open_gate_closes_by_itself() {
        let gate = Gate::default();
        gate.open_until(Instant::now() + Duration::from_mins(1));
        assert!(gate.admit(&request(Method::POST, "/api/v1/pods")).is_ok());
        gate.open_until(Instant::now());
        assert!(gate.admit(&request(Method::POST, "/api/v1/pods")).is_err());
    }
}
