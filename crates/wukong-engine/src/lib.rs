//! The pure core of the operator: compose, classify, diagnose, decide.
#![deny(missing_docs)]

pub mod decision;
pub mod facts;
pub mod owned;
pub mod world;

pub use decision::{
    Applied, Apply, Call, Decision, Expand, Expect, Failure, FailureKind, Kind, Memory, Note,
    Observed, Prune, Target,
};
pub use world::{Presence, Seen, Store, World};
