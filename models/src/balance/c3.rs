//! C3's replica ranking: the host with the least `R - T + q^3 T`, where R is the mean response time seen here, T the mean service
//! time that its answers tell, and q an estimate of its queue, `1 + os n + Q`: os requests under way from here, times n instances, and
//! the mean queue Q that its answers tell. The cube makes long queues costlier than their length.
//!
//! Source: Suresh et al., *C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection*, NSDI 2015, section 3.1:
//! b = 3, n the number of clients. Means are exponential with this weight of the last (an assumption: the paper's implementation
//! keeps 0.9 of the old one). Omitted: the rate control of section 3.2.

use super::{Answer, Ask, Host, Knows, Picker, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// Weight of the last value in each mean.
const LAST: f64 = 0.1;

/// `c3: {exponent: 3}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "C3Policy")]
pub struct Spec {
    /// Of the queue: 3 in the paper, 1 is the expected wait.
    pub exponent: f64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { exponent: 3.0 }
    }
}

impl Spec {
    /// Answers, and what they tell of their Pods.
    pub const KNOWS: Knows = Knows::ANSWERS;

    pub(super) fn build(&self, field: &str) -> Result<C3, SpecError> {
        if !(0.0..=10.0).contains(&self.exponent) {
            let problem = format!("an exponent of {}; expected 0 to 10", self.exponent);
            return Err(SpecError::new(format!("{field}.exponent"), problem, "leave it out for 3"));
        }
        Ok(C3 { exponent: self.exponent, known: Vec::new() })
    }
}

/// Means, in seconds and requests.
#[derive(Clone, Copy, Debug)]
struct Means {
    response: f64,
    service: f64,
    queue: f64,
}

/// What is known of each host; nothing before its first answer.
#[derive(Clone, Debug)]
pub struct C3 {
    exponent: f64,
    known: Vec<Option<Means>>,
}

impl C3 {
    /// Who has not answered yet comes first, while nothing is under way to it.
    fn score(&self, ask: &Ask<'_>, host: usize) -> f64 {
        let under_way = f64::from(ask.hosts()[host].active);
        let Some(known) = self.known[host] else { return under_way - 1e9 };
        let queue = 1.0 + under_way * f64::from(ask.instances()) + known.queue;
        known.response - known.service + libm::pow(queue, self.exponent) * known.service
    }
}

impl Picker for C3 {
    fn changed(&mut self, _hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        self.known = carried(&self.known, before, |_| None);
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len();
        let scores: Vec<f64> = (0..n).map(|at| self.score(ask, at)).collect();
        let least = scores.iter().copied().min_by(f64::total_cmp)?;
        let alike: Vec<usize> = (0..n).filter(|at| scores[*at] == least).collect();
        alike.get(stream.below(alike.len() as u32) as usize).copied()
    }

    fn answered(&mut self, host: usize, answer: &Answer) {
        let Some(report) = answer.report else { return };
        let new =
            Means { response: answer.latency.as_secs_f64(), service: report.service.as_secs_f64(), queue: f64::from(report.in_flight) };
        let mean = |old: f64, new: f64| old + LAST * (new - old);
        self.known[host] = Some(self.known[host].map_or(new, |old| Means {
            response: mean(old.response, new.response),
            service: mean(old.service, new.service),
            queue: mean(old.queue, new.queue),
        }));
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|at| self.score(ask, at)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{answered, ask, hosts};

    #[test]
    fn the_score_is_the_papers() {
        let mut hosts = hosts(2);
        let mut c3 = Spec::default().build("").expect("defaults");
        c3.changed(&hosts, &[None, None], SimTime::ZERO);
        let mut answer = answered(20, 4);
        answer.report.as_mut().expect("a report").in_flight = 2;
        c3.answered(0, &answer);
        hosts[0].active = 1;
        let q: f64 = 1.0 + 1.0 * 5.0 + 2.0;
        let score = c3.score(&ask(&hosts, 0, SimTime::ZERO).among(5), 0);
        assert!((score - (0.020 - 0.004 + q * q * q * 0.004)).abs() < 1e-12, "{score}");
        assert!(c3.score(&ask(&hosts, 0, SimTime::ZERO), 1) < score, "unknown: first");
    }
}
