//! Operator settings: flags, each with an environment variable.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use wukong_api::OperatorSettings;

/// Turns Wukongs into KubeVirt virtual machines with their disks, networks and cloud-init data
///
/// Uses the same configuration as kubectl: `KUBECONFIG`, `~/.kube/config`, or the ServiceAccount of its pod.
#[derive(Clone, Debug, Parser)]
#[command(name = "wukong-operator", version)]
pub struct Settings {
    /// Prefix of short image names. With the default, `ubuntu:24.04` means
    /// `docker://quay.io/containerdisks/ubuntu:24.04`
    #[arg(long, env = "WUKONG_OS_IMAGE_PREFIX", value_name = "URL", default_value_t = OperatorSettings::default().os_image_prefix)]
    pub os_image_prefix: String,

    /// Hosts of images that the operator rejects: names (with their subdomains), networks in CIDR notation, and
    /// `single-label` for all names without a dot, which are Services of the importer's namespace. Repeat the flag or use
    /// commas. Replaces the default: the link-local range and names inside the cluster
    #[arg(long = "denied-host", env = "WUKONG_DENIED_HOSTS", value_name = "HOST", value_delimiter = ',',
          default_values_t = OperatorSettings::default().denied_hosts)]
    pub denied_hosts: Vec<String>,

    /// Create bridges on nodes through NMState for `networks[].nodeNetwork`. Needs the ClusterRole of
    /// deploy/node-networks
    #[arg(long, env = "WUKONG_MANAGE_NODE_NETWORKS", value_name = "BOOL", default_value_t = false, num_args = 0..=1,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    pub manage_node_networks: bool,

    /// Maximum number of Wukongs that are reconciled at once
    #[arg(long, env = "WUKONG_CONCURRENCY", value_name = "NUMBER", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// Maximum number of concurrent requests to the API server
    #[arg(long, env = "WUKONG_MAX_IN_FLIGHT", value_name = "NUMBER", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_in_flight: u16,

    /// Address of /healthz, /readyz and /metrics, such as `0.0.0.0:8080`. If unset, they are not served
    #[arg(long, env = "WUKONG_HEALTH_ADDRESS", value_name = "ADDRESS")]
    pub health_address: Option<SocketAddr>,

    /// Work only as the holder of a Lease, so that other replicas are on standby. Use `false` only for development
    #[arg(long, env = "WUKONG_LEADER_ELECTION", value_name = "BOOL", default_value_t = true,
          action = clap::ArgAction::Set)]
    pub leader_election: bool,

    /// Namespace of the Lease
    #[arg(
        long,
        env = "WUKONG_LEASE_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "wukong-system"
    )]
    pub lease_namespace: String,

    /// Name of the Lease
    #[arg(
        long,
        env = "WUKONG_LEASE_NAME",
        value_name = "NAME",
        default_value = "wukong-operator"
    )]
    pub lease_name: String,

    /// Seconds after the last renewal of the Lease until another replica takes over
    #[arg(long, env = "WUKONG_LEASE_SECONDS", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(3..=600))]
    pub lease_seconds: u16,

    /// Unique name of this replica in the Lease; in a pod, use its name. By default built from the host name and the
    /// process id
    #[arg(long, env = "WUKONG_IDENTITY", value_name = "NAME", default_value_t = default_identity(),
          hide_default_value = true)]
    pub identity: String,

    /// Format of the logs
    #[arg(
        long,
        env = "WUKONG_LOG_FORMAT",
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// Level of the logs: `error`, `warn`, `info`, `debug`, or filters such as `info,wukong_operator=debug`
    #[arg(
        long,
        env = "WUKONG_LOG_LEVEL",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log_level: String,
}

/// Format of the logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Returns the settings that decisions depend on.
    pub fn operator_settings(&self) -> OperatorSettings {
        OperatorSettings {
            os_image_prefix: self.os_image_prefix.clone(),
            denied_hosts: self.denied_hosts.clone(),
            manage_node_networks: self.manage_node_networks,
        }
    }

    /// Returns the validity of the Lease.
    pub fn lease_duration(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }
}

/// Returns a unique identity. A container that restarts in its pod gets another one, because a request of the previous
/// process may still be in progress.
fn default_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(
        "{}-{}-{:04x}",
        host.trim(),
        std::process::id(),
        fastrand::u16(..)
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Settings {
        Settings::try_parse_from([&["wukong-operator"], args].concat()).unwrap()
    }

    #[test]
    fn every_setting_is_explained_and_has_an_environment_variable() {
        let command = Settings::command();
        command.clone().debug_assert();
        for arg in command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            assert!(arg.get_help().is_some(), "{} has no help", arg.get_id());
            assert!(
                arg.get_env().is_some(),
                "{} has no environment variable",
                arg.get_id()
            );
        }
    }

    #[test]
    fn without_flags_the_settings_are_the_defaults() {
        assert_eq!(parse(&[]).operator_settings(), OperatorSettings::default());
        assert!(parse(&[]).leader_election);
    }

    #[test]
    fn denied_hosts_are_repeated_or_separated_by_commas() {
        let settings = parse(&["--denied-host=a.example,10.0.0.0/8", "--denied-host", "b"]);
        assert_eq!(
            settings.operator_settings().denied_hosts,
            ["a.example", "10.0.0.0/8", "b"]
        );
    }

    /// Rows of the table of settings in docs/operate.md.
    fn rows() -> Vec<String> {
        let command = Settings::command();
        let shown = |arg: &&clap::Arg| !matches!(arg.get_id().as_str(), "help" | "version");
        let row = |arg: &clap::Arg| {
            let defaults: Vec<_> = arg
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy())
                .collect();
            let default = match arg.is_hide_default_value_set() || defaults.is_empty() {
                true => String::new(),
                false => format!("`{}`", defaults.join(",")),
            };
            let flag = arg.get_long().unwrap();
            let variable = arg.get_env().unwrap().to_string_lossy();
            let help = arg.get_help().unwrap().to_string();
            format!("| `--{flag}` | `{variable}` | {default} | {help} |")
        };
        command.get_arguments().filter(shown).map(row).collect()
    }

    #[test]
    fn the_guide_lists_exactly_the_settings() {
        let guide = include_str!("../../../docs/operate.md");
        let listed: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("| `--"))
            .collect();
        assert_eq!(
            listed,
            rows(),
            "put these rows into docs/operate.md:\n{}\n",
            rows().join("\n")
        );
    }

    #[test]
    fn two_processes_have_different_identities() {
        assert_ne!(default_identity(), default_identity());
    }

    #[test]
    fn invalid_values_are_rejected() {
        for args in [
            "--concurrency=0",
            "--lease-seconds=1",
            "--log-format=xml",
            "--health-address=8080",
        ] {
            assert!(
                Settings::try_parse_from(["wukong-operator", args]).is_err(),
                "{args}"
            );
        }
    }
}
