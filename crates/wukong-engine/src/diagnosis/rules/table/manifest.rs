//! Rules about the manifest alone.

use wukong_api::ConditionType::ProvisioningReady;
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, manifest};

pub(super) const PASSWORD: Rule = Rule {
    id: "password",
    condition: ProvisioningReady,
    reason: Reason::PlainTextPassword,
    severity: Severity::Warn,
    after: &[],
    of_manifest: true,
    holds: "The password is not in plain text",
    hint: "use passwordHash (mkpasswd --method=sha-512), or sshKeySecret without a password",
    platforms: &[],
    judge: manifest::plain_text_password,
};
