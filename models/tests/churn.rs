//! Pods die and are replaced, and Nodes learn of it late: what is lost in between, and by what cause.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::load_balancer::HealthCheck;
use svcsim_models::network::{OneSwitchSpec, ShapeSpec};
use svcsim_models::record::RunResult;

const REPLICATIONS: u64 = 40;
/// Pods of the Service, each on a Node of its own.
const PODS: usize = 5;
/// Requests a second, from Pods on three other Nodes.
const RATE: f64 = 500.0;
/// What one Pod gets of these.
const RATE_OF_ONE: f64 = RATE / PODS as f64;
const SITES: [&str; PODS] = ["n0", "n1", "n2", "n3", "n4"];

/// A Pod is deleted every 4.01 s, so never where windows of the timeline meet, ten times in all; its replacement is Ready a second later. The last incident is over
/// before the run is. EndpointSlices are written after 100 ms and reach each Node after 0 to 1 s.
fn terminations(pod: PodBehaviour) -> ClusterSpec {
    let pod = PodBehaviour { startup: constant(secs(1)), ..pod };
    let traffic = TrafficSpec { clients: 30, ..traffic(workload_origin("caller"), Via::ClusterIP, RATE) };
    let mut spec = spec(nodes_in(&[""; 8]), vec![web(&SITES, pod), callers(&["n5", "n6", "n7"])], traffic);
    spec.propagation = PropagationSpec {
        publish: constant(ms(100)),
        to_node: DistSpec::Uniform { min: SimDuration::ZERO, max: secs(1) },
        to_dns: constant(SimDuration::ZERO),
    };
    deletions(&mut spec, "web", constant(ms(4_010)));
    spec.run.duration = secs(44);
    spec
}

/// Mean time from a change until a Node knows, s.
const LATE: f64 = 0.1 + 0.5;

fn incidents(run: &RunResult, event: &str) -> u64 {
    run.incidents.iter().filter(|i| i.event == event).count() as u64
}

/// Requests per incident that ended so.
fn per(run: &RunResult, event: &str, outcomes: &[Outcome]) -> f64 {
    let lost: u64 = outcomes.iter().map(|o| count(&run.series[0], *o)).sum();
    share(lost, incidents(run, event))
}

fn assert_ten_terminations(runs: &[RunResult]) {
    for run in runs {
        let found = ["terminate", "gone", "ready", "crash"].map(|event| incidents(run, event));
        assert_eq!(found, [10, 10, 10, 0], "terminations, removals, replacements, crashes");
    }
}

/// An idle Pod that is stopped at once is gone at once: whoever is still sent to it meets nobody. That is each Node's
/// share of the traffic for one Pod until that Node knows.
#[test]
fn without_pre_stop_what_is_sent_by_stale_nodes_is_lost() {
    let runs = replicate(&terminations(quick()), REPLICATIONS);
    assert_ten_terminations(&runs);
    let lost = [Outcome::Refused, Outcome::Blackhole];
    assert_near("lost per termination", runs.iter().map(|r| per(r, "terminate", &lost)), RATE_OF_ONE * LATE, 0.03);
    for run in &runs {
        let s = &run.series[0];
        assert_eq!(others(s, &[Outcome::Completed, Outcome::Refused, Outcome::Blackhole]), 0, "accepted requests are finished");
        // Refused are only those that come while the last requests, of 1 ms, are finished.
        assert!(count(s, Outcome::Refused) < count(s, Outcome::Blackhole) / 20, "{:?}", s.outcomes);
    }
}

/// Each Node learns in its own time: what is lost from one says nothing of what is lost from another.
#[test]
fn nodes_learn_independently() {
    let mut spec = terminations(quick());
    spec.run.duration = ms(6_000);
    let callers_on = |node: &str| WorkloadSpec { name: node.to_owned(), ..callers(&[node]) };
    spec.workloads.extend([callers_on("n5"), callers_on("n6")]);
    spec.traffic.clear();
    for node in ["n5", "n6"] {
        spec.traffic.insert(node.to_owned(), traffic(workload_origin(node), Via::ClusterIP, 5.0 * RATE));
    }
    let runs = replicate(&spec, 40);
    let lost = |r: &RunResult, source: usize| (r.series[source].arrivals - r.series[source].completed()) as f64;
    let mean = |of: &dyn Fn(&RunResult) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let means = [0, 1].map(|source| mean(&|r| lost(r, source)));
    let covariance = |a: usize, b: usize| mean(&|r| (lost(r, a) - means[a]) * (lost(r, b) - means[b]));
    let correlation = covariance(0, 1) / (covariance(0, 0) * covariance(1, 1)).sqrt();
    // Four standard errors of no correlation at all; were the delay the same, it would be nearly 1.
    let bound = 4.0 / (runs.len() as f64).sqrt();
    assert!(correlation.abs() < bound, "expected 0, found {correlation}, bound {bound}, seed {SEED}");
}

