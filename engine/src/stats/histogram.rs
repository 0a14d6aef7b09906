//! [`Histogram`]: durations in buckets of bounded relative width, mergeable without loss.

use crate::stats::tally::Tally;
use crate::time::SimDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A high dynamic range histogram (Tene, HdrHistogram) of durations. It grows with what it sees, from a
/// nanosecond to all that 64 bits hold, and has its count, mean and extremes exactly.
///
/// With `digits` digits a quantile is never below the true one and above it by at most the fraction
/// 10^-digits: at 3 digits `5ms` may be reported for anything in 4.995 to 5 ms.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: hdrhistogram::Histogram<u64>,
    tally: Tally,
}

impl Histogram {
    /// An empty histogram of `digits` significant decimal digits: 0 to 5. Memory grows tenfold with each; at 3 it is
    /// 8 KiB for every doubling of the range beyond 2 us.
    ///
    /// # Panics
    /// If `digits` is more than 5.
    #[must_use]
    pub fn new(digits: u8) -> Self {
        let buckets = hdrhistogram::Histogram::new(digits).expect("a histogram has 0 to 5 digits");
        Self { buckets, tally: Tally::new() }
    }

    /// Adds one duration, whatever it is.
    #[inline]
    pub fn record(&mut self, duration: SimDuration) {
        let ns = duration.as_nanos();
        self.buckets.record(ns).expect("a resizable histogram takes every u64");
        self.tally.record(ns);
    }

    /// Adds all that `other` recorded; the result is the same as if this one had.
    ///
    /// # Panics
    /// If the two have not the same number of digits.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.buckets.sigfig(), other.buckets.sigfig(), "histograms of different resolution do not merge exactly");
        self.buckets.add(&other.buckets).expect("a resizable histogram takes every u64");
        self.tally.merge(&other.tally);
    }

    /// Empties it; its memory stays for what comes next.
    pub fn reset(&mut self) {
        self.buckets.reset();
        self.tally = Tally::new();
    }

    /// How many durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.tally.count()
    }

    /// The mean, exact but for one rounding, in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> Option<f64> {
        self.tally.mean()
    }

    /// The mean, to the nearest nanosecond.
    #[must_use]
    pub fn mean(&self) -> Option<SimDuration> {
        self.tally.mean().map(SimDuration::from_nanos_f64)
    }

    /// The shortest, exact.
    #[must_use]
    pub fn min(&self) -> Option<SimDuration> {
        self.tally.min().map(SimDuration::from_nanos)
    }

    /// The longest, exact.
    #[must_use]
    pub fn max(&self) -> Option<SimDuration> {
        self.tally.max().map(SimDuration::from_nanos)
    }

    /// The duration at rank ceil(q n) of n in ascending order (the inverse of the empirical distribution
    /// function), as the upper end of its bucket but never past the maximum. `q` of 0 or less is the minimum,
    /// of 1 or more the maximum.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<SimDuration> {
        if q <= 0.0 {
            return self.min();
        }
        let max = self.max()?;
        Some(SimDuration::from_nanos(self.buckets.value_at_quantile(q)).min(max))
    }

    /// The complementary distribution: for each bucket that holds something, its upper end (never past the
    /// maximum) and the fraction of all durations above it, in ascending order.
    pub fn ccdf(&self) -> impl Iterator<Item = (SimDuration, f64)> + '_ {
        let (count, max) = (self.tally.count(), self.tally.max().unwrap_or(0));
        let mut above = count;
        self.buckets.iter_recorded().map(move |bucket| {
            above -= bucket.count_since_last_iteration();
            (SimDuration::from_nanos(bucket.value_iterated_to().min(max)), above as f64 / count as f64)
        })
    }
}

