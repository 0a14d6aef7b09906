//! What a load balancer does, as plain data.

use crate::circuit_breaker::CircuitBreakerSpec;
use crate::outlier_detection::OutlierDetectionSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// Declares the parameters twice: as a preset gives them, and as an experiment file may set some of them.
macro_rules! parameters {
    ($($(#[$doc:meta])* $field:ident: $of:ty,)*) => {
        /// What a load balancer does.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Parameters {
            $($(#[$doc])* pub $field: $of,)*
            /// How it finds out which targets are good under external policy Cluster; none if it makes no health checks.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub health_check: Option<HealthCheck>,
            /// The same under external policy Local. Set in an experiment file, `healthCheck` sets this too.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub local_health_check: Option<HealthCheck>,
            /// The most Nodes it uses under policy Cluster; none for all.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub subset: Option<u32>,
            /// The same under policy Local. Set in an experiment file, `subset` sets this too.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub local_subset: Option<u32>,
            /// How long connections of a target that is deregistered are kept, from then on, before they are reset; none if
            /// they are kept until they end.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub draining: Option<SimDuration>,
            /// Whether it proxies HTTP: it balances requests over connections of its own, and answers 502, 503 and 504; none if
            /// it hands connections on.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub proxies: Option<Proxies>,
        }

        /// What an experiment file sets.
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub(super) struct Settings {
            $($(#[$doc])* $field: Option<$of>,)*
            /// How it finds out which targets are good.
            health_check: HealthCheckSettings,
            /// The same under external policy Local, where that differs.
            local_health_check: HealthCheckSettings,
            /// The most Nodes it uses; absent: all.
            subset: Option<u32>,
            /// The same under external policy Local, where that differs.
            local_subset: Option<u32>,
            /// How long connections of a target that is deregistered are kept before they are reset; absent: until they end.
            draining: Option<SimDuration>,
            /// Whether it proxies HTTP, and how; absent: it hands connections on.
            proxies: Option<ProxiesSettings>,
        }

        impl Settings {
            pub(super) fn apply(self, to: &mut Parameters) {
                $(set(&mut to.$field, self.$field);)*
                self.health_check.apply(&mut to.health_check);
                self.health_check.apply(&mut to.local_health_check);
                self.local_health_check.apply(&mut to.local_health_check);
                to.local_subset = self.local_subset.or(self.subset).or(to.local_subset);
                to.subset = self.subset.or(to.subset);
                to.draining = self.draining.or(to.draining);
                if let Some(proxies) = self.proxies {
                    proxies.apply(&mut to.proxies);
                }
            }
        }
    };
}

fn set<T>(field: &mut T, to: Option<T>) {
    if let Some(value) = to {
        *field = value;
    }
}

parameters! {
    /// What it sends connections to.
    targets: Targets,
    /// Which Nodes are targets under external policy Local.
    local_targets: LocalTargets,
    /// What the destination of a packet is when it arrives at a Node.
    arrival: Arrival,
    /// How it chooses a target for a new connection.
    algorithm: Algorithm,
    /// Whether packets of an established connection follow an entry in its memory. If not, they go where the algorithm
    /// would send them now.
    connection_tracking: bool,
    /// Whether each zone's balancer node uses the targets of all zones, or only those of its own.
    cross_zone: bool,
    /// From the order to register a target until that is done and health checks begin.
    registration_delay: DistSpec<SimDuration>,
    /// From the order to deregister a target until it gets no new connections.
    deregistration_delay: DistSpec<SimDuration>,
    /// From the death of a Node until it is no target any more, where no health check finds out.
    failure_detection: DistSpec<SimDuration>,
    /// Whether connections of a target that turns unhealthy are reset.
    cut_unhealthy: bool,
    /// Whether all targets are used when none is healthy; otherwise none is.
    fail_open: bool,
    /// Whose address targets see.
    client_address: ClientAddress,
    /// Whether replies bypass it (direct server return).
    direct_return: bool,
    /// Time a message spends inside it, each way.
    delay: DistSpec<SimDuration>,
}

/// What a load balancer sends connections to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Targets {
    /// Nodes, whose proxies choose a Pod: two stages of balancing.
    Nodes,
    /// Ready Pods, past every proxy.
    Pods,
}

/// Which Nodes are targets of a Service with external policy Local. Under Cluster it is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LocalTargets {
    /// All; health checks tell which have a ready Pod (KEP-3458, `healthCheckNodePort`).
    AllNodes,
    /// Those with a Pod that serves: its controller watches EndpointSlices.
    NodesWithPods,
}

/// The destination of a packet on its arrival at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Arrival {
    /// Rewritten to the target's: a Node's address and the Service's node port, or a Pod's address and port.
    NodePort,
    /// Still the load balancer's address and the Service's port.
    Vip,
}

/// Whose address a target sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClientAddress {
    /// The client's.
    Kept,
    /// That of the load balancer's node.
    Lost,
}

/// How a balancer proxies HTTP. The defaults are those of an AWS Application Load Balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxies {
    /// How long it tries to connect to a target before it answers 504 (*Troubleshoot your Application Load Balancers*: 10 s).
    pub connect_timeout: SimDuration,
    /// How long it waits for a target's answer before it answers 504 (`idle_timeout.timeout_seconds`: 60 s).
    pub response_timeout: SimDuration,
    /// Limits on what it has under way to its targets; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreakerSpec>,
    /// When it avoids a target that fails; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetectionSpec>,
}

