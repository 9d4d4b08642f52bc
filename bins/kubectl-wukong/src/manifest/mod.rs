//! Manifests: files with Wukongs, parsed strictly, so that a mistyped field is an error.

mod read;
mod schema;

use std::path::PathBuf;

use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};

pub use read::{Defaults, Refused, documents, is_policy, of_document, policy, read};

/// Flags that name manifests and the settings of the operator.
#[derive(Clone, Debug, clap::Args)]
pub struct FileArgs {
    /// File with Wukongs in YAML or JSON; `-` reads standard input. Other objects are ignored
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// Settings of the operator against which manifests are validated.
#[derive(Clone, Debug, clap::Args)]
pub struct SettingsArgs {
    /// As set at the operator: prefix of short image names such as `ubuntu:24.04`
    #[arg(long, value_name = "URL", default_value_t = OperatorSettings::default().os_image_prefix)]
    os_image_prefix: String,

    /// As set at the operator: hosts from which no image may come
    #[arg(long = "denied-host", value_name = "HOST", value_delimiter = ',',
          default_values_t = OperatorSettings::default().denied_hosts)]
    denied_hosts: Vec<String>,

    /// As set at the operator: create bridges on nodes for `nodeNetwork`
    #[arg(long)]
    manage_node_networks: bool,
}

impl SettingsArgs {
    /// Returns the settings.
    pub fn operator_settings(&self) -> OperatorSettings {
        OperatorSettings {
            os_image_prefix: self.os_image_prefix.clone(),
            denied_hosts: self.denied_hosts.clone(),
            manage_node_networks: self.manage_node_networks,
        }
    }
}

/// A valid Wukong of a file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// As written, with the namespace filled in.
    pub wukong: Wukong,
    /// The input of the planners.
    pub validated: ValidatedWukong,
}
