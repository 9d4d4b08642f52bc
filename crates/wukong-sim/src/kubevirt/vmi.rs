//! The instance: from its creation to its end.

use serde_json::json;

use super::draft::Draft;
use super::kubelet::State;
use super::object::{CONTROLLER_FINALIZER, TERMINATING, VIRT, is_deleting, is_final, phase};
use super::volumes::{Readiness, readiness};
use super::{
    guest, hotplug, kubelet, launcher_pod, live_update, lost_node, migration, networks, pod,
};
use crate::change::{Change, Manager, Moment, Step};
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::reality;
use crate::scenario::Scenario;
use crate::world::World;

const NOT_RUNNING: &str = "Guest VM is not reported as running";
/// The reason of the condition `Synchronized` when virt-handler cannot bring a guest up.
const UNSYNCED: &str = "Synchronizing with the Domain failed.";
const NOT_READY: &str = "Not all of the VMI's DVs are ready";
const HANDLER: Manager = Manager::VirtHandler;
/// Paces between two attempts to make a pod that the API server refuses.
const RETRY: u32 = 20;
/// Paces that a guest takes to shut down, unless the scenario says more.
const SHUTDOWN: u32 = 2;

pub fn next(world: &World, vm: Option<&Field<'_>>, vmi: &Field<'_>, moment: &Moment) -> Step {
    let scenario = Scenario::of(world, vm.unwrap_or(vmi));
    if is_deleting(vmi) {
        return tear_down(world, vmi, &scenario, moment);
    }
    if is_final(vmi) {
        // The pod stays as long as its instance.
        return launcher_pod::launcher(world, vmi).map_or_else(Step::quiet, |pod| {
            let mut draft = Draft::of(vmi, moment);
            draft.condition("Ready", "False", "PodTerminating", TERMINATING);
            let over = kubelet::finish(world, &pod, phase(vmi), moment);
            Step::of(draft.change(VIRT).into_iter().chain(over))
        });
    }
    if !phase(vmi).is_empty()
        && let Some(vm) = vm
    {
        let updates = live_update::changes(world, vm, vmi);
        if !updates.is_empty() {
            return Step::of(updates);
        }
    }
    match phase(vmi) {
        "" => created(vmi, moment),
        "Pending" => pending(world, vmi, &scenario, moment),
        "Scheduling" => scheduling(world, vmi, &scenario, moment),
        "Scheduled" => scheduled(world, vmi, &scenario, moment),
        _ => running(world, vmi, &scenario, moment),
    }
}

fn created(vmi: &Field<'_>, moment: &Moment) -> Step {
    let mut draft = Draft::of(vmi, moment);
    draft.phase("Pending");
    draft.condition(
        "Ready",
        "False",
        "PodNotExists",
        "virt-launcher pod has not yet been scheduled",
    );
    let domain = vmi.at("spec.domain");
    let guest = domain.at("memory.guest").value();
    if !guest.is_null() {
        put(
            &mut draft.status,
            ["memory"],
            json!({"guestAtBoot": guest, "guestCurrent": guest, "guestRequested": guest}),
        );
    }
    let topology = domain.child("cpu");
    let part = |key: &str| json!(topology.child(key).integer().max(1));
    put(
        &mut draft.status,
        ["currentCPUTopology"],
        json!({"sockets": part("sockets"), "cores": part("cores"), "threads": part("threads")}),
    );
    Step::of(draft.change(VIRT))
}

