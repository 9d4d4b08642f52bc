//! Two guests that boot side by side: from BIOS and from UEFI, on a bridge that they share and on VLANs that they do not.

use futures::join;
use serde_json::{Value, json};
use wukong_lab::guests::Guest;

use crate::inside::{Claims, booted, image, key_secret, log_in_by_password, machine, run};
use crate::support::terminal::Terminal;
use crate::support::{Space, condition, plugin};
use crate::{nics, space};

/// `crypt(3)` of the password, by SHA-512.
const PASSWORD: &str = "correct-horse";
const PASSWORD_HASH: &str = "$6$wukong$0yrcEnrt61IIkW1nKDfhqBADD9ah1xpBKyYgzsALZxjO5TVDMkyDqOY8OQhhThizbHfjfexkyHp09KXMYzAI0.";
const LAN_MAC: &str = "02:00:00:0a:bc:04";

/// A user with a password, disks on two busses with the boot disk not the first, static addresses of both kinds.
fn alpha() -> Value {
    machine(
        "alpha",
        json!({
            "cpu": 2,
            "memory": "384Mi",
            "sshKeySecret": "keys",
            "cloudInitUser": {"name": "wukong", "groups": ["adm", "video"], "shell": "/bin/sh",
                "passwordHash": PASSWORD_HASH},
            "disks": [
                {"name": "data", "size": "1Gi", "serial": "DATA-0001"},
                {"name": "root", "size": "3Gi", "boot": true, "image": image("debian-12.qcow2"), "serial": "ROOT-0001"},
                {"name": "more", "size": "256Mi", "bus": "scsi", "serial": "MORE-0001"},
            ],
            "networks": [
                {"name": "lan", "type": "bridge", "bridgeName": "br-lan", "vlanId": 20, "mtu": 1400,
                    "macAddress": LAN_MAC.to_uppercase(),
                    "ipConfig": {"mode": "static", "address": "10.20.0.1/24", "addresses": ["fd00:20::1/64"],
                        "dnsServers": ["10.20.0.53"], "searchDomains": ["lan.example"],
                        "routes": [{"to": "10.30.0.0/16", "via": "10.20.0.2"}]}},
                {"name": "red", "type": "bridge", "bridgeName": "br-lan", "vlanId": 31,
                    "ipConfig": {"mode": "static", "address": "10.31.0.1/24"}},
            ],
        }),
    )
}

/// VLAN 32 of the same bridge, in a NAD that was made by hand.
fn blue() -> Value {
    let config = json!({"cniVersion": "0.3.1", "name": "blue", "type": "bridge", "bridge": "br-lan", "vlan": 32});
    json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "blue"}, "spec": {"config": config.to_string()}})
}

/// UEFI, a user with a locked password, a gateway, and a NIC that gets its address from alpha's network.
fn beta() -> Value {
    machine(
        "beta",
        json!({
            "firmware": "UEFI",
            "sshKeySecret": "keys",
            "cloudInitUser": {"name": "locked", "passwordHash": PASSWORD_HASH, "lockPasswd": true,
                "sudo": "ALL=(ALL) NOPASSWD:/usr/bin/id"},
            "networks": [
                {"name": "lan", "type": "bridge", "bridgeName": "br-lan", "vlanId": 20,
                    "ipConfig": {"mode": "static", "address": "10.20.0.2/24", "addresses": ["fd00:20::2/64"]}},
                {"name": "blue", "type": "bridge", "nadName": "blue",
                    "ipConfig": {"mode": "static", "address": "10.31.0.2/24", "gateway": "10.31.0.254"}},
                {"name": "leased", "type": "bridge", "bridgeName": "br-lan", "vlanId": 20, "ipConfig": {"mode": "dhcp"}},
            ],
        }),
    )
}

