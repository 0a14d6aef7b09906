//! What stands in front: where it lets traffic in, whose address survives, and whom a change of targets costs a connection.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::load_balancer::{Algorithm, HealthCheck, LoadBalancerSpec, Preset};
use svcsim_models::record::{RunResult, SeriesResult};

fn instant() -> PodBehaviour {
    behaviour(constant(SimDuration::from_nanos(1)), 10_000)
}

/// Behind this balancer, with no delay inside it.
fn behind(preset: Preset, zones: &[&str], workload: WorkloadSpec, per_second: f64) -> ClusterSpec {
    let mut spec = spec(nodes_in(zones), vec![workload], traffic(internet(), Via::LoadBalancer, per_second));
    spec.load_balancer = LoadBalancerSpec::of(preset);
    load_balancer_delay(&mut spec, SimDuration::ZERO);
    spec
}

fn loads(s: &SeriesResult) -> Vec<u64> {
    s.backends.iter().map(|b| s.requests_by_replica[*b]).collect()
}

#[track_caller]
fn assert_shares(what: &str, s: &SeriesResult, expected: &[f64]) {
    assert_eq!((s.completed(), loads(s).len()), (s.arrivals, expected.len()), "{what}: {:?}", s.outcomes);
    for (pod, (got, share)) in loads(s).into_iter().zip(expected).enumerate() {
        assert_chance(format!("{what}: share of Pod {pod}"), got, s.arrivals, *share);
    }
}

/// News is instant, so that only the balancer takes time.
fn instant_news(spec: &mut ClusterSpec) {
    spec.propagation =
        PropagationSpec { publish: constant(SimDuration::ZERO), to_node: constant(SimDuration::ZERO), to_dns: constant(SimDuration::ZERO) };
}

fn deletes_at(spec: &mut ClusterSpec, at: SimDuration) {
    deletions(spec, "web", constant(at));
}

/// The place of the Pod that is deleted.
fn victim(run: &RunResult) -> usize {
    let pod = &run.incidents.iter().find(|i| i.event == "terminate").expect("a Pod is deleted").pod;
    pod.trim_start_matches("web-").parse().expect("a place")
}

fn keep_alive() -> ConnectionsSpec {
    ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1))
}

/// Straight to Pods: all alike, whatever Nodes they are on, with an address that is not the client's and no proxy on the way.
#[test]
fn pod_targets_are_one_stage_of_balancing() {
    for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        let mut spec = behind(Preset::AwsNlbIp, &["", "", ""], web(&["n0", "n1", "n1", "n1", "n1"], quick()), 4_000.0);
        spec.services[0].external_traffic_policy = policy;
        let s = series(&spec, 0);
        assert_eq!((s.extra_hop, s.snat), (0, s.arrivals), "{policy:?}");
        assert_shares(&format!("{policy:?}"), &s, &[0.2; 5]);
    }
}

/// Through node ports: under Cluster Nodes do not matter and clients are hidden by Nodes; under Local each Node gets the same
/// and the Pod sees who calls.
#[test]
fn node_targets_are_two_stages_of_balancing() {
    let mut spec = behind(Preset::AwsNlbInstance, &["", "", "", ""], web(&["n0", "n1", "n1", "n1"], quick()), 4_000.0);
    let s = series(&spec, 0);
    assert_shares("Cluster", &s, &[0.25; 4]);
    assert_eq!(s.snat, s.arrivals);
    assert_chance("sent on", s.extra_hop, s.arrivals, 0.75);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    let s = series(&spec, 0);
    assert_shares("Local", &s, &[0.5, 0.5 / 3.0, 0.5 / 3.0, 0.5 / 3.0]);
    assert_eq!((s.snat, s.extra_hop), (0, 0));
}

/// Zones that are kept apart get equal shares, not Pods or Nodes: one Pod in a zone of its own gets as much as three together.
#[test]
fn zones_get_equal_shares_unless_they_are_crossed() {
    for (preset, policy) in [(Preset::AwsNlbIp, TrafficPolicy::Cluster), (Preset::AwsNlbInstance, TrafficPolicy::Local)] {
        let mut spec = behind(preset, &["a", "b", "b", "b"], web(&["n0", "n1", "n2", "n3"], quick()), 4_000.0);
        spec.services[0].external_traffic_policy = policy;
        let sixth = 1.0 / 6.0;
        assert_shares(&format!("{preset:?}, zones apart"), &series(&spec, 0), &[0.5, sixth, sixth, sixth]);
        balancer(&mut spec).cross_zone = true;
        assert_shares(&format!("{preset:?}, crossed"), &series(&spec, 0), &[0.25; 4]);
    }
}

