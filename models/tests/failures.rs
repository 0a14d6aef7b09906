//! Nodes, zones and the control plane fail: who loses what, for how long.

use crate::world::*;
use svcsim_engine::SimTime;
use svcsim_models::cluster::{Outcome, check};
use svcsim_models::record::{Place, RunResult, SeriesResult};

const RATE: f64 = 400.0;

/// Four Pods on Nodes of two zones, called from a fifth Node; clients give up after half a second.
fn world() -> ClusterSpec {
    let traffic = TrafficSpec { timeout: Some(ms(500)), clients: 50, ..traffic(workload_origin("caller"), Via::ClusterIP, RATE) };
    let workloads = vec![web(&["n0", "n1", "n2", "n3"], quick()), callers(&["n4"])];
    let mut spec = spec(nodes_in(&["a", "a", "b", "b", "c"]), workloads, traffic);
    spec.node_lifecycle = NodeLifecycleSpec { lease_renewal: ms(1), ..NodeLifecycleSpec::default() };
    spec.run.duration = secs(100);
    spec
}

fn node(name: &str) -> NodeTarget {
    NodeTarget { node: Some(name.to_owned()) }
}

fn zone(name: &str) -> ZoneTarget {
    ZoneTarget { zone: Some(name.to_owned()) }
}

fn with(event: EventSpec) -> ClusterSpec {
    let mut spec = world();
    spec.events.insert("fault".to_owned(), event);
    spec
}

fn lost(s: &SeriesResult) -> f64 {
    (s.arrivals - s.completed()) as f64
}

/// Requests lost of those sent between two times.
fn lost_between(spec: &ClusterSpec, from: SimDuration, until: SimDuration) -> f64 {
    let spec = ClusterSpec { run: RunSpec { warm_up: from, duration: until, window: secs(1) }, ..spec.clone() };
    lost(&series(&spec, 0))
}

/// Dead at 12 s, its lease is stale at 62 s and seen at 65 s; 50 ms later slices are written, 450 ms later the Nodes know.
#[test]
fn a_dead_nodes_share_fails_until_its_lease_has_run_out_and_then_nothing_does() {
    let spec = with(EventSpec::at(secs(12), Action::NodeCrash(node("n0"))));
    assert_near("lost", (0..20).map(|r| lost(&series(&spec, r))), RATE / 4.0 * 53.5, 0.02);
    assert_eq!((lost_between(&spec, ms(1), secs(11)), lost_between(&spec, ms(65_500), secs(100))), (0.0, 0.0));
    let run = run_one(&spec, 0);
    let marks: Vec<_> = run.marks.iter().map(|m| (m.name.as_str(), m.began, m.time.as_nanos() / 1_000_000_000)).collect();
    assert_eq!(marks, [("fault", true, 12)]);
}

/// Back before anybody noticed: its Pods start again, and only the time of its absence is lost.
#[test]
fn a_node_that_reboots_soon_is_never_missed() {
    let spec = with(EventSpec::at(secs(12), Action::NodeCrash(node("n0"))).lasting(constant(secs(10))));
    let run = run_one(&spec, 0);
    assert!(run.incidents.iter().any(|i| i.event == "restart" && i.pod == "web-0"));
    assert_near("lost", (0..20).map(|r| lost(&series(&spec, r))), RATE / 4.0 * 10.0, 0.03);
}

