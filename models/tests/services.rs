//! What fields of a Service mean for whom a client reaches: policies, session affinity, hints, ports.

#![allow(clippy::disallowed_methods, reason = "what is expected need not be the same to the last bit everywhere")]

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::dataplane::ProxySpec;
use svcsim_models::load_balancer::{Algorithm, ClientAddress};
use svcsim_models::record::SeriesResult;

/// Shorter than any gap, so that a client's requests never overlap and one connection is enough.
fn instant() -> PodBehaviour {
    behaviour(constant(SimDuration::from_nanos(1)), 10_000)
}

/// Requests of each Pod of the Service.
fn loads(s: &SeriesResult) -> Vec<u64> {
    s.backends.iter().map(|b| s.requests_by_replica[*b]).collect()
}

/// Pods that got anything.
fn used(s: &SeriesResult) -> usize {
    loads(s).iter().filter(|n| **n > 0).count()
}

/// All requests complete, and each Pod got its part of them.
#[track_caller]
fn assert_shares(what: &str, s: &SeriesResult, expected: &[f64]) {
    assert_eq!((s.completed(), loads(s).len()), (s.arrivals, expected.len()), "{what}: {:?}", s.outcomes);
    for (pod, (got, share)) in loads(s).into_iter().zip(expected).enumerate() {
        assert_chance(format!("{what}: share of Pod {pod}"), got, s.arrivals, *share);
    }
}

/// Sum of squared shares of the Pods, as a part of what it would be if one Pod got all: (sum - 1/n) / (1 - 1/n).
fn concentration(s: &SeriesResult) -> f64 {
    let (n, total) = (loads(s).len() as f64, s.arrivals as f64);
    let squares: f64 = loads(s).iter().map(|l| (*l as f64 / total) * (*l as f64 / total)).sum();
    (squares - 1.0 / n) / (1.0 - 1.0 / n)
}

/// One Node with so many Pods, dialled at its node port from outside.
fn one_entry(pods: usize, per_second: f64) -> ClusterSpec {
    let mut spec = spec(nodes_in(&[""]), vec![web(&vec!["n0"; pods], instant())], traffic(internet(), Via::NodePort, per_second));
    spec.run.duration = secs(2);
    spec
}

/// A balancer that is fair to Nodes is unfair to Pods under policy Local: 1, 3 and 6 Pods get a third each.
#[test]
fn a_load_balancer_under_policy_local_is_fair_to_nodes_only() {
    let placed = ["n0", "n1", "n1", "n1", "n2", "n2", "n2", "n2", "n2", "n2"];
    for algorithm in [Algorithm::FlowHash, Algorithm::RoundRobin] {
        let mut spec = spec(nodes_in(&[""; 4]), vec![web(&placed, quick())], traffic(internet(), Via::LoadBalancer, 4_000.0));
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        balancer(&mut spec).algorithm = algorithm.clone();
        let s = series(&spec, 0);
        let shares = [1.0, 3.0, 3.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0].map(|here| 1.0 / 3.0 / here);
        assert_shares(&format!("{algorithm:?}"), &s, &shares);
        assert_eq!((s.extra_hop, s.snat), (0, 0), "{algorithm:?}: client addresses survive and nothing is sent on");
        if algorithm == Algorithm::RoundRobin {
            let got = loads(&s);
            let by_node = [got[0], got[1..4].iter().sum(), got[4..].iter().sum()];
            assert!(by_node.iter().max().unwrap_or(&0) - by_node.iter().min().unwrap_or(&0) <= 1, "turns are exact: {by_node:?}");
        }
    }
}

/// Wherever the Pods are, the Node that a packet enters at has 1/n of them on average: n - 1 of n go on to another.
#[test]
fn node_ports_send_on_whatever_the_placement() {
    for placed in [vec!["n0"; 8], vec!["n0", "n1", "n2", "n3", "n4"], vec!["n4", "n1", "n1", "n1"]] {
        let spec = spec(nodes_in(&[""; 5]), vec![web(&placed, quick())], traffic(internet(), Via::NodePort, 2_000.0));
        let s = series(&spec, 0);
        assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals), "{placed:?}");
        assert_chance(format!("sent on, {placed:?}"), s.extra_hop, s.arrivals, 4.0 / 5.0);
    }
}

