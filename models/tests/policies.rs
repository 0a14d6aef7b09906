//! Balancing policies in whole runs: known answers of queueing theory, what instances know, and what they learn late.

use crate::world::*;
use std::num::NonZeroU32;
use svcsim_models::balance::{BalancingSpec, HashOn, LocalitySpec, PolicySpec, SignalSpec, SlowStartSpec, SubsetSpec, least_request};
use svcsim_models::cluster::{Outcome, check, lint};
use svcsim_models::workload::replay::{Numbers, Records};
use svcsim_models::workload::{ArrivalsSpec, replay};

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
    let mut spec = queues(3, 2, 300.0, PolicySpec::Random(svcsim_models::balance::random::Spec {}));
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

/// Three zones with two Pods each, and an instance on every Node.
fn three_zones() -> ClusterSpec {
    let nodes = ["n0", "n1", "n2"];
    let pods = ["n0", "n0", "n1", "n1", "n2", "n2"];
    let web = web(&pods, quick());
    let mut spec = spec(nodes_in(&["a", "b", "c"]), vec![web], traffic(Origin::Cluster, Via::Endpoints, 600.0));
    assert_eq!(nodes.len(), spec.nodes.len());
    source(&mut spec).clients = 6;
    source(&mut spec).balancing = Some(BalancingSpec { policy: named("roundRobin"), ..BalancingSpec::default() });
    spec
}

/// Requests stay in their zone where it is fair, and go elsewhere when its Pods are gone.
#[test]
fn requests_prefer_their_own_zone() {
    let crossed = |spec: &ClusterSpec| {
        let s = series(spec, 0);
        assert_eq!(others(&s, &[Outcome::Completed]), 0, "{:?}", s.outcomes);
        (s.cross_zone, s.completed())
    };
    let mut spec = three_zones();
    let (cross, all) = crossed(&spec);
    assert_chance("without preference", cross, all, 2.0 / 3.0);
    for locality in [LocalitySpec::ZoneAware, LocalitySpec::Failover] {
        balancing(&mut spec).locality = locality;
        assert_eq!(crossed(&spec).0, 0, "{locality:?}");
    }
    // Half of the instances are in a zone with a third of the Pods: a third of theirs leaves.
    balancing(&mut spec).locality = LocalitySpec::ZoneAware;
    spec.nodes.push(node("n3", "a"));
    source(&mut spec).clients = 8;
    let (cross, all) = crossed(&spec);
    assert_chance("what is too much", cross, all, 0.5 * (1.0 - (1.0 / 3.0) / 0.5));
    // The zone's Pods are deleted, and their replacements are long in coming.
    let mut spec = three_zones();
    balancing(&mut spec).locality = LocalitySpec::Failover;
    spec.workloads[0].pre_stop = secs(5);
    spec.workloads[0].pod.startup = constant(secs(60));
    let target = PodTarget { place: Some(0), ..any_pod_of("web") };
    spec.events.insert("gone".to_owned(), EventSpec::at(secs(5), Action::PodDelete(target)));
    let (cross, all) = crossed(&spec);
    assert!(
        cross * 12 < all && cross * 18 > all * 7 / 10,
        "one Pod of two: 1.4 x 1/2 stays, 3/10 of a third goes for half the time: {cross} of {all}"
    );
}

/// A subset's Pods are all that an instance ever uses; apertures together use all alike.
#[test]
fn subsets_keep_connections_few() {
    let used = |subset| {
        let mut spec = queues(12, 4, 400.0, named("roundRobin"));
        balancing(&mut spec).subset = subset;
        series(&spec, 0).requests_by_replica
    };
    let all: u64 = used(None).iter().sum();
    let aperture = used(Some(SubsetSpec::Aperture { size: 3 }));
    assert!(aperture.iter().all(|n| n.abs_diff(all / 12) * 10 < all / 12), "{aperture:?}");
    let random = used(Some(SubsetSpec::Random { size: 2 }));
    assert!(random.contains(&0) && random.iter().filter(|n| **n > 0).count() <= 8, "four times two Pods at most: {random:?}");
}

