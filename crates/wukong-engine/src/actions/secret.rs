//! The cloud-init Secret, which the operator writes but cannot read.

use wukong_api::status::ResourceStatus;
use wukong_api::validated::Login;

use crate::decision::Decision;
use crate::desired::{Bodies, emptied_secret};
use crate::observed::{FailureKind, Observed};
use crate::situation::Situation;
use crate::target::{Kind, Target};

impl<'a> Situation<'a> {
    /// The hash of our Secret as it is stored, as far as this operator knows. An operator that has restarted knows it from
    /// the status of this generation, and from the VM, if there is one, which notes the Secret that it was applied with.
    /// The note alone does not prove it: an earlier spec may have been applied to the Secret and not yet to the VM.
    pub(super) fn secret_hash(&self, secret: &Target) -> Option<&'a str> {
        // The hash of the last apply counts, even if the operator could not note it on the VM.
        if let Some(applied) = self.observed.memory.applied.get(secret) {
            return Some(&applied.sent);
        }
        let reported = self.reported_hash(secret)?;
        let noted = self.vm.map(|vm| vm.cloud_init_hash.as_deref());
        noted
            .is_none_or(|noted| noted == Some(reported))
            .then_some(reported)
    }

    /// The hash of our Secret in the status of this generation. While there is no VM, it only puts the write of an operator
    /// that has restarted off, until the VM is created.
    fn reported_hash(&self, secret: &Target) -> Option<&'a str> {
        let Observed { wukong, memory, .. } = self.observed;
        let status = wukong.status.as_ref()?;
        let current = status.observed_generation == wukong.metadata.generation;
        if !current || memory.failures.contains_key(secret) {
            return None;
        }
        let mut resources = status.resources.iter();
        let ours = |resource: &&ResourceStatus| {
            resource.kind == secret.kind.as_ref() && resource.name == secret.name
        };
        resources.find(ours).map(|resource| resource.hash.as_str())
    }

    /// Plans the Secret before a new VM, unless this operator has written it: the status alone does not prove that it exists.
    pub(super) fn plan_secret_of_new_vm(&self, bodies: &Bodies, decision: &mut Decision) {
        let applied = &self.observed.memory.applied;
        if let (None, Some(_), Some(secret)) = (self.vm, &decision.apply_vm, bodies.secret())
            && !applied.contains_key(&secret.target)
            && !decision
                .apply
                .iter()
                .any(|apply| apply.target == secret.target)
        {
            decision.apply.push(self.apply(secret, false));
        }
    }

    /// Whether the last write has shown that the Secret is foreign. Then one request shows whether it still exists.
    pub(super) fn is_taken(&self, target: &Target) -> bool {
        let failure = self.observed.memory.failures.get(target);
        target.kind == Kind::Secret
            && failure.is_some_and(|failure| failure.kind == FailureKind::NameTaken)
    }

    /// The hash of our Secret as we applied it last, which the VM notes, unless it was emptied since. Only a VM that
    /// reads the user's Secret may leave ours behind.
    pub(super) fn left_secret(&self) -> Option<String> {
        let Login::Secret(_) = self.wukong.login else {
            return None;
        };
        let emptied = emptied_secret(self.wukong);
        let applied = self.observed.memory.applied.get(&emptied.target);
        let noted = || Some(self.vm?.cloud_init_hash.as_deref()?.to_owned());
        let last = applied.map(|applied| applied.sent.clone()).or_else(noted);
        last.filter(|last| !last.is_empty() && *last != emptied.hash)
    }

    /// Plans to remove the data of a Secret that the VM no longer reads.
    pub(super) fn plan_emptying(&mut self, decision: &mut Decision) {
        let emptied = emptied_secret(self.wukong);
        if self.left_secret().is_some() && !self.is_held_back(&emptied.target, &emptied.hash) {
            decision.apply.push(self.apply(&emptied, false));
        }
    }
}
