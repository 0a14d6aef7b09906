//! Which way requests go by the address they dial and the Service's policies: links crossed, Pods reached,
//! addresses rewritten, and what vanishes.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::SeriesResult;

/// Pods of `uneven` on its four Nodes.
const PODS_ON: [usize; 4] = [1, 2, 5, 0];
const PODS: usize = 8;

/// Pods 1, 2, 5, 0 on four Nodes; the policy is for both kinds of traffic.
fn uneven(from: Origin, via: Via, policy: TrafficPolicy) -> ClusterSpec {
    let placed = ["n0", "n1", "n1", "n2", "n2", "n2", "n2", "n2"];
    let callers = callers(&["n0", "n1", "n2", "n3"]);
    let mut spec = spec(nodes_in(&["a", "a", "b", "b"]), vec![web(&placed, quick()), callers], traffic(from, via, 4_000.0));
    zoned(&mut spec);
    set_policy(&mut spec, policy);
    spec
}

fn set_policy(spec: &mut ClusterSpec, policy: TrafficPolicy) {
    spec.services[0].external_traffic_policy = policy;
    spec.services[0].internal_traffic_policy = policy;
}

/// Requests of each Pod on each Node.
fn by_node(s: &SeriesResult) -> [Vec<u64>; 4] {
    let mut rest = &s.requests_by_replica[..PODS];
    PODS_ON.map(|n| {
        let (here, after) = rest.split_at(n);
        rest = after;
        here.to_vec()
    })
}

/// Each Pod on Node `n` gets `expected(n)` of all requests sent.
fn assert_shares(what: &str, s: &SeriesResult, expected: impl Fn(usize) -> f64) {
    for (node, pods) in by_node(s).into_iter().enumerate() {
        for (pod, got) in pods.into_iter().enumerate() {
            assert_chance(format!("{what}: share of Pod {pod} on Node {node}"), got, s.arrivals, expected(node));
        }
    }
}

#[test]
fn a_node_port_under_policy_cluster_takes_an_extra_hop_as_often_as_the_pod_is_elsewhere() {
    let s = series(&uneven(internet(), Via::NodePort, TrafficPolicy::Cluster), 0);
    assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals), "everything completes, and every source is rewritten");
    // Averaged over entry Nodes, of which one has no Pods.
    let here: f64 = PODS_ON.iter().map(|n| *n as f64 / PODS as f64).sum::<f64>() / 4.0;
    assert_chance("extra hops", s.extra_hop, s.arrivals, 1.0 - here);
    // Two of the four Nodes, and three of the eight Pods, are in zone a.
    assert_chance("cross-zone", s.cross_zone, s.arrivals, 0.5 * 5.0 / 8.0 + 0.5 * 3.0 / 8.0);
    assert_shares("NodePort, Cluster", &s, |_| 1.0 / 8.0);
}

#[test]
fn a_node_port_under_policy_local_stays_on_its_node_and_drops_where_there_is_no_pod() {
    let s = series(&uneven(internet(), Via::NodePort, TrafficPolicy::Local), 0);
    assert_eq!((s.extra_hop, s.snat, s.cross_zone), (0, 0, 0));
    assert_chance("dropped", count(&s, Outcome::PolicyDrop), s.arrivals, 1.0 / 4.0);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::PolicyDrop]), 0);
    assert_shares("NodePort, Local", &s, |node| 1.0 / 4.0 / PODS_ON[node] as f64);
}

/// The load balancer knows which Nodes have Pods, but not how many.
#[test]
fn a_load_balancer_under_policy_local_shares_by_node_and_under_cluster_by_pod() {
    let s = series(&uneven(internet(), Via::LoadBalancer, TrafficPolicy::Local), 0);
    assert_eq!((s.completed(), s.extra_hop, s.snat), (s.arrivals, 0, 0));
    assert_shares("LoadBalancer, Local", &s, |node| 1.0 / 3.0 / PODS_ON[node] as f64);

    let s = series(&uneven(internet(), Via::LoadBalancer, TrafficPolicy::Cluster), 0);
    assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals));
    assert_chance("extra hops", s.extra_hop, s.arrivals, 3.0 / 4.0);
    assert_shares("LoadBalancer, Cluster", &s, |_| 1.0 / 8.0);
}

#[test]
fn a_cluster_ip_never_rewrites_the_source_and_takes_no_extra_hop() {
    let s = series(&uneven(workload_origin("caller"), Via::ClusterIP, TrafficPolicy::Cluster), 0);
    assert_eq!((s.completed(), s.snat, s.extra_hop), (s.arrivals, 0, 0));
    // Ten clients on four Nodes in turn: six in zone a, where three of the eight Pods are.
    assert_chance("cross-zone", s.cross_zone, s.arrivals, 0.6 * 5.0 / 8.0 + 0.4 * 3.0 / 8.0);
    assert_shares("ClusterIP, Cluster", &s, |_| 1.0 / 8.0);
}

