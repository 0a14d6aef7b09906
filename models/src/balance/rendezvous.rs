//! Rendezvous hashing: the host with the highest hash of itself and the request together.
//!
//! Source: Thaler and Ravishankar 1998, *Using Name-Based Mappings to Increase Hit Rates*; by weight `-w / ln(u)`: Schindelhauer and
//! Schomaker 2005, *Weighted Distributed Hash Tables*.

use super::{Ask, Host, Knows, Picker};
use crate::maglev::mix64;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::{Stream, entity};

/// `rendezvous`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "RendezvousPolicy")]
pub struct Spec {}

impl Spec {
    /// What is hashed.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::HASH };

    pub(super) fn build(&self, _field: &str) -> Result<Rendezvous, SpecError> {
        Ok(Rendezvous { names: Vec::new() })
    }
}

/// Hashes of the hosts.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    names: Vec<u64>,
}

impl Picker for Rendezvous {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.names = hosts.iter().map(|h| mix64(entity(&h.address))).collect();
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let score = |at: usize| {
            let bits = mix64(self.names[at] ^ ask.hash());
            let u = ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
            -ask.weight(at) / libm::log(u)
        };
        (0..self.names.len()).filter(|at| ask.weight(*at) > 0.0).max_by(|a, b| score(*a).total_cmp(&score(*b)))
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{moved_when_one_leaves, shares, weighted};

    #[test]
    fn shares_are_by_weight_and_only_the_requests_of_who_leaves_move() {
        let by_weight = shares("rendezvous", &weighted(&[1, 3, 0]));
        assert!((by_weight[1] - 0.75).abs() < 0.01 && by_weight[2] == 0.0, "{by_weight:?}");
        let (own, others) = moved_when_one_leaves("rendezvous", 10);
        assert!(others == 0 && own > 0);
    }
}
