//! What a Node remembers of flows: how many, for how long, which of them move; and what only their first packets pay.

#![allow(clippy::disallowed_methods, reason = "what is expected need not be the same to the last bit everywhere")]

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::dataplane::{ConntrackSpec, DataPlaneSpec, SyncSpec, UdpCleanup, iptables, nftables};
use svcsim_models::record::{RunResult, SeriesResult};

fn instant() -> PodBehaviour {
    behaviour(constant(SimDuration::from_nanos(1)), 10_000)
}

fn connections(s: &SeriesResult) -> Vec<u64> {
    s.backends.iter().map(|b| s.connections_by_replica[*b]).collect()
}

/// So many entries on every Node, whatever its cores.
fn table(entries: u32) -> ConntrackSpec {
    ConntrackSpec { max_per_core: 0, min: entries, ..ConntrackSpec::default() }
}

fn kept() -> ConnectionsSpec {
    ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1))
}

/// Whatever ended stays for its time-out: the first 50 flows of each Node fit, all others are dropped. A table of 50 for each
/// time-out that passes.
#[test]
fn a_full_table_drops_what_is_beyond_and_recovers() {
    for (protocol, nodes) in [(Protocol::Tcp, 1), (Protocol::Tcp, 3), (Protocol::Udp, 1)] {
        for (timeout, generations) in [(secs(60), 1), (secs(4), 3)] {
            let mut spec = spec(nodes_in(&vec![""; nodes]), vec![web(&["n0", "n0"], instant())], traffic(internet(), Via::NodePort, 500.0));
            // What becomes of first packets: sent again, they would get through later.
            source(&mut spec).tcp.retransmit = false;
            spec.services[0].ports[0].protocol = protocol;
            spec.conntrack = match protocol {
                Protocol::Udp => ConntrackSpec { udp_timeout: timeout, ..table(50) },
                _ => ConntrackSpec { tcp_time_wait: timeout, ..table(50) },
            };
            let s = series(&spec, 0);
            // 50 flows fill a table in well under a second, and leave it 4.06 s later at most: 10 s see three generations.
            let what = format!("{protocol}, {nodes} Nodes, {timeout}");
            assert_eq!(s.completed(), 50 * nodes as u64 * generations, "{what}: {:?}", s.outcomes);
            assert_eq!(others(&s, &[Outcome::Completed, Outcome::ConntrackFull]), 0, "{what}");
            let dropped: Vec<bool> = s.timeline.iter().map(|w| w.completed == 0).collect();
            assert!(dropped[2] && dropped[3] && dropped[6] && dropped[7], "{what}: full until the first time-out and again");
        }
    }
}

/// Flows that are kept take one entry each and are not dropped later.
#[test]
fn established_flows_live_on_in_a_full_table() {
    let traffic = TrafficSpec { connections: kept(), clients: 80, ..traffic(internet(), Via::NodePort, 2_000.0) };
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], instant())], traffic);
    spec.conntrack = table(50);
    let s = series(&spec, 0);
    assert_eq!(connections(&s), [50]);
    assert_chance("dropped: the 30 clients of 80 that came too late", count(&s, Outcome::ConntrackFull), s.arrivals, 30.0 / 80.0);
}

/// A Node has 20 source ports towards each Pod. Who keeps the client's address needs none.
#[test]
fn snat_ports_run_out_pod_by_pod() {
    for (policy, nodes, pods, expected) in [
        (TrafficPolicy::Cluster, 1, vec!["n0"], Some(20)),
        (TrafficPolicy::Cluster, 1, vec!["n0", "n0"], Some(40)),
        (TrafficPolicy::Cluster, 2, vec!["n0", "n0", "n1"], Some(120)),
        (TrafficPolicy::Local, 1, vec!["n0", "n0"], None),
    ] {
        let mut spec = spec(nodes_in(&vec![""; nodes]), vec![web(&pods, instant())], traffic(internet(), Via::NodePort, 500.0));
        spec.services[0].external_traffic_policy = policy;
        spec.conntrack.snat_ports = 20;
        let s = series(&spec, 0);
        assert_eq!(s.completed(), expected.unwrap_or(s.arrivals), "{policy:?}, {nodes} Nodes, {pods:?}: {:?}", s.outcomes);
        assert_eq!(others(&s, &[Outcome::Completed, Outcome::SnatExhausted]), 0);
    }
}

