//! Connections: what it costs to open them, who shares them, who waits for them, and when they end.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::load_balancer::Proxies;
use svcsim_models::network::{OneSwitchSpec, ShapeSpec};
use svcsim_models::record::SeriesResult;
use svcsim_models::units::Bytes;

/// A round trip between two Nodes is 40 ms, a service 1 ms; one client on `n0`, Pods on the other Nodes.
fn far(pods: &[&str], per_second: f64, connections: ConnectionsSpec) -> ClusterSpec {
    let traffic = TrafficSpec { clients: 1, connections, ..traffic(workload_origin("caller"), Via::ClusterIP, per_second) };
    let mut spec = spec(nodes_in(&["", "", "", ""]), vec![web(pods, quick()), callers(&["n0"])], traffic);
    spec.network.shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(ms(10)) });
    spec
}

/// The same at no distance.
fn near(pods: usize, pod: PodBehaviour, clients: u32, per_second: f64, connections: ConnectionsSpec) -> ClusterSpec {
    let traffic = TrafficSpec { clients, connections, ..traffic(Origin::Cluster, Via::ClusterIP, per_second) };
    spec(nodes_in(&[""]), vec![web(&vec!["n0"; pods], pod)], traffic)
}

const TCP: HandshakeSpec = HandshakeSpec { tcp: true, tls: Tls::None };

fn multiplexed() -> MultiplexedSpec {
    MultiplexedSpec::default()
}

fn opened(series: &SeriesResult) -> u64 {
    series.connections_by_replica.iter().sum()
}

fn all_equal(series: &SeriesResult) -> SimDuration {
    assert_eq!(others(series, &[Outcome::Completed]), 0, "{:?}", series.outcomes);
    assert_eq!(series.latency.min(), series.latency.max(), "nothing varies");
    series.latency.min().expect("some complete")
}

#[test]
fn a_handshake_costs_its_round_trips_and_no_more() {
    let latency = |handshake| {
        let mut spec = far(&["n1"], 50.0, ConnectionsSpec::PerRequest);
        source(&mut spec).handshake = handshake;
        let s = series(&spec, 0);
        assert_eq!(opened(&s), s.completed(), "each is a connection, counted once");
        all_equal(&s)
    };
    let tls = |tls| Some(HandshakeSpec { tcp: true, tls });
    assert_eq!(latency(None), ms(41));
    assert_eq!(latency(tls(Tls::None)), ms(81));
    assert_eq!(latency(tls(Tls::Tls13)), ms(121));
    assert_eq!(latency(tls(Tls::Tls12)), ms(161));
}

#[test]
fn who_keeps_connections_shakes_hands_once() {
    let mut spec = far(&["n1"], 2.0, ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(10)));
    source(&mut spec).handshake = Some(TCP);
    spec.run.duration = secs(60);
    let s = series(&spec, 0);
    let (few, one) = (opened(&s), s.latency.quantile(0.5));
    assert!((1..20).contains(&few), "as many as were ever needed at once: {few}");
    assert!(s.latency.max() == Some(ms(81)) && one < Some(ms(42)), "{one:?}");
}

/// 10 ms from the site to the edge, 100 µs from there to a Node of another zone, 10 µs to the Node.
#[test]
fn a_proxy_ends_the_handshake_of_its_clients() {
    let latency = |proxies: bool, handshake| {
        let traffic = TrafficSpec { handshake, ..traffic(internet(), Via::LoadBalancer, 50.0) };
        let mut spec = spec(nodes_in(&["a"]), vec![web(&["n0"], quick())], traffic);
        zoned(&mut spec);
        load_balancer_delay(&mut spec, SimDuration::ZERO);
        let p = balancer(&mut spec);
        if proxies {
            p.proxies = Some(Proxies::default());
        }
        all_equal(&series(&spec, 0))
    };
    let both = |proxies| (latency(proxies, None), latency(proxies, Some(TCP)));
    let (before, after) = both(true);
    assert_eq!(after.saturating_sub(before), ms(20), "to the edge and back");
    let (before, after) = both(false);
    assert_eq!(after.saturating_sub(before), ms(20) + us(220), "to the Pod and back");
}

