//! The algorithms: each keeps what it needs to choose in constant or logarithmic time, and rebuilds it on change.

use super::{Algorithm, Target};
use crate::maglev::{self, TableSize, mix64};
use std::collections::{BTreeMap, BTreeSet};
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

    /// Where a packet goes if nothing is remembered of its flow; none if there is no target or no function says so.
    #[inline]
    pub(super) fn pick(&self, digest: u64, now: SimTime) -> Option<Target> {
        match self {
            Self::Hash(list) | Self::Buckets(list) => list.get(digest.checked_rem(list.len() as u64)? as usize).copied(),
            Self::Maglev { list, table, .. } => table.lookup(digest).and_then(|i| list.get(i)).copied(),
            Self::Leader { old, new, from } => *if now < *from { old } else { new },
            Self::Turns { .. } | Self::Least(_) | Self::Sample { .. } => None,
        }
    }

    /// The target of a new connection.
    #[inline]
    pub(super) fn take(&mut self, digest: u64, now: SimTime) -> Option<Target> {
        match self {
            Self::Turns { list, last } => {
                let after = last.map_or(0, |last| list.partition_point(|t| *t <= last));
                *last = list.get(after).or(list.first()).copied();
                *last
            }
            Self::Least(set) => set.first().map(|(_, target)| *target),
            Self::Sample { choices, list } => sample(digest, *choices, list),
            _ => self.pick(digest, now),
        }
    }

    /// The load of `target` changed.
    #[inline]
    pub(super) fn reload(&mut self, target: Target, before: Load, after: Load) {
        if let Self::Least(set) = self
            && set.remove(&(before, target))
        {
            set.insert((after, target));
        } else if let Self::Sample { list, .. } = self
            && let Ok(at) = list.binary_search_by_key(&target, |(t, _)| *t)
        {
            list[at].1 = after;
        }
    }
}

/// The least busy of `choices` draws with replacement, which the flow's `digest` decides; among equals the first drawn.
fn sample(digest: u64, choices: u32, list: &[(Target, Load)]) -> Option<Target> {
    let draw = |i: u32| list.get(mix64(mix64(digest) ^ u64::from(i)).checked_rem(list.len() as u64)? as usize);
    (1..=choices).filter_map(draw).min_by_key(|(_, load)| load.open).map(|(target, _)| *target)
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
