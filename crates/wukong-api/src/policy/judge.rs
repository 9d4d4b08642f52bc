//! What a policy does not allow of a Wukong.
//!
//! The rules, their order and their words are those of deploy/policies/wukong-policy.yaml. Like the API server, they
//! check the written fields, not the values after defaults.

use super::findings::{Findings, judged, only, stands_for};
use super::{
    AllowedToleration, Limits, PlainTextPasswords, WukongPolicy, WukongPolicySpec, image_host,
    networks,
};
use crate::Bytes;
use crate::spec::{Disk, Quantity, Toleration, TolerationOperator, Wukong, WukongSpec};
use crate::validate::Problem;

impl WukongPolicy {
    /// Returns everything that the policy does not allow of a Wukong, each with the path of its field. The namespace of the
    /// Wukong does not matter. A value that `before`, the stored Wukong, has in the same way is not checked again: under a
    /// policy that is newer than the Wukong, a user can still stop the VM or change other fields.
    pub fn problems(&self, wukong: &Wukong, before: Option<&Wukong>) -> Vec<Problem> {
        let mut findings = Findings::of(self);
        let before = before.map(|before| &before.spec);
        let WukongPolicySpec {
            limits,
            plain_text_passwords,
            ..
        } = &self.spec;
        sizes(limits.as_ref(), &wukong.spec, before, &mut findings);
        disks(&self.spec, &wukong.spec, before, &mut findings);
        if let Some(allowed) = &self.spec.networks {
            networks::check(allowed, &wukong.spec, before, &mut findings);
        }
        placement(&self.spec, &wukong.spec, before, &mut findings);
        let password = |spec: &WukongSpec| {
            let login = spec.cloud_init_user.as_ref()?;
            login
                .password
                .clone()
                .filter(|password| !password.is_empty())
        };
        let requested = password(&wukong.spec);
        if *plain_text_passwords == Some(PlainTextPasswords::Deny)
            && requested.is_some()
            && requested != before.and_then(password)
        {
            findings.add(
                "spec.cloudInitUser.password",
                "no password in plain text: write passwordHash, or name a Secret in userDataSecret",
            );
        }
        findings.problems
    }
}

fn sizes(
    limits: Option<&Limits>,
    spec: &WukongSpec,
    before: Option<&WukongSpec>,
    findings: &mut Findings,
) {
    let Some(Limits {
        cpu,
        memory,
        disks,
        networks,
        disk_size: _,
    }) = limits
    else {
        return;
    };
    if let Some(most) = cpu
        && spec.cpu > *most
        && before.is_none_or(|before| before.cpu != spec.cpu)
    {
        findings.add("spec.cpu", format!("at most {most}"));
    }
    if let Some(most) = memory
        && !fits(&spec.memory, most)
        && before.is_none_or(|before| before.memory != spec.memory)
    {
        findings.add("spec.memory", format!("at most {most}"));
    }
    let counts = [
        (
            "spec.disks",
            disks,
            spec.disks.len(),
            before.map(|before| before.disks.len()),
        ),
        (
            "spec.networks",
            networks,
            spec.networks.len(),
            before.map(|before| before.networks.len()),
        ),
    ];
    for (path, most, requested, before) in counts {
        if let Some(most) = most
            && requested > usize::try_from(*most).unwrap_or(usize::MAX)
            && before.is_none_or(|before| requested > before)
        {
            findings.add(path, format!("at most {most}"));
        }
    }
}

/// Whether a size is one, and not above a limit.
fn fits(requested: &Quantity, most: &str) -> bool {
    Bytes::parse(&requested.0)
        .is_some_and(|requested| Bytes::parse(most).is_none_or(|most| requested <= most))
}

