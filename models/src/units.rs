//! Quantities with units that are not time: [`Bytes`], [`Bandwidth`], [`Rate`].
//!
//! Each is read from text such as `16KiB`, `10Gbit/s` or `2000/s` and written back in a form it reads.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use svcsim_engine::random::Quantity;
use svcsim_engine::text;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A transmission rate in bits per second; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(pub u64);

/// Things per second; finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

const BYTES: [(&str, u64); 8] =
    [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("bytes", 1)];

const BANDWIDTHS: [(&str, u64); 5] =
    [("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000), ("Tbit/s", 1_000_000_000_000)];

/// Splits `12.5unit` into its number and its unit's scale.
fn number_and_scale(text: &str, units: &[(&str, u64)]) -> Option<(f64, u64)> {
    let t = text.trim();
    let at = t.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (_, scale) = units.iter().find(|(u, _)| *u == t[at..].trim())?;
    Some((t[..at].parse().ok()?, *scale))
}

/// The largest unit that divides `n`, for exact output.
fn in_unit(f: &mut fmt::Formatter<'_>, n: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole = units.iter().filter(|(_, scale)| n != 0 && n.is_multiple_of(*scale)).max_by_key(|(_, scale)| *scale);
    let (unit, scale) = whole.unwrap_or(&units[0]);
    write!(f, "{}{unit}", n / scale)
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (n, scale) = number_and_scale(text, &BYTES)
            .ok_or_else(|| format!("`{text}` is not a size: write a number and a unit, such as 512B, 16KiB or 2MB"))?;
        Ok(Self((n * scale as f64) as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_unit(f, self.0, &BYTES[..7])
    }
}

impl Quantity for Bytes {
    const NAME: &'static str = "a size";
    fn to_f64(self) -> f64 {
        self.0 as f64
    }
}

impl FromStr for Bandwidth {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (n, scale) = number_and_scale(text, &BANDWIDTHS)
            .ok_or_else(|| format!("`{text}` is not a bandwidth: write bits per second, such as 100Mbit/s or 10Gbit/s"))?;
        match (n * scale as f64) as u64 {
            0 => Err(format!("`{text}` is no bandwidth at all: leave the field out for a link without limit")),
            bps => Ok(Self(bps)),
        }
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_unit(f, self.0, &BANDWIDTHS)
    }
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a rate: write a number per time, such as 2000/s, 90/min or 10/h");
        let (number, unit) = text.trim().split_once('/').ok_or_else(expected)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(expected()),
        };
        let plain = number.trim().bytes().all(|c| c.is_ascii_digit() || c == b'.');
        let n: f64 = number.trim().parse().ok().filter(|_| plain).ok_or_else(expected)?;
        Ok(Self(n / seconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

macro_rules! as_text {
    ($($t:ident => $expected:literal, $pattern:literal;)*) => {$(
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                text::deserialize(d, $expected)
            }
        }
        impl JsonSchema for $t {
            fn schema_name() -> Cow<'static, str> {
                stringify!($t).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let (meaning, examples) = $expected.split_once(", such as ").unwrap_or(($expected, ""));
                text::schema(meaning, $pattern, &examples.split([',', ' ']).filter(|e| !e.is_empty() && *e != "or").collect::<Vec<_>>())
            }
        }
    )*};
}
as_text! {
    Bytes => "a size with a unit, such as 512B, 16KiB or 2MB", r"^\s*[0-9.]+\s*(B|kB|MB|GB|KiB|MiB|GiB|bytes)\s*$";
    Bandwidth => "a bandwidth with a unit, such as 100Mbit/s or 10Gbit/s", r"^\s*[0-9.]+\s*[kMGT]?bit/s\s*$";
    Rate => "a rate with its time, such as 2000/s or 90/min", r"^\s*[0-9.]+\s*/\s*(s|min|h)\s*$";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_back_what_they_write() {
        for text in ["0B", "512B", "16KiB", "2MB", "1500B"] {
            assert_eq!(text.parse::<Bytes>().map(|b| b.to_string()), Ok(text.to_string()));
        }
        for text in ["10Gbit/s", "100Mbit/s", "1bit/s"] {
            assert_eq!(text.parse::<Bandwidth>().map(|b| b.to_string()), Ok(text.to_string()));
        }
        assert_eq!("90/min".parse(), Ok(Rate(1.5)));
        assert_eq!(Rate(1.5).to_string().parse(), Ok(Rate(1.5)));
    }

    #[test]
    fn what_has_no_unit_is_refused() {
        assert!(["16", "KiB", "-1KiB", "NaNB", "1kb"].iter().all(|t| t.parse::<Bytes>().is_err()));
        assert!(["10", "0bit/s", "10Gbps", "-1bit/s"].iter().all(|t| t.parse::<Bandwidth>().is_err()));
        assert!(["10", "-1/s", "NaN/s", "inf/s", "10/fortnight", "1e9/s"].iter().all(|t| t.parse::<Rate>().is_err()));
    }
}
