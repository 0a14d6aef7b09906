//! How often a Node's kernel says that a port is unreachable, which is what REJECT does (iptables-extensions(8): `--reject-with`
//! is `icmp-port-unreachable` unless told otherwise, and kube-proxy's rules do not tell; nft(8): the same).
//!
//! A limit for all addressees, `icmp_msgs_per_sec` 1000 with bursts of `icmp_msgs_burst` 50, and one for each,
//! `icmp_ratelimit` 1 s between two with bursts of `XRLIM_BURST_FACTOR` 6 (Linux, `net/ipv4/icmp.c`, `net/ipv4/inetpeer.c`). Who
//! is told nothing finds out by a time-out.
//!
//! Omitted: that credits of the first limit are spent by 0, 1 or 2 at random.

use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// `icmp_msgs_per_sec`.
const MESSAGES_PER_SECOND: u64 = 1_000;
/// `icmp_msgs_burst`.
const BURST: u64 = 50;
/// Credits are not counted more often than this (`HZ / 50`).
const REFILL: SimDuration = SimDuration::from_millis(20);
/// `XRLIM_BURST_FACTOR`.
const PEER_BURST: u64 = 6;

/// One Node's limits.
#[derive(Clone, Debug)]
pub struct IcmpLimit {
    /// `net.ipv4.icmp_ratelimit`; zero for no limit by addressee.
    per_peer: SimDuration,
    credit: u64,
    counted: SimTime,
    /// Time saved up by each addressee, and until when it was counted.
    peers: BTreeMap<IpAddr, (SimDuration, SimTime)>,
}

impl IcmpLimit {
    /// Nothing was sent for long.
    #[must_use]
    pub const fn new(per_peer: SimDuration) -> Self {
        Self { per_peer, credit: BURST, counted: SimTime::ZERO, peers: BTreeMap::new() }
    }

    /// Whether a message to `peer` is sent.
    pub fn allows(&mut self, peer: IpAddr, now: SimTime) -> bool {
        let since = now.since(self.counted).min(SimDuration::from_secs(1));
        if since >= REFILL {
            self.credit = (self.credit + since.as_nanos() * MESSAGES_PER_SECOND / 1_000_000_000).min(BURST);
            self.counted = now;
        }
        let allowed = self.credit > 0 && self.peer_allows(peer, now);
        self.credit -= u64::from(allowed);
        allowed
    }

    fn peer_allows(&mut self, peer: IpAddr, now: SimTime) -> bool {
        if self.per_peer == SimDuration::ZERO {
            return true;
        }
        let most = self.per_peer * PEER_BURST;
        let (saved, counted) = self.peers.entry(peer).or_insert((most, now));
        *saved = (*saved + now.since(*counted)).min(most);
        *counted = now;
        let allowed = *saved >= self.per_peer;
        if allowed {
            *saved = saved.saturating_sub(self.per_peer);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(limit: &mut IcmpLimit, peers: u8, times: impl Iterator<Item = u64>) -> usize {
        let at = |ms: u64| SimTime::ZERO + SimDuration::from_millis(ms);
        times.flat_map(|ms| (0..peers).map(move |p| (p, ms))).filter(|(p, ms)| limit.allows([10, 0, 0, *p].into(), at(*ms))).count()
    }

    #[test]
    fn each_addressee_hears_six_at_once_and_then_one_a_second() {
        let mut limit = IcmpLimit::new(SimDuration::from_secs(1));
        assert_eq!(sent(&mut limit, 1, (0..10_000).step_by(10)), 6 + 9);
        assert_eq!(sent(&mut limit, 1, [100_000; 20].into_iter()), 6, "time that was saved up beyond that is lost");
    }

    #[test]
    fn all_hear_fifty_at_once_and_then_a_thousand_a_second() {
        let mut limit = IcmpLimit::new(SimDuration::ZERO);
        assert_eq!(sent(&mut limit, 200, [0; 1].into_iter()), 50);
        let more = sent(&mut limit, 10, 1..=1_001);
        assert_eq!(more, 1_000);
    }
}