/// Two Pods and 40 clients that keep a flow each and send 50 requests a second; one Pod is deleted at 2 s and never replaced.
/// Nodes know at 2.5 s.
fn deletion(protocol: Protocol, pre_stop: SimDuration) -> ClusterSpec {
    let pod = PodBehaviour { startup: constant(secs(1_000)), ..instant() };
    let traffic = TrafficSpec { connections: kept(), clients: 40, ..traffic(workload_origin("caller"), Via::ClusterIP, 2_000.0) };
    let mut spec = spec(nodes_in(&[""; 3]), vec![web(&["n0", "n1"], pod), callers(&["n2"])], traffic);
    spec.services[0].ports[0].protocol = protocol;
    spec.workloads[0].pre_stop = pre_stop;
    deletions(&mut spec, "web", constant(secs(2)));
    spec.run = RunSpec { duration: ms(3_999), window: ms(100), warm_up: SimDuration::ZERO };
    spec
}

fn victim(run: &RunResult) -> usize {
    usize::from(run.incidents.iter().find(|i| i.event == "terminate").expect("a Pod is deleted").pod == "web-1")
}

/// As long as the Pod serves, flows of either protocol stay, though no new one goes there once Nodes know.
#[test]
fn flows_to_a_draining_pod_stay() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let spec = deletion(protocol, secs(10));
        for replication in 0..5 {
            let run = run_one(&spec, replication);
            let s = &run.series[0];
            assert_eq!((s.completed(), connections(s).iter().sum::<u64>()), (s.arrivals, 40), "{protocol}: no flow moves");
            let mut late = spec.clone();
            late.run.warm_up = ms(2_600);
            let s = &run_one(&late, replication).series[0];
            assert_eq!(connections(s), [0, 0], "{protocol}");
            let flows = connections(&run.series[0])[victim(&run)];
            assert_chance(format!("{protocol}: still at the Pod"), s.requests_by_replica[victim(&run)], s.arrivals, flows as f64 / 40.0);
        }
    }
}

/// The Pod is gone. TCP learns of its end and dials again: half of what is dialled then goes to nobody, for as long as the Node
/// does not know. UDP knows nothing: whatever the clients of the Pod send is lost until the Node has synced and removed the
/// entries, and then all of them are at the other Pod.
#[test]
fn udp_flows_to_a_pod_that_is_gone_are_lost_until_the_node_knows_and_then_move() {
    let spec = deletion(Protocol::Udp, SimDuration::ZERO);
    for replication in 0..10 {
        let run = run_one(&spec, replication);
        let s = &run.series[0];
        let flows = connections(s);
        assert_eq!(others(s, &[Outcome::Completed, Outcome::Blackhole]), 0, "{:?}", s.outcomes);
        // Each flow sends 50 requests a second for half a second, over the same ports.
        let expected = flows[victim(&run)] as f64 * 50.0 * 0.5;
        let lost = count(s, Outcome::Blackhole) as f64;
        assert!(
            (lost - expected).abs() < 4.0 * expected.sqrt(),
            "expected {expected}, found {lost} (replication {replication}, seed {SEED})"
        );
        for w in &s.timeline {
            let at = w.start.as_nanos() / 1_000_000;
            assert_eq!(w.errors > 0, (2_000..2_500).contains(&at), "at {at} ms: {w:?}");
        }
        assert_eq!(flows.iter().sum::<u64>(), 40 + flows[victim(&run)], "each flow of the Pod moved once, to a Pod that answers");
    }
}

