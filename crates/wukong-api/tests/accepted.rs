//! Manifests that people have: each is accepted, and means what it always meant.
#![allow(clippy::panic, clippy::indexing_slicing)]

use wukong_api::spec::RunStrategy;
use wukong_api::validated::{Login, Source};
use wukong_api::{ValidatedWukong, Wukong};

/// The validated form of a complete manifest.
fn accepted(manifest: &str) -> ValidatedWukong {
    let wukong: Wukong =
        serde_saphyr::from_str(manifest).unwrap_or_else(|error| panic!("{error}\n{manifest}"));
    ValidatedWukong::try_from(&wukong).unwrap_or_else(|error| panic!("{error}\n{manifest}"))
}

/// A manifest with this spec, indented by two blanks.
fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: vm.novasphere.dev/v1alpha1\nkind: Wukong\nmetadata:\n  name: web\n  namespace: shop\nspec:\n{spec}"
    )
}

#[test]
fn the_least_that_a_manifest_can_say() {
    let wukong = accepted(&manifest("  cpu: 1\n  memory: 64Mi\n"));
    assert_eq!(wukong.memory.to_string(), "64Mi");
    assert_eq!(wukong.disks, []);
    assert_eq!(wukong.nics, []);
    assert!(wukong.pod_nic.is_some());
    assert_eq!(wukong.run_strategy, RunStrategy::Always);
    assert_eq!(wukong.login, Login::ImageDefault);
}

#[test]
fn every_base_field_at_once() {
    let wukong = accepted(&manifest(
        r#"
  cpu: 4
  memory: 8Gi
  osImage: ubuntu:24.04
  sshKeySecret: team-keys
  cloudInitUser:
    name: ubuntu
    password: let-me-in
    passwordHash: $6$rounds=4096$salt$hash
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    groups: [adm, docker]
    lockPasswd: false
  networks:
    - name: lan
      type: bridge
      bridgeName: br0
      vlanId: 100
      ipConfig:
        mode: static
        address: 192.168.10.5/24
        gateway: 192.168.10.1
        dnsServers: [192.168.10.1, 8.8.8.8]
    - name: storage
      type: macvlan
      ipConfig: {mode: dhcp}
    - name: fast
      type: sriov
      nadName: sriov-net
    - name: tenant
      type: ovs
      nadName: tenant-net
  disks:
    - {name: root, size: 40Gi, storageClassName: fast, boot: true, image: "docker://quay.io/containerdisks/ubuntu:24.04"}
    - {name: data, size: 100Gi, storageClassName: slow}
  highAvailability:
    restartPolicy: OnFailure
    antiAffinity: true
    nodeSelector:
      node-role.kubernetes.io/worker: ""
      topology.kubernetes.io/zone: eu-1a
    tolerations:
      - {key: dedicated, operator: Equal, value: vms, effect: NoSchedule}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
      - {operator: Exists}
  startStrategy:
    runStrategy: RerunOnFailure
    autoStart: true
"#,
    ));
    assert_eq!((wukong.disks.len(), wukong.nics.len()), (2, 4));
    assert_eq!(wukong.run_strategy, RunStrategy::RerunOnFailure);
    assert_eq!(wukong.placement.tolerations.len(), 3);
    assert_eq!(
        wukong.placement.node_selector["node-role.kubernetes.io/worker"],
        ""
    );
}

/// The validated form of a spec in YAML's flow style, without `cpu` and `memory`.
fn with(spec: &str) -> ValidatedWukong {
    accepted(&manifest(&format!("  {{cpu: 2, memory: 4Gi, {spec}}}\n")))
}

#[test]
fn start_strategies() {
    use RunStrategy::{Always, Halted, Manual, Once, RerunOnFailure};
    for (spec, strategy, starts) in [
        ("startStrategy: {}", Always, true),
        ("startStrategy: {runStrategy: Always}", Always, true),
        (
            "startStrategy: {runStrategy: RerunOnFailure}",
            RerunOnFailure,
            true,
        ),
        ("startStrategy: {runStrategy: Manual}", Manual, true),
        (
            "startStrategy: {runStrategy: Manual, autoStart: false}",
            Manual,
            false,
        ),
        ("startStrategy: {autoStart: true}", Always, true),
        ("startStrategy: {autoStart: false}", Halted, false),
        ("highAvailability: {}", Always, true),
        ("highAvailability: {restartPolicy: Always}", Always, true),
        (
            "highAvailability: {restartPolicy: OnFailure}",
            RerunOnFailure,
            true,
        ),
        ("highAvailability: {restartPolicy: Never}", Once, true),
        (
            "highAvailability: {restartPolicy: Never}, startStrategy: {runStrategy: Always}",
            Always,
            true,
        ),
        (
            "highAvailability: {restartPolicy: OnFailure}, startStrategy: {autoStart: false}",
            Halted,
            false,
        ),
    ] {
        let wukong = with(spec);
        assert_eq!(
            (wukong.run_strategy, wukong.auto_start),
            (strategy, starts),
            "{spec}"
        );
    }
}

#[test]
fn memory_in_every_spelling_that_kubernetes_parses() {
    for (memory, bytes) in [
        ("4Gi", 4 << 30),
        ("4096Mi", 4 << 30),
        ("4194304Ki", 4 << 30),
        ("1.5Gi", 3 << 29),
        ("4G", 4_000_000_000),
        ("4000M", 4_000_000_000),
        ("4000000k", 4_000_000_000),
        ("4e9", 4_000_000_000),
        ("'4e9'", 4_000_000_000),
        ("4E9", 4_000_000_000),
        ("4294967296", 4 << 30),
        ("'4294967296'", 4 << 30),
        ("'+4Gi'", 4 << 30),
    ] {
        let wukong = accepted(&manifest(&format!("  cpu: 2\n  memory: {memory}\n")));
        assert_eq!(wukong.memory.0, bytes, "{memory}");
    }
}

