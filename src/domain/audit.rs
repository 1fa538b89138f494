//! How records are sealed, and what a check of them finds.
//!
//! Records are written in parallel, each once. One writer seals them into checkpoints: a checkpoint lists the records that it
//! seals, each with the hash of what it says, and has the root of the Merkle tree over the root before it and those hashes. So the
//! newest root stands for the whole history: whoever has kept one outside can see any later edit, gap or cut.

pub mod checkpoint;
pub mod deletion;
pub mod merkle;
pub mod verify;

pub use checkpoint::{Anchor, Checkpoint, Sealed};
pub use merkle::Hash;
pub use verify::{Finding, Report, verify};
