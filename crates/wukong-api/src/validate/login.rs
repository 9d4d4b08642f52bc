//! The login user and the Secrets that cloud-init gets.

use super::problem::Problems;
use super::text;
use crate::spec::{CloudInitUser, UserDataFormat, WukongSpec};
use crate::validated::{Login, Password, User};

/// KubeVirt mounts the Secret as the volume `<name>-access-cred`. The name of the volume is a DNS label.
const ACCESS_CREDENTIAL_MAX: usize = 51;
const GROUPS_MAX: usize = 64;

pub(super) fn check(spec: &WukongSpec, problems: &mut Problems) -> Login {
    match (&spec.cloud_init_user, &spec.user_data_secret) {
        (Some(_), Some(_)) => {
            problems.add(
                "spec.userDataSecret",
                "replaces cloudInitUser: keep one of the two",
            );
            Login::ImageDefault
        }
        (Some(requested), None) => Login::User(user(requested, problems)),
        (None, Some(secret)) => {
            problems.check("spec.userDataSecret", text::object_name(secret));
            Login::Secret(secret.clone())
        }
        (None, None) => Login::ImageDefault,
    }
}

pub(super) fn ssh_key_secret(spec: &WukongSpec, problems: &mut Problems) -> Option<String> {
    let secret = spec.ssh_key_secret.as_ref()?;
    if secret.len() > ACCESS_CREDENTIAL_MAX {
        problems.add(
            "spec.sshKeySecret",
            format!("{} has {} characters; KubeVirt can mount Secrets with at most {ACCESS_CREDENTIAL_MAX}: use a shorter name", text::quoted(secret), secret.len()),
        );
    } else {
        problems.check("spec.sshKeySecret", text::object_name(secret));
    }
    Some(secret.clone())
}

fn user(requested: &CloudInitUser, problems: &mut Problems) -> User {
    let path = |field: &str| format!("spec.cloudInitUser.{field}");
    problems.check(&path("name"), account_name(&requested.name));
    if requested.groups.len() > GROUPS_MAX {
        problems.add(
            path("groups"),
            format!(
                "has {} entries; at most {GROUPS_MAX} are allowed",
                requested.groups.len()
            ),
        );
    } else {
        for (index, group) in requested.groups.iter().enumerate() {
            problems.check(&path(&format!("groups[{index}]")), account_name(group));
        }
    }
    let texts = [
        ("password", &requested.password),
        ("passwordHash", &requested.password_hash),
        ("sudo", &requested.sudo),
        ("shell", &requested.shell),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            problems.check(&path(field), text::plain(value, 256));
        }
    }
    if let Some(shell) = &requested.shell
        && !shell.starts_with('/')
    {
        problems.add(
            path("shell"),
            format!(
                "{} is not an absolute path such as /bin/bash",
                text::quoted(shell)
            ),
        );
    }
    // A template that was left empty means none, for the password as for its hash.
    let hash = requested
        .password_hash
        .as_ref()
        .filter(|hash| !hash.is_empty());
    if let Some(hash) = hash
        && !(hash.starts_with('$')
            && hash
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':'))
    {
        problems.add(
            path("passwordHash"),
            "is not a crypt(3) string such as `mkpasswd --method=sha-512` prints",
        );
    }
    User {
        name: requested.name.clone(),
        password: hash
            .cloned()
            .map(Password::Hash)
            .or_else(|| requested.password.clone().map(Password::Plain))
            // Cloud-init takes an empty password for a login that needs none.
            .filter(|password| *password != Password::Plain(String::new())),
        sudo: Some(
            requested
                .sudo
                .clone()
                .unwrap_or_else(|| "ALL=(ALL) NOPASSWD:ALL".into()),
        )
        .filter(|rule| !rule.trim().is_empty()),
        shell: requested
            .shell
            .clone()
            .unwrap_or_else(|| "/bin/bash".into()),
        groups: requested.groups.clone(),
        lock_password: requested.lock_passwd.unwrap_or(false),
    }
}

/// A name that `useradd` and `groupadd` take (shadow-utils `is_valid_name`).
fn account_name(name: &str) -> Result<(), String> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let body = name.strip_suffix('$').unwrap_or(name);
    if name.len() <= 32 && body.bytes().next().is_some_and(first) && body.bytes().all(inside) {
        return Ok(());
    }
    Err(format!(
        "{} is not an account name: use at most 32 letters, digits, '-', '_' and '.', with a letter or '_' first",
        text::quoted(name)
    ))
}

/// The reader of the user data. Ignition knows nothing of cloud-init's keys and network data.
pub(super) fn user_data_format(spec: &WukongSpec, problems: &mut Problems) -> UserDataFormat {
    let format = spec.user_data_format.unwrap_or_default();
    if format != UserDataFormat::Ignition {
        return format;
    }
    if spec.user_data_secret.is_none() {
        problems.add(
            "spec.userDataFormat",
            "Ignition needs userDataSecret: name the Secret with the Ignition config",
        );
    }
    let networks = spec.networks.iter().enumerate();
    let of_networks = networks.flat_map(|(index, network)| {
        let path = format!("spec.networks[{index}]");
        [
            (format!("{path}.ipConfig"), network.ip_config.is_some()),
            (
                format!("{path}.guestVlans"),
                !network.guest_vlans.is_empty(),
            ),
        ]
    });
    let others = [
        ("sshKeySecret", spec.ssh_key_secret.is_some()),
        ("podNetworkIpFamily", spec.pod_network_ip_family.is_some()),
        (
            "podNetworkDnsServers",
            !spec.pod_network_dns_servers.is_empty(),
        ),
    ];
    let others = others
        .into_iter()
        .map(|(field, given)| (format!("spec.{field}"), given));
    for (path, _) in others.chain(of_networks).filter(|(_, given)| *given) {
        problems.add(
            path,
            "is set up by cloud-init, which userDataFormat: Ignition excludes: write it into the Ignition config",
        );
    }
    format
}
