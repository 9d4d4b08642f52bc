//! Login user of the guest.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Login user of the guest. It replaces the default user of the distribution and gets the keys of `sshKeySecret`.
#[derive(KubeSchema, Clone, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudInitUser {
    /// Name of the user, at most 32 characters.
    #[schemars(length(min = 1, max = 32))]
    pub name: String,

    /// Password in plain text, at most 256 characters. Everyone who can read this Wukong can read it: use
    /// `passwordHash` instead. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub password: Option<String>,

    /// Password as a crypt(3) string, as `mkpasswd` prints it. Takes precedence over `password`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub password_hash: Option<String>,

    /// Sudoers rule of the user. An empty string gives no sudo. Default `ALL=(ALL) NOPASSWD:ALL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub sudo: Option<String>,

    /// Login shell. Default `/bin/bash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub shell: Option<String>,

    /// Supplementary groups, at most 64. The groups must exist in the image. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 32)))]
    pub groups: Vec<String>,

    /// Locks the password, so that the user logs in with keys only. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_passwd: Option<bool>,
}

impl std::fmt::Debug for CloudInitUser {
    /// Omits the password and its hash, so that no log line shows them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudInitUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
