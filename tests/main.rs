//! Integration tests.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod install;
#[cfg(test)]
mod promotion;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trust;
