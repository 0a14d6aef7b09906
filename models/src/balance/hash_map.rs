//! Hash by a map: the request's hash modulo all weights says which place of a fixed list. Cheap and even, and a change of the hosts
//! moves nearly everybody.
//!
//! Source: HAProxy `hash-type map-based` (`lb_map.c`), its default for `balance source`, `uri` and `hdr`; nginx `ip_hash` is alike.

use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `hashMap`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "HashMapPolicy")]
pub struct Spec {}

impl Spec {
    /// What is hashed.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::HASH };

    pub(super) fn build(&self, _field: &str) -> Result<HashMap, SpecError> {
        Ok(HashMap { map: Vec::new() })
    }
}

/// Hosts, each as often as its weight.
#[derive(Clone, Debug)]
pub struct HashMap {
    map: Vec<usize>,
}

impl Picker for HashMap {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.map = super::static_rr::map(hosts);
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        self.map.get(ask.hash().checked_rem(self.map.len() as u64)? as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{moved_when_one_leaves, shares, weighted};

    /// Of the others' requests 8/9 go elsewhere, modulo 9 instead of 10.
    #[test]
    fn shares_are_by_weight_and_nearly_all_move() {
        assert!((shares("hashMap", &weighted(&[1, 3]))[1] - 0.75).abs() < 0.01);
        let (own, others) = moved_when_one_leaves("hashMap", 10);
        assert!(others > 7 * own, "{others} of the rest for {own} of its own");
    }
}
