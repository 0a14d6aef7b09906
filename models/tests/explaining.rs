//! A request that is followed: the run does not notice, and its story adds up.

use crate::world::*;
use svcsim_engine::random::Streams;
use svcsim_models::cluster::{Followed, Outcome, explain, run_followed};
use svcsim_models::explain::{Explanation, What};

/// Two Nodes in two zones, a Pod on each, callers inside and outside, Pods that come and go.
fn restless(from: Origin, via: Via, policy: TrafficPolicy) -> ClusterSpec {
    let busy = behaviour(DistSpec::Exponential { mean: ms(5) }, 1);
    let web =
        WorkloadSpec { pod: PodBehaviour { queue_limit: Some(5), startup: constant(ms(300)), ..busy }, ..web(&["n0", "n1"], quick()) };
    let mut traffic = traffic(from, via, 300.0);
    traffic.timeout = Some(ms(60));
    let mut spec = spec(nodes_in(&["a", "b", "b"]), vec![web, callers(&["n2"])], traffic);
    zoned(&mut spec);
    spec.services[0].external_traffic_policy = policy;
    crashes(&mut spec, "web", constant(ms(1_100)));
    deletions(&mut spec, "web", constant(ms(700)));
    spec.run = RunSpec { duration: secs(3), warm_up: ms(500), window: ms(500) };
    spec
}

fn worlds() -> Vec<ClusterSpec> {
    let mut worlds = Vec::new();
    for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        for via in [Via::NodePort, Via::LoadBalancer] {
            worlds.push(restless(internet(), via, policy));
            worlds.push(restless(workload_origin("caller"), via, policy));
        }
        worlds.push(restless(workload_origin("caller"), Via::ClusterIP, policy));
    }
    let mut kept = worlds[0].clone();
    source(&mut kept).connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(2));
    let mut named = worlds[2].clone();
    source(&mut named).dns = Some(svcsim_models::dns::DnsSpec::default());
    worlds.extend([kept, named]);
    worlds
}

#[test]
fn a_run_takes_the_same_course_whether_or_not_a_request_is_followed() {
    for spec in worlds() {
        let streams = Streams::new(SEED, 0);
        let plain = format!("{:?}", run_one(&spec, 0));
        for request in [0, 100, 1_000_000] {
            let followed = run_followed(&spec, &streams, ("clients", request), &|| true).expect("it builds");
            let (result, story) = followed.expect("nobody stops it");
            assert_eq!(format!("{result:?}"), plain);
            assert_eq!(story, explain(&spec, &streams, "clients", request).expect("it builds"), "explain stops early, and says the same");
        }
    }
}

fn story(spec: &ClusterSpec, request: u64) -> Explanation {
    match explain(spec, &Streams::new(SEED, 0), "clients", request) {
        Ok(Followed::Ended(story)) => *story,
        other => panic!("request {request}: {other:?}"),
    }
}

#[test]
fn the_steps_of_every_request_are_in_order_and_its_times_add_up() {
    let mut outcomes = std::collections::BTreeSet::new();
    for spec in worlds() {
        for request in 0..120 {
            let s = story(&spec, request * 5);
            let t = s.times;
            assert_eq!(s.end_ns - s.start_ns, t.total_ns);
            assert!(s.steps.iter().all(|step| step.start_ns >= s.start_ns && step.end_ns >= step.start_ns), "{s:?}");
            assert!(s.steps.windows(2).all(|w| w[0].start_ns <= w[1].start_ns), "out of order: {s:?}");
            assert!(matches!(s.steps.last().map(|l| &l.what), Some(What::Ends { .. })), "{s:?}");
            let parts = [t.name_lookup_ns, t.network_ns, t.load_balancer_ns, t.rules_ns, t.waiting_ns, t.service_ns, t.in_vain_ns];
            assert_eq!(parts.iter().sum::<u64>(), t.total_ns, "{s:?}");
            if s.outcome == Outcome::Completed.name() {
                assert_eq!(t.in_vain_ns, 0, "an answered client waited for nothing that is not told: {s:?}");
                assert!(s.steps.windows(2).all(|w| w[0].end_ns <= w[1].start_ns), "a gap or an overlap: {s:?}");
            }
            outcomes.insert(s.outcome);
        }
    }
    for expected in [Outcome::Completed, Outcome::TimedOut, Outcome::PolicyDrop, Outcome::QueueFull] {
        assert!(outcomes.contains(expected.name()), "the worlds are too calm: {outcomes:?}");
    }
}

#[test]
fn a_request_that_was_never_sent_is_said_to_be_none() {
    let spec = restless(internet(), Via::NodePort, TrafficPolicy::Cluster);
    let Ok(Followed::NeverSent(n)) = explain(&spec, &Streams::new(SEED, 0), "clients", 1_000_000) else {
        panic!("a request that does not exist");
    };
    assert!(matches!(explain(&spec, &Streams::new(SEED, 0), "clients", n - 1), Ok(Followed::Ended(_))));
    assert_eq!(explain(&spec, &Streams::new(SEED, 0), "clients", n), Ok(Followed::NeverSent(n)));
    assert!(explain(&spec, &Streams::new(SEED, 0), "nobody", 0).is_err());
}

/// The notes of the decision on request 0.
fn notes(spec: &ClusterSpec) -> String {
    let story = story(spec, 0);
    let decision = story.steps.iter().find(|s| matches!(s.what, What::Decides { .. }));
    decision.expect("a new connection is decided on").notes.join(" ")
}

#[test]
fn hints_that_hold_and_hints_that_vanish_are_told_apart() {
    let mut spec = spec(
        nodes_in(&["a", "b", ""]),
        vec![web(&["n0", "n1", "n1"], quick()), callers(&["n0"])],
        traffic(workload_origin("caller"), Via::ClusterIP, 10.0),
    );
    spec.services[0].traffic_distribution = Some(TrafficDistribution::PreferSameZone);
    assert!(notes(&spec).contains("those for its own zone only"), "{}", notes(&spec));
    let mut bare = spec.clone();
    bare.workloads[0].placed_on[2] = "n2".to_owned();
    assert!(notes(&bare).contains("the hints vanish: Pod web-2 has none, since its Node carries no zone label"), "{}", notes(&bare));
    spec.workloads[0].placed_on[0] = "n1".to_owned();
    assert!(notes(&spec).contains("no ready endpoint is meant for this Node's zone"), "{}", notes(&spec));
}
