//! A layer-4 load balancer with Nodes as targets, such as an AWS NLB with target type `instance`: it hashes
//! each new connection to a healthy Node's node port, where the Node's own proxy chooses again.
//!
//! Sources: AWS Network Load Balancer documentation (flow hash per TCP connection; checks every 10 s, three
//! in a row change a target's state; all targets unhealthy: traffic goes to all of them, "fail open").
//! A new connection has a new source port, so its hash is as good as a uniform draw.
//! Omitted: cross-zone settings, registration and deregistration delay, connection draining.

use crate::ids::NodeId;
use crate::spec::SpecError;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::{Dist, DistSpec, Stream};
use svcsim_engine::{Id, SimDuration};

/// `instanceTargets: {healthCheck: {interval: 10s, …}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spec {
    /// Time a message spends inside the load balancer, each way.
    pub delay: DistSpec<SimDuration>,
    /// How it finds out which Nodes to use.
    pub health_check: HealthCheckSpec,
}

impl Default for Spec {
    fn default() -> Self {
        Self { delay: DistSpec::Constant(SimDuration::from_micros(50)), health_check: HealthCheckSpec::default() }
    }
}

/// Health checks of each Node. Under `externalTrafficPolicy: Local` they ask `healthCheckNodePort`, which
/// answers 200 where the Node's proxy sees a ready local endpoint; under Cluster every live Node is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthCheckSpec {
    /// From one check of a Node to the next.
    pub interval: SimDuration,
    /// Good answers in a row that make a Node healthy.
    pub healthy_threshold: u32,
    /// Bad answers in a row that make a Node unhealthy.
    pub unhealthy_threshold: u32,
}

impl Default for HealthCheckSpec {
    /// AWS NLB with `instance` targets and `externalTrafficPolicy: Local`: every 10 s, 2 of a kind.
    fn default() -> Self {
        Self { interval: SimDuration::from_secs(10), healthy_threshold: 2, unhealthy_threshold: 2 }
    }
}

impl Spec {
    pub(super) fn build(&self, health: Vec<bool>, stream: Stream) -> Result<InstanceTargets, SpecError> {
        let field = |name: &str| format!("loadBalancer.instanceTargets.{name}");
        let delay = self.delay.build().map_err(|problem| SpecError::new(field("delay"), problem, "give a delay such as 50us"))?;
        let check = &self.health_check;
        if check.interval == SimDuration::ZERO {
            let fix = "give an interval such as 10s";
            return Err(SpecError::new(field("healthCheck.interval"), "0s between health checks; expected more than nothing", fix));
        }
        for (name, n) in [("healthyThreshold", check.healthy_threshold), ("unhealthyThreshold", check.unhealthy_threshold)] {
            if n == 0 {
                let fix = "give the number of answers in a row that changes a Node's state, such as 2";
                return Err(SpecError::new(field(&format!("healthCheck.{name}")), "a threshold of 0; expected 1 or more", fix));
            }
        }
        let targets = health.into_iter().map(|healthy| Target { healthy, streak: 0 }).collect();
        let mut balancer = InstanceTargets { delay, check: check.clone(), targets, usable: Vec::new(), stream };
        balancer.list_usable();
        Ok(balancer)
    }
}

/// One load balancer's state.
#[derive(Clone, Debug)]
pub struct InstanceTargets {
    delay: Dist,
    check: HealthCheckSpec,
    /// By Node.
    targets: Vec<Target>,
    /// Healthy Nodes, or all of them if none is.
    usable: Vec<NodeId>,
    stream: Stream,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    healthy: bool,
    /// Answers in a row that contradict `healthy`.
    streak: u32,
}

impl InstanceTargets {
    pub(super) fn choose(&mut self) -> NodeId {
        self.usable[self.stream.below(self.usable.len() as u32) as usize]
    }

    pub(super) fn delay(&mut self) -> SimDuration {
        self.delay.sample_duration(&mut self.stream)
    }

    pub(super) fn first_check(&mut self) -> SimDuration {
        SimDuration::from_nanos_f64(self.check.interval.as_nanos() as f64 * self.stream.uniform())
    }

    pub(super) fn checked(&mut self, node: NodeId, healthy: bool) -> SimDuration {
        let target = &mut self.targets[node.index()];
        target.streak = if healthy == target.healthy { 0 } else { target.streak + 1 };
        let threshold = if healthy { self.check.healthy_threshold } else { self.check.unhealthy_threshold };
        if target.streak >= threshold {
            *target = Target { healthy, streak: 0 };
            self.list_usable();
        }
        self.check.interval
    }

    fn list_usable(&mut self) {
        let nodes = || (0..self.targets.len()).map(NodeId::from_index);
        self.usable = nodes().filter(|n| self.targets[n.index()].healthy).collect();
        if self.usable.is_empty() {
            self.usable = nodes().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::random::Streams;

    #[test]
    fn a_target_changes_state_after_the_threshold_in_a_row() {
        let mut lb = Spec::default().build(vec![true, true], Streams::new(1, 0).stream(0, 0)).expect("defaults build");
        let bad = NodeId(1);
        for healthy in [false, true, false] {
            lb.checked(bad, healthy);
            assert_eq!(lb.usable.len(), 2, "no two bad answers in a row yet");
        }
        lb.checked(bad, false);
        assert_eq!(lb.usable, [NodeId(0)]);
        lb.checked(NodeId(0), false);
        lb.checked(NodeId(0), false);
        assert_eq!(lb.usable.len(), 2, "none healthy: fail open");
    }
}
