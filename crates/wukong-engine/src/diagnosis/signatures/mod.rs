//! The table of signatures, a folder for each area. Specific rows are before general ones.

mod admission;
mod guest;
mod import;
mod migration;
mod network;
mod node;
mod other;
mod scheduling;
mod volumes;

use super::signature::Signature;

/// Rows by area and family, in the order in which they are tried.
pub const AREAS: &[(&str, &[&[Signature]])] = &[
    ("migration", migration::FAMILIES),
    ("guest", guest::FAMILIES),
    ("admission", admission::FAMILIES),
    ("import", import::FAMILIES),
    ("volumes", volumes::FAMILIES),
    ("network", network::FAMILIES),
    ("scheduling", scheduling::FAMILIES),
    ("node", node::FAMILIES),
    ("other", &[other::ROWS]),
];