/// After the toleration its Pods are deleted and replaced elsewhere, though nobody can confirm that they are gone.
#[test]
fn pods_of_a_lost_node_are_replaced_and_stay_terminating() {
    let mut spec = with(EventSpec::at(secs(12), Action::NodeCrash(node("n0"))));
    spec.node_lifecycle.toleration = secs(10);
    let run = run_one(&spec, 0);
    let at = |event: &str| {
        run.incidents
            .iter()
            .filter(|i| i.event == event && i.pod == "web-0")
            .map(|i| (i.time.as_nanos() / 1_000_000_000, i.node.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(at("terminate"), [(75, 0)]);
    assert!(at("gone").is_empty() && at("ready").len() == 1 && at("ready")[0].1 != 0, "{:?}", run.incidents);
}

/// When Pods are deleted after the Nodes `dead` of a zone of four have crashed at 12 s, and `n4` in its own if `all`.
fn evicted(dead: &[&str], all: bool) -> Vec<u64> {
    let mut spec = world();
    spec.nodes = nodes_in(&["a", "a", "a", "a", "c"]);
    spec.node_lifecycle.toleration = secs(20);
    spec.run.duration = secs(200);
    let crash = |name: &str| EventSpec::at(secs(12), Action::NodeCrash(node(name))).lasting(constant(secs(178)));
    spec.events.extend(dead.iter().map(|name| ((*name).to_owned(), crash(name))));
    if all {
        spec.events.insert("late".to_owned(), EventSpec { at: Some(secs(22)), ..crash("n4") });
    }
    let run = run_one(&spec, 0);
    let deleted = run.incidents.iter().filter(|i| i.event == "terminate" && i.pod.starts_with("web"));
    deleted.map(|i| i.time.as_nanos() / 1_000_000_000).collect()
}

/// Lost at 65 s; a Node of a zone is tainted every 10 s, and its Pods have 20 s from there.
#[test]
fn lost_nodes_are_evicted_one_after_the_other_in_each_zone() {
    assert_eq!(evicted(&["n0", "n1"], false), [85, 95]);
    assert_eq!(evicted(&["n0", "n1", "n2", "n3"], false), [85, 95, 105, 115], "a zone that is lost is evicted as fast");
    assert_eq!(evicted(&["n0", "n1", "n2"], false), [0; 0], "more than half of a small zone: it might be the zone's network");
    assert_eq!(evicted(&["n0", "n1", "n2", "n3"], true), [0; 0], "all Nodes: it might be the control plane's own");
}

/// Cut off, a Node runs on: whoever is on it reaches the Pods on it.
#[test]
fn a_node_that_is_cut_off_still_serves_itself() {
    let mut spec = with(EventSpec::at(secs(10), Action::NodeCut(node("n0"))).lasting(constant(secs(20))));
    spec.workloads[1].placed_on = vec!["n0".to_owned()];
    spec.services[0].internal_traffic_policy = TrafficPolicy::Local;
    assert_eq!(lost(&series(&spec, 0)), 0.0);
    spec.services[0].internal_traffic_policy = TrafficPolicy::Cluster;
    assert_near("three of four Pods are elsewhere", (0..20).map(|r| lost(&series(&spec, r))), RATE * 0.75 * 20.0, 0.02);
}

#[test]
fn a_zone_outage_loses_the_zones_share_and_a_partition_what_crosses_its_border() {
    let outage = with(EventSpec::at(secs(20), Action::ZoneOutage(zone("a"))).lasting(constant(secs(10))));
    assert_near("outage", (0..20).map(|r| lost(&series(&outage, r))), RATE / 2.0 * 10.0, 0.02);
    let mut partition = with(EventSpec::at(secs(20), Action::ZonePartition(zone("a"))).lasting(constant(secs(10))));
    assert_near("from outside the zone", (0..20).map(|r| lost(&series(&partition, r))), RATE / 2.0 * 10.0, 0.02);
    partition.workloads[1].placed_on = vec!["n1".to_owned()];
    assert_near("from inside", (0..20).map(|r| lost(&series(&partition, r))), RATE / 2.0 * 10.0, 0.02);
}

/// Deleted while the control plane is out? It cannot be: it is when that is back. But a Pod that crashes is not published.
#[test]
fn nodes_keep_their_views_while_the_control_plane_is_out() {
    let mut spec = with(EventSpec::at(secs(10), Action::ControlPlaneOutage(Everything {})).lasting(constant(secs(30))));
    spec.workloads[0].pod.startup = constant(secs(60));
    let victim = PodTarget { place: Some(0), ..any_pod_of("web") };
    spec.events.insert("crash".to_owned(), EventSpec::at(secs(15), Action::PodCrash(victim.clone())));
    assert_near("refused until Nodes hear of it", (0..20).map(|r| lost(&series(&spec, r))), RATE / 4.0 * 25.5, 0.02);
    spec.events.insert("crash".to_owned(), EventSpec::at(secs(15), Action::PodDelete(victim)));
    let run = run_one(&spec, 0);
    let deleted: Vec<u64> = run.incidents.iter().filter(|i| i.event == "terminate").map(|i| i.time.as_nanos() / 1_000_000_000).collect();
    assert_eq!(deleted, [40]);
}

/// News that a zone missed while it was cut off reach it when it is not.
#[test]
fn a_zone_that_was_cut_off_catches_up() {
    let mut spec = with(EventSpec::at(secs(10), Action::ZonePartition(zone("c"))).lasting(constant(secs(10))));
    spec.events.insert("delete".to_owned(), EventSpec::at(secs(12), Action::PodDelete(PodTarget { place: Some(0), ..any_pod_of("web") })));
    spec.workloads[0].pod.startup = constant(secs(200));
    assert_eq!(lost_between(&spec, secs(23), secs(100)), 0.0, "the callers' Node is in the zone");
    assert!(lost_between(&spec, secs(10), secs(20)) > RATE * 9.0, "and all Pods are outside it");
}

/// There is nothing to list from while the control plane is out.
#[test]
fn a_zone_that_is_back_catches_up_when_the_control_plane_is() {
    let mut spec = with(EventSpec::at(secs(10), Action::ZonePartition(zone("c"))).lasting(constant(secs(2))));
    spec.events
        .insert("delete".to_owned(), EventSpec::at(ms(10_100), Action::PodDelete(PodTarget { place: Some(0), ..any_pod_of("web") })));
    let outage = EventSpec::at(secs(11), Action::ControlPlaneOutage(Everything {})).lasting(constant(secs(19)));
    spec.events.insert("outage".to_owned(), outage);
    spec.workloads[0].pod.startup = constant(secs(200));
    let between = |from, until| lost_between(&spec, from, until) / (until.as_secs_f64() - from.as_secs_f64());
    assert!((between(ms(12_600), secs(30)) / (RATE / 4.0) - 1.0).abs() < 0.1, "{}", between(ms(12_600), secs(30)));
    assert_eq!(lost_between(&spec, ms(30_001), secs(60)), 0.0);
}

/// Nobody hears what a Pod on a Node that is cut off does.
#[test]
fn a_kubelet_that_nobody_reaches_reports_nothing() {
    let mut spec = with(EventSpec::at(secs(5), Action::NodeCut(node("n0"))));
    spec.node_lifecycle.grace_period = secs(10);
    let cut = lost_between(&spec, secs(40), secs(100));
    spec.events.insert("crash".to_owned(), EventSpec::at(secs(20), Action::PodCrash(PodTarget { place: Some(0), ..any_pod_of("web") })));
    assert_eq!((cut, lost_between(&spec, secs(40), secs(100))), (0.0, 0.0));
}

/// While the load balancer is away everything through it is lost, and nothing else.
#[test]
fn a_failed_load_balancer_loses_what_goes_through_it() {
    let failure = Action::LoadBalancerFailure(BalancerTarget { service: "web".to_owned() });
    let mut spec = with(EventSpec::at(secs(20), failure).lasting(constant(secs(5))));
    assert_eq!(lost(&series(&spec, 0)), 0.0, "callers inside do not need it");
    source(&mut spec).from = internet();
    source(&mut spec).via = Via::LoadBalancer;
    assert_near("lost", (0..20).map(|r| lost(&series(&spec, r))), RATE * 5.0, 0.02);
}

/// A balancer in layer 2 finds out that its leader died after its own detection time.
#[test]
fn a_lost_leader_is_replaced_after_the_balancers_detection() {
    let mut spec = with(EventSpec::at(secs(12), Action::NodeCrash(node("n4"))));
    spec.workloads.truncate(1);
    source(&mut spec).from = internet();
    source(&mut spec).via = Via::LoadBalancer;
    spec.load_balancer = svcsim_models::load_balancer::LoadBalancerSpec::by_name("metallbL2").expect("a preset");
    let all = |r: &RunResult| {
        r.series[0]
            .timeline
            .iter()
            .map(|w| (w.start.as_nanos() / 1_000_000_000, w.errors))
            .filter(|w| w.1 > 0)
            .map(|w| w.0)
            .collect::<Vec<_>>()
    };
    // Whoever leads: try each Node, and one of them takes everything down for five seconds.
    let worst = (0..5).map(|n| {
        spec.events.insert("fault".to_owned(), EventSpec::at(secs(12), Action::NodeCrash(node(&format!("n{n}")))));
        let run = run_one(&spec, 0);
        (count(&run.series[0], Outcome::Blackhole), all(&run))
    });
    let (lost, when) = worst.max_by_key(|w| w.0).expect("five Nodes");
    assert!((lost as f64) > RATE * 4.5 && when.contains(&13), "{lost} lost in {when:?}");
}

fn degraded(link: &str) -> LinkTarget {
    LinkTarget { link: link.to_owned(), delay_factor: None, added_delay: None, loss: None, bandwidth: None }
}

/// Links get worse from 20 s to 30 s.
fn with_links(target: LinkTarget) -> ClusterSpec {
    with(EventSpec::at(secs(20), Action::LinkDegrade(target)).lasting(constant(secs(10))))
}

/// The shortest and the longest latency of requests sent between two times.
fn extremes(spec: &ClusterSpec, from: SimDuration, until: SimDuration) -> (SimDuration, SimDuration) {
    let spec = ClusterSpec { run: RunSpec { warm_up: from, duration: until, window: secs(1) }, ..spec.clone() };
    let s = series(&spec, 0);
    assert_eq!(s.completed(), s.arrivals);
    (s.latency.min().expect("requests"), s.latency.max().expect("requests"))
}

/// `n0` is a quarter of the Pods; what crosses its link is delayed there and back.
#[test]
fn a_worse_link_delays_what_crosses_it_while_it_lasts() {
    let spec = with_links(LinkTarget { added_delay: Some(constant(ms(5))), ..degraded("n0") });
    let windows = [(secs(1), secs(19)), (secs(20), secs(29)), (secs(31), secs(60))];
    assert_eq!(windows.map(|(from, until)| extremes(&spec, from, until)), [(ms(1), ms(1)), (ms(1), ms(11)), (ms(1), ms(1))]);
    // Callers are in zone c: 10 us, 1 ms between the zones, 10 us, and back.
    let mut spec = with_links(LinkTarget { delay_factor: Some(3.0), ..degraded("a/c") });
    zoned(&mut spec);
    let base = ms(1) + ms(2) + us(40);
    assert_eq!(windows.map(|(from, until)| extremes(&spec, from, until)), [(base, base), (base, base + ms(4)), (base, base)]);
}

/// Half of the messages in each direction: a quarter of the exchanges with `n0` get through.
#[test]
fn a_lossy_link_loses_messages_and_tcp_sends_them_again() {
    let mut spec = with_links(LinkTarget { loss: Some(0.5), ..degraded("n0") });
    source(&mut spec).tcp.retransmit = false;
    assert_near("lost", (0..20).map(|r| lost(&series(&spec, r))), RATE / 4.0 * 10.0 * 0.75, 0.02);
    source(&mut spec).tcp.retransmit = true;
    source(&mut spec).timeout = None;
    let s = series(&spec, 0);
    assert_eq!(lost(&s), 0.0, "TCP gets everything through in the end");
    assert!(s.latency.max().is_some_and(|max| max > secs(3)), "two lost SYNs are 3 s");
}

/// 1 kB and 10 kB at 8 Mbit/s take 1 ms and 10 ms.
#[test]
fn a_link_that_is_left_with_little_bandwidth_queues() {
    let mut spec = with_links(LinkTarget { bandwidth: Some(svcsim_models::units::Bandwidth(8_000_000)), ..degraded("n0") });
    source(&mut spec).timeout = None;
    source(&mut spec).arrivals = poisson(4.0);
    spec.workloads[0].replicas = 1;
    let least = |from, until| extremes(&spec, from, until).0;
    assert_eq!([least(secs(1), secs(19)), least(secs(20), secs(29)), least(secs(31), secs(60))], [ms(1), ms(12), ms(1)]);
    source(&mut spec).arrivals = poisson(300.0);
    let longest = extremes(&spec, secs(20), secs(29)).1;
    assert!(longest > secs(10), "three times what the link carries for ten seconds: {longest}");
}

/// A query without an answer is sent again after 5 s, once: whoever asked in the first half of the outage has no address, who
/// asked in the second waits 5 s.
#[test]
fn while_dns_fails_queries_are_sent_again_until_the_resolver_gives_up() {
    let mut spec = with(EventSpec::at(secs(20), Action::DnsFailure(Everything {})).lasting(constant(secs(10))));
    let lookup = constant(SimDuration::ZERO);
    source(&mut spec).timeout = None;
    source(&mut spec).dns = Some(svcsim_models::dns::DnsSpec { lookup, ttl: SimDuration::ZERO, ..Default::default() });
    let all_lost = ClusterSpec { run: RunSpec { warm_up: secs(20), duration: secs(25), window: secs(1) }, ..spec.clone() };
    let s = series(&all_lost, 0);
    assert_eq!((count(&s, Outcome::DnsFailure), s.completed()), (s.arrivals, 0));
    assert_eq!(extremes(&spec, ms(25_001), secs(30)), (secs(5) + ms(1), secs(5) + ms(1)));
    assert_eq!((lost_between(&spec, ms(1), ms(19_990)), lost_between(&spec, ms(30_001), secs(60))), (0.0, 0.0));
    // A client that waits for less has lost its request to DNS all the same.
    source(&mut spec).timeout = Some(ms(500));
    let s = series(&spec, 0);
    assert_eq!((lost(&s), others(&s, &[Outcome::Completed, Outcome::DnsFailure])), (count(&s, Outcome::DnsFailure) as f64, 0));
    assert_near("lost", (0..20).map(|r| lost(&series(&spec, r))), RATE * 10.0, 0.02);
    // Who has an answer does not ask.
    source(&mut spec).dns =
        Some(svcsim_models::dns::DnsSpec { lookup: constant(SimDuration::ZERO), ttl: secs(1_000), ..Default::default() });
    assert_eq!(lost_between(&spec, ms(1), secs(60)), 0.0);
}

#[test]
fn faults_that_could_do_nothing_are_errors() {
    for (target, field) in [
        (degraded("n0"), "events.fault.do.linkDegrade"),
        (LinkTarget { loss: Some(0.1), ..degraded("n9") }, "events.fault.do.linkDegrade.link"),
        (LinkTarget { loss: Some(0.1), ..degraded("n0/n1") }, "events.fault.do.linkDegrade.link"),
        (LinkTarget { loss: Some(1.5), ..degraded("n0") }, "events.fault.do.linkDegrade.loss"),
        (LinkTarget { delay_factor: Some(f64::NAN), ..degraded("n0") }, "events.fault.do.linkDegrade.delayFactor"),
    ] {
        let error = check(&with_links(target)).expect_err(field);
        assert_eq!(error.field, field, "{error}");
    }
    let error = check(&with(EventSpec::at(secs(20), Action::DnsFailure(Everything {})))).expect_err("nobody asks");
    assert_eq!(error.field, "events.fault.do.dnsFailure", "{error}");
}

/// Up for ten minutes and down for one on average: ten elevenths of the time.
#[test]
fn what_is_counted_from_repairs_is_up_and_down_in_turn() {
    let mut spec = world();
    source(&mut spec).arrivals = poisson(0.01);
    spec.run = RunSpec { warm_up: SimDuration::ZERO, duration: secs(300_000), window: secs(300_000) };
    let exponential = |mean| DistSpec::Exponential { mean: secs(mean) };
    for name in ["n0", "n1", "n2"] {
        let once = EventSpec::at(secs(0), Action::NodeCut(node(name))).lasting(exponential(60));
        spec.events.insert(name.to_owned(), EventSpec { at: None, uptime: Some(exponential(600)), ..once });
    }
    let available = |name: &str, run: &RunResult| {
        let (mut up, mut since, mut is_up) = (0.0, 0.0, true);
        for mark in run.marks.iter().filter(|m| m.name == name) {
            let now = mark.time.as_secs_f64();
            assert_eq!(mark.began, is_up, "{name} at {now}");
            up += if is_up { now - since } else { 0.0 };
            (since, is_up) = (now, !is_up);
        }
        up / since
    };
    let runs = replicate(&spec, 20);
    for name in ["n0", "n1", "n2"] {
        assert_near(name, runs.iter().map(|run| available(name, run)), 10.0 / 11.0, 0.005);
    }
}

/// One Pod that hangs from 5 s to 35 s, and connects that are given up after 5 s.
fn hanging(pod: PodBehaviour) -> ClusterSpec {
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, 10.0));
    spec.workloads[0].probes = Probes::default();
    source(&mut spec).tcp.connect_timeout = Some(secs(5));
    let pause = EventSpec::at(secs(5), Action::PodPause(any_pod_of("web"))).lasting(constant(secs(30)));
    spec.events.insert("hang".to_owned(), pause);
    spec.run.duration = secs(60);
    spec
}

/// A backlog of 9 holds ten connections. The SYNs of all others are dropped, and sent again each second up to the fourth: those that came until
/// four seconds before the end are lost, the rest get through.
#[test]
fn the_accept_queue_of_a_pod_that_hangs_holds_its_backlog_and_one_more() {
    let s = series(&hanging(PodBehaviour { backlog: 9, ..quick() }), 0);
    let came = |from: u64, to: u64| -> u64 { s.timeline[from as usize..to as usize].iter().map(|w| w.arrivals).sum() };
    assert_eq!(count(&s, Outcome::BacklogFull), came(5, 31) - 10);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::BacklogFull]), 0);
    assert!(s.lost.keys().all(|(_, place)| matches!(place, Place::Replica(_))));
    let completed = |from: u64, to: u64| -> u64 { s.timeline[from as usize..to as usize].iter().map(|w| w.completed).sum() };
    assert_eq!(completed(6, 35), 0, "nobody is served meanwhile");
    assert!(s.latency.max() > Some(secs(28)), "the first have waited for the whole pause");
    let enough = series(&hanging(quick()), 0);
    assert_eq!(enough.completed(), enough.arrivals, "4096 are more than come");
}

