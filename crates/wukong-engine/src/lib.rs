#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod actions;
mod call;
pub mod catalogue;
pub mod changes;
mod decide;
pub mod decision;
pub mod desired;
pub mod diagnosis;
pub mod environment;
pub mod facts;
mod generations;
mod held;
mod hot_plug;
mod initial;
pub mod managed_fields;
mod observed;
mod ownership;
mod power;
mod protection;
pub mod reasons;
pub mod related;
mod restoring;
mod situation;
mod status;
mod status_report;
mod taken;
mod target;
pub mod world;

pub use call::{Call, Called};
pub use decide::{decide, undecodable};
pub use decision::{Apply, Decision, Event, Expand, Expect, Prune};
pub use facts::{Presence, Seen, Store};
pub use observed::{Applied, Failure, FailureKind, Memory, Observed, Queried, Waiting};
pub use power::DesiredPower;
pub use protection::{
    ObservedSchedule, ScheduleDecision, decide_orphans, decide_schedule, named_wukongs,
};
pub use status_report::{Reported, StatusReport};
pub use target::{Kind, Target};
pub use world::World;
pub use wukong_protection::schedule::Vm as ScheduledVm;

/// The example in the README of the repository compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
