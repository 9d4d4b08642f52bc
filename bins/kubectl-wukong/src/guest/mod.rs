//! Connections to a running guest: its serial console, its screen and its ports.

pub mod input;
pub mod port;
pub mod running;
pub mod stream;
pub mod terminal;
pub mod tunnel;
