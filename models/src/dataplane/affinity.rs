//! `sessionAffinity: ClientIP`: a client with a live entry returns to its endpoint while that is a candidate.
//!
//! Each Node has its own entries. The key is the address the packet came with, before any SNAT here, so clients
//! behind one translating address are one client (`iptables/proxier.go` `recent` lists, `nftables/proxier.go`
//! dynamic sets, `ip_vs_core.c` persistence templates, Cilium's affinity map).

use super::address::VirtualServer;
use crate::ids::PodId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// One Node's entries.
#[derive(Clone, Debug, Default)]
pub struct Affinity {
    entries: BTreeMap<(VirtualServer, IpAddr), Entry>,
    /// Who is on the list of an endpoint, and when it last opened a connection to it, where lists have a limit.
    lists: BTreeMap<(VirtualServer, PodId), BTreeMap<IpAddr, SimTime>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pod: PodId,
    refreshed: SimTime,
}

impl Affinity {
    /// The Pod that `client` is bound to at `server`, unless it last opened a connection more than `timeout` ago.
    #[must_use]
    pub fn of(&self, server: VirtualServer, client: IpAddr, timeout: SimDuration, now: SimTime) -> Option<PodId> {
        let entry = self.entries.get(&(server, client))?;
        (now <= entry.refreshed + timeout).then_some(entry.pod)
    }

    /// `client` opened a connection to `pod`: only first packets reach the rules, so only they refresh. Where a list of clients of
    /// one endpoint has room for `most`, the one that was refreshed longest ago makes room.
    pub fn refresh(&mut self, server: VirtualServer, client: IpAddr, pod: PodId, most: Option<usize>, now: SimTime) {
        self.entries.insert((server, client), Entry { pod, refreshed: now });
        let Some(most) = most else { return };
        let list = self.lists.entry((server, pod)).or_default();
        list.insert(client, now);
        if list.len() > most
            && let Some((_, oldest)) = list.iter().map(|(client, since)| (*since, *client)).min()
        {
            list.remove(&oldest);
            if self.entries.get(&(server, oldest)).is_some_and(|e| e.pod == pod) {
                self.entries.remove(&(server, oldest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_forgets_whom_it_heard_of_longest_ago() {
        let (mut affinity, server) =
            (Affinity::default(), VirtualServer { service: crate::ids::ServiceId(0), port: 0, address: super::super::Address::ClusterIP });
        let client = |n: u8| IpAddr::from([10, 0, 0, n]);
        let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
        let mut connects = |n: u8, pod: u32, s: u64| affinity.refresh(server, client(n), PodId(pod), Some(2), at(s));
        connects(1, 0, 1);
        connects(2, 0, 2);
        connects(1, 0, 3);
        connects(3, 0, 4);
        connects(4, 1, 5);
        let found = |n: u8| affinity.of(server, client(n), SimDuration::from_secs(100), at(6));
        assert_eq!([1, 2, 3, 4].map(found), [Some(PodId(0)), None, Some(PodId(0)), Some(PodId(1))]);
    }

    /// Who went to another Pod and came back has one place on the list, not two.
    #[test]
    fn who_comes_back_has_one_place() {
        let (mut affinity, server) =
            (Affinity::default(), VirtualServer { service: crate::ids::ServiceId(0), port: 0, address: super::super::Address::ClusterIP });
        let client = |n: u8| IpAddr::from([10, 0, 0, n]);
        let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
        for (s, (n, pod)) in (0..).zip([(1, 0), (1, 1), (1, 0), (2, 0)]) {
            affinity.refresh(server, client(n), PodId(pod), Some(2), at(s));
        }
        let found = |n: u8| affinity.of(server, client(n), SimDuration::from_secs(100), at(9));
        assert_eq!([1, 2].map(found), [Some(PodId(0)); 2]);
    }
}
