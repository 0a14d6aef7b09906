//! Every number here is one of the vendors' or Kubernetes' defaults, or a stated assumption, in the file of its preset.

use super::*;
use svcsim_engine::random::DistSpec;

fn of(name: &str) -> Parameters {
    LoadBalancerSpec::by_name(name).expect(name).parameters
}

/// Interval and timeout in seconds, healthy and unhealthy threshold.
fn check(check: Option<HealthCheck>) -> Option<[u64; 4]> {
    check.map(|c| {
        [
            c.interval.as_nanos() / 1_000_000_000,
            c.timeout.as_nanos() / 1_000_000_000,
            c.healthy_threshold.into(),
            c.unhealthy_threshold.into(),
        ]
    })
}

fn checks(name: &str) -> (Option<[u64; 4]>, Option<[u64; 4]>) {
    let p = of(name);
    (check(p.health_check), check(p.local_health_check))
}

fn between(min: u64, max: u64) -> DistSpec<SimDuration> {
    DistSpec::Uniform { min: secs(min), max: secs(max) }
}

#[test]
fn health_checks() {
    for (name, cluster, local) in [
        ("instanceTargets", [10, 6, 2, 2], [10, 6, 2, 2]),
        ("ipTargets", [10, 6, 2, 2], [10, 6, 2, 2]),
        ("awsNlbInstance", [10, 10, 3, 3], [10, 6, 2, 2]),
        ("awsNlbIp", [10, 10, 3, 3], [10, 10, 3, 3]),
        ("googlePassthrough", [8, 1, 1, 3], [3, 1, 1, 2]),
        ("googleNeg", [15, 15, 1, 2], [15, 15, 1, 2]),
        ("googleAlb", [15, 15, 1, 2], [15, 15, 1, 2]),
        ("awsAlbInstance", [15, 5, 2, 2], [15, 5, 2, 2]),
        ("awsAlbIp", [15, 5, 2, 2], [15, 5, 2, 2]),
    ] {
        assert_eq!(checks(name), (Some(cluster), Some(local)), "{name}");
    }
    for name in ["metallbL2", "metallbBgp", "envoy"] {
        assert_eq!(checks(name), (None, None));
    }
}

#[test]
fn targets_and_addresses() {
    use {Arrival::*, ClientAddress::*, Targets::*};
    for (name, targets, arrival, client, direct_return, cross_zone) in [
        ("instanceTargets", Nodes, NodePort, Kept, false, true),
        ("ipTargets", Pods, NodePort, Lost, false, true),
        ("awsNlbInstance", Nodes, NodePort, Kept, false, false),
        ("awsNlbIp", Pods, NodePort, Lost, false, false),
        ("googlePassthrough", Nodes, Vip, Kept, true, true),
        ("googleNeg", Pods, NodePort, Lost, false, true),
        ("googleAlb", Pods, NodePort, Lost, false, true),
        ("awsAlbInstance", Nodes, NodePort, Lost, false, true),
        ("awsAlbIp", Pods, NodePort, Lost, false, true),
        ("envoy", Pods, NodePort, Lost, false, true),
        ("metallbL2", Nodes, Vip, Kept, true, true),
        ("metallbBgp", Nodes, Vip, Kept, true, true),
    ] {
        let p = of(name);
        let found = (p.targets, p.arrival, p.client_address, p.direct_return, p.cross_zone);
        assert_eq!(found, (targets, arrival, client, direct_return, cross_zone), "{name}");
    }
}

#[test]
fn algorithms_and_memory() {
    for (name, algorithm, tracking) in [
        ("instanceTargets", Algorithm::FlowHash, true),
        ("ipTargets", Algorithm::FlowHash, true),
        ("awsNlbInstance", Algorithm::FlowHash, true),
        ("awsNlbIp", Algorithm::FlowHash, true),
        ("googlePassthrough", Algorithm::Maglev { table_size: 65_537 }, true),
        ("googleNeg", Algorithm::RoundRobin, true),
        ("googleAlb", Algorithm::RoundRobin, true),
        ("awsAlbInstance", Algorithm::RoundRobin, true),
        ("awsAlbIp", Algorithm::RoundRobin, true),
        ("envoy", Algorithm::RoundRobin, true),
        ("metallbL2", Algorithm::Leader { failover: between(1, 3) }, false),
        ("metallbBgp", Algorithm::Ecmp { resilient: false }, false),
    ] {
        assert_eq!((of(name).algorithm, of(name).connection_tracking), (algorithm, tracking), "{name}");
    }
}

