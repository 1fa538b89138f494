//! Simulated nodes: pods become ready, fail or finish as their annotations say.
