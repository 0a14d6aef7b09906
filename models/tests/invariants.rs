//! What holds of every run, over random small worlds: it ends, the ledger closes, nothing is faster than light, and the
//! same chances make the same run.

use crate::world::*;
use proptest::prelude::*;
use svcsim_engine::SimTime;
use svcsim_engine::stats::Histogram;
use svcsim_models::circuit_breaker::CircuitBreakerSpec;
use svcsim_models::cluster::Outcome;
use svcsim_models::load_balancer::Proxies;
use svcsim_models::network::{LinkSpec, NetworkSpec, OneSwitchSpec, RacksSpec, ShapeSpec, SiteSpec, ZonesSpec};
use svcsim_models::outlier_detection::OutlierDetectionSpec;
use svcsim_models::retry::RetrySpec;
use svcsim_models::units::{Bandwidth, Bytes};

/// One way over every link.
const HOP: SimDuration = us(30);

fn link() -> impl Strategy<Value = LinkSpec> {
    let queue = prop::option::of(11_000u64..200_000);
    // From hopelessly narrow to wide.
    let bandwidth = prop::option::weighted(0.5, (500_000u64..1_000_000_000, queue));
    (any::<bool>(), bandwidth).prop_map(|(jitter, bandwidth)| LinkSpec {
        delay: if jitter { DistSpec::Shifted { by: HOP, dist: Box::new(DistSpec::Exponential { mean: us(100) }) } } else { constant(HOP) },
        bandwidth: bandwidth.map(|(b, _)| Bandwidth(b)),
        queue: bandwidth.and_then(|(_, q)| q).map(Bytes),
    })
}

fn network() -> impl Strategy<Value = NetworkSpec> {
    let shape = prop_oneof![
        link().prop_map(|node| ShapeSpec::OneSwitch(OneSwitchSpec { node })),
        (link(), link(), link()).prop_map(|(node, zone, inter_zone)| ShapeSpec::Zones(ZonesSpec { node, zone, inter_zone })),
        (1u32..4, 1u32..3, link(), link()).prop_map(|(nodes_per_rack, spines, node, uplink)| ShapeSpec::Racks(RacksSpec {
            nodes_per_rack,
            spines,
            node,
            uplink
        })),
    ];
    let site = link().prop_map(|link| ("internet".to_owned(), SiteSpec { link, attach: None }));
    (shape, site).prop_map(|(shape, site)| NetworkSpec { shape, sites: [site].into() })
}

fn pod() -> impl Strategy<Value = PodBehaviour> {
    let service_time = prop_oneof![
        Just(constant(ms(5))),
        Just(DistSpec::Exponential { mean: ms(5) }),
        Just(DistSpec::Lognormal { mean: ms(5), cv: 3.0 }),
        Just(DistSpec::Bimodal { low: SimDuration::ZERO, high: ms(200), high_probability: 0.05 }),
    ];
    let discipline = prop_oneof![Just(Discipline::Fifo), Just(Discipline::ProcessorSharing)];
    let startup = DistSpec::Uniform { min: SimDuration::ZERO, max: ms(300) };
    let limits = (prop::option::of(0u32..5), prop::sample::select(vec![0u32, 3, 4_096]));
    (service_time, 1u32..5, limits, discipline).prop_map(move |(service_time, concurrency, (queue_limit, backlog), discipline)| {
        PodBehaviour { queue_limit, backlog, startup: startup.clone(), discipline, ..PodBehaviour::new(service_time, concurrency) }
    })
}

fn breaker() -> impl Strategy<Value = Option<CircuitBreakerSpec>> {
    let limits = (1u32..4, 0u32..4, 1u32..6, 0u32..3);
    prop::option::weighted(0.3, limits).prop_map(|limits| {
        let (max_connections, max_pending_requests, max_requests, max_retries) = limits?;
        Some(CircuitBreakerSpec { max_connections, max_pending_requests, max_requests, max_retries })
    })
}

fn proxies() -> impl Strategy<Value = Option<Proxies>> {
    let outliers = prop::option::of((1u32..4, 1u64..200)).prop_map(|o| {
        let (consecutive_5xx, base) = o?;
        let base_ejection_time = ms(base);
        Some(OutlierDetectionSpec { consecutive_5xx, interval: ms(30), base_ejection_time, ..OutlierDetectionSpec::default() })
    });
    prop::option::weighted(0.4, (breaker(), outliers)).prop_map(|proxies| {
        let (circuit_breaker, outlier_detection) = proxies?;
        Some(Proxies { connect_timeout: ms(200), response_timeout: ms(300), circuit_breaker, outlier_detection })
    })
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    prop_oneof![Just(TrafficPolicy::Cluster), Just(TrafficPolicy::Local)]
}