#[tokio::test]
async fn two_guests_are_what_their_manifests_say() {
    let Some((space, _permit)) = space("pair", 2).await else {
        return;
    };
    let key = key_secret(&space, "keys").await;
    space.apply(&blue()).await;
    nics::provide(&space).await;
    let (mut alpha, mut beta) = (alpha(), beta());
    nics::add(&mut alpha, nics::served());
    nics::add(&mut beta, nics::leased());
    join!(space.apply(&alpha), space.apply(&beta));
    let (a, b) = join!(booted(&space, "alpha"), booted(&space, "beta"));

    let mut claims = Claims::about(&a);
    users(&mut claims, &space, &a, &key).await;
    hardware(&mut claims, &space).await;
    addresses(&mut claims).await;
    nics::are_what_was_asked_for(&mut claims).await;
    claims.end();
    through_the_api_server(&space, &key).await;

    let mut claims = Claims::about(&b);
    claims.prints("hostname", "beta").await;
    claims
        .prints("test -d /sys/firmware/efi && echo UEFI", "UEFI")
        .await;
    claims.shows("passwd -S locked", &["locked L "]).await;
    claims
        .shows("sudo -l -U locked", &["NOPASSWD: /usr/bin/id"])
        .await;
    // A gateway in the spec wins over the one of the pod network.
    claims
        .shows("ip route get 192.0.2.1", &["via 10.31.0.254 dev blue"])
        .await;
    let login = b.ssh("locked", &key, "id -un").await;
    claims.claim(
        &format!("the key opens a user without a password: {login:?}"),
        login.is_ok_and(|out| out.trim() == "locked"),
    );
    claims.end();
    let refused = log_in_by_password(&space, &b, "locked", PASSWORD, "id -un").await;
    assert!(refused.is_err(), "{refused:?}");

    neighbours(&space, &a, &b).await;
}

async fn users(claims: &mut Claims<'_>, space: &Space<'_>, guest: &Guest, key: &std::path::Path) {
    claims.prints("hostname", "alpha").await;
    claims.shows("id wukong", &["(adm)", "(video)"]).await;
    claims
        .prints("getent passwd wukong | cut -d: -f7", "/bin/sh")
        .await;
    claims.prints("su - wukong -c 'sudo -n id -u'", "0").await;
    claims
        .prints("id -u debian 2>/dev/null || echo none", "none")
        .await;
    let by_key = guest.ssh("wukong", key, "id -un; hostname").await;
    claims.claim(
        &format!("the key of sshKeySecret logs in: {by_key:?}"),
        by_key.is_ok_and(|out| out.trim() == "wukong\nalpha"),
    );
    let by_password = log_in_by_password(space, guest, "wukong", PASSWORD, "id -un").await;
    claims.claim(
        &format!("the password of passwordHash logs in: {by_password:?}"),
        by_password.as_deref() == Ok("wukong"),
    );
    let wrong = log_in_by_password(space, guest, "wukong", "wrong", "id -un").await;
    claims.claim("another password does not", wrong.is_err());
}

/// Logs in on the serial console, as people do if the guest has no network.
async fn through_the_api_server(space: &Space<'_>, key: &std::path::Path) {
    let hosts = key.with_extension("hosts");
    let (key, hosts) = (key.to_str().unwrap(), hosts.to_str().unwrap());
    let ssh = ["ssh", "alpha", "-i", key, "--known-hosts", hosts];
    let options = ["-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=60"];
    let (code, out, err) = plugin::run(
        space,
        &[&ssh[..], &options, &["--", "id -un; hostname"]].concat(),
    )
    .await;
    assert_eq!((code, out.as_str()), (0, "wukong\nalpha\n"), "{err}");

    let mut terminal = Terminal::new();
    terminal.patience = space.patience;
    let mut console = plugin::command(space, &["console", "alpha"]).await;
    console
        .stdin(terminal.stdio())
        .stdout(terminal.stdio())
        .stderr(terminal.stdio());
    let mut console = console.spawn().unwrap();
    // The console does not repeat earlier output: an empty line makes the guest print its prompt.
    terminal.shows("Ctrl-]").await;
    terminal.types("\r");
    terminal.shows("alpha login: ").await;
    terminal.types("wukong\r");
    terminal.shows("Password: ").await;
    terminal.types(&format!("{PASSWORD}\r"));
    terminal.shows("$ ").await;
    terminal.types("echo I am $(id -un)\r");
    terminal.shows("I am wukong").await;
    terminal.types("exit\r\u{1d}");
    assert!(
        console.wait().await.unwrap().success(),
        "{}",
        terminal.screen
    );
}

