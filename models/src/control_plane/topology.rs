//! `service.kubernetes.io/topology-mode: Auto`: endpoints are shared out to zones in proportion to their CPU (KEP-2433).

use super::hints::clear;
use crate::api::{Endpoint, Hints};
use crate::ids::ZoneId;
use std::collections::BTreeMap;

/// How much more than its share of traffic an endpoint may get (EPS `topologycache/topologycache.go` `overloadThreshold`).
const OVERLOAD: f64 = 0.2;

/// What is known of a Node that could receive traffic's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCpu {
    /// Its zone label; none if unset or empty.
    pub zone: Option<ZoneId>,
    /// Allocatable CPU in thousandths.
    pub cpu_millis: Option<u64>,
    /// Its Ready condition.
    pub ready: bool,
    /// Whether it has a label of a control-plane Node.
    pub control_plane: bool,
}

/// Why a Service gets no hints (EPS `topologycache/event.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// There are no ratios: see [`cpu_ratios`].
    InsufficientNodeInfo,
    /// There are ratios for fewer than two zones.
    NodesReadyInOneZoneOnly,
    /// There are fewer ready endpoints than zones.
    FewerEndpointsThanZones,
    /// Some zone's endpoints would get more than their share and a fifth.
    OverloadThresholdExceeded,
    /// A ready endpoint has no zone.
    NoZoneSpecified,
}

impl Disabled {
    /// Its name in snake case.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::InsufficientNodeInfo => "insufficient_node_info",
            Self::NodesReadyInOneZoneOnly => "nodes_ready_in_one_zone_only",
            Self::FewerEndpointsThanZones => "fewer_endpoints_than_zones",
            Self::OverloadThresholdExceeded => "overload_threshold_exceeded",
            Self::NoZoneSpecified => "no_zone_specified",
        }
    }
}

/// Each zone's part of the CPU of ready Nodes that are not of the control plane (EPS `topologycache.go` `SetNodes`).
///
/// None, for all Services, if such a Node lacks a zone or CPU, or there are fewer than two zones.
#[must_use]
pub fn cpu_ratios(nodes: impl IntoIterator<Item = NodeCpu>) -> Option<BTreeMap<ZoneId, f64>> {
    let mut by_zone: BTreeMap<ZoneId, u128> = BTreeMap::new();
    for node in nodes.into_iter().filter(|n| n.ready && !n.control_plane) {
        let cpu = node.cpu_millis.filter(|cpu| *cpu > 0)?;
        *by_zone.entry(node.zone?).or_default() += u128::from(cpu);
    }
    let total: u128 = by_zone.values().sum();
    (by_zone.len() >= 2).then(|| by_zone.into_iter().map(|(zone, cpu)| (zone, cpu as f64 / total as f64)).collect())
}

/// How many of `endpoints` each zone should have (EPS `topologycache.go` `getAllocations`).
///
/// # Errors
/// When the zones' least numbers cannot all be met.
pub fn allocations(ratios: &BTreeMap<ZoneId, f64>, endpoints: usize) -> Result<BTreeMap<ZoneId, f64>, Disabled> {
    if ratios.len() < 2 {
        return Err(Disabled::NodesReadyInOneZoneOnly);
    }
    if ratios.len() > endpoints {
        return Err(Disabled::FewerEndpointsThanZones);
    }
    let share = |ratio: f64| {
        let desired = ratio * endpoints as f64;
        (desired, (desired * (1.0 / (1.0 + OVERLOAD))).ceil())
    };
    let least: f64 = ratios.values().map(|ratio| share(*ratio).1).sum();
    if least > endpoints as f64 {
        return Err(Disabled::OverloadThresholdExceeded);
    }
    let desired = |ratio: f64| {
        let (desired, least) = share(ratio);
        desired.max(least)
    };
    Ok(ratios.iter().map(|(zone, ratio)| (*zone, desired(*ratio))).collect())
}

/// How many endpoints zones give away and receive, so that what is allocated comes near what is desired
/// (EPS `topologycache/utils.go` `getGivingAndReceivingZones`).
///
/// Endpoints move one by one from the largest surplus to the largest deficit, until one of them is below one half or both
/// are below one. Among equals the first zone is taken; upstream takes any.
#[must_use]
pub fn giving_and_receiving(desired: &BTreeMap<ZoneId, f64>, allocated: &BTreeMap<ZoneId, i64>) -> [BTreeMap<ZoneId, usize>; 2] {
    let surplus = |(zone, desired): (&ZoneId, &f64)| (*zone, allocated.get(zone).copied().unwrap_or(0) as f64 - desired);
    let all: Vec<(ZoneId, f64)> = desired.iter().map(surplus).collect();
    let mut givers: Vec<_> = all.iter().copied().filter(|(_, n)| *n > 0.0).collect();
    let mut receivers: Vec<_> = all.iter().map(|(zone, n)| (*zone, -n)).filter(|(_, n)| *n > 0.0).collect();
    let [mut give, mut receive] = [BTreeMap::new(), BTreeMap::new()];
    while let (Some(giver), Some(receiver)) = (most(&mut givers), most(&mut receivers)) {
        if (giver.1 < 1.0 && receiver.1 < 1.0) || giver.1 < 0.5 || receiver.1 < 0.5 {
            break;
        }
        for (side, moved) in [(giver, &mut give), (receiver, &mut receive)] {
            side.1 -= 1.0;
            *moved.entry(side.0).or_insert(0) += 1;
        }
    }
    [give, receive]
}

