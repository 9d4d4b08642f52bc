//! `kubectl wukong doctor`, on a bundle.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Writes a bundle of shop/web without any other object.
fn bundle(path: &Path) {
    let gzip = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    for (name, text) in [
        (
            "about.yaml",
            "{taken: '2026-01-20T12:00:00Z', made_by: test}",
        ),
        (
            "wukong.yaml",
            "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: web, namespace: shop}, spec: {cpu: 1, memory: 1Gi}}",
        ),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_mode(0o600);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn doctor(args: &[&str]) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    bundle(&dir.path().join("b.tar.gz"));
    let output = Command::cargo_bin("kubectl-wukong")
        .unwrap()
        .arg("doctor")
        .args(args)
        .current_dir(dir.path())
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn a_bundle_can_be_named_by_its_wukong() {
    let (unnamed, _) = doctor(&["--from", "b.tar.gz"]);
    assert!(unnamed.starts_with("shop/web  "), "{unnamed}");
    for args in [
        ["web", "--from", "b.tar.gz"].as_slice(),
        &["--from", "b.tar.gz", "web"],
        &["web", "-n", "shop", "--from", "b.tar.gz"],
    ] {
        assert_eq!(doctor(args), (unnamed.clone(), String::new()), "{args:?}");
    }
}

#[test]
fn a_bundle_of_another_wukong_is_refused_with_both_names() {
    for (args, other) in [
        (["db", "--from", "b.tar.gz"].as_slice(), "shop/db"),
        (&["web", "-n", "lab", "--from", "b.tar.gz"], "lab/web"),
    ] {
        let (out, error) = doctor(args);
        assert_eq!(out, "");
        assert_eq!(
            error,
            format!("error: b.tar.gz is a bundle of Wukong shop/web, not of {other}\n")
        );
    }
}
