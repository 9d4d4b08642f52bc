//! Byte counts, parsed from Kubernetes quantities and printed as them.

use std::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Serialize, Serializer};

/// The grammar of a non-negative quantity, as `k8s.io/apimachinery/pkg/api/resource` documents it. The sub-unit
/// suffixes `n`, `u` and `m` are left out: no byte count needs them. The bound on digits keeps the arithmetic exact.
static GRAMMAR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\+?([0-9]{1,19}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)|[eE]([+-]?[0-9]{1,2}))?$").ok()
});

/// The suffixes, and what they multiply with.
const UNITS: [(&str, u64); 12] = [
    ("Ei", 1 << 60),
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("E", 1_000_000_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1_000),
];

/// A number of bytes. It prints in exact quantity notation, binary suffixes first.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Parses a quantity as Kubernetes does, a fraction of a byte rounded up. `None` for what Kubernetes does not
    /// parse, for negative numbers, and for more than `i64::MAX` bytes.
    ///
    /// The crates that parse quantities go through floating point, which cannot hold every byte count beyond 2^53.
    pub fn parse(text: &str) -> Option<Self> {
        let captures = GRAMMAR.as_ref()?.captures(text)?;
        let number: Decimal = captures
            .get(1)?
            .as_str()
            .trim_end_matches('.')
            .parse()
            .ok()?;
        let unit = match (captures.get(2), captures.get(3)) {
            (Some(suffix), _) => {
                Decimal::from(UNITS.iter().find(|(unit, _)| *unit == suffix.as_str())?.1)
            }
            (_, Some(exponent)) => power_of_ten(exponent.as_str().parse().ok()?)?,
            _ => Decimal::ONE,
        };
        let bytes = number.checked_mul(unit)?.ceil().to_u64()?;
        i64::try_from(bytes).is_ok().then_some(Self(bytes))
    }

    /// Whole MiB of the size, for messages: volumes and quotas have odd byte counts. A size below 1 MiB stays as it is.
    pub fn rounded(self) -> Self {
        match self.0 >> 20 {
            0 => self,
            mebibytes => Self(mebibytes << 20),
        }
    }
}

fn power_of_ten(exponent: i32) -> Option<Decimal> {
    match u32::try_from(exponent) {
        Ok(up) => Decimal::try_from_i128_with_scale(10i128.checked_pow(up)?, 0).ok(),
        Err(_) => Decimal::try_new(1, exponent.unsigned_abs()).ok(),
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit))
        {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_every_spelling_that_kubernetes_parses() {
        for (text, bytes) in [
            ("4Gi", 4 << 30),
            ("4096Mi", 4 << 30),
            ("1.5Gi", 3 << 29),
            ("2G", 2_000_000_000),
            ("2e9", 2_000_000_000),
            ("2E9", 2_000_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("4294967296", 4 << 30),
            ("+1k", 1000),
            (".5Ki", 512),
            ("1.Ki", 1024),
            ("0.3", 1),
            ("0", 0),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in [
            "", "1K", "1.5.2Gi", "2g", "2GiB", "-1", "Gi", "1e30Gi", "nan", "inf", "1 Gi", "16Ei",
            "1e99", "4\n", "0x10",
        ] {
            assert_eq!(Bytes::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn prints_exact_notation() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1536 << 20, "1536Mi"),
            (2_000_000_000, "2G"),
            (4 << 30, "4Gi"),
            (1025, "1025"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn printing_then_parsing_is_the_identity(bytes in 0..=i64::MAX as u64) {
            prop_assert_eq!(Bytes::parse(&Bytes(bytes).to_string()), Some(Bytes(bytes)));
        }

        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = Bytes::parse(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[+-]?[0-9]{0,20}\\.?[0-9]{0,10}(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E|e[0-9]{1,3})?") {
            let _ = Bytes::parse(&text);
        }
    }
}
