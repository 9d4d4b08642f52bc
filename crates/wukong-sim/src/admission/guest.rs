//! The guest and its pod: reserved labels, host name, machine, firmware, DNS, probes, eviction and start strategy.
//!
//! From `vmi-create-admitter.go`.

use std::net::IpAddr;

use super::config::ClusterConfig;
use super::verdict::Causes;
use super::{names, network, volumes};
use crate::field::Field;

/// Labels that only KubeVirt's own service accounts may set.
const RESERVED: [&str; 6] = [
    "kubevirt.io/created-by",
    "kubevirt.io/migrationJobUID",
    "kubevirt.io/nodeName",
    "kubevirt.io/migrationTargetNodeName",
    "kubevirt.io/schedulable",
    "kubevirt.io/install-strategy",
];
const EVICTION: [&str; 4] = ["None", "LiveMigrate", "LiveMigrateIfPossible", "External"];
const PROBE_KINDS: [&str; 4] = ["httpGet", "tcpSocket", "exec", "guestAgentPing"];
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 6;
const MAX_SEARCH_CHARS: usize = 256;

pub fn check_metadata(metadata: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let reserved = metadata
        .child("labels")
        .entries()
        .any(|(key, _)| RESERVED.contains(&key));
    causes.add_if(reserved, || {
        "creation of the following reserved kubevirt.io/ labels on a VMI object is prohibited"
            .into()
    });
    for (annotation, gate) in [
        ("kubevirt.io/ignitiondata", "ExperimentalIgnitionSupport"),
        ("hooks.kubevirt.io/hookSidecars", "Sidecar"),
    ] {
        let value = metadata.child("annotations").child(annotation);
        causes.add_if(!value.text().is_empty() && !config.has(gate), || {
            format!(
                "{gate} feature gate is not enabled in kubevirt-config, invalid entry {}",
                value.path()
            )
        });
    }
}

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    host_name(vmi, causes);
    machine(vmi, causes);
    firmware(vmi, causes);
    dns(vmi, causes);
    for kind in ["readinessProbe", "livenessProbe"] {
        probe(&vmi.child(kind), network::has_pod_network(vmi), causes);
    }
    let eviction = vmi.child("evictionStrategy");
    causes.add_if(
        eviction.is_set() && !EVICTION.contains(&eviction.text()),
        || {
            format!(
                "{} is set with an unrecognized option: {}",
                eviction.path(),
                eviction.text()
            )
        },
    );
    start_strategy(vmi, causes);
    launch_security(vmi, config, causes);
}

fn host_name(vmi: &Field<'_>, causes: &mut Causes) {
    for (key, kind, rule) in [
        (
            "hostname",
            "DNS_LABEL",
            names::dns_label as fn(&str) -> Vec<String>,
        ),
        ("subdomain", "DNS_SUBDOMAIN", names::dns_subdomain),
    ] {
        let name = vmi.child(key);
        let wrong = rule(name.text());
        causes.add_if(!name.text().is_empty() && !wrong.is_empty(), || {
            format!(
                "{} does not conform to the kubernetes {kind} rules : {}",
                name.path(),
                wrong.join(", ")
            )
        });
    }
}

/// Machine types that the architecture's emulator offers, as `filepath.Match` patterns that end in `*`.
pub fn machine_patterns(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "arm64" => &["virt*"],
        "s390x" => &["s390-ccw-virtio*"],
        _ => &["q35*", "pc-q35*"],
    }
}

fn machine(vmi: &Field<'_>, causes: &mut Causes) {
    let machine = vmi.at("domain.machine.type");
    let patterns = machine_patterns(vmi.child("architecture").text());
    // In `filepath.Match` a star does not cross a slash.
    let matches = |pattern: &&str| {
        let prefix = pattern.trim_end_matches('*');
        machine
            .text()
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.contains('/'))
    };
    causes.add_if(
        !machine.text().is_empty() && !patterns.iter().any(matches),
        || {
            format!(
                "{} is not supported: {} (allowed values: [{}])",
                machine.path(),
                machine.text(),
                patterns.join(" ")
            )
        },
    );
}

fn firmware(vmi: &Field<'_>, causes: &mut Causes) {
    let firmware = vmi.at("domain.firmware");
    let loader = firmware.child("bootloader");
    let efi = loader.child("efi");
    causes.add_if(efi.is_set() && loader.child("bios").is_set(), || {
        format!(
            "{} has both EFI and BIOS configured, but they are mutually exclusive.",
            loader.path()
        )
    });
    let smm = vmi.at("domain.features.smm");
    let smm_on = smm.is_set() && smm.child("enabled").flag() != Some(false);
    let secure = efi.is_set() && efi.child("secureBoot").flag() != Some(false);
    causes.add_if(secure && !smm_on, || {
        format!(
            "{} has EFI SecureBoot enabled. SecureBoot requires SMM, which is currently disabled.",
            vmi.child("domain").path()
        )
    });
    acpi(vmi, &firmware.child("acpi"), causes);
    kernel_boot(&firmware.child("kernelBoot"), causes);
}

