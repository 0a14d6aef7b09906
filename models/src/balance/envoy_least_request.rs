//! Least request as Envoy has it. Where all weights are alike, the least busy of some hosts drawn at random, with replacement, the
//! first drawn of several alike. Where they are not, earliest deadline first by `weight / (active + 1)^bias`, taken when a host gets
//! its next turn, which may be long before that turn.
//!
//! Source: Envoy `least_request_lb.cc` (`unweightedHostPickNChoices`, `hostWeight`), `choice_count` 2, `active_request_bias` 1.

use super::edf::Schedule;
use super::seen::alike;
use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `envoyLeastRequest: {choices: 2, activeRequestBias: 1}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "EnvoyLeastRequestPolicy")]
pub struct Spec {
    /// Hosts drawn where weights are alike.
    pub choices: NonZeroU32,
    /// How much a request under way lowers a host's weight where weights differ; 0: not at all.
    pub active_request_bias: f64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { choices: NonZeroU32::MIN.saturating_add(1), active_request_bias: 1.0 }
    }
}

impl Spec {
    /// Loads.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::LOADS };

    pub(super) fn build(&self, field: &str) -> Result<EnvoyLeastRequest, SpecError> {
        if !(0.0..=100.0).contains(&self.active_request_bias) {
            let problem = format!("a bias of {}; expected 0 to 100", self.active_request_bias);
            return Err(SpecError::new(format!("{field}.activeRequestBias"), problem, "leave it out for 1"));
        }
        Ok(EnvoyLeastRequest { spec: self.clone(), alike: true, schedule: None })
    }
}

/// Its schedule, where weights differ.
#[derive(Clone, Debug)]
pub struct EnvoyLeastRequest {
    spec: Spec,
    alike: bool,
    schedule: Option<Schedule>,
}

impl Picker for EnvoyLeastRequest {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.alike = alike(hosts);
        self.schedule = None;
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len() as u32;
        if self.alike && !ask.weights_change() {
            let mut drawn = (0..self.spec.choices.get()).map(|_| stream.below(n) as usize);
            let first = drawn.next()?;
            return Some(drawn.fold(first, |best, host| if ask.load(host) < ask.load(best) { host } else { best }));
        }
        let bias = self.spec.active_request_bias;
        let weight = |host| ask.weight(host) / libm::pow(f64::from(ask.load(host)) + 1.0, bias);
        self.schedule.get_or_insert_with(|| Schedule::turned(n as usize, weight, stream)).next(weight)
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|host| f64::from(ask.load(host)) / ask.weight(host)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{hosts, sequence, weighted};

    #[test]
    fn the_less_busy_of_two_is_chosen_and_may_be_drawn_twice() {
        let mut hosts = hosts(2);
        hosts[0].active = 3;
        let busy = sequence("envoyLeastRequest", &hosts, 4_000).iter().filter(|p| **p == 0).count();
        // Both draws fall on it: a quarter; standard error 27.
        assert!(busy.abs_diff(1_000) < 110, "{busy}");
    }

    #[test]
    fn unequal_weights_are_shares_lowered_by_what_is_under_way() {
        let count = |hosts: &[_]| sequence("envoyLeastRequest", hosts, 4_000).iter().filter(|p| **p == 0).count();
        let mut hosts = weighted(&[3, 1]);
        assert!(count(&hosts).abs_diff(3_000) < 5);
        hosts[0].active = 2;
        assert!(count(&hosts).abs_diff(2_000) < 5, "3 / (2 + 1) against 1 / (0 + 1)");
    }
}
