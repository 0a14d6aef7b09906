//! Load balancers check the health of their targets.

use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::{NodeId, ServiceId};
use crate::spec::TrafficPolicy;

impl Cluster {
    /// Health checks begin, each target in its own rhythm. Under policy Cluster every live Node is a good
    /// target, and Nodes do not fail here, so there is nothing to check.
    pub(in crate::cluster) fn open_health_checks(&mut self, ctx: &mut Ctx<'_>) {
        for service in self.services.ids() {
            if self.services[service].external_traffic_policy == TrafficPolicy::Cluster {
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
        let healthy = self.nodes[node].proxy.view(service).ready_on(node) > 0;
        if let Some(lb) = &mut self.load_balancers[service] {
            let next = lb.checked(node, healthy);
            if ctx.now() < self.sending_until {
                ctx.schedule_in(next, Event::HealthCheck { service, node });
            }
        }
    }
}
