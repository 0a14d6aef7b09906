//! What sets data planes apart, in ordinary runs: IPVS with state of its own on each Node, Cilium at sockets and with one
//! Maglev table for all Nodes, and independent draws everywhere else.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::dataplane::cilium::{self, Algorithm, Mode};
use svcsim_models::dataplane::ipvs::{self, Order, Scheduler};
use svcsim_models::dataplane::{DataPlaneSpec, iptables, nftables};
use svcsim_models::record::SeriesResult;

const NODES: [&str; 8] = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"];

fn ipvs(scheduler: Scheduler, order: Order) -> DataPlaneSpec {
    DataPlaneSpec::Ipvs(ipvs::Spec { scheduler, order, ..ipvs::Spec::default() })
}

fn cilium(set: impl FnOnce(&mut cilium::Spec)) -> DataPlaneSpec {
    let mut spec = cilium::Spec::default();
    set(&mut spec);
    DataPlaneSpec::Cilium(spec)
}

fn named(word: &str) -> DataPlaneSpec {
    DataPlaneSpec::by_name(word).expect("a data plane")
}

/// A Pod on each of these Nodes, and so short a demand that a client's requests never overlap.
fn world(plane: DataPlaneSpec, nodes: usize, placed: &[&str], traffic: TrafficSpec) -> ClusterSpec {
    let pod = behaviour(constant(SimDuration::from_nanos(1)), 10_000);
    let mut spec = spec(nodes_in(&vec![""; nodes]), vec![web(placed, pod), callers(&NODES[..nodes])], traffic);
    spec.data_plane = plane;
    spec.run.duration = secs(2);
    spec
}

/// Every client opens one connection and keeps it.
fn one_connection_each(from: Origin, clients: u32) -> TrafficSpec {
    let connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1));
    TrafficSpec { connections, clients, ..traffic(from, Via::ClusterIP, 500.0) }
}

fn connections(s: &SeriesResult) -> Vec<u64> {
    s.backends.iter().map(|b| s.connections_by_replica[*b]).collect()
}

fn used(s: &SeriesResult) -> usize {
    connections(s).iter().filter(|n| **n > 0).count()
}

/// Pearson's statistic against even shares, over its degrees of freedom.
fn unevenness(counts: &[u64]) -> f64 {
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|n| (*n as f64 - mean) * (*n as f64 - mean) / mean).sum::<f64>() / (counts.len() - 1) as f64
}

/// Eight Nodes begin their rounds with the same Pod if they sort their endpoints; one round for all of them would reach all
/// eight. In arbitrary orders they are dice.
#[test]
fn ipvs_rounds_are_each_nodes_own_and_herd_when_they_start_in_phase() {
    let first = |order, r| series(&world(ipvs(Scheduler::Rr, order), 8, &NODES, one_connection_each(workload_origin("caller"), 8)), r);
    for r in 0..5 {
        let s = first(Order::Sorted, r);
        assert_eq!((connections(&s).iter().sum::<u64>(), used(&s)), (8, 1), "all eight Nodes begin with the same Pod");
    }
    assert_near("unevenness of arbitrary orders", (0..200).map(|r| unevenness(&connections(&first(Order::Arbitrary, r)))), 1.0, 0.1);
}

/// Within one Node it is an exact rotation: eight clients there reach eight Pods.
#[test]
fn one_nodes_round_is_exact() {
    for order in [Order::Sorted, Order::Arbitrary] {
        let mut spec = world(ipvs(Scheduler::Rr, order), 8, &NODES, one_connection_each(workload_origin("caller"), 24));
        spec.workloads[1].placed_on.truncate(1);
        spec.workloads[1].replicas = 1;
        assert_eq!(connections(&series(&spec, 0)), [3; 8], "{order:?}");
    }
}

/// A Pod that has a connection from everywhere else is as good as an idle one to a Node that made none.
#[test]
fn least_connections_are_those_of_the_own_node() {
    for scheduler in [Scheduler::Lc, Scheduler::Wlc, Scheduler::Sed, Scheduler::Nq] {
        let from = |callers: usize| {
            let mut spec = world(ipvs(scheduler, Order::Sorted), 8, &NODES, one_connection_each(workload_origin("caller"), 8));
            spec.workloads[1].placed_on.truncate(callers);
            spec.workloads[1].replicas = callers as u32;
            connections(&series(&spec, 0))
        };
        assert_eq!(from(1), [1; 8], "{scheduler:?}: one Node sees all");
        let mut apart = from(8);
        apart.sort_unstable();
        assert_eq!(apart, [0, 0, 0, 0, 0, 0, 0, 8], "{scheduler:?}: eight Nodes see nothing of each other");
        let mut two = from(2);
        two.sort_unstable();
        assert_eq!(two, [0, 0, 0, 0, 2, 2, 2, 2], "{scheduler:?}: four each, the same four");
    }
}

