//! What clients see, and do about it: TCP sends again, clients retry, proxies answer for their targets.

use crate::world::*;
use svcsim_engine::random::Streams;
use svcsim_models::cluster::{Followed, Outcome, explain};
use svcsim_models::explain::{Explanation, What};
use svcsim_models::load_balancer::{LoadBalancerSpec, Preset, Proxies};
use svcsim_models::record::Place;
use svcsim_models::retry::{BudgetSpec, RetryOn, RetrySpec};

fn story(spec: &ClusterSpec) -> Explanation {
    match explain(spec, &Streams::new(SEED, 0), "clients", 0) {
        Ok(Followed::Ended(story)) => *story,
        other => panic!("the request did not end: {other:?}"),
    }
}

/// Times of the client's packets after the first, s.
fn sent_again(story: &Explanation) -> Vec<u64> {
    let sends = story.steps.iter().filter(|s| matches!(s.what, What::Sends { .. }));
    sends.skip(1).map(|s| (s.start_ns - story.start_ns) / 1_000_000_000).collect()
}

/// Clients outside dial a Node without a Pod under policy Local: every packet is dropped.
fn dropped() -> ClusterSpec {
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n1"], quick())], traffic(internet(), Via::NodePort, 100.0));
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    spec
}

/// One of four Pods is gone after 20 s, and the next 20 s later, which no Node ever hears of.
fn one_of_four_dead(on: &str) -> ClusterSpec {
    let traffic = traffic(workload_origin("caller"), Via::ClusterIP, 2_000.0);
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&[on; 4], quick()), callers(&["n0"])], traffic);
    spec.propagation.to_node = constant(secs(1_000));
    deletions(&mut spec, "web", constant(secs(20)));
    spec.run.warm_up = ms(20_500);
    spec.run.duration = ms(21_500);
    spec
}

#[test]
fn a_lost_syn_is_sent_again_until_the_connect_fails() {
    let mut spec = dropped();
    source(&mut spec).clients = 1;
    // Which Node is dialled is drawn: the first request that meets the wrong one will do.
    let lost = |spec: &ClusterSpec| {
        let lost = (0..20).find_map(|n| match explain(spec, &Streams::new(SEED, 0), "clients", n) {
            Ok(Followed::Ended(story)) if story.outcome == "policy_drop" => Some(*story),
            _ => None,
        });
        let lost = lost.expect("half of all requests are dropped");
        (sent_again(&lost), (lost.end_ns - lost.start_ns) / 1_000_000_000)
    };
    assert_eq!(lost(&spec), (vec![1, 2, 3, 4, 5, 7, 11, 19, 35, 67], 131));
    source(&mut spec).tcp.syn_linear_timeouts = 0;
    assert_eq!(lost(&spec), (vec![1, 3, 7, 15, 31, 63], 127), "as before Linux 6.5");
    source(&mut spec).tcp.connect_timeout = Some(secs(5));
    let s = series(&spec, 0);
    assert_chance("dropped", count(&s, Outcome::PolicyDrop), s.arrivals, 0.5);
    assert_eq!(s.lost.keys().map(|(cause, _)| *cause).collect::<Vec<_>>(), [Outcome::PolicyDrop]);
    assert!(matches!(s.lost.keys().next(), Some((_, Place::Node(_)))));
}

#[test]
fn where_no_entry_was_confirmed_each_try_picks_anew() {
    let s = series(&one_of_four_dead("n0"), 0);
    assert_eq!(others(&s, &[Outcome::Completed]), 0, "all get through in the end: {:?}", s.outcomes);
    // The k-th try meets the dead Pod with chance 1/4, whatever those before met.
    let over = |q: f64| s.latency.quantile(q);
    assert!(over(0.70) < Some(ms(500)) && over(0.80) > Some(ms(990)), "{:?} {:?}", over(0.70), over(0.80));
    assert!(over(0.92) < Some(ms(1_100)) && over(0.95) > Some(ms(1_990)), "{:?} {:?}", over(0.92), over(0.95));
}

#[test]
fn where_the_entry_holds_no_try_gets_through() {
    let s = series(&one_of_four_dead("n1"), 0);
    assert_chance("lost", count(&s, Outcome::Blackhole), s.arrivals, 0.25);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::Blackhole]), 0);
    assert!(s.latency.max() < Some(ms(500)), "who meets a living Pod does so at once");
    assert!(s.lost.keys().all(|(_, place)| matches!(place, Place::Replica(_))));
}