/// Connections of a Pod are binomial: k draws of 1/n, each way in, however many requests follow over them.
#[test]
fn kept_connections_are_multinomial_whatever_the_requests() {
    const CONNECTIONS: u32 = 30;
    const PODS: usize = 5;
    let (k, n) = (f64::from(CONNECTIONS), PODS as f64);
    for via in [Via::NodePort, Via::LoadBalancer] {
        for per_second in [500.0, 1_000.0] {
            let keep_alive = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1));
            let traffic = TrafficSpec { connections: keep_alive, clients: CONNECTIONS, ..traffic(internet(), via, per_second) };
            let mut spec = spec(nodes_in(&[""; 3]), vec![web(&["n0", "n0", "n0", "n1", "n2"], instant())], traffic);
            load_balancer_delay(&mut spec, SimDuration::ZERO);
            spec.run.duration = secs(2);
            let runs: Vec<SeriesResult> = (0..150).map(|r| series(&spec, r)).collect();
            let opened = |s: &SeriesResult| s.backends.iter().map(|b| s.connections_by_replica[*b]).collect::<Vec<_>>();
            assert!(runs.iter().all(|s| opened(s).iter().sum::<u64>() == u64::from(CONNECTIONS)), "one connection a client");
            let variance = |s: &SeriesResult| opened(s).iter().map(|c| (*c as f64 - k / n) * (*c as f64 - k / n)).sum::<f64>() / n;
            let what = format!("{via:?} at {per_second} requests/s");
            assert_near(format!("variance of connections, {what}"), runs.iter().map(variance), k / n * (1.0 - 1.0 / n), 0.1);
            // Requests: two of them share their client, and so their Pod, with probability 1/k.
            let requests = |s: &SeriesResult| concentration(s) / (1.0 / s.arrivals as f64 + (1.0 - 1.0 / s.arrivals as f64) / k);
            assert_near(format!("concentration of requests, {what}"), runs.iter().map(requests), 1.0, 0.1);
        }
    }
}

fn sticky(spec: &mut ClusterSpec, timeout: SimDuration) {
    spec.services[0].session_affinity = Some(timeout);
}

/// Inside the cluster a client is its Pod's address at its own Node: one Pod serves all. Outside each Node that it enters at
/// has entries of its own.
#[test]
fn affinity_is_each_nodes_own() {
    for replication in 0..5 {
        let mut inside = spec(
            nodes_in(&[""; 4]),
            vec![web(&["n0", "n1", "n1", "n2", "n3", "n3"], quick()), callers(&["n1"])],
            traffic(workload_origin("caller"), Via::ClusterIP, 500.0),
        );
        sticky(&mut inside, secs(10_800));
        let s = series(&inside, replication);
        assert_eq!((s.completed(), used(&s)), (s.arrivals, 1), "all clients in one Pod are one address");
        inside.services[0].session_affinity = None;
        assert_eq!(used(&series(&inside, replication)), 6, "and without affinity they are not");
    }
    // Four Nodes draw one of 50 Pods each.
    let mut outside = spec(nodes_in(&[""; 4]), vec![web(&["n0"; 50], quick())], traffic(internet(), Via::NodePort, 500.0));
    source(&mut outside).clients = 1;
    sticky(&mut outside, secs(10_800));
    let distinct = |r| used(&series(&outside, r)) as f64;
    assert_near("Pods of one client", (0..60).map(distinct), 50.0 * (1.0 - (49f64 / 50.0).powi(4)), 0.02);
}

/// Clients behind one translating address are one client: 100 of them behind three reach three of 20 Pods at most.
#[test]
fn affinity_cannot_tell_clients_behind_one_address() {
    let distinct = |behind| {
        let mut spec = one_entry(20, 1_000.0);
        sticky(&mut spec, secs(10_800));
        (source(&mut spec).clients, source(&mut spec).behind_addresses) = (100, behind);
        (0..60).map(move |r| used(&series(&spec, r)) as f64).collect::<Vec<_>>()
    };
    let expected = |keys: i32| 20.0 * (1.0 - (19f64 / 20.0).powi(keys));
    let (three, own) = (distinct(Some(3)), distinct(None));
    assert!(three.iter().all(|n| *n <= 3.0), "{three:?}");
    assert_near("Pods of three addresses", three, expected(3), 0.03);
    assert_near("Pods of 100 addresses", own, expected(100), 0.01);
}