/// What a histogram is made of, as it is kept between processes.
#[derive(Serialize, Deserialize)]
struct Kept {
    digits: u8,
    /// A value of each bucket that holds something, and how many.
    buckets: Vec<(u64, u64)>,
    tally: Tally,
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let buckets = self.buckets.iter_recorded().map(|b| (b.value_iterated_to(), b.count_at_value())).collect();
        Kept { digits: self.buckets.sigfig(), buckets, tally: self.tally }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    /// The same histogram: every answer is what it was.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(d)?;
        let wrong = |what: &str| serde::de::Error::custom(format!("no histogram: {what}"));
        let mut buckets = hdrhistogram::Histogram::new(kept.digits).map_err(|_| wrong("its digits"))?;
        for (value, count) in &kept.buckets {
            // A bucket's upper end may be past the greatest value recorded.
            let value = kept.tally.max().map_or(*value, |max| max.min(*value));
            buckets.record_n(value, *count).map_err(|_| wrong("a value"))?;
        }
        if kept.buckets.iter().map(|(_, count)| u128::from(*count)).sum::<u128>() != u128::from(kept.tally.count()) {
            return Err(wrong("its counts do not add up"));
        }
        Ok(Self { buckets, tally: kept.tally })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values of every magnitude.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift), 1..300)
    }

    fn recorded(digits: u8, values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new(digits);
        values.iter().for_each(|v| histogram.record(SimDuration::from_nanos(*v)));
        histogram
    }

    proptest! {
        #[test]
        fn quantiles_keep_their_bound(digits in 0u8..5, mut values in values(), q in 0.0..=1.0) {
            let histogram = recorded(digits, &values);
            values.sort_unstable();
            let rank = (libm::ceil(q * values.len() as f64) as usize).max(1);
            let (exact, found) = (values[rank - 1], histogram.quantile(q).unwrap().as_nanos());
            prop_assert!(exact <= found);
            let error = (found - exact) as f64 / exact.max(1) as f64;
            prop_assert!(error <= libm::pow(10.0, -f64::from(digits)), "{} for {}: {}", found, exact, error);
            prop_assert_eq!(histogram.min().unwrap().as_nanos(), values[0]);
            prop_assert_eq!(histogram.quantile(1.0), histogram.max());
            prop_assert_eq!(histogram.max().unwrap().as_nanos(), values[values.len() - 1]);
        }

        #[test]
        fn what_was_kept_answers_as_before(digits in 0u8..5, values in values(), q in 0.0..=1.0) {
            let histogram = recorded(digits, &values);
            let kept: Histogram = serde_json::from_str(&serde_json::to_string(&histogram).unwrap()).unwrap();
            prop_assert_eq!(histogram.quantile(q), kept.quantile(q));
            prop_assert_eq!(histogram.ccdf().collect::<Vec<_>>(), kept.ccdf().collect::<Vec<_>>());
            prop_assert_eq!(histogram.tally, kept.tally);
        }

        #[test]
        fn merging_is_recording_all(a in values(), b in values()) {
            let mut merged = recorded(3, &a);
            merged.merge(&recorded(3, &b));
            let all = recorded(3, &[a, b].concat());
            prop_assert_eq!(merged.ccdf().collect::<Vec<_>>(), all.ccdf().collect::<Vec<_>>());
            prop_assert_eq!(merged.tally, all.tally);
            for q in [0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0] {
                prop_assert_eq!(merged.quantile(q), all.quantile(q));
            }
        }

        #[test]
        fn the_ccdf_counts_those_above(values in values()) {
            let histogram = recorded(2, &values);
            let mut last = 1.0;
            for (value, above) in histogram.ccdf() {
                let exact = values.iter().filter(|v| **v > value.as_nanos()).count() as f64 / values.len() as f64;
                prop_assert_eq!(above, exact);
                prop_assert!(above < last);
                last = above;
            }
            prop_assert_eq!(last, 0.0);
        }
    }

    #[test]
    fn takes_every_duration() {
        let ends = [0, 1, 2, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
        for digits in 0..=5 {
            let histogram = recorded(digits, &ends);
            assert_eq!((histogram.min(), histogram.max()), (Some(SimDuration::ZERO), Some(SimDuration::MAX)));
            assert_eq!(histogram.count(), 7);
        }
    }

    #[test]
    fn is_as_new_after_reset() {
        let mut histogram = recorded(3, &[5, 5_000_000]);
        histogram.reset();
        assert_eq!((histogram.count(), histogram.mean(), histogram.quantile(0.5), histogram.ccdf().count()), (0, None, None, 0));
        histogram.record(SimDuration::from_nanos(7));
        assert_eq!((histogram.quantile(0.5), histogram.mean_ns()), (Some(SimDuration::from_nanos(7)), Some(7.0)));
    }
}