/// What a new Pod gets grows over the window.
#[test]
fn new_pods_start_slowly() {
    let share = |slow_start| {
        let mut spec = queues(2, 1, 200.0, named("edf"));
        balancing(&mut spec).slow_start = slow_start;
        spec.workloads[0].pod.concurrency = 100;
        spec.run = RunSpec { duration: secs(40), warm_up: SimDuration::ZERO, window: secs(40) };
        let target = PodTarget { place: Some(1), ..any_pod_of("web") };
        spec.events.insert("new".to_owned(), EventSpec::at(ms(1), Action::PodDelete(target)));
        let by_replica = series(&spec, 0).requests_by_replica;
        share(by_replica[1], by_replica.iter().sum())
    };
    let (at_once, slowly) = (share(None), share(Some(SlowStartSpec { window: secs(40), aggression: 1.0, min_weight_percent: 10.0 })));
    assert!((at_once - 0.5).abs() < 0.02, "{at_once}");
    // The mean of w/(1+w) for w from 0 to 1: 1 - ln 2.
    assert!((slowly - (1.0 - std::f64::consts::LN_2)).abs() < 0.02, "{slowly}");
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
    let subset = problem(&|s| balancing(s).subset = Some(SubsetSpec::Random { size: 3 }));
    assert!(subset.contains("a subset of 3 of 2 Pods"), "{subset}");
    let outside = problem(&|s| source(s).from = internet());
    assert!(outside.contains("outside the cluster"), "{outside}");
}

/// Two Pods of speed 1 and 1/2. By weight: each an M/M/1 queue. Shortest expected delay and weighted least connections: stationary laws
/// of their Markov chains, computed numerically.
#[test]
fn unequal_pods_are_as_fast_as_theory_has_it() {
    let unequal = |speeds: Vec<f64>, weights: Vec<u32>, rate, policy| {
        let mut spec = queues(speeds.len(), 1, rate, policy);
        spec.workloads[0].pod.speeds = speeds;
        balancing(&mut spec).weights = weights;
        spec
    };
    let by_weight = PolicySpec::Random(svcsim_models::balance::random::Spec {});
    let divided = |add| PolicySpec::LeastRequest(least_request::Spec { add, ..least_request::Spec::default() });
    let cases = [
        ("by weight", unequal(vec![1.0, 1.0, 2.0], vec![1, 1, 2], 320.0, by_weight), 37.5),
        ("shortest expected delay", unequal(vec![1.0, 0.5], vec![2, 1], 120.0, divided(1)), 39.56305134),
        ("weighted least connections", unequal(vec![1.0, 0.5], vec![2, 1], 120.0, divided(0)), 39.38749024),
    ];
    for (name, spec, expected) in cases {
        assert_near(name, means(&spec, 20), expected, 0.02);
    }
    let mut nonsense = queues(2, 1, 1.0, named("random"));
    nonsense.workloads[0].pod.speeds = vec![1.0, 0.0];
    let problem = check(&nonsense).expect_err("it would never answer").to_string();
    assert!(problem.starts_with("pods.web.speeds[1]: a speed of 0"), "{problem}");
}

/// Five balancers by K. Kingsbury (*Timelike*, test run of 17 February 2013, gist aphyr/4970726):
/// 10,000 requests a millisecond apart in the mean, from an empty start, to 250 Pods of one server with exponential demands of 200 ms.
/// Means and standard deviations of one run are from another simulation of the same; the published run lies among them.
#[test]
fn timelikes_balancers() {
    let first = || PolicySpec::LeastRequest(least_request::Spec { ties: least_request::Ties::First, ..least_request::Spec::default() });
    // Medians, 95th and 99th percentiles, ms, each with the standard deviation of one run.
    let cases = [
        ("random", named("random"), 1, [(509.494, 22.0), (2_113.61, 114.0), (3_162.06, 249.0)]),
        ("round robin", named("roundRobin"), 1, [(313.086, 13.4), (1_326.53, 70.8), (2_000.28, 150.0)]),
        ("least connections", first(), 1, [(138.54, 2.08), (598.607, 8.6), (918.906, 19.4)]),
        ("ten balancers that count their own", first(), 10, [(1_680.66, 21.7), (2_971.99, 46.0), (3_601.84, 85.3)]),
        ("ten balancers of 25 Pods each", first(), 10, [(153.374, 4.15), (655.375, 16.0), (1_001.83, 30.3)]),
    ];
    for (name, policy, instances, expected) in cases {
        let mut spec = queues(250, instances, 1.0, policy);
        if name.contains("25 Pods") {
            // A tenth of the Pods to each of ten instances: apertures that touch and do not overlap.
            source(&mut spec).balancing.as_mut().expect("it balances").subset = Some(SubsetSpec::Aperture { size: 25 });
        }
        spec.workloads[0].pod.service_time = DistSpec::Exponential { mean: ms(200) };
        spec.run = RunSpec { duration: secs(20), warm_up: SimDuration::ZERO, window: secs(20) };
        let run = |r: u64| {
            let mut gaps = svcsim_engine::random::Streams::new(SEED, r).stream(1_000, 0);
            let gaps: Vec<u64> = (0..10_000).map(|i| if i == 0 { 0 } else { (gaps.exponential() * 1e6) as u64 }).collect();
            let recorded = Records { gaps: Numbers(gaps.into()), ..Records::default() };
            source(&mut spec).arrivals = ArrivalsSpec::Replay(replay::Spec { recorded, speed: 1.0, keep: 1.0, clones: 1, repeat: false });
            let s = series(&spec, r);
            assert_eq!(s.completed(), 10_000);
            [0.5, 0.95, 0.99].map(|q| s.latency.quantile(q).expect("ten thousand").as_millis_f64())
        };
        let runs: Vec<[f64; 3]> = (0..20).map(run).collect();
        for (i, (mean, sd)) in expected.into_iter().enumerate() {
            let found = runs.iter().map(|r| r[i]).sum::<f64>() / 20.0;
            assert!((found - mean).abs() <= 4.0 * sd / 20f64.sqrt(), "{name}, {i}: {found} instead of {mean} (one run: {sd})");
        }
    }
}

