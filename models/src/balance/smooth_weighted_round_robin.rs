//! Smooth weighted round robin: in proportion to weights, and spread out: 5, 1, 1 gives a a b a c a a.
//!
//! Source: nginx `ngx_http_upstream_round_robin.c` (`ngx_http_upstream_get_peer`): each host's current weight grows by its weight,
//! the greatest is chosen, the first of several, and loses the sum of all weights. Omitted: nginx lowers the weights of hosts that
//! fail (`effective_weight`).

use super::{Ask, Host, Knows, Picker, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `smoothWeightedRoundRobin`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "SmoothWeightedRoundRobinPolicy")]
pub struct Spec {}

impl Spec {
    /// Nothing but its own choices.
    pub const KNOWS: Knows = Knows::WEIGHTS;

    pub(super) fn build(&self, _field: &str) -> Result<SmoothWeightedRoundRobin, SpecError> {
        Ok(SmoothWeightedRoundRobin::default())
    }
}

/// Current weights, by host.
#[derive(Clone, Debug, Default)]
pub struct SmoothWeightedRoundRobin {
    current: Vec<f64>,
}

impl Picker for SmoothWeightedRoundRobin {
    fn changed(&mut self, _hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        self.current = carried(&self.current, before, |_| 0.0);
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let mut total = 0.0;
        let mut best: Option<usize> = None;
        for at in 0..self.current.len() {
            let weight = ask.weight(at);
            total += weight;
            self.current[at] += weight;
            if weight > 0.0 && best.is_none_or(|b| self.current[at] > self.current[b]) {
                best = Some(at);
            }
        }
        self.current[best?] -= total;
        best
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{sequence, weighted};

    /// The sequences in the commit message of nginx (changeset 52327e0627383dbda1e8d4e7b47e8e6ee1c1eea1) and by hand.
    #[test]
    fn known_sequences() {
        assert_eq!(sequence("smoothWeightedRoundRobin", &weighted(&[5, 1, 1]), 14), [0, 0, 1, 0, 2, 0, 0].repeat(2));
        assert_eq!(sequence("smoothWeightedRoundRobin", &weighted(&[4, 3, 2]), 9), [0, 1, 2, 0, 1, 0, 2, 1, 0]);
        assert_eq!(sequence("smoothWeightedRoundRobin", &weighted(&[1, 0, 1]), 4), [0, 2, 0, 2]);
    }
}