/// A Service without any endpoint: kube-proxy rejects new flows, but only a clean-up of such Services tells the old ones.
#[test]
fn udp_flows_of_a_service_without_endpoints_are_rejected_only_if_it_is_cleaned_up() {
    for (cleanup, vanish) in [(UdpCleanup::Always, false), (UdpCleanup::WithEndpoints, true)] {
        let mut spec = deletion(Protocol::Udp, SimDuration::ZERO);
        let pod = PodBehaviour { startup: constant(secs(1_000)), ..instant() };
        spec.workloads[0] = WorkloadSpec { pre_stop: SimDuration::ZERO, ..web(&["n0"], pod) };
        spec.conntrack.udp_cleanup = cleanup;
        spec.run.warm_up = ms(2_600);
        let s = &run_one(&spec, 0).series[0];
        assert_eq!(s.completed(), 0);
        assert_eq!(count(s, Outcome::Blackhole) > 0, vanish, "{cleanup:?}: {:?}", s.outcomes);
    }
}

/// A flow that was silent for longer than its entry lives is a new one: 30 s after a single exchange, 120 s after more, or
/// whatever they are set to. With p and q the chances that a gap is longer than each, q / (1 - p + q) of all requests begin one.
#[test]
fn udp_entries_time_out_later_once_they_were_used_again() {
    for (single, stream) in [(ms(500), secs(2)), (secs(1), secs(1)), (secs(1), ms(250))] {
        let traffic = TrafficSpec { connections: kept(), clients: 1, ..traffic(workload_origin("caller"), Via::ClusterIP, 1.0) };
        let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"; 4], instant()), callers(&["n0"])], traffic);
        spec.services[0].ports[0].protocol = Protocol::Udp;
        (spec.conntrack.udp_timeout, spec.conntrack.udp_stream_timeout) = (single, stream);
        spec.run = RunSpec { duration: secs(1_000), window: secs(100), warm_up: secs(20) };
        let longer = |than: SimDuration| (-than.as_secs_f64()).exp();
        let expected = longer(stream) / (1.0 - longer(single) + longer(stream));
        let new = (0..60).map(|r| series(&spec, r)).map(|s| share(connections(&s).iter().sum(), s.arrivals));
        assert_near(format!("new flows, time-outs {single} and {stream}"), new, expected, 0.03);
    }
}

/// A Pod that dials another Node's node port under policy Local is short-circuited there, with its own address. Unless the Pod
/// chosen is on that Node, the answer comes from an address that was never dialled.
#[test]
fn replies_are_lost_past_another_nodes_node_port_under_policy_local() {
    for (own, expected) in
        [("n3", (7.0 + 6.0 + 3.0) / 8.0 / 4.0), ("n0", (6.0 + 3.0 + 8.0) / 8.0 / 4.0), ("n2", (7.0 + 6.0 + 8.0) / 8.0 / 4.0)]
    {
        let placed = ["n0", "n1", "n1", "n2", "n2", "n2", "n2", "n2"];
        let traffic = traffic(workload_origin("caller"), Via::NodePort, 2_000.0);
        let mut spec = spec(nodes_in(&[""; 4]), vec![web(&placed, quick()), callers(&[own])], traffic);
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        let s = series(&spec, 0);
        assert_chance(format!("lost from {own}"), count(&s, Outcome::ReplyLost), s.arrivals, expected);
        assert_eq!((others(&s, &[Outcome::Completed, Outcome::ReplyLost]), s.snat), (0, 0));
        // The Pods have worked for all of them.
        assert_eq!(s.requests_by_replica.iter().sum::<u64>(), s.arrivals);
        // Under Cluster the Node puts its own address there, and nothing is lost.
        spec.services[0].external_traffic_policy = TrafficPolicy::Cluster;
        let s = series(&spec, 0);
        assert_eq!((s.completed(), s.snat), (s.arrivals, s.arrivals));
    }
}

