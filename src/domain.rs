//! The rules of Gantry, as plain functions over plain values.
//!
//! Nothing in here has heard of Kubernetes, of a network, of a clock or of a log: what a rule needs
//! to know, time included, is an argument, and what it decides is its result. So every rule can be
//! read, and tested, on its own.
//!
//! One word per thing, here and in code, messages, docs and metrics alike:
//!
//! - **space**: the namespace that holds a team's Gantry objects.
//! - **project**: what is deployed together; it has packages and a process, and no versions.
//! - **step**: one thing that a process does, in every target that its **conditions** fit; elsewhere it is **skipped**.
//! - **package**: one image of a project; a release gives it a version, the registry its digest.
//! - **release**: a version of a project, **sealed** when its packages and process can no longer change.
//! - **remade**: made again under the name of one that was deleted: another one, as its UID says.
//! - **channel**: which versions a project's release may be made of, and by which lifecycle it goes.
//! - **trigger**: makes a release when a registry has a newer version that a channel takes.
//! - **environment**: where releases run; its **targets** are the namespaces that hold the workloads.
//! - **account**: as what Gantry acts, or pods run, in a target: the **deployer** applies releases, the **console** runs commands.
//! - **isolation**: whom the pods of a target reach and who reaches them.
//! - **lifecycle**: the order in which a release goes through environments, as **phases**.
//! - **promotion**: one request to put one release into one environment. Its **outcome** is its end.
//! - **approval**: one person's yes or no to one promotion's **plan**: which release, where, with which variables.
//! - **guard**: whether the API server's policies stamp and check what people write, as they are **shipped**; while they did not is a **gap**.
//! - **command**: something that people want done to what runs in an environment, once.
//! - **freeze**: nothing is promoted to some environments in its **periods**, each of which has a start and an end.
//! - **gate**: one named condition a promotion must meet before it starts; the gates' **verdict** says
//!   open, waiting or closed.
//! - **slot**: the right to run in one environment of one project; one promotion holds it at a time.
//! - **standing**: a promotion's place among the unfinished ones that want the same slot.
//! - **pin**: which version of a project an environment runs; each change of it makes one promotion.
//! - **record**: one thing that happened, kept for good; a **checkpoint** seals records, so that a later edit, gap or cut shows.
//! - **variable**: a named value of a project or a variable set; its **scope** says where a value holds.
//!
//! Read [`promotion::machine`] first, then [`promotion::gate`], [`queue`] and [`lifecycle`].
#![deny(clippy::wildcard_enum_match_arm)]

pub mod audit;
pub mod channel;
pub mod command;
pub mod freeze;
pub mod guard;
pub mod image;
pub mod invalid;
pub mod lifecycle;
pub mod name;
pub mod pin;
pub mod promotion;
pub mod quantity;
pub mod queue;
pub mod recovery;
pub mod remade;
pub mod step;
pub mod trigger;
pub mod variable;
pub mod version;