#[test]
fn times() {
    let zero = DistSpec::Constant(SimDuration::ZERO);
    for (name, registration, draining) in [
        ("instanceTargets", zero.clone(), None),
        ("ipTargets", zero.clone(), None),
        ("awsNlbInstance", between(180, 300), None),
        ("awsNlbIp", between(180, 300), None),
        ("googlePassthrough", between(5, 15), Some(secs(30))),
        ("googleNeg", between(5, 15), Some(SimDuration::ZERO)),
        ("googleAlb", between(5, 15), Some(SimDuration::ZERO)),
        ("awsAlbInstance", DistSpec::Constant(secs(10)), Some(secs(300))),
        ("awsAlbIp", DistSpec::Constant(secs(10)), Some(secs(300))),
        ("envoy", DistSpec::Constant(SimDuration::from_millis(100)), None),
        ("metallbL2", zero.clone(), None),
        ("metallbBgp", DistSpec::Constant(SimDuration::from_millis(200)), None),
    ] {
        let p = of(name);
        assert_eq!((&p.registration_delay, p.draining), (&registration, draining), "{name}");
        assert_eq!(p.deregistration_delay, registration, "{name}");
    }
    for (name, micros) in [
        ("instanceTargets", 50),
        ("awsNlbIp", 50),
        ("googlePassthrough", 50),
        ("googleNeg", 500),
        ("awsAlbIp", 500),
        ("envoy", 500),
        ("metallbBgp", 0),
    ] {
        assert_eq!(of(name).delay, DistSpec::Constant(SimDuration::from_micros(micros)), "{name}");
    }
    assert_eq!(of("metallbL2").failure_detection, DistSpec::Constant(secs(5)));
    assert_eq!(of("metallbBgp").failure_detection, DistSpec::Constant(secs(90)));
}

#[test]
fn the_rest() {
    let google = of("googlePassthrough");
    assert_eq!((google.subset, google.local_subset), (Some(250), Some(3_000)));
    for preset in Preset::ALL {
        let (name, p) = (preset.name(), preset.parameters());
        assert_eq!(p.fail_open, !["googleNeg", "googleAlb", "metallbL2", "metallbBgp"].contains(&name), "{name}");
        assert_eq!(p.cut_unhealthy, name.starts_with("awsNlb"), "{name}");
        let with_pods = ["googlePassthrough", "metallbL2", "metallbBgp"].contains(&name);
        assert_eq!((p.follows_pods(true), p.follows_pods(false)), (with_pods, false), "{name}");
        assert!(name == "googlePassthrough" || p.subset.is_none() && p.local_subset.is_none());
    }
}

#[test]
fn the_policy_decides_on_checks_and_subset() {
    let spec = spec(r#"{"googlePassthrough":{"subset":3,"localSubset":5}}"#);
    for (local, interval, most) in [(false, 8, 3), (true, 3, 5)] {
        let mut lb = LoadBalancer::build(&spec, &facts(local), draws(1)).unwrap();
        lb.start((0..9).map(|i| (node(i), None, true)));
        assert_eq!((lb.health_check().map(|c| c.interval), used(&mut lb, at(0)).len()), (Some(secs(interval)), most));
    }
}

/// Time-outs for connecting and for answers in seconds; layer 4 has none.
#[test]
fn proxies() {
    for preset in Preset::ALL {
        let expected = match preset.name() {
            "awsAlbInstance" | "awsAlbIp" => Some((10, 60)),
            "googleAlb" => Some((5, 30)),
            "envoy" => Some((5, 15)),
            _ => None,
        };
        let proxies = preset.parameters().proxies;
        assert_eq!(
            proxies.map(|p| (p.connect_timeout, p.response_timeout)),
            expected.map(|(c, r)| (secs(c), secs(r))),
            "{}",
            preset.name()
        );
        let breaker = proxies.and_then(|p| p.circuit_breaker).map(|b| (b.max_connections, b.max_pending_requests, b.max_requests));
        assert_eq!(breaker, (preset.name() == "envoy").then_some((1_024, 1_024, 1_024)));
        assert!(proxies.is_none_or(|p| p.outlier_detection.is_none()));
    }
}

#[test]
fn what_is_set_of_a_proxy_leaves_the_rest_of_it_as_it_was() {
    let p = spec(r#"{"envoy":{"proxies":{"circuitBreaker":{"maxRequests":7},"outlierDetection":{}}}}"#).parameters.proxies.unwrap();
    assert_eq!((p.connect_timeout, p.response_timeout), (secs(5), secs(15)));
    assert_eq!(p.circuit_breaker.map(|b| (b.max_requests, b.max_connections)), Some((7, 1_024)));
    assert_eq!(p.outlier_detection.map(|o| (o.consecutive_5xx, o.base_ejection_time)), Some((5, secs(30))));
    let alb = spec(r#"{"ipTargets":{"proxies":{"responseTimeout":"5s"}}}"#).parameters.proxies.unwrap();
    assert_eq!((alb.connect_timeout, alb.response_timeout), (secs(10), secs(5)), "who begins to proxy does so as an ALB");
}