/// One Node leads, the same in every run. Under Cluster what its own Pods do not serve goes on, exactly; under Local its Pods
/// serve all, and others stand idle.
#[test]
fn metallb_layer_2_lets_everything_in_at_one_node() {
    let placed = ["n0", "n1", "n1", "n2", "n2", "n2", "n2", "n2", "n3", "n3"];
    let on = |node: &str, s: &SeriesResult| -> u64 { placed.iter().zip(loads(s)).filter(|(n, _)| **n == node).map(|(_, l)| l).sum() };
    let pods_on = |node: &str| placed.iter().filter(|n| **n == node).count() as f64;
    let nodes = ["n0", "n1", "n2", "n3"];
    let mut leaders = Vec::new();
    for replication in 0..3 {
        let mut spec = behind(Preset::MetallbL2, &[""; 4], web(&placed, quick()), 4_000.0);
        let s = series(&spec, replication);
        assert_shares("Cluster", &s, &[0.1; 10]);
        assert_eq!(s.snat, s.arrivals);
        let leader = nodes.into_iter().find(|n| s.extra_hop == s.arrivals - on(n, &s)).expect("a Node that all the others' requests pass");
        assert_chance("sent on", s.extra_hop, s.arrivals, 1.0 - pods_on(leader) / 10.0);
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        let s = series(&spec, replication);
        assert_eq!((on(leader, &s), s.completed(), s.snat, s.extra_hop), (s.arrivals, s.arrivals, 0, 0), "Local");
        leaders.push(leader);
    }
    leaders.dedup();
    assert_eq!(leaders.len(), 1);
}

/// The leader loses its last Pod under policy Local: until neighbours know of the new one, it drops what they send. If another
/// Node loses its own, nobody notices.
#[test]
fn a_layer_2_failover_costs_what_comes_meanwhile() {
    let mut spec = behind(Preset::MetallbL2, &[""; 2], web(&["n0", "n1"], instant()), 500.0);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    spec.workloads[0].pod.startup = constant(secs(1_000));
    balancer(&mut spec).algorithm = Algorithm::Leader { failover: constant(secs(1)) };
    instant_news(&mut spec);
    deletes_at(&mut spec, secs(2));
    // What becomes of first packets: sent again, they would get through later.
    source(&mut spec).tcp.retransmit = false;
    spec.run.duration = ms(3_999);
    let mut failovers = 0;
    for run in replicate(&spec, 24) {
        let s = &run.series[0];
        let lost = count(s, Outcome::PolicyDrop);
        assert_eq!(others(s, &[Outcome::Completed, Outcome::PolicyDrop]), 0);
        if loads(s)[victim(&run)] > 0 {
            failovers += 1;
            assert!((lost as f64 - 500.0).abs() < 4.0 * 500f64.sqrt(), "500 requests in a second of failover, found {lost}");
        } else {
            assert_eq!(lost, 0);
        }
    }
    assert!((4..=20).contains(&failovers), "the leader is deleted about every other time: {failovers} of 24");
}

/// A Node whose last Pod drains, still serving, goes on announcing (`EndpointCanServe`); other balancers send a draining Pod
/// nothing new.
#[test]
fn metallb_announces_nodes_whose_pods_drain() {
    for (preset, announces) in [(Preset::MetallbBgp, true), (Preset::IpTargets, false)] {
        let mut spec = behind(preset, &[""; 4], web(&["n0", "n1", "n2", "n3"], instant()), 4_000.0);
        spec.services[0].external_traffic_policy = TrafficPolicy::Local;
        (spec.workloads[0].pre_stop, spec.workloads[0].pod.startup) = (secs(5), constant(secs(1_000)));
        deletes_at(&mut spec, secs(2));
        // Known everywhere, and to the balancer, at 2.5 s.
        spec.run = RunSpec { warm_up: ms(2_501), duration: ms(3_999), window: secs(1) };
        let run = run_one(&spec, 0);
        let s = &run.series[0];
        let expected = [0, 1, 2, 3].map(|pod| match (pod == victim(&run), announces) {
            (_, true) => 0.25,
            (gone, false) => {
                if gone {
                    0.0
                } else {
                    1.0 / 3.0
                }
            }
        });
        for (pod, share) in expected.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
            assert_chance(format!("{preset:?}: Pod {pod}"), loads(s)[pod], s.arrivals, share);
        }
        assert_eq!((s.completed(), loads(s)[victim(&run)] > 0), (s.arrivals, announces), "{preset:?}");
    }
}

