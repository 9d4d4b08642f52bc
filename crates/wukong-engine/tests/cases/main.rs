//! Failures as data. A case is a directory:
//!
//! - `signatures/<area>/<id>/case.yaml`: the texts of one row of the table, and what the status says when a program prints
//!   the first of them;
//! - `reported/<name>/`: a failure that people reported, rebuilt as objects (`objects.yaml`, on top of
//!   `healthy-cluster.json` with the differences in `cluster-changes.yaml`) and what is right (`expected.yaml`);
//! - `surroundings/<name>/`: the same of failures that only the objects around the VM tell, which the operator does not watch.
//!
//! `UPDATE_CASES=1 cargo test -p wukong-engine --test cases` writes what the status says into the `case.yaml` files.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)] // Cases are files.

#[path = "../environment/cluster.rs"]
#[allow(dead_code)]
mod cluster;
mod merged;
mod reported;
mod scenario;
mod signatures;
