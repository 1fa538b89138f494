//! Gantry