/// 600 clients keep a connection each over four Nodes with a Pod each. One Pod is deleted at 2 s, and its Node withdrawn.
fn withdrawal(resilient: bool) -> ClusterSpec {
    let mut spec = behind(Preset::MetallbBgp, &[""; 4], web(&["n0", "n1", "n2", "n3"], instant()), 6_000.0);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    (source(&mut spec).clients, source(&mut spec).connections) = (600, keep_alive());
    let b = balancer(&mut spec);
    b.algorithm = Algorithm::Ecmp { resilient };
    b.registration_delay = constant(SimDuration::ZERO);
    b.deregistration_delay = constant(SimDuration::ZERO);
    instant_news(&mut spec);
    deletes_at(&mut spec, secs(2));
    spec.workloads[0].pod.startup = constant(secs(1_000));
    spec.run.duration = ms(3_999);
    spec
}

/// A flow's place modulo four says nothing of its place modulo three: of those that lived on the Nodes that stay, one in three
/// finds its Node again. Buckets that keep their path lose none of them. (Those of the deleted Pod were closed by it.)
#[test]
fn withdrawing_a_node_resets_flows_of_the_others_unless_hashing_is_resilient() {
    for resilient in [false, true] {
        let spec = withdrawal(resilient);
        let before = ClusterSpec { run: RunSpec { duration: secs(2), ..spec.run.clone() }, ..spec.clone() };
        let (mut reset, mut elsewhere) = (0, 0);
        for replication in 0..4 {
            let run = run_one(&spec, replication);
            let lived = series(&before, replication).connections_by_replica;
            assert_eq!(lived.iter().sum::<u64>(), 600, "one connection a client");
            let s = &run.series[0];
            assert_eq!(others(s, &[Outcome::Completed, Outcome::Reset]), 0, "{:?}", s.outcomes);
            reset += count(s, Outcome::Reset);
            elsewhere += 600 - lived[victim(&run)];
        }
        if resilient {
            assert_eq!(reset, 0);
        } else {
            assert_chance("reset on Nodes that stay", reset, elsewhere, 2.0 / 3.0);
        }
    }
}

/// UDP has no connections to reset: to its new Node a packet of an old flow is the first of a new one. So as many are translated
/// anew as TCP connections are reset, besides those of the deleted Pod, and nothing is lost.
#[test]
fn withdrawing_a_node_translates_udp_flows_anew() {
    for resilient in [false, true] {
        let mut spec = withdrawal(resilient);
        spec.services[0].ports[0].protocol = Protocol::Udp;
        let before = ClusterSpec { run: RunSpec { duration: secs(2), ..spec.run.clone() }, ..spec.clone() };
        let (mut moved, mut elsewhere) = (0, 0);
        for replication in 0..4 {
            let run = run_one(&spec, replication);
            let s = &run.series[0];
            assert_eq!(s.completed(), s.arrivals, "{:?}", s.outcomes);
            let lived = series(&before, replication).connections_by_replica;
            let gone = lived[victim(&run)];
            assert_eq!(lived.iter().sum::<u64>(), 600);
            moved += s.connections_by_replica.iter().sum::<u64>() - 600 - gone;
            elsewhere += 600 - gone;
        }
        if resilient {
            assert_eq!(moved, 0);
        } else {
            assert_chance("translated anew on Nodes that stay", moved, elsewhere, 2.0 / 3.0);
        }
    }
}

/// The Pod is back a second later, and all paths are as they were. Modulo four, the quarter of all flows that had survived is
/// where it was; the others, made meanwhile, find their Node one time in four. Resilient hashing takes no more for the new path
/// than its quarter of all buckets, which is a third of those that had been the others'.
#[test]
fn announcing_a_node_again_resets_most_of_what_was_opened_meanwhile() {
    for resilient in [false, true] {
        let mut spec = withdrawal(resilient);
        spec.workloads[0].pod.startup = constant(secs(1));
        spec.run.warm_up = secs(3);
        let reset: u64 = (0..4).map(|r| count(&series(&spec, r), Outcome::Reset)).sum();
        if resilient {
            // Flows of the deleted Pod are new, over all buckets.
            let most = 3.0 / 4.0 / 3.0 + 1.0 / 4.0 / 4.0;
            let error = (most * (1.0 - most) / 2_400.0f64).sqrt();
            assert!(reset > 0 && share(reset, 4 * 600) < most + 4.0 * error, "{reset} of 2400 reset, at most {most} expected");
        } else {
            assert_chance("reset", reset, 4 * 600, 3.0 / 4.0 * 3.0 / 4.0);
        }
    }
}

