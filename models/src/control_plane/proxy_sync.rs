//! When kube-proxy writes its rules.

use svcsim_engine::{SimDuration, SimTime};

/// One kube-proxy's schedule since 1.34 (`pkg/proxy/runner/bounded_frequency_runner.go`).
///
/// A trigger starts a run at once if none is in progress and the last ended at least `min` ago; else as soon as that is so, and
/// triggers until then are one. A run that failed is repeated after `retry`, unless another succeeds before that. Runs are at most
/// `max` apart.
///
/// Whoever drives it schedules a start at each time that [`Self::trigger`] and [`Self::finish`] give, and forgets none:
/// [`Self::start`] tells those that an earlier start has overtaken.
#[derive(Clone, Copy, Debug)]
pub struct SyncRunner {
    min: SimDuration,
    max: Option<SimDuration>,
    retry: SimDuration,
    /// The last run's end and `min`.
    not_before: SimTime,
    /// The next start that is known; [`SimTime::MAX`] if none.
    due: SimTime,
    running: bool,
    /// Triggered during the run.
    again: bool,
}

impl SyncRunner {
    /// A runner whose loop starts at the start of time: `minSyncPeriod`, the longest time between runs, and the time after which
    /// failed ones are repeated. Without `max` there are no periodic runs.
    #[must_use]
    pub fn new(min: SimDuration, max: Option<SimDuration>, retry: SimDuration) -> Self {
        let due = max.map_or(SimTime::MAX, |max| SimTime::ZERO + max);
        Self { min, max, retry, not_before: SimTime::ZERO, due, running: false, again: false }
    }

    /// When the next run starts, as far as that is known.
    #[must_use]
    pub fn due(&self) -> Option<SimTime> {
        Some(self.due).filter(|due| *due < SimTime::MAX)
    }

    /// Something changed: when a run must start that was not due by then.
    #[must_use]
    pub fn trigger(&mut self, now: SimTime) -> Option<SimTime> {
        if self.running {
            self.again = true;
            return None;
        }
        let at = now.max(self.not_before);
        if at >= self.due {
            return None;
        }
        self.due = at;
        Some(at)
    }

    /// The time for a start has come: whether a run starts. It covers what changed until now.
    #[must_use]
    pub fn start(&mut self, now: SimTime) -> bool {
        let starts = !self.running && self.due <= now;
        if starts {
            (self.running, self.due) = (true, SimTime::MAX);
        }
        starts
    }

    /// The run ended, successfully or not: when the next starts, as far as that is known.
    #[must_use]
    pub fn finish(&mut self, now: SimTime, ok: bool) -> Option<SimTime> {
        self.not_before = now + self.min;
        let triggered = self.again.then_some(self.not_before);
        let retried = (!ok).then_some(now + self.retry);
        let periodic = self.max.map(|max| now + max);
        let next = [triggered, retried, periodic].into_iter().flatten().min();
        self.due = next.map_or(SimTime::MAX, |next| next.max(self.not_before));
        (self.running, self.again) = (false, false);
        self.due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(s)
    }

    fn runner(min: u64, max: Option<u64>, retry: u64) -> SyncRunner {
        SyncRunner::new(SimDuration::from_secs(min), max.map(SimDuration::from_secs), SimDuration::from_secs(retry))
    }

    #[test]
    fn triggers_collapse_until_the_interval_is_over() {
        let mut r = runner(10, None, 30);
        assert_eq!(r.trigger(at(5)), Some(at(5)));
        assert_eq!(r.trigger(at(5)), None);
        assert!(r.start(at(5)));
        assert_eq!((r.trigger(at(6)), r.trigger(at(7))), (None, None));
        assert_eq!(r.finish(at(8), true), Some(at(18)));
        assert_eq!(r.trigger(at(9)), None);
        assert!(!r.start(at(17)) && r.start(at(18)));
        assert_eq!(r.finish(at(19), true), None);
        assert_eq!(r.trigger(at(20)), Some(at(29)));
    }

    #[test]
    fn a_failed_run_is_repeated_unless_triggered_sooner() {
        let mut r = runner(10, None, 30);
        assert_eq!(r.trigger(at(0)), Some(at(0)));
        assert!(r.start(at(0)));
        assert_eq!(r.finish(at(1), false), Some(at(31)));
        assert_eq!(r.trigger(at(2)), Some(at(11)));
        assert!(r.start(at(11)) && !r.start(at(11)));
        assert_eq!(r.finish(at(12), true), None);
        assert!(!r.start(at(31)), "a start that was overtaken");
    }

    #[test]
    fn a_retry_waits_for_the_interval_too() {
        let mut r = runner(10, None, 3);
        assert_eq!(r.trigger(at(0)), Some(at(0)));
        assert!(r.start(at(0)));
        assert_eq!(r.finish(at(1), false), Some(at(11)));
    }

    #[test]
    fn runs_are_periodic_if_asked() {
        let mut r = runner(1, Some(60), 30);
        assert_eq!(r.due(), Some(at(60)));
        assert!(!r.start(at(59)) && r.start(at(60)));
        assert_eq!(r.finish(at(62), true), Some(at(122)));
        assert_eq!(r.trigger(at(100)), Some(at(100)));
    }

    #[test]
    fn the_end_of_time_is_never() {
        let mut r = SyncRunner::new(SimDuration::MAX, Some(SimDuration::MAX), SimDuration::MAX);
        assert_eq!(r.trigger(at(0)), Some(at(0)));
        assert!(r.start(at(0)));
        assert_eq!(r.trigger(at(1)), None);
        assert_eq!(r.finish(at(1), false), None);
        assert_eq!(r.trigger(at(2)), None);
    }
}
