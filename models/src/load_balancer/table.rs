//! The algorithms: each keeps what it needs to choose in constant or logarithmic time, and rebuilds it on change.

use super::{Algorithm, Target};
use crate::maglev::{self, TableSize, mix64};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// Buckets of a router with resilient hashing: an assumption; NVIDIA Cumulus Linux allows 64 to 1024 (*Equal Cost
/// Multipath*, `resilient_hash_entries_ecmp`). More targets than buckets: some get nothing, as there.
const BUCKETS: usize = 1_024;

/// A target that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) target: Target,
    /// Half a SHA-256 of its name and the Service's address: its place in any order, and two hashes for Maglev.
    pub(super) rank: (u64, u64),
    pub(super) load: Load,
}

/// How busy a target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    pub(super) open: u32,
    /// The number of the choice that last fell on it.
    pub(super) chosen: u64,
}

/// One algorithm's state over the targets of one balancer node.
#[derive(Clone, Debug)]
pub(super) enum Table {
    Hash(Vec<Target>),
    Turns { list: Vec<Target>, last: Option<Target> },
    Least(BTreeSet<(Load, Target)>),
    Sample { choices: u32, list: Vec<(Target, Load)> },
    Circle { draws: u32, list: Vec<(Target, Load)>, points: Vec<(u32, usize)> },
    Source { consistent: bool, list: Vec<Target>, points: Vec<(u32, usize)> },
    Maglev { size: TableSize, list: Vec<Target>, table: maglev::Table },
    Leader { old: Option<Target>, new: Option<Target>, from: SimTime },
    Buckets(Vec<Target>),
}

impl Table {
    pub(super) fn new(algorithm: &Algorithm, size: Option<TableSize>) -> Self {
        match algorithm {
            Algorithm::FlowHash | Algorithm::Ecmp { resilient: false } => Self::Hash(Vec::new()),
            Algorithm::RoundRobin => Self::Turns { list: Vec::new(), last: None },
            Algorithm::LeastConnections => Self::Least(BTreeSet::new()),
            Algorithm::LeastRequest { choices } => Self::Sample { choices: choices.get(), list: Vec::new() },
            Algorithm::HaproxyRandom { draws } => Self::Circle { draws: draws.get(), list: Vec::new(), points: Vec::new() },
            Algorithm::HaproxySource { consistent } => Self::Source { consistent: *consistent, list: Vec::new(), points: Vec::new() },
            Algorithm::Maglev { .. } => {
                Self::Maglev { size: size.unwrap_or(TableSize::PAPER), list: Vec::new(), table: maglev::Table::default() }
            }
            Algorithm::Leader { .. } => Self::Leader { old: None, new: None, from: SimTime::ZERO },
            Algorithm::Ecmp { resilient: true } => Self::Buckets(Vec::new()),
        }
    }

    /// From `now` on `candidates`, in ascending order, may be chosen. A leader that takes over does so after `failover`.
    pub(super) fn rebuild(&mut self, candidates: &[Candidate], now: SimTime, failover: impl FnOnce() -> SimDuration) {
        let targets = || candidates.iter().map(|c| c.target).collect();
        match self {
            Self::Hash(list) | Self::Turns { list, .. } => *list = targets(),
            Self::Least(set) => *set = candidates.iter().map(|c| (c.load, c.target)).collect(),
            Self::Sample { list, .. } => *list = candidates.iter().map(|c| (c.target, c.load)).collect(),
            Self::Circle { list, points, .. } => {
                *list = candidates.iter().map(|c| (c.target, c.load)).collect();
                *points = haproxy_circle(list.iter().map(|(target, _)| *target));
            }
            Self::Source { list, points, .. } => (*list, *points) = (targets(), haproxy_circle(candidates.iter().map(|c| c.target))),
            Self::Maglev { size, list, table } => {
                let backends: Vec<_> = candidates.iter().map(|c| maglev::Backend::of(c.rank)).collect();
                (*list, *table) = (targets(), maglev::Table::build(&backends, *size));
            }
            Self::Leader { old, new, from } => {
                let first = candidates.iter().min_by_key(|c| c.rank).map(|c| c.target);
                if first == *new {
                    return;
                }
                let leads = if now < *from { *old } else { *new };
                // Whoever led may still get packets, if only there is a new leader: neighbours have to be told of a change.
                let after = if leads.is_some() && first.is_some() && first != leads { failover() } else { SimDuration::ZERO };
                (*old, *new, *from) = (leads, first, now + after);
            }
            Self::Buckets(buckets) => refill(buckets, &targets()),
        }
    }

