//! Changes of the cloud-init data, and the text form of tolerations.

use wukong_api::ValidatedWukong;
use wukong_api::spec::TolerationOperator;
use wukong_api::validated::{Login, Password, Placement, User};

use super::change::Changes;
use super::class::Class;
use super::first_boot::FIRST_BOOT;
use super::show::{list, written};

/// The Secret of the keys is in the template (`accessCredentials`), so KubeVirt sets `RestartRequired`.
const KEYS: &str = "KubeVirt requires a restart; cloud-init adds keys on the first boot only: add them in the guest, too";

pub(super) fn login(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    changes.field(
        "spec.sshKeySecret",
        &old.ssh_key_secret,
        &new.ssh_key_secret,
        Class::NeedsRestart,
        KEYS,
    );
    changes.field(
        "spec.userDataFormat",
        &old.user_data_format,
        &new.user_data_format,
        Class::FirstBootOnly,
        FIRST_BOOT,
    );
    match (&old.login, &new.login) {
        (Login::User(old), Login::User(new)) => user(old, new, changes),
        (old, new) => {
            let shown = |login: &Login| match login {
                Login::User(user) => Some(user.name.clone()),
                _ => None,
            };
            changes.field(
                "spec.cloudInitUser",
                &shown(old),
                &shown(new),
                Class::FirstBootOnly,
                FIRST_BOOT,
            );
            let shown = |login: &Login| match login {
                Login::Secret(name) => Some(name.clone()),
                _ => None,
            };
            changes.field(
                "spec.userDataSecret",
                &shown(old),
                &shown(new),
                Class::FirstBootOnly,
                FIRST_BOOT,
            );
        }
    }
}

fn user(old: &User, new: &User, changes: &mut Changes) {
    let path = |field: &str| format!("spec.cloudInitUser.{field}");
    let class = Class::FirstBootOnly;
    changes.field(&path("name"), &old.name, &new.name, class, FIRST_BOOT);
    if old.password != new.password {
        let field = match new.password.as_ref().or(old.password.as_ref()) {
            Some(Password::Hash(_)) => "passwordHash",
            _ => "password",
        };
        // Neither value: a change must not show a password, and a reader can guess a password from its hash.
        changes.add(&path(field), None, None, class, FIRST_BOOT);
    }
    changes.field(&path("sudo"), &old.sudo, &new.sudo, class, FIRST_BOOT);
    changes.field(&path("shell"), &old.shell, &new.shell, class, FIRST_BOOT);
    if old.groups != new.groups {
        let groups = |user: &User| list(user.groups.iter().cloned());
        changes.add(&path("groups"), groups(old), groups(new), class, FIRST_BOOT);
    }
    // Without a password there is nothing to lock.
    if old.password.is_some() && new.password.is_some() {
        changes.field(
            &path("lockPasswd"),
            &old.lock_password,
            &new.lock_password,
            class,
            FIRST_BOOT,
        );
    }
}

/// Tolerations in the manner of `kubectl describe`: `key=value:NoSchedule for 60s`.
pub(super) fn tolerations(placement: &Placement) -> Option<String> {
    list(placement.tolerations.iter().map(|toleration| {
        let key = toleration.key.as_deref().unwrap_or("*");
        let value = match (&toleration.value, toleration.operator) {
            (_, Some(TolerationOperator::Exists)) => String::new(),
            (value, _) => format!("={}", value.as_deref().unwrap_or_default()),
        };
        let effect = toleration
            .effect
            .as_ref()
            .and_then(written)
            .map(|effect| format!(":{effect}"))
            .unwrap_or_default();
        let time = toleration
            .toleration_seconds
            .map(|seconds| format!(" for {seconds}s"))
            .unwrap_or_default();
        format!("{key}{value}{effect}{time}")
    }))
}
