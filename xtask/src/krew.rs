//! The template of the Krew manifest: once filled, it has what Krew requires.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::generated::root;

fn read(name: &str) -> String {
    fs::read_to_string(root().join("deploy/krew").join(name)).unwrap()
}

/// The names of the variables `${NAME}` in a text.
fn variables(text: &str) -> BTreeSet<&str> {
    let after = text.split("${").skip(1);
    after.map(|rest| rest.split_once('}').unwrap().0).collect()
}

/// The manifest of a release.
fn filled() -> Value {
    let template = read("wukong.yaml");
    let mut text = template.clone();
    for name in variables(&template) {
        let value = match name {
            "VERSION" => env!("CARGO_PKG_VERSION").to_owned(),
            "REPOSITORY" => "https://example.org/wukong".to_owned(),
            sum => {
                assert!(sum.starts_with("SHA256_"), "{sum}");
                "0123456789abcdef".repeat(4)
            }
        };
        text = text.replace(&format!("${{{name}}}"), &value);
    }
    serde_saphyr::from_str(&text).unwrap()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let value = object.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("{pointer} is missing: {object}"))
}

/// Krew's rules: internal/index/validation in its repository.
#[test]
fn the_filled_manifest_has_what_krew_requires() {
    let manifest = filled();
    assert_eq!(
        text(&manifest, "/apiVersion"),
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(text(&manifest, "/kind"), "Plugin");
    // The name of the file.
    assert_eq!(text(&manifest, "/metadata/name"), "wukong");
    let version = text(&manifest, "/spec/version");
    assert_eq!(version, concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(text(&manifest, "/spec/homepage").starts_with("https://"));
    let short = text(&manifest, "/spec/shortDescription");
    assert!((1..=50).contains(&short.len()), "{short}");
    assert!(!text(&manifest, "/spec/description").is_empty());

    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let mut selected = BTreeSet::new();
    for platform in platforms {
        let os = text(platform, "/selector/matchLabels/os");
        let arch = text(platform, "/selector/matchLabels/arch");
        assert!(selected.insert((os, arch)), "{os}/{arch} twice");
        assert_eq!(
            text(platform, "/uri"),
            format!(
                "https://example.org/wukong/releases/download/{version}/kubectl-wukong-{os}-{arch}.tar.gz"
            )
        );
        let sum = text(platform, "/sha256");
        assert!(sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit()));
        let suffix = if os == "windows" { ".exe" } else { "" };
        assert_eq!(text(platform, "/bin"), format!("kubectl-wukong{suffix}"));
    }
    assert!(selected.contains(&("linux", "amd64")));
}

#[test]
fn each_platform_has_its_own_sum_and_the_guide_sets_it() {
    let template = read("wukong.yaml");
    let guide = read("README.md");
    let sums: BTreeSet<String> = variables(&template)
        .into_iter()
        .filter_map(|name| name.strip_prefix("SHA256_"))
        .map(|name| name.to_lowercase().replace('_', "-"))
        .collect();
    for sum in &sums {
        assert!(template.contains(&format!("kubectl-wukong-{sum}.tar.gz")));
    }
    let platforms = guide.split_once("for platform in ").unwrap().1;
    let platforms = platforms.split_once(';').unwrap().0.split(' ');
    assert_eq!(sums, platforms.map(str::to_owned).collect());
    assert_eq!(sums.len(), template.matches("sha256: ").count());
}
