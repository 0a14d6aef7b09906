//! The kernel's schedulers, `net/netfilter/ipvs/ip_vs_*.c`: each is a rule that picks from a list of destinations, and the
//! state that it keeps for one virtual server.
//!
//! Omitted: overload by connection thresholds, which kube-proxy does not set; expiry of `lblc` and `lblcr` entries that
//! nobody asked for during a day; `mh` beyond 4,093 destinations, where the kernel keeps its old table.

use super::super::Packet;
use super::destination::{Destination, Load};
use crate::ids::PodId;
use crate::maglev::{self, Backend, TableSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// kube-proxy's `ipvs.scheduler`. Destinations with weight 0 take nothing; all others have weight 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Round robin: the next in the list after the one last used (`ip_vs_rr.c`).
    #[default]
    Rr,
    /// Weighted round robin by greatest common divisor and maximum of the weights (`ip_vs_wrr.c`).
    Wrr,
    /// Least connections: least `256 active + inactive`, the first of equals (`ip_vs_lc.c`).
    Lc,
    /// The same, divided by weight (`ip_vs_wlc.c`).
    Wlc,
    /// A destination *address* sticks to a server until that has more active connections than weight while another has less
    /// than half of its weight; then to the least loaded one (`ip_vs_lblc.c`).
    Lblc,
    /// The same with a set of servers for each destination address: overload adds one, a day without change removes the most
    /// loaded (`ip_vs_lblcr.c`).
    Lblcr,
    /// Source hash: 256 buckets dealt out to the servers in turn, by source address (`ip_vs_sh.c`). A bucket whose server
    /// drains fails: kube-proxy sets no fallback.
    Sh,
    /// Destination hash: the same by destination address, so one server for each address of a Service (`ip_vs_dh.c`).
    Dh,
    /// Shortest expected delay: least `(active + 1) / weight` (`ip_vs_sed.c`).
    Sed,
    /// Never queue: the first without active connections, otherwise as `sed` (`ip_vs_nq.c`).
    Nq,
    /// Maglev: a table of 4,093 places by source address and port (`ip_vs_mh.c`; kube-proxy sets flag `mh-port`). Places of a
    /// server that drains fail, as under `sh`.
    Mh,
}

impl Scheduler {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Rr, Self::Wrr, Self::Lc, Self::Wlc, Self::Lblc, Self::Lblcr, Self::Sh, Self::Dh, Self::Sed, Self::Nq, Self::Mh];
}

/// What a scheduler keeps for one virtual server.
#[derive(Clone, Debug)]
pub(super) enum State {
    Rr {
        /// The one last used; none: the head of the list.
        last: Option<usize>,
    },
    Wrr(Wrr),
    Least(fn(Load) -> u64, Weighing),
    Nq,
    Lblc(BTreeMap<IpAddr, PodId>),
    Lblcr(BTreeMap<IpAddr, ServerSet>),
    /// Servers by bucket; none: to be dealt out anew.
    Buckets(BucketKey, Option<Vec<u32>>),
    Mh(Option<maglev::Table>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weighing {
    Ignored,
    Divides,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BucketKey {
    Source,
    Destination,
}

/// `struct ip_vs_wrr_mark`.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrr {
    last: Option<usize>,
    /// What weight is asked for in this round, at most, and how much less in the next.
    current: u32,
    most: u32,
    step: u32,
}

/// The servers of one destination address, last added first.
#[derive(Clone, Debug)]
pub(super) struct ServerSet {
    pods: Vec<PodId>,
    modified: SimTime,
}

/// `DEFAULT_EXPIRATION` of `ip_vs_lblcr.c`.
const LBLCR_EXPIRATION: SimDuration = SimDuration::from_secs(24 * 60 * 60);
/// `IP_VS_SH_TAB_BITS` and `IP_VS_DH_TAB_BITS`.
const BUCKET_BITS: u32 = 8;

impl Scheduler {
    pub(super) fn state(self) -> State {
        let delay = |load: Load| u64::from(load.active) + 1;
        match self {
            Self::Rr => State::Rr { last: None },
            Self::Wrr => State::Wrr(Wrr::default()),
            Self::Lc => State::Least(Load::overhead, Weighing::Ignored),
            Self::Wlc => State::Least(Load::overhead, Weighing::Divides),
            Self::Sed => State::Least(delay, Weighing::Divides),
            Self::Nq => State::Nq,
            Self::Lblc => State::Lblc(BTreeMap::new()),
            Self::Lblcr => State::Lblcr(BTreeMap::new()),
            Self::Sh => State::Buckets(BucketKey::Source, None),
            Self::Dh => State::Buckets(BucketKey::Destination, None),
            Self::Mh => State::Mh(None),
        }
    }

    /// The rule in words.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Rr => "rr takes the next of the list after the one last used",
            Self::Wrr => "wrr goes round the list by weights, which are all 1",
            Self::Lc | Self::Wlc => "the least 256 x active + inactive connections of this Node, the first of equals",
            Self::Lblc => "lblc keeps the address dialled with one Pod until that is overloaded and another idle",
            Self::Lblcr => "lblcr keeps the address dialled with a set of Pods, of which the least loaded",
            Self::Sh => "sh hashes the source address to one of 256 buckets",
            Self::Dh => "dh hashes the address dialled to one of 256 buckets",
            Self::Sed => "sed takes the least active connections of this Node plus one, the first of equals",
            Self::Nq => "nq takes the first Pod without active connections of this Node, otherwise the one with fewest",
            Self::Mh => "mh hashes source address and port to one of the 4093 places of a Maglev table",
        }
    }
}

