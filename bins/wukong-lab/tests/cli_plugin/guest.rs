//! `console`, `vnc`, `ssh`, `port-forward` and `expose`, through the real API server to a simulated guest.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::time::timeout;

use super::cluster;
use super::support::plugin::{command, run};
use super::support::terminal::Terminal;
use super::support::{DEADLINE, SCENARIO, Space, root, wukong};

async fn console(space: &Space<'_>, terminal: &Terminal) -> Child {
    let mut command = command(space, &["console", "web"]).await;
    command
        .stdin(terminal.stdio())
        .stdout(terminal.stdio())
        .stderr(terminal.stdio());
    command.spawn().unwrap()
}

async fn ended(mut child: Child) -> i32 {
    let status = timeout(DEADLINE, child.wait()).await;
    status.unwrap().unwrap().code().unwrap()
}

/// Reads until these words appear.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), words: &str) {
    let mut all = Vec::new();
    let found = async {
        while !String::from_utf8_lossy(&all).contains(words) {
            let count = stream.read_buf(&mut all).await.unwrap();
            assert!(
                count > 0,
                "it ended with {:?}",
                String::from_utf8_lossy(&all)
            );
        }
    };
    timeout(DEADLINE, found).await.unwrap();
}

#[tokio::test]
async fn a_console_has_the_terminal_while_it_lasts() {
    let space = cluster().await.space("console").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    // The command waits for the VM, so the test does not have to.
    let mut terminal = Terminal::new();
    let before = terminal.modes();
    let first = console(&space, &terminal).await;
    terminal.shows("web login: ").await;
    assert!(
        !terminal
            .modes()
            .intersects(LocalModes::ICANON | LocalModes::ISIG)
    );
    terminal.types("ro\u{3}ot");
    terminal.shows("ro\u{3}ot").await;
    terminal.types("\u{1d}");
    assert_eq!(ended(first).await, 0, "{}", terminal.screen);
    assert_eq!(terminal.modes(), before);

    let mut terminal = Terminal::new();
    let killed = console(&space, &terminal).await;
    terminal.shows("web login: ").await;
    let pid = Pid::from_raw(killed.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(ended(killed).await, 1);
    assert_eq!(terminal.modes(), before);
}

#[tokio::test]
async fn a_console_has_one_user() {
    let space = cluster().await.space("takeover").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let mut terminal = Terminal::new();
    let before = terminal.modes();
    let first = console(&space, &terminal).await;
    terminal.shows("web login: ").await;

    // A reader only: its input has ended, its output has not.
    let mut second = command(&space, &["console", "web"]).await;
    second.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut second = second.spawn().unwrap();
    read_until(second.stdout.as_mut().unwrap(), "web login: ").await;
    assert_eq!(ended(first).await, 1);
    terminal.shows("another client opened it").await;
    assert_eq!(terminal.modes(), before);

    run(&space, &["stop", "web", "--wait"]).await;
    assert_eq!(ended(second).await, 0, "the guest has shut down");
    let (code, _, err) = run(&space, &["console", "web"]).await;
    assert!(
        code == 1 && err.contains("web is stopped; start it: kubectl wukong start web"),
        "{code}: {err}"
    );
}

/// A TCP server that sends back what it hears; its port.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = connection.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

/// A VM with an echo server on its port 22.
async fn with_echo(space: &Space<'_>) {
    let mut web = wukong(
        "web",
        json!({"disks": [root()], "cloudInitUser": {"name": "admin"}}),
    );
    let scenario = format!("guest-port-22={}", echo().await);
    web["metadata"]["annotations"] = json!({SCENARIO: scenario});
    space.apply(&web).await;
    space.running("web").await;
}

#[tokio::test]
async fn ports_of_a_guest_are_forwarded() {
    let space = cluster().await.space("forward").await;
    with_echo(&space).await;
    let mut forward = command(&space, &["port-forward", "web", ":22", ":23"]).await;
    forward.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut forward = forward.spawn().unwrap();
    let mut printed = BufReader::new(forward.stdout.take().unwrap()).lines();
    let mut local = Vec::new();
    for port in [22, 23] {
        let line = timeout(DEADLINE, printed.next_line()).await.unwrap();
        let line = line.unwrap().unwrap();
        let (address, target) = line.split_once(" -> ").unwrap();
        assert_eq!(target, format!("web:{port}"));
        local.push(address.to_owned());
    }
    // More than fits one message, and two connections at once.
    let long: String = "0123456789".repeat(20_000);
    for _ in 0..2 {
        let connection = TcpStream::connect(&local[0]).await.unwrap();
        let (mut read, mut write) = connection.into_split();
        let sent = long.clone();
        // The client sends all its data and ends, and gets the answer nevertheless.
        tokio::spawn(async move { write.write_all(sent.as_bytes()).await });
        let mut back = vec![0; long.len()];
        let all = timeout(DEADLINE, read.read_exact(&mut back)).await;
        all.unwrap().unwrap();
        assert!(back == long.as_bytes());
    }
    // No server listens there in the guest: the connection ends with a message that says why.
    let mut refused = TcpStream::connect(&local[1]).await.unwrap();
    let mut nothing = Vec::new();
    let end = timeout(DEADLINE, refused.read_to_end(&mut nothing)).await;
    assert!(end.is_ok() && nothing.is_empty());
    read_until(forward.stderr.as_mut().unwrap(), "connection refused").await;
}

#[tokio::test]
async fn a_viewer_gets_the_screen_of_a_guest() {
    let space = cluster().await.space("screen").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let mut vnc = command(&space, &["vnc", "web", "--proxy-only"]).await;
    let mut vnc = vnc.stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = BufReader::new(vnc.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, printed.next_line()).await.unwrap();
    let line = line.unwrap().unwrap();
    let (address, target) = line.split_once(" -> ").unwrap();
    assert_eq!(target, "screen of web");
    // One viewer after the other.
    for _ in 0..2 {
        let mut viewer = TcpStream::connect(address).await.unwrap();
        let mut greeting = [0; 4];
        let read = timeout(DEADLINE, viewer.read_exact(&mut greeting)).await;
        read.unwrap().unwrap();
        assert_eq!(&greeting, b"RFB ");
    }
    for (viewer, why) in [
        ("false", "the viewer failed"),
        ("/no/viewer", "there is no program /no/viewer"),
    ] {
        let (code, _, err) = run(&space, &["vnc", "web", "--viewer", viewer]).await;
        assert!(code == 1 && err.contains(why), "{code}: {err}");
    }
}

#[tokio::test]
async fn ports_of_a_vm_get_a_service_that_selects_its_pod() {
    let space = cluster().await.space("expose").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let ports = ["expose", "web", "80:8080", "53/udp", "--type", "NodePort"];
    let (code, out, err) = run(&space, &ports).await;
    assert!(
        code == 0 && out.contains("-> web:8080"),
        "{code}: {out} {err}"
    );
    let service = space.get("Service", "web").await;
    let selector = service["spec"]["selector"].as_object().unwrap();
    let pods = space.list("Pod").await;
    let selected = pods.iter().filter(|pod| {
        let labels = &pod["metadata"]["labels"];
        selector.iter().all(|(key, value)| labels[key] == *value)
    });
    let names: Vec<_> = selected
        .map(|pod| pod["metadata"]["name"].as_str())
        .collect();
    assert!(
        names.len() == 1 && names[0].unwrap().starts_with("virt-launcher-web-"),
        "{names:?}"
    );
    let (code, _, err) = run(&space, &["expose", "web", "22"]).await;
    assert!(code == 1 && err.contains("--name"), "{code}: {err}");
    let apart = wukong(
        "apart",
        json!({"disks": [root()], "podNetwork": "None", "networks": [{"name": "lan", "type": "bridge"}]}),
    );
    space.apply(&apart).await;
    let (code, _, err) = run(&space, &["expose", "apart", "22"]).await;
    assert!(
        code == 1 && err.contains("spec.podNetwork: None"),
        "{code}: {err}"
    );
}

#[tokio::test]
async fn ssh_reaches_a_guest_by_its_proxy_command() {
    let space = cluster().await.space("ssh").await;
    with_echo(&space).await;
    let dir = tempfile::tempdir().unwrap();
    // An ssh that only runs its ProxyCommand, and does not depend on what is installed here.
    let ssh = dir.path().join("ssh");
    let script = "#!/bin/sh\necho \"$@\" >&2\nfor word; do case \"$word\" in ProxyCommand=*) exec sh -c \"${word#*=}\";; esac; done\n";
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut ssh = command(&space, &["ssh", "web", "--", "uptime"]).await;
    ssh.env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut ssh = ssh.spawn().unwrap();
    let host = format!("-l admin vmi.web.{} uptime", space.name);
    read_until(ssh.stderr.as_mut().unwrap(), &host).await;
    let mut keys = ssh.stdin.take().unwrap();
    keys.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    read_until(ssh.stdout.as_mut().unwrap(), "SSH-2.0-test\r\n").await;

    let (code, out, _) = run(&space, &["ssh", "web", "--command-only"]).await;
    assert!(
        code == 0 && out.starts_with("ssh -o 'ProxyCommand="),
        "{out}"
    );
    let stored = space.get("Wukong", "web").await;
    let uid = stored["metadata"]["uid"].as_str().unwrap();
    assert!(
        out.contains(&format!("HostKeyAlias=web.{}.{uid}", space.name)),
        "{out}"
    );
}

#[tokio::test]
async fn the_rights_that_the_help_names_are_enough() {
    let space = cluster().await.space("rights").await;
    with_echo(&space).await;
    let user = format!("someone-in-{}", space.name);
    let kubeconfig = std::fs::read_to_string(space.lab.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!(user);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let console = ["console", "web", "--kubeconfig", file.to_str().unwrap()];

    let reads = json!({"apiGroups": ["vm.novasphere.dev", "kubevirt.io"],
        "resources": ["wukongs", "virtualmachineinstances"], "verbs": ["get", "list", "watch"]});
    let role = |rules: Value| json!({"metadata": {"name": "console"}, "rules": rules});
    create(&space, "Role", role(json!([reads]))).await;
    let binding = json!({"metadata": {"name": "console"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "console"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    create(&space, "RoleBinding", binding).await;
    // The authorizer learns of a role when it gets to it.
    let err = loop {
        let (code, _, err) = run(&space, &console).await;
        assert_eq!(code, 1, "{err}");
        if !err.contains("wukongs")
            && !err.contains("cannot get resource \"virtualmachineinstances\" ")
        {
            break err;
        }
    };
    assert!(err.contains("virtualmachineinstances/console"), "{err}");

    let streams = json!({"apiGroups": ["subresources.kubevirt.io"],
        "resources": ["virtualmachineinstances/console"], "verbs": ["get"]});
    let role = json!({"metadata": {"name": "more"}, "rules": [streams]});
    create(&space, "Role", role).await;
    let binding = json!({"metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "more"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    create(&space, "RoleBinding", binding).await;
    let opened = async {
        loop {
            let mut watching = command(&space, &console).await;
            watching.stdin(Stdio::null()).stdout(Stdio::piped());
            let mut watching = watching.spawn().unwrap();
            let mut shown = [0; 8];
            if watching
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut shown)
                .await
                .is_ok()
            {
                return;
            }
        }
    };
    timeout(DEADLINE, opened)
        .await
        .expect("the rights are enough");
}

async fn create(space: &Space<'_>, kind: &str, object: Value) {
    let kind = GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind);
    let api: Api<DynamicObject> = Api::namespaced_with(
        space.client.clone(),
        &space.name,
        &ApiResource::from_gvk(&kind),
    );
    let mut object: DynamicObject = serde_json::from_value(object).unwrap();
    object.types = Some(kube::core::TypeMeta {
        api_version: "rbac.authorization.k8s.io/v1".into(),
        kind: kind.kind.clone(),
    });
    api.create(&PostParams::default(), &object).await.unwrap();
}
