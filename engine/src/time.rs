//! Simulated time in integer nanoseconds: [`SimTime`] is a point, [`SimDuration`] a length.
//!
//! Integers make runs reproducible bit for bit and comparisons exact. 64 bits of nanoseconds reach
//! 584 years; arithmetic that would pass the end saturates there, and the end means "never".

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

/// A point in simulated time, counted from the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SimTime(u64);

/// A length of simulated time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(u64);

impl SimTime {
    /// The start of every run.
    pub const ZERO: Self = Self(0);
    /// A time no event has: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The point `ns` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start, for output only.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time passed since `earlier`; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any run: "for ever".
    pub const MAX: Self = Self(u64::MAX);

    /// `ns` nanoseconds.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// `us` microseconds.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// `ms` milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// `s` seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000_000))
    }

    /// The nearest whole nanosecond to `ns`; negative values and NaN become zero, huge ones [`Self::MAX`].
    #[must_use]
    #[inline]
    pub fn from_nanos_f64(ns: f64) -> Self {
        // `as` saturates and maps NaN to zero, which is the contract above. For the non-negative values
        // that distributions give, adding one half before truncation rounds to nearest.
        Self((ns + 0.5) as u64)
    }

    /// Whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds, for output only.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds, for output only.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self - other`, or zero if `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    #[inline]
    fn add(self, d: SimDuration) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}

impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, d: SimDuration) {
        *self = *self + d;
    }
}

impl Sub<SimTime> for SimTime {
    type Output = SimDuration;
    #[inline]
    fn sub(self, earlier: SimTime) -> SimDuration {
        debug_assert!(earlier <= self, "time went backwards: {earlier:?} > {self:?}");
        self.since(earlier)
    }
}

impl Add for SimDuration {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for SimDuration {
    type Output = Self;
    fn mul(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

/// Units a duration may carry, longest first, with their nanoseconds.
const UNITS: [(&str, u64); 7] =
    [("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("µs", 1_000), ("ns", 1)];

impl FromStr for SimDuration {
    type Err = String;

    /// Reads `5ms`, `1.5s`, `250us`, `2min`, `1h`, `10ns` and `0`; exact to the nanosecond.
    fn from_str(text: &str) -> Result<Self, String> {
        let t = text.trim();
        if t == "0" {
            return Ok(Self::ZERO);
        }
        let expected = || format!("`{text}` is not a duration: write a number and a unit, such as 5ms, 250us, 1.5s or 2min");
        let at = t.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(expected)?;
        let (number, unit) = (&t[..at], t[at..].trim());
        let (_, scale) = UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(expected)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.contains('.') {
            return Err(expected());
        }
        let too_long = || format!("`{text}` is longer than a simulation can run (584 years)");
        let mut ns = whole.parse::<u64>().ok().and_then(|w| w.checked_mul(*scale)).ok_or_else(too_long)?;
        let mut digit_worth = *scale;
        for digit in fraction.bytes() {
            if digit_worth % 10 != 0 && digit != b'0' {
                return Err(format!("`{text}` is finer than a nanosecond"));
            }
            digit_worth /= 10;
            ns = ns.checked_add(u64::from(digit - b'0') * digit_worth).ok_or_else(too_long)?;
        }
        Ok(Self(ns))
    }
}

impl fmt::Display for SimDuration {
    /// The shortest exact form that [`SimDuration::from_str`] reads back, e.g. `1.5ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = match self.0 {
            0 => return f.write_str("0s"),
            ns if ns >= 1_000_000_000 => ("s", 1_000_000_000),
            ns if ns >= 1_000_000 => ("ms", 1_000_000),
            ns if ns >= 1_000 => ("us", 1_000),
            _ => ("ns", 1u64),
        };
        let width = scale.ilog10() as usize;
        let fraction = format!("{:0width$}", self.0 % scale);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}{unit}", self.0 / scale),
            digits => write!(f, "{}.{digits}{unit}", self.0 / scale),
        }
    }
}

impl Serialize for SimDuration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SimDuration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::text::deserialize(d, "a duration with a unit, such as 5ms, 250us, 1.5s or 2min")
    }
}

impl JsonSchema for SimDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    /// Zero may stand without a unit.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = r"^\s*(0|[0-9]+(\.[0-9]+)?\s*(h|min|s|ms|us|µs|ns))\s*$";
        let mut schema = crate::text::schema("A duration with its unit.", pattern, &["5ms", "250us", "1.5s", "2min"]);
        schema.insert("type".to_owned(), ["string", "integer"].into());
        schema.insert("minimum".to_owned(), 0.into());
        schema.insert("maximum".to_owned(), 0.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, ns) in
            [("5ms", 5_000_000), ("1.5s", 1_500_000_000), ("250us", 250_000), ("2min", 120_000_000_000), ("0", 0), ("0.000000001s", 1)]
        {
            assert_eq!(text.parse(), Ok(SimDuration(ns)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["5", "", "ms", "-5ms", "5 parsecs", "1.2.3s", "1.s", ".5s", "0.5ns", "NaN", "1e3s", "99999999999h"] {
            assert!(text.parse::<SimDuration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_reads_back(ns in any::<u64>()) {
            let d = SimDuration(ns);
            prop_assert_eq!(d.to_string().parse(), Ok(d));
        }
    }

    #[test]
    fn arithmetic_saturates_at_never() {
        assert_eq!(SimTime::MAX + SimDuration::from_nanos(1), SimTime::MAX);
        assert_eq!(SimDuration::from_nanos_f64(f64::INFINITY), SimDuration::MAX);
        assert_eq!(SimDuration::from_nanos_f64(f64::NAN), SimDuration::ZERO);
        assert_eq!(SimDuration::from_nanos_f64(1.5), SimDuration::from_nanos(2));
    }
}
