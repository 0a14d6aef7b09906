//! Envoy as the cluster's gateway: one proxy in front, straight to Pods.
//!
//! | parameter | source |
//! |---|---|
//! | round robin; `leastRequest` where it is configured so | Envoy, `config.cluster.v3.Cluster`, `lb_policy` |
//! | connects within 5 s | Envoy, `config.cluster.v3.Cluster`, `connect_timeout` |
//! | answers within 15 s | Envoy, `config.route.v3.RouteAction`, `timeout` |
//! | circuit breaker: 1024 connections, requests and requests waiting | Envoy, `config.cluster.v3.CircuitBreakers.Thresholds` |
//! | no health checks, no outlier detection | Envoy: both only where configured; `proxies: {outlierDetection: {}}` |
//! | none healthy: all used | Envoy, *Panic threshold* |
//! | a Pod is in use, or no more, after 100 ms | istiod's `PILOT_DEBOUNCE_AFTER`; that the rest takes no time is an assumption |
//!
//! The delay of a proxy is an assumption. Omitted: several replicas of it, each with its own limits; retries by routes; preference
//! for its own zone.

use super::parameters::{Algorithm, ClientAddress, Parameters, Proxies, Targets, constant};
use crate::circuit_breaker::CircuitBreakerSpec;
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    let proxies = Proxies {
        connect_timeout: SimDuration::from_secs(5),
        response_timeout: SimDuration::from_secs(15),
        circuit_breaker: Some(CircuitBreakerSpec::default()),
        outlier_detection: None,
    };
    Parameters {
        targets: Targets::Pods,
        algorithm: Algorithm::RoundRobin,
        registration_delay: constant(SimDuration::from_millis(100)),
        deregistration_delay: constant(SimDuration::from_millis(100)),
        client_address: ClientAddress::Lost,
        delay: constant(SimDuration::from_micros(500)),
        health_check: None,
        local_health_check: None,
        proxies: Some(proxies),
        ..super::instance_targets::parameters()
    }
}