/// Before the launcher pod: the claims must exist, and their DataVolumes be done or wait for a consumer.
fn pending(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let namespace = vmi.at("metadata.namespace").text();
    let mut draft = Draft::of(vmi, moment);
    let readiness = readiness(world, namespace, &vmi.child("spec"));
    if let Readiness::Missing(claim) = &readiness {
        let message = format!("PVC {namespace}/{claim} does not exist, waiting for it to appear");
        draft.condition("Synchronized", "False", "FailedPvcNotFound", &message);
        // KubeVirt reports this although no scheduler has seen a pod, and removes it only when there is one.
        draft.condition("PodScheduled", "False", "Unschedulable", &message);
        return Step::of(draft.change(VIRT));
    }
    let refusal = moment
        .refusal
        .as_ref()
        .filter(|refusal| refusal.kind == Kind::Pod);
    let unregistered = networks::unregistered(world, vmi).map(|binding| {
        format!("failed to render launch manifest: couldn't find configuration for network binding: {binding}")
    });
    let refused =
        refusal.map(|refusal| format!("failed to create virtual machine pod: {}", refusal.message));
    if let Some(why) = unregistered.as_ref().or(refused.as_ref()) {
        draft.condition("Synchronized", "False", "FailedCreate", why);
    } else {
        draft.conditions.remove("Synchronized");
    }
    match readiness {
        Readiness::Failed => {
            draft.condition("DataVolumesReady", "False", "NotAllDVsReady", NOT_READY);
            draft.phase("Failed");
            Step::of(draft.change(VIRT))
        }
        Readiness::Busy => {
            draft.conditions.remove("Provisioning");
            draft.condition("DataVolumesReady", "False", "NotAllDVsReady", NOT_READY);
            let leftover =
                launcher_pod::provisioner(world, vmi).map(|pod| Change::delete(Kind::Pod, &pod));
            Step::of(draft.change(VIRT).into_iter().chain(leftover))
        }
        Readiness::NeedsConsumer => {
            draft.condition("Provisioning", "True", "", "");
            draft.condition("DataVolumesReady", "False", "NotAllDVsReady", NOT_READY);
            let report = draft.change(VIRT);
            match launcher_pod::provisioner(world, vmi) {
                None => Step::of(
                    report
                        .into_iter()
                        .chain([launcher_pod::create_provisioner(world, vmi)]),
                ),
                Some(pod) => {
                    let mut step = match kubelet::state(&pod) {
                        State::Running => pod::finish_provisioner(world, vmi, &pod),
                        _ => pod::advance(world, vmi, &pod, scenario, moment),
                    };
                    step.changes.extend(report);
                    step
                }
            }
        }
        Readiness::Ready | Readiness::Missing(_) => {
            if let Some(pod) = launcher_pod::provisioner(world, vmi) {
                return Step::of([Change::delete(Kind::Pod, &pod)]);
            }
            draft.conditions.remove("Provisioning");
            let has_data_volumes = vmi
                .at("spec.volumes")
                .items()
                .any(|volume| volume.child("dataVolume").is_set());
            if has_data_volumes {
                draft.condition(
                    "DataVolumesReady",
                    "True",
                    "AllDVsReady",
                    "All of the VMI's DVs are bound and ready",
                );
            }
            if launcher_pod::launcher(world, vmi).is_none() {
                let report = draft.change(VIRT);
                let event = refusal.map(|refusal| {
                    let message = format!("Error creating pod: {}", refusal.message);
                    Change::warning(VIRT, Kind::Vmi, vmi, "FailedCreate", message)
                });
                let report = report.into_iter().chain(event);
                if unregistered.is_some() || (refusal.is_some() && moment.waited < RETRY) {
                    return Step::of(report).or_wait(RETRY - moment.waited % RETRY);
                }
                return Step::of(report.chain([launcher_pod::create_launcher(world, vmi)]));
            }
            draft.phase("Scheduling");
            draft.condition("Ready", "False", "GuestNotRunning", NOT_RUNNING);
            draft.conditions.remove("PodScheduled");
            draft.conditions.remove("Synchronized");
            Step::of(draft.change(VIRT))
        }
    }
}

