//! A real node: containerd, runc and kubelet.

use crate::error::PlaneError;
use crate::plane::Plane;

/// The real node of a cluster.
#[derive(Debug)]
pub struct RealNode;

impl RealNode {
    /// Starts the node in the run of `plane`, and waits until it is ready and takes pods.
    ///
    /// # Errors
    /// Not root, or a program that does not start.
    #[expect(clippy::unused_async, reason = "starting a node waits")]
    pub(crate) async fn start(_plane: &Plane) -> Result<Self, PlaneError> {
        Err(PlaneError::Unmet("this build has no real node yet: use simulated ones".to_owned()))
    }
}
