//! Output on terminals of any width: rows are never wrapped or cut by the plugin.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(unix)]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn plugin(args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin("kubectl-wukong"));
    command
        .args(args)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .current_dir(data(""));
    command
}

/// What a command prints on a terminal that reports so many columns, without colours.
fn on_terminal(columns: u16, args: &[&str]) -> String {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&screen, size).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let user = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let stdio = || Stdio::from(user.try_clone().unwrap());
    let mut child = {
        let mut command = plugin(args);
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        command.spawn().unwrap()
    };
    drop(user);
    let mut bytes = Vec::new();
    // Linux reports the end of a terminal as an error.
    let _ = File::from(screen).read_to_end(&mut bytes);
    child.wait().unwrap();
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
    assert!(text.contains('\u{1b}'), "not seen as a terminal: {text}");
    anstream::adapter::strip_str(&text).to_string()
}

/// What a command prints without a terminal, `COLUMNS` being as given.
fn piped(columns: &str, args: &[&str]) -> String {
    let output = plugin(args)
        .env("COLUMNS", columns)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn the_output_does_not_depend_on_the_width() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("web.yaml");
    let web = "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: web, namespace: shop}, \
        spec: {cpu: 64, memory: 512Gi, osImage: fedora, disks: [{name: root, size: 20Gi}]}}";
    std::fs::write(&manifest, web).unwrap();
    let manifest = manifest.to_str().unwrap();
    for args in [
        ["preflight", "--from", "cluster.yaml", "-f", manifest].as_slice(),
        &["plan", "--from", "stored.yaml", "-f", manifest],
    ] {
        let expected = piped("80", args);
        assert!(expected.lines().any(|line| line.len() > 60), "{expected}");
        for columns in [0, 20, 200] {
            assert_eq!(on_terminal(columns, args), expected, "{columns} {args:?}");
            assert_eq!(piped(&columns.to_string(), args), expected, "{columns}");
        }
    }
}

#[test]
fn help_is_readable_on_every_width() {
    let help = ["ip", "--help"];
    let longest = |text: &str| text.lines().map(str::len).max().unwrap();
    for columns in ["0", "20", "80"] {
        let text = piped(columns, &help);
        assert!((80..=100).contains(&longest(&text)), "{columns}: {text}");
    }
    let wide = on_terminal(80, &help);
    assert!((60..=80).contains(&longest(&wide)), "{wide}");
    // Too narrow to wrap: a sentence is one line, which the terminal breaks.
    let sentence = "Print the address of a VM.";
    for columns in [0, 20] {
        let text = on_terminal(columns, &help);
        assert!(text.lines().any(|line| line == sentence), "{text}");
    }
}
