//! How fast a controller may write.

use svcsim_engine::{SimDuration, SimTime};

/// A token bucket that is full at the start, as the client of each of kube-controller-manager's controllers has one (client-go
/// `util/flowcontrol/throttle.go`); kept as the time at which the bucket would be full again.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// From one token to the next.
    interval: SimDuration,
    /// In which an empty bucket fills, but for one token.
    tolerance: SimDuration,
    full: SimTime,
}

impl RateLimit {
    /// So many writes a second, after a quiet time `burst` at once; a burst of zero counts as one.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Self {
        let interval = SimDuration::from_nanos_f64(1e9 / per_second);
        Self { interval, tolerance: interval * u64::from(burst.max(1) - 1), full: SimTime::ZERO }
    }

    /// The last of `n` writes that are asked for at `now` is made then.
    pub fn write(&mut self, n: usize, now: SimTime) -> SimTime {
        let mut at = now;
        for _ in 0..n {
            at = now + self.full.since(now).saturating_sub(self.tolerance);
            self.full = self.full.max(at) + self.interval;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_free_and_then_each_write_waits_its_turn() {
        let mut limit = RateLimit::new(20.0, 30);
        assert_eq!(limit.write(30, at(1_000)), at(1_000));
        assert_eq!(limit.write(1, at(1_000)), at(1_050));
        assert_eq!(limit.write(0, at(1_000)), at(1_000), "nothing to write, nothing to wait for");
        assert_eq!(limit.write(2, at(1_200)), at(1_200), "tokens of 150 ms");
        assert_eq!(limit.write(10, at(1_200)), at(1_650), "one more token, then nine waits");
        assert_eq!(limit.write(30, at(60_000)), at(60_000), "no more than a burst is saved up");
        assert_eq!(limit.write(1, at(60_000)), at(60_050));
    }
}