impl State {
    /// `added` destinations now stand before the others, which have new weights perhaps.
    pub(super) fn grown(&mut self, added: usize, list: &[Destination]) {
        if let Self::Rr { last } = self {
            *last = last.map(|i| i + added);
        }
        self.changed(list);
    }

    /// The destination at `at` is gone from `list`.
    pub(super) fn deleted(&mut self, at: usize, list: &[Destination]) {
        if let Self::Rr { last: Some(i) } = self
            && at <= *i
        {
            // `ip_vs_rr_del_dest`: back to the one before, perhaps the head.
            let Self::Rr { last } = self else { return };
            *last = last.and_then(|i| i.checked_sub(1));
        }
        self.changed(list);
    }

    fn changed(&mut self, list: &[Destination]) {
        match self {
            Self::Wrr(wrr) => wrr.changed(list),
            Self::Buckets(_, table) => *table = None,
            Self::Mh(table) => *table = None,
            Self::Rr { .. } | Self::Least(..) | Self::Nq | Self::Lblc(_) | Self::Lblcr(_) => {}
        }
    }

    /// Where in the list a new connection goes; none: it fails.
    pub(super) fn choose(&mut self, list: &mut [Destination], packet: &Packet, now: SimTime) -> Option<usize> {
        match self {
            Self::Rr { last } => {
                let after = last.map_or(0, |i| i + 1);
                *last = Some((after..list.len()).chain(0..after).find(|&i| list.get(i).is_some_and(|d| d.weight() > 0))?);
                *last
            }
            Self::Wrr(wrr) => wrr.choose(list),
            Self::Least(cost, weighing) => least(list, now, *cost, *weighing),
            Self::Nq => {
                let idle = list.iter_mut().position(|d| d.weight() > 0 && d.load(now).active == 0);
                idle.or_else(|| least(list, now, |load| u64::from(load.active) + 1, Weighing::Divides))
            }
            Self::Lblc(servers) => {
                let cached = servers.get(&packet.dst).and_then(|pod| usable(list, *pod));
                if let Some(at) = cached.filter(|&at| !is_overloaded(list, at, now)) {
                    return Some(at);
                }
                let at = least(list, now, Load::overhead, Weighing::Divides)?;
                servers.insert(packet.dst, list[at].pod);
                Some(at)
            }
            Self::Lblcr(sets) => {
                let Some(set) = sets.get_mut(&packet.dst) else {
                    let at = least(list, now, Load::overhead, Weighing::Divides)?;
                    sets.insert(packet.dst, ServerSet { pods: vec![list[at].pod], modified: now });
                    return Some(at);
                };
                let at = set.least(list, now);
                set.shrink(list, now);
                if let Some(at) = at.filter(|&at| !is_overloaded(list, at, now)) {
                    return Some(at);
                }
                let at = least(list, now, Load::overhead, Weighing::Divides)?;
                set.insert(list[at].pod, now);
                Some(at)
            }
            Self::Buckets(key, buckets) => {
                let address = match key {
                    BucketKey::Source => packet.src,
                    BucketKey::Destination => packet.dst,
                };
                let buckets = buckets.get_or_insert_with(|| deal(list, *key));
                let at = *buckets.get(hash_32(fold(address), BUCKET_BITS) as usize)? as usize;
                (list.get(at)?.weight() > 0).then_some(at)
            }
            Self::Mh(table) => {
                let backend = |d: &Destination| Backend { weight: d.last_weight, ..Backend::ipvs(d.ip, d.port) };
                let table = table.get_or_insert_with(|| maglev::Table::build(&list.iter().map(backend).collect::<Vec<_>>(), TableSize::IPVS));
                let at = table.lookup(maglev::ipvs_flow_hash(packet.src, packet.sport))?;
                (list.get(at)?.weight() > 0).then_some(at)
            }
        }
    }
}