/// Schedulers for caches know nothing but the address dialled, of which a cluster IP is one.
#[test]
fn dh_lblc_and_lblcr_put_a_whole_cluster_ip_on_one_pod() {
    for scheduler in [Scheduler::Dh, Scheduler::Lblc, Scheduler::Lblcr] {
        let spec = world(ipvs(scheduler, Order::Sorted), 8, &NODES, traffic(workload_origin("caller"), Via::ClusterIP, 500.0));
        let s = series(&spec, 0);
        assert_eq!((s.completed(), used(&s)), (s.arrivals, 1), "{scheduler:?}");
    }
}

/// `sh` binds a client; `mh` its connections one by one.
#[test]
fn sh_binds_clients_and_mh_flows() {
    let at = |scheduler, clients| {
        let mut t = traffic(internet(), Via::NodePort, 2_000.0);
        t.clients = clients;
        series(&world(ipvs(scheduler, Order::Sorted), 8, &NODES, t), 0)
    };
    let (one, many) = (at(Scheduler::Sh, 1), at(Scheduler::Sh, 400));
    assert_eq!((one.completed(), used(&one)), (one.arrivals, 1), "at whichever of the Nodes");
    assert_eq!((many.completed(), used(&many)), (many.arrivals, 8));
    let mh = at(Scheduler::Mh, 1);
    assert!(unevenness(&connections(&mh)) < 4.0, "{:?}", connections(&mh));
}

/// Policy Local without a Pod here: the packet is sent on with the client's address, so the client discards the reply.
/// Inside that does no harm.
#[test]
fn ipvs_falls_back_to_the_cluster_where_policy_local_finds_nothing() {
    let local = |from, via| {
        let mut spec = world(ipvs(Scheduler::Rr, Order::Arbitrary), 4, &["n0", "n1"], traffic(from, via, 2_000.0));
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        spec.services[0].internal_traffic_policy = TrafficPolicy::Local;
        series(&spec, 0)
    };
    let outside = local(internet(), Via::NodePort);
    assert_chance("lost replies", count(&outside, Outcome::ReplyLost), outside.arrivals, 0.5);
    assert_eq!((others(&outside, &[Outcome::Completed, Outcome::ReplyLost]), outside.snat, outside.extra_hop), (0, 0, 0));
    for via in [Via::ClusterIP, Via::LoadBalancer] {
        let inside = local(workload_origin("caller"), via);
        assert_eq!((inside.completed(), inside.snat, used(&inside)), (inside.arrivals, 0, 2), "{via:?}");
    }
    let mut own =
        world(ipvs(Scheduler::Rr, Order::Arbitrary), 4, &["n0", "n1"], traffic(workload_origin("caller"), Via::LoadBalancer, 2_000.0));
    own.services[0].external_traffic_policy = TrafficPolicy::Local;
    own.workloads[1].placed_on.truncate(1);
    own.workloads[1].replicas = 1;
    let s = series(&own, 0);
    assert_eq!(connections(&s), [s.arrivals, 0], "no short circuit where there is a Pod");
}

/// The same flows over two Nodes or over five: they enter elsewhere, but the table sends them to the same Pods.
#[test]
fn maglev_tables_agree_on_all_nodes() {
    let at = |algorithm, nodes| {
        let mut t = traffic(internet(), Via::NodePort, 5_000.0);
        t.clients = 100;
        let plane = cilium(|c| c.algorithm = algorithm);
        series(&world(plane, nodes, &["n0", "n0", "n1", "n1", "n1"], t), 0)
    };
    let (two, five) = (at(Algorithm::Maglev, 2), at(Algorithm::Maglev, 5));
    assert_eq!(connections(&two), connections(&five));
    assert!(five.extra_hop > two.extra_hop + two.arrivals / 5, "they did enter elsewhere");
    assert!(unevenness(&connections(&two)) < 4.0, "{:?}", connections(&two));
    assert_ne!(connections(&at(Algorithm::Random, 2)), connections(&at(Algorithm::Random, 5)));
}

/// Twenty Pods and nineteen of them: whoever stays loses next to nothing.
#[test]
fn maglev_moves_little_when_a_pod_is_gone() {
    let with = |pods: usize| {
        let placed: Vec<&str> = (0..pods).map(|i| NODES[i % 4]).collect();
        let mut t = traffic(internet(), Via::NodePort, 10_000.0);
        t.clients = 1_000;
        series(&world(cilium(|c| c.algorithm = Algorithm::Maglev), 4, &placed, t), 0)
    };
    let (before, after) = (with(20), with(19));
    assert_eq!(before.arrivals, after.arrivals);
    let lost: u64 = connections(&before)[..19].iter().zip(&connections(&after)).map(|(b, a)| b.saturating_sub(*a)).sum();
    assert!(share(lost, before.arrivals) < 0.02, "{lost} of {} went elsewhere although their Pod stayed", before.arrivals);
}

