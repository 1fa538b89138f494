//! Work beside the reconciles, such as asking a registry: a panic in it is an answer like any other, so that the object that it
//! was for is told and looked at again later. Otherwise nobody would ever hear of it.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

/// Somebody's code is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Gantry made an error of its own (a panic, see its log), which is tried again later: report it")]
pub struct Panicked;

/// The result of the work.
///
/// # Errors
/// When it panics; the log has the panic itself.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    // What the work had in its hands is dropped, and what it shares is behind locks that survive.
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let told = caught::<()>(async { panic!("a bug") }).await.unwrap_err().to_string();
        assert!(told.contains("report it"), "{told}");
    }
}
