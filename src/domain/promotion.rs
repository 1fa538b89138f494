//! A promotion: one request to put one release into one environment, once.
//!
//! [`machine`] decides what happens next, from a [`phase`] and the facts; [`gate`] is what stands
//! between a request and its start, [`approval`] who must agree to it; [`mode`] is what it is to its environment; [`parts`] is what it leaves
//! out; [`rollback`] is what follows a failure;
//! [`outcome`] is what remains of it, and [`history`] how outcomes
//! are kept in rows that people read.

pub mod approval;
pub mod gate;
pub mod history;
pub mod machine;
pub mod mode;
pub mod outcome;
pub mod parts;
pub mod phase;
pub mod reason;
pub mod rollback;
pub mod window;