fn spread() -> impl Strategy<Value = Spread> {
    prop::sample::select(vec![Spread::RoundRobin, Spread::Random])
}

/// When connections end.
fn ends() -> impl Strategy<Value = (Option<SimDuration>, Option<u32>, Option<DistSpec<SimDuration>>)> {
    let age = (1u64..500).prop_map(|mean| DistSpec::Exponential { mean: ms(mean) });
    (prop::option::of((1u64..200).prop_map(ms)), prop::option::of(1u32..20), prop::option::of(age))
}

fn source_spec() -> impl Strategy<Value = TrafficSpec> {
    let way = prop_oneof![
        Just((internet(), Via::NodePort)),
        Just((internet(), Via::LoadBalancer)),
        Just((Origin::Cluster, Via::ClusterIP)),
        Just((Origin::Cluster, Via::NodePort)),
        Just((Origin::Cluster, Via::LoadBalancer)),
    ];
    let connections = prop_oneof![
        Just(ConnectionsSpec::PerRequest),
        (0u32..4).prop_map(|max_idle| ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(max_idle))),
        (1u32..4, ends()).prop_map(|(max_idle, (idle_timeout, max_requests, max_age))| {
            ConnectionsSpec::KeepAlive(KeepAliveSpec { idle_timeout, max_requests, max_age, ..KeepAliveSpec::idle(max_idle) })
        }),
        (1u32..4, spread()).prop_map(|(connections, spread)| ConnectionsSpec::Fixed(FixedSpec { connections, spread })),
        (1u32..4, 1u32..5, spread(), any::<bool>(), ends()).prop_map(|(connections, max_streams, spread, opened, ends)| {
            let (idle_timeout, max_requests, max_age) = ends;
            ConnectionsSpec::Multiplexed(MultiplexedSpec { connections, max_streams, spread, opened, idle_timeout, max_requests, max_age })
        }),
    ];
    let tls = prop::sample::select(vec![Tls::None, Tls::Tls13, Tls::Tls12]);
    let handshake = prop::option::of(tls.prop_map(|tls| HandshakeSpec { tcp: true, tls }));
    let slow_start = prop::option::weighted(0.3, (1u32..12, any::<bool>()));
    let tcp = slow_start.prop_map(|s| TcpSpec {
        slow_start: s.map(|(initial_window, after_idle)| SlowStartSpec { initial_window, after_idle }),
        ..TcpSpec::default()
    });
    let timeout = prop::option::of((1u64..500).prop_map(ms));
    let care = (breaker(), any::<bool>().prop_map(|retries| retries.then(RetrySpec::default)));
    let connections = (connections, handshake, tcp);
    (way, connections, timeout, 1u32..12, 50.0..800.0, care).prop_map(|((from, via), connections, timeout, clients, rate, care)| {
        TrafficSpec {
            connections: connections.0,
            handshake: connections.1,
            tcp: connections.2,
            timeout,
            clients,
            circuit_breaker: care.0,
            retries: care.1,
            request_size: DistSpec::Uniform { min: Bytes(1), max: Bytes(2_000) },
            ..traffic(from, via, rate)
        }
    })
}

fn controller() -> impl Strategy<Value = Controller> {
    prop::sample::select(vec![Controller::Deployment, Controller::StatefulSet, Controller::DaemonSet])
}

fn events() -> impl Strategy<Value = Vec<(&'static str, EventSpec)>> {
    let every = || (20u64..500).prop_map(|mean| DistSpec::Exponential { mean: ms(mean) });
    let lasts = |mean| DistSpec::Exponential { mean: ms(mean) };
    let deed = move |name: &'static str, action: Action, repaired: bool| {
        prop::option::of(every()).prop_map(move |every| {
            let event = EventSpec::every(every?, action.clone());
            Some((name, if repaired { event.lasting(lasts(300)) } else { event }))
        })
    };
    let deeds = (
        deed("crash", Action::PodCrash(any_pod_of("web")), false),
        deed("delete", Action::PodDelete(any_pod_of("web")), false),
        deed("node", Action::NodeCrash(NodeTarget { node: None }), true),
        deed("cut", Action::NodeCut(NodeTarget { node: None }), true),
        deed("zone", Action::ZonePartition(ZoneTarget { zone: None }), true),
        deed("control", Action::ControlPlaneOutage(Everything {}), true),
        deed("pause", Action::PodPause(any_pod_of("web")), true),
    );
    prop::option::of(deeds).prop_map(|d| d.map_or_else(Vec::new, |d| [d.0, d.1, d.2, d.3, d.4, d.5, d.6].into_iter().flatten().collect()))
}