/// HTTP/2 behind a balancer of connections: whatever a client sends goes to one Pod, as many requests at once as there are.
#[test]
fn a_multiplexed_connection_is_balanced_once() {
    let mut spec = far(&["n1", "n2", "n3"], 200.0, ConnectionsSpec::Multiplexed(multiplexed()));
    let s = series(&spec, 0);
    assert_eq!((opened(&s), s.backends.iter().filter(|b| s.requests_by_replica[**b] > 0).count()), (1, 1));
    assert_eq!(others(&s, &[Outcome::Completed]), 0);
    // Those that came during the handshake waited for the rest of it.
    assert!(s.latency.max() <= Some(ms(81)) && s.latency.quantile(0.5) < Some(ms(42)), "{:?}", s.latency.max());
    source(&mut spec).connections = ConnectionsSpec::Multiplexed(MultiplexedSpec { opened: true, ..multiplexed() });
    assert_eq!(all_equal(&series(&spec, 0)), ms(41), "a connection that stands before the first request");
}

/// One connection that carries one request at a time is a single server, wherever the request is: M/M/1 at the client.
#[test]
fn who_shares_a_connection_waits_for_it() {
    let busy = behaviour(DistSpec::Exponential { mean: ms(10) }, 10_000);
    let fixed = ConnectionsSpec::Fixed(FixedSpec { connections: 1, spread: Spread::RoundRobin });
    let pool = ConnectionsSpec::KeepAlive(KeepAliveSpec { max_connections: Some(1), ..KeepAliveSpec::idle(1) });
    let stream = ConnectionsSpec::Multiplexed(MultiplexedSpec { max_streams: 1, ..multiplexed() });
    let two = ConnectionsSpec::Multiplexed(MultiplexedSpec { max_streams: 2, ..multiplexed() });
    // The mean of M/M/2 at the same rate: 1 / mu / (1 - rho^2).
    for (connections, mean) in [(fixed, 10.0 / 0.4), (pool, 10.0 / 0.4), (stream, 10.0 / 0.4), (two, 10.0 / (1.0 - 0.09))] {
        let mut spec = near(4, busy.clone(), 1, 60.0, connections.clone());
        spec.run = RunSpec { duration: secs(210), warm_up: secs(10), window: secs(10) };
        let found = replicate(&spec, 24).into_iter().map(|r| r.series[0].latency.mean_ns().expect("some complete") / 1e6);
        assert_near(format!("{connections:?}"), found, mean, 0.02);
    }
}

/// k connections of equal rate over n Pods: n (1 - 1/n)^k Pods are idle on average, and the squared coefficient of variation is
/// (n - 1) / k (balls into bins).
#[test]
fn connections_fall_on_pods_as_balls_into_bins() {
    let (pods, connections) = (10_usize, 20);
    let fixed = ConnectionsSpec::Fixed(FixedSpec { connections, spread: Spread::RoundRobin });
    let mut spec = near(pods, quick(), 1, 2_000.0, fixed);
    spec.run.duration = secs(1);
    let (mut idle, mut cv_squared) = (Vec::new(), Vec::new());
    for r in replicate(&spec, 400) {
        let s = &r.series[0];
        let got: Vec<f64> = s.backends.iter().map(|b| s.requests_by_replica[*b] as f64).collect();
        let mean = got.iter().sum::<f64>() / pods as f64;
        idle.push(got.iter().filter(|x| **x == 0.0).count() as f64);
        cv_squared.push(got.iter().map(|x| (x / mean - 1.0) * (x / mean - 1.0)).sum::<f64>() / pods as f64);
        assert_eq!(opened(s), 0, "none of them is a request's");
    }
    assert_near("idle Pods", idle, 1.215_766_546, 0.05);
    assert_near("squared coefficient of variation", cv_squared, 0.45, 0.05);
}

