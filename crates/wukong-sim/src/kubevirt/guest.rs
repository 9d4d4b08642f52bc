//! The guest as it shows from outside: interfaces, agent, migratability, and how it ends.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::draft::Draft;
use super::settings::Settings;
use super::{arrival, hotplug, launcher_pod, networks};
use crate::change::{Change, Manager, Moment, Step, pick};
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::reality::State;
use crate::scenario::Scenario;
use crate::world::World;

const HANDLER: Manager = Manager::VirtHandler;
/// Paces until the guest agent connects; until a guest that shall end does so.
const AGENT: u32 = 2;
const LATE_AGENT: u32 = 50;
const LIFE: u32 = 2;
/// Secondary networks without static addresses get one from a simulated DHCP server.
const DHCP: [u8; 2] = [192, 168];

/// What virt-handler reports while it brings the domain up.
pub fn booting(world: &World, draft: &mut Draft<'_>, vmi: &Field<'_>, scenario: &Scenario) {
    migratable(world, draft, vmi, scenario);
    put(
        &mut draft.status,
        ["interfaces"],
        json!(interfaces(world, vmi, false, &|_| true)),
    );
    put(&mut draft.status, ["migrationTransport"], json!("Unix"));
    put(
        &mut draft.status,
        ["volumeStatus"],
        json!(hotplug::ordinary(world, vmi, false)),
    );
}

/// What virt-handler reports when the domain runs.
pub fn started(world: &World, draft: &mut Draft<'_>, vmi: &Field<'_>) {
    if vmi.at("spec.startStrategy").text() == "Paused" {
        set_paused(draft, Some("PausedByUser"));
    }
    put(
        &mut draft.status,
        ["machine"],
        json!({"type": vmi.at("spec.domain.machine.type").text()}),
    );
    put(&mut draft.status, ["qosClass"], json!("Burstable"));
    put(
        &mut draft.status,
        ["launcherContainerImageVersion"],
        json!(launcher_pod::IMAGE),
    );
    put(
        &mut draft.status,
        ["volumeStatus"],
        json!(hotplug::ordinary(world, vmi, true)),
    );
}

/// Marks a guest as paused for a reason, or as running. The pod of a paused guest is not ready.
fn set_paused(draft: &mut Draft<'_>, reason: Option<&str>) {
    if let Some(reason) = reason {
        draft.condition("Paused", "True", reason, "VMI was paused by user");
        let gate = format!(
            "the status of pod readiness gate \"{}\" is not \"True\", but False",
            launcher_pod::UNPAUSED
        );
        draft.condition("Ready", "False", "ReadinessGatesNotReady", &gate);
    } else {
        draft.conditions.remove("Paused");
        draft.condition("Ready", "True", "", "");
    }
}

/// virt-handler's event about a guest that ended without being asked to.
pub fn crashed(vmi: &Field<'_>) -> Change {
    Change::warning(
        HANDLER,
        Kind::Vmi,
        vmi,
        "Stopped",
        "The VirtualMachineInstance crashed.",
    )
}