/// Pods without a line, for four times what they can serve.
fn overloaded(retries: RetrySpec) -> ClusterSpec {
    let pod = PodBehaviour { queue_limit: Some(0), ..behaviour(constant(ms(10)), 1) };
    let traffic = TrafficSpec { retries: Some(retries), timeout: Some(secs(5)), ..traffic(Origin::Cluster, Via::ClusterIP, 800.0) };
    spec(nodes_in(&["", ""]), vec![web(&["n0", "n1"], pod)], traffic)
}

#[test]
fn retries_make_a_storm_that_a_budget_bounds() {
    let storm = series(&overloaded(RetrySpec { attempts: 3, ..RetrySpec::default() }), 0);
    let budget = BudgetSpec { ratio: 0.1, min_per_second: 0, ttl: secs(60) };
    let bounded = series(&overloaded(RetrySpec { attempts: 3, budget: Some(budget), ..RetrySpec::default() }), 0);
    assert_eq!(storm.arrivals, bounded.arrivals, "requests are the same");
    assert!(storm.retries > storm.arrivals, "{} retries of {} requests", storm.retries, storm.arrivals);
    assert!(bounded.retries <= bounded.arrivals / 10 && bounded.retries > bounded.arrivals / 12, "{}", bounded.retries);
    assert!(bounded.retries_refused > 0);
    for s in [storm, bounded] {
        assert_eq!(s.arrivals, s.ended() + s.in_flight, "a request ends once, however often it is tried");
        assert_eq!(s.lost.values().sum::<u64>(), s.ended() - s.completed(), "each loss has one place");
    }
}

#[test]
fn only_what_the_client_retries_is_tried_again() {
    let none = series(&overloaded(RetrySpec { on: vec![RetryOn::Reset], ..RetrySpec::default() }), 0);
    assert_eq!((none.retries, none.retries_refused), (0, 0));
    assert!(count(&none, Outcome::QueueFull) > 0);
}

#[test]
fn a_followed_request_tells_of_its_retries() {
    let mut spec = overloaded(RetrySpec::default());
    spec.workloads[0].pod.concurrency = 1;
    spec.workloads[0].pod.service_time = constant(secs(20));
    source(&mut spec).retries.as_mut().expect("set above").per_try_timeout = Some(secs(1));
    let story = story(&spec);
    let retries = story.steps.iter().filter(|s| matches!(s.what, What::Retries { .. })).count();
    assert_eq!((retries, story.outcome != "completed"), (2, true));
}

/// A proxying load balancer in front.
fn proxied(preset: Preset, pods: &[&str], pod: PodBehaviour) -> ClusterSpec {
    let mut spec = spec(nodes_in(&["", ""]), vec![web(pods, pod)], traffic(internet(), Via::LoadBalancer, 100.0));
    spec.load_balancer = LoadBalancerSpec::of(preset);
    balancer(&mut spec).proxies = Some(Proxies { connect_timeout: secs(2), response_timeout: secs(3), ..Proxies::default() });
    spec
}

#[test]
fn a_proxy_answers_502_503_504_for_its_targets() {
    let slow = behaviour(constant(secs(10)), 10_000);
    let cases = [
        ("nothing behind the node port", proxied(Preset::InstanceTargets, &[], quick()), Outcome::LbBadGateway),
        ("no target", proxied(Preset::IpTargets, &[], quick()), Outcome::LbUnavailable),
        ("too slow", proxied(Preset::IpTargets, &["n0", "n1"], slow), Outcome::LbTimeout),
        ("all well", proxied(Preset::IpTargets, &["n0", "n1"], quick()), Outcome::Completed),
    ];
    for (what, mut spec, expected) in cases {
        spec.proxy.icmp_ratelimit = SimDuration::ZERO;
        let s = series(&spec, 0);
        assert_eq!((count(&s, expected), others(&s, &[expected])), (s.arrivals, 0), "{what}: {:?}", s.outcomes);
    }
}

#[test]
fn a_proxy_balances_requests_and_not_connections() {
    let mut spec = proxied(Preset::IpTargets, &["n0", "n1"], quick());
    balancer(&mut spec).algorithm = svcsim_models::load_balancer::Algorithm::RoundRobin;
    source(&mut spec).clients = 1;
    source(&mut spec).connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1));
    let s = series(&spec, 0);
    assert!(s.requests_by_replica[0].abs_diff(s.requests_by_replica[1]) <= 1, "{:?}", s.requests_by_replica);
}
