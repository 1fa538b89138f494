//! Integration tests.

#[cfg(test)]
mod architecture;
