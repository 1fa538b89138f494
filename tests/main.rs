//! Integration tests.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cel;
#[cfg(test)]
mod channels;
#[cfg(test)]
mod columns;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod contributing;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod flux;
#[cfg(test)]
mod freezes;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod hindered;
#[cfg(test)]
mod install;
#[cfg(test)]
mod leader;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod names;
#[cfg(test)]
mod observability;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod overview;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod pins;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod promotion;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod records;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod release;
#[cfg(test)]
mod remade;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod rollback;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod steps_apply;
#[cfg(test)]
mod steps_health;
#[cfg(test)]
mod support;
#[cfg(test)]
mod triggers;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod uninstall;
#[cfg(test)]
mod variables;
#[cfg(test)]
mod window;
#[cfg(test)]
mod words;