/// A process that hangs cannot say 503; when it goes on it accepts all at once, and says it to who finds its line full then.
#[test]
fn a_full_line_is_told_of_by_a_process_that_runs() {
    let spec = hanging(PodBehaviour { queue_limit: Some(3), ..behaviour(constant(ms(1)), 1) });
    let s = series(&spec, 0);
    let full =
        |from: usize, to: usize| -> u64 { s.timeline[from..to].iter().map(|w| u64::from(w.outcomes[Outcome::QueueFull as usize])).sum() };
    let came: u64 = s.timeline[5..35].iter().map(|w| w.arrivals).sum();
    assert_eq!((full(0, 35), full(35, 36)), (0, came - 4));
}

/// Its liveness probe fails and it is killed while it hangs: what its kernel has accepted is reset, established or not.
#[test]
fn what_waits_in_the_accept_queue_dies_with_the_process() {
    let mut spec = hanging(quick());
    spec.workloads[0].probes.liveness = Some(ProbeSpec { period: secs(2), failure_threshold: 2, ..ProbeSpec::default() });
    spec.workloads[0].termination_grace = secs(10);
    let run = run_one(&spec, 0);
    let killed = run.incidents.iter().find(|i| i.event == "killed").expect("its liveness probe fails").time;
    assert!(killed > SimTime::ZERO + secs(15) && killed < SimTime::ZERO + secs(25), "{killed:?}");
    let s = &run.series[0];
    let came: u64 =
        s.timeline.iter().filter(|w| w.start >= SimTime::ZERO + secs(5) && w.start + secs(1) <= killed).map(|w| w.arrivals).sum();
    let reset = count(s, Outcome::Reset);
    assert!((came..=came + 25).contains(&reset), "{reset} reset, {came} came before the second in which it was killed");
}