/// A balancer that hides clients leaves one key for each of its own addresses, one a zone, at each Node.
#[test]
fn affinity_collapses_behind_a_balancer_that_hides_clients() {
    for (zones, keys) in [(vec![""], 1), (vec!["", ""], 2), (vec!["a", "b"], 4)] {
        let mut spec = spec(nodes_in(&zones), vec![web(&["n0"; 20], quick())], traffic(internet(), Via::LoadBalancer, 500.0));
        source(&mut spec).clients = 200;
        sticky(&mut spec, secs(10_800));
        let kept = series(&spec, 0);
        assert!(used(&kept) > 17, "200 addresses reach nearly all Pods: {}", used(&kept));
        balancer(&mut spec).client_address = ClientAddress::Lost;
        spec.run.duration = secs(1);
        let distinct: Vec<f64> = (0..40).map(|r| used(&series(&spec, r)) as f64).collect();
        if keys == 1 {
            assert_eq!(distinct, [1.0; 40], "one address at one Node is one client");
            continue;
        }
        assert_near(format!("Pods, {zones:?}"), distinct, 20.0 * (1.0 - (19f64 / 20.0).powi(keys)), 0.05);
    }
}

/// An entry lives for its timeout after the client's last new connection. Gaps of a Poisson process are longer with
/// probability exp(-rate * timeout), and only then is a Pod drawn anew: requests at distance d share a Pod's draw with
/// probability (1 - p)^d.
#[test]
fn an_affinity_entry_expires_after_its_timeout() {
    for timeout in [us(500), ms(1), ms(2)] {
        let mut spec = one_entry(8, 1_000.0);
        sticky(&mut spec, timeout);
        source(&mut spec).clients = 1;
        let same = 1.0 - (-1_000.0 * timeout.as_secs_f64()).exp();
        let pairs = |n: f64| n * (1.0 + same) / (1.0 - same) - 2.0 * same * (1.0 - same.powf(n)) / (1.0 - same) / (1.0 - same);
        let found = (0..150).map(|r| series(&spec, r)).map(|s| {
            let n = s.arrivals as f64;
            concentration(&s) * n * n / pairs(n)
        });
        assert_near(format!("concentration at a timeout of {timeout}, over what it should be"), found, 1.0, 0.1);
    }
}

/// The Pod of a client is deleted: it moves to another and loses nothing, since the old one serves until the Node knows. It
/// would not have moved otherwise.
#[test]
fn a_pod_that_leaves_loses_its_clients() {
    let mut spec = spec(
        nodes_in(&[""; 3]),
        vec![web(&["n0", "n1"], instant()), callers(&["n2"])],
        traffic(workload_origin("caller"), Via::ClusterIP, 100.0),
    );
    sticky(&mut spec, secs(10_800));
    (spec.workloads[0].pre_stop, spec.workloads[0].pod.startup) = (ms(600), constant(ms(700)));
    deletions(&mut spec, "web", constant(secs(2)));
    spec.run.duration = ms(3_999);
    let mut moved = 0;
    for run in replicate(&spec, 120) {
        let victim = &run.incidents.iter().find(|i| i.event == "terminate").expect("one is deleted").pod;
        let (left, stayed) = if victim == "web-0" { (0, 1) } else { (1, 0) };
        let s = &run.series[0];
        assert_eq!(s.completed(), s.arrivals, "{:?}", s.outcomes);
        let got = loads(s);
        if got[left] > 0 {
            moved += 1;
            // Deleted at 2 s, known at 2.5 s; the replacement, in the same place, is no reason to return.
            assert!((got[left] as f64 - 250.0).abs() < 4.0 * 250f64.sqrt(), "{got:?}");
            assert!(got[stayed] > 100, "{got:?}");
        }
    }
    assert_chance("the deleted Pod was the client's", moved, 120, 0.5);
}

