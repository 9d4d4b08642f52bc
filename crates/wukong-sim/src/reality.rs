//! What a caller reports of guests, imports and snapshots that really happen, in place of simulated ones.

use std::collections::HashMap;

use serde_json::Value;

use crate::field::Field;
use crate::kind::Ref;

/// What is known of all of them, by the uids of instances, claims and VolumeSnapshots.
#[derive(Clone, Debug, Default)]
pub struct Reality {
    guests: HashMap<String, Guest>,
    imports: HashMap<String, Import>,
    copies: HashMap<String, Copy>,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Of the guest of an instance.
    Guest {
        /// The instance.
        vmi: Ref,
        /// Its uid.
        uid: String,
        /// The guest.
        guest: Guest,
    },
    /// Of the import into a claim.
    Import {
        /// The claim.
        claim: Ref,
        /// Its uid.
        uid: String,
        /// The import.
        import: Import,
    },
    /// Of the copy that a VolumeSnapshot stands for.
    Copy {
        /// The VirtualMachineSnapshot that it belongs to.
        snapshot: Ref,
        /// Uid of the VolumeSnapshot.
        uid: String,
        /// The copy.
        copy: Copy,
    },
}

/// A guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    /// Whether it runs.
    pub state: State,
    /// What the guest agent told last; `None` while it is not connected.
    pub agent: Option<Report>,
}

/// Whether a guest runs.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Not yet.
    Starting,
    /// It does.
    Running,
    /// The phase that the end leads to, and the reason in the instance's status.
    Ended {
        /// The phase.
        phase: &'static str,
        /// The reason.
        reason: String,
    },
}

/// What the guest agent tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// `status.guestOSInfo` of an instance.
    pub system: Value,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
}

/// An interface in the guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Its name in the guest.
    pub name: String,
    /// In lower case.
    pub mac: String,
    /// Addresses, without prefixes.
    pub addresses: Vec<String>,
}

/// An import.
#[derive(Clone, Debug, PartialEq)]
pub enum Import {
    /// Per cent.
    Running(f64),
    /// The importer's last words.
    Failed(String),
    /// All bytes are there.
    Done,
}

/// A copy of a disk at one point in time.
#[derive(Clone, Debug, PartialEq)]
pub enum Copy {
    /// The driver's last words.
    Failed(String),
    /// It is complete.
    Done,
}

impl Reality {
    /// The guest of an instance.
    pub fn guest(&self, vmi: &Field<'_>) -> Option<&Guest> {
        self.guests.get(vmi.at("metadata.uid").text())
    }

    /// The import into a claim.
    pub fn import(&self, claim: &Field<'_>) -> Option<&Import> {
        self.imports.get(claim.at("metadata.uid").text())
    }

    /// The copy that a VolumeSnapshot stands for, when it has ended.
    pub fn copy(&self, snapshot: &Field<'_>) -> Option<&Copy> {
        self.copies.get(snapshot.at("metadata.uid").text())
    }

    /// Takes in what was seen, and says what it is about.
    pub fn take(&mut self, seen: Seen) -> Ref {
        match seen {
            Seen::Guest { vmi, uid, guest } => {
                self.guests.insert(uid, guest);
                vmi
            }
            Seen::Import { claim, uid, import } => {
                self.imports.insert(uid, import);
                claim
            }
            Seen::Copy {
                snapshot,
                uid,
                copy,
            } => {
                self.copies.insert(uid, copy);
                snapshot
            }
        }
    }
}