/// The launcher pod exists. The instance repeats the messages of scheduler and kubelet.
fn scheduling(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let Some(pod) = launcher_pod::launcher(world, vmi) else {
        let mut draft = Draft::of(vmi, moment);
        draft.phase("Failed");
        return Step::of(draft.change(VIRT));
    };
    let mut draft = Draft::of(vmi, moment);
    let pod_scheduled = pod
        .at("status.conditions")
        .items()
        .find(|item| item.child("type").text() == "PodScheduled");
    match pod_scheduled.filter(|condition| condition.child("status").text() == "False") {
        Some(condition) if kubelet::state(&pod) == State::Unscheduled => {
            draft.conditions.take_over(condition.value())
        }
        _ => draft.conditions.remove("PodScheduled"),
    }
    match kubelet::state(&pod) {
        State::Pulling(reason, message) => {
            draft.condition("Synchronized", "False", &reason, &message)
        }
        State::Running => {
            draft.conditions.remove("Synchronized");
            draft.phase("Scheduled");
            put(
                &mut draft.status,
                ["nodeName"],
                pod.at("spec.nodeName").value().clone(),
            );
            put(
                &mut draft.status,
                ["activePods"],
                json!({pod.at("metadata.uid").text(): pod.at("spec.nodeName").text()}),
            );
        }
        _ => draft.conditions.remove("Synchronized"),
    }
    let report = draft.change(VIRT);
    let mut step = pod::advance(world, vmi, &pod, scenario, moment);
    step.changes.extend(report);
    step
}

/// virt-handler starts the domain.
fn scheduled(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let mut draft = Draft::of(vmi, moment);
    // A guest that dies before it ever ran counts as a start failure.
    if scenario.has("guest-crash") && scenario.value("guest-crash") != Some("running") {
        draft.phase("Failed");
        return Step::of(
            draft
                .change(HANDLER)
                .into_iter()
                .chain([guest::crashed(vmi)]),
        );
    }
    if scenario.has("network-setup") {
        let words = "failed to configure vmi network: setup failed, err: Critical network error: LinkAdd: operation \
                     not supported";
        draft.phase("Failed");
        let report = Change::warning(HANDLER, Kind::Vmi, vmi, "SyncFailed", words);
        return Step::of(
            draft
                .change(HANDLER)
                .into_iter()
                .chain([report, guest::crashed(vmi)]),
        );
    }
    if let Some(disk) = hotplug::locked(world, vmi, scenario.has("write-lock")) {
        if draft.conditions.reason("Synchronized") == UNSYNCED {
            return Step::wait(RETRY);
        }
        let words = write_lock(&disk, &moment.now);
        guest::booting(world, &mut draft, vmi, scenario);
        draft.condition("Synchronized", "False", UNSYNCED, &words);
        let report = Change::warning(HANDLER, Kind::Vmi, vmi, "SyncFailed", words);
        return Step::of(draft.change(HANDLER).into_iter().chain([report]));
    }
    if scenario.has("no-user-data") {
        // What virt-launcher answers to virt-handler about a Secret without the keys that it looks for.
        draft.condition(
            "Synchronized",
            "False",
            UNSYNCED,
            "server error. command SyncVMI failed: \"ReadCloudInitVolumeDataSource failed: no cloud-init data-source found \
             at volume: cloudinit\"",
        );
        return Step::of(draft.change(Manager::VirtHandler));
    }
    draft.conditions.remove("Synchronized");
    if world.reality.is_some() {
        match world.guest(vmi).map(|guest| &guest.state) {
            Some(reality::State::Running) => {}
            Some(reality::State::Ended { reason, .. }) => {
                draft.phase("Failed");
                draft.condition("Synchronized", "False", UNSYNCED, reason);
                return Step::of(draft.change(Manager::VirtHandler));
            }
            Some(reality::State::Starting) | None => return Step::quiet(),
        }
    }
    draft.phase("Running");
    draft.condition("Ready", "True", "", "");
    guest::booting(world, &mut draft, vmi, scenario);
    guest::started(world, &mut draft, vmi);
    Step::of(draft.change(Manager::VirtHandler))
}

