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
        return Err(format!(
            "{written} is {written} bytes; did you mean {written}Gi?"
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

/// What to write instead of a text that is no quantity.
fn advice(written: &str) -> String {
    let digits = written.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = written.get(digits.len()..).unwrap_or_default();
    let better = match suffix {
        "K" => "k (1000) or Ki (1024)",
        "KB" | "KiB" | "kb" | "KI" | "ki" => "Ki",
        "m" | "mi" | "MB" | "MiB" | "mb" | "MI" => "Mi",
        "g" | "gi" | "GB" | "GiB" | "gb" | "GI" => "Gi",
        "t" | "ti" | "TB" | "TiB" | "tb" | "TI" => "Ti",
        _ if written.starts_with('-') => return "is negative: write a size such as 4Gi".into(),
        _ => return "is not a quantity: write a size such as 4Gi, 512Mi or 20G".into(),
    };
    format!("is not a quantity: {suffix} is not a suffix that Kubernetes knows, write {better}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(written: &str) -> String {
        size(&written.into(), MEMORY_MIN, MEMORY_MAX).unwrap_err()
    }

    #[test]
    fn says_what_to_write_instead() {
        assert_eq!(error("4"), "4 is 4 bytes; did you mean 4Gi?");
        assert_eq!(
            error("4K"),
            "\"4K\" is not a quantity: K is not a suffix that Kubernetes knows, write k (1000) or Ki (1024)"
        );
        assert_eq!(
            error("1.5.2Gi"),
            "\"1.5.2Gi\" is not a quantity: write a size such as 4Gi, 512Mi or 20G"
        );
        assert_eq!(
            error("-1Gi"),
            "\"-1Gi\" is negative: write a size such as 4Gi"
        );
        assert_eq!(error("0"), "0 is less than the minimum of 64Mi");
        assert_eq!(error("1Mi"), "1Mi is less than the minimum of 64Mi");
        assert_eq!(error("1Ei"), "1Ei is more than the maximum of 64Ti");
    }
}