/// A liveness probe fails, the container is told to stop while it hangs; it hangs for less than its grace period, exits when it goes on,
/// and is started again.
#[test]
fn a_container_that_goes_on_after_its_sigterm_exits_and_starts_again() {
    let mut spec = hanging(quick());
    spec.workloads[0].probes.liveness = Some(ProbeSpec::default());
    spec.workloads[0].termination_grace = secs(60);
    let run = run_one(&spec, 0);
    let served = run.series[0].timeline[40..].iter().map(|w| w.completed).sum::<u64>();
    assert!(served > 150, "{served} served after it: {:?}", run.incidents);
}

/// A SYN is lost at once, and sent again in the very instant in which its client gives up.
#[test]
fn a_request_that_vanished_is_told_so_however_its_client_times_its_patience() {
    for timeout in [secs(1), ms(1_001), secs(3), ms(3_001)] {
        let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0"], quick())], traffic(Origin::Cluster, Via::ClusterIP, 20.0));
        spec.network.shape = svcsim_models::network::ShapeSpec::OneSwitch(svcsim_models::network::OneSwitchSpec { node: delay(ms(2)) });
        spec.propagation.to_node = constant(secs(1_000));
        spec.events.insert("cut".to_owned(), EventSpec::at(secs(10), Action::PodDelete(any_pod_of("web"))));
        spec.workloads[0].termination_grace = secs(1);
        source(&mut spec).timeout = Some(timeout);
        spec.run = RunSpec { duration: secs(30), warm_up: secs(15), window: secs(1) };
        let s = series(&spec, 0);
        assert_eq!((count(&s, Outcome::Blackhole), others(&s, &[Outcome::Blackhole])), (s.ended(), 0), "{timeout}: {:?}", s.outcomes);
    }
}

