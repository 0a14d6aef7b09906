//! How evenly iptables mode shares load over Pods: as evenly as dice, by connection and not by request.

use crate::world::*;
use svcsim_models::record::SeriesResult;

const PODS: usize = 8;
const REPLICATIONS: u64 = 150;

/// Eight Pods, unevenly over three Nodes, and clients on all of these and one more.
fn uneven(connections: ConnectionsSpec, clients: u32, per_second: f64) -> ClusterSpec {
    let placed = ["n0", "n1", "n1", "n2", "n2", "n2", "n2", "n2"];
    let traffic = TrafficSpec { connections, clients, ..traffic(Origin::Cluster, Via::ClusterIP, per_second) };
    // So short a demand that a client's requests never overlap, and one connection is enough.
    let pod = behaviour(constant(SimDuration::from_nanos(1)), 10_000);
    let mut spec = spec(nodes_in(&["a", "a", "b", "b"]), vec![web(&placed, pod)], traffic);
    spec.run.duration = secs(2);
    spec
}

/// Sum of squared deviations from equal shares of what each Pod got, over what it is on average if `independent`
/// draws decide: 1 - 1/n of 1 / draws.
fn spread(loads: &[u64], independent: f64) -> f64 {
    let total: u64 = loads.iter().sum();
    let squares: f64 = loads.iter().map(|l| share(*l, total) - 1.0 / PODS as f64).map(|d| d * d).sum();
    squares * independent / (1.0 - 1.0 / PODS as f64)
}

/// What the Pods of the Service took in.
fn loads(series: &SeriesResult) -> Vec<u64> {
    series.backends.iter().map(|b| series.requests_by_replica[*b]).collect()
}

#[test]
fn a_connection_for_each_request_is_multinomial_in_requests() {
    let spec = uneven(ConnectionsSpec::PerRequest, 10, 500.0);
    let runs: Vec<SeriesResult> = (0..REPLICATIONS).map(|r| series(&spec, r)).collect();
    for s in &runs {
        assert_eq!((s.backends.len(), loads(s).iter().sum()), (PODS, s.arrivals), "every request is taken in by one of the Pods");
        assert_eq!(s.connections_by_replica, s.requests_by_replica);
    }
    // Two-sided: a rotation would be too even, a bias not even enough. This is chi-square over its 7 degrees of freedom.
    assert_near("chi-square / 7", runs.iter().map(|s| spread(&loads(s), s.arrivals as f64)), 1.0, 0.1);
    for pod in 0..PODS {
        let got: u64 = runs.iter().map(|s| loads(s)[pod]).sum();
        let all: u64 = runs.iter().map(|s| s.arrivals).sum();
        assert_chance(format!("share of Pod {pod}"), got, all, 1.0 / PODS as f64);
    }
}

/// What a Pod gets is decided once for each of k connections; more requests over them make nothing more even. Two
/// requests share their client, and so their Pod, with probability 1/k.
#[test]
fn keep_alive_is_multinomial_in_connections() {
    const CONNECTIONS: u32 = 20;
    let keep_alive = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1));
    for per_second in [250.0, 2_000.0] {
        let spec = uneven(keep_alive.clone(), CONNECTIONS, per_second);
        let runs: Vec<SeriesResult> = (0..REPLICATIONS).map(|r| series(&spec, r)).collect();
        for s in &runs {
            let opened: u64 = s.connections_by_replica.iter().sum();
            assert_eq!(opened, u64::from(CONNECTIONS), "one connection a client, at {per_second} requests/s");
        }
        let by_connection = |s: &SeriesResult| {
            let (n, k) = (s.arrivals as f64, f64::from(CONNECTIONS));
            spread(&loads(s), 1.0 / (1.0 / n + (1.0 - 1.0 / n) / k))
        };
        assert_near(format!("spread over connections at {per_second} requests/s"), runs.iter().map(by_connection), 1.0, 0.1);
    }
}

/// A pool holds no more idle connections than it may, and none of none: then it is a connection for each request.
#[test]
fn a_pool_of_none_keeps_nothing_alive() {
    let pool = |max_idle| series(&uneven(ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(max_idle)), 10, 500.0), 0);
    let (none, one) = (pool(0), pool(1));
    assert_eq!(none.connections_by_replica.iter().sum::<u64>(), none.arrivals);
    assert_eq!((one.arrivals, one.connections_by_replica.iter().sum::<u64>()), (none.arrivals, 10));
}
