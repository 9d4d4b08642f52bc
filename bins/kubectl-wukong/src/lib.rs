//! `kubectl wukong`: a kubectl plugin for the virtual machines that Wukong manifests describe.
//!
//! What it says about a manifest comes from the functions that the operator runs, so the two cannot disagree.

mod cli;
mod cluster;
mod exit;
mod ip;
mod list;
mod live;
mod manifest;
mod output;
mod render;
mod status;
mod text;

pub use cli::main;
