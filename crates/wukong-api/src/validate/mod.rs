//! From [`Wukong`] to [`ValidatedWukong`]: every rule, every problem at once.

mod compute;
mod disks;
mod guest_ip;
mod ignored;
mod image;
mod initial;
mod login;
mod metadata;
mod networks;
mod placement;
mod problem;
mod settings;
mod text;

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::spec::Wukong;
use crate::validated::{Identity, Source, ValidatedWukong};
use crate::{labels, names};
pub use problem::{InvalidWukong, Problem};
pub use settings::{OperatorSettings, SINGLE_LABEL};

use problem::Problems;

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
        initial::check(spec, &mut problems);
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
