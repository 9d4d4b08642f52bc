//! CPUs, memory and the rest of the machine.

use super::problem::Problems;
use super::text;
use crate::Bytes;
use crate::spec::{Architecture, Firmware, HugepageSize, Quantity, Tpm, WukongSpec};
use crate::validated::Machine;

/// Least guest memory: KubeVirt itself has no bound, and a Linux kernel does not start with less.
const MEMORY_MIN: Bytes = Bytes(64 << 20);
/// Most guest memory.
const MEMORY_MAX: Bytes = Bytes(64 << 40);

/// CPU model that shows the guest the CPU of its node.
const HOST_PASSTHROUGH: &str = "host-passthrough";

pub(super) fn check(spec: &WukongSpec, problems: &mut Problems) -> (u32, Bytes) {
    if !(1..=512).contains(&spec.cpu) {
        problems.add("spec.cpu", format!("{} is not between 1 and 512", spec.cpu));
    }
    if let Some(seconds) = spec.termination_grace_period_seconds
        && !(0..=86400).contains(&seconds)
    {
        problems.add(
            "spec.terminationGracePeriodSeconds",
            format!("{seconds} is not between 0 and 86400 seconds"),
        );
    }
    let memory = problems.check("spec.memory", size(&spec.memory, MEMORY_MIN, MEMORY_MAX));
    (spec.cpu, memory.unwrap_or_default())
}

/// Checks what the architecture allows: the rules of KubeVirt's admission webhook for each.
pub(super) fn machine(spec: &WukongSpec, memory: Bytes, problems: &mut Problems) -> Machine {
    if let Some(model) = &spec.cpu_model {
        problems.check("spec.cpuModel", cpu_model(model));
    }
    match (spec.architecture, spec.firmware) {
        (Some(Architecture::Arm64), Some(Firmware::Bios | Firmware::UefiSecureBoot)) => problems
            .add(
                "spec.firmware",
                "architecture: arm64 boots with UEFI without secure boot only: write UEFI, or drop firmware",
            ),
        (Some(Architecture::S390x), Some(_)) => problems.add(
            "spec.firmware",
            "architecture: s390x has neither BIOS nor UEFI: drop firmware",
        ),
        _ => {}
    }
    if spec.architecture == Some(Architecture::Arm64)
        && spec
            .cpu_model
            .as_ref()
            .is_some_and(|model| model != HOST_PASSTHROUGH)
    {
        problems.add(
            "spec.cpuModel",
            "architecture: arm64 takes host-passthrough only: write that, or drop cpuModel",
        );
    }
    if spec.architecture == Some(Architecture::S390x) && spec.tpm.is_some() {
        problems.add("spec.tpm", "architecture: s390x has no TPM: drop tpm");
    }
    if let Some(pages) = spec.hugepages {
        let (page, shown) = match pages {
            HugepageSize::Mi2 => (2 << 20, "2Mi"),
            HugepageSize::Gi1 => (1 << 30, "1Gi"),
        };
        if !memory.0.is_multiple_of(page) {
            problems.add(
                "spec.hugepages",
                format!("memory {memory} is not a multiple of {shown}"),
            );
        }
    }
    Machine {
        architecture: spec.architecture,
        cpu_model: spec.cpu_model.clone(),
        dedicated_cpu: spec.dedicated_cpu.unwrap_or(false),
        hugepages: spec.hugepages,
        tpm: spec.tpm.map(|tpm| Tpm {
            persistent: tpm.persistent.filter(|kept| *kept),
        }),
    }
}

/// A CPU model: it becomes part of the key of a node label.
fn cpu_model(model: &str) -> Result<(), String> {
    if !model.is_empty() && text::label_value(model).is_ok() {
        return Ok(());
    }
    Err(format!(
        "{} is not a CPU model such as host-model, host-passthrough or Skylake-Server",
        text::quoted(model)
    ))
}

/// Parses a size and holds it against its bounds.
pub(super) fn size(quantity: &Quantity, min: Bytes, max: Bytes) -> Result<Bytes, String> {
    let written = &quantity.0;
    let Some(bytes) = Bytes::parse(written) else {
        return Err(format!("{} {}", text::quoted(written), advice(written)));
    };
    let unitless = written.bytes().all(|byte| byte.is_ascii_digit());
    if bytes < min && unitless && bytes.0 > 0 {
        let unit = likely_unit(bytes);
        return Err(format!(
            "{written} is {written} bytes; did you mean {written}{unit}?"
        ));
    }
    if bytes < min {
        return Err(format!("{written} is less than the minimum of {min}"));
    }
    if bytes > max {
        return Err(format!("{written} is more than the maximum of {max}"));
    }
    Ok(bytes)
}

/// Likely unit of a number without one.
fn likely_unit(number: Bytes) -> &'static str {
    match number.0 {
        ..256 => "Gi",
        256..1_048_576 => "Mi",
        _ => "Ki",
    }
}

/// What to write instead of a text that is no quantity.
fn advice(written: &str) -> String {
    let digits = written.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = written.get(digits.len()..).unwrap_or_default();
    let better = match suffix {
        "K" => "k (1000) or Ki (1024)",
        "KB" | "KiB" | "Kb" | "kb" | "KI" | "ki" => "Ki",
        "mi" | "MB" | "MiB" | "Mb" | "mb" | "MI" => "Mi",
        "g" | "gi" | "GB" | "GiB" | "Gb" | "gb" | "GI" => "Gi",
        "t" | "ti" | "TB" | "TiB" | "Tb" | "tb" | "TI" => "Ti",
        "m" => return "counts thousandths of a byte: write Mi".into(),
        _ if written.starts_with('-') => return "is negative: write a size such as 4Gi".into(),
        _ => return "is not a quantity: write a size such as 4Gi, 512Mi or 20G".into(),
    };
    format!("is not a quantity: {suffix} is not a suffix that Kubernetes knows, write {better}")
}
