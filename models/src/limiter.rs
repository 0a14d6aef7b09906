//! Limits on the requests in a Pod that follow its latency: what is over the limit is refused at once (503) instead of waiting.
//!
//! Source: Netflix, *Performance Under Load* (2018), and its library concurrency-limits: `AIMDLimit.java`, `Gradient2Limit.java`,
//! with their defaults.

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;

/// `adaptiveLimit: {aimd: {}}`, `adaptiveLimit: {gradient2: {}}`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LimiterSpec {
    /// One more while requests are fast, a part less when one is slow.
    Aimd(Aimd),
    /// In proportion to how latency is to what it was in the long run.
    Gradient2(Gradient2),
}

/// Additive increase, multiplicative decrease.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Aimd {
    /// At the start.
    pub initial: u32,
    /// Never below this.
    pub min: u32,
    /// Never above this.
    pub max: u32,
    /// A request that took longer is slow.
    pub timeout: SimDuration,
    /// What a slow one leaves of the limit.
    pub backoff_ratio: f64,
}

impl Default for Aimd {
    fn default() -> Self {
        Self { initial: 20, min: 20, max: 200, timeout: SimDuration::from_secs(5), backoff_ratio: 0.9 }
    }
}

/// The second version of Netflix's gradient limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gradient2 {
    /// At the start.
    pub initial: u32,
    /// Never below this.
    pub min: u32,
    /// Never above this.
    pub max: u32,
    /// Requests that may wait however slow they are: what the limit grows by.
    pub queue_size: f64,
    /// How many times the long-run latency is no reason to shrink.
    pub rtt_tolerance: f64,
    /// How much of a new limit counts.
    pub smoothing: f64,
    /// Requests that the long run is made of.
    pub long_window: u32,
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self { initial: 20, min: 20, max: 200, queue_size: 4.0, rtt_tolerance: 1.5, smoothing: 0.2, long_window: 600 }
    }
}

impl LimiterSpec {
    /// Finds what makes no sense of it, below `field`.
    ///
    /// # Errors
    /// What that is.
    pub fn check(&self, field: &str) -> Result<(), SpecError> {
        let (name, initial, min, max, parts) = match self {
            Self::Aimd(a) => ("aimd", a.initial, a.min, a.max, vec![a.backoff_ratio]),
            Self::Gradient2(g) => ("gradient2", g.initial, g.min, g.max, vec![g.smoothing, 1.0 / g.rtt_tolerance]),
        };
        if min == 0 || min > initial || initial > max {
            let problem = format!("limits from {min} over {initial} to {max}; expected 1 or more, in this order");
            return Err(SpecError::new(format!("{field}.{name}"), problem, "give min, initial and max, in ascending order"));
        }
        if parts.iter().any(|p| !(*p > 0.0 && *p <= 1.0)) {
            let problem = "expected backoffRatio and smoothing from above 0 to 1, rttTolerance of 1 or more";
            return Err(SpecError::new(format!("{field}.{name}"), problem, "leave them out for Netflix's values"));
        }
        Ok(())
    }
}

/// A Pod's limit.
#[derive(Clone, Debug)]
pub struct Limiter {
    spec: LimiterSpec,
    limit: f64,
    /// Mean latency in the long run, ns, and of how many requests; their mean, and then an exponential one.
    long: f64,
    seen: u32,
}

/// Requests after which the long run's mean is exponential (`ExpAvgMeasurement`, `warmupWindow`).
const WARM_UP: u32 = 10;

impl Limiter {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(spec: LimiterSpec) -> Self {
        let (LimiterSpec::Aimd(Aimd { initial, .. }) | LimiterSpec::Gradient2(Gradient2 { initial, .. })) = spec;
        Self { spec, limit: f64::from(initial), long: 0.0, seen: 0 }
    }

    /// Whether one more fits where so many are.
    #[must_use]
    pub fn admits(&self, present: u32) -> bool {
        f64::from(present) < libm::floor(self.limit)
    }

    /// A request is done that took so long; so many were there, it included.
    pub fn done(&mut self, latency: SimDuration, in_flight: u32) {
        let in_flight = f64::from(in_flight);
        match self.spec {
            LimiterSpec::Aimd(a) => {
                if latency > a.timeout {
                    self.limit = libm::floor(self.limit * a.backoff_ratio);
                } else if in_flight * 2.0 >= self.limit {
                    self.limit += 1.0;
                }
                self.limit = self.limit.clamp(f64::from(a.min), f64::from(a.max));
            }
            LimiterSpec::Gradient2(g) => {
                let short = latency.as_nanos() as f64;
                self.long = self.long_mean(short, g.long_window);
                // Fast again after a slow time: the long run forgets faster.
                if self.long / short > 2.0 {
                    self.long *= 0.95;
                }
                if in_flight < self.limit / 2.0 {
                    return;
                }
                let gradient = (g.rtt_tolerance * self.long / short).clamp(0.5, 1.0);
                let new = self.limit * gradient + g.queue_size;
                let smoothed = self.limit * (1.0 - g.smoothing) + new * g.smoothing;
                self.limit = smoothed.clamp(f64::from(g.min), f64::from(g.max));
            }
        }
    }

    fn long_mean(&mut self, value: f64, window: u32) -> f64 {
        self.seen = self.seen.saturating_add(1);
        if self.seen <= WARM_UP {
            let n = f64::from(self.seen);
            self.long + (value - self.long) / n
        } else {
            let factor = 2.0 / (f64::from(window) + 1.0);
            self.long * (1.0 - factor) + value * factor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> SimDuration {
        SimDuration::from_millis(n)
    }

    #[test]
    fn aimd_goes_up_by_one_and_down_by_a_tenth() {
        let mut l = Limiter::new(LimiterSpec::Aimd(Aimd { min: 1, ..Aimd::default() }));
        l.done(ms(1), 9);
        assert_eq!(l.limit, 20.0, "less than half is in use: nothing is learnt");
        l.done(ms(1), 10);
        assert_eq!(l.limit, 21.0);
        l.done(SimDuration::from_secs(6), 10);
        assert_eq!(l.limit, 18.0, "21 x 0.9, in whole requests");
        assert!(l.admits(17) && !l.admits(18));
        (0..100).for_each(|_| l.done(SimDuration::from_secs(6), 10));
        assert_eq!(l.limit, 1.0);
    }

    /// At the latency of the long run the limit grows by a fifth of the queue size; at four times of it it falls.
    #[test]
    fn gradient2_follows_the_gradient() {
        let mut l = Limiter::new(LimiterSpec::Gradient2(Gradient2::default()));
        l.done(ms(10), 20);
        assert!((l.limit - 20.8).abs() < 1e-12, "{}", l.limit);
        (0..2_000).for_each(|_| l.done(ms(10), 200));
        assert_eq!(l.limit, 200.0);
        l.done(ms(40), 200);
        let long = 10e6 * (1.0 - 2.0 / 601.0) + 40e6 * 2.0 / 601.0;
        let gradient: f64 = 1.5 * long / 40e6;
        assert!(gradient < 0.5, "clamped at a half");
        assert!((l.limit - (0.8 * 200.0 + 0.2 * (100.0 + 4.0))).abs() < 1e-9, "{}", l.limit);
    }
}