/// The Service `web` on one Node, and so many others of one port each, with endpoints.
fn among(others: usize, plane: DataPlaneSpec, from: Origin, via: Via) -> ClusterSpec {
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0"], quick()), callers(&["n1"])], traffic(from, via, 500.0));
    spec.data_plane = plane;
    spec.run.duration = secs(2);
    for i in 0..others {
        let name = format!("other-{i}");
        let address = std::net::Ipv4Addr::new(10, 97, (i / 256) as u8, (i % 256) as u8).into();
        let one = ServiceSpec {
            name,
            cluster_ip: Some(address),
            ports: vec![ServicePortSpec::tcp("http", 80)],
            ..service(ServiceType::ClusterIP)
        };
        spec.services.push(one);
    }
    spec
}

/// A first packet to a node port is compared with the rules of all Services' addresses, one by one; nftables looks it up.
/// Later packets of a connection pay nothing.
#[test]
fn a_first_packet_pays_for_every_service_under_iptables_only() {
    let iptables = DataPlaneSpec::Iptables(iptables::Spec { per_rule: us(1), sync: SyncSpec::INSTANT });
    let nftables = DataPlaneSpec::Nftables(nftables::Spec { lookup: us(7), sync: SyncSpec::INSTANT });
    let latency = |others, plane: &DataPlaneSpec, from, via, connections| {
        let mut spec = among(others, plane.clone(), from, via);
        source(&mut spec).connections = connections;
        let s = series(&spec, 0);
        assert_eq!(s.completed(), s.arrivals);
        (s.latency.min().expect("some complete"), s.latency.max().expect("some complete"))
    };
    let fresh = |others, plane| {
        let (min, max) = latency(others, plane, internet(), Via::NodePort, ConnectionsSpec::PerRequest);
        assert_eq!(min, max, "all requests are alike");
        min
    };
    for others in [100, 300, 1_000] {
        assert_eq!(fresh(others, &iptables).saturating_sub(fresh(0, &iptables)), us(others as u64), "{others} more Services");
        assert_eq!(fresh(others, &nftables), ms(1) + us(7), "{others} more Services");
        let (min, max) = latency(others, &iptables, internet(), Via::NodePort, kept());
        assert_eq!((min, max), (ms(1), fresh(others, &iptables)), "the first of a connection pays, the others do not");
        let (_, anywhere) = latency(others, &iptables, workload_origin("caller"), Via::ClusterIP, ConnectionsSpec::PerRequest);
        assert!(anywhere < fresh(others, &iptables), "a cluster IP is found before the end");
    }
}

