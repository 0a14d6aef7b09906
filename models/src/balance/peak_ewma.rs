//! Peak EWMA: of two hosts drawn at random the one with the lower cost, the moving average of its latency, which jumps to any peak
//! at once and decays from there, times the requests under way and this one.
//!
//! Source: Twitter Finagle `PeakEwma.scala`: decay time 10 s; a host that has requests under way and has never answered costs a
//! penalty; drawn by `P2CPick`, two different hosts. linkerd2-proxy has the same cost (`tower::load::PeakEwma`) and starts from a
//! default latency of 1 s instead of the penalty.

use super::{Answer, Ask, Host, Knows, Picker, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// `peakEwma: {decay: 10s}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "PeakEwmaPolicy")]
pub struct Spec {
    /// After this long without an answer a cost is 1/e of what it was.
    pub decay: SimDuration,
}

impl Default for Spec {
    fn default() -> Self {
        Self { decay: SimDuration::from_secs(10) }
    }
}

impl Spec {
    /// Answers.
    pub const KNOWS: Knows = Knows::ANSWERS;

    pub(super) fn build(&self, field: &str) -> Result<PeakEwma, SpecError> {
        if self.decay == SimDuration::ZERO {
            return Err(SpecError::new(format!("{field}.decay"), "a decay of 0s forgets everything", "leave it out for 10s"));
        }
        Ok(PeakEwma { decay: self.decay.as_nanos() as f64, costs: Vec::new() })
    }
}

/// A host's cost, ns, when it was last brought up to date.
#[derive(Clone, Copy, Debug)]
struct Cost {
    value: f64,
    stamp: SimTime,
}

/// Costs by host.
#[derive(Clone, Debug)]
pub struct PeakEwma {
    decay: f64,
    costs: Vec<Cost>,
}

/// `Double.MaxValue` is what it stands for; any host that has answered is better.
const PENALTY: f64 = 1e30;

impl PeakEwma {
    fn observe(&mut self, host: usize, latency: f64, now: SimTime) {
        let cost = &mut self.costs[host];
        let w = libm::exp(-(now.since(cost.stamp).as_nanos() as f64) / self.decay);
        cost.value = if latency > cost.value { latency } else { cost.value * w + latency * (1.0 - w) };
        cost.stamp = now;
    }

    fn load(&self, ask: &Ask<'_>, host: usize) -> f64 {
        let cost = self.costs[host];
        let value = cost.value * libm::exp(-(ask.now().since(cost.stamp).as_nanos() as f64) / self.decay);
        let pending = f64::from(ask.load(host));
        if value == 0.0 && pending > 0.0 { PENALTY + pending } else { value * (pending + 1.0) }
    }
}

impl Picker for PeakEwma {
    fn changed(&mut self, _hosts: &[Host], before: &[Option<usize>], now: SimTime) {
        self.costs = carried(&self.costs, before, |_| Cost { value: 0.0, stamp: now });
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len() as u32;
        let a = stream.below(n) as usize;
        if n == 1 {
            return Some(a);
        }
        let b = stream.below(n - 1) as usize;
        let b = if b >= a { b + 1 } else { b };
        Some(if self.load(ask, a) < self.load(ask, b) { a } else { b })
    }

    fn answered(&mut self, host: usize, answer: &Answer) {
        self.observe(host, answer.latency.as_nanos() as f64, answer.now);
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|host| self.load(ask, host)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{answered, ask, hosts};

    #[test]
    fn peaks_count_at_once_and_are_forgotten_slowly() {
        let mut hosts = hosts(2);
        let mut p = Spec::default().build("").expect("defaults");
        p.changed(&hosts, &[None, None], SimTime::ZERO);
        let cost = |p: &PeakEwma, hosts: &[Host], s: u64| p.load(&ask(hosts, 0, SimTime::ZERO + SimDuration::from_secs(s)), 0) / 1e6;
        assert_eq!(cost(&p, &hosts, 0), 0.0, "nothing is known and nothing under way: it is tried");
        hosts[0].active = 1;
        assert!(cost(&p, &hosts, 0) > 1e20, "nothing is known and something under way");
        hosts[0].active = 0;
        p.answered(0, &answered(10, 1));
        p.answered(0, &answered(100, 1));
        assert_eq!(cost(&p, &hosts, 1), 100.0, "a peak at the same instant");
        assert!((cost(&p, &hosts, 11) - 100.0 / std::f64::consts::E).abs() < 1e-9, "one decay time later");
        p.answered(0, &answered(10, 11));
        let expected = 100.0 / std::f64::consts::E + 10.0 * (1.0 - 1.0 / std::f64::consts::E);
        assert!((cost(&p, &hosts, 11) - expected).abs() < 1e-9);
        hosts[0].active = 2;
        assert!((cost(&p, &hosts, 11) - 3.0 * expected).abs() < 1e-9, "two under way and this one");
    }
}