fn acpi(vmi: &Field<'_>, acpi: &Field<'_>, causes: &mut Causes) {
    let references = ["slicNameRef", "msdmNameRef"].map(|key| acpi.child(key));
    causes.add_if(
        acpi.is_set() && references.iter().all(|name| name.text().is_empty()),
        || "ACPI was set but no SLIC nor MSDM volume reference was set".into(),
    );
    for name in references.iter().filter(|name| !name.text().is_empty()) {
        match vmi
            .child("volumes")
            .items()
            .find(|volume| volume.name() == name.text())
        {
            Some(volume) => causes.add_if(!volume.child("secret").is_set(), || {
                format!("{} refers to Volume of unsupported type.", acpi.path())
            }),
            None => causes.add(format!("{} does not have a matching Volume.", acpi.path())),
        }
    }
}

fn kernel_boot(boot: &Field<'_>, causes: &mut Causes) {
    let container = boot.child("container");
    if !container.is_set() {
        causes.add_if(!boot.child("kernelArgs").text().is_empty(), || {
            "kernel arguments cannot be provided without an external kernel".into()
        });
        return;
    }
    causes.add_if(container.child("image").text().is_empty(), || {
        format!("{} must be defined with an image", container.path())
    });
    let paths = ["kernelPath", "initrdPath"].map(|key| container.child(key));
    causes.add_if(paths.iter().all(|path| path.text().is_empty()), || {
        format!(
            "{} must be defined with at least one of the following: kernelPath, initrdPath",
            container.path()
        )
    });
    for path in paths.iter().filter(|path| !path.text().is_empty()) {
        volumes::absolute_path(path, causes);
    }
}

/// Copied by KubeVirt from the validation of pods.
fn dns(vmi: &Field<'_>, causes: &mut Causes) {
    let config = vmi.child("dnsConfig");
    let servers = config.child("nameservers");
    if vmi.child("dnsPolicy").text() == "None" {
        if !config.is_set() {
            causes.add("must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.count() == 0 {
            causes.add("must provide at least one DNS nameserver when `dnsPolicy` is None");
            return;
        }
    }
    causes.add_if(servers.count() > MAX_NAMESERVERS, || {
        let all: Vec<&str> = servers.items().map(|server| server.text()).collect();
        format!(
            "must not have more than {MAX_NAMESERVERS} nameservers: [{}]",
            all.join(" ")
        )
    });
    for server in servers.items() {
        causes.add_if(server.text().parse::<IpAddr>().is_err(), || {
            format!("must be valid IP address: {}", server.text())
        });
    }
    let searches: Vec<&str> = config
        .child("searches")
        .items()
        .map(|search| search.text())
        .collect();
    causes.add_if(searches.len() > MAX_SEARCHES, || {
        format!("must not have more than {MAX_SEARCHES} search paths")
    });
    causes.add_if(searches.join(" ").len() > MAX_SEARCH_CHARS, || {
        format!("must not have more than {MAX_SEARCH_CHARS} characters (including spaces) in the search list")
    });
    searches
        .into_iter()
        .for_each(|search| causes.extend(names::dns_subdomain(search)));
    for option in config.child("options").items() {
        causes.add_if(option.name().is_empty(), || {
            "Option.Name must not be empty".into()
        });
    }
}

fn probe(probe: &Field<'_>, pod_network: bool, causes: &mut Causes) {
    if !probe.is_set() {
        return;
    }
    match probe.set_among(&PROBE_KINDS) {
        0 => causes.add(format!(
            "either {0}.tcpSocket, {0}.exec or {0}.httpGet must be set if a {0} is specified",
            probe.path()
        )),
        1 => {}
        _ => causes.add(format!(
            "{} must have exactly one probe type set",
            probe.path()
        )),
    }
    for kind in ["httpGet", "tcpSocket"] {
        causes.add_if(probe.child(kind).is_set() && !pod_network, || {
            format!(
                "{}.{kind} is only allowed if the Pod Network is attached",
                probe.path()
            )
        });
    }
}

fn start_strategy(vmi: &Field<'_>, causes: &mut Causes) {
    let (strategy, liveness) = (vmi.child("startStrategy"), vmi.child("livenessProbe"));
    if !strategy.is_set() {
        return;
    }
    if strategy.text() != "Paused" {
        causes.add(format!(
            "{} is set with an unrecognized option: {}",
            strategy.path(),
            strategy.text()
        ));
    } else if liveness.is_set() {
        causes.add(format!(
            "either {} or {} should be provided.Pausing VMI with LivenessProbe is not supported",
            strategy.path(),
            liveness.path()
        ));
    }
}

fn launch_security(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let security = vmi.at("domain.launchSecurity");
    for (kind, gate) in [
        ("sev", "WorkloadEncryptionSEV"),
        ("tdx", "WorkloadEncryptionTDX"),
    ] {
        causes.add_if(security.child(kind).is_set() && !config.has(gate), || {
            format!("{gate} feature gate is not enabled in kubevirt-config")
        });
    }
}
