//! Balancing policies in whole runs: known answers of queueing theory, what instances know, and what they learn late.

use crate::world::*;
use std::num::NonZeroU32;
use svcsim_models::balance::{BalancingSpec, PolicySpec, SignalSpec, least_request};
use svcsim_models::cluster::{Outcome, check};

/// `pods` Pods of one server each on one Node, exponential demands of 10 ms, called by `instances` that share nothing.
fn queues(pods: usize, instances: u32, rate: f64, policy: PolicySpec) -> ClusterSpec {
    let service = behaviour(DistSpec::Exponential { mean: ms(10) }, 1);
    let mut spec = spec(nodes_in(&[""]), vec![web(&vec!["n0"; pods], service)], traffic(Origin::Cluster, Via::Endpoints, rate));
    source(&mut spec).clients = instances;
    source(&mut spec).balancing = Some(BalancingSpec { policy, ..BalancingSpec::default() });
    spec.run = RunSpec { duration: secs(120), warm_up: secs(20), window: secs(10) };
    spec
}

fn balancing(spec: &mut ClusterSpec) -> &mut BalancingSpec {
    source(spec).balancing.as_mut().expect("it balances")
}

fn named(word: &str) -> PolicySpec {
    word.parse().expect("a policy")
}

fn choices(choices: u32, replacement: bool) -> PolicySpec {
    PolicySpec::LeastRequest(least_request::Spec { choices: NonZeroU32::new(choices), replacement, ..least_request::Spec::default() })
}

fn means(spec: &ClusterSpec, replications: u64) -> Vec<f64> {
    replicate(spec, replications).iter().map(|r| r.series[0].latency.mean_ns().expect("some completed") / 1e6).collect()
}

/// One instance knows all there is by counting its own. Random: M/M/1. Round robin over ten: E10/M/1. The others: stationary laws of
/// their Markov chains, computed numerically.
#[test]
fn one_instance_is_as_fast_as_theory_has_it() {
    let cases = [
        ("random", 10, named("random"), 800.0, 50.0),
        ("round robin", 10, named("roundRobin"), 800.0, 29.222_691_8),
        ("join the shortest queue", 2, named("leastRequest"), 160.0, 29.557_366_17),
        ("two choices of three", 3, choices(2, false), 240.0, 25.099_997_89),
        ("two choices of three, perhaps the same", 3, choices(2, true), 240.0, 27.656_979_23),
    ];
    for (name, pods, policy, rate, expected) in cases {
        assert_near(name, means(&queues(pods, 1, rate, policy), 20), expected, 0.02);
    }
}

/// Instances that do not see each other's requests: two with least request over two Pods that share their processors (a Markov
/// chain in four dimensions), five with round robin of their own over ten Pods (another simulation).
#[test]
fn instances_know_only_their_own_requests() {
    let mut two = queues(2, 2, 140.0, named("leastRequest"));
    two.workloads[0].pod.discipline = Discipline::ProcessorSharing;
    assert_near("two that count their own", means(&two, 20), 22.217_953_3, 0.02);
    balancing(&mut two).signal = SignalSpec::Live;
    // Join the shortest queue: with exponential demands sharing is as fast as FIFO in the mean.
    let all_knowing = means(&two, 20).iter().sum::<f64>() / 20.0;
    assert!(all_knowing < 21.6, "both know everything: {all_knowing}");
    assert_near("five round robins", means(&queues(10, 5, 800.0, named("roundRobin")), 20), 32.179_121_06, 0.02);
}

/// With loads that are a second old everybody runs to whoever was idle then: worse than not looking at all (Mitzenmacher 2000).
#[test]
fn old_reports_are_worse_than_none() {
    let with = |signal| {
        let mut spec = queues(10, 4, 700.0, named("leastRequest"));
        balancing(&mut spec).signal = signal;
        means(&spec, 3).iter().sum::<f64>() / 3.0
    };
    let reported = |every| with(SignalSpec::Reported { every });
    let (live, fresh, old) = (with(SignalSpec::Live), reported(ms(1)), reported(secs(1)));
    let random = means(&queues(10, 4, 700.0, named("random")), 3).iter().sum::<f64>() / 3.0;
    assert!(live < fresh && fresh < random && random < old, "live {live}, 1 ms old {fresh}, random {random}, 1 s old {old}");
    assert!(old > 2.0 * random, "a herd: {old} against {random}");
}

