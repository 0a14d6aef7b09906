//! Consistent hashing with bounded loads: along the ring from the request's hash, the first host that has less than `1 + epsilon`
//! times the mean load, this request included.
//!
//! Source: Mirrokni, Thorup and Zadimoghaddam 2018, *Consistent Hashing with Bounded Loads*; HAProxy `hash-balance-factor` (125 is
//! epsilon 0.25); Envoy `hash_balance_factor`.

use super::ring::{self, Ring};
use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `boundedLoads: {epsilon: 0.25, points: 160}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "BoundedLoadsPolicy")]
pub struct Spec {
    /// By how much a host may pass the mean.
    pub epsilon: f64,
    /// Points of each host on the ring.
    pub points: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self { epsilon: 0.25, points: 160 }
    }
}

impl Spec {
    /// What is hashed, and loads.
    pub const KNOWS: Knows = Knows { loads: true, weights: true, ..Knows::HASH };

    pub(super) fn build(&self, field: &str) -> Result<BoundedLoads, SpecError> {
        if !(self.epsilon > 0.0 && self.epsilon <= 1e6) {
            let problem = format!("an epsilon of {}; expected more than 0", self.epsilon);
            return Err(SpecError::new(format!("{field}.epsilon"), problem, "leave it out for 0.25"));
        }
        Ok(BoundedLoads { epsilon: self.epsilon, ring: ring::Spec { points: self.points }.build(field)? })
    }
}

/// The ring.
#[derive(Clone, Debug)]
pub struct BoundedLoads {
    epsilon: f64,
    ring: Ring,
}

impl Picker for BoundedLoads {
    fn changed(&mut self, hosts: &[Host], before: &[Option<usize>], now: SimTime) {
        self.ring.changed(hosts, before, now);
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let usable: Vec<usize> = (0..ask.hosts().len()).filter(|at| ask.weight(*at) > 0.0).collect();
        let all: u64 = usable.iter().map(|at| u64::from(ask.load(*at))).sum();
        let weights: f64 = usable.iter().map(|at| ask.weight(*at)).sum();
        let most = |at: usize| libm::ceil((1.0 + self.epsilon) * (all + 1) as f64 * ask.weight(at) / weights);
        self.ring.from(ask.hash()).find(|at| f64::from(ask.load(*at)) < most(*at))
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{ask, chance, hosts, picker};
    use svcsim_engine::SimTime;

    /// One key only: with four hosts and epsilon 0.25 the n-th request finds at most ceil(1.25 n / 4) anywhere.
    #[test]
    fn nobody_gets_more_than_its_bound() {
        let mut hosts = hosts(4);
        let mut picker = picker(&"boundedLoads".parse().expect("a word"), &hosts);
        for n in 1..=40u32 {
            let at = picker.pick(&ask(&hosts, 7, SimTime::ZERO), &mut chance(0)).expect("there is always room");
            hosts[at].active += 1;
            let most = hosts.iter().map(|h| h.active).max().expect("four");
            assert!(most <= (5 * n).div_ceil(16), "{n}: {most}");
        }
        assert_eq!(hosts.iter().filter(|h| h.active == 13).count(), 2, "and the first hosts get as much: {hosts:?}");
    }
}