    /// Where a packet goes if nothing is remembered of its flow, which has this `digest` and comes from `client`; none if there is no
    /// target or no function says so.
    #[inline]
    pub(super) fn pick(&self, digest: u64, client: IpAddr, now: SimTime) -> Option<Target> {
        match self {
            Self::Source { consistent: true, list, points } => list.get(nearest(points, full_hash(words(client)))?).copied(),
            Self::Source { consistent: false, list, .. } => list.get(words(client).checked_rem(list.len() as u32)? as usize).copied(),
            Self::Hash(list) | Self::Buckets(list) => list.get(digest.checked_rem(list.len() as u64)? as usize).copied(),
            Self::Maglev { list, table, .. } => table.lookup(digest).and_then(|i| list.get(i)).copied(),
            Self::Leader { old, new, from } => *if now < *from { old } else { new },
            Self::Turns { .. } | Self::Least(_) | Self::Sample { .. } | Self::Circle { .. } => None,
        }
    }

    /// The target of a new connection.
    #[inline]
    pub(super) fn take(&mut self, digest: u64, client: IpAddr, now: SimTime) -> Option<Target> {
        match self {
            Self::Turns { list, last } => {
                let after = last.map_or(0, |last| list.partition_point(|t| *t <= last));
                *last = list.get(after).or(list.first()).copied();
                *last
            }
            Self::Least(set) => set.first().map(|(_, target)| *target),
            Self::Sample { choices, list } => sample(digest, *choices, list),
            Self::Circle { draws, list, points } => {
                let draw = |i: u32| list.get(nearest(points, drawn(digest, i) as u32)?);
                // Among equals the last drawn.
                (1..=*draws).rev().filter_map(draw).min_by_key(|(_, load)| load.open).map(|(target, _)| *target)
            }
            _ => self.pick(digest, client, now),
        }
    }

    /// The load of `target` changed.
    #[inline]
    pub(super) fn reload(&mut self, target: Target, before: Load, after: Load) {
        if let Self::Least(set) = self
            && set.remove(&(before, target))
        {
            set.insert((after, target));
        } else if let Self::Sample { list, .. } | Self::Circle { list, .. } = self
            && let Ok(at) = list.binary_search_by_key(&target, |(t, _)| *t)
        {
            list[at].1 = after;
        }
    }
}

/// The least busy of `choices` draws with replacement, which the flow's `digest` decides; among equals the first drawn.
fn sample(digest: u64, choices: u32, list: &[(Target, Load)]) -> Option<Target> {
    let draw = |i: u32| list.get(drawn(digest, i).checked_rem(list.len() as u64)? as usize);
    (1..=choices).filter_map(draw).min_by_key(|(_, load)| load.open).map(|(target, _)| *target)
}

/// The `i`-th random number of a flow.
const fn drawn(digest: u64, i: u32) -> u64 {
    mix64(mix64(digest) ^ i as u64)
}

/// All targets' points on HAProxy's circle, each with the target's place in the list.
fn haproxy_circle(targets: impl Iterator<Item = Target>) -> Vec<(u32, usize)> {
    let mut points: Vec<_> = targets.enumerate().flat_map(|(i, target)| haproxy_points(target).map(move |p| (p, i))).collect();
    points.sort_unstable();
    points
}

/// An address as HAProxy hashes it: its words of 32 bits, by exclusive or (`get_server_sh`).
fn words(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => (0..4).fold(0, |h, i| h ^ (a.to_bits() >> (32 * i)) as u32),
    }
}

/// The places of a server of weight 1 on HAProxy's circle (`lb_chash.c`, `chash_init_server_tree`: `full_hash(puid * SRV_EWGHT_RANGE +
/// node)`, BE_WEIGHT_SCALE nodes). Servers are numbered from 1 in the order of their configuration, here of their creation.
fn haproxy_points(target: Target) -> impl Iterator<Item = u32> {
    const SRV_EWGHT_RANGE: u32 = 256 * 16;
    const BE_WEIGHT_SCALE: u32 = 16;
    let number = match target {
        Target::Node(node) => node.0,
        Target::Pod(pod) => pod.0,
    };
    let first = number.wrapping_add(1).wrapping_mul(SRV_EWGHT_RANGE);
    (0..BE_WEIGHT_SCALE).map(move |node| full_hash(first.wrapping_add(node)))
}

