//! Documentation of every reason: its meaning and how to fix its cause.
//!
//! `cargo xtask gen-docs` writes the troubleshooting guide from it, and `kubectl wukong explain-reason` prints it. The hints of
//! the checks are in the [`RULES`](crate::diagnosis::rules::RULES).

mod absence;
mod cluster;
mod disks;
mod doc;
mod guest;
mod manifest;
mod networks;
mod protection;

pub use doc::{ReasonDoc, Severity};

use strum::{EnumCount, VariantNames};
use wukong_api::Reason;

/// The reasons of each area.
const AREAS: &[&[ReasonDoc]] = &[
    manifest::DOCS,
    networks::DOCS,
    cluster::DOCS,
    disks::DOCS,
    guest::DOCS,
    absence::DOCS,
    protection::DOCS,
];

/// The documentation of every reason, in the order of their declaration. A reason without documentation, or with two, does
/// not compile.
#[expect(
    clippy::indexing_slicing,
    reason = "an error of this table is an error of the compiler"
)]
const DOCS: [&ReasonDoc; Reason::COUNT] = {
    let mut found: [Option<&ReasonDoc>; Reason::COUNT] = [None; Reason::COUNT];
    let mut area = 0;
    while area < AREAS.len() {
        let mut row = 0;
        while row < AREAS[area].len() {
            let doc = &AREAS[area][row];
            let reason = doc.reason as usize;
            if found[reason].is_some() {
                panic!("{}", Reason::VARIANTS[reason]);
            }
            found[reason] = Some(doc);
            row += 1;
        }
        area += 1;
    }
    let mut docs = [&AREAS[0][0]; Reason::COUNT];
    let mut reason = 0;
    while reason < docs.len() {
        match found[reason] {
            Some(doc) => docs[reason] = doc,
            None => panic!("{}", Reason::VARIANTS[reason]),
        }
        reason += 1;
    }
    docs
};

/// Returns the documentation of a reason.
#[expect(
    clippy::indexing_slicing,
    reason = "the table has one entry for each reason"
)]
pub fn doc(reason: Reason) -> &'static ReasonDoc {
    DOCS[reason as usize]
}
