//! CPUs and memory.

use super::{Problems, text};
use crate::Bytes;
use crate::spec::{Quantity, WukongSpec};

/// Least guest memory: KubeVirt itself has no bound, and a Linux kernel does not start with less.
const MEMORY_MIN: Bytes = Bytes(64 << 20);
/// Most guest memory.
const MEMORY_MAX: Bytes = Bytes(64 << 40);

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

/// The unit that somebody had in mind who wrote a number without one.
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
