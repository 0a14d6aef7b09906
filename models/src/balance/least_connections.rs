//! Least connections: the host with the least load by weight, and of several the one that was chosen longest ago, so that idle hosts
//! take turns.
//!
//! Source: HAProxy `balance leastconn` (`lb_fwlc.c`: a tree by `(served + queued) / weight`, into which a host is put back behind its
//! equals whenever it gets a connection).

use super::{Ask, Host, Knows, Picker, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `leastConnections`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "LeastConnectionsPolicy")]
pub struct Spec {}

impl Spec {
    /// Loads.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::LOADS };

    pub(super) fn build(&self, _field: &str) -> Result<LeastConnections, SpecError> {
        Ok(LeastConnections::default())
    }
}

/// When each host was chosen last.
#[derive(Clone, Debug, Default)]
pub struct LeastConnections {
    chosen: Vec<u64>,
    choices: u64,
}

impl Picker for LeastConnections {
    fn changed(&mut self, _hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        self.chosen = carried(&self.chosen, before, |_| 0);
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let cost = |at: usize| f64::from(ask.load(at)) / ask.weight(at);
        let usable = (0..ask.hosts().len()).filter(|at| ask.weight(*at) > 0.0);
        let best = usable.min_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(self.chosen[*a].cmp(&self.chosen[*b])))?;
        self.choices += 1;
        self.chosen[best] = self.choices;
        Some(best)
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|at| f64::from(ask.load(at)) / ask.weight(at)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{sequence, weighted};

    #[test]
    fn equals_take_turns() {
        let mut hosts = weighted(&[1, 1, 2, 0]);
        assert_eq!(sequence("leastConnections", &hosts, 6), [0, 1, 2, 0, 1, 2]);
        (hosts[0].active, hosts[1].active, hosts[2].active) = (1, 2, 3);
        assert_eq!(sequence("leastConnections", &hosts, 2), [0, 0], "1/1 < 3/2 < 2/1");
    }
}