/// What an experiment file sets of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ProxiesSettings {
    /// How long it tries to connect to a target before it answers 504.
    connect_timeout: Option<SimDuration>,
    /// How long it waits for a target's answer before it answers 504.
    response_timeout: Option<SimDuration>,
    /// Limits on what it has under way to its targets; absent: none.
    circuit_breaker: Option<CircuitBreakerSpec>,
    /// When it avoids a target that fails; absent: never.
    outlier_detection: Option<OutlierDetectionSpec>,
}

impl ProxiesSettings {
    /// What is not set stays as the preset has it; a balancer that does not proxy begins to, as an ALB does.
    fn apply(self, to: &mut Option<Proxies>) {
        let to = to.get_or_insert_default();
        set(&mut to.connect_timeout, self.connect_timeout);
        set(&mut to.response_timeout, self.response_timeout);
        to.circuit_breaker = self.circuit_breaker.or(to.circuit_breaker);
        to.outlier_detection = self.outlier_detection.or(to.outlier_detection);
    }
}

impl Default for Proxies {
    fn default() -> Self {
        Self {
            connect_timeout: SimDuration::from_secs(10),
            response_timeout: SimDuration::from_secs(60),
            circuit_breaker: None,
            outlier_detection: None,
        }
    }
}

/// How a target is chosen for a new connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Algorithm {
    /// By a hash of the flow, modulo the number of targets.
    FlowHash,
    /// One after the other.
    RoundRobin,
    /// One with the fewest open connections; among several the one that was chosen longest ago.
    LeastConnections,
    /// Of some drawn at random, one with the fewest open connections; among equals the first drawn. One may be drawn twice, as in
    /// Envoy (`least_request_lb.cc`, `unweightedHostPickNChoices`).
    LeastRequest {
        /// How many are drawn; Envoy's default is 2.
        choices: NonZeroU32,
    },
    /// The least busy of some targets drawn as HAProxy's `balance random(draws)` does with servers of weight 1: by points on a circle,
    /// of which each target has 16, so that some get a fifth more than an even share (2.6, `lb_chash.c`, `backend.c` `get_server_rnd`).
    HaproxyRandom {
        /// How many are drawn; HAProxy's default is 2.
        draws: NonZeroU32,
    },
    /// By the client's address alone, as HAProxy's `balance source` (2.6, `backend.c` `get_server_sh`; servers of weight 1).
    HaproxySource {
        /// `hash-type consistent`: the address, hashed, on the circle of `haproxyRandom`. Otherwise `map-based`: the address itself,
        /// modulo the number of targets, so that a change of these moves most clients.
        consistent: bool,
    },
    /// By a hash of the flow in a Maglev table ([`crate::maglev`]).
    Maglev {
        /// Places of the table; a prime.
        table_size: u32,
    },
    /// Always the first target in the order of SHA-256 of its name and the Service's address (MetalLB,
    /// `speaker/layer2_controller.go`), until another becomes the first.
    Leader {
        /// From that change until neighbours know of it; packets still go to the old leader.
        failover: DistSpec<SimDuration>,
    },
    /// Routers with equal-cost paths to all targets hash each packet's flow.
    Ecmp {
        /// Not resilient: modulo the number of paths, so that a change of the set moves most flows. Resilient: into buckets
        /// that keep their path as long as it exists, so that only flows of a path that goes, or of those that make room
        /// for one that comes, are moved.
        resilient: bool,
    },
}

