//! A consistent-hash ring: each host has points on a circle, and a request goes to the host of the next point after its hash. When a
//! host leaves, only its own requests move.
//!
//! Source: Karger et al. 1997, *Consistent Hashing and Random Trees*; libketama (160 points a host of mean weight); Envoy
//! `ring_hash_lb.cc` (points in proportion to weights, `address_i` hashed). The hash is FNV-1a with a 64-bit finaliser instead of
//! MD5 or xxHash: points are elsewhere, and as even.

use super::{Ask, Host, Knows, Picker};
use crate::maglev::mix64;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::{Stream, entity};

/// `ring: {points: 160}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "RingPolicy")]
pub struct Spec {
    /// Points of a host of mean weight.
    pub points: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self { points: 160 }
    }
}

impl Spec {
    /// What is hashed.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::HASH };

    pub(super) fn build(&self, field: &str) -> Result<Ring, SpecError> {
        if self.points == 0 || self.points > 100_000 {
            let problem = format!("{} points; expected 1 to 100000", self.points);
            return Err(SpecError::new(format!("{field}.points"), problem, "leave it out for 160, as libketama has"));
        }
        Ok(Ring { points: self.points, circle: Vec::new() })
    }
}

/// Points on the circle in order, each with its host.
#[derive(Clone, Debug)]
pub struct Ring {
    points: u32,
    circle: Vec<(u64, usize)>,
}

impl Ring {
    /// The hosts from a place on the circle on; some come again and again.
    pub(super) fn from(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.circle.partition_point(|(point, _)| *point < hash);
        (0..self.circle.len()).map(move |i| self.circle[(start + i) % self.circle.len()].1)
    }
}

impl Picker for Ring {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        let total: u64 = hosts.iter().map(|h| u64::from(h.weight)).sum();
        let share = |h: &Host| (u64::from(self.points) * hosts.len() as u64 * u64::from(h.weight)).checked_div(total).unwrap_or(0);
        let points = |(at, h): (usize, &Host)| {
            let n = if h.weight == 0 { 0 } else { share(h).max(1) };
            let address = h.address.clone();
            (0..n).map(move |i| (mix64(entity(&format!("{address}_{i}"))), at))
        };
        self.circle = hosts.iter().enumerate().flat_map(points).collect();
        self.circle.sort_unstable();
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        self.from(ask.hash()).next()
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{moved_when_one_leaves, shares, weighted};

    #[test]
    fn only_the_requests_of_who_leaves_move() {
        let (own, others) = moved_when_one_leaves("ring", 10);
        assert!(others == 0 && own > 0);
    }

    /// With v points a host the share has a coefficient of variation of about 1/sqrt(v): 8 % for 160.
    #[test]
    fn shares_are_even_to_a_few_percent_and_by_weight() {
        assert!(shares("ring", &weighted(&[1; 10])).iter().all(|s| (s - 0.1).abs() < 0.03));
        let by_weight = shares("ring", &weighted(&[1, 3, 0]));
        assert!((by_weight[1] - 0.75).abs() < 0.08 && by_weight[2] == 0.0, "{by_weight:?}");
    }
}