async fn hardware(claims: &mut Claims<'_>, space: &Space<'_>) {
    let vm = space.get("VirtualMachine", "alpha").await;
    let firmware = &vm["spec"]["template"]["spec"]["domain"]["firmware"];
    let text = |key: &str| firmware[key].as_str().unwrap().to_owned();
    claims.prints("nproc", "2").await;
    claims
        .prints(
            "awk '/MemTotal/ { print ($2 > 300000 && $2 < 393216) }' /proc/meminfo",
            "1",
        )
        .await;
    claims
        .prints("test -d /sys/firmware/efi || echo BIOS", "BIOS")
        .await;
    claims
        .prints("cat /sys/class/dmi/id/product_uuid", &text("uuid"))
        .await;
    claims
        .prints("cat /sys/class/dmi/id/product_serial", &text("serial"))
        .await;
    let size = |id: &str| format!("blockdev --getsize64 /dev/disk/by-id/{id}");
    claims.prints(&size("virtio-DATA-0001"), "1073741824").await;
    claims.prints(&size("virtio-ROOT-0001"), "3221225472").await;
    claims.prints(&size("scsi-*MORE-0001"), "268435456").await;
    // The disk that was planned to boot did, although it is the second, and its file system has grown to it.
    claims
        .prints(
            "readlink -f /dev/disk/by-id/virtio-ROOT-0001-part2",
            "/dev/vdb2",
        )
        .await;
    claims.prints("findmnt -no SOURCE /", "/dev/vdb2").await;
    claims
        .prints(
            "df -B1 --output=size / | awk 'NR == 2 { print ($1 > 2900000000) }'",
            "1",
        )
        .await;
    let console = space
        .lab
        .guest(&space.name, "alpha")
        .await
        .unwrap()
        .console();
    claims.claim(
        "the serial console asks for a login",
        console.contains("alpha login:"),
    );
}

async fn addresses(claims: &mut Claims<'_>) {
    claims
        .prints("cat /sys/class/net/lan/address", LAN_MAC)
        .await;
    claims.prints("cat /sys/class/net/lan/mtu", "1400").await;
    claims
        .shows(
            "ip -o address show dev lan",
            &["10.20.0.1/24", "fd00:20::1/64"],
        )
        .await;
    claims
        .shows("ip -o address show dev red", &["10.31.0.1/24"])
        .await;
    claims
        .shows(
            "ip -o -4 address show dev pod-network",
            &["10.0.2.15/24", "dynamic"],
        )
        .await;
    claims
        .shows("ip route show default", &["via 10.0.2.2 dev pod-network"])
        .await;
    claims
        .shows("ip route show 10.30.0.0/16", &["via 10.20.0.2 dev lan"])
        .await;
    claims.shows("resolvectl dns lan", &["10.20.0.53"]).await;
    claims
        .shows("resolvectl domain lan", &["lan.example"])
        .await;
}

/// Both guests reach each other only on the wire that they share, and the status shows what their agents report.
async fn neighbours(space: &Space<'_>, a: &Guest, b: &Guest) {
    let mut claims = Claims::about(b);
    claims
        .will_show("ping -c 2 -W 5 10.20.0.1", &["2 received"])
        .await;
    claims
        .will_show("ping -c 2 -W 5 fd00:20::1", &["2 received"])
        .await;
    claims
        .shows(
            "ping -c 3 -W 2 -I blue 10.31.0.1 | grep received",
            &[" 0 received"],
        )
        .await;
    claims.end();

    // Alpha serves addresses on the shared wires.
    run(
        a,
        "for nic in lan fast direct switched; do dir=/etc/systemd/network/10-netplan-$nic.network.d; mkdir -p $dir && \
         printf '[Network]\\nDHCPServer=yes\\n[DHCPServer]\\nPoolOffset=100\\nPoolSize=20\\nEmitDNS=no\\nEmitRouter=no\\n' > $dir/server.conf \
         || exit 1; done; networkctl reload",
    )
    .await;
    let mut claims = Claims::about(a);
    claims
        .will_show("ping -c 2 -W 5 10.20.0.2", &["2 received"])
        .await;
    claims.end();
    let leased = space
        .wukong("beta", "told about its leased address", |wukong| {
            address(wukong, "leased").starts_with("10.20.0.1")
        })
        .await;
    assert_eq!(address(&leased, "lan"), "10.20.0.2");
    let mut claims = Claims::about(b);
    claims
        .shows(
            "ip -o -4 address show dev leased",
            &[address(&leased, "leased"), "dynamic"],
        )
        .await;
    nics::have_their_leases(&mut claims, space).await;
    claims.end();

    let wukong = space
        .wukong("alpha", "ready, guest and all", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    assert_eq!(address(&wukong, "lan"), "10.20.0.1");
    assert_eq!(address(&wukong, "red"), "10.31.0.1");
    let vmi = space.get("VirtualMachineInstance", "alpha").await;
    assert_eq!(vmi["status"]["guestOSInfo"]["id"], "debian");
}

/// The first address that the status shows for a network.
pub fn address<'a>(wukong: &'a Value, network: &str) -> &'a str {
    let networks = wukong["status"]["networks"].as_array();
    networks
        .into_iter()
        .flatten()
        .find(|shown| shown["name"] == network)
        .and_then(|shown| shown["ipAddress"].as_str())
        .unwrap_or_default()
}
