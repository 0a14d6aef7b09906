//! What rules cost: how many there are, and how long a Node takes to follow a change.

use crate::api::{EndpointSet, Service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;

/// How many rules Services need, in the terms that costs are stated in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// Service addresses and ports with endpoints: the rules of `KUBE-SERVICES`, elements of `service-ips`.
    pub service_addresses: u32,
    /// Node ports with endpoints.
    pub node_ports: u32,
    /// Ports of Services.
    pub service_ports: u32,
    /// Endpoints of all of them.
    pub endpoints: u32,
}

impl RuleSet {
    /// The rules of all `services` with the endpoints of `sets`.
    #[must_use]
    pub fn of<'a>(services: impl Iterator<Item = (&'a Service, &'a EndpointSet)>) -> Self {
        let mut rules = Self::default();
        for (service, set) in services.filter(|(s, _)| s.cluster_ip.is_some()) {
            let addresses = 1 + service.external_ips.len() + service.load_balancer_ips.len();
            for (port, endpoints) in service.ports.iter().zip(&set.ports) {
                let ready = endpoints.ready().len() as u32;
                rules.service_ports += 1;
                rules.endpoints += ready;
                if ready > 0 {
                    rules.service_addresses += addresses as u32;
                    rules.node_ports += u32::from(port.node_port.is_some());
                }
            }
        }
        rules
    }

    /// Puts the rules `new` of a Service in the place of its `old` ones.
    pub fn replace(&mut self, old: Self, new: Self) {
        let change = |count: &mut u32, old: u32, new: u32| *count = (*count + new).saturating_sub(old);
        change(&mut self.service_addresses, old.service_addresses, new.service_addresses);
        change(&mut self.node_ports, old.node_ports, new.node_ports);
        change(&mut self.service_ports, old.service_ports, new.service_ports);
        change(&mut self.endpoints, old.endpoints, new.endpoints);
    }
}

/// What a sync has to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Endpoints of the Services that changed.
    pub endpoints: u32,
    /// Whether all is written, changed or not.
    pub full: bool,
}

/// How a Node's rules follow changes: `minSyncPeriod` from the end of one sync to the start of the next (kube-proxy since
/// 1.34, `pkg/proxy/runner`), and what one sync takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Least time from the end of one sync to the start of the next.
    pub min_sync_period: SimDuration,
    /// Of every sync.
    pub base: SimDuration,
    /// For each port of each Service of the cluster.
    pub per_service_port: SimDuration,
    /// For each endpoint of each Service of the cluster.
    pub per_endpoint: SimDuration,
    /// For each endpoint of the Services that changed.
    pub per_changed_endpoint: SimDuration,
    /// A sync so long after the last full one is full, of whatever changed (`pkg/proxy/util`, `FullSyncPeriod`, 1 h; KEP-3453); 0s:
    /// none is, or none is more than others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub full_sync_period: SimDuration,
    /// Of a full sync: for each endpoint of each Service of the cluster.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub full_per_endpoint: SimDuration,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
fn is_zero(time: &SimDuration) -> bool {
    *time == SimDuration::ZERO
}

impl SyncSpec {
    /// Rules that follow changes at once.
    pub const INSTANT: Self = Self {
        min_sync_period: SimDuration::ZERO,
        base: SimDuration::ZERO,
        per_service_port: SimDuration::ZERO,
        per_endpoint: SimDuration::ZERO,
        per_changed_endpoint: SimDuration::ZERO,
        full_sync_period: SimDuration::ZERO,
        full_per_endpoint: SimDuration::ZERO,
    };

    /// How long a sync takes.
    #[must_use]
    pub fn duration(&self, rules: &RuleSet, change: Change) -> SimDuration {
        let times = |each: SimDuration, n: u32| SimDuration::from_nanos(each.as_nanos().saturating_mul(u64::from(n)));
        self.base
            + times(self.per_service_port, rules.service_ports)
            + times(self.per_endpoint, rules.endpoints)
            + times(self.per_changed_endpoint, change.endpoints)
            + if change.full { times(self.full_per_endpoint, rules.endpoints) } else { SimDuration::ZERO }
    }
}