/// A cluster IP stands anywhere among the rules: half of them are scanned on average, over Nodes.
#[test]
fn a_cluster_ip_is_found_halfway_on_average() {
    let plane = DataPlaneSpec::Iptables(iptables::Spec { per_rule: us(1), sync: SyncSpec::INSTANT });
    let mut spec = among(998, plane, workload_origin("caller"), Via::ClusterIP);
    let names: Vec<String> = (0..400).map(|i| format!("n{i}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    spec.nodes = nodes_in(&vec![""; all.len()]);
    spec.workloads[1] = callers(&all);
    source(&mut spec).clients = 400;
    source(&mut spec).arrivals = poisson(20_000.0);
    let s = series(&spec, 0);
    let scanned = s.latency.mean_ns().expect("some complete") / 1e3 - 1_000.0;
    // 1 000 addresses, and two rules of the Service; 400 uniform draws.
    assert!((scanned - 502.0).abs() < 4.0 * 1_000.0 / 12f64.sqrt() / 20.0, "{scanned} rules on average, seed {SEED}");
}

/// Four Pods of two workloads; one is deleted at 2 s, one of the other workload at 2.2 s. What Nodes send there until they have
/// synced is lost.
fn two_deletions(sync: SyncSpec) -> ClusterSpec {
    let pod = PodBehaviour { startup: constant(secs(1_000)), ..instant() };
    let other = WorkloadSpec { name: "web-b".to_owned(), ..web(&["n2", "n3"], pod.clone()) };
    let traffic = traffic(workload_origin("caller"), Via::ClusterIP, 500.0);
    let mut spec = spec(nodes_in(&[""; 6]), vec![web(&["n0", "n1"], pod), other, callers(&["n4", "n5"])], traffic);
    spec.data_plane = DataPlaneSpec::Nftables(nftables::Spec { lookup: SimDuration::ZERO, sync });
    spec.propagation =
        PropagationSpec { publish: constant(SimDuration::ZERO), to_node: constant(SimDuration::ZERO), to_dns: constant(SimDuration::ZERO) };
    for (name, at) in [("web", secs(2)), ("web-b", ms(2_200))] {
        deletions(&mut spec, name, constant(at));
    }
    spec.run.duration = ms(3_999);
    spec
}

/// `minSyncPeriod` runs from the end of a sync: the second change waits for it, and for its own sync.
#[test]
fn the_second_of_two_close_changes_waits_for_min_sync_period() {
    let sync = |min, base| SyncSpec { min_sync_period: min, base, ..SyncSpec::INSTANT };
    // A quarter of the traffic goes to each deleted Pod, a third where the other is known to be gone.
    let cases = [
        (sync(secs(1), SimDuration::ZERO), 0.8 / 3.0, 3_000),
        (sync(ms(500), SimDuration::ZERO), 0.3 / 3.0, 2_500),
        // The first sync ends at 2.3 s, the second starts at 3.3 s and ends at 3.6 s.
        (sync(secs(1), ms(300)), 0.3 / 4.0 + 0.1 / 4.0 + 1.3 / 3.0, 3_600),
        (sync(SimDuration::ZERO, ms(100)), 0.1 / 4.0 + 0.1 / 3.0, 2_300),
    ];
    for (sync, seconds, until) in cases {
        let what = format!("minSyncPeriod {}, {} a sync", sync.min_sync_period, sync.base);
        let mut spec = two_deletions(sync);
        let lost = |s: &SeriesResult| (s.arrivals - s.completed()) as f64;
        assert_near(format!("lost, {what}"), (0..60).map(|r| lost(&series(&spec, r))), 500.0 * seconds, 0.05);
        spec.run.warm_up = ms(until);
        assert_eq!(lost(&series(&spec, 0)), 0.0, "{what}: nothing is lost after {until} ms");
        spec.run = RunSpec { warm_up: ms(until - 30), duration: ms(until), ..spec.run };
        assert!((0..10).any(|r| lost(&series(&spec, r)) > 0.0), "{what}: and until then something is");
    }
    assert_eq!(series(&two_deletions(SyncSpec::INSTANT), 0).outcomes[Outcome::Blackhole as usize], 0, "rules that follow at once");
}

/// A sync that writes all Services' rules takes the longer, the more there are: 49 others and this one at 10 ms each.
#[test]
fn a_sync_that_costs_by_the_service_delays_what_nodes_know() {
    let mut spec = two_deletions(SyncSpec { per_service_port: ms(10), ..SyncSpec::INSTANT });
    spec.events.remove("delete-web-b");
    spec.services.extend(among(49, free_iptables(), internet(), Via::NodePort).services.into_iter().skip(1));
    let lost = |spec: &ClusterSpec| (0..40).map(|r| series(spec, r)).map(|s| (s.arrivals - s.completed()) as f64).collect::<Vec<_>>();
    assert_near("lost while 50 Services are written", lost(&spec), 500.0 * 0.5 / 4.0, 0.05);
    spec.services.truncate(10);
    assert_near("lost while 10 Services are written", lost(&spec), 500.0 * 0.1 / 4.0, 0.1);
}