/// Connections that are renewed after exponential lives of mean C find a new Pod slowly: (1 - e^(-t/C)) / (n + 1) of them have it.
#[test]
fn a_new_pod_gets_what_is_renewed() {
    let max_age = Some(DistSpec::Exponential { mean: secs(60) });
    let connections = ConnectionsSpec::Multiplexed(MultiplexedSpec { opened: true, max_age, ..multiplexed() });
    let mut spec = near(9, quick(), 4_000, 20_000.0, connections);
    let grow = Action::Scale(ScaleTarget::to("web", 10));
    spec.workloads[0].placed_on.clear();
    spec.propagation = PropagationSpec { publish: constant(SimDuration::ZERO), to_node: constant(SimDuration::ZERO), ..spec.propagation };
    spec.events.insert("grow".to_owned(), EventSpec::at(secs(1), grow));
    spec.run = RunSpec { duration: secs(12), warm_up: secs(10), window: secs(1) };
    let c = 60.0;
    let expected = (1.0 - c / 2.0 * (libm::exp(-9.0 / c) - libm::exp(-11.0 / c))) / 10.0;
    let found = replicate(&spec, 20).into_iter().map(|r| {
        let s = &r.series[0];
        share(*s.requests_by_replica.last().expect("the new one"), s.requests_by_replica.iter().sum())
    });
    assert_near("share of the new Pod", found, expected, 0.05);
}

/// All that a Pod had is opened again as soon as it is needed, and nothing else.
#[test]
fn a_pods_end_is_a_storm_of_connections() {
    let mut spec = near(4, quick(), 400, 8_000.0, ConnectionsSpec::Multiplexed(MultiplexedSpec { opened: true, ..multiplexed() }));
    source(&mut spec).handshake = Some(TCP);
    spec.propagation.to_node = constant(ms(1));
    let quiet = series(&spec, 0);
    assert_eq!((opened(&quiet), others(&quiet, &[Outcome::Completed])), (0, 0));
    spec.events.insert("crash".to_owned(), EventSpec::at(secs(5), Action::PodCrash(any_pod_of("web"))));
    let stormy = series(&spec, 0);
    // 100 connections of the Pod that dies, give or take 4 standard deviations; few are refused before the Nodes know.
    let lost = count(&stormy, Outcome::Refused);
    let storm = opened(&stormy);
    assert!((65..=140).contains(&storm), "{storm} opened again, {lost} refused");
}

#[test]
fn a_connection_ends_after_its_share_of_requests_or_of_quiet() {
    let pool = |change: &dyn Fn(&mut KeepAliveSpec)| {
        let mut kept = KeepAliveSpec::idle(10);
        change(&mut kept);
        let mut spec = near(1, behaviour(constant(SimDuration::from_nanos(1)), 100), 1, 100.0, ConnectionsSpec::KeepAlive(kept));
        spec.run.duration = secs(100);
        series(&spec, 0)
    };
    let all = pool(&|_| {});
    assert_eq!(opened(&all), 1);
    let seven = pool(&|k| k.max_requests = Some(7));
    assert_eq!(opened(&seven), seven.arrivals.div_ceil(7));
    // The time between two requests is exponential of mean 10 ms.
    let quiet = pool(&|k| k.idle_timeout = Some(ms(20)));
    assert_chance("gaps longer than the time-out", opened(&quiet), quiet.arrivals, libm::exp(-2.0));
    // One that has lived for a second ends; the next begins with the next request, 10 ms later on average.
    let aged = pool(&|k| k.max_age = Some(constant(secs(1))));
    assert!((96..=101).contains(&opened(&aged)), "{} in 100 s", opened(&aged));
    assert_eq!((seven.latency.max(), quiet.latency.max(), aged.latency.max()), (all.latency.max(), all.latency.max(), all.latency.max()));
}

/// GOAWAY: what is under way ends where it began, what comes later goes elsewhere.
#[test]
fn a_connection_that_takes_no_more_finishes_what_it_has() {
    let slow = behaviour(constant(secs(1)), 10_000);
    let few = ConnectionsSpec::Multiplexed(MultiplexedSpec { max_requests: Some(5), ..multiplexed() });
    let mut spec = near(2, slow.clone(), 1, 100.0, few);
    let s = series(&spec, 0);
    assert_eq!(all_equal(&s), secs(1));
    assert_eq!(opened(&s), s.arrivals.div_ceil(5));
    let old = MultiplexedSpec { max_age: Some(constant(ms(1_500))), max_streams: 1_000, ..multiplexed() };
    source(&mut spec).connections = ConnectionsSpec::Multiplexed(old);
    let s = series(&spec, 0);
    assert_eq!((all_equal(&s), opened(&s)), (secs(1), 7), "one each 1.5 s of 10 s");
}