fn migratable(world: &World, draft: &mut Draft<'_>, vmi: &Field<'_>, scenario: &Scenario) {
    let namespace = vmi.at("metadata.namespace").text();
    let spec = vmi.child("spec");
    let claims = super::volumes::claims(world, namespace, &spec);
    let unshared = claims.iter().find(|claim| {
        !claim
            .at("spec.accessModes")
            .items()
            .any(|mode| mode.text() == "ReadWriteMany")
    });
    let pods: Vec<&str> = spec
        .child("networks")
        .items()
        .filter(|network| network.child("pod").is_set())
        .map(|network| network.name())
        .collect();
    let bridged = spec
        .at("domain.devices.interfaces")
        .items()
        .any(|nic| nic.child("bridge").is_set() && pods.contains(&nic.name()));
    if let Some(claim) = unshared {
        let message = format!(
            "cannot migrate VMI: PVC {} is not shared, live migration requires that all PVCs must be shared (using \
             ReadWriteMany access mode)",
            claim.child("metadata").name()
        );
        draft.condition(
            "LiveMigratable",
            "False",
            "DisksNotLiveMigratable",
            &message,
        );
    } else if bridged {
        let message = "cannot migrate VMI which does not use masquerade, bridge with \
                       kubevirt.io/allow-pod-bridge-network-live-migration VM annotation or a migratable plugin to \
                       connect to the pod network";
        draft.condition(
            "LiveMigratable",
            "False",
            "InterfaceNotLiveMigratable",
            message,
        );
    } else if scenario.has("non-migratable") {
        let message = "VMI uses a PCI host devices";
        draft.condition(
            "LiveMigratable",
            "False",
            "HostDeviceNotLiveMigratable",
            message,
        );
    } else {
        draft.condition("LiveMigratable", "True", "", "");
    }
    draft.condition("StorageLiveMigratable", "True", "", "");
    put(
        &mut draft.status,
        ["migrationMethod"],
        json!("BlockMigration"),
    );
    if unshared.is_none() {
        put(
            &mut draft.status,
            ["migrationMethod"],
            json!("LiveMigration"),
        );
    }
}

