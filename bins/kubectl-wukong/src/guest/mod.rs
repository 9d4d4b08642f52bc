//! A connection to the inside of a running guest: its serial console, its ports.

pub mod input;
pub mod running;
pub mod terminal;
pub mod tunnel;
