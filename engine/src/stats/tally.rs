//! [`Tally`]: count, sum and extremes of whole numbers, exact.

use serde::{Deserialize, Serialize};

/// What can be said exactly of a series of integers, in any order and any grouping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    count: u64,
    sum: u128,
    /// `u64::MAX` while empty.
    min: u64,
    /// 0 while empty.
    max: u64,
}

impl Tally {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Adds one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all that `other` recorded.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The least, if any.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest, if any.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The arithmetic mean, rounded only in this last division.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_nothing_of_nothing() {
        let t = Tally::new();
        assert_eq!((t.count(), t.mean(), t.min(), t.max()), (0, None, None, None));
    }

    #[test]
    fn merges_as_if_recorded_together() {
        let (mut a, mut b, mut both) = (Tally::new(), Tally::new(), Tally::new());
        for value in [7, 0, u64::MAX] {
            a.record(value);
            both.record(value);
        }
        for value in [u64::MAX, 9] {
            b.record(value);
            both.record(value);
        }
        a.merge(&b);
        a.merge(&Tally::new());
        assert_eq!(a, both);
        assert_eq!((a.count(), a.sum(), a.min(), a.max()), (5, 2 * u128::from(u64::MAX) + 16, Some(0), Some(u64::MAX)));
    }
}