/// Whatever the requests, a Pod gets what the draws of k connections give it.
#[test]
fn keep_alive_is_multinomial_in_connections_under_every_plane_that_draws() {
    // First packets that take no time, so that a client's requests never overlap.
    let zero = SimDuration::ZERO;
    let planes = [
        DataPlaneSpec::Iptables(iptables::Spec { per_rule: zero, ..iptables::Spec::default() }),
        DataPlaneSpec::Nftables(nftables::Spec { lookup: zero, ..nftables::Spec::default() }),
        cilium(|c| c.socket_lookup = zero),
    ];
    for plane in planes {
        for per_second in [250.0, 2_000.0] {
            let mut t = one_connection_each(workload_origin("caller"), 40);
            t.arrivals = poisson(per_second);
            let spec = world(plane.clone(), 8, &NODES, t);
            let runs: Vec<SeriesResult> = (0..150).map(|r| series(&spec, r)).collect();
            assert!(runs.iter().all(|s| connections(s).iter().sum::<u64>() <= 40 && s.completed() == s.arrivals));
            let what = format!("{} at {per_second} requests/s", plane.name());
            assert_near(what, runs.iter().map(|s| unevenness(&connections(s))), 1.0, 0.1);
        }
    }
}

/// 200,000 flows against what the printed probabilities of the chain say, to four standard deviations of chi-square.
#[test]
fn the_iptables_chain_fits_in_a_run() {
    let spec = world(named("iptables"), 8, &NODES[..7], traffic(workload_origin("caller"), Via::ClusterIP, 100_000.0));
    let s = series(&spec, 0);
    assert!(s.arrivals > 195_000);
    let expected = iptables::chances(7).into_iter().map(|p| p * s.arrivals as f64);
    let fit: f64 = connections(&s).iter().zip(expected).map(|(n, e)| (*n as f64 - e) * (*n as f64 - e) / e).sum();
    assert!((fit - 6.0).abs() < 4.0 * 12f64.sqrt(), "chi-square {fit}, {:?}, seed {SEED}", connections(&s));
}

/// From outside under policy Cluster, in three modes that draw alike, so that all else is the same.
#[test]
fn cilium_rewrites_sources_by_mode_and_protocol() {
    let run = |mode, protocol| {
        let mut spec = world(cilium(|c| c.mode = mode), 4, &["n0", "n1", "n2", "n2"], traffic(internet(), Via::NodePort, 2_000.0));
        spec.services[0].ports[0].protocol = protocol;
        series(&spec, 0)
    };
    use Protocol::{Tcp, Udp};
    let (snat, dsr) = (run(Mode::Snat, Tcp), run(Mode::Dsr, Tcp));
    assert_eq!((snat.completed(), dsr.completed()), (snat.arrivals, snat.arrivals));
    assert_chance("Pods elsewhere", snat.extra_hop, snat.arrivals, 3.0 / 4.0);
    assert_eq!((snat.snat, dsr.snat, dsr.extra_hop), (snat.extra_hop, 0, snat.extra_hop), "a Pod here sees the client");
    // Replies through the entry Node cross two more links, up and down again.
    assert_eq!(snat.hops.sum() - dsr.hops.sum(), 2 * u128::from(snat.extra_hop));
    let (tcp, udp) = (run(Mode::Hybrid, Tcp), run(Mode::Hybrid, Udp));
    assert_eq!((tcp.snat, udp.snat), (0, udp.extra_hop));
    assert_eq!((tcp.completed(), udp.completed()), (tcp.arrivals, udp.arrivals));
    assert!(udp.extra_hop > 0);
}

/// At the socket every address of a Service is as good as its cluster IP: all Pods, no SNAT, whatever the external policy and
/// the source ranges.
#[test]
fn cilium_translates_at_the_socket_inside() {
    let run = |word: &str, via| {
        let mut spec = world(named(word), 4, &["n0", "n1"], traffic(workload_origin("caller"), via, 2_000.0));
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        spec.services[0].load_balancer_source_ranges = vec!["203.0.113.0/24".parse().expect("a range")];
        series(&spec, 0)
    };
    for via in [Via::ClusterIP, Via::LoadBalancer, Via::NodePort] {
        let s = run("cilium", via);
        assert_eq!((s.completed(), s.snat), (s.arrivals, 0), "{via:?}");
        assert_chance(format!("{via:?}: first Pod"), connections(&s)[0], s.arrivals, 0.5);
    }
    let guarded = run("iptables", Via::LoadBalancer);
    assert_eq!(count(&guarded, Outcome::PolicyDrop), guarded.arrivals, "iptables guards inside too");
}

/// Cilium holds to internal policy Local, and does not fall back.
#[test]
fn cilium_rejects_where_internal_policy_local_finds_nothing() {
    let mut spec = world(named("cilium"), 4, &["n0"], traffic(workload_origin("caller"), Via::ClusterIP, 2_000.0));
    spec.services[0].internal_traffic_policy = TrafficPolicy::Local;
    source(&mut spec).clients = 4;
    let s = series(&spec, 0);
    assert_chance("rejected", count(&s, Outcome::Rejected), s.arrivals, 3.0 / 4.0);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::Rejected]), 0);
}
