//! [`Destination`]: a real server of one virtual server, with the connections that this Node made to it.

use super::super::ExpiryCount;
use crate::ids::PodId;
use std::net::IpAddr;
use svcsim_engine::{SimDuration, SimTime};

/// One real server.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) pod: PodId,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    /// The weight it has unless it drains; 1 from kube-proxy.
    pub(super) last_weight: u32,
    /// Its weight was set to 0: no new connections.
    pub(super) draining: bool,
    /// Its place among the candidates, as of the last sync.
    pub(super) place: usize,
    open: u32,
    /// Connections that are over but not yet forgotten.
    over: Box<ExpiryCount>,
    /// Whether these count as active: nobody sees the end of UDP flows.
    over_is_active: bool,
}

/// Connections by the kernel's two counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) active: u32,
    pub(super) inactive: u32,
}

impl Load {
    /// `ip_vs_dest_conn_overhead` (`include/net/ip_vs.h`).
    pub(super) fn overhead(self) -> u64 {
        (u64::from(self.active) << 8) + u64::from(self.inactive)
    }
}

impl Destination {
    pub(super) fn new(pod: PodId, (ip, port): (IpAddr, u16), life: SimDuration, over_is_active: bool) -> Self {
        let over = Box::new(ExpiryCount::new(life));
        Self { pod, ip, port, last_weight: 1, draining: false, place: 0, open: 0, over, over_is_active }
    }

    pub(super) fn weight(&self) -> u32 {
        if self.draining { 0 } else { self.last_weight }
    }

    pub(super) fn load(&mut self, now: SimTime) -> Load {
        let over = self.over.count(now);
        match self.over_is_active {
            true => Load { active: self.open.saturating_add(over), inactive: 0 },
            false => Load { active: self.open, inactive: over },
        }
    }

    pub(super) fn opened(&mut self) {
        self.open += 1;
    }

    pub(super) fn closed(&mut self, now: SimTime) {
        // One that was opened before the destination was deleted and made anew is not counted.
        if self.open > 0 {
            self.open -= 1;
            self.over.add(now);
        }
    }

    pub(super) fn is_idle(&mut self, now: SimTime) -> bool {
        self.load(now) == Load { active: 0, inactive: 0 }
    }
}