/// The first of those with the least cost, by weight or not, that have weight at all.
fn least(list: &mut [Destination], now: SimTime, cost: fn(Load) -> u64, weighing: Weighing) -> Option<usize> {
    let mut best: Option<(usize, u128, u128)> = None;
    for (i, d) in list.iter_mut().enumerate().filter(|(_, d)| d.weight() > 0) {
        let weight = if weighing == Weighing::Divides { u128::from(d.weight()) } else { 1 };
        let cost = u128::from(cost(d.load(now)));
        // cost / weight < best's, without a division.
        if best.is_none_or(|(_, c, w)| cost * w < c * weight) {
            best = Some((i, cost, weight));
        }
    }
    best.map(|(i, ..)| i)
}

/// Where `pod` stands, if it may take connections.
fn usable(list: &[Destination], pod: PodId) -> Option<usize> {
    list.iter().position(|d| d.pod == pod && d.weight() > 0)
}

/// `is_overloaded` of `ip_vs_lblc.c`: more active connections than weight, while another has less than half its weight.
fn is_overloaded(list: &mut [Destination], at: usize, now: SimTime) -> bool {
    list[at].load(now).active > list[at].weight() && list.iter_mut().any(|d| u64::from(d.load(now).active) * 2 < u64::from(d.weight()))
}

/// A server that had no connection yet.
fn destination(n: u32, weight: u32) -> Destination {
    let mut d = Destination::new(PodId(n), ([10, 128, 0, n as u8].into(), 80), SimDuration::from_secs(120), false);
    d.last_weight = weight;
    d
}

/// Servers of these weights.
fn with_weights(weights: &[u32]) -> Vec<Destination> {
    (0..).zip(weights).map(|(n, w)| destination(n, *w)).collect()
}

/// The order in which [`Scheduler::Wrr`] goes round servers of these weights: one cycle, by place. kube-proxy gives all weight 1.
#[must_use]
pub fn wrr_cycle(weights: &[u32]) -> Vec<usize> {
    let list = with_weights(weights);
    let mut wrr = Wrr::default();
    wrr.changed(&list);
    let turns = weights.iter().sum::<u32>() / weights.iter().copied().fold(0, gcd).max(1);
    (0..turns).filter_map(|_| wrr.choose(&list)).collect()
}

impl Wrr {
    /// `ip_vs_wrr_dest_changed`.
    fn changed(&mut self, list: &[Destination]) {
        let weights = || list.iter().map(Destination::weight).filter(|w| *w > 0);
        self.last = None;
        self.step = weights().fold(0, gcd).max(1);
        self.most = weights().max().unwrap_or(0).saturating_sub(self.step - 1);
        if self.current > self.most || self.current == 0 {
            self.current = self.most;
        } else if self.step > 1 {
            self.current = self.current / self.step * self.step + 1;
        }
    }