#[test]
fn internal_traffic_policy_local_drops_where_there_is_no_pod() {
    let s = series(&uneven(Origin::Cluster, Via::ClusterIP, TrafficPolicy::Local), 0);
    // Ten clients on four Nodes in turn: Nodes 0 and 1 have three each.
    assert_chance("dropped", count(&s, Outcome::PolicyDrop), s.arrivals, 0.2);
    assert_eq!((others(&s, &[Outcome::Completed, Outcome::PolicyDrop]), s.hops.max()), (0, Some(0)), "nothing leaves its Node");
    assert_shares("ClusterIP, Local", &s, |node| [0.3, 0.3, 0.2][node] / PODS_ON[node] as f64);
}

/// A policy acts on its own kind of traffic only.
#[test]
fn internal_and_external_policies_do_not_mix() {
    let mut spec = uneven(Origin::Cluster, Via::ClusterIP, TrafficPolicy::Cluster);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    let s = series(&spec, 0);
    assert_eq!((s.completed(), s.snat), (s.arrivals, 0));
    assert_shares("ClusterIP, external Local", &s, |_| 1.0 / 8.0);
    let mut spec = uneven(internet(), Via::NodePort, TrafficPolicy::Cluster);
    spec.services[0].internal_traffic_policy = TrafficPolicy::Local;
    let s = series(&spec, 0);
    assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals));
}

/// A Pod that dials the load balancer's address never gets there: its own Node's proxy answers, and under policy Local
/// with all endpoints, unrewritten, even from a Node without any.
#[test]
fn a_load_balancers_address_is_short_circuited_inside_the_cluster() {
    for (policy, rewritten) in [(TrafficPolicy::Local, false), (TrafficPolicy::Cluster, true)] {
        let mut spec = uneven(workload_origin("caller"), Via::LoadBalancer, policy);
        spec.workloads[1] = callers(&["n3"]);
        // Whoever crossed the edge or the balancer would stand out.
        load_balancer_delay(&mut spec, secs(1));
        let s = series(&spec, 0);
        assert_eq!((s.completed(), s.snat), (s.arrivals, if rewritten { s.arrivals } else { 0 }), "{policy:?}");
        assert_shares(&format!("LoadBalancer from inside, {policy:?}"), &s, |_| 1.0 / 8.0);
        // To a Pod in the same zone two links each way, to another zone three.
        assert_eq!((s.hops.min(), s.hops.max()), (Some(4), Some(6)), "{policy:?}");
        assert_eq!(s.latency.max(), Some(ms(1) + us(2 * 1_020)), "{policy:?}: the longest way is between zones, not over the edge");
    }
}

/// Rejection is an answer and comes at once, where the kernel does not mind how often; a drop is silence until the client gives up.
#[test]
fn what_has_no_endpoint_is_rejected_at_once() {
    let talkative = |spec: &mut ClusterSpec| {
        spec.proxy.icmp_ratelimit = SimDuration::ZERO;
        source(spec).arrivals = poisson(100.0);
    };
    let mut spec = uneven(internet(), Via::LoadBalancer, TrafficPolicy::Cluster);
    talkative(&mut spec);
    spec.services[0].selector.insert("app".to_owned(), "nothing".to_owned());
    // There and back is 20.22 ms, and 50 µs twice in the load balancer.
    for (timeout, outcome) in [(us(20_319), Outcome::TimedOut), (us(20_321), Outcome::Rejected)] {
        source(&mut spec).timeout = Some(timeout);
        let s = series(&spec, 0);
        assert_eq!(count(&s, outcome), s.arrivals, "a timeout of {timeout}");
    }
    for (from, via) in [(Origin::Cluster, Via::ClusterIP), (Origin::Cluster, Via::LoadBalancer)] {
        let mut spec = uneven(from, via, TrafficPolicy::Local);
        talkative(&mut spec);
        spec.services[0].selector.clear();
        source(&mut spec).timeout = Some(SimDuration::from_nanos(1));
        let s = series(&spec, 0);
        assert_eq!(count(&s, Outcome::Rejected), s.arrivals, "{via:?}: an empty selector selects nothing, and the Node itself says so");
    }
}

#[test]
fn what_is_dropped_ends_with_the_clients_patience() {
    let mut spec = uneven(Origin::Cluster, Via::ClusterIP, TrafficPolicy::Local);
    spec.workloads[0].placed_on = vec!["n3".to_owned(); PODS];
    source(&mut spec).timeout = Some(secs(4));
    let s = series(&spec, 0);
    assert_chance("dropped", count(&s, Outcome::PolicyDrop), s.arrivals, 0.8);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::PolicyDrop]), 0);
    let errors: Vec<bool> = s.timeline.iter().map(|w| w.errors > 0).collect();
    assert_eq!(errors, [false, false, false, false, true, true, true, true, true, true], "the first client gives up after 4 s");
}

/// One way: links crossed and their delay.
#[derive(Clone, Copy)]
struct OneWay {
    links: u64,
    delay: SimDuration,
}

