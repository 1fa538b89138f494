//! Integration tests.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod support;