/// With a constant delay all Nodes learn at once, and every one counts the same.
#[test]
fn the_loss_grows_with_the_delay_of_the_news() {
    for delay_ms in [50, 400] {
        let mut spec = terminations(quick());
        spec.propagation =
            PropagationSpec { publish: constant(SimDuration::ZERO), to_node: constant(ms(delay_ms)), to_dns: constant(SimDuration::ZERO) };
        let runs = replicate(&spec, REPLICATIONS);
        let lost = runs.iter().map(|r| per(r, "terminate", &[Outcome::Refused, Outcome::Blackhole]));
        assert_near(format!("lost per termination, {delay_ms} ms late"), lost, RATE_OF_ONE * delay_ms as f64 / 1e3, 0.05);
    }
}

/// A stopped Pod that still has requests is there, but its listener is closed.
#[test]
fn a_busy_pod_refuses_while_it_finishes() {
    let runs = replicate(&terminations(behaviour(constant(secs(2)), 10_000)), REPLICATIONS);
    assert_ten_terminations(&runs);
    for run in &runs {
        assert_eq!(others(&run.series[0], &[Outcome::Completed, Outcome::Refused]), 0, "{:?}", run.series[0].outcomes);
    }
    assert_near("refused per termination", runs.iter().map(|r| per(r, "terminate", &[Outcome::Refused])), RATE_OF_ONE * LATE, 0.03);
}

/// Who needs longer than the grace period lasts is killed with the Pod: those sent in the last second before it, of a
/// demand of 3 s and a grace of 2 s.
#[test]
fn the_grace_period_ends_in_resets() {
    let mut spec = terminations(behaviour(constant(secs(3)), 10_000));
    spec.workloads[0].termination_grace = secs(2);
    let runs = replicate(&spec, REPLICATIONS);
    assert_ten_terminations(&runs);
    assert_near("reset per termination", runs.iter().map(|r| per(r, "terminate", &[Outcome::Reset])), RATE_OF_ONE, 0.02);
    assert_near("refused per termination", runs.iter().map(|r| per(r, "terminate", &[Outcome::Refused])), RATE_OF_ONE * LATE, 0.03);
}

/// preStop keeps the Pod serving until the last Node knows: nothing at all is lost. A little shorter, and something is.
#[test]
fn a_pre_stop_longer_than_the_news_takes_loses_nothing() {
    for (pre_stop, lossless) in [(ms(1_101), true), (ms(500), false)] {
        let mut spec = terminations(quick());
        spec.workloads[0].pre_stop = pre_stop;
        for replication in 0..8 {
            let run = run_one(&spec, replication);
            assert_ten_terminations(std::slice::from_ref(&run));
            let lost = run.series[0].arrivals - run.series[0].completed();
            assert_eq!(lost == 0, lossless, "preStop {pre_stop}: {lost} lost (seed {SEED}, replication {replication})");
        }
    }
}

/// News that is overtaken by newer news is old when it comes, and changes nothing: not even then is anything lost.
#[test]
fn overtaken_news_changes_nothing() {
    let mut spec = terminations(quick());
    // So many Pods that a burst never takes all: a draining one would then be right to use.
    spec.workloads[0] = WorkloadSpec { pre_stop: ms(1_101), ..web(&SITES.repeat(5), spec.workloads[0].pod.clone()) };
    source(&mut spec).arrivals = poisson(5.0 * RATE);
    spec.run.duration = secs(20);
    let bursts = DistSpec::Bimodal { low: ms(150), high: secs(4), high_probability: 0.4 };
    deletions(&mut spec, "web", bursts);
    for replication in 0..12 {
        let run = run_one(&spec, replication);
        assert!(incidents(&run, "terminate") > 3, "replication {replication} has no bursts");
        let s = &run.series[0];
        assert_eq!(s.completed(), s.arrivals, "{:?} (seed {SEED}, replication {replication})", s.outcomes);
    }
}

/// preStop runs inside the grace period, which ends it: SIGTERM comes then.
#[test]
fn a_pre_stop_longer_than_the_grace_period_is_cut_short() {
    let mut spec = terminations(quick());
    (spec.workloads[0].pre_stop, spec.workloads[0].termination_grace) = (secs(30), ms(600));
    let run = run_one(&spec, 0);
    assert_ten_terminations(std::slice::from_ref(&run));
    let told = run.incidents.iter().filter(|i| i.event == "sigterm").map(|i| i.time);
    let deleted = run.incidents.iter().filter(|i| i.event == "terminate").map(|i| i.time);
    assert!(told.zip(deleted).all(|(told, deleted)| told - deleted == ms(600)), "{:?}", run.incidents);
    assert!(run.series[0].completed() < run.series[0].arrivals, "nodes that learn after 600 ms still send there");
}