/// The first of the largest.
fn most(zones: &mut [(ZoneId, f64)]) -> Option<&mut (ZoneId, f64)> {
    zones.iter_mut().reduce(|most, zone| if zone.1 > most.1 { zone } else { most })
}

/// Hints ready endpoints to zones, and counts those that are hinted to another than their own
/// (EPS `topologycache.go` `AddHints`, `utils.go` `redistributeHints`).
///
/// All endpoints are taken as newly written; slices whose old hints would still do are not kept apart.
/// A zone without ratio keeps its own endpoints.
///
/// # Errors
/// When the Service cannot have hints; then none are left.
pub fn add_hints(ratios: Option<&BTreeMap<ZoneId, f64>>, endpoints: &mut [Endpoint]) -> Result<usize, Disabled> {
    clear(endpoints);
    let ready = || endpoints.iter().filter(|e| e.conditions.ready);
    let desired = allocations(ratios.ok_or(Disabled::InsufficientNodeInfo)?, ready().count())?;
    let mut allocated = BTreeMap::new();
    for e in ready() {
        *allocated.entry(e.zone.ok_or(Disabled::NoZoneSpecified)?).or_insert(0) += 1;
    }
    let [mut give, mut receive] = giving_and_receiving(&desired, &allocated);
    let mut moved = 0;
    for e in endpoints.iter_mut().filter(|e| e.conditions.ready) {
        let Some(own) = e.zone else { continue };
        let to = if take(&mut give, own) { receive.keys().next().copied() } else { None };
        if let Some(to) = to {
            take(&mut receive, to);
            moved += 1;
        }
        e.hints = Hints { zones: vec![to.unwrap_or(own)], nodes: Vec::new() };
    }
    Ok(moved)
}

/// Takes one from what `zone` has, if it has any.
fn take(counts: &mut BTreeMap<ZoneId, usize>, zone: ZoneId) -> bool {
    let Some(count) = counts.get_mut(&zone) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&zone);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::tests::endpoint;

    fn zones<T: Copy>(values: &[T]) -> BTreeMap<ZoneId, T> {
        values.iter().zip(0..).map(|(v, i)| (ZoneId(i), *v)).collect()
    }

    #[test]
    fn one_counted_node_without_zone_or_cpu_disables_all() {
        let node = |zone: Option<u32>, cpu_millis| NodeCpu { zone: zone.map(ZoneId), cpu_millis, ready: true, control_plane: false };
        let good = [node(Some(0), Some(1000)), node(Some(1), Some(3000))];
        assert_eq!(cpu_ratios(good), Some(zones(&[0.25, 0.75])));
        for bad in [node(None, Some(1)), node(Some(0), Some(0)), node(Some(0), None)] {
            assert_eq!(cpu_ratios(good.into_iter().chain([bad])), None);
            let ignored = [NodeCpu { ready: false, ..bad }, NodeCpu { control_plane: true, ..bad }];
            assert_eq!(cpu_ratios(good.into_iter().chain(ignored)), Some(zones(&[0.25, 0.75])));
        }
        assert_eq!(cpu_ratios([good[0], good[0]]), None);
    }

    #[test]
    fn least_numbers_must_fit() {
        assert_eq!(allocations(&zones(&[0.5, 0.5]), 1), Err(Disabled::FewerEndpointsThanZones));
        assert_eq!(allocations(&zones(&[1.0]), 9), Err(Disabled::NodesReadyInOneZoneOnly));
        assert_eq!(allocations(&zones(&[0.5, 0.5]), 3), Err(Disabled::OverloadThresholdExceeded));
        assert_eq!(allocations(&zones(&[0.75, 0.25]), 3), Ok(zones(&[2.25, 1.0])), "raised to the least number");
    }

    #[test]
    fn surpluses_move_to_deficits_until_little_is_left() {
        let moves = |desired: &[f64], allocated: &[i64]| giving_and_receiving(&zones(desired), &zones(allocated));
        assert_eq!(moves(&[1.6, 0.4], &[2, 0]), [BTreeMap::new(), BTreeMap::new()]);
        assert_eq!(moves(&[1.4, 1.0], &[2, 0]), [zones(&[1]), [(ZoneId(1), 1)].into()]);
    }

    #[test]
    fn endpoints_without_zone_or_ratios_remove_all_hints() {
        let ratios = zones(&[0.5, 0.5]);
        let mut list: Vec<Endpoint> = (0..4).map(|i| endpoint(i, Some(0), true)).collect();
        assert_eq!(add_hints(Some(&ratios), &mut list), Ok(2));
        assert_eq!(list.iter().filter(|e| e.hints.zones == [ZoneId(1)]).count(), 2);
        list[3].zone = None;
        assert_eq!(add_hints(Some(&ratios), &mut list), Err(Disabled::NoZoneSpecified));
        assert!(list.iter().all(|e| e.hints == Hints::default()));
        assert_eq!(add_hints(None, &mut list), Err(Disabled::InsufficientNodeInfo));
    }

    #[test]
    fn a_zone_without_ratio_keeps_its_endpoints() {
        let mut list: Vec<Endpoint> = [0, 1, 9, 9].iter().zip(0..).map(|(z, i)| endpoint(i, Some(*z), true)).collect();
        assert_eq!(add_hints(Some(&zones(&[0.5, 0.5])), &mut list), Ok(0));
        assert_eq!(list[3].hints.zones, [ZoneId(9)]);
    }
}
