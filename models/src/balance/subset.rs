//! Subsets: an instance knows only some of the hosts, so that not everybody has connections to everybody.

use super::{Host, Instance};
use crate::maglev::mix64;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::entity;

/// `subset: {random: {size: 20}}`, `subset: {aperture: {size: 12}}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SubsetSpec {
    /// Each instance draws its hosts by itself: some are in many subsets, some in none. Drawn by rendezvous hashing, so that a host
    /// that comes or goes changes no more than it must.
    Random {
        /// Hosts of each instance.
        size: u32,
    },
    /// Instances and hosts stand evenly on two rings; each instance uses the hosts beside it, those at its edges in part. Together
    /// instances cover all hosts alike (Finagle, *Deterministic aperture*, `DeterministicAperture.scala`). Parts become weights, which
    /// only policies that heed weights heed.
    Aperture {
        /// Hosts of each instance, at least.
        size: u32,
    },
}

impl SubsetSpec {
    /// Finds what makes no sense of it, where there are `hosts` hosts.
    ///
    /// # Errors
    /// What that is, below `field`.
    pub fn check(self, field: &str, hosts: usize) -> Result<(), SpecError> {
        let (Self::Random { size } | Self::Aperture { size }) = self;
        if size == 0 || size as usize > hosts {
            let problem = format!("a subset of {size} of {hosts} Pods; expected 1 to {hosts}");
            return Err(SpecError::new(format!("{field}.size"), problem, "give a smaller size, or leave `subset` out"));
        }
        Ok(())
    }

    /// The hosts, in the order of their addresses, that the instance uses.
    pub(super) fn of(self, hosts: Vec<Host>, instance: &Instance) -> Vec<Host> {
        match self {
            Self::Random { size } => random(hosts, size as usize, instance.index),
            Self::Aperture { size } => aperture(hosts, size as usize, instance),
        }
    }
}

fn random(hosts: Vec<Host>, size: usize, index: u32) -> Vec<Host> {
    let mut ranked: Vec<(u64, Host)> = hosts.into_iter().map(|h| (mix64(entity(&h.address) ^ mix64(u64::from(index) + 1)), h)).collect();
    ranked.sort_by_key(|(rank, h)| (*rank, h.id));
    ranked.truncate(size);
    ranked.sort_by_key(|(_, h)| h.id);
    ranked.into_iter().map(|(_, h)| h).collect()
}

/// Weights are in thousandths.
const WHOLE: f64 = 1_000.0;

fn aperture(hosts: Vec<Host>, size: usize, instance: &Instance) -> Vec<Host> {
    let n = hosts.len() as f64;
    let peers = f64::from(instance.of.max(1));
    // As many peers' widths as hold `size` hosts, so that all hosts are covered alike.
    let width = (libm::ceil(size as f64 / n * peers - 1e-9) / peers).min(1.0);
    let start = f64::from(instance.index % instance.of.max(1)) / peers;
    let covered = |at: usize| -> f64 {
        let (from, to) = (at as f64 / n, (at as f64 + 1.0) / n);
        let overlap = |shift: f64| ((start + width + shift).min(to) - (start + shift).max(from)).max(0.0);
        (overlap(0.0) + overlap(-1.0)) * n
    };
    let in_part = |(at, h): (usize, Host)| {
        let part = covered(at).min(1.0);
        (part > 1e-9).then(|| Host { weight: ((f64::from(h.weight) * part * WHOLE + 0.5) as u32).max(u32::from(h.weight > 0)), ..h })
    };
    hosts.into_iter().enumerate().filter_map(in_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::hosts;

    fn instance(index: u32, of: u32) -> Instance {
        Instance { index, of, ..Instance::default() }
    }

    #[test]
    fn random_subsets_have_their_size_and_change_little() {
        let used =
            |hosts: Vec<Host>| -> Vec<u32> { SubsetSpec::Random { size: 4 }.of(hosts, &instance(2, 9)).iter().map(|h| h.id.0).collect() };
        let all = used(hosts(20));
        assert_eq!(all.len(), 4);
        let gone = all[1];
        let left = used(hosts(20).into_iter().filter(|h| h.id.0 != gone).collect());
        assert_eq!(left.iter().filter(|id| all.contains(id)).count(), 3, "one takes its place");
        assert_ne!(all, SubsetSpec::Random { size: 4 }.of(hosts(20), &instance(3, 9)).iter().map(|h| h.id.0).collect::<Vec<_>>());
    }

    /// Four instances over ten hosts, three hosts each at least: two quarters of the ring each, five hosts, all covered twice.
    #[test]
    fn apertures_cover_all_hosts_alike() {
        let mut covered = [0; 10];
        for i in 0..4 {
            let used = SubsetSpec::Aperture { size: 3 }.of(hosts(10), &instance(i, 4));
            used.iter().for_each(|h| covered[h.id.0 as usize] += h.weight);
            assert!(used.len() >= 3 && used.len() <= 6, "{}", used.len());
        }
        assert!(covered.iter().all(|c| (1_997..=2_003).contains(c)), "{covered:?}");
    }
}
