//! Designs under comparison meet the same requests, so that what differs is the design.

use crate::world::*;
use svcsim_models::network::{LinkSpec, NetworkSpec, ShapeSpec, SiteSpec, ZonesSpec};
use svcsim_models::record::SeriesResult;
use svcsim_models::units::Bytes;

/// Enough Pods that nothing is lost, whatever the way to them.
fn design(from: Origin, via: Via, policy: TrafficPolicy, connections: ConnectionsSpec) -> ClusterSpec {
    let pod = behaviour(DistSpec::Lognormal { mean: ms(5), cv: 2.0 }, 4);
    let traffic = TrafficSpec {
        connections,
        request_size: DistSpec::Exponential { mean: Bytes(1_000) },
        response_size: DistSpec::Exponential { mean: Bytes(10_000) },
        ..traffic(from, via, 800.0)
    };
    let mut spec = spec(nodes_in(&["a", "a", "b"]), vec![web(&["n0", "n1", "n1", "n2"], pod)], traffic);
    // Every link draws, so a design draws as often as its ways are long: from a stream of its own.
    let link = LinkSpec { delay: DistSpec::Exponential { mean: us(100) }, bandwidth: None, queue: None };
    let shape = ZonesSpec { node: link.clone(), zone: link.clone(), inter_zone: link.clone() };
    spec.network = NetworkSpec { shape: ShapeSpec::Zones(shape), sites: [("internet".to_owned(), SiteSpec { link, attach: None })].into() };
    spec.services[0].external_traffic_policy = policy;
    spec.services[0].internal_traffic_policy = policy;
    spec.run.warm_up = secs(1);
    spec
}

#[test]
fn designs_meet_the_same_requests() {
    let (request, kept) = (ConnectionsSpec::PerRequest, ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(10)));
    let (cluster, local) = (TrafficPolicy::Cluster, TrafficPolicy::Local);
    let designs = [
        design(internet(), Via::LoadBalancer, cluster, request.clone()),
        design(internet(), Via::LoadBalancer, local, request.clone()),
        design(internet(), Via::NodePort, cluster, request.clone()),
        design(internet(), Via::NodePort, local, kept.clone()),
        design(Origin::Cluster, Via::ClusterIP, cluster, request.clone()),
        design(Origin::Cluster, Via::ClusterIP, local, kept.clone()),
        design(Origin::Cluster, Via::LoadBalancer, local, request.clone()),
    ];
    for replication in 0..5 {
        let found: Vec<SeriesResult> = designs.iter().map(|d| series(d, replication)).collect();
        for (i, s) in found.iter().enumerate() {
            assert_eq!(s.completed(), s.arrivals, "design {i}, replication {replication}: nothing is lost in any design");
            assert_eq!(
                (s.arrivals_ever, s.arrivals, s.service.sum(), s.service.max()),
                (found[0].arrivals_ever, found[0].arrivals, found[0].service.sum(), found[0].service.max()),
                "design {i}, replication {replication}, seed {SEED}: arrivals and demands as in design 0"
            );
            let sent = |s: &SeriesResult| s.timeline.iter().map(|w| w.arrivals).collect::<Vec<u64>>();
            assert_eq!(sent(s), sent(&found[0]), "design {i}, replication {replication}: sent at the same times");
        }
        let latencies: Vec<_> = found.iter().map(|s| s.latency.mean()).collect();
        assert!(latencies.windows(2).all(|w| w[0] != w[1]), "the designs differ in their latency: {latencies:?}");
    }
}

/// Nor do they meet other incidents: the same Pods' places fall at the same times.
#[test]
fn designs_meet_the_same_incidents() {
    let incidents = |via, policy| {
        let mut spec = design(internet(), via, policy, ConnectionsSpec::PerRequest);
        crashes(&mut spec, "web", DistSpec::Exponential { mean: secs(2) });
        deletions(&mut spec, "web", DistSpec::Exponential { mean: secs(2) });
        let falls = |e: &str| e == "crash" || e == "terminate";
        let list = run_one(&spec, 3).incidents.into_iter().filter(move |i| falls(&i.event));
        list.map(|i| (i.time.as_nanos(), i.event, i.pod)).collect::<Vec<_>>()
    };
    let first = incidents(Via::LoadBalancer, TrafficPolicy::Cluster);
    assert!(first.len() > 3, "{first:?}");
    assert_eq!(first, incidents(Via::NodePort, TrafficPolicy::Local));
}

/// One source more changes nothing for the others but what they share.
#[test]
fn a_source_does_not_draw_from_anothers_stream() {
    let alone = design(internet(), Via::NodePort, TrafficPolicy::Cluster, ConnectionsSpec::PerRequest);
    let mut both = alone.clone();
    both.traffic.insert("another".to_owned(), traffic(Origin::Cluster, Via::ClusterIP, 100.0));
    let (alone, both) = (run_one(&alone, 0), run_one(&both, 0));
    let names: Vec<&str> = both.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["another", "clients"]);
    assert_eq!((alone.series[0].arrivals, served_s(&alone.series[0])), (both.series[1].arrivals, served_s(&both.series[1])));
    assert_ne!(both.series[0].arrivals, both.series[1].arrivals);
}