/// Mitzenmacher's table of two choices among 100 queues (dissertation, 1996; IEEE TPDS 12(10), 2001): the mean time in the system for
/// service of mean 1, with replacement and without, from another simulation of the same; 1.9585 and 2.6454 were published. The two
/// rules are one and a half of a thousandth apart, the limit of infinitely many queues (1.9474, 2.6141) more.
#[test]
fn two_choices_are_mitzenmachers() {
    let two = std::num::NonZeroU32::new(2);
    for (load, replacement, expected, error) in [
        (0.8, true, 1.963_647, 0.002_24),
        (0.8, false, 1.959_297, 0.002_18),
        (0.9, true, 2.658_945, 0.006_61),
        (0.9, false, 2.649_132, 0.004_6),
    ] {
        let policy = PolicySpec::LeastRequest(least_request::Spec { choices: two, replacement, ..least_request::Spec::default() });
        let mut spec = queues(100, 1, load * 10_000.0, policy);
        spec.run = RunSpec { duration: secs(7), warm_up: secs(2), window: secs(7) };
        let means: Vec<f64> = (0..30).map(|r| series(&spec, r).latency.mean_ns().expect("some") / 1e7).collect();
        let mean = means.iter().sum::<f64>() / 30.0;
        let ours = (means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>() / 29.0 / 30.0).sqrt();
        assert!(
            (mean - expected).abs() <= 4.0 * (ours * ours + error * error).sqrt(),
            "{load}, {replacement}: {mean} instead of {expected} (+- {ours})"
        );
        assert!(ours < 0.008 * expected, "{ours} is too large to tell");
    }
}

/// What a policy does not listen to is said, and so is a hash of nothing.
#[test]
fn settings_that_change_nothing_are_told() {
    let told = |set: &dyn Fn(&mut TrafficSpec)| {
        let mut spec = queues(3, 2, 100.0, PolicySpec::by_name("roundRobin").expect("it is one"));
        set(source(&mut spec));
        lint(&spec).into_iter().map(|l| (l.field, l.of_no_effect)).collect::<Vec<_>>()
    };
    let balancing = |t: &mut TrafficSpec, set: &dyn Fn(&mut BalancingSpec)| set(t.balancing.as_mut().expect("it balances"));
    assert_eq!(told(&|_| ()), []);
    assert_eq!(told(&|t| balancing(t, &|b| b.signal = SignalSpec::Live)), [("traffic.clients.balancing.signal".to_owned(), true)]);
    assert_eq!(told(&|t| balancing(t, &|b| b.weights = vec![1, 2])), [("traffic.clients.balancing.weights".to_owned(), true)]);
    assert_eq!(told(&|t| balancing(t, &|b| b.hash_on = HashOn::Key)), [("traffic.clients.balancing.hashOn".to_owned(), true)]);
    let ring = |b: &mut BalancingSpec| {
        (b.policy, b.hash_on) = (PolicySpec::by_name("ring").expect("it is one"), HashOn::Key);
    };
    assert_eq!(told(&|t| balancing(t, &ring)), [("traffic.clients.balancing.hashOn".to_owned(), false)]);
}
