//! From [`Wukong`] to [`ValidatedWukong`]: every rule, every problem at once.

mod compute;
mod disks;
mod guest_ip;
mod ignored;
mod image;
mod login;
mod metadata;
mod networks;
mod placement;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use kube::ResourceExt;

use crate::spec::Wukong;
use crate::validated::{Identity, Source, ValidatedWukong};
use crate::{labels, names};

/// Operator settings that validation depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorSettings {
    /// Put before a short image name such as `ubuntu:24.04`.
    pub os_image_prefix: String,
    /// Hosts that no image may come from: names (with their subdomains), networks in CIDR notation, and
    /// [`SINGLE_LABEL`] for all names without a dot.
    pub denied_hosts: Vec<String>,
    /// Whether the operator creates bridges on nodes for Wukongs with `nodeNetwork`.
    pub manage_node_networks: bool,
}

/// Stands for every host name without a dot among the denied hosts. Such a name is a Service of the importer's namespace.
/// (`localhost` is none: container runtimes know a registry by that name.)
pub const SINGLE_LABEL: &str = "single-label";

impl Default for OperatorSettings {
    /// Touches no node. Denies the link-local range, where clouds keep their metadata service, and names inside the cluster. Private
    /// ranges are allowed: people serve images from their LAN.
    fn default() -> Self {
        Self {
            os_image_prefix: "docker://quay.io/containerdisks/".into(),
            denied_hosts: [
                "169.254.0.0/16",
                "fe80::/10",
                "metadata.google.internal",
                "kubernetes.default",
                "svc",
                "cluster.local",
            ]
            .map(Into::into)
            .into(),
            manage_node_networks: false,
        }
    }
}

/// Problem of a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Path of the field, such as `spec.disks[1].size`.
    pub path: String,
    /// Rule that is broken, and the value to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All problems of a manifest, in the order of its fields.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidWukong {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidWukong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Collects problems on the way down.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            message: message.into(),
        });
    }

    /// Adds the problem when there is one; the value when there is none.
    fn check<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }
}

impl TryFrom<&Wukong> for ValidatedWukong {
    type Error = InvalidWukong;

    /// Validates under the default [`OperatorSettings`].
    fn try_from(wukong: &Wukong) -> Result<Self, InvalidWukong> {
        Self::validate(wukong, &OperatorSettings::default())
    }
}

impl ValidatedWukong {
    /// Checks every rule that a single manifest can be held to.
    ///
    /// # Errors
    /// Every problem at once, each with the path of its field.
    pub fn validate(wukong: &Wukong, settings: &OperatorSettings) -> Result<Self, InvalidWukong> {
        Self::validate_existing(wukong, settings, &BTreeMap::new())
    }

    /// Validates a Wukong with existing disks. `made` holds the source of each existing disk. Operator settings that
    /// changed later (another prefix of short image names, another denied host) do not apply to a disk with an
    /// unchanged image.
    ///
    /// # Errors
    /// As [`ValidatedWukong::validate`].
    pub fn validate_existing(
        wukong: &Wukong,
        settings: &OperatorSettings,
        made: &BTreeMap<String, Source>,
    ) -> Result<Self, InvalidWukong> {
        let mut problems = Problems::default();
        let spec = &wukong.spec;
        let identity = identity(wukong, &mut problems);

        let (cpu, memory) = compute::check(spec, &mut problems);
        metadata::check(spec, &mut problems);
        let machine = compute::machine(spec, memory, &mut problems);
        let disks = disks::check(spec, &identity, settings, made, &mut problems);
        let ephemeral_image = disks::ephemeral_image(spec, settings, &mut problems);
        let (pod_nic, nics) = networks::check(spec, &identity, settings, &mut problems);
        let (pod_ip_family, pod_dns_servers) = networks::pod_network(spec, &mut problems);
        let login = login::check(spec, &mut problems);
        let user_data_format = login::user_data_format(spec, &mut problems);
        let ssh_key_secret = login::ssh_key_secret(spec, &mut problems);
        let placement = placement::check(spec, &mut problems);
        let (run_strategy, auto_start) = placement::run_strategy(spec, &mut problems);

        if spec.running.is_some() {
            problems.add(
                "spec.running",
                "is refused: write powerState: Running or powerState: Stopped",
            );
        }

        if !problems.0.is_empty() {
            return Err(InvalidWukong {
                problems: problems.0,
            });
        }
        Ok(Self {
            identity,
            labels: spec.labels.clone(),
            annotations: spec.annotations.clone(),
            cpu,
            memory,
            ephemeral_image,
            disks,
            pod_nic,
            pod_ip_family,
            pod_dns_servers,
            nics,
            login,
            user_data_format,
            ssh_key_secret,
            placement,
            run_strategy,
            auto_start,
            power_state: spec.power_state,
            restart_approval: spec.restart_approval.unwrap_or_default(),
            firmware: spec.firmware,
            machine,
            termination_grace_period_seconds: spec.termination_grace_period_seconds.unwrap_or(180),
        })
    }
}

fn identity(wukong: &Wukong, problems: &mut Problems) -> Identity {
    let name = wukong.name_any();
    problems.check("metadata.name", text::dns_label(&name));
    let namespace = wukong.namespace().unwrap_or_else(|| "default".into());
    let uid = wukong
        .uid()
        .unwrap_or_else(|| names::derived_uuid(&namespace, &name).to_string());
    let group = match wukong
        .spec
        .high_availability
        .as_ref()
        .and_then(|ha| ha.group.as_ref())
    {
        Some(group) => {
            problems.check("spec.highAvailability.group", text::label_value(group));
            group.clone()
        }
        None => wukong
            .labels()
            .get(labels::APP_NAME)
            .filter(|group| !group.is_empty())
            .unwrap_or(&name)
            .clone(),
    };
    Identity {
        name,
        namespace,
        uid,
        group,
    }
}
