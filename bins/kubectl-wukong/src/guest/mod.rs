//! Connections to a running guest: its serial console and its ports.

pub mod input;
pub mod running;
pub mod terminal;
pub mod tunnel;
