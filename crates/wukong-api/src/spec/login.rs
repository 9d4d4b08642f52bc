//! The login user.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The guest's login user. It takes the place of the distribution's default user, so the keys of `sshKeySecret` are
/// its keys.
#[derive(KubeSchema, Clone, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudInitUser {
    /// User name.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,

    /// Password in plain text. Prefer `passwordHash`: whoever can read this Wukong can read this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub password: Option<String>,

    /// Password as a crypt(3) string such as `mkpasswd` prints. Wins over `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub password_hash: Option<String>,

    /// One sudoers rule. Default `ALL=(ALL) NOPASSWD:ALL`; an empty string gives the user no sudo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub sudo: Option<String>,

    /// Login shell. Default `/bin/bash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub shell: Option<String>,

    /// Supplementary groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 32)))]
    pub groups: Vec<String>,

    /// Locks the password, so that only keys log in. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_passwd: Option<bool>,
}

impl std::fmt::Debug for CloudInitUser {
    /// Leaves the password and its hash out, so that no log line can show them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudInitUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