/// How a running guest ends by itself, when it shall.
pub fn end(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Option<Step> {
    let (phase, reason) = if let Some(guest) = world.guest(vmi) {
        match &guest.state {
            State::Ended { phase, reason } => (*phase, reason.as_str()),
            State::Starting | State::Running => return None,
        }
    } else if scenario.value("guest-crash") == Some("running") {
        ("Failed", "")
    } else if scenario.has("guest-shutdown") {
        ("Succeeded", "")
    } else if scenario.has("node-lost") {
        ("Failed", "NodeUnresponsive")
    } else {
        return None;
    };
    if moment.waited < LIFE {
        return Some(Step::wait(LIFE - moment.waited));
    }
    let mut draft = Draft::of(vmi, moment);
    draft.phase(phase);
    if !reason.is_empty() {
        put(&mut draft.status, ["reason"], json!(reason));
    }
    draft.conditions.remove("AgentConnected");
    let crashed = (phase == "Failed" && reason.is_empty()).then(|| crashed(vmi));
    Some(Step::of(draft.change(HANDLER).into_iter().chain(crashed)))
}

/// A running guest: pausing, the agent, what it reports, hot-plugged CPUs and memory.
pub fn next(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let mut draft = Draft::of(vmi, moment);
    let paused_here = draft.conditions.reason("Paused") == "PausedByScenario";
    if scenario.has("pause") && draft.conditions.status("Paused").is_empty() {
        set_paused(&mut draft, Some("PausedByScenario"));
    } else if !scenario.has("pause") && paused_here {
        set_paused(&mut draft, None);
    }
    migratable(world, &mut draft, vmi, scenario);
    let moves =
        Settings::of(world).live_migrates && draft.conditions.status("LiveMigratable") == "True";
    let mut again = if moves {
        arrival::arrive(&mut draft, vmi);
        None
    } else {
        arrival::pend(&mut draft, vmi, moment)
    };
    let known = |name: &str| {
        moves
            || vmi
                .at("status.interfaces")
                .items()
                .any(|known| known.name() == name)
    };
    let real = world.guest(vmi);
    let delay = if scenario.has("agent-never") || real.is_some_and(|guest| guest.agent.is_none()) {
        None
    } else {
        Some(scenario.number("agent-late", LATE_AGENT).unwrap_or(AGENT))
    };
    let connected = draft.conditions.status("AgentConnected") == "True";
    match delay {
        None => {
            draft.conditions.remove("AgentConnected");
            draft.conditions.remove("AgentVersionNotSupported");
        }
        Some(delay) if real.is_none() && !connected && moment.waited < delay => {
            again = again.into_iter().chain([delay - moment.waited]).min();
        }
        Some(_) => {
            draft.condition("AgentConnected", "True", "", "");
            if scenario.has("agent-old") {
                let message = "Guest agent does not support required commands";
                draft.condition("AgentVersionNotSupported", "True", "", message);
            } else {
                draft.conditions.remove("AgentVersionNotSupported");
            }
        }
    }
    let agent_responds = draft.conditions.status("AgentConnected") == "True";
    put(
        &mut draft.status,
        ["interfaces"],
        json!(interfaces(world, vmi, agent_responds, &known)),
    );
    put(
        &mut draft.status,
        ["guestOSInfo"],
        if let Some(report) = real.and_then(|guest| guest.agent.as_ref()) {
            report.system.clone()
        } else if agent_responds {
            json!({"id": "ubuntu", "name": "Ubuntu", "prettyName": "Ubuntu 24.04 LTS", "version": "24.04",
            "kernelRelease": "6.8.0-31-generic", "machine": "x86_64"})
        } else {
            json!({})
        },
    );
    let mut step = hotplug::step(world, vmi, &mut draft, moment);
    step.changes.splice(..0, draft.change(HANDLER));
    step.again = again.into_iter().chain(step.again).min();
    step
}

/// All network cards of the spec are in the guest, after a migration.
pub fn plug_nics(world: &World, draft: &mut Draft<'_>, vmi: &Field<'_>) {
    let agent = draft.conditions.status("AgentConnected") == "True";
    let all = interfaces(world, vmi, agent, &|_| true);
    put(&mut draft.status, ["interfaces"], json!(all));
}

/// The interfaces as status shows them. Addresses of secondary networks are known from the guest agent only.
fn interfaces(
    world: &World,
    vmi: &Field<'_>,
    agent: bool,
    known: &dyn Fn(&str) -> bool,
) -> Vec<Value> {
    let spec = vmi.child("spec");
    let pod_address = launcher_pod::launcher(world, vmi).map_or(String::new(), |pod| {
        pod.at("status.podIP").text().to_owned()
    });
    let network_data = network_data(world, vmi);
    let real = world.guest(vmi);
    let report = real.and_then(|guest| guest.agent.as_ref());
    spec.at("domain.devices.interfaces")
        .items()
        .filter(|nic| nic.child("state").text() != "absent" && known(nic.name()))
        .enumerate()
        .map(|(index, nic)| {
            let name = nic.name();
            let mac = match nic.child("macAddress").text() {
                "" => generated_mac(vmi, name),
                mac => mac.to_ascii_lowercase().replace('-', ":"),
            };
            let network = spec.child("networks").items().find(|network| network.name() == name);
            let seen = report.and_then(|report| report.interfaces.iter().find(|seen| seen.mac == mac));
            let on_pod = network.is_some_and(|network| network.child("pod").is_set());
            let down = nic.child("state").text() == "down";
            let addresses = if on_pod {
                vec![pod_address.clone()]
            } else if real.is_some() {
                seen.map_or_else(Vec::new, |seen| seen.addresses.clone())
            } else if agent && !down {
                let configured = configured_addresses(vmi, name);
                let fixed = static_addresses(&network_data, &mac);
                if !configured.is_empty() {
                    configured
                } else if fixed.is_empty() {
                    vec![leased(vmi, name)]
                } else {
                    fixed
                }
            } else {
                Vec::new()
            };
            let source = match (agent, on_pod) {
                (true, true) => "domain, guest-agent",
                (true, false) => "domain, guest-agent, multus-status",
                (false, true) => "domain",
                (false, false) => "domain, multus-status",
            };
            let mut entry = json!({
                "name": name, "mac": mac, "infoSource": source, "queueCount": 1,
                "linkState": if down { "down" } else { "up" },
                "podInterfaceName": if on_pod { "eth0".to_owned() } else { networks::pod_interface(name) },
            });
            if let Some(seen) = seen {
                put(&mut entry, ["interfaceName"], json!(seen.name));
            } else if agent && real.is_none() {
                put(&mut entry, ["interfaceName"], json!(format!("enp{}s0", index + 1)));
            }
            if let Some(first) = addresses.first().filter(|first| !first.is_empty()) {
                put(&mut entry, ["ipAddress"], json!(first));
                put(&mut entry, ["ipAddresses"], json!(addresses));
            }
            entry
        })
        .collect()
}

fn generated_mac(vmi: &Field<'_>, network: &str) -> String {
    let [a, b, c, d] = pick(
        &format!("{}{network}", vmi.at("metadata.uid").text()),
        u32::MAX,
    )
    .to_be_bytes();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The addresses that the guest has reported of a network. cloud-init does not change them while the guest runs.
fn configured_addresses(vmi: &Field<'_>, network: &str) -> Vec<String> {
    let interfaces = vmi.at("status.interfaces");
    let known = interfaces.items().find(|known| known.name() == network);
    known.map_or_else(Vec::new, |known| {
        let addresses = known.child("ipAddresses");
        addresses
            .items()
            .map(|item| item.text().to_owned())
            .collect()
    })
}

fn leased(vmi: &Field<'_>, network: &str) -> String {
    let identity = format!("{}/{network}", vmi.at("metadata.uid").text());
    let [a, b] = DHCP;
    format!(
        "{a}.{b}.{}.{}",
        pick(network, 250),
        pick(&identity, 250) + 2
    )
}

/// The network data of the cloud-init volume, inline or out of its Secret.
fn network_data(world: &World, vmi: &Field<'_>) -> Value {
    let namespace = vmi.at("metadata.namespace").text();
    let decode = |text: &str| {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let text = vmi.at("spec.volumes").items().find_map(|volume| {
        let source = volume.child("cloudInitNoCloud");
        let secret = world.get(
            Kind::Secret,
            namespace,
            source.child("networkDataSecretRef").name(),
        );
        let stored = secret.and_then(|secret| {
            ["networkdata", "networkData"]
                .iter()
                .find_map(|key| decode(secret.child("data").child(key).text()))
        });
        let inline = source.child("networkData").text();
        stored
            .or_else(|| {
                decode(source.child("networkDataBase64").text()).filter(|text| !text.is_empty())
            })
            .or_else(|| (!inline.is_empty()).then(|| inline.to_owned()))
    });
    text.and_then(|text| serde_saphyr::from_str(&text).ok())
        .unwrap_or_default()
}

/// The addresses that version 2 network data gives to the NIC with this MAC, without their prefixes.
fn static_addresses(network_data: &Value, mac: &str) -> Vec<String> {
    let data = Field::new("", network_data);
    // Both `ethernets:` and, as instance data has it, `network: {ethernets:}`.
    let nested = data.at("network.ethernets");
    let ethernets = if nested.is_set() {
        nested
    } else {
        data.child("ethernets")
    };
    ethernets
        .entries()
        .map(|(_, nic)| Field::new("", nic))
        .filter(|nic| nic.at("match.macaddress").text().eq_ignore_ascii_case(mac))
        .flat_map(|nic| {
            nic.child("addresses")
                .items()
                .map(|address| address.text().to_owned())
                .collect::<Vec<_>>()
        })
        .filter_map(|address| {
            address
                .split('/')
                .next()
                .and_then(|ip| ip.parse::<IpAddr>().ok())
        })
        .map(|ip| ip.to_string())
        .collect()
}

/// The merge patch that marks a running guest as paused or not, if it is not so already.
pub fn pause(vmi: &Field<'_>, paused: bool, now: &str) -> Option<Value> {
    let moment = Moment {
        now: now.to_owned(),
        ..Moment::default()
    };
    let mut draft = Draft::of(vmi, &moment);
    set_paused(&mut draft, paused.then_some("PausedByUser"));
    match draft.change(HANDLER)? {
        Change::Merge { patch, .. } => Some(patch),
        _ => None,
    }
}