/// HAProxy's hash of a number (`include/haproxy/tools.h`, `__full_hash`; after Bob Jenkins).
const fn full_hash(a: u32) -> u32 {
    let a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    let a = (a ^ 0xc761_c23c) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// Whose point of the circle is nearest, the one before if both are as near (`chash_get_server_hash`).
fn nearest(points: &[(u32, usize)], place: u32) -> Option<usize> {
    let after = points.partition_point(|(point, _)| *point < place);
    let next = points.get(after).or(points.first())?;
    let before = if after == 0 { points.last()? } else { &points[after - 1] };
    Some(if place.wrapping_sub(before.0) <= next.0.wrapping_sub(place) { before.1 } else { next.1 })
}

/// Gives buckets to `targets` in equal parts, leaving as many as possible where they are.
fn refill(buckets: &mut Vec<Target>, targets: &[Target]) {
    let Some(&first) = targets.first() else { return buckets.clear() };
    let fresh = buckets.is_empty();
    buckets.resize(BUCKETS, first);
    let part = BUCKETS / targets.len();
    let mut larger_parts = BUCKETS % targets.len();
    let mut parts: BTreeMap<Target, usize> = targets.iter().map(|t| (*t, 0)).collect();
    let mut free = Vec::new();
    for (i, bucket) in buckets.iter().enumerate() {
        match parts.get_mut(bucket) {
            Some(held) if !fresh && *held < part => *held += 1,
            Some(held) if !fresh && *held == part && larger_parts > 0 => {
                *held += 1;
                larger_parts -= 1;
            }
            _ => free.push(i),
        }
    }
    let mut free = free.into_iter();
    for (target, held) in &mut parts {
        for bucket in free.by_ref().take(part.saturating_sub(*held)) {
            buckets[bucket] = *target;
            *held += 1;
        }
    }
    for ((target, _), bucket) in parts.iter().filter(|(_, held)| **held == part).zip(free) {
        buckets[bucket] = *target;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PodId;
    use std::net::Ipv4Addr;

    const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    fn pods(n: u32) -> Vec<Candidate> {
        (0..n).map(|i| Candidate { target: Target::Pod(PodId(i)), rank: (0, 0), load: Load::default() }).collect()
    }

    /// Where HAProxy 2.6.12 with four servers sent 40 addresses in a row, from 198.18.160.10 on, with `balance source`.
    #[test]
    fn haproxy_sends_an_address_where_it_was_measured_to() {
        let measured: [(bool, &str); 2] =
            [(true, "1330300330233130321000203321120003122112"), (false, "2301230123012301230123012301230123012301")];
        for (consistent, pods_of) in measured {
            let mut table = Table::new(&Algorithm::HaproxySource { consistent }, None);
            table.rebuild(&pods(4), SimTime::ZERO, || SimDuration::ZERO);
            for (i, pod) in pods_of.bytes().enumerate() {
                let client = IpAddr::V4(Ipv4Addr::new(198, 18, 160, 10 + i as u8));
                let expected = Some(Target::Pod(PodId(u32::from(pod - b'0'))));
                for digest in [0, 7] {
                    assert_eq!(table.take(digest, client, SimTime::ZERO), expected, "{client}, consistent: {consistent}");
                }
            }
        }
    }

    /// As eight servers of HAProxy 2.6.12 got of 19,137 connections with `balance random(1)`, to within four standard errors.
    #[test]
    fn haproxy_spreads_as_unevenly_as_measured() {
        let measured = [2_577.0, 2_143.0, 2_265.0, 2_462.0, 2_840.0, 2_811.0, 2_079.0, 1_960.0];
        let mut table = Table::new(&Algorithm::HaproxyRandom { draws: std::num::NonZeroU32::MIN }, None);
        table.rebuild(&pods(8), SimTime::ZERO, || SimDuration::ZERO);
        let mut shares = [0.0f64; 8];
        for digest in 0..1_000_000u64 {
            if let Some(Target::Pod(pod)) = table.take(mix64(digest), NOBODY, SimTime::ZERO) {
                shares[pod.0 as usize] += 1e-6;
            }
        }
        let n: f64 = 19_137.0;
        for (share, count) in shares.iter().zip(measured) {
            let off = (count / n - share) / (share * (1.0 - share) / n).sqrt();
            assert!(off.abs() < 4.0, "{share} {}: {off} standard errors", count / n);
        }
        let even = shares.iter().map(|s| (s - 0.125) * (s - 0.125) / 0.125).sum::<f64>() * n;
        assert!(even > 200.0, "no random split: chi-squared {even} of 7 degrees of freedom");
        let hottest = shares.iter().copied().fold(0.0, f64::max);
        assert!((0.8 * 8.0 * hottest - 0.96).abs() < 0.005, "at a load of 0.8 the hottest is at {}", 0.8 * 8.0 * hottest);
    }

    #[test]
    fn of_two_draws_the_less_busy_is_taken() {
        let busy = Load { open: 5, chosen: 0 };
        let list: Vec<Candidate> =
            [(0, busy), (1, Load::default())].map(|(i, load)| Candidate { target: Target::Pod(PodId(i)), rank: (0, 0), load }).into();
        let share = |draws: u32| {
            let draws = std::num::NonZeroU32::new(draws).expect("some");
            let mut table = Table::new(&Algorithm::HaproxyRandom { draws }, None);
            table.rebuild(&list, SimTime::ZERO, || SimDuration::ZERO);
            (0..10_000u64).filter(|d| table.take(mix64(*d), NOBODY, SimTime::ZERO) == Some(Target::Pod(PodId(0)))).count() as f64 / 1e4
        };
        let alone = share(1);
        assert!((share(2) - alone * alone).abs() < 0.02, "only if both draws fall on it: {} of {alone}", share(2));
    }
}