/// The oracle is best, the busiest worst, and chance in between.
#[test]
fn controls_bracket_the_rest() {
    let mean = |policy| means(&queues(5, 1, 350.0, named(policy)), 5).iter().sum::<f64>() / 5.0;
    let (oracle, least, random) = (mean("leastWork"), mean("leastRequest"), mean("random"));
    assert!(oracle < least && least < random, "{oracle} {least} {random}");
    let mut worst = queues(5, 1, 350.0, named("busiest"));
    worst.workloads[0].pod.queue_limit = Some(50);
    let s = series(&worst, 0);
    assert!(share(s.completed(), s.ended()) < 0.5, "one Pod gets all it has room for: {:?}", s.outcomes);
}

#[test]
fn weights_give_shares() {
    let mut spec = queues(3, 2, 300.0, PolicySpec::Random(svcsim_models::balance::random::Spec { weighted: true }));
    balancing(&mut spec).weights = vec![1, 0, 3];
    let s = series(&spec, 0);
    let all: u64 = s.requests_by_replica.iter().sum();
    assert_eq!(s.requests_by_replica[1], 0);
    assert_chance("a weight of 3 of 4", s.requests_by_replica[2], all, 0.75);
}

/// A Pod that is deleted leaves the hosts when EndpointSlices say so, and its replacement joins them; what was under way to the old
/// one is not counted for the new one.
#[test]
fn hosts_come_and_go() {
    for policy in PolicySpec::NAMES.iter().filter(|name| **name != "busiest") {
        let mut spec = queues(4, 3, 200.0, named(policy));
        deletions(&mut spec, "web", constant(secs(7)));
        spec.workloads[0].pre_stop = secs(2);
        let r = run_one(&spec, 0);
        let s = &r.series[0];
        assert_eq!(s.ended() + s.in_flight, s.arrivals, "{policy}");
        assert_eq!(others(s, &[Outcome::Completed]), 0, "{policy}: nothing is lost while preStop sleeps: {:?}", s.outcomes);
        assert!(r.pods.iter().all(|p| p.pods > 1), "{policy}: all were replaced");
    }
}

/// Over connections kept alive the policy still chooses for each request.
#[test]
fn connections_are_kept_by_host() {
    let mut spec = queues(4, 2, 200.0, named("roundRobin"));
    source(&mut spec).connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(100));
    let s = series(&spec, 0);
    let (requests, connections): (u64, u64) = (s.requests_by_replica.iter().sum(), s.connections_by_replica.iter().sum());
    assert!(connections * 50 < requests, "{connections} connections for {requests} requests");
    let most = s.requests_by_replica.iter().max().expect("four Pods");
    assert!(most * 4 < requests + 40, "in turn: {:?}", s.requests_by_replica);
}

/// A Pod that fails is left out by the policy while it is ejected.
#[test]
fn who_is_ejected_is_not_chosen() {
    let mut spec = queues(4, 1, 200.0, named("roundRobin"));
    source(&mut spec).outlier_detection = Some(svcsim_models::outlier_detection::OutlierDetectionSpec::default());
    spec.events.insert("freeze".to_owned(), EventSpec::at(secs(30), Action::PodCrash(any_pod_of("web"))));
    spec.workloads[0].pod.startup = constant(secs(20));
    spec.propagation.publish = constant(secs(60));
    let s = series(&spec, 0);
    assert_eq!(count(&s, Outcome::Refused), 5, "five in a row eject: {:?}", s.outcomes);
}

#[test]
fn what_makes_no_sense_is_told() {
    let problem = |change: &dyn Fn(&mut ClusterSpec)| {
        let mut spec = queues(2, 1, 100.0, named("random"));
        change(&mut spec);
        check(&spec).expect_err("it makes no sense").to_string()
    };
    let weights = problem(&|s| balancing(s).weights = vec![0, 0]);
    assert!(weights.starts_with("traffic.clients.balancing.weights: all weights are 0"), "{weights}");
    let via = problem(&|s| source(s).via = Via::ClusterIP);
    assert!(via.contains("does not choose the Pod"), "{via}");
    let period = problem(&|s| balancing(s).signal = SignalSpec::Reported { every: SimDuration::ZERO });
    assert!(period.starts_with("traffic.clients.balancing.signal.reported.every"), "{period}");
    let outside = problem(&|s| source(s).from = internet());
    assert!(outside.contains("outside the cluster"), "{outside}");
}
