//! The login user and the Secrets of cloud-init: what is refused, in the words that the user reads.

mod refusals;

#[track_caller]
fn check(login: &str, expected: &[&str]) {
    refusals::check(&format!("{{cpu: 1, memory: 1Gi, {login}}}"), expected);
}

#[test]
fn a_login_user_needs_a_name_only() {
    check("cloudInitUser: {name: ubuntu}", &[]);
    check("cloudInitUser: {name: _svc.web-1}", &[]);
    check("cloudInitUser: {name: root}", &[]);
    check(
        "cloudInitUser: {name: web, password: 'yes: #%@{}', sudo: '', shell: /bin/sh, groups: [docker, wheel], lockPasswd: true}",
        &[],
    );
}

#[test]
fn account_names_are_what_useradd_takes() {
    for name in [
        "1st",
        "-web",
        "web user",
        "web:x",
        "wéb",
        "web/",
        "",
        "a23456789012345678901234567890123",
    ] {
        let problem = format!(
            "{name:?} is not an account name: use at most 32 letters, digits, '-', '_' and '.', with a letter or '_' first"
        );
        check(
            &format!("cloudInitUser: {{name: '{name}', groups: [docker, '{name}']}}"),
            &[
                &format!("spec.cloudInitUser.name: {problem}"),
                &format!("spec.cloudInitUser.groups[1]: {problem}"),
            ],
        );
    }
    let groups = "g, ".repeat(65);
    check(
        &format!("cloudInitUser: {{name: web, groups: [{groups}]}}"),
        &["spec.cloudInitUser.groups: has 65 entries; at most 64 are allowed"],
    );
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    check(
        r#"cloudInitUser: {name: "w\neb", password: "a\nb", passwordHash: "$6$\u0085", sudo: "ALL\u2028", shell: "/bin/\u001bsh", groups: ["d\tx"]}"#,
        &[
            r#"spec.cloudInitUser.name: "w\neb" is not an account name: use at most 32 letters, digits, '-', '_' and '.', with a letter or '_' first"#,
            r#"spec.cloudInitUser.groups[0]: "d\tx" is not an account name: use at most 32 letters, digits, '-', '_' and '.', with a letter or '_' first"#,
            "spec.cloudInitUser.password: contains the control character U+000A: remove it",
            "spec.cloudInitUser.passwordHash: contains the control character U+0085: remove it",
            "spec.cloudInitUser.sudo: contains the control character U+2028: remove it",
            "spec.cloudInitUser.shell: contains the control character U+001B: remove it",
            "spec.cloudInitUser.passwordHash: is not a crypt(3) string such as `mkpasswd --method=sha-512` prints",
        ],
    );
}

#[test]
fn a_password_never_shows_in_a_message() {
    let long = "geheim".repeat(50);
    check(
        &format!("cloudInitUser: {{name: web, password: {long}}}"),
        &["spec.cloudInitUser.password: is 300 bytes long; at most 256 are allowed"],
    );
    check(
        "cloudInitUser: {name: web, passwordHash: geheim}",
        &[
            "spec.cloudInitUser.passwordHash: is not a crypt(3) string such as `mkpasswd --method=sha-512` prints",
        ],
    );
}

#[test]
fn a_shell_is_a_path() {
    check(
        "cloudInitUser: {name: web, shell: bash}",
        &["spec.cloudInitUser.shell: \"bash\" is not an absolute path such as /bin/bash"],
    );
}

#[test]
fn user_data_comes_from_one_place() {
    check("userDataSecret: web-user-data", &[]);
    check(
        "userDataSecret: web-user-data, cloudInitUser: {name: web}",
        &["spec.userDataSecret: replaces cloudInitUser: keep one of the two"],
    );
}

#[test]
fn secrets_are_named_within_the_namespace() {
    let (short, long) = ("k".repeat(51), "k".repeat(52));
    check(&format!("sshKeySecret: {short}"), &[]);
    check(
        &format!("sshKeySecret: {long}"),
        &[&format!(
            "spec.sshKeySecret: \"{long}\" has 52 characters; KubeVirt can mount Secrets with at most 51: use a shorter name"
        )],
    );
    check(&format!("userDataSecret: {}", "s".repeat(253)), &[]);
    check(
        "sshKeySecret: Keys, userDataSecret: other/data",
        &[
            "spec.userDataSecret: \"other/data\" is not the name of a Kubernetes object; only objects of the same namespace can be named, without a '/'",
            "spec.sshKeySecret: \"Keys\" is not the name of a Kubernetes object",
        ],
    );
}

#[test]
fn ignition_takes_its_own_config_only() {
    check(
        "userDataFormat: Ignition, sshKeySecret: keys, networks: [{name: lan, type: bridge, ipConfig: {}}]",
        &[
            "spec.userDataFormat: Ignition needs userDataSecret: name the Secret with the Ignition config",
            "spec.sshKeySecret: is set up by cloud-init, which userDataFormat: Ignition excludes: write it into the Ignition config",
            "spec.networks[0].ipConfig: is set up by cloud-init, which userDataFormat: Ignition excludes: write it into the Ignition config",
        ],
    );
}