/// The last Pod of a Service that drains still serves, because a draining endpoint is better than none (KEP-1669).
#[test]
fn draining_pods_serve_where_no_other_is_left() {
    let mut spec = terminations(quick());
    spec.workloads[0].replicas = 1;
    spec.workloads[0].placed_on.truncate(1);
    // The replacement is known 2.1 s after the deletion at the latest.
    spec.workloads[0].pre_stop = ms(2_200);
    let run = run_one(&spec, 0);
    assert_eq!((incidents(&run, "terminate"), run.series[0].completed()), (10, run.series[0].arrivals), "{:?}", run.series[0].outcomes);
    // Ready is none of them meanwhile.
    assert!(run.series[0].timeline.iter().any(|w| w.ready_endpoints == 0));
}

/// A crashed Pod is noticed 0.5 s later on average. Until then, and until Nodes know, it keeps its share of new connections.
/// Its container is started again at once, in the same Pod.
fn crashing(pod: PodBehaviour) -> ClusterSpec {
    let mut spec = terminations(pod);
    spec.events.clear();
    for place in 0..PODS as u32 {
        // Each crashes once: a second time it would have to wait.
        let crash = Action::PodCrash(PodTarget { place: Some(place), ..any_pod_of("web") });
        spec.events.insert(format!("crash-{place}"), EventSpec::at(ms(4_010) * u64::from(place + 1), crash));
    }
    spec.run.duration = secs(24);
    spec
}

#[test]
fn a_crash_resets_what_is_in_the_pod_and_refuses_until_it_is_noticed() {
    let runs = replicate(&crashing(behaviour(constant(ms(200)), 10_000)), REPLICATIONS);
    for run in &runs {
        let found = ["crash", "restart", "unready", "ready", "gone"].map(|event| incidents(run, event));
        assert_eq!(found, [5, 5, 5, 5, 0]);
        let expected = [Outcome::Completed, Outcome::Reset, Outcome::Refused];
        assert_eq!(others(&run.series[0], &expected), 0, "{:?}", run.series[0].outcomes);
    }
    let lost = |outcome| runs.iter().map(move |r| per(r, "crash", &[outcome]));
    // Little's law: what is in a Pod is its rate times 200 ms.
    assert_near("reset per crash", lost(Outcome::Reset), RATE_OF_ONE * 0.2, 0.05);
    // Each Node sends its share until it knows; the Pod is back a second after the crash was noticed.
    assert_near("refused per crash", lost(Outcome::Refused), RATE_OF_ONE * (0.5 + LATE), 0.03);
}

/// A container that dies again and again is started later and later.
#[test]
fn a_container_that_dies_again_and_again_waits_before_it_is_started() {
    let mut spec = terminations(PodBehaviour { startup: constant(ms(1)), ..quick() });
    spec.workloads[0].replicas = 1;
    spec.workloads[0].placed_on.truncate(1);
    spec.events.clear();
    crashes(&mut spec, "web", constant(ms(2_500)));
    spec.run.duration = secs(80);
    let run = run_one(&spec, 0);
    let times = |event: &str| run.incidents.iter().filter(|i| i.event == event).map(|i| i.time.as_nanos() as f64 / 1e9).collect::<Vec<_>>();
    let waits: Vec<u64> = times("crash").iter().zip(times("restart")).map(|(crash, restart)| (restart - crash) as u64).collect();
    assert_eq!(waits[..3], [0, 10, 20], "{waits:?}: noticed within a second");
}

/// The number of ready endpoints falls by one and returns; Nodes are stale and learn.
#[test]
fn endpoints_and_nodes_recover() {
    for spec in [terminations(quick()), crashing(quick())] {
        let run = run_one(&spec, 0);
        let s = &run.series[0];
        let windows = |keep: fn(u64) -> bool| s.timeline.iter().filter(move |w| keep(w.start.as_nanos() / 1_000_000_000));
        // An incident at every fourth second; one second before the next nothing is wrong any more.
        assert!(windows(|t| t % 4 == 0 && t > 0).all(|w| w.ready_endpoints == 4 && w.stale_nodes == 8), "{:?}", s.timeline);
        assert!(windows(|t| t % 4 == 3).all(|w| w.ready_endpoints == 5 && w.stale_nodes == 0 && w.errors == 0), "{:?}", s.timeline);
        let deleted = incidents(&run, "terminate") as u32;
        assert_eq!(run.pods.iter().map(|p| p.pods - 1).sum::<u32>(), deleted, "every deletion brought one more Pod: {:?}", run.pods);
    }
}

