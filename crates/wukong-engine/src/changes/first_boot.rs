//! The fields that cloud-init applies on the first boot, and never again.

use serde_json::{Value, json};
use wukong_api::ValidatedWukong;
use wukong_api::spec::{IpFamily, UserDataFormat};
use wukong_api::validated::{Login, Password, User};

use super::nics;
use super::show::{list, written};
use crate::managed_fields;

/// How a change of these fields takes effect.
pub(crate) const FIRST_BOOT: &str = "cloud-init does this on the first boot: make the same change in the guest, or create the boot disk again";

/// A field of the spec that only a guest that boots for the first time applies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FirstBootField {
    /// The field; entries of lists go by their name.
    pub path: String,
    /// Its value for people; `None` for a secret.
    pub shown: Option<String>,
    /// Hash over its value.
    pub hash: String,
}

/// The fields that are in use.
pub fn first_boot(wukong: &ValidatedWukong) -> Vec<FirstBootField> {
    let mut fields = Vec::new();
    let mut add = |path: &str, shown: Option<String>, value: Value| {
        fields.push(FirstBootField {
            path: path.to_owned(),
            shown,
            hash: managed_fields::hash(&value),
        });
    };
    if let Some(name) = &wukong.ssh_key_secret {
        add("spec.sshKeySecret", Some(name.clone()), json!(name));
    }
    if wukong.user_data_format != UserDataFormat::CloudInit {
        let format = written(&wukong.user_data_format);
        add("spec.userDataFormat", format.clone(), json!(format));
    }
    match &wukong.login {
        Login::Secret(name) => add("spec.userDataSecret", Some(name.clone()), json!(name)),
        Login::User(user) => login(user, &mut add),
        _ => {}
    }
    if wukong.pod_ip_family != IpFamily::V4 {
        let family = written(&wukong.pod_ip_family);
        add("spec.podNetworkIpFamily", family.clone(), json!(family));
    }
    if let Some(servers) = nics::servers(wukong) {
        add(
            "spec.podNetworkDnsServers",
            Some(servers.clone()),
            json!(servers),
        );
    }
    for nic in &wukong.nics {
        if let Some(vlans) = nics::vlans(nic) {
            let path = nics::path(nic, "guestVlans");
            add(&path, Some(vlans.clone()), json!(vlans));
        }
        if let Some(ip) = nics::ip(nic.ip.as_ref()) {
            let path = nics::path(nic, "ipConfig");
            add(&path, Some(ip.clone()), json!(ip));
        }
        if let Some(mtu) = nic.mtu {
            let path = nics::path(nic, "mtu");
            add(&path, Some(mtu.to_string()), json!(mtu));
        }
    }
    fields
}

fn login(user: &User, add: &mut impl FnMut(&str, Option<String>, Value)) {
    let mut field = |name: &str, shown: Option<String>, value: Value| {
        add(&format!("spec.cloudInitUser.{name}"), shown, value);
    };
    field("name", Some(user.name.clone()), json!(user.name));
    match &user.password {
        Some(Password::Plain(password)) => field("password", None, json!(password)),
        Some(Password::Hash(hash)) => field("passwordHash", None, json!(hash)),
        None => {}
    }
    field("sudo", user.sudo.clone(), json!(user.sudo));
    field("shell", Some(user.shell.clone()), json!(user.shell));
    field(
        "groups",
        list(user.groups.iter().cloned()),
        json!(user.groups),
    );
    if user.password.is_some() {
        let lock = user.lock_password;
        field("lockPasswd", Some(lock.to_string()), json!(lock));
    }
}
