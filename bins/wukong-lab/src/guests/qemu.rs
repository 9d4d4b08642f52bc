//! QEMU's command line.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::accel::Accel;
use super::machine::{Device, Disk, Firmware, Machine, node};
use super::nic::{Network, Nic};

/// QEMU's cache of emulated code, in MiB. Its default takes more memory than the guest.
const CODE_CACHE: u32 = 128;
/// The controllers. QEMU gives the bus inside a USB disk the name `scsi.0`, so none may be called `scsi`.
pub(super) const SCSI: &str = "disks-scsi";
const USB: &str = "disks-usb";
const MIB: i64 = 1 << 20;
/// Free PCI ports for disks that are plugged in.
pub(super) const PORTS: usize = 4;

/// The name of a port.
pub(super) fn port(index: usize) -> String {
    format!("port{index}")
}

/// The paths of one guest.
#[derive(Clone, Debug)]
pub struct Places {
    pub qmp: PathBuf,
    pub agent: PathBuf,
    /// The log of the serial console, and its socket.
    pub console: PathBuf,
    pub terminal: PathBuf,
    /// Code and variables of UEFI.
    pub firmware: Option<(PathBuf, PathBuf)>,
    /// The image of each disk with its format, in their order.
    pub disks: Vec<(PathBuf, &'static str)>,
    /// The socket of each NIC's segment, in their order; none for the pod network.
    pub segments: Vec<Option<PathBuf>>,
    /// The port of this machine that leads to the guest's SSH server.
    pub ssh: u16,
}

/// The arguments for a machine.
pub fn arguments(machine: &Machine, accel: Accel, places: &Places) -> Vec<String> {
    let mut line = Line::default();
    line.add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    line.add(&["-name", &format!("{}/{}", machine.namespace, machine.name)]);
    platform(&mut line, machine, accel, places);
    line.add(&[
        "-qmp",
        &format!("unix:{},server=on,wait=off", comma(&places.qmp)),
    ]);
    line.add(&[
        "-chardev",
        &format!(
            "socket,id=console,path={},server=on,wait=off,logfile={}",
            comma(&places.terminal),
            comma(&places.console)
        ),
    ]);
    line.add(&["-serial", "chardev:console"]);
    line.add(&[
        "-chardev",
        &format!(
            "socket,id=agent,path={},server=on,wait=off",
            comma(&places.agent)
        ),
    ]);
    line.device(json!({"driver": "virtio-serial-pci"}));
    line.device(
        json!({"driver": "virtserialport", "id": "agent", "chardev": "agent", "name": "org.qemu.guest_agent.0"}),
    );
    line.device(json!({"driver": "virtio-rng-pci"}));
    for (index, nic) in machine.nics.iter().enumerate() {
        let segment = places.segments.get(index).and_then(Option::as_deref);
        interface(&mut line, index, nic, segment, places.ssh);
    }
    // As KubeVirt does, so that disks can be plugged in.
    line.device(json!({"driver": "virtio-scsi-pci", "id": SCSI}));
    for index in 0..PORTS {
        line.device(json!({"driver": "pcie-root-port", "id": port(index), "chassis": index + 1, "slot": index + 1}));
    }
    if machine.disks.iter().any(|disk| disk.bus == "usb") {
        line.device(json!({"driver": "qemu-xhci", "id": USB}));
    }
    let mut sata = 0;
    for (index, (disk, (image, format))) in machine.disks.iter().zip(&places.disks).enumerate() {
        add_disk(&mut line, index, disk, image, format, &mut sata);
    }
    if machine.paused {
        line.add(&["-S"]);
    }
    line.0
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn add(&mut self, arguments: &[&str]) {
        self.0
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    fn device(&mut self, device: Value) {
        self.add(&["-device", &device.to_string()]);
    }
}

/// A comma in a value is written twice.
fn comma(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn platform(line: &mut Line, machine: &Machine, accel: Accel, places: &Places) {
    let secure = machine.firmware == Firmware::Efi { secure: true };
    let mut kind = "q35".to_owned();
    if secure {
        kind += ",smm=on";
        line.add(&["-global", "driver=cfi.pflash01,property=secure,value=on"]);
    }
    if let Some((code, variables)) = &places.firmware {
        for (name, file, readonly) in [("code", code, true), ("variables", variables, false)] {
            let drive = json!({"driver": "raw", "node-name": name, "read-only": readonly,
                "file": {"driver": "file", "filename": file}});
            line.add(&["-blockdev", &drive.to_string()]);
        }
        kind += ",pflash0=code,pflash1=variables";
    }
    line.add(&["-machine", &kind]);
    match accel {
        Accel::Kvm => line.add(&["-accel", "kvm", "-cpu", "host"]),
        Accel::Tcg => line.add(&[
            "-accel",
            &format!("tcg,thread=multi,tb-size={CODE_CACHE}"),
            "-cpu",
            "max",
        ]),
    }
    let Machine {
        sockets,
        cores,
        threads,
        ..
    } = machine;
    line.add(&[
        "-smp",
        &format!("sockets={sockets},cores={cores},threads={threads}"),
    ]);
    line.add(&["-m", &format!("{}M", machine.memory / MIB)]);
    line.add(&["-uuid", &machine.uuid]);
    // A guest recognizes KubeVirt by its manufacturer.
    line.add(&[
        "-smbios",
        &format!(
            "type=1,manufacturer=KubeVirt,product=None,uuid={},serial={}",
            machine.uuid, machine.serial
        ),
    ]);
}

fn interface(line: &mut Line, index: usize, nic: &Nic, segment: Option<&Path>, ssh: u16) {
    let id = format!("nic{index}");
    let backend = match (&nic.network, segment) {
        (Network::Segment(_), Some(socket)) => {
            json!({"type": "stream", "id": id, "server": false, "addr": {"type": "unix", "path": socket}})
        }
        _ => json!({"type": "user", "id": id, "ipv6": false,
            "hostfwd": [{"str": format!("tcp:127.0.0.1:{ssh}-:22")}]}),
    };
    line.add(&["-netdev", &backend.to_string()]);
    let driver = match nic.model.as_str() {
        "" | "virtio" => "virtio-net-pci",
        model => model,
    };
    let mut device = json!({"driver": driver, "netdev": id, "mac": nic.mac, "romfile": ""});
    set(&mut device, "bootindex", nic.boot_order.map(Value::from));
    if driver == "virtio-net-pci" {
        set(&mut device, "host_mtu", nic.mtu.map(Value::from));
    }
    line.device(device);
}

fn add_disk(
    line: &mut Line,
    index: usize,
    disk: &Disk,
    image: &Path,
    format: &str,
    sata: &mut usize,
) {
    let id = node(index);
    line.add(&["-blockdev", &blockdev(&id, disk, image, format).to_string()]);
    let cdrom = disk.device == Device::Cdrom;
    let (driver, bus) = match (disk.bus.as_str(), cdrom) {
        ("virtio", _) => ("virtio-blk-pci", None),
        ("scsi", true) => ("scsi-cd", Some(format!("{SCSI}.0"))),
        ("scsi", false) => ("scsi-hd", Some(format!("{SCSI}.0"))),
        ("usb", _) => ("usb-storage", Some(format!("{USB}.0"))),
        (_, cdrom) => {
            let port = format!("ide.{sata}");
            *sata += 1;
            (if cdrom { "ide-cd" } else { "ide-hd" }, Some(port))
        }
    };
    let mut device = json!({"driver": driver, "drive": id});
    set(&mut device, "bus", bus.map(Value::from));
    set(&mut device, "bootindex", disk.boot_order.map(Value::from));
    let serial = (!disk.serial.is_empty()).then(|| json!(disk.serial));
    set(&mut device, "serial", serial);
    line.device(device);
}

/// The node of an image.
pub(super) fn blockdev(id: &str, disk: &Disk, image: &Path, format: &str) -> Value {
    let readonly = matches!(disk.device, Device::Cdrom | Device::Disk { readonly: true });
    let mut blockdev = json!({"driver": format, "node-name": id, "read-only": readonly,
        // Nothing of a lab survives this machine, so nothing waits until it is on its disk.
        "cache": {"no-flush": true},
        "file": {"driver": "file", "filename": image, "cache": {"no-flush": true}}});
    if !readonly {
        set(&mut blockdev, "discard", Some(json!("unmap")));
    }
    blockdev
}

/// Sets a field, if there is a value.
pub(super) fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(map), Some(value)) = (object.as_object_mut(), value) {
        Map::insert(map, key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::machine::Content;

    fn machine() -> Machine {
        let disk = |name: &str, bus: &str, boot_order| Disk {
            name: name.into(),
            device: Device::Disk { readonly: false },
            bus: bus.into(),
            serial: format!("serial-{name}"),
            boot_order,
            content: Content::Claim {
                uid: name.into(),
                bytes: 1 << 30,
            },
        };
        let nic = |mac: &str, network, mtu| Nic {
            mac: mac.into(),
            network,
            mtu,
            boot_order: None,
            model: String::new(),
        };
        Machine {
            namespace: "ns".into(),
            name: "vm".into(),
            uid: "uid".into(),
            sockets: 2,
            cores: 1,
            threads: 1,
            memory: 512 * MIB,
            firmware: Firmware::Efi { secure: false },
            uuid: "6a1a24a1-4061-4607-8bf4-a3963d0c5895".into(),
            serial: "S-1".into(),
            disks: vec![
                disk("root", "virtio", Some(1)),
                disk("data", "sata", None),
                disk("more", "scsi", None),
            ],
            nics: vec![
                nic("02:00:00:00:00:01", Network::Pod, None),
                nic(
                    "02:00:00:00:00:02",
                    Network::Segment("lan".into()),
                    Some(9000),
                ),
            ],
            plugged: Vec::new(),
            seed: None,
            paused: false,
        }
    }

    fn places() -> Places {
        Places {
            qmp: "/lab/a,b/qmp.sock".into(),
            agent: "/lab/agent.sock".into(),
            console: "/lab/console.log".into(),
            terminal: "/lab/console.sock".into(),
            firmware: Some(("/code.fd".into(), "/vars.fd".into())),
            disks: ["root", "data", "more"]
                .map(|name| (format!("/disks/{name}.qcow2").into(), "qcow2"))
                .into(),
            segments: vec![None, Some("/lab/segment-0.sock".into())],
            ssh: 2222,
        }
    }

    fn after<'a>(arguments: &'a [String], option: &str) -> Vec<&'a str> {
        arguments
            .iter()
            .zip(arguments.iter().skip(1))
            .filter(|(name, _)| *name == option)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    #[test]
    fn what_is_planned_is_what_qemu_is_asked_for() {
        let arguments = arguments(&machine(), Accel::Tcg, &places());
        assert_eq!(after(&arguments, "-smp"), ["sockets=2,cores=1,threads=1"]);
        assert_eq!(after(&arguments, "-m"), ["512M"]);
        assert_eq!(
            after(&arguments, "-machine"),
            ["q35,pflash0=code,pflash1=variables"]
        );
        assert_eq!(
            after(&arguments, "-qmp"),
            ["unix:/lab/a,,b/qmp.sock,server=on,wait=off"]
        );
        let devices: Vec<Value> = after(&arguments, "-device")
            .iter()
            .map(|device| serde_json::from_str(device).unwrap())
            .collect();
        let macs: Vec<_> = devices.iter().filter_map(|it| it["mac"].as_str()).collect();
        assert_eq!(macs, ["02:00:00:00:00:01", "02:00:00:00:00:02"]);
        let drives: Vec<_> = devices
            .iter()
            .filter(|it| it["drive"].is_string())
            .map(|it| {
                (
                    it["driver"].clone(),
                    it["serial"].clone(),
                    it["bootindex"].clone(),
                )
            })
            .collect();
        assert_eq!(
            drives,
            [
                (json!("virtio-blk-pci"), json!("serial-root"), json!(1)),
                (json!("ide-hd"), json!("serial-data"), Value::Null),
                (json!("scsi-hd"), json!("serial-more"), Value::Null),
            ]
        );
        assert!(devices.iter().any(|it| it["host_mtu"] == 9000));
    }
}