/// Old connections to a Pod that is a target no longer go on while it drains, unless the balancer resets them: then the Pod gets
/// nothing more, and what is in it is lost.
#[test]
fn draining_ends_connections_to_targets_that_left() {
    for draining in [None, Some(secs(1))] {
        let pod = PodBehaviour { startup: constant(secs(1_000)), ..behaviour(constant(ms(200)), 10_000) };
        let mut spec = behind(Preset::IpTargets, &[""; 4], web(&["n0", "n1", "n2", "n3"], pod), 800.0);
        (source(&mut spec).clients, source(&mut spec).connections) = (1_000, keep_alive());
        spec.workloads[0].pre_stop = secs(20);
        balancer(&mut spec).draining = draining;
        instant_news(&mut spec);
        deletes_at(&mut spec, ms(5_500));
        spec.run.duration = secs(9);
        let mut resets = 0;
        for replication in 0..4 {
            let s = series(&spec, replication);
            resets += count(&s, Outcome::Reset);
            assert_eq!(others(&s, &[Outcome::Completed, Outcome::Reset]), 0, "{:?}", s.outcomes);
            for (second, w) in s.timeline.iter().enumerate() {
                assert_eq!(w.errors > 0, draining.is_some() && second == 6, "second {second}: {w:?}");
            }
            let late = ClusterSpec { run: RunSpec { warm_up: ms(6_501), ..spec.run.clone() }, ..spec.clone() };
            let run = run_one(&late, replication);
            assert_eq!(
                loads(&run.series[0])[victim(&run)] == 0,
                draining.is_some(),
                "kept connections lead to the Pod as long as they may"
            );
        }
        if draining.is_some() {
            // A quarter of 800 requests a second, 200 ms each; somewhat less, since overlapping requests dial anew, elsewhere.
            assert!((100..=160).contains(&resets), "{resets} of 4 times 40 in the Pod");
        }
    }
}

/// Nobody to send to: a balancer of Pods says so itself, as does one that only uses Nodes with Pods; one of Nodes sends to a Node,
/// which rejects.
#[test]
fn a_balancer_without_targets_has_none() {
    let cases = [
        (Preset::IpTargets, TrafficPolicy::Cluster, Outcome::NoTarget),
        (Preset::AwsNlbIp, TrafficPolicy::Cluster, Outcome::NoTarget),
        (Preset::MetallbBgp, TrafficPolicy::Local, Outcome::NoTarget),
        (Preset::MetallbL2, TrafficPolicy::Local, Outcome::NoTarget),
        (Preset::MetallbBgp, TrafficPolicy::Cluster, Outcome::Rejected),
        (Preset::AwsNlbInstance, TrafficPolicy::Cluster, Outcome::Rejected),
        // Fails open: no Node is healthy, so all are used.
        (Preset::AwsNlbInstance, TrafficPolicy::Local, Outcome::Rejected),
    ];
    for (preset, policy, outcome) in cases {
        let mut spec = behind(preset, &["", ""], web(&[], quick()), 100.0);
        spec.services[0].external_traffic_policy = policy;
        let s = series(&spec, 0);
        assert!(s.arrivals > 0);
        assert_eq!(count(&s, outcome), s.arrivals, "{preset:?}, {policy:?}: {:?}", s.outcomes);
    }
    let mut excluded = behind(Preset::InstanceTargets, &["", ""], web(&["n0"], quick()), 100.0);
    excluded.nodes.iter_mut().for_each(|n| n.excluded_from_load_balancers = true);
    let s = series(&excluded, 0);
    assert_eq!(count(&s, Outcome::NoTarget), s.arrivals, "all Nodes are excluded");
}

