//! Least response time: the host with the least product of mean response time and requests under way, this one included.
//!
//! Source: Citrix NetScaler, *The least response time method* (active transactions times response time); nginx Plus `least_time`.
//! Both average over recent requests; that it is by exponential smoothing, with this much weight of the last, is an assumption. Who
//! has not answered yet counts as answering at once, so that it is tried.

use super::{Answer, Ask, Host, Knows, Picker, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `leastResponseTime: {weight: 0.1}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "LeastResponseTimePolicy")]
pub struct Spec {
    /// Weight of the last answer in the mean.
    pub weight: f64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { weight: 0.1 }
    }
}

impl Spec {
    /// Answers.
    pub const KNOWS: Knows = Knows::ANSWERS;

    pub(super) fn build(&self, field: &str) -> Result<LeastResponseTime, SpecError> {
        if !(self.weight > 0.0 && self.weight <= 1.0) {
            let problem = format!("a weight of {}; expected more than 0 and at most 1", self.weight);
            return Err(SpecError::new(format!("{field}.weight"), problem, "leave it out for 0.1"));
        }
        Ok(LeastResponseTime { weight: self.weight, means: Vec::new() })
    }
}

/// Mean response times, ns; none before the first answer.
#[derive(Clone, Debug)]
pub struct LeastResponseTime {
    weight: f64,
    means: Vec<Option<f64>>,
}

impl LeastResponseTime {
    fn cost(&self, ask: &Ask<'_>, host: usize) -> f64 {
        self.means[host].unwrap_or(0.0) * (f64::from(ask.load(host)) + 1.0)
    }
}

impl Picker for LeastResponseTime {
    fn changed(&mut self, _hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        self.means = carried(&self.means, before, |_| None);
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let least = (0..ask.hosts().len()).map(|at| self.cost(ask, at)).min_by(f64::total_cmp)?;
        let alike: Vec<usize> = (0..ask.hosts().len()).filter(|at| self.cost(ask, *at) == least).collect();
        alike.get(stream.below(alike.len() as u32) as usize).copied()
    }

    fn answered(&mut self, host: usize, answer: &Answer) {
        let latency = answer.latency.as_nanos() as f64;
        self.means[host] = Some(self.means[host].map_or(latency, |mean| mean + self.weight * (latency - mean)));
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|at| self.cost(ask, at)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{answered, ask, chance, hosts, picker};
    use svcsim_engine::SimTime;

    #[test]
    fn who_answered_faster_is_chosen_until_it_is_busier() {
        let mut hosts = hosts(2);
        let mut picker = picker(&"leastResponseTime".parse().expect("a word"), &hosts);
        picker.answered(0, &answered(10, 1));
        picker.answered(1, &answered(25, 1));
        let mut choose = |hosts: &[_]| picker.pick(&ask(hosts, 0, SimTime::ZERO), &mut chance(1));
        assert_eq!(choose(&hosts), Some(0));
        hosts[0].active = 2;
        assert_eq!(choose(&hosts), Some(1), "10 ms x 3 against 25 ms");
    }
}
