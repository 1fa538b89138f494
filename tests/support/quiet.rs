//! Waiting until the operator has nothing left to write.

use gantry_plane::{AuditEvent, Plane};

use super::shared::{is_write, is_write_of_the_operator};
use super::wait;

/// How often the leader's Lease must be renewed in a row without another write.
const RENEWALS: usize = 10;

/// Waits until the operator writes nothing but its Lease, for as long as it takes to renew that several times.
pub async fn until_quiet(plane: &Plane) {
    let mut mark = plane.audit().mark();
    let mut renewed = 0;
    wait::eventually("the Lease is renewed several times in a row without another write", || {
        let (events, next) = plane.audit().read(mark).expect("the audit log");
        mark = next;
        let leases =
            |event: &&AuditEvent| event.resource == "leases" && event.namespace == "gantry-system" && is_write(event);
        let wrote = events.iter().any(is_write_of_the_operator);
        renewed = if wrote { 0 } else { renewed + events.iter().filter(leases).count() };
        let quiet = renewed >= RENEWALS;
        async move { quiet.then_some(()) }
    })
    .await;
}
