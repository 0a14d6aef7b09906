//! Static round robin: turn after turn through a fixed list in which each host stands as often as its weight, spread out. A weight
//! changes only when the hosts do: no slow start.
//!
//! Source: HAProxy `balance static-rr` (`lb_map.c`, `recalc_server_map`: each place goes to the host that is owed most).

use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// Most places: weights beyond that are scaled down.
const PLACES: u64 = 100_000;

/// `staticRr`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "StaticRrPolicy")]
pub struct Spec {}

impl Spec {
    /// Nothing but its own last choice.
    pub const KNOWS: Knows = Knows::WEIGHTS;

    pub(super) fn build(&self, _field: &str) -> Result<StaticRr, SpecError> {
        Ok(StaticRr { map: Vec::new(), next: 0 })
    }
}

/// The list, and whose turn it is.
#[derive(Clone, Debug)]
pub struct StaticRr {
    map: Vec<usize>,
    next: usize,
}

impl Picker for StaticRr {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.map = map(hosts);
    }

    fn pick(&mut self, _ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let at = self.next % self.map.len().max(1);
        self.next = at + 1;
        self.map.get(at).copied()
    }
}

/// Each host as often as its weight, spread out: each place goes to who is owed most, the first of several.
pub(super) fn map(hosts: &[Host]) -> Vec<usize> {
    let total: u64 = hosts.iter().map(|h| u64::from(h.weight)).sum();
    let scale = total.div_ceil(PLACES).max(1);
    let weights: Vec<i64> = hosts.iter().map(|h| u64::from(h.weight).div_ceil(scale) as i64).collect();
    let places: i64 = weights.iter().sum();
    let mut owed = vec![0; hosts.len()];
    let mut place = || {
        owed.iter_mut().zip(&weights).for_each(|(o, w)| *o += w);
        let most = (0..hosts.len()).filter(|at| weights[*at] > 0).max_by_key(|at| (owed[*at], std::cmp::Reverse(*at)))?;
        owed[most] -= places;
        Some(most)
    };
    (0..places).map_while(|_| place()).collect()
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{sequence, weighted};

    #[test]
    fn turns_are_by_weight() {
        assert_eq!(sequence("staticRr", &weighted(&[2, 1, 0]), 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(sequence("staticRr", &weighted(&[1, 1, 1]), 4), [0, 1, 2, 0]);
        assert_eq!(sequence("staticRr", &weighted(&[4_000_000, 4_000_000]), 4), [0, 1, 0, 1]);
    }
}