    fn choose(&mut self, list: &[Destination]) -> Option<usize> {
        let mut from = self.last.map_or(0, |i| i + 1);
        for _ in 0..self.most / self.step.max(1) + 2 {
            if let Some(at) = (from..list.len()).find(|&i| list[i].weight() > 0 && list[i].weight() >= self.current) {
                self.last = Some(at);
                return self.last;
            }
            from = 0;
            self.current = if self.current > self.step { self.current - self.step } else { self.most };
        }
        None
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl ServerSet {
    fn least(&self, list: &mut [Destination], now: SimTime) -> Option<usize> {
        let mut best: Option<(usize, u64, u64)> = None;
        for at in self.pods.iter().filter_map(|pod| usable(list, *pod)).collect::<Vec<_>>() {
            let (cost, weight) = (list[at].load(now).overhead(), u64::from(list[at].weight()));
            if best.is_none_or(|(_, c, w)| cost * w < c * weight) {
                best = Some((at, cost, weight));
            }
        }
        best.map(|(at, ..)| at)
    }

    /// A set of several that has not changed for a day loses its most loaded.
    fn shrink(&mut self, list: &mut [Destination], now: SimTime) {
        if self.pods.len() < 2 || now.since(self.modified) <= LBLCR_EXPIRATION {
            return;
        }
        let mut most: Option<(PodId, u64, u64)> = None;
        for at in self.pods.iter().filter_map(|pod| usable(list, *pod)).collect::<Vec<_>>() {
            let (cost, weight) = (list[at].load(now).overhead(), u64::from(list[at].weight()));
            if most.is_none_or(|(_, c, w)| cost * w > c * weight) {
                most = Some((list[at].pod, cost, weight));
            }
        }
        if let Some((pod, ..)) = most {
            self.pods.retain(|p| *p != pod);
            self.modified = now;
        }
    }

    fn insert(&mut self, pod: PodId, now: SimTime) {
        if !self.pods.contains(&pod) {
            self.pods.insert(0, pod);
            self.modified = now;
        }
    }
}

/// Deals the buckets out in turn; under `sh` as many at a time as weight, at least one, so that a draining server keeps its
/// own (`ip_vs_sh_reassign`, `ip_vs_dh_reassign`).
fn deal(list: &[Destination], key: BucketKey) -> Vec<u32> {
    let times = |d: &Destination| if key == BucketKey::Source { d.weight().max(1) as usize } else { 1 };
    let round = (0..).zip(list).flat_map(|(i, d)| std::iter::repeat_n(i, times(d)));
    round.cycle().take(1 << BUCKET_BITS).collect()
}

/// An address as 32 bits: IPv6's four words by exclusive or.
fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => {
            let bits = a.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// The kernel's multiplicative hash (`include/linux/hash.h`).
fn hash_32(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Protocol;
    use proptest::prelude::*;

    const NOW: SimTime = SimTime::ZERO;

    fn open(list: &mut [Destination], connections: &[u32]) {
        list.iter_mut().zip(connections).for_each(|(d, n)| (0..*n).for_each(|_| d.opened()));
    }

    fn packet(src: u32, sport: u16, dst: u32) -> Packet {
        let ip = |bits: u32| IpAddr::V4(bits.into());
        Packet { protocol: Protocol::Tcp, src: ip(src), sport, dst: ip(dst), dport: 80 }
    }

    /// New connections one after the other, which all stay open.
    fn sequence(scheduler: Scheduler, list: &mut [Destination], n: usize) -> Vec<usize> {
        let mut state = scheduler.state();
        state.changed(list);
        let next = |_| {
            let at = state.choose(list, &packet(1, 1, 1), NOW).expect("somebody has weight");
            list[at].opened();
            at
        };
        (0..n).map(next).collect()
    }

    #[test]
    fn rr_starts_at_the_head_and_skips_who_drains() {
        let mut list = with_weights(&[1, 1, 1, 1]);
        assert_eq!(sequence(Scheduler::Rr, &mut list, 6), [0, 1, 2, 3, 0, 1]);
        list[1].draining = true;
        assert_eq!(sequence(Scheduler::Rr, &mut list, 6), [0, 2, 3, 0, 2, 3]);
    }

    /// Who is last used may itself leave, or others may come in before it.
    #[test]
    fn rr_goes_on_from_where_it_was() {
        let mut list = with_weights(&[1, 1, 1]);
        let mut state = State::Rr { last: Some(1) };
        list.insert(0, destination(9, 1));
        state.grown(1, &list);
        assert_eq!(state.choose(&mut list, &packet(1, 1, 1), NOW), Some(3), "after the old second comes the old third");
        list.remove(3);
        state.deleted(3, &list);
        assert_eq!(state.choose(&mut list, &packet(1, 1, 1), NOW), Some(0), "round to the newcomer");
        list.remove(0);
        state.deleted(0, &list);
        assert!(matches!(state, State::Rr { last: None }), "back at the head");
        assert_eq!(state.choose(&mut list, &packet(1, 1, 1), NOW), Some(0));
        assert_eq!(state.choose(&mut [], &packet(1, 1, 1), NOW), None);
    }

    /// Weights 4, 3, 2: the order of the LVS project's own example (linuxvirtualserver.org, Weighted Round-Robin): AABABCABC.
    #[test]
    fn wrr_known_answer() {
        assert_eq!(sequence(Scheduler::Wrr, &mut with_weights(&[4, 3, 2]), 18), [0, 0, 1, 0, 1, 2, 0, 1, 2].repeat(2));
        assert_eq!(wrr_cycle(&[8, 6, 4]), [0, 0, 1, 0, 1, 2, 0, 1, 2], "weights by their greatest common divisor");
        assert!(wrr_cycle(&[0, 0]).is_empty(), "nobody has a turn");
        assert_eq!(sequence(Scheduler::Wrr, &mut with_weights(&[2, 0, 4]), 6), [2, 0, 2, 2, 0, 2], "two rounds: 4, then 2 and more");
        assert_eq!(sequence(Scheduler::Wrr, &mut with_weights(&[1, 1, 1]), 5), [0, 1, 2, 0, 1]);
        let mut state = Scheduler::Wrr.state();
        let mut idle = with_weights(&[0, 0]);
        state.changed(&idle);
        assert_eq!(state.choose(&mut idle, &packet(1, 1, 1), NOW), None);
    }

    #[test]
    fn lc_takes_the_first_with_least_and_an_active_connection_weighs_256_inactive_ones() {
        let mut list = with_weights(&[1, 1, 1]);
        open(&mut list, &[2, 1, 1]);
        assert_eq!(sequence(Scheduler::Lc, &mut list, 4), [1, 2, 0, 1]);
        let mut list = with_weights(&[1, 1]);
        open(&mut list, &[257, 1]);
        (0..257).for_each(|_| list[0].closed(NOW));
        assert_eq!((list[0].load(NOW).overhead(), list[1].load(NOW).overhead()), (257, 256));
        assert_eq!(sequence(Scheduler::Lc, &mut list, 1), [1]);
        let later = NOW + SimDuration::from_secs(125);
        assert_eq!(Scheduler::Lc.state().choose(&mut list, &packet(1, 1, 1), later), Some(0), "forgotten after two minutes");
    }

    /// `wlc` divides what is there, `sed` what would be; `nq` sends to who is idle first.
    #[test]
    fn weights_divide_in_wlc_sed_and_nq() {
        let mut list = with_weights(&[1, 4]);
        assert_eq!(sequence(Scheduler::Wlc, &mut list, 5), [0, 1, 1, 1, 1], "0/1 = 0/4: the first; 1/1 > 0/4, 1/4, 2/4, 3/4");
        assert_eq!(sequence(Scheduler::Sed, &mut with_weights(&[1, 4]), 5), [1, 1, 1, 0, 1], "(n+1)/4 < 1/1 until n = 3");
        assert_eq!(sequence(Scheduler::Nq, &mut with_weights(&[1, 4]), 5), [0, 1, 1, 1, 1]);
        assert_eq!(sequence(Scheduler::Lc, &mut with_weights(&[1, 4]), 5), [0, 1, 0, 1, 0]);
        let mut list = with_weights(&[1, 1, 1]);
        open(&mut list, &[3, 1, 0]);
        list[2].draining = true;
        assert_eq!(sequence(Scheduler::Nq, &mut list, 2), [1, 1], "the idle one drains");
    }

    #[test]
    fn lblc_leaves_only_who_is_overloaded_while_another_is_idle() {
        let mut list = with_weights(&[1, 1, 1]);
        // Two connections are more than the weight 1, and an idle one has less than half of its weight.
        assert_eq!(sequence(Scheduler::Lblc, &mut list, 8), [0, 0, 1, 1, 2, 2, 2, 2]);
        // Nobody is idle: 2 is kept however loaded it is.
        assert_eq!(list.iter_mut().map(|d| d.load(NOW).active).collect::<Vec<_>>(), [2, 2, 4]);
    }

    #[test]
    fn lblc_keeps_each_address_by_itself_and_leaves_who_drains() {
        let mut list = with_weights(&[1, 1]);
        let mut state = Scheduler::Lblc.state();
        assert_eq!(state.choose(&mut list, &packet(1, 1, 7), NOW), Some(0));
        list[0].opened();
        assert_eq!(state.choose(&mut list, &packet(1, 1, 8), NOW), Some(1), "another address: the least loaded");
        assert_eq!(state.choose(&mut list, &packet(2, 2, 7), NOW), Some(0));
        list[0].draining = true;
        assert_eq!(state.choose(&mut list, &packet(2, 2, 7), NOW), Some(1));
    }

    #[test]
    fn lblcr_widens_its_set_under_overload_and_narrows_it_after_a_day() {
        let mut list = with_weights(&[1, 1, 1]);
        let mut state = Scheduler::Lblcr.state();
        let mut next = |list: &mut Vec<Destination>, now| {
            let at = state.choose(list, &packet(1, 1, 1), now).expect("all have weight");
            list[at].opened();
            at
        };
        let first: Vec<usize> = (0..7).map(|_| next(&mut list, NOW)).collect();
        // 0 until overloaded; then 1 joins, being idle, and is the least of the set; then 2.
        assert_eq!(first, [0, 0, 1, 1, 2, 2, 2]);
        list.iter_mut().zip([1, 2, 1]).for_each(|(d, n)| (0..n).for_each(|_| d.closed(NOW)));
        let day = NOW + SimDuration::from_secs(86_401);
        assert_eq!(next(&mut list, day), 1, "nothing open on the second");
        let State::Lblcr(sets) = &state else { panic!("an lblcr state") };
        let set = sets.values().next().expect("one address");
        assert_eq!((set.pods.as_slice(), set.modified), ([PodId(1), PodId(0)].as_slice(), day), "the most loaded left the set");
    }

    #[test]
    fn buckets_are_dealt_in_turn_and_fail_with_their_server() {
        let mut list = with_weights(&[1, 1, 1]);
        assert_eq!(deal(&list, BucketKey::Source)[..7], [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(deal(&with_weights(&[2, 1]), BucketKey::Source)[..6], [0, 0, 1, 0, 0, 1]);
        assert_eq!(deal(&with_weights(&[2, 1]), BucketKey::Destination)[..4], [0, 1, 0, 1]);
        // 10.0.0.1 is 0x0a000001; times 0x61c88647 is 0x27c88647 mod 2^32, whose upper 8 bits are 39 = 0 mod 3.
        assert_eq!(hash_32(0x0a00_0001, 8), 39);
        let mut state = Scheduler::Sh.state();
        assert_eq!(state.choose(&mut list, &packet(0x0a00_0001, 1, 1), NOW), Some(0));
        list[0].draining = true;
        state.changed(&list);
        assert_eq!(state.choose(&mut list, &packet(0x0a00_0001, 1, 1), NOW), None, "no fallback");
        assert_eq!(Scheduler::Dh.state().choose(&mut list, &packet(1, 1, 0x0a00_0001), NOW), None);
        assert_eq!(state.choose(&mut list, &packet(0x0a00_0002, 1, 1), NOW), Some(137 % 3), "others go on");
        assert_eq!(state.choose(&mut [], &packet(1, 1, 1), NOW), None);
    }

    #[test]
    fn mh_spreads_ports_and_fails_where_a_server_drains() {
        let mut list = with_weights(&[1, 1, 1, 1]);
        let mut state = Scheduler::Mh.state();
        let flows = |state: &mut State, list: &mut [Destination]| -> Vec<Option<usize>> {
            (0..4_000).map(|port| state.choose(list, &packet(0x0a00_0001, 20_000 + port, 1), NOW)).collect()
        };
        let before = flows(&mut state, &mut list);
        (0..4).for_each(|i| assert!(before.iter().filter(|at| **at == Some(i)).count().abs_diff(1_000) < 120));
        list[2].draining = true;
        state.changed(&list);
        let draining = flows(&mut state, &mut list);
        assert!(before.iter().zip(&draining).all(|(b, d)| *d == b.filter(|at| *at != 2)), "its own fail, all others stay");
        list.remove(2);
        state.deleted(2, &list);
        let moved = |(b, a): (&Option<usize>, &Option<usize>)| b.filter(|i| *i != 2).is_some_and(|i| *a != Some(if i > 2 { i - 1 } else { i }));
        let after = flows(&mut state, &mut list);
        assert!(after.iter().all(Option::is_some) && before.iter().zip(&after).filter(|p| moved(*p)).count() < 120);
    }

    proptest! {
        /// Rotations are exact: nobody gets more than one connection more than another.
        #[test]
        fn rotations_are_even(n in 1..40usize, rounds in 1..5usize, weighted: bool) {
            let scheduler = if weighted { Scheduler::Wrr } else { Scheduler::Rr };
            let picks = sequence(scheduler, &mut with_weights(&vec![1; n]), n * rounds);
            prop_assert_eq!(picks, (0..n).collect::<Vec<_>>().repeat(rounds));
        }

        /// Over one round of weighted rotation each gets as many as its weight, in units of their greatest common divisor.
        #[test]
        fn wrr_is_exact_by_weight(weights in prop::collection::vec(0..12u32, 1..8)) {
            let unit = weights.iter().fold(0, |g, w| gcd(g, *w));
            prop_assume!(unit > 0);
            let round = weights.iter().sum::<u32>() / unit;
            let picks = sequence(Scheduler::Wrr, &mut with_weights(&weights), round as usize);
            for (i, w) in weights.iter().enumerate() {
                prop_assert_eq!(picks.iter().filter(|p| **p == i).count() as u32, w / unit);
            }
        }

        /// Whoever is least loaded, nobody that takes connections had less.
        #[test]
        fn least_is_least(connections in prop::collection::vec((0..20u32, 0..20u32, any::<bool>()), 1..20)) {
            let mut list = with_weights(&vec![1; connections.len()]);
            for (d, (open, closed, draining)) in list.iter_mut().zip(&connections) {
                (0..open + closed).for_each(|_| d.opened());
                (0..*closed).for_each(|_| d.closed(NOW));
                d.draining = *draining;
            }
            let cost: Vec<u64> = list.iter_mut().map(|d| d.load(NOW).overhead()).collect();
            for scheduler in [Scheduler::Lc, Scheduler::Wlc] {
                let at = scheduler.state().choose(&mut list, &packet(1, 1, 1), NOW);
                let best = (0..list.len()).filter(|&i| list[i].weight() > 0).min_by_key(|&i| cost[i]);
                prop_assert_eq!(at, best);
            }
            for scheduler in [Scheduler::Sed, Scheduler::Nq] {
                let at = scheduler.state().choose(&mut list, &packet(1, 1, 1), NOW);
                let best = (0..list.len()).filter(|&i| list[i].weight() > 0).min_by_key(|&i| connections[i].0);
                prop_assert_eq!(at, best);
            }
        }

        /// `sh` knows nothing but the source, `dh` and `lblc` nothing but the destination.
        #[test]
        fn hashes_are_functions(n in 1..50usize, a: u32, b: u32, ports: (u16, u16)) {
            let list = with_weights(&vec![1; n]);
            let pick = |s: Scheduler, src, port, dst| s.state().choose(&mut list.clone(), &packet(src, port, dst), NOW);
            prop_assert_eq!(pick(Scheduler::Sh, a, ports.0, a), pick(Scheduler::Sh, a, ports.1, b));
            prop_assert_eq!(pick(Scheduler::Dh, a, ports.0, a), pick(Scheduler::Dh, b, ports.1, a));
            prop_assert_eq!(pick(Scheduler::Mh, a, ports.0, a), pick(Scheduler::Mh, a, ports.0, b));
            prop_assert_eq!(pick(Scheduler::Lblc, a, ports.0, a), pick(Scheduler::Lblc, b, ports.1, a));
        }
    }
}
