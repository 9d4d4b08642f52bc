//! Manifests: files with Wukongs, read as strictly as a person who mistyped a field would want them to be.

mod read;
mod schema;

use std::path::PathBuf;

use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};

pub use read::{Defaults, Refused, documents, is_policy, policy, read};

/// Where the manifests are, and what the operator allows.
#[derive(Clone, Debug, clap::Args)]
pub struct FileArgs {
    /// File with Wukongs, YAML or JSON, one or several; `-` for standard input. Other objects in it are passed over
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// The settings of the operator that a manifest is held against.
#[derive(Clone, Debug, clap::Args)]
pub struct SettingsArgs {
    /// The operator's setting of this name: put before a short image name such as `ubuntu:24.04`
    #[arg(long, value_name = "URL", default_value_t = OperatorSettings::default().os_image_prefix)]
    os_image_prefix: String,

    /// The operator's setting of this name: hosts that no image may come from
    #[arg(long = "denied-host", value_name = "HOST", value_delimiter = ',',
          default_values_t = OperatorSettings::default().denied_hosts)]
    denied_hosts: Vec<String>,

    /// The operator's setting of this name: bridges are made on nodes for `nodeNetwork`
    #[arg(long)]
    manage_node_networks: bool,
}

impl SettingsArgs {
    /// What the operator allows.
    pub fn operator_settings(&self) -> OperatorSettings {
        OperatorSettings {
            os_image_prefix: self.os_image_prefix.clone(),
            denied_hosts: self.denied_hosts.clone(),
            manage_node_networks: self.manage_node_networks,
        }
    }
}

/// A Wukong that was read and found valid.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// As it was written, with the namespace filled in.
    pub wukong: Wukong,
    /// As the planners take it.
    pub validated: ValidatedWukong,
}
