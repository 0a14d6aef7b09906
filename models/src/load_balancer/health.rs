//! Whether a target is healthy: answers in a row decide.

use super::HealthCheck;
use svcsim_engine::{SimDuration, SimTime};

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A good answer, at once.
    Passed,
    /// A bad answer or a refused connection, at once.
    Failed,
    /// No answer until the check's timeout had passed.
    TimedOut,
}

/// What is known of a target's health.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    pub(super) good: bool,
    /// Answers in a row that contradict `good`.
    streak: u32,
    /// When the next check is sent; one that ends before is left over from an earlier registration.
    due: SimTime,
}

impl Health {
    pub(super) const fn new(good: bool) -> Self {
        Self { good, streak: 0, due: SimTime::ZERO }
    }

    pub(super) fn expect_check(&mut self, at: SimTime) {
        self.due = at;
    }

    /// A check ended; returns when the next is due, from now, and whether the target changed its state. None for a leftover.
    pub(super) fn checked(&mut self, probe: Probe, check: &HealthCheck, now: SimTime) -> Option<(SimDuration, bool)> {
        if now < self.due {
            return None;
        }
        let good = probe == Probe::Passed;
        self.streak = if good == self.good { 0 } else { self.streak + 1 };
        let threshold = if good { check.healthy_threshold } else { check.unhealthy_threshold };
        let turned = self.streak >= threshold;
        if turned {
            *self = Self::new(good);
        }
        let waited = if probe == Probe::TimedOut && !check.from_end { check.timeout } else { SimDuration::ZERO };
        let next = check.interval.saturating_sub(waited);
        self.due = now + next;
        Some((next, turned))
    }
}