/// Kept connections to a Pod that drains are used on; when it stops they are closed, and a request on its way is reset.
#[test]
fn a_closing_connection_resets_what_is_on_its_way() {
    let mut spec = terminations(quick());
    let keep_alive = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(100));
    source(&mut spec).connections = keep_alive;
    spec.network.shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(ms(10)) });
    // Old connections need no news: they meet a closed one only in the 20 ms that a request takes to the Pod.
    spec.workloads[0].pre_stop = ms(1_200);
    let runs = replicate(&spec, REPLICATIONS);
    for run in &runs {
        let (s, closed) = (&run.series[0], [Outcome::Completed, Outcome::Reset, Outcome::Blackhole]);
        assert_eq!(others(s, &closed), 0, "{:?}", s.outcomes);
        // 20 of them, were all Pods called alike; connections that outlive others make it more or less.
        let lost = s.arrivals - s.completed();
        assert!((5..60).contains(&lost), "{lost} lost, expected about {}", 10.0 * RATE_OF_ONE * 0.02);
    }
}

/// A node that loses its only Pod is sent traffic until it failed `threshold` checks: half an interval on average to the
/// first, whole ones to the others. Then none at all, though the Pod is never replaced.
#[test]
fn a_load_balancer_leaves_a_node_without_pods_after_its_checks() {
    let threshold = 3;
    let mut spec = losing_one_of_two(secs(5), threshold);
    // What becomes of first packets: sent again, they would get through later.
    source(&mut spec).tcp.retransmit = false;
    spec.workloads[0].pod.startup = constant(secs(1_000));
    let runs = replicate(&spec, 40);
    // Deleted at 5 s, known on all Nodes at 5.15 s, whenever the checks are.
    let dropped = |r: &RunResult| count(&r.series[0], Outcome::PolicyDrop) as f64;
    assert_near("dropped by the Node", runs.iter().map(dropped), RATE / 2.0 * (f64::from(threshold) - 0.5), 0.05);
    let to_nobody = |r: &RunResult| count(&r.series[0], Outcome::Blackhole) as f64 + count(&r.series[0], Outcome::Refused) as f64;
    assert_near("sent to nobody", runs.iter().map(to_nobody), RATE / 2.0 * 0.15, 0.05);
    for run in &runs {
        let s = &run.series[0];
        let all = [Outcome::Completed, Outcome::PolicyDrop, Outcome::Blackhole, Outcome::Refused];
        assert_eq!((incidents(run, "terminate"), others(s, &all)), (1, 0));
        let most = RATE / 2.0 * f64::from(threshold);
        assert!(dropped(run) < most + 4.0 * most.sqrt(), "threshold times interval, no more: {}", dropped(run));
        for (second, w) in s.timeline.iter().enumerate() {
            let wrong = (5..=8).contains(&second);
            assert!(wrong || w.errors == 0, "second {second}: {w:?}");
            assert!(!(5..=7).contains(&second) || w.errors > 0, "second {second}: {w:?}");
        }
    }
}

/// When the Pod is back the node is used again, after as many good checks.
#[test]
fn a_load_balancer_returns_to_a_node_with_pods_after_its_checks() {
    let mut spec = losing_one_of_two(secs(7), 2);
    spec.workloads[0].pod.startup = constant(secs(3));
    let shares = |from, until| {
        let spec = ClusterSpec { run: RunSpec { warm_up: from, duration: until, window: secs(1) }, ..spec.clone() };
        let got = series(&spec, 0).requests_by_replica;
        (got[0].min(got[1]), got[0] + got[1])
    };
    let (least, all) = shares(ms(1), secs(7));
    assert_chance("both Nodes before", least, all, 0.5);
    // Known to be deleted at 7.15 s, so unhealthy from 9.15 s at the latest; Ready at 10 s, known at 10.15 s, so not healthy
    // before 11.15 s.
    let (least, all) = shares(ms(9_150), ms(11_150));
    assert!(least == 0 && all > 900, "one Node while the other has no Pod: {least} of {all}");
    let (least, all) = shares(ms(12_500), secs(14));
    assert_chance("both Nodes after", least, all, 0.5);
}

/// Pods on two of three Nodes behind a load balancer with policy Local that checks every second; one is deleted, `every` so often.
fn losing_one_of_two(every: SimDuration, threshold: u32) -> ClusterSpec {
    let traffic = traffic(internet(), Via::LoadBalancer, RATE);
    let mut spec = spec(nodes_in(&[""; 3]), vec![web(&["n0", "n1"], quick())], traffic);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    let every_second =
        HealthCheck { interval: secs(1), from_end: false, timeout: secs(1), healthy_threshold: threshold, unhealthy_threshold: threshold };
    *health_check(&mut spec) = every_second;
    spec.propagation = PropagationSpec { publish: constant(ms(100)), to_node: constant(ms(50)), to_dns: constant(SimDuration::ZERO) };
    deletions(&mut spec, "web", constant(every));
    spec.run.duration = secs(10);
    spec
}
