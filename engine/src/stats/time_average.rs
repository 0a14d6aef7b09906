//! [`TimeAverage`]: a level over time, such as how many are in line.

use crate::time::SimTime;

/// The integral of a whole-numbered level over simulated time, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeAverage {
    level: u64,
    max: u64,
    /// Since the last reset up to `counted`, in level-nanoseconds.
    integral: u128,
    start: SimTime,
    counted: SimTime,
}

impl TimeAverage {
    /// At `level` from `now` on.
    #[must_use]
    pub const fn new(now: SimTime, level: u64) -> Self {
        Self { level, max: level, integral: 0, start: now, counted: now }
    }

    /// The level becomes `level`.
    #[inline]
    pub fn set(&mut self, now: SimTime, level: u64) {
        self.integral = self.integral(now);
        self.counted = now;
        self.level = level;
        self.max = self.max.max(level);
    }

    /// The level changes by `delta`.
    ///
    /// # Panics
    /// If it would fall below zero: a ledger that does is wrong.
    #[inline]
    pub fn add(&mut self, now: SimTime, delta: i64) {
        self.set(now, self.level.checked_add_signed(delta).expect("a level stays within 0 and 2^64"));
    }

    /// Starts anew at the present level.
    pub fn reset(&mut self, now: SimTime) {
        *self = Self::new(now, self.level);
    }

    /// The present level.
    #[must_use]
    pub fn level(&self) -> u64 {
        self.level
    }

    /// The greatest level since the last reset.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The integral since the last reset, in level-nanoseconds.
    #[must_use]
    pub fn integral(&self, now: SimTime) -> u128 {
        self.integral + u128::from(self.level) * u128::from(now.since(self.counted).as_nanos())
    }

    /// The mean level since the last reset, once time has passed.
    #[must_use]
    pub fn mean(&self, now: SimTime) -> Option<f64> {
        let passed = now.since(self.start).as_nanos();
        (passed > 0).then(|| self.integral(now) as f64 / passed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_each_level_by_its_time() {
        let t = SimTime::from_nanos;
        let mut line = TimeAverage::new(t(100), 2);
        assert_eq!(line.mean(t(100)), None);
        line.add(t(110), 3);
        line.add(t(120), -5);
        assert_eq!(line.integral(t(140)), 10 * 2 + 10 * 5);
        assert_eq!(line.mean(t(140)), Some(70.0 / 40.0));
        assert_eq!((line.level(), line.max()), (0, 5));
        line.set(t(140), 1);
        line.reset(t(150));
        assert_eq!((line.mean(t(160)), line.max()), (Some(1.0), 1));
    }

    #[test]
    #[should_panic(expected = "a level stays")]
    fn a_level_is_never_negative() {
        TimeAverage::default().add(SimTime::ZERO, -1);
    }
}
