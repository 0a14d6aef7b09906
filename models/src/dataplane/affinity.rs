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

    /// `client` opened a connection to `pod`: only first packets reach the rules, so only they refresh.
    pub fn refresh(&mut self, server: VirtualServer, client: IpAddr, pod: PodId, now: SimTime) {
        self.entries.insert((server, client), Entry { pod, refreshed: now });
    }
}
