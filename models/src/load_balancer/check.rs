//! What makes no sense in a load balancer's parameters.

use super::parameters::{Algorithm, HealthCheck, Parameters, Targets};
use super::{Arrival, LoadBalancerSpec};
use crate::maglev::TableSize;
use crate::spec::SpecError;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, DistSpec};

/// The parameters that have to be prepared before they can be sampled.
pub(super) struct Prepared {
    pub(super) delay: Dist,
    pub(super) registration_delay: Dist,
    pub(super) deregistration_delay: Dist,
    pub(super) failure_detection: Dist,
    /// Of algorithm `leader`.
    pub(super) failover: Option<Dist>,
    /// Of algorithm `maglev`.
    pub(super) table_size: Option<TableSize>,
}

impl LoadBalancerSpec {
    fn error(&self, name: &str, problem: impl Into<String>, fix: &str) -> SpecError {
        SpecError::new(format!("loadBalancer.{}.{name}", self.name()), problem, fix)
    }

    pub(super) fn prepare(&self) -> Result<Prepared, SpecError> {
        let p = &self.parameters;
        let dist = |name: &str, spec: &DistSpec<SimDuration>| {
            spec.build().map_err(|problem| self.error(name, problem, "give a duration such as 50us, or how it is distributed"))
        };
        self.check_combination(p)?;
        for (name, check) in [("healthCheck", p.health_check), ("localHealthCheck", p.local_health_check)] {
            check.map_or(Ok(()), |check| self.check_health_check(name, check))?;
        }
        for (name, subset) in [("subset", p.subset), ("localSubset", p.local_subset)] {
            if subset == Some(0) {
                return Err(self.error(name, "a subset of no Nodes; expected 1 or more", "give the most Nodes to use, such as 25"));
            }
        }
        Ok(Prepared {
            delay: dist("delay", &p.delay)?,
            registration_delay: dist("registrationDelay", &p.registration_delay)?,
            deregistration_delay: dist("deregistrationDelay", &p.deregistration_delay)?,
            failure_detection: dist("failureDetection", &p.failure_detection)?,
            failover: match &p.algorithm {
                Algorithm::Leader { failover } => Some(dist("algorithm.leader.failover", failover)?),
                _ => None,
            },
            table_size: match p.algorithm {
                Algorithm::Maglev { table_size } => Some(TableSize::new(table_size).ok_or_else(|| {
                    let problem = format!("a table of {table_size} places; expected a prime of at most {}", TableSize::LARGEST);
                    self.error(
                        "algorithm.maglev.tableSize",
                        problem,
                        "give a prime more than 100 times the number of targets, such as 16381",
                    )
                })?),
                _ => None,
            },
        })
    }

    fn check_combination(&self, p: &Parameters) -> Result<(), SpecError> {
        if let Some(proxies) = p.proxies {
            if p.direct_return || p.arrival == Arrival::Vip {
                let problem = "a proxy's own connections cannot bypass it, nor keep its address as their destination";
                return Err(self.error("proxies", problem, "leave it out, or set directReturn to false and arrival to nodePort"));
            }
            if proxies.connect_timeout.min(proxies.response_timeout) == SimDuration::ZERO {
                return Err(self.error("proxies", "a time-out of 0s: every request would fail", "give time-outs such as 10s and 60s"));
            }
            let field = |part: &str| format!("loadBalancer.{}.proxies.{part}", self.name());
            proxies.circuit_breaker.map_or(Ok(()), |breaker| breaker.check(&field("circuitBreaker")))?;
            proxies.outlier_detection.map_or(Ok(()), |outliers| outliers.check(&field("outlierDetection")))?;
        }
        if !p.connection_tracking && !p.algorithm.is_stateless() {
            let problem = "no memory of connections, but an algorithm whose choice cannot be repeated for later packets";
            return Err(self.error("connectionTracking", problem, "set it to true, or choose by flowHash, maglev or ecmp"));
        }
        if !p.cross_zone && matches!(p.algorithm, Algorithm::Leader { .. }) {
            let problem = "one leader announces the address to all zones, but zones are kept apart";
            return Err(self.error("crossZone", problem, "set it to true, or choose another algorithm"));
        }
        if p.targets == Targets::Pods && p.arrival == Arrival::Vip {
            let problem = "packets keep the load balancer's address, which no Pod has";
            return Err(self.error("arrival", problem, "set it to nodePort, which rewrites the destination, or let Nodes be the targets"));
        }
        Ok(())
    }

    fn check_health_check(&self, name: &str, check: HealthCheck) -> Result<(), SpecError> {
        for (field, time) in [("interval", check.interval), ("timeout", check.timeout)] {
            if time == SimDuration::ZERO {
                let problem = format!("a health check with {field} 0s; expected more than nothing");
                return Err(self.error(&format!("{name}.{field}"), problem, "give a duration such as 10s"));
            }
        }
        for (field, n) in [("healthyThreshold", check.healthy_threshold), ("unhealthyThreshold", check.unhealthy_threshold)] {
            if n == 0 {
                let fix = "give the number of answers in a row that changes a target's state, such as 2";
                return Err(self.error(&format!("{name}.{field}"), "a threshold of 0; expected 1 or more", fix));
            }
        }
        Ok(())
    }
}
