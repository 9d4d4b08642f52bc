//! The operator: watches, facts, decisions, writes.
//!
//! ```text
//!  API server ── watches ──> projection ──> cluster ──> queue ──> reconcile ──> applier ──> API server
//!   (one per kind)           (facts only)   (world,     (fair,    (decide,      (HTTP with
//!                                            Wukongs)    paced)    carry out)    deadlines)
//!                                               ^                     │
//!                                               └── answers to writes ┘
//! ```
//!
//! * What to do is decided by [`wukong_engine::decide`], a pure function. **Invariant:** nothing here knows what a VM
//!   needs; nothing there knows that there is a network.
//! * **Invariant:** an object is only written under a precondition that keeps it from being somebody else's
//!   ([`applier`]).
//! * **Invariant:** nothing is written unless this replica leads at that moment ([`leader`]).
//! * **Invariant:** nothing is asked of the API server while nothing happens: no polls, no reads.

pub mod applier;
pub mod backoff;
pub mod cluster;
pub mod connect;
pub mod event;
pub mod health;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod port;
pub mod projection;
pub mod queue;
pub mod reconcile;
pub mod refusal;
pub mod remembered;
pub mod run;
pub mod settings;
pub mod watch;
pub mod workers;
pub mod wukongs;