fn worlds() -> impl Strategy<Value = ClusterSpec> {
    let nodes = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..=6);
    let life = (prop::sample::select(vec![0u64, 50, 400]), prop::sample::select(vec![10u64, 200, 1_000]));
    let world = (nodes, network(), pod(), 0u32..7, controller(), life);
    let calls = (source_spec(), prop::option::of(source_spec()), policy(), policy(), events(), proxies());
    (world, calls, prop::sample::select(vec![0u64, 500])).prop_map(|(world, calls, warm_up)| {
        let (zones, network, pod, replicas, controller, (pre_stop, grace)) = world;
        let (first, second, external, internal, events, proxies) = calls;
        let workload = WorkloadSpec { replicas, controller, pre_stop: ms(pre_stop), termination_grace: ms(grace), ..web(&[], pod) };
        let mut spec = spec(nodes_in(&zones), vec![workload], first);
        spec.network = network;
        spec.traffic.extend(second.map(|s| ("more".to_owned(), s)));
        spec.events.extend(events.into_iter().map(|(name, event)| (name.to_owned(), event)));
        (spec.services[0].external_traffic_policy, spec.services[0].internal_traffic_policy) = (external, internal);
        let every = |max| DistSpec::Uniform { min: SimDuration::ZERO, max: ms(max) };
        spec.propagation = PropagationSpec { publish: every(20), to_node: every(100), to_dns: constant(SimDuration::ZERO) };
        health_check(&mut spec).interval = ms(70);
        health_check(&mut spec).timeout = ms(70);
        balancer(&mut spec).delay = every(1);
        balancer(&mut spec).proxies = proxies;
        spec.run = RunSpec { warm_up: ms(warm_up), duration: ms(1_500), window: ms(400) };
        spec
    })
}

