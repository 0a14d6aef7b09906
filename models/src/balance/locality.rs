//! Locality: an instance prefers the hosts of its own zone, as far as that is fair, or as far as they are well.

use super::{Host, Instance};
use crate::ids::ZoneId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// Which hosts are preferred, `locality:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LocalitySpec {
    /// None.
    #[default]
    None,
    /// Zone-aware routing: requests stay in their zone as far as its part of the hosts matches its part of the instances; what is too
    /// much goes to the zones that have more than their part (Envoy, *Zone aware routing*; `zone_aware_lb`, `regenerateLocality
    /// RoutingStructures`). Not with fewer than six hosts (`min_cluster_size`).
    ZoneAware,
    /// Priority levels: the own zone's hosts first, all others behind. A level takes 1.4 times the part of its hosts that are well
    /// (Envoy, *Priority levels*, `overprovisioning_factor` 140); what that leaves goes to the next.
    Failover,
}

/// Envoy `min_cluster_size`.
const FEWEST: usize = 6;
/// Envoy `overprovisioning_factor`, 140 %.
const OVERPROVISIONING: f64 = 1.4;

/// Hosts of one zone: those that may be chosen, and how many there are, well or not.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) zone: Option<ZoneId>,
    pub(super) well: usize,
    pub(super) all: usize,
}

impl LocalitySpec {
    /// The parts of an instance's requests that go to each zone; they add up to 1.
    pub(super) fn parts(self, zones: &[Zone], instance: &Instance) -> Vec<f64> {
        let well: usize = zones.iter().map(|z| z.well).sum();
        let even = || zones.iter().map(|z| z.well as f64 / well.max(1) as f64).collect();
        let Some(own) = zones.iter().position(|z| z.zone == instance.zone && instance.zone.is_some() && z.well > 0) else { return even() };
        match self {
            Self::None => even(),
            Self::ZoneAware if well < FEWEST => even(),
            Self::ZoneAware => {
                let upstream = |z: &Zone| z.well as f64 / well as f64;
                let peers: u32 = instance.peers.iter().map(|(_, n)| n).sum();
                let here =
                    |zone| instance.peers.iter().find(|(z, _)| *z == zone).map_or(0.0, |(_, n)| f64::from(*n) / f64::from(peers.max(1)));
                let stays = (upstream(&zones[own]) / here(instance.zone).max(1e-12)).min(1.0);
                let spare: Vec<f64> = zones.iter().map(|z| (upstream(z) - here(z.zone)).max(0.0)).collect();
                let others: f64 = spare.iter().enumerate().filter(|(i, _)| *i != own).map(|(_, s)| s).sum();
                let part = |i: usize| match (i == own, others > 0.0) {
                    (true, true) => stays,
                    (true, false) => 1.0,
                    (false, true) => (1.0 - stays) * spare[i] / others,
                    (false, false) => 0.0,
                };
                (0..zones.len()).map(part).collect()
            }
            Self::Failover => {
                let health = |well: usize, all: usize| (OVERPROVISIONING * well as f64 / all.max(1) as f64).min(1.0);
                let rest: (usize, usize) = (well - zones[own].well, zones.iter().map(|z| z.all).sum::<usize>() - zones[own].all);
                let first = health(zones[own].well, zones[own].all);
                let second = health(rest.0, rest.1).min(1.0 - first);
                let total = first + second;
                let part = |(i, z): (usize, &Zone)| match i == own {
                    true => first / total,
                    false => second / total * z.well as f64 / rest.0.max(1) as f64,
                };
                zones.iter().enumerate().map(part).collect()
            }
        }
    }
}

/// One of the parts, by chance.
pub(super) fn draw(parts: &[f64], stream: &mut Stream) -> usize {
    let mut left = stream.uniform();
    let mut last = 0;
    for (i, part) in parts.iter().enumerate().filter(|(_, part)| **part > 0.0) {
        last = i;
        left -= part;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Hosts by zone, in the order of zones.
pub(super) fn by_zone(hosts: Vec<Host>) -> Vec<(Option<ZoneId>, Vec<Host>)> {
    let mut zones: Vec<(Option<ZoneId>, Vec<Host>)> = Vec::new();
    for host in hosts {
        match zones.iter_mut().find(|(zone, _)| *zone == host.zone) {
            Some((_, of)) => of.push(host),
            None => zones.push((host.zone, vec![host])),
        }
    }
    zones.sort_by_key(|(zone, _)| *zone);
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(well_of_all: &[(usize, usize)]) -> Vec<Zone> {
        (0..).zip(well_of_all).map(|(i, (well, all))| Zone { zone: Some(ZoneId(i)), well: *well, all: *all }).collect()
    }

    fn parts(locality: LocalitySpec, well_of_all: &[(usize, usize)], peers: &[u32]) -> Vec<f64> {
        let peers = (0..).zip(peers).map(|(i, n)| (Some(ZoneId(i)), *n)).collect();
        let instance = Instance { index: 0, of: 1, zone: Some(ZoneId(0)), peers };
        let parts = locality.parts(&zones(well_of_all), &instance);
        parts.into_iter().map(|p| (p * 1e9).round() / 1e9).collect()
    }

    #[test]
    fn zone_aware_routing_stays_as_far_as_it_is_fair() {
        let zone_aware =
            |hosts: &[usize], peers: &[u32]| parts(LocalitySpec::ZoneAware, &hosts.iter().map(|n| (*n, *n)).collect::<Vec<_>>(), peers);
        assert_eq!(zone_aware(&[4, 4, 4], &[5, 5, 5]), [1.0, 0.0, 0.0], "as many hosts as instances: all stay");
        assert_eq!(zone_aware(&[2, 6, 4], &[1, 1, 1]), [0.5, 0.5, 0.0], "a sixth of the hosts for a third of the instances: half stay");
        assert_eq!(zone_aware(&[1, 2, 2], &[1, 1, 1]), [0.2, 0.4, 0.4], "too few hosts to tell zones apart");
        assert_eq!(zone_aware(&[0, 6, 6], &[1, 1, 1]), [0.0, 0.5, 0.5], "nobody here");
    }

    /// Envoy's table of two levels: with all well the first takes all; with half of it well 70 %; with none nothing.
    #[test]
    fn a_level_takes_as_much_as_it_is_well() {
        let two = |first: (usize, usize), second| parts(LocalitySpec::Failover, &[first, second], &[1, 1]);
        assert_eq!(two((10, 10), (10, 10)), [1.0, 0.0]);
        assert_eq!(two((8, 10), (10, 10)), [1.0, 0.0], "1.4 x 80 % is enough");
        assert_eq!(two((5, 10), (10, 10)), [0.7, 0.3]);
        assert_eq!(two((0, 10), (10, 10)), [0.0, 1.0]);
        assert_eq!(two((2, 10), (2, 10)), [0.5, 0.5], "both are ill: what is left is shared");
    }
}
