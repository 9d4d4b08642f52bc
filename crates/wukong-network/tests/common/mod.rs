//! Wukongs to plan for.
#![allow(clippy::unwrap_used, dead_code)]

use wukong_api::validated::Nic;
use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};

/// The Wukong `shop/web` with this `spec`, given in YAML without cpu and memory, for an operator that makes bridges on nodes.
pub fn wukong(spec: &str) -> ValidatedWukong {
    let manifest = format!(
        "apiVersion: vm.novasphere.dev/v1alpha1\nkind: Wukong\nmetadata: {{name: web, namespace: shop, uid: 7b3e7a36-0f6c-4f1e-9d29-0c9a3a1f5b10}}\nspec:\n  cpu: 1\n  memory: 1Gi\n{}",
        indented(spec)
    );
    let wukong: Wukong = serde_saphyr::from_str(&manifest).unwrap();
    let settings = OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    };
    ValidatedWukong::validate(&wukong, &settings).unwrap()
}

/// The Wukong `shop/web` with one network, given in YAML.
pub fn with_network(network: &str) -> ValidatedWukong {
    wukong(&format!("networks:\n- {}", indented(network).trim_start()))
}

/// All secondary NICs, as attached while Multus is there.
pub fn all(wukong: &ValidatedWukong) -> Vec<&Nic> {
    wukong.nics.iter().collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
