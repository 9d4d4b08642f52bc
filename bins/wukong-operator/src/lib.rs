//! The operator: watches, facts, decisions, writes.
//!
//! ```text
//!  API server ── watches ──> projection ──> cluster ──> queue ──> reconcile ──> applier ──> API server
//!   (one per kind)           (facts only)   (world,     (fair,    (decide,      (HTTP with
//!                                            Wukongs)    paced)    execute)      deadlines)
//!                                               ^                     │
//!                                               └─ responses to writes ┘
//! ```
//!
//! * [`wukong_engine::decide`], a pure function, decides what to do. **Invariant:** this crate does not know what a VM
//!   needs, and the engine does no I/O.
//! * **Invariant:** every write has a precondition, so that it never changes a foreign object ([`applier`]).
//! * **Invariant:** the operator writes only while this replica is the leader ([`leader`]).
//! * **Invariant:** while nothing changes, the operator sends no requests: no polls, no reads.

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
pub mod publisher;
pub mod queries;
pub mod queue;
pub mod reconcile;
pub mod references;
pub mod remembered;
pub mod run;
pub mod schedules;
pub mod settings;
pub mod stored_wukong;
pub mod watch;
pub mod workers;
pub mod write_error;
pub mod wukongs;