#[test]
fn placement() {
    for spec in [
        "highAvailability: {antiAffinity: true}",
        "highAvailability: {antiAffinity: false, restartPolicy: Always}",
        "highAvailability: {nodeSelector: {node-role.kubernetes.io/worker: ''}}",
        "highAvailability: {nodeSelector: {kubernetes.io/hostname: node-1.example.org}}",
        "highAvailability: {nodeSelector: {disk: SSD_fast.1}}",
        "highAvailability: {tolerations: [{key: gpu, operator: Exists}]}",
        "highAvailability: {tolerations: [{key: gpu, value: 'yes'}]}",
        "highAvailability: {tolerations: [{key: gpu, value: ''}]}",
        "highAvailability: {tolerations: [{key: a.b/c, operator: Equal, value: d, effect: PreferNoSchedule}]}",
        "highAvailability: {tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 0}]}",
    ] {
        with(spec);
    }
}

#[test]
fn networks() {
    for network in [
        "{name: lan, type: bridge}",
        "{name: lan, type: bridge, bridgeName: br0}",
        "{name: a-long-name-of-a-network, type: bridge, bridgeName: vlan100_br.1}",
        "{name: a-long-name-of-a-network, type: bridge, nadName: existing}",
        "{name: lan, type: bridge, vlanId: 1}",
        "{name: lan, type: bridge, vlanId: 4094}",
        "{name: lan, type: ovs}",
        "{name: lan, type: ovs, bridgeName: br-int, vlanId: 7}",
        "{name: lan, type: macvlan}",
        "{name: lan, type: macvlan, nadName: existing, vlanId: 7}",
        "{name: lan, type: sriov, nadName: existing}",
        "{name: lan, type: sriov, resourceName: intel.com/sriov_net, vlanId: 7}",
        "{name: lan, type: bridge, ipConfig: {}}",
        "{name: lan, type: bridge, ipConfig: {mode: dhcp}}",
        "{name: lan, type: bridge, ipConfig: {mode: dhcp, dnsServers: [1.1.1.1]}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 10.0.0.5/24}}",
        "{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24, gateway: 10.0.0.1}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 'fd00::5/64', gateway: 'fe80::1'}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 10.0.0.0/31}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 10.0.0.1/32}}",
    ] {
        assert_eq!(
            with(&format!("networks: [{network}]")).nics.len(),
            1,
            "{network}"
        );
    }
    with("networks: []");
}

#[test]
fn disks() {
    for (disk, from) in [
        ("{name: root, size: 20Gi}", "nothing"),
        (
            "{name: root, size: 20Gi, storageClassName: longhorn, boot: true}",
            "nothing",
        ),
        (
            "{name: root, size: 20Gi, image: 'http://192.168.1.10:8080/ubuntu.img'}",
            "http",
        ),
        (
            "{name: root, size: 20Gi, image: 'https://10.0.0.1/ubuntu.img'}",
            "http",
        ),
        (
            "{name: root, size: 20Gi, image: 'docker://localhost:5000/ubuntu:24.04'}",
            "registry",
        ),
        (
            "{name: root, size: 20Gi, image: 'registry.lan/ubuntu'}",
            "registry",
        ),
        (
            "{name: root, size: 20Gi, image: 'ubuntu:24.04'}",
            "registry",
        ),
    ] {
        let wukong = with(&format!("disks: [{disk}]"));
        let source = match &wukong.disks[0].source {
            Source::Blank => "nothing",
            Source::Http { .. } => "http",
            Source::Registry { .. } => "registry",
            other => panic!("{disk}: {other:?}"),
        };
        assert_eq!(source, from, "{disk}");
        assert!(wukong.disks[0].boot, "{disk}");
    }
    with("disks: []");
}

#[test]
fn login_users() {
    for user in [
        "{name: ubuntu}",
        "{name: ubuntu, password: 'with blanks: and \"quotes\" # and signs'}",
        "{name: _svc-1.a, groups: [wheel, sudo, docker]}",
        "{name: ubuntu, sudo: ''}",
        "{name: ubuntu, sudo: 'ALL=(ALL:ALL) ALL', shell: /usr/bin/zsh, lockPasswd: true}",
        "{name: ubuntu, passwordHash: '$y$j9T$abc$def'}",
    ] {
        assert!(matches!(
            with(&format!("cloudInitUser: {user}")).login,
            Login::User(_)
        ));
    }
    for secret in ["keys", "team.keys", &"k".repeat(51)] {
        assert_eq!(
            with(&format!("sshKeySecret: {secret}"))
                .ssh_key_secret
                .as_deref(),
            Some(secret)
        );
    }
}

/// What templates leave behind when a value is not set.
#[test]
fn nulls_mean_absent() {
    let plain = with("disks: [{name: root, size: 20Gi}]");
    let nulls = with(
        "osImage: null, sshKeySecret: ~, cloudInitUser: null, highAvailability: null, startStrategy: null, \
         disks: [{name: root, size: 20Gi, image: null, storageClassName: null, boot: null}]",
    );
    assert_eq!(plain, nulls);
}

#[test]
fn every_name_that_is_a_label() {
    for name in ["w", "0", "web-1", &"w".repeat(63)] {
        let manifest =
            manifest("  cpu: 1\n  memory: 1Gi\n").replace("name: web", &format!("name: '{name}'"));
        assert_eq!(accepted(&manifest).identity.name, name);
    }
}
