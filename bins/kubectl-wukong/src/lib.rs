//! `kubectl wukong`: a kubectl plugin for the virtual machines that Wukong manifests describe.
//!
//! It evaluates manifests with the functions of the operator, so the two cannot disagree.

mod action;
mod bundle;
mod cli;
mod cluster;
mod complete;
mod console;
mod doctor;
mod exit;
mod explain_reason;
mod expose;
mod guest;
mod ip;
mod items;
mod kubevirt;
mod list;
mod live;
mod manifest;
mod output;
mod plan;
mod policy;
mod port_forward;
mod preflight;
mod protection;
mod redact;
mod render;
mod split;
mod ssh;
mod status;
mod subresource;
mod survey;
mod text;
mod ui;
mod vnc;

pub use cli::main;
