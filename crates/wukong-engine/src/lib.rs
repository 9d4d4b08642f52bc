#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod actions;
mod call;
pub mod catalogue;
pub mod changes;
mod conditions;
mod decide;
pub mod decision;
pub mod desired;
pub mod diagnosis;
pub mod environment;
pub mod facts;
pub mod managed_fields;
mod notes;
mod observed;
mod outcome;
mod ownership;
mod pending;
mod power;
pub mod reasons;
pub mod related;
mod report;
mod situation;
mod status;
pub mod store;
mod target;
pub mod world;

pub use call::{Call, Called};
pub use decide::{decide, undecodable};
pub use decision::{Apply, Decision, Expand, Expect, Note, Prune};
pub use observed::{Applied, Failure, FailureKind, Memory, Observed, Queried, Waiting};
pub use power::DesiredPower;
pub use store::{Presence, Seen, Store};
pub use target::{Kind, Target};
pub use world::World;

/// The example in the README of the repository compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