/// A client's connections are bound to one draw. So the Pods' shares vary as the clients' do:
/// E[sum of squares] = 1/n + (1 - 1/n) * sum of the clients' squared shares.
#[test]
fn affinity_with_popular_clients_is_as_uneven_as_they_are() {
    for exponent in [0.0, 1.0, 1.5] {
        const CLIENTS: u32 = 50;
        let mut spec = one_entry(8, 500.0);
        sticky(&mut spec, secs(10_800));
        (source(&mut spec).clients, source(&mut spec).popularity) = (CLIENTS, Popularity::Zipf { exponent });
        let weights: Vec<f64> = (1..=CLIENTS).map(|k| f64::from(k).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let squares: f64 = weights.iter().map(|w| (w / total) * (w / total)).sum();
        let found = (0..200).map(|r| series(&spec, r)).map(|s| {
            let n = s.arrivals as f64;
            concentration(&s) / (1.0 / n + (1.0 - 1.0 / n) * squares)
        });
        assert_near(format!("concentration at exponent {exponent}, over what it should be"), found, 1.0, 0.1);
    }
}

/// Clients on every Node, evenly, and Pods where they are said to be.
fn hinted(zones: &[&str], placed: &[&str]) -> ClusterSpec {
    let nodes = nodes_in(zones);
    let names: Vec<String> = nodes.iter().map(|n| n.name.clone()).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let traffic = TrafficSpec { clients: 12 * all.len() as u32, ..traffic(workload_origin("caller"), Via::ClusterIP, 4_000.0) };
    spec(nodes, vec![web(placed, quick()), callers(&all)], traffic)
}

fn same_zone(spec: &mut ClusterSpec) -> &mut ClusterSpec {
    spec.services[0].traffic_distribution = Some(TrafficDistribution::PreferSameZone);
    spec
}

/// Nothing leaves its zone, and nobody asks whether a zone has Pods enough: one with half of the clients gives them all to its
/// only Pod.
#[test]
fn prefer_same_zone_never_crosses_and_never_balances() {
    let mut spec = hinted(&["a", "a", "b", "b"], &["n0", "n0", "n1", "n2"]);
    let sixth = 1.0 / 6.0;
    for via in [Via::ClusterIP, Via::LoadBalancer] {
        source(&mut spec).via = via;
        let s = series(same_zone(&mut spec), 0);
        assert_eq!(s.cross_zone, 0, "{via:?}");
        assert_shares(&format!("{via:?}"), &s, &[sixth, sixth, sixth, 0.5]);
    }
    spec.services[0].traffic_distribution = None;
    let s = series(&spec, 0);
    assert_chance("without preference", s.cross_zone, s.arrivals, 0.5);
    assert_shares("without preference", &s, &[0.25; 4]);
    // Clients of a zone without Pods use all.
    let mut gap = hinted(&["a", "b", "c"], &["n0", "n1"]);
    let s = series(same_zone(&mut gap), 0);
    assert_shares("a zone without Pods", &s, &[0.5, 0.5]);
    assert_chance("crosses from there", s.cross_zone, s.arrivals, 1.0 / 3.0);
}

/// One Pod without a zone has no hint, and that turns hints off for everybody. A client without a zone is alone with it.
#[test]
fn a_node_without_zone_turns_hints_off() {
    let mut pod_without = hinted(&["a", "b", "b", ""], &["n0", "n1", "n3"]);
    assert_shares("a Pod without zone", &series(same_zone(&mut pod_without), 0), &[1.0 / 3.0; 3]);
    let mut client_without = hinted(&["a", "b", "b", ""], &["n0", "n1"]);
    assert_shares("clients without zone", &series(same_zone(&mut client_without), 0), &[0.25 + 0.125, 0.5 + 0.125]);
}

/// Three equal Nodes in one zone and one in the other, as many clients on each, and four Pods in either zone. By CPU six
/// endpoints belong to the first: all Pods get the same. By zone alone those of the large one get three times as much.
#[test]
fn topology_mode_auto_hands_out_endpoints_by_cpu() {
    let placed = ["n0", "n1", "n2", "n2", "n3", "n3", "n3", "n3"];
    let mut spec = hinted(&["a", "a", "a", "b"], &placed);
    spec.nodes.iter_mut().for_each(|n| n.cpu_millis = Some(2_000));
    spec.services[0].topology_mode_auto = true;
    let s = series(&spec, 0);
    assert_shares("Auto", &s, &[0.125; 8]);
    // Two of the six that clients in the large zone use are in the other; without hints half of all would cross.
    assert_chance("Auto: cross-zone", s.cross_zone, s.arrivals, 0.75 / 3.0);
    spec.services[0].topology_mode_auto = false;
    let (large, small) = (0.75 / 4.0, 0.25 / 4.0);
    assert_shares("PreferSameZone", &series(same_zone(&mut spec), 0), &[large, large, large, large, small, small, small, small]);
    spec.services[0].topology_mode_auto = true;
    assert_shares("the annotation goes before the field", &series(&spec, 0), &[0.125; 8]);
    // Clients do not follow the CPU: half of them in the zone with two of the eight endpoints.
    spec.workloads[1] = callers(&["n0", "n3"]);
    let s = series(&spec, 0);
    let mut got = loads(&s);
    got.sort_unstable();
    for (i, n) in got.into_iter().enumerate() {
        assert_chance(format!("Auto, clients elsewhere: Pod of rank {i}"), n, s.arrivals, if i < 6 { 0.5 / 6.0 } else { 0.25 });
    }
}

/// Whatever could overload a zone by more than a fifth turns hints off: fewer endpoints than zones, or three for two equal
/// zones; and any Node that does not say how much CPU it has.
#[test]
fn topology_mode_auto_is_off_where_it_cannot_balance() {
    let auto = |zones: &[&str], placed: &[&str], cpu: &[u64]| {
        let mut spec = hinted(zones, placed);
        spec.nodes.iter_mut().zip(cpu).for_each(|(n, cpu)| n.cpu_millis = Some(*cpu).filter(|c| *c > 0));
        spec.services[0].topology_mode_auto = true;
        series(&spec, 0)
    };
    let third = 1.0 / 3.0;
    let s = auto(&["a", "b", "c"], &["n0", "n1"], &[1_000; 3]);
    assert_chance("fewer endpoints than zones: cross-zone", s.cross_zone, s.arrivals, 2.0 / 3.0);
    let s = auto(&["a", "b"], &["n0", "n0", "n1"], &[1_000; 2]);
    assert_shares("three for two equal zones", &s, &[third; 3]);
    let s = auto(&["a", "b"], &["n0", "n1"], &[1_000, 0]);
    assert_chance("a Node without CPU: cross-zone", s.cross_zone, s.arrivals, 0.5);
    let s = auto(&["a", "b"], &["n0", "n1"], &[1_000; 2]);
    assert_eq!(s.cross_zone, 0, "and on where it can");
}

/// First the own Node, then the own zone, then all. A kube-proxy that knows no hints to Nodes begins with the zone.
#[test]
fn prefer_same_node_falls_back_to_the_zone_and_then_to_all() {
    let mut spec = hinted(&["a", "a", "b", "b", "c"], &["n0", "n0", "n1", "n2"]);
    spec.services[0].traffic_distribution = Some(TrafficDistribution::PreferSameNode);
    // n3 has no Pod but its zone has one, n4 is alone in its zone.
    assert_shares("hints to Nodes", &series(&spec, 0), &[0.2 / 2.0 + 0.05, 0.2 / 2.0 + 0.05, 0.2 + 0.05, 0.4 + 0.05]);
    spec.proxy = ProxySpec { node_hints: false, ..ProxySpec::default() };
    let zone = 0.4 / 3.0 + 0.05;
    assert_shares("hints to zones only", &series(&spec, 0), &[zone, zone, zone, 0.4 + 0.05]);
}

/// Policy Local inside: silence where there is no Pod, as long as there is one somewhere, else an answer at once.
#[test]
fn internal_policy_local_drops_or_rejects() {
    let mut spec = hinted(&["", "", ""], &["n0", "n0"]);
    spec.services[0].internal_traffic_policy = TrafficPolicy::Local;
    let s = series(&spec, 0);
    assert_chance("dropped", count(&s, Outcome::PolicyDrop), s.arrivals, 2.0 / 3.0);
    assert_eq!((others(&s, &[Outcome::Completed, Outcome::PolicyDrop]), s.hops.max()), (0, Some(0)));
    spec.workloads[0].replicas = 0;
    spec.workloads[0].placed_on.clear();
    let s = series(&spec, 0);
    assert_eq!(count(&s, Outcome::Rejected), s.arrivals, "{:?}", s.outcomes);
}

/// A Pod that is still starting refuses; it gets traffic only where addresses are published whether ready or not.
#[test]
fn publish_not_ready_addresses_sends_to_pods_that_refuse() {
    for publish in [false, true] {
        let mut spec = hinted(&["", "", ""], &["n0", "n1"]);
        spec.services[0].publish_not_ready_addresses = publish;
        spec.workloads[0].pod.startup = constant(secs(1_000));
        deletions(&mut spec, "web", constant(secs(2)));
        // Deleted at 2 s; known everywhere, with its replacement, at 2.5 s.
        spec.run = RunSpec { warm_up: ms(2_501), duration: ms(3_999), window: secs(1) };
        let s = series(&spec, 0);
        assert_eq!(others(&s, &[Outcome::Completed, Outcome::Refused]), 0, "{:?}", s.outcomes);
        if publish {
            assert_chance("refused", count(&s, Outcome::Refused), s.arrivals, 0.5);
        } else {
            assert_eq!(s.completed(), s.arrivals);
        }
    }
}

/// A port by name is each Pod's own number; who has no port of that name, or only for another protocol, is no endpoint.
#[test]
fn named_target_ports_resolve_pod_by_pod() {
    let port = |name: &str, number| ContainerPortSpec { name: name.to_owned(), protocol: Protocol::Tcp, number };
    let mut old = web(&["n0", "n1"], quick());
    old.ports = vec![port("serve", 8_080), port("metrics", 9_000)];
    let mut new = WorkloadSpec { name: "web-new".to_owned(), ..web(&["n0", "n1"], quick()) };
    new.ports = vec![port("serve", 8_888), ContainerPortSpec { protocol: Protocol::Udp, ..port("metrics", 9_000) }];
    let bare = WorkloadSpec { name: "web-bare".to_owned(), ..web(&["n1"], quick()) };
    let named = |name: &str, number, target: &str| ServicePortSpec {
        target_port: TargetPort::Name(target.to_owned()),
        ..ServicePortSpec::tcp(name, number)
    };
    let run = |dialled: &str| {
        let callers = callers(&["n0", "n1"]);
        let workloads = vec![old.clone(), new.clone(), bare.clone(), callers];
        let mut spec = spec(nodes_in(&["", ""]), workloads, traffic(workload_origin("caller"), Via::ClusterIP, 4_000.0));
        spec.services[0].ports = vec![
            named("http", 80, "serve"),
            named("metrics", 9_090, "metrics"),
            named("none", 1, "nobody"),
            ServicePortSpec::tcp("all", 2),
        ];
        source(&mut spec).port = Some(dialled.to_owned());
        series(&spec, 0)
    };
    for dialled in ["http", "80"] {
        let s = run(dialled);
        assert_eq!(loads(&s)[4], 0, "a Pod without ports is no endpoint of a named one");
        for pod in 0..4 {
            assert_chance(format!("{dialled}: Pod {pod}"), loads(&s)[pod], s.arrivals, 0.25);
        }
    }
    for dialled in ["metrics", "9090"] {
        let s = run(dialled);
        assert_eq!((s.completed(), &loads(&s)[2..]), (s.arrivals, &[0, 0, 0][..]), "{dialled}");
        assert_chance(format!("{dialled}: first Pod"), loads(&s)[0], s.arrivals, 0.5);
    }
    let nobody = run("none");
    assert_eq!(count(&nobody, Outcome::Rejected), nobody.arrivals, "a port without endpoints is rejected though others have some");
    assert_shares("a port by number", &run("all"), &[0.2; 5]);
}
