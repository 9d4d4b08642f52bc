//! Kubernetes quantities, read as strictly as `resource.ParseQuantity` does.
//!
//! Written here because the admission simulation must refuse exactly what Kubernetes refuses (`1K`, `2g`, `--5`),
//! where the libraries for this are more forgiving.

use std::fmt;

use serde_json::Value;

const NANO: i128 = 1_000_000_000;

/// An amount with nanounit precision. Amounts beyond `i64::MAX` units are capped there, as Kubernetes caps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: i128,
}

/// Why a text is not a quantity, in the words of `resource.ParseQuantity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAQuantity {
    Format,
    Suffix,
}

impl fmt::Display for NotAQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            Self::Suffix => "unable to parse quantity's suffix",
        })
    }
}

impl Quantity {
    /// A whole number of units, such as bytes.
    #[must_use]
    pub fn units(units: i64) -> Self {
        Self {
            nanos: i128::from(units) * NANO,
        }
    }

    /// Reads `text`.
    ///
    /// # Errors
    /// When Kubernetes would not parse it either.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let text = text.trim();
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let number_len = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(NotAQuantity::Format);
        }
        let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
        let digits = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAQuantity::Format);
        }
        let (base, exponent) = scale(suffix).ok_or(NotAQuantity::Suffix)?;
        let nanos = to_nanos(whole, fraction, base, exponent);
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
        })
    }

    /// Reads a JSON string or number; absent (null) is zero.
    ///
    /// # Errors
    /// When Kubernetes would not decode it as a quantity.
    pub fn from_json(value: &Value) -> Result<Self, NotAQuantity> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => Err(NotAQuantity::Format),
        }
    }

    /// `text` as Kubernetes stores it: `2048Mi` is `2Gi`, `1.5Gi` is `1536Mi`, `2000M` is `2G`.
    ///
    /// # Errors
    /// When it is not a quantity.
    pub fn canonical(text: &str) -> Result<String, NotAQuantity> {
        let Self { nanos } = Self::parse(text)?;
        let text = text.trim();
        let exponent = !text.ends_with('E') && text.contains(['e', 'E']) && !text.ends_with('i');
        let small = nanos.abs() < 1024 * NANO;
        if text.ends_with('i') && !small {
            return Ok(binary(div_ceil(nanos, NANO)));
        }
        let (number, power) = without_factor(nanos, 1000);
        let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].get(power);
        Ok(match (number, exponent) {
            (0, _) => "0".to_owned(),
            (_, true) if power > 3 => format!("{number}e{}", (power - 3) * 3),
            _ => format!("{number}{}", suffix.unwrap_or(&"E")),
        })
    }

    /// Units, rounded up to a whole one.
    #[must_use]
    pub fn value(self) -> i64 {
        clamp(div_ceil(self.nanos, NANO))
    }

    /// Thousandths of a unit, rounded up.
    #[must_use]
    pub fn milli(self) -> i64 {
        clamp(div_ceil(self.nanos, NANO / 1000))
    }

    /// Units as `4Gi` and the like.
    #[must_use]
    pub fn to_binary(self) -> String {
        binary(div_ceil(self.nanos, NANO))
    }

    /// The sum of two amounts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }
}

fn binary(units: i128) -> String {
    let (number, power) = without_factor(units, 1024);
    let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(power);
    format!("{number}{}", suffix.unwrap_or(&"Ei"))
}

/// How often `factor` divides a number, at most nine times, and what is left.
fn without_factor(mut number: i128, factor: i128) -> (i128, usize) {
    let mut power = 0;
    while number != 0 && number % factor == 0 && power < 9 {
        number /= factor;
        power += 1;
    }
    (number, power)
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn div_ceil(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

/// The base and exponent that a suffix stands for.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let si = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        "Ki" => return Some((2, 10)),
        "Mi" => return Some((2, 20)),
        "Gi" => return Some((2, 30)),
        "Ti" => return Some((2, 40)),
        "Pi" => return Some((2, 50)),
        "Ei" => return Some((2, 60)),
        _ => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    Some((10, si))
}

/// `whole.fraction * base^exponent` in nanounits, rounded up, capped at what `i64` units can hold.
fn to_nanos(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    let cap = i128::from(i64::MAX) * NANO;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    // The decimal point: digits * 10^-fraction_len * base^exponent * 10^9.
    let decimal = 9 - i32::try_from(fraction.len()).unwrap_or(i32::MAX)
        + if base == 10 { exponent } else { 0 };
    let binary = if base == 2 { exponent } else { 0 };
    let Ok(mantissa) = digits.parse::<i128>() else {
        return cap;
    };
    let power = |n: u32| 10_i128.checked_pow(n);
    let scaled = mantissa.checked_mul(1_i128 << binary);
    let result = match (scaled, u32::try_from(decimal)) {
        (None, _) => None,
        (Some(value), Ok(up)) => power(up).and_then(|p| value.checked_mul(p)),
        (Some(value), Err(_)) => {
            Some(power(decimal.unsigned_abs()).map_or(1, |p| div_ceil(value, p)))
        }
    };
    result.map_or(cap, |nanos| nanos.min(cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        for (text, units) in [
            ("2Gi", 2 << 30),
            ("1.5Gi", 3 << 29),
            ("2000M", 2_000_000_000),
            ("1e3", 1000),
            ("1E", 1_000_000_000_000_000_000),
            ("+5", 5),
            ("-1Gi", -(1 << 30)),
            (".5Ki", 512),
            ("5.", 5),
            ("100m", 1),
            ("0.1", 1),
            ("100000Ti", 100_000 << 40),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().value(), units, "{text}");
        }
        assert_eq!(Quantity::parse("1e40").unwrap().value(), i64::MAX);
        assert_eq!(Quantity::parse("1500m").unwrap().milli(), 1500);
    }

    #[test]
    fn stores_what_kubernetes_stores() {
        for (text, stored) in [
            ("2048Mi", "2Gi"),
            ("1.5Gi", "1536Mi"),
            ("2000M", "2G"),
            ("2Gi", "2Gi"),
            ("1000000", "1M"),
            ("2147483648", "2147483648"),
            ("1138166334", "1138166334"),
            ("0.5", "500m"),
            ("1e3", "1e3"),
            ("0.1Ki", "102400m"),
            ("0", "0"),
            ("1024", "1024"),
            ("-2048Mi", "-2Gi"),
        ] {
            assert_eq!(Quantity::canonical(text).unwrap(), stored, "{text}");
        }
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in [
            "", "Gi", "2GiB", "2g", "1.5.2Gi", "--5", "nan", "1 Gi", "2gb", "1e30Gi", ".",
        ] {
            assert_eq!(Quantity::parse(text), Err(NotAQuantity::Format), "{text}");
        }
        for text in ["4K", "1KMi", "1e", "1MM"] {
            assert_eq!(Quantity::parse(text), Err(NotAQuantity::Suffix), "{text}");
        }
    }
}