/// 100 kB are 69 segments: 10, 20 and the rest are three flights, so two round trips more.
#[test]
fn a_large_answer_starts_slowly() {
    let slow = |connections, after_idle| {
        let mut spec = far(&["n1"], 2.0, connections);
        source(&mut spec).response_size = constant(Bytes(100_000));
        source(&mut spec).tcp.slow_start = Some(SlowStartSpec { initial_window: 10, after_idle });
        spec.run.duration = secs(60);
        series(&spec, 0)
    };
    assert_eq!(all_equal(&slow(ConnectionsSpec::PerRequest, true)), ms(41 + 80));
    // The window is 40 segments when the first answer is over, 80 after the second: then one flight is enough.
    let one = || ConnectionsSpec::Fixed(FixedSpec { connections: 1, spread: Spread::RoundRobin });
    let open = slow(one(), false);
    assert!(open.latency.quantile(0.8) < Some(ms(42)), "{:?}", open.latency.max());
    let shut = slow(one(), true);
    assert!(shut.latency.quantile(0.6) >= Some(ms(41 + 80)), "half a second of quiet shuts it: {:?}", shut.latency.quantile(0.6));
}

/// What was sent to a Node that cannot be reached is sent again 0.2, 0.4, 0.8 and 1.6 s later.
#[test]
fn data_outlasts_a_hole() {
    let fixed = ConnectionsSpec::Fixed(FixedSpec { connections: 1, spread: Spread::RoundRobin });
    let mut spec = far(&["n1"], 10.0, fixed);
    source(&mut spec).timeout = Some(secs(20));
    let cut = Action::NodeCut(NodeTarget { node: Some("n1".to_owned()) });
    spec.events.insert("hole".to_owned(), EventSpec::at(secs(2), cut).lasting(constant(ms(1_500))));
    let s = series(&spec, 0);
    assert_eq!(others(&s, &[Outcome::Completed]), 0, "{:?}", s.outcomes);
    assert!((ms(1_500)..ms(10_000)).contains(&s.latency.max().expect("some complete")), "{:?}", s.latency.max());
}

#[test]
fn connections_that_make_no_sense_are_errors() {
    let mut spec = near(1, quick(), 10, 10.0, ConnectionsSpec::PerRequest);
    let mut found = |connections: ConnectionsSpec, handshake| {
        source(&mut spec).connections = connections;
        source(&mut spec).handshake = handshake;
        svcsim_models::cluster::check(&spec).err().map(|e| e.field)
    };
    let kept = KeepAliveSpec::idle(1);
    let pool = |k: KeepAliveSpec| ConnectionsSpec::KeepAlive(k);
    let http2 = |m: MultiplexedSpec| ConnectionsSpec::Multiplexed(m);
    let at = |part: &str| Some(format!("traffic.clients.{part}"));
    assert_eq!(found(pool(KeepAliveSpec { max_connections: Some(0), ..kept.clone() }), None), at("connections.keepAlive.maxConnections"));
    assert_eq!(found(pool(KeepAliveSpec { max_requests: Some(0), ..kept.clone() }), None), at("connections.keepAlive.maxRequests"));
    let never = KeepAliveSpec { idle_timeout: Some(SimDuration::ZERO), ..kept };
    assert_eq!(found(pool(never), None), at("connections.keepAlive.idleTimeout"));
    assert_eq!(found(http2(MultiplexedSpec { max_streams: 0, ..multiplexed() }), None), at("connections.multiplexed.maxStreams"));
    assert_eq!(found(http2(MultiplexedSpec { connections: 0, ..multiplexed() }), None), at("connections.multiplexed.connections"));
    assert_eq!(found(http2(multiplexed()), Some(HandshakeSpec::NONE)), at("handshake.tcp"));
    let bare = HandshakeSpec { tcp: false, tls: Tls::Tls13 };
    assert_eq!(found(ConnectionsSpec::PerRequest, Some(bare)), at("handshake.tcp"));
    assert_eq!(found(http2(multiplexed()), None), None);
}
