//! Integration tests.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod cel;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod install;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod release;
#[cfg(test)]
mod support;
