//! What was seen of guests and imports.

use std::collections::HashMap;

use serde_json::Value;

use crate::field::Field;
use crate::world::Ref;

/// What is known of all of them, by the uids of instances and claims.
#[derive(Clone, Debug, Default)]
pub struct Reality {
    guests: HashMap<String, Guest>,
    imports: HashMap<String, Import>,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Of the guest of an instance.
    Guest { vmi: Ref, uid: String, guest: Guest },
    /// Of the import into a claim.
    Import {
        claim: Ref,
        uid: String,
        import: Import,
    },
}

/// A guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub state: State,
    /// What the guest agent told last; `None` while it is not connected.
    pub agent: Option<Report>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Starting,
    Running,
    /// The phase that the end leads to, and the reason in the instance's status.
    Ended {
        phase: &'static str,
        reason: String,
    },
}

/// What the guest agent tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// `status.guestOSInfo` of an instance.
    pub system: Value,
    pub interfaces: Vec<Interface>,
}

/// An interface in the guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    pub name: String,
    /// In lower case.
    pub mac: String,
    pub addresses: Vec<String>,
}

/// An import.
#[derive(Clone, Debug, PartialEq)]
pub enum Import {
    /// Per cent.
    Running(f64),
    /// The importer's last words.
    Failed(String),
    Done,
}

impl Reality {
    pub fn guest(&self, vmi: &Field<'_>) -> Option<&Guest> {
        self.guests.get(vmi.at("metadata.uid").text())
    }

    pub fn import(&self, claim: &Field<'_>) -> Option<&Import> {
        self.imports.get(claim.at("metadata.uid").text())
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
        }
    }
}
