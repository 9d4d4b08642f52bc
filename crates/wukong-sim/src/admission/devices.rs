//! Devices other than disks and network cards (`vmi-create-admitter.go`).

use super::config::ClusterConfig;
use super::verdict::Causes;
use crate::field::Field;

const IO_THREADS: [&str; 3] = ["shared", "auto", "supplementalPool"];
const PANIC_MODELS: [&str; 3] = ["hyperv", "isa", "pvpanic"];

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let devices = vmi.at("domain.devices");
    for input in devices.child("inputs").items() {
        causes.add_if(
            !["", "virtio", "usb"].contains(&input.child("bus").text()),
            || "Input device can have only virtio or usb bus.".into(),
        );
        causes.add_if(input.child("type").text() != "tablet", || {
            "Input device can have only tablet type.".into()
        });
    }
    let sound = devices.child("sound");
    if sound.is_set() {
        causes.add_if(
            !["", "ich9", "ac97"].contains(&sound.child("model").text()),
            || "Sound device type is not supported. Options: 'ich9' or 'ac97'".into(),
        );
        causes.add_if(sound.name().is_empty(), || {
            "Sound device requires a name field.".into()
        });
    }
    io_threads(&vmi.child("domain"), causes);
    filesystems(vmi, config, causes);
    gated(&devices, config, causes);
    let video = devices.child("video");
    causes.add_if(
        video.is_set() && devices.child("autoattachGraphicsDevice").flag() == Some(false),
        || {
            "Video configuration is not allowed when autoattachGraphicsDevice is set to false"
                .into()
        },
    );
    for panic in devices.child("panicDevices").items() {
        let model = panic.child("model");
        causes.add_if(
            model.is_set() && !PANIC_MODELS.contains(&model.text()),
            || format!("invalid PanicDeviceModel({})", model.text()),
        );
    }
    causes.add_if(displays_with_ramfb(&devices) > 1, || {
        "configuring multiple displays with ramfb is not valid ".into()
    });
}

fn io_threads(domain: &Field<'_>, causes: &mut Causes) {
    let policy = domain.child("ioThreadsPolicy");
    causes.add_if(
        policy.is_set() && !IO_THREADS.contains(&policy.text()),
        || format!("Invalid IOThreadsPolicy ({})", policy.text()),
    );
    let threads = domain.at("ioThreads.supplementalPoolThreadCount").integer();
    causes.add_if(policy.text() == "supplementalPool" && threads < 1, || {
        "the number of iothreads needs to be set and positive for the dedicated policy".into()
    });
}

fn filesystems(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    for filesystem in vmi.at("domain.devices.filesystems").items() {
        let volume = vmi
            .child("volumes")
            .items()
            .find(|volume| volume.name() == filesystem.name());
        let storage = volume
            .is_some_and(|volume| volume.set_among(&["persistentVolumeClaim", "dataVolume"]) > 0);
        causes.add_if(
            storage && !config.has("EnableVirtioFsStorageVolumes"),
            || "virtiofs is not allowed: virtiofs feature gate is not enabled for PVC".into(),
        );
    }
}

fn gated(devices: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    for (used, gate) in [
        (devices.child("hostDevices").is_set(), "HostDevices"),
        (devices.child("autoattachVSOCK").is_true(), "VSOCK"),
        (devices.child("downwardMetrics").is_set(), "DownwardMetrics"),
        (devices.child("video").is_set(), "VideoConfig"),
        (devices.child("panicDevices").count() > 0, "PanicDevices"),
    ] {
        causes.add_if(used && !config.has(gate), || {
            format!("{gate} feature gate is not enabled in kubevirt-config")
        });
    }
}

fn displays_with_ramfb(devices: &Field<'_>) -> usize {
    let shown = |gpu: &Field<'_>| {
        let display = gpu.at("virtualGPUOptions.display");
        let ramfb = display.child("ramFB");
        display.is_set()
            && display.child("enabled").flag() != Some(false)
            && (!ramfb.is_set() || ramfb.child("enabled").is_true())
    };
    devices.child("gpus").items().filter(shown).count()
}
