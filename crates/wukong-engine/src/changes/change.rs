//! A change of a field, and the list that changes are collected in.

use super::class::Class;
use super::running_vm::{Rollout, RunningVm};
use super::show::Show;

/// Why a field of the VM's template waits for a restart.
pub(super) const RESTART: &str = "the running VM keeps what it was started with";

/// A field that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The field; entries of lists go by their name, as in `spec.disks[root].size`.
    pub path: String,
    /// The value in the old spec; `None`: no value, or a secret.
    pub from: Option<String>,
    /// The value in the new spec; `None`: no value, or a secret.
    pub to: Option<String>,
    /// What the change needs to take effect.
    pub class: Class,
    /// Why it needs that, and how it takes effect.
    pub why: String,
}

impl Change {
    /// Whether a NIC or a disk comes or goes, or changes.
    pub(crate) fn is_of_device(&self) -> bool {
        self.path.starts_with("spec.networks[") || self.path.starts_with("spec.disks[")
    }
}

/// Collects changes.
pub(super) struct Changes<'a> {
    pub(super) list: Vec<Change>,
    pub(super) vm: &'a RunningVm,
}

impl Changes<'_> {
    /// Notes the change of a field, when it did change.
    pub(super) fn field<T: PartialEq + Show>(
        &mut self,
        path: &str,
        old: &T,
        new: &T,
        class: Class,
        why: &str,
    ) {
        if old != new {
            self.add(path, old.show(), new.show(), class, why);
        }
    }

    pub(super) fn add(
        &mut self,
        path: &str,
        from: Option<String>,
        to: Option<String>,
        class: Class,
        why: &str,
    ) {
        self.list.push(Change {
            path: path.to_owned(),
            from,
            to,
            class,
            why: why.to_owned(),
        });
    }

    /// The class of what reaches the running VM under `LiveUpdate` only.
    pub(super) fn live(&self, class: Class) -> Class {
        match self.vm.rollout {
            Rollout::LiveUpdate => class,
            Rollout::Stage => Class::NeedsRestart,
        }
    }
}