fn disks(
    policy: &WukongPolicySpec,
    spec: &WukongSpec,
    before: Option<&WukongSpec>,
    findings: &mut Findings,
) {
    let disks = judged(
        "spec.disks",
        &spec.disks,
        before.map(|before| before.disks.as_slice()),
    );
    let most = policy
        .limits
        .as_ref()
        .and_then(|limits| limits.disk_size.as_ref());
    if let Some(most) = most {
        // An empty size is none, as in the admission policy: the validation of the spec rejects it.
        let size = |disk: &Disk| disk.size.clone().filter(|size| !size.0.is_empty());
        let too_large = |disk: &Disk| size(disk).is_some_and(|size| !fits(&size, most));
        for (path, _) in disks.iter().filter(|(_, disk)| too_large(disk)) {
            findings.add(format!("{path}.size"), format!("at most {most}"));
        }
    }
    if let Some(classes) = &policy.storage_classes {
        let shown = classes.iter().map(|class| match class.as_str() {
            "" => "the default class",
            class => class,
        });
        let allowed = only(shown);
        for (path, disk) in disks.iter().filter(|(_, disk)| disk.claim.is_none()) {
            let class = disk.storage_class_name.as_deref().unwrap_or_default();
            if !classes.iter().any(|entry| stands_for(entry, class)) {
                findings.add(format!("{path}.storageClassName"), &allowed);
            }
        }
    }
    if let Some(hosts) = &policy.image_hosts {
        let os_image = spec
            .os_image
            .as_ref()
            .filter(|image| before.is_none_or(|before| before.os_image.as_ref() != Some(image)))
            .map(|image| ("spec.osImage".to_owned(), image.clone()));
        for (path, image) in os_image.into_iter().chain(images(&disks)) {
            let short = !image.contains('/');
            let host = image_host::host(&image);
            if !short && !hosts.iter().any(|entry| image_host::names(entry, &host)) {
                findings.add(path, only(hosts));
            }
        }
    }
}

/// The images that disks name, each with the path of its field.
fn images<'a>(disks: &'a [(String, &Disk)]) -> impl Iterator<Item = (String, String)> + 'a {
    type Url = fn(&Disk) -> Option<String>;
    let fields: [(&str, Url); 5] = [
        ("image", |disk| disk.image.clone()),
        ("source.http.url", |disk| {
            Some(disk.source.as_ref()?.http.as_ref()?.url.clone())
        }),
        ("source.s3.url", |disk| {
            Some(disk.source.as_ref()?.s3.as_ref()?.url.clone())
        }),
        ("source.gcs.url", |disk| {
            Some(disk.source.as_ref()?.gcs.as_ref()?.url.clone())
        }),
        ("source.registry.url", |disk| {
            let url = &disk.source.as_ref()?.registry.as_ref()?.url;
            // It has no short names.
            Some(if url.contains("://") {
                url.clone()
            } else {
                format!("docker://{url}")
            })
        }),
    ];
    fields.into_iter().flat_map(move |(field, url)| {
        disks
            .iter()
            .filter_map(move |(path, disk)| Some((format!("{path}.{field}"), url(disk)?)))
    })
}

fn placement(
    policy: &WukongPolicySpec,
    spec: &WukongSpec,
    before: Option<&WukongSpec>,
    findings: &mut Findings,
) {
    let Some(requested) = &spec.high_availability else {
        return;
    };
    let before = before.and_then(|before| before.high_availability.as_ref());
    if let Some(allowed) = &policy.node_selector {
        let kept =
            |key, value| before.is_some_and(|before| before.node_selector.get(key) == Some(value));
        let may = |key: &str, value: &str| {
            allowed
                .iter()
                .any(|label| stands_for(&label.key, key) && has_one(label.values.as_ref(), value))
        };
        if requested
            .node_selector
            .iter()
            .any(|(key, value)| !kept(key, value) && !may(key, value))
        {
            let shown = allowed.iter().map(|label| match &label.values {
                Some(values) => format!("{}={}", label.key, values.join("|")),
                None => label.key.clone(),
            });
            findings.add("spec.highAvailability.nodeSelector", only(shown));
        }
    }
    if let Some(allowed) = &policy.tolerations {
        let before = before.map(|before| before.tolerations.as_slice());
        for (path, toleration) in judged(
            "spec.highAvailability.tolerations",
            &requested.tolerations,
            before,
        ) {
            if !allowed.iter().any(|taint| taint.covers(toleration)) {
                findings.add(path, only(allowed.iter().map(|taint| &taint.key)));
            }
        }
    }
}

/// Whether a list, when there is one, has an entry that stands for a value.
fn has_one(entries: Option<&Vec<String>>, value: &str) -> bool {
    entries.is_none_or(|entries| entries.iter().any(|entry| stands_for(entry, value)))
}

impl AllowedToleration {
    fn covers(&self, requested: &Toleration) -> bool {
        let exists = requested.operator == Some(TolerationOperator::Exists);
        let value = requested.value.as_deref().unwrap_or_default();
        stands_for(&self.key, requested.key.as_deref().unwrap_or_default())
            && (self.values.is_none() || !exists && has_one(self.values.as_ref(), value))
            && self.effects.as_ref().is_none_or(|effects| {
                requested
                    .effect
                    .is_some_and(|effect| effects.contains(&effect))
            })
    }
}
