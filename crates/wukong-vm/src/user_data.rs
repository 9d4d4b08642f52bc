//! Cloud-init user data: the login user.

use serde::Serialize;
use wukong_api::ValidatedWukong;
use wukong_api::validated::{Login, Password, User};

/// Superuser. cloud-init forbids its SSH login by default.
const ROOT: &str = "root";

/// The cloud-init user data that a Wukong stands for; `None` when the user brings a Secret with their own.
///
/// The login user is given as the mapping `user:`, which makes it the distribution's default user: the one that the
/// keys of the instance metadata go to. A list `users:` would send them to root only. Every string is quoted, because
/// cloud-init reads YAML 1.1, where a bare `no`, `1:30` or `0o7` is something else than its text.
pub fn user_data(wukong: &ValidatedWukong) -> Option<String> {
    let config = match &wukong.login {
        Login::Secret(_) => return None,
        Login::User(user) => CloudConfig::of(user),
        // The file must be there, or the network data next to it is not read; and it must hold a mapping, because
        // cloud-init complains about an empty document.
        _ => CloudConfig::default(),
    };
    let options = serde_saphyr::ser_options! { quote_all: true };
    // Writing strings into a string cannot fail.
    let yaml = serde_saphyr::to_string_with_options(&config, options).unwrap_or_default();
    Some(format!("#cloud-config\n{yaml}"))
}

#[derive(Default, Serialize)]
struct CloudConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<DefaultUser<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_root: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_pwauth: Option<bool>,
}

/// What is left out here comes from the image's own default user; so whatever the Wukong decides is written out, even
/// when it is "none".
#[derive(Serialize)]
struct DefaultUser<'a> {
    name: &'a str,
    /// `null`: no rule. (A list is no valid value before cloud-init 24.)
    sudo: Option<&'a str>,
    shell: &'a str,
    groups: Groups<'a>,
    lock_passwd: bool,
    // Unlike `passwd`, these two also reach a user that the image has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_passwd: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_text_passwd: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Groups<'a> {
    /// Cloud-init's schema has no empty list, but takes an empty text.
    None(&'static str),
    Some(&'a [String]),
}

impl<'a> CloudConfig<'a> {
    fn of(user: &'a User) -> Self {
        let (hashed_passwd, plain_text_passwd) = match &user.password {
            None => (None, None),
            Some(Password::Hash(hash)) => (Some(hash.as_str()), None),
            Some(Password::Plain(text)) => (None, Some(text.as_str())),
        };
        // There is nothing to unlock without a password, and cloud-init complains when asked to.
        let lock_passwd = user.lock_password || user.password.is_none();
        Self {
            user: Some(DefaultUser {
                name: &user.name,
                sudo: user.sudo.as_deref(),
                shell: &user.shell,
                groups: if user.groups.is_empty() {
                    Groups::None("")
                } else {
                    Groups::Some(&user.groups)
                },
                lock_passwd,
                hashed_passwd,
                plain_text_passwd,
            }),
            disable_root: (user.name == ROOT).then_some(false),
            ssh_pwauth: (!lock_passwd).then_some(true),
        }
    }
}