/// QEMU's error for a disk with an image that another process has locked, as it comes through libvirt and virt-launcher.
fn write_lock(disk: &str, now: &str) -> String {
    const WORDS: &str = r#"server error. command SyncVMI failed: "LibvirtError(Code=1, Domain=10, Message='internal error: process exited while connecting to monitor: {now} qemu-system-x86_64: -device {\"driver\":\"virtio-blk-pci-non-transitional\",\"bus\":\"pci.7\",\"addr\":\"0x0\",\"drive\":\"libvirt-2-storage\",\"id\":\"ua-{disk}\",\"bootindex\":1,\"write-cache\":\"on\",\"serial\":\"{disk}\",\"werror\":\"stop\",\"rerror\":\"stop\"}: Failed to get \"write\" lock\nIs another process using the image [/var/run/kubevirt-private/vmi-disks/{disk}/disk.img]?')""#;
    WORDS.replace("{disk}", disk).replace("{now}", now)
}

fn running(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    if let Some(end) = guest::end(world, vmi, scenario, moment) {
        return end;
    }
    let Some(pod) = launcher_pod::launcher(world, vmi) else {
        let mut draft = Draft::of(vmi, moment);
        draft.phase("Failed");
        put(&mut draft.status, ["reason"], json!("PodNotExists"));
        return Step::of(draft.change(VIRT));
    };
    if let Some(step) = lost_node::step(world, vmi, &pod, moment) {
        return step;
    }
    let moved = migration::next(world, vmi, moment);
    if !moved.changes.is_empty() {
        return moved;
    }
    guest::next(world, vmi, scenario, moment)
}

/// The guest shuts down, its pod goes, then the finalizers.
fn tear_down(world: &World, vmi: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let pods: Vec<_> = [
        launcher_pod::launcher(world, vmi),
        launcher_pod::provisioner(world, vmi),
    ]
    .into_iter()
    .flatten()
    .collect();
    let alive = ["Running", "Scheduled"].contains(&phase(vmi));
    if alive {
        // A real guest is asked to shut down, and takes its time.
        let ended = |guest: &reality::Guest| matches!(guest.state, reality::State::Ended { .. });
        if world.guest(vmi).is_some_and(|guest| !ended(guest)) {
            return Step::quiet();
        }
        let paces = scenario.number("slow-shutdown", 50).unwrap_or(SHUTDOWN);
        if moment.waited < paces {
            return Step::wait(paces - moment.waited);
        }
        let mut draft = Draft::of(vmi, moment);
        draft.phase("Succeeded");
        draft.condition("Ready", "False", "PodTerminating", TERMINATING);
        return Step::of(draft.change(Manager::VirtHandler));
    }
    if !pods.is_empty() {
        let mut draft = Draft::of(vmi, moment);
        draft.condition("Ready", "False", "PodTerminating", TERMINATING);
        let going = pods.iter().filter_map(pod::remove);
        return Step::of(draft.change(VIRT).into_iter().chain(going));
    }
    let held: Vec<&str> = vmi
        .at("metadata.finalizers")
        .items()
        .map(|item| item.text())
        .collect();
    let left: Vec<&str> = match held.as_slice() {
        [] => return Step::quiet(),
        // virt-handler's goes before virt-controller's.
        list if list.contains(&super::object::FOREGROUND_FINALIZER) => list
            .iter()
            .copied()
            .filter(|item| *item != super::object::FOREGROUND_FINALIZER)
            .collect(),
        list if list.contains(&CONTROLLER_FINALIZER) => list
            .iter()
            .copied()
            .filter(|item| *item != CONTROLLER_FINALIZER)
            .collect(),
        _ => return Step::quiet(),
    };
    let patch = json!({"metadata": {"finalizers": left}});
    Step::of([Change::merge(VIRT, Kind::Vmi, vmi, patch)])
}