/// Links that no answered request from outside can have avoided, there and back: its site's, a Node's, and what is
/// between them.
fn links_at_least(spec: &ClusterSpec, traffic: &TrafficSpec) -> u64 {
    match (&traffic.from, &spec.network.shape) {
        (Origin::Site(_), ShapeSpec::OneSwitch(_)) => 4,
        (Origin::Site(_), ShapeSpec::Zones(_)) => 6,
        (Origin::Site(_), _) => 8,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_world_runs_and_adds_up(spec in worlds(), replication in 0u64..1_000) {
        let run = run_one(&spec, replication);
        for (s, traffic) in run.series.iter().zip(spec.traffic.values()) {
            let ended: u64 = s.outcomes_ever.iter().sum();
            prop_assert_eq!(s.arrivals_ever, ended + s.in_flight, "the ledger of {}", s.name);
            prop_assert!(s.arrivals <= s.arrivals_ever && s.ended() <= s.arrivals);
            prop_assert_eq!(s.timeline.iter().map(|w| w.arrivals).sum::<u64>(), s.arrivals_ever);
            prop_assert!(s.timeline.iter().map(|w| w.completed + w.errors).sum::<u64>() <= ended);
            prop_assert_eq!(s.latency.count(), s.completed());
            prop_assert!(s.extra_hop.max(s.snat).max(s.cross_zone) <= s.completed());
            // A connection may stand whose request never comes.
            let shakes = traffic.handshake.is_some() || matches!(traffic.connections, ConnectionsSpec::Multiplexed(_));
            prop_assert!(shakes || s.requests_by_replica.iter().zip(&s.connections_by_replica).all(|(r, c)| c <= r));
            // Whoever was answered was taken in by a Pod.
            prop_assert!(s.completed() <= s.requests_by_replica.iter().sum());

            let links = links_at_least(&spec, traffic);
            if let (Some(fastest), Some(hops)) = (s.latency.min(), s.hops.min()) {
                prop_assert!(hops >= links, "{hops} links crossed; expected {links} or more");
                prop_assert!(fastest >= HOP * links, "{fastest} over {links} links of {HOP}");
                prop_assert!(s.network.min() >= Some((HOP * hops).as_nanos()), "{:?} over {hops} links", s.network.min());
            }
            if let (Some(timeout), Some(slowest)) = (traffic.timeout, s.latency.max()) {
                prop_assert!(slowest <= timeout, "{slowest} with a timeout of {timeout}");
                prop_assert_eq!(s.in_flight, 0, "clients that give up all end");
            }
            let possible = |outcome: Outcome, cause: bool| s.outcomes_ever[outcome as usize] == 0 || cause;
            let churned = !spec.events.is_empty();
            prop_assert!(possible(Outcome::TimedOut, traffic.timeout.is_some()));
            prop_assert!(possible(Outcome::QueueFull, spec.workloads[0].pod.queue_limit.is_some()));
            prop_assert!(possible(Outcome::BacklogFull, spec.events.contains_key("pause") && spec.workloads[0].pod.backlog < 4_096));
            let proxies = spec.load_balancer.parameters.proxies.filter(|_| traffic.via == Via::LoadBalancer);
            let breakers = [traffic.circuit_breaker, proxies.and_then(|p| p.circuit_breaker)];
            prop_assert!(possible(Outcome::CircuitOpen, breakers.iter().any(Option::is_some)));
            let told_by_proxy = [Outcome::LbBadGateway, Outcome::LbUnavailable, Outcome::LbTimeout];
            prop_assert!(told_by_proxy.into_iter().all(|o| possible(o, proxies.is_some())));
            prop_assert_eq!(s.lost.values().sum::<u64>(), s.ended() - s.completed(), "each loss has one place");
            prop_assert!(possible(Outcome::LinkDrop, churned || run.links.iter().any(|l| l.utilisation > 0.0)));
            prop_assert!([Outcome::Refused, Outcome::Reset, Outcome::Blackhole].into_iter().all(|o| possible(o, churned)));
            prop_assert!(possible(Outcome::Rejected, churned || (spec.workloads[0].replicas == 0 && !spec.workloads[0].is_daemon())));
            prop_assert!(possible(Outcome::PolicyDrop, [spec.services[0].external_traffic_policy, spec.services[0].internal_traffic_policy]
                .contains(&TrafficPolicy::Local)));
        }
        for pod in &run.pods {
            // A Pod that is deleted works on beside its replacement.
            prop_assert!(pod.busy <= run.measured * (u64::from(pod.concurrency) * u64::from(pod.pods)), "{pod:?}");
        }
    }

    #[test]
    fn the_same_chances_make_the_same_run(spec in worlds(), replication in 0u64..1_000) {
        let once = format!("{:?}", run_one(&spec, replication));
        prop_assert!(once == format!("{:?}", run_one(&spec, replication)), "two runs of replication {replication} differ");
        prop_assert!(once != format!("{:?}", run_one(&spec, replication + 1)), "replication {replication} and the next are the same");
    }
}

/// Kept requests are those that ended: of all of them, those behind the warm-up are the ones that are measured.
#[test]
fn requests_that_are_kept_are_those_that_are_counted() {
    let pod = behaviour(DistSpec::Exponential { mean: ms(5) }, 2);
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0", "n1"], pod)], traffic(Origin::Cluster, Via::ClusterIP, 300.0));
    spec.run = RunSpec { duration: secs(20), warm_up: secs(5), window: secs(1) };
    crashes(&mut spec, "web", constant(secs(3)));
    spec.sample = 1;
    let all = run_one(&spec, 0);
    let series = &all.series[0];
    assert_eq!(all.requests.len() as u64, series.outcomes_ever.iter().sum::<u64>());
    let measured = all.requests.iter().filter(|r| r.start >= SimTime::ZERO + secs(5));
    let mut latency = Histogram::new(3);
    measured.clone().filter(|r| r.outcome == Outcome::Completed).for_each(|r| latency.record(r.latency()));
    assert_eq!((latency.count(), latency.mean_ns()), (series.latency.count(), series.latency.mean_ns()));
    assert!(measured.clone().any(|r| r.outcome != Outcome::Completed), "crashes lose some");
    spec.sample = 0;
    assert!(run_one(&spec, 0).requests.is_empty());
}
