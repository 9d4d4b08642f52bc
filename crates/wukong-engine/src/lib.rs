#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod causes;
pub mod changes;
mod children;
mod conditions;
mod decide;
pub mod decision;
pub mod desired;
pub mod environment;
pub mod facts;
mod notes;
mod observed;
pub mod owned;
mod pending;
mod plan;
mod planning;
mod power;
pub mod reasons;
mod report;
mod said;
mod status;
pub mod store;
mod verdict;
pub mod world;

pub use decide::{decide, undecodable};
pub use decision::{Apply, Call, Decision, Expand, Expect, Kind, Note, Prune, Target, Waiting};
pub use observed::{Applied, Called, Failure, FailureKind, Looked, Memory, Observed};
pub use power::Wish;
pub use store::{Presence, Seen, Store};
pub use world::World;

/// The example in the README of the repository compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