impl Algorithm {
    /// Whether the choice is a function of the flow and the set of targets.
    pub(super) const fn is_stateless(&self) -> bool {
        !matches!(self, Self::RoundRobin | Self::LeastConnections | Self::LeastRequest { .. } | Self::HaproxyRandom { .. })
    }
}

/// Health checks of each target. Under policy Local, checks of Nodes ask `healthCheckNodePort`, which answers 200 where the
/// Node's proxy knows a ready local endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// From the start of one check of a target to the start of the next, or from its end.
    pub interval: SimDuration,
    /// Whether the interval begins when a check has ended (HAProxy `checks.c`, Envoy `HealthCheckerImplBase`), so that time-outs
    /// make checks rarer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_end: bool,
    /// How long an answer may take before the check has failed.
    pub timeout: SimDuration,
    /// Good answers in a row that make a target healthy.
    pub healthy_threshold: u32,
    /// Bad answers in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
}

/// What an experiment file sets of a health check.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct HealthCheckSettings {
    /// From the start of one check of a target to the start of the next, or from its end.
    interval: Option<SimDuration>,
    /// Whether the interval begins when a check has ended.
    from_end: Option<bool>,
    /// How long an answer may take before the check has failed.
    timeout: Option<SimDuration>,
    /// Good answers in a row that make a target healthy.
    healthy_threshold: Option<u32>,
    /// Bad answers in a row that make a target unhealthy.
    unhealthy_threshold: Option<u32>,
}

impl HealthCheckSettings {
    /// A balancer that makes no checks has them if all is said of them; less than all is found in `check.rs`.
    fn apply(&self, to: &mut Option<HealthCheck>) {
        let said =
            self.interval.is_some() || self.timeout.is_some() || self.healthy_threshold.is_some() || self.unhealthy_threshold.is_some();
        if !said {
            return;
        }
        let check = to.get_or_insert(HealthCheck::NOTHING_SAID);
        set(&mut check.interval, self.interval);
        set(&mut check.from_end, self.from_end);
        set(&mut check.timeout, self.timeout);
        set(&mut check.healthy_threshold, self.healthy_threshold);
        set(&mut check.unhealthy_threshold, self.unhealthy_threshold);
    }
}

impl HealthCheck {
    /// Passes no check, so that settings of a balancer without health checks have to be complete.
    const NOTHING_SAID: Self =
        Self { interval: SimDuration::ZERO, from_end: false, timeout: SimDuration::ZERO, healthy_threshold: 0, unhealthy_threshold: 0 };
}

impl Parameters {
    /// The health check of a Service's targets.
    #[must_use]
    pub const fn health_check(&self, local_policy: bool) -> Option<HealthCheck> {
        if local_policy { self.local_health_check } else { self.health_check }
    }

    /// Whether only Nodes with a serving Pod are to be registered, so that the cluster registers and deregisters Nodes as
    /// Pods come and go.
    #[must_use]
    pub fn follows_pods(&self, local_policy: bool) -> bool {
        self.targets == Targets::Nodes && local_policy && self.local_targets == LocalTargets::NodesWithPods
    }
}

/// Always `d`.
pub(super) const fn constant(d: SimDuration) -> DistSpec<SimDuration> {
    DistSpec::Constant(d)
}

/// Any time between `min` and `max` seconds.
pub(super) const fn between(min: u64, max: u64) -> DistSpec<SimDuration> {
    DistSpec::Uniform { min: SimDuration::from_secs(min), max: SimDuration::from_secs(max) }
}

/// A check every `interval` seconds that fails after `timeout` seconds, with its thresholds.
pub(super) const fn every(interval: u64, timeout: u64, healthy_threshold: u32, unhealthy_threshold: u32) -> HealthCheck {
    HealthCheck {
        from_end: false,
        interval: SimDuration::from_secs(interval),
        timeout: SimDuration::from_secs(timeout),
        healthy_threshold,
        unhealthy_threshold,
    }
}