/// Nobody is there, and each of two clients calls fifty times a second: its Node says so six times at once and then once a second. A SYN
/// that hears nothing is sent again after 1 s, and is told then, or not.
#[test]
fn a_node_says_that_it_rejects_only_so_often() {
    let world = |icmp_ratelimit, retransmit, timeout| {
        let tcp = TcpSpec { retransmit, ..TcpSpec::default() };
        let traffic = TrafficSpec { clients: 2, timeout: Some(timeout), tcp, ..traffic(Origin::Cluster, Via::ClusterIP, 100.0) };
        let mut spec = spec(nodes_in(&["", ""]), vec![web(&[], quick())], traffic);
        spec.proxy.icmp_ratelimit = icmp_ratelimit;
        series(&spec, 0)
    };
    // Who is not told is there for longer than the timeline lasts.
    let told = |s: &SeriesResult| s.timeline.iter().map(|w| w.errors).sum::<u64>();
    let limited = told(&world(secs(1), false, secs(30)));
    assert!((2 * (6 + 8)..=2 * (6 + 10)).contains(&limited), "{limited} are told");
    let free = world(SimDuration::ZERO, false, secs(30));
    assert_eq!((count(&free, Outcome::Rejected), told(&free)), (free.arrivals, free.arrivals));
    // Told or not, it was rejected, and at the Node.
    for timeout in [ms(500), secs(1), secs(2)] {
        let all = world(secs(1), true, timeout);
        assert_eq!((count(&all, Outcome::Rejected), others(&all, &[Outcome::Rejected])), (all.ended(), 0), "{:?}", all.outcomes);
        assert!(all.ended() > 700 && all.lost.keys().all(|(_, place)| matches!(place, Place::Node(_))), "{:?}", all.lost);
    }
}
