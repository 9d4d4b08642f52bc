//! The user data of cloud-init.

use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_vm::user_data;

use super::{machine, secret, validated, wukong};

/// Texts that YAML 1.1 takes for something else, or for the end of the text.
const HOSTILE: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "N",
    "null",
    "~",
    "true",
    "1:30",
    "190:20:30",
    "0o7",
    "010",
    "0x1f",
    "1e3",
    ".inf",
    "2026-01-01",
    "=",
    "<<",
    "- x",
    "-",
    "? x",
    "a: b",
    "a:",
    ": x",
    "# x",
    "x # y",
    "{}",
    "[a, b]",
    "%TAG",
    "@x",
    "`x`",
    "!x",
    "&x",
    "*x",
    "| x",
    "> x",
    "'",
    "''",
    "it's",
    "\"",
    "\\",
    "\\n",
    "\\x41",
    " lead",
    "trail ",
    "…",
    "пароль",
    "密码",
    "🙂",
    "a\u{a0}b",
    "---",
    "...",
    "$6$x$y",
    "ALL=(ALL) NOPASSWD: /bin/ls, !/bin/su",
];

fn user(fields: Value) -> Value {
    json!({"cpu": 1, "memory": "1Gi", "cloudInitUser": fields})
}

fn config(spec: Value) -> Value {
    let text = user_data(&validated(spec).unwrap()).unwrap();
    let yaml = text.strip_prefix("#cloud-config\n").unwrap();
    for line in yaml.lines() {
        assert!(is_unambiguous(line), "{line}");
    }
    serde_saphyr::from_str(yaml).unwrap()
}

/// Whether the scalar at the end of a line of block YAML is quoted, or reads the same in YAML 1.1 and 1.2.
fn is_unambiguous(line: &str) -> bool {
    let entry = line.trim_start().trim_start_matches("- ");
    let scalar = match entry.split_once(':') {
        Some((key, rest))
            if key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_') =>
        {
            rest.trim_start()
        }
        _ => entry,
    };
    let quoted = |quote| scalar.len() > 1 && scalar.starts_with(quote) && scalar.ends_with(quote);
    matches!(scalar, "" | "{}" | "null" | "true" | "false") || quoted('\'') || quoted('"')
}

#[test]
fn a_user_has_what_the_wukong_says_and_nothing_of_the_image() {
    assert_eq!(
        config(user(json!({"name": "web"}))),
        json!({"user": {
            "name": "web", "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "groups": "", "lock_passwd": true,
        }})
    );
    assert_eq!(
        config(user(json!({
            "name": "web", "password": "p", "passwordHash": "$6$s$h", "sudo": "", "shell": "/bin/zsh",
            "groups": ["docker", "wheel"],
        }))),
        json!({
            "user": {
                "name": "web", "sudo": null, "shell": "/bin/zsh", "groups": ["docker", "wheel"], "lock_passwd": false,
                "hashed_passwd": "$6$s$h",
            },
            "ssh_pwauth": true,
        })
    );
}

#[test]
fn a_locked_or_empty_password_opens_nothing() {
    let locked = config(user(
        json!({"name": "web", "password": "p", "lockPasswd": true}),
    ));
    assert_eq!(locked["user"]["lock_passwd"], true);
    assert_eq!(locked["user"]["plain_text_passwd"], "p");
    assert_eq!(locked.get("ssh_pwauth"), None);
    let empty = config(user(json!({"name": "web", "password": ""})));
    assert_eq!(empty, config(user(json!({"name": "web"}))));
}

#[test]
fn root_can_log_in_when_it_is_the_login_user() {
    assert_eq!(config(user(json!({"name": "root"})))["disable_root"], false);
}

#[test]
fn the_image_default_is_an_empty_configuration() {
    assert_eq!(user_data(&wukong("")).unwrap(), "#cloud-config\n{}\n");
}

#[test]
fn a_secret_of_the_user_is_named_and_not_repeated() {
    let theirs = wukong("userDataSecret: my-data, networks: [{name: lan, type: bridge}]");
    assert_eq!(user_data(&theirs), None);
    assert_eq!(secret(&theirs), Value::Null);
    assert_eq!(
        seed(&theirs),
        json!({"secretRef": {"name": "my-data"}, "networkDataSecretRef": {"name": "my-data"}})
    );
}

#[test]
fn addresses_in_the_wukong_reach_the_guest_beside_a_secret_of_the_user() {
    let both = wukong(
        "userDataSecret: my-data, networks: [{name: lan, type: bridge, ipConfig: {mode: dhcp}}]",
    );
    assert_eq!(
        secret(&both)["data"],
        json!({"networkdata": "version: 2\n"})
    );
    assert_eq!(
        seed(&both),
        json!({"secretRef": {"name": "my-data"}, "networkDataSecretRef": {"name": "web.cloud-init"}})
    );
}

#[test]
fn generated_data_comes_from_one_secret() {
    for fields in ["", "cloudInitUser: {name: web}"] {
        let wukong = wukong(fields);
        let keys: Vec<_> = secret(&wukong)["data"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(keys, ["networkdata", "userdata"]);
        assert_eq!(
            seed(&wukong),
            json!({"secretRef": {"name": "web.cloud-init"}, "networkDataSecretRef": {"name": "web.cloud-init"}})
        );
    }
}

#[test]
fn no_password_leaves_the_secret() {
    let manifest = user(json!({"name": "web", "password": "canary-plain"}));
    for (spec, canary) in [
        (manifest, "canary-plain"),
        (
            user(json!({"name": "web", "passwordHash": "$6$canary-hash"})),
            "canary-hash",
        ),
    ] {
        let wukong = validated(spec).unwrap();
        assert!(user_data(&wukong).unwrap().contains(canary));
        let machine = machine(&wukong);
        for text in [
            serde_json::to_string(&machine).unwrap(),
            format!("{machine:?} {wukong:?}"),
        ] {
            assert!(!text.contains(canary), "{text}");
        }
    }
}

fn seed(wukong: &wukong_api::ValidatedWukong) -> Value {
    let machine = super::instance(wukong);
    machine["volumes"][0]["cloudInitNoCloud"].clone()
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(HOSTILE).prop_map(str::to_owned),
        // Line and paragraph separators are refused.
        "[\\PC--\\p{Zl}--\\p{Zp}]{1,60}",
        prop::collection::vec(prop::sample::select(HOSTILE), 1..4).prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #[test]
    fn every_text_arrives_as_it_was_written(
        name in "[a-z_][a-z0-9_-]{0,30}", password in hostile(), sudo in hostile(), shell in hostile(),
        groups in prop::collection::vec("[a-z_][a-z0-9_-]{0,30}", 1..4),
    ) {
        let shell = format!("/{shell}");
        prop_assume!(!sudo.trim().is_empty());
        let config = config(user(json!({
            "name": name, "password": password, "sudo": sudo, "shell": shell, "groups": groups,
        })));
        prop_assert_eq!(&config["user"], &json!({
            "name": name, "sudo": sudo, "shell": shell, "groups": groups, "lock_passwd": false,
            "plain_text_passwd": password,
        }));
    }
}

#[test]
fn ignition_reads_the_config_drive() {
    let wukong = wukong("userDataSecret: flat-ignition, userDataFormat: Ignition");
    assert_eq!(
        crate::instance(&wukong)["volumes"][0],
        json!({"name": "cloud-init", "cloudInitConfigDrive": {"secretRef": {"name": "flat-ignition"}}})
    );
    assert_eq!(secret(&wukong), Value::Null);
}
