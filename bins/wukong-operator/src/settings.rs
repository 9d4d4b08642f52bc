//! Settings: flags, each with an environment variable.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use wukong_api::OperatorSettings;

/// Turns Wukongs into KubeVirt virtual machines with their disks, networks and cloud-init data.
///
/// Connects like kubectl does: `KUBECONFIG`, `~/.kube/config`, or the service account of its pod.
#[derive(Clone, Debug, Parser)]
#[command(name = "wukong-operator", version)]
pub struct Settings {
    /// Put before a short image name: with the default, `ubuntu:24.04` means
    /// `docker://quay.io/containerdisks/ubuntu:24.04`
    #[arg(long, env = "WUKONG_OS_IMAGE_PREFIX", value_name = "URL", default_value_t = OperatorSettings::default().os_image_prefix)]
    pub os_image_prefix: String,

    /// Hosts that no image may come from: names (with their subdomains), networks in CIDR notation, and `single-label` for
    /// all names without a dot, which are Services of the importer's namespace. Repeat the flag or separate by commas. Replaces the default, which names the link-local range and names inside the cluster
    #[arg(long = "denied-host", env = "WUKONG_DENIED_HOSTS", value_name = "HOST", value_delimiter = ',',
          default_values_t = OperatorSettings::default().denied_hosts)]
    pub denied_hosts: Vec<String>,

    /// Whether bridges are made on nodes, through NMState, for Wukongs that ask for it (`networks[].nodeNetwork`). Needs the
    /// ClusterRole of deploy/node-networks
    #[arg(long, env = "WUKONG_MANAGE_NODE_NETWORKS", value_name = "BOOL", default_value_t = false, num_args = 0..=1,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    pub manage_node_networks: bool,

    /// How many Wukongs are worked on at once
    #[arg(long, env = "WUKONG_CONCURRENCY", value_name = "NUMBER", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// How many writes to the API server may be under way at once
    #[arg(long, env = "WUKONG_MAX_IN_FLIGHT", value_name = "NUMBER", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_in_flight: u16,

    /// Where /healthz, /readyz and /metrics are served, such as `0.0.0.0:8080`; left out, they are not
    #[arg(long, env = "WUKONG_HEALTH_ADDRESS", value_name = "ADDRESS")]
    pub health_address: Option<SocketAddr>,

    /// Whether only the holder of a Lease works, so that several replicas can stand by. `false` is for development
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

    /// How many seconds after the last sign of life of a leader another replica takes over
    #[arg(long, env = "WUKONG_LEASE_SECONDS", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(3..=600))]
    pub lease_seconds: u16,

    /// Name of this replica in the Lease, different from every other's; in a pod, its name. By default made of the
    /// host's name and the process
    #[arg(long, env = "WUKONG_IDENTITY", value_name = "NAME", default_value_t = default_identity(),
          hide_default_value = true)]
    pub identity: String,

    /// Form of the logs
    #[arg(
        long,
        env = "WUKONG_LOG_FORMAT",
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// What is logged: `error`, `warn`, `info`, `debug`, or filters such as `info,wukong_operator=debug`
    #[arg(
        long,
        env = "WUKONG_LOG_LEVEL",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log_level: String,
}

/// Form of the logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// What manifests may ask for.
    pub fn operator_settings(&self) -> OperatorSettings {
        OperatorSettings {
            os_image_prefix: self.os_image_prefix.clone(),
            denied_hosts: self.denied_hosts.clone(),
            manage_node_networks: self.manage_node_networks,
        }
    }

    /// How long a Lease holds.
    pub fn lease_duration(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }
}

/// A container that starts again in its pod gets another identity: the one before it may still have a write under way.
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
    fn without_flags_the_policy_is_the_default_one() {
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

    /// The rows of the table of settings in docs/operate.md.
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
    fn every_setting_is_in_the_guide_as_it_is_and_no_other() {
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
    fn two_processes_never_have_one_identity() {
        assert_ne!(default_identity(), default_identity());
    }

    #[test]
    fn nonsense_is_refused() {
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
