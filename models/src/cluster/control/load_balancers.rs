//! Load balancers check the health of their targets.

use crate::cluster::{Cluster, Ctx, Event, Node};
use crate::ids::{NodeId, ServiceId};

impl Cluster {
    /// Health checks begin, each target in its own rhythm. Under policy Cluster every live Node is a good
    /// target, and Nodes do not fail here, so there is nothing to check.
    pub(in crate::cluster) fn open_health_checks(&mut self, ctx: &mut Ctx<'_>) {
        for service in self.table.services.ids() {
            if !self.table.services[service].checks_local_health() {
                continue;
            }
            if let Some(lb) = &mut self.load_balancers[service] {
                for node in self.nodes.ids() {
                    ctx.schedule_in(lb.first_check(), Event::HealthCheck { service, node });
                }
            }
        }
    }

    /// `healthCheckNodePort` answers 200 where the Node's proxy knows a ready local endpoint, else 503
    /// (`pkg/proxy/healthcheck/service_health.go`).
    pub(in crate::cluster) fn check_health(&mut self, service: ServiceId, node: NodeId, ctx: &mut Ctx<'_>) {
        let healthy = self.nodes[node].has_ready(service, node);
        if let Some(lb) = &mut self.load_balancers[service] {
            let next = lb.checked(node, healthy);
            if ctx.now() < self.sending_until {
                ctx.schedule_in(next, Event::HealthCheck { service, node });
            }
        }
    }
}

impl Node {
    /// Whether its proxy knows a ready endpoint of `service` on it, which is `id`.
    pub(in crate::cluster) fn has_ready(&self, service: ServiceId, id: NodeId) -> bool {
        self.proxy.view(service).ports.iter().any(|p| !p.ready_on(id).is_empty())
    }
}
