//! The order of a restore: new claims first, then the VM goes off, then all of its disks change at once.
//!
//! A restore never writes into a claim that a VM uses, and never deletes one. Until the switch, the VM is as it was, and after it
//! the earlier claims are still there. So a restore that ends at any point leaves a VM with its old disks, or with its new ones.

use std::collections::BTreeSet;

/// A disk of a restore.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disk {
    /// Generation that the VM uses.
    pub in_use: u32,
    /// Generation that the VM gets.
    pub target: u32,
    /// Content of that generation.
    pub content: Content,
}

/// Content of the claim that a disk gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// The claim does not exist.
    Missing,
    /// The claim is being filled.
    Filling,
    /// The claim has its content, or gets it when the VM starts.
    Complete,
}

/// Whether the VM runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    /// It is off, and nothing but the operator or a user starts it.
    Off,
    /// It is going off.
    Stopping,
    /// It runs, or KubeVirt may start it at any time.
    On,
}

/// What a restore does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Create the missing claims.
    Make,
    /// Wait for the content of the claims.
    Fill,
    /// Stop the VM.
    Stop,
    /// Wait until a user stops the VM.
    AskToStop,
    /// Wait until the VM is off.
    WaitForStop,
    /// Give the VM all of its new disks, in one write.
    Switch,
    /// Nothing: the VM has its new disks.
    Done,
}

/// The next step. `may_stop`: whether the operator may stop the VM.
pub fn next(disks: &[Disk], power: Power, may_stop: bool) -> Step {
    let has = |content: Content| disks.iter().any(|disk| disk.content == content);
    if disks.iter().all(|disk| disk.in_use == disk.target) {
        return Step::Done;
    }
    if has(Content::Missing) {
        return Step::Make;
    }
    if has(Content::Filling) {
        return Step::Fill;
    }
    match power {
        Power::Off => Step::Switch,
        Power::Stopping => Step::WaitForStop,
        Power::On if may_stop => Step::Stop,
        Power::On => Step::AskToStop,
    }
}

/// The number of a new generation: higher than that of every generation that exists or is in use.
pub fn new_number(existing: &BTreeSet<u32>, in_use: u32) -> u32 {
    let highest = existing.last().copied().unwrap_or(1).max(in_use).max(1);
    highest.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk() -> impl Strategy<Value = Disk> {
        let content = prop_oneof![
            Just(Content::Missing),
            Just(Content::Filling),
            Just(Content::Complete)
        ];
        (1..4u32, 1..4u32, content).prop_map(|(in_use, target, content)| Disk {
            in_use,
            target,
            content,
        })
    }

    fn power() -> impl Strategy<Value = Power> {
        prop_oneof![Just(Power::Off), Just(Power::Stopping), Just(Power::On)]
    }

    proptest! {
        #[test]
        fn disks_change_only_when_all_are_complete_and_the_vm_is_off(
            disks in proptest::collection::vec(disk(), 0..4), power in power(), may_stop: bool,
        ) {
            let step = next(&disks, power, may_stop);
            let complete = disks.iter().all(|disk| disk.content == Content::Complete);
            let switched = disks.iter().all(|disk| disk.in_use == disk.target);
            prop_assert_eq!(step == Step::Switch, complete && power == Power::Off && !switched);
            prop_assert_eq!(step == Step::Done, switched);
            if step == Step::Stop {
                prop_assert!(may_stop && complete, "a VM is not stopped before its claims have their content");
            }
        }

        #[test]
        fn a_new_generation_has_a_number_that_no_other_has(
            existing in proptest::collection::btree_set(1..1000u32, 0..8), in_use in 1..1000u32,
        ) {
            let number = new_number(&existing, in_use);
            prop_assert!(number > 1 && number != in_use && !existing.contains(&number));
            prop_assert!(existing.iter().all(|other| *other < number));
        }
    }
}
