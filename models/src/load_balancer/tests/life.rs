use super::*;
use crate::ids::PodId;

const QUICK: &str = r#"{"instanceTargets":{"registrationDelay":"20s","deregistrationDelay":"30s","draining":"60s"}}"#;

#[test]
fn a_target_changes_state_after_the_threshold_in_a_row() {
    let mut lb = with_nodes(r#""awsNlbInstance""#, 2);
    let mut now = at(0);
    let mut check = |lb: &mut LoadBalancer, probe| {
        let checked = lb.checked(node(1), probe, now).expect("a target");
        now += checked.next;
        checked.cut
    };
    for probe in [Probe::Failed, Probe::TimedOut, Probe::Passed, Probe::Failed, Probe::Failed] {
        assert!(!check(&mut lb, probe) && lb.is_healthy(node(1)), "not three bad answers in a row yet");
    }
    assert!(check(&mut lb, Probe::Failed), "an NLB resets the connections of a target that turns unhealthy");
    assert!(!lb.is_healthy(node(1)) && used(&mut lb, at(2)) == [node(0)]);
    for probe in [Probe::Passed, Probe::Passed, Probe::Failed, Probe::Passed, Probe::Passed, Probe::Passed] {
        assert!(!lb.is_healthy(node(1)) && !check(&mut lb, probe));
    }
    assert_eq!(used(&mut lb, at(2)).len(), 2);
}

#[test]
fn checks_keep_their_rhythm() {
    let mut lb = with_nodes(r#""googlePassthrough""#, 2);
    let next = |lb: &mut LoadBalancer, probe, now| lb.checked(node(0), probe, now).map(|c| c.next);
    let phase = lb.first_check(node(0), at(0)).expect("there are checks");
    assert!(phase < secs(8));
    let first = SimTime::ZERO + phase;
    assert_eq!(next(&mut lb, Probe::Passed, first), Some(secs(8)));
    // A check that had no answer took its second already.
    assert_eq!(next(&mut lb, Probe::TimedOut, first + secs(9)), Some(secs(7)));
    assert_eq!(next(&mut lb, Probe::Passed, first + secs(10)), None, "left over: not due before 16 s");
    assert_eq!(next(&mut lb, Probe::Passed, first + secs(16)), Some(secs(8)));
    assert_eq!(lb.checked(node(9), Probe::Passed, at(9)), None, "no target");
    let mut slow = with_nodes(r#"{"awsNlbInstance":{"healthCheck":{"interval":"5s"}}}"#, 1);
    assert_eq!(slow.checked(node(0), Probe::TimedOut, at(1)).map(|c| c.next), Some(SimDuration::ZERO));
}

#[test]
fn when_none_is_healthy_all_are_used_or_none() {
    for (json, all) in [(r#""instanceTargets""#, 2), (r#"{"instanceTargets":{"failOpen":false}}"#, 0)] {
        let mut lb = empty(json);
        lb.start([(node(0), None, true), (node(1), None, false)].into_iter());
        assert_eq!(used(&mut lb, at(0)), [node(0)]);
        let now = checks(&mut lb, node(0), Probe::Failed, 2, at(1));
        assert_eq!(used(&mut lb, now).len(), all, "{json}");
    }
    assert_eq!(empty(r#""instanceTargets""#).choose(flows(1)[0], at(0)), None, "no target at all");
}

#[test]
fn a_new_target_is_registered_then_checked_then_used() {
    let mut lb = with_nodes(QUICK, 1);
    let done = lb.register(node(1), None, at(100));
    assert_eq!(done, at(120));
    assert_eq!(lb.registered(node(1), at(110)), None, "too early: an answer to an older order");
    assert_eq!(lb.checked(node(1), Probe::Passed, at(115)), None);
    let first = lb.registered(node(1), done).expect("checks begin");
    assert!(first < secs(10));
    assert_eq!(lb.registered(node(1), done), None, "once");
    let mut now = done + first;
    for _ in 0..2 {
        assert_eq!(used(&mut lb, now), [node(0)]);
        now += lb.checked(node(1), Probe::Passed, now).expect("registered").next;
    }
    assert_eq!(used(&mut lb, now).len(), 2);
}

#[test]
fn a_target_that_leaves_gets_connections_for_a_while_and_keeps_them_longer() {
    let mut lb = with_nodes(QUICK, 2);
    let end = lb.deregister(node(1), at(100));
    assert_eq!(end, Deregistration { no_new_after: at(130), cut_at: Some(at(160)) });
    assert_eq!(lb.deregister(node(1), at(110)).no_new_after, at(130), "asked twice");
    lb.deregistered(node(1), at(129));
    assert!(lb.checked(node(1), Probe::Passed, at(129)).is_some());
    assert_eq!(used(&mut lb, at(129)).len(), 2);
    lb.deregistered(node(1), at(130));
    assert_eq!(used(&mut lb, at(130)), [node(0)]);
    assert_eq!(lb.checked(node(1), Probe::Passed, at(131)), None, "no more checks");
    assert_eq!(lb.deregister(node(1), at(140)), Deregistration { no_new_after: at(140), cut_at: None });
}

#[test]
fn a_target_that_turns_unhealthy_while_it_leaves_is_left_sooner() {
    let mut lb = with_nodes(QUICK, 2);
    lb.deregister(node(1), at(100));
    let now = checks(&mut lb, node(1), Probe::Failed, 2, at(101));
    assert_eq!(used(&mut lb, now), [node(0)]);
}

#[test]
fn orders_may_be_taken_back() {
    let mut lb = with_nodes(QUICK, 2);
    lb.deregister(node(1), at(100));
    assert_eq!(lb.register(node(1), None, at(110)), at(110));
    assert_eq!(lb.registered(node(1), at(110)), None, "its checks go on");
    lb.deregistered(node(1), at(130));
    assert_eq!(used(&mut lb, at(131)).len(), 2);
    // And the other way round: a registration that is not done yet ends at once.
    assert_eq!(lb.register(node(2), None, at(200)), at(220));
    assert_eq!(lb.deregister(node(2), at(201)), Deregistration { no_new_after: at(201), cut_at: None });
    assert_eq!(lb.registered(node(2), at(220)), None);
    // Registered anew before the first answer arrives.
    assert_eq!(lb.register(node(2), None, at(210)), at(230));
    assert_eq!(lb.registered(node(2), at(220)), None);
    assert!(lb.registered(node(2), at(230)).is_some());
}

#[test]
fn no_draining_means_no_end() {
    let mut lb = with_nodes(r#""awsNlbInstance""#, 2);
    let end = lb.deregister(node(0), at(0));
    assert!(end.cut_at.is_none() && (at(180)..=at(300)).contains(&end.no_new_after));
    // Nothing is cut before new connections stop.
    let mut neg = empty(r#"{"googleNeg":{"deregistrationDelay":"9s"}}"#);
    let pod = Target::Pod(PodId(4));
    neg.start([(pod, None, true)].into_iter());
    assert_eq!(neg.deregister(pod, at(1)), Deregistration { no_new_after: at(10), cut_at: Some(at(10)) });
}

#[test]
fn health_checks_notice_a_death_by_themselves() {
    assert_eq!(with_nodes(r#""awsNlbInstance""#, 2).failed(node(0), at(5)), None);
    let mut bgp = with_nodes(r#""metallbBgp""#, 2);
    assert_eq!(bgp.failed(node(0), at(5)), Some(Deregistration { no_new_after: at(95), cut_at: None }));
    assert_eq!((bgp.first_check(node(0), at(0)), bgp.checked(node(0), Probe::Failed, at(5))), (None, None));
}

#[test]
fn without_health_checks_whatever_is_registered_is_used() {
    let mut lb = empty(r#""metallbBgp""#);
    lb.start([(node(0), None, false)].into_iter());
    assert_eq!(used(&mut lb, at(0)), [node(0)]);
}

#[test]
fn phases_and_delays_are_drawn() {
    let mut lb = with_nodes(r#"{"awsNlbIp":{"delay":{"uniform":{"min":"10us","max":"20us"}}}}"#, 300);
    let phases: Vec<_> = (0..300).filter_map(|i| lb.first_check(node(i), at(0))).collect();
    assert!(phases.iter().all(|p| *p < secs(10)));
    assert!(phases.iter().filter(|p| **p < secs(5)).count().abs_diff(150) < 50);
    assert!((0..50).all(|_| (10_000..=20_000).contains(&lb.delay().as_nanos())));
}