/// Each port of a Service has targets of its own: Pods without the named port get nothing that is for it.
#[test]
fn pod_targets_are_those_of_the_port_dialled() {
    let port = |name: &str, number| ContainerPortSpec { name: name.to_owned(), protocol: Protocol::Tcp, number };
    let mut old = web(&["n0"], quick());
    old.ports = vec![port("serve", 8_080), port("metrics", 9_000)];
    let mut spec = behind(Preset::IpTargets, &["", ""], old, 500.0);
    let mut new = WorkloadSpec { name: "web-new".to_owned(), ..web(&["n1"], quick()) };
    new.ports = vec![port("serve", 8_080)];
    spec.workloads.push(new);
    let named = |name: &str, number, target: &str| ServicePortSpec {
        target_port: TargetPort::Name(target.to_owned()),
        ..ServicePortSpec::tcp(name, number)
    };
    spec.services[0].ports = vec![named("http", 80, "serve"), named("metrics", 9_090, "metrics")];
    source(&mut spec).port = Some("metrics".to_owned());
    let s = series(&spec, 0);
    assert_eq!(loads(&s), [s.arrivals, 0]);
}

/// A new Pod is Ready at 7 s, a target 2 s later, and healthy after two checks, a second apart, the first within one: it gets
/// nothing before 10 s, and its full share after 11 s.
#[test]
fn a_new_pod_waits_for_its_registration_and_its_checks() {
    let pod = PodBehaviour { startup: constant(secs(1)), ..instant() };
    let mut spec = behind(Preset::AwsNlbIp, &["", "", ""], web(&["n0", "n1", "n2"], pod), 2_000.0);
    let b = balancer(&mut spec);
    b.registration_delay = constant(secs(2));
    b.deregistration_delay = constant(SimDuration::ZERO);
    b.health_check =
        Some(HealthCheck { interval: secs(1), from_end: false, timeout: secs(1), healthy_threshold: 2, unhealthy_threshold: 2 });
    instant_news(&mut spec);
    deletes_at(&mut spec, secs(6));
    for replication in 0..5 {
        let during = |from, until| {
            let run =
                run_one(&ClusterSpec { run: RunSpec { warm_up: from, duration: until, window: secs(1) }, ..spec.clone() }, replication);
            let s = &run.series[0];
            assert_eq!(s.completed(), s.arrivals);
            (loads(s)[victim(&run)], s.arrivals)
        };
        assert_eq!(during(ms(6_001), secs(10)).0, 0, "before its checks");
        // Healthy between 10 s and 11 s: half of this second on average.
        let (some, all) = during(secs(10), secs(11));
        assert!((1..all / 3).contains(&some), "{some} of {all} while it becomes healthy");
        let (late, all) = during(secs(11), ms(11_999));
        assert_chance("the new Pod, when healthy", late, all, 1.0 / 3.0);
    }
}

/// A check that waits as long as the interval is over when the next begins: Pods whose address nobody has are checked for ever,
/// and time goes on.
#[test]
fn checks_of_pods_that_are_gone_take_their_time() {
    let mut spec = spec(nodes_in(&["a", "b"]), vec![web(&["n0", "n1"], quick())], traffic(internet(), Via::LoadBalancer, 50.0));
    spec.load_balancer = LoadBalancerSpec::by_name("awsNlbIp").expect("a preset");
    deletions(&mut spec, "web", constant(secs(7)));
    spec.run.duration = secs(60);
    source(&mut spec).timeout = Some(ms(900));
    let result = run_one(&spec, 0);
    // Two targets checked every 10 s, and a few more on their way out; every other event is a request's or a Pod's.
    assert!(result.events < 6 * result.series[0].arrivals_ever + 2_000, "{} events", result.events);
    assert!(count(&result.series[0], Outcome::Blackhole) > 0, "deregistered targets are dialled for minutes");
}

/// Deleted at 6 s, drained until 9 s, but its Node has another Pod, and is a target again, from 7 s on. Requests take half a
/// second, so that many are in it at 9 s.
#[test]
fn a_target_that_came_back_keeps_its_connections_when_its_draining_would_have_ended() {
    let mut spec = withdrawal(true);
    (balancer(&mut spec).connection_tracking, balancer(&mut spec).draining) = (true, Some(secs(3)));
    deletes_at(&mut spec, secs(6));
    spec.workloads[0].pod = PodBehaviour { startup: constant(secs(1)), ..behaviour(constant(ms(500)), 10_000) };
    source(&mut spec).connections = ConnectionsSpec::PerRequest;
    spec.run = RunSpec { duration: secs(11), warm_up: secs(8), window: secs(1) };
    let s = series(&spec, 0);
    assert!(loads(&s).iter().all(|n| *n > 1_000), "the Node's new Pod is used: {:?}", loads(&s));
    assert_eq!(s.completed(), s.arrivals, "{:?}", s.outcomes);
}