/// Every path over zones, link by link. Each case has one Pod, and clients in one place; where the entry is drawn, the
/// shortest and the longest way are given.
#[test]
fn paths_cross_exactly_their_links() {
    let nowhere = OneWay { links: 0, delay: SimDuration::ZERO };
    let in_zone = OneWay { links: 2, delay: us(20) };
    let across = OneWay { links: 3, delay: us(1_020) };
    // Site, edge, zone, Node.
    let outside = OneWay { links: 3, delay: us(10_110) };
    let add = |a: OneWay, b: OneWay| OneWay { links: a.links + b.links, delay: a.delay + b.delay };
    let balancer = OneWay { links: 0, delay: us(70) };
    let from = |client: Option<&str>| client.map_or_else(internet, |_| workload_origin("caller"));
    let (cluster, local) = (TrafficPolicy::Cluster, TrafficPolicy::Local);
    let (ip, port, lb) = (Via::ClusterIP, Via::NodePort, Via::LoadBalancer);
    // Nodes 0 and 1 are in zone a, Node 2 in zone b.
    let cases = [
        ("to the own Node", Some("n0"), ip, cluster, "n0", nowhere, nowhere),
        ("to the own Node, Local", Some("n0"), ip, local, "n0", nowhere, nowhere),
        ("within a zone", Some("n0"), ip, cluster, "n1", in_zone, in_zone),
        ("between zones", Some("n0"), ip, cluster, "n2", across, across),
        ("the load balancer's address from inside", Some("n0"), lb, cluster, "n2", across, across),
        ("the same, Local", Some("n0"), lb, local, "n2", across, across),
        ("a node port from outside, Local", None, port, local, "n1", outside, outside),
        ("a node port from outside", None, port, cluster, "n0", outside, add(outside, across)),
        // Dialled at the own Node or at Node 1; or at Node 2, and translated back there.
        ("a node port from inside", Some("n0"), port, cluster, "n1", in_zone, add(across, across)),
        ("the load balancer, Local", None, lb, local, "n2", add(outside, balancer), add(outside, balancer)),
        ("the load balancer", None, lb, cluster, "n1", add(outside, balancer), add(add(outside, across), balancer)),
    ];
    for (what, client, via, policy, pod, shortest, longest) in cases {
        let workloads = vec![web(&[pod], quick()), callers(&[client.unwrap_or("n0")])];
        let mut spec = spec(nodes_in(&["a", "a", "b"]), workloads, traffic(from(client), via, 200.0));
        zoned(&mut spec);
        set_policy(&mut spec, policy);
        load_balancer_delay(&mut spec, us(70));
        let s = series(&spec, 0);
        // Who dials a Node without a Pod under Local is dropped; the others all complete.
        assert_eq!(others(&s, &[Outcome::Completed, Outcome::PolicyDrop]), 0, "{what}");
        let way = |w: &OneWay| (Some(2 * w.links), Some(ms(1) + w.delay + w.delay));
        assert_eq!((s.hops.min(), s.latency.min()), way(&shortest), "{what}: shortest way there and back");
        assert_eq!((s.hops.max(), s.latency.max()), way(&longest), "{what}: longest way there and back");
    }
}

/// Wherever a Pod dials, its requests enter the network at its own Node: from there their way to another zone counts. A
/// dialled Node is a detour if it is neither the client's nor the server's.
#[test]
fn a_node_port_dialled_from_inside_may_be_a_detour() {
    for (pod, crosses) in [("n1", false), ("n2", true)] {
        let traffic = traffic(workload_origin("caller"), Via::NodePort, 2_000.0);
        let spec = spec(nodes_in(&["a", "a", "b"]), vec![web(&[pod], quick()), callers(&["n0"])], traffic);
        let s = series(&spec, 0);
        assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals), "to {pod}");
        assert_eq!(s.cross_zone, if crosses { s.arrivals } else { 0 }, "from n0 to {pod}");
        assert_chance(format!("detours to {pod}"), s.extra_hop, s.arrivals, 1.0 / 3.0);
    }
}

/// Without keep-alive and with it, a request over an old connection takes the way that the first one found.
#[test]
fn a_kept_connection_keeps_its_way() {
    for (via, policy) in
        [(Via::NodePort, TrafficPolicy::Cluster), (Via::LoadBalancer, TrafficPolicy::Cluster), (Via::LoadBalancer, TrafficPolicy::Local)]
    {
        let mut spec = uneven(internet(), via, policy);
        let source = source(&mut spec);
        (source.clients, source.connections) = (1, ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1)));
        // So rarely that one connection is enough.
        source.arrivals = poisson(1.0);
        let mut longest = vec![];
        for replication in 0..20 {
            let s = series(&spec, replication);
            if s.connections_by_replica.iter().sum::<u64>() == 1 {
                assert_eq!((s.hops.min(), s.latency.min()), (s.hops.max(), s.latency.max()), "{via:?}, {policy:?}");
                assert!([0, s.completed()].contains(&s.extra_hop), "{via:?}, {policy:?}: all or none");
                longest.push(s.hops.max());
            }
        }
        assert!(longest.len() >= 10, "{via:?}, {policy:?}: too few runs had a single connection");
        let several = longest.iter().any(|l| *l != longest[0]);
        assert_eq!(several, policy == TrafficPolicy::Cluster, "{via:?}, {policy:?}: under Cluster connections find different ways");
    }
}
