use super::*;

/// Pearson's statistic of equal shares.
fn chi_square(shares: &BTreeMap<Target, u32>, n: u32) -> f64 {
    let expected = f64::from(n) / shares.len() as f64;
    shares.values().map(|&got| (f64::from(got) - expected) * (f64::from(got) - expected) / expected).sum()
}

#[test]
fn hashes_spread_flows_evenly() {
    for json in [
        r#""instanceTargets""#,
        r#"{"instanceTargets":{"algorithm":{"maglev":{"tableSize":65521}}}}"#,
        r#""metallbBgp""#,
        r#"{"metallbBgp":{"algorithm":{"ecmp":{"resilient":true}}}}"#,
    ] {
        let shares = shares(&mut with_nodes(json, 8), 80_000, at(1));
        // The 99.9 % point of chi-square with 7 degrees of freedom is 24.3.
        assert!(shares.len() == 8 && chi_square(&shares, 80_000) < 24.3, "{json}: {shares:?}");
    }
}

#[test]
fn a_flow_has_one_place_while_the_set_is_the_same() {
    for name in ["instanceTargets", "googlePassthrough", "metallbL2", "metallbBgp"] {
        let json = format!("\"{name}\"");
        let (mut one, mut other) = (with_nodes(&json, 9), with_nodes(&json, 9));
        for flow in flows(200) {
            let target = one.choose(flow, at(1)).expect("there are targets");
            assert_eq!((other.choose(flow, at(2)), one.route(flow, target, at(3))), (Some(target), target));
        }
    }
}

#[test]
fn services_hash_independently() {
    let mut one = with_nodes(r#""instanceTargets""#, 4);
    let facts = Facts { address: [198, 51, 100, 8].into(), ..facts(false) };
    let mut other = LoadBalancer::build(&LoadBalancerSpec::default(), &facts, draws(1)).unwrap();
    other.start((0..4).map(|i| (node(i), None, true)));
    let same = flows(4_000).into_iter().filter(|f| one.choose(*f, at(0)) == other.choose(*f, at(0))).count();
    assert!((800..1_200).contains(&same), "{same} of 4000 agree, expected a quarter");
}

#[test]
fn a_new_clients_address_matters() {
    let mut lb = with_nodes(r#""instanceTargets""#, 64);
    let mut of = |last: u8| lb.choose(FlowKey { client: [192, 0, 2, last].into(), client_port: 1, hash: 5 }, at(0));
    assert!((1..20).any(|last| of(last) != of(0)));
}

/// The part of established flows that a packet finds elsewhere after the last of `n` Nodes is gone.
fn moved(json: &str, n: u32) -> f64 {
    let mut lb = with_nodes(json, n);
    let flows = flows(20_000);
    let before: Vec<_> = flows.iter().map(|f| lb.choose(*f, at(0)).unwrap()).collect();
    leaves_at_once(&mut lb, node(n - 1), at(1));
    let moved = flows.iter().zip(&before).filter(|(f, target)| lb.route(**f, **target, at(3_000)) != **target).count();
    moved as f64 / flows.len() as f64
}

#[test]
fn a_change_of_paths_moves_most_flows_unless_hashing_is_resilient() {
    let n = 8.0;
    let plain = moved(r#""metallbBgp""#, 8);
    assert!((plain - (n - 1.0) / n).abs() < 0.02, "{plain}");
    let resilient = moved(r#"{"metallbBgp":{"algorithm":{"ecmp":{"resilient":true}}}}"#, 8);
    assert!((resilient - 1.0 / n).abs() < 0.01, "{resilient}");
}

#[test]
fn without_tracking_maglev_moves_little_more_than_it_must() {
    let moved = moved(r#"{"googlePassthrough":{"connectionTracking":false}}"#, 8);
    assert!((0.11..0.145).contains(&moved), "{moved}");
}

#[test]
fn with_tracking_no_flow_moves() {
    for name in ["instanceTargets", "googlePassthrough", "awsNlbInstance"] {
        assert_eq!(moved(&format!("\"{name}\""), 8), 0.0, "{name}");
    }
}

#[test]
fn a_path_that_comes_takes_an_equal_part_from_each() {
    let json = r#"{"metallbBgp":{"algorithm":{"ecmp":{"resilient":true}}}}"#;
    let mut lb = with_nodes(json, 7);
    let flows = flows(20_000);
    let before: Vec<_> = flows.iter().map(|f| lb.choose(*f, at(0)).unwrap()).collect();
    let done = lb.register(node(7), None, at(1));
    assert_eq!((done, lb.registered(node(7), done)), (at(1) + SimDuration::from_millis(200), None));
    let after: Vec<_> = flows.iter().zip(&before).map(|(f, t)| lb.route(*f, *t, done)).collect();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
    assert!(moved.iter().all(|(_, to)| **to == node(7)), "nobody else gets anything");
    assert!((moved.len() as f64 / 20_000.0 - 0.125).abs() < 0.01);
}

#[test]
fn more_paths_than_buckets_leave_some_idle() {
    let mut lb = empty(r#"{"metallbBgp":{"algorithm":{"ecmp":{"resilient":true}}}}"#);
    lb.start((0..2_000).map(|i| (node(i), None, true)));
    assert!(used(&mut lb, at(0)).len() <= 1_024);
    leaves_at_once(&mut lb, node(0), at(1));
    assert!(!used(&mut lb, at(2)).contains(&node(0)));
}

#[test]
fn round_robin_takes_turns_and_goes_on_after_a_change() {
    let mut lb = with_nodes(r#"{"instanceTargets":{"algorithm":"roundRobin"}}"#, 3);
    let flow = flows(1)[0];
    let next = |lb: &mut LoadBalancer| lb.choose(flow, at(0)).unwrap();
    assert_eq!([0; 4].map(|_| next(&mut lb)), [0, 1, 2, 0].map(node));
    leaves_at_once(&mut lb, node(1), at(1));
    assert_eq!([0; 3].map(|_| next(&mut lb)), [2, 0, 2].map(node));
    assert_eq!(lb.route(flow, node(1), at(9)), node(1), "a connection stays where it is");
}

#[test]
fn least_connections_fills_up_whoever_has_fewest() {
    let mut lb = with_nodes(r#"{"instanceTargets":{"algorithm":"leastConnections"}}"#, 3);
    let flow = flows(1)[0];
    let open = |lb: &mut LoadBalancer| {
        let target = lb.choose(flow, at(0)).unwrap();
        lb.opened(target);
        target
    };
    assert_eq!([0; 4].map(|_| open(&mut lb)), [0, 1, 2, 0].map(node), "ties go round");
    lb.closed(node(0));
    lb.closed(node(0));
    assert_eq!([0; 3].map(|_| open(&mut lb)), [0, 1, 2].map(node), "0 has none, then all have one and it was 1's turn");
    // Connections are counted while a target is away, too.
    let now = checks(&mut lb, node(2), Probe::Failed, 2, at(1));
    (0..8).for_each(|_| _ = open(&mut lb));
    let now = checks(&mut lb, node(2), Probe::Passed, 2, now);
    assert_eq!(lb.choose(flow, now), Some(node(2)), "2 kept its two connections, the others have more");
    lb.closed(Target::Node(NodeId(77)));
}

#[test]
fn one_leads_and_another_takes_over_in_time() {
    let mut lb = with_nodes(r#"{"metallbL2":{"algorithm":{"leader":{"failover":"2s"}}}}"#, 5);
    let flow = flows(1)[0];
    let leader = lb.choose(flow, at(0)).unwrap();
    assert_eq!(used(&mut lb, at(0)), [leader], "all traffic enters at one Node");
    // Losing another changes nothing.
    let other = (0..5).map(node).find(|n| *n != leader).unwrap();
    leaves_at_once(&mut lb, other, at(1));
    assert_eq!(lb.choose(flow, at(1)), Some(leader));
    // The leader dies: noticed after 5 s, neighbours know 2 s later, and established flows follow.
    let gone = lb.failed(leader, at(10)).expect("no health checks");
    assert_eq!(gone, Deregistration { no_new_after: at(15), cut_at: None });
    lb.deregistered(leader, at(15));
    assert_eq!((lb.choose(flow, at(16)), lb.route(flow, leader, at(16))), (Some(leader), leader));
    let next = lb.choose(flow, at(17)).unwrap();
    assert_ne!(next, leader);
    assert_eq!(lb.route(flow, leader, at(17)), next);
    // It returns and, first in the order, leads again.
    let done = lb.register(leader, None, at(20));
    assert_eq!((done, lb.registered(leader, done)), (at(20), None));
    assert_eq!([21, 22].map(|t| lb.choose(flow, at(t))), [Some(next), Some(leader)]);
    // One that comes back before anybody was told never lost it.
    leaves_at_once(&mut lb, leader, at(30));
    lb.register(leader, None, at(31));
    lb.registered(leader, at(31));
    assert_eq!([31, 32, 40].map(|t| lb.choose(flow, at(t))), [Some(leader); 3]);
}

#[test]
fn without_anyone_nobody_leads_and_the_first_to_come_does_at_once() {
    let mut lb = with_nodes(r#""metallbL2""#, 1);
    leaves_at_once(&mut lb, node(0), at(1));
    assert_eq!(lb.choose(flows(1)[0], at(1)), None);
    assert_eq!(lb.route(flows(1)[0], node(0), at(1)), node(0), "neighbours still know the old one");
    lb.register(node(3), None, at(5));
    lb.registered(node(3), at(5));
    assert_eq!(lb.choose(flows(1)[0], at(5)), Some(node(3)));
}

/// Computed with another SHA-256: `node-0` comes first for the first address, and so on.
#[test]
fn the_leader_is_the_one_metallb_elects() {
    for (address, leader) in [("198.51.100.7", 0), ("198.51.100.8", 2), ("2001:db8::7", 3)] {
        let facts = Facts { address: address.parse().unwrap(), ..facts(false) };
        let mut lb = LoadBalancer::build(&spec(r#""metallbL2""#), &facts, draws(1)).unwrap();
        lb.start((0..5).map(|i| (node(i), None, true)));
        assert_eq!(lb.choose(flows(1)[0], at(0)), Some(node(leader)), "{address}");
    }
}

#[test]
fn addresses_have_different_leaders() {
    let leaders: std::collections::BTreeSet<_> = (0..60)
        .map(|last| {
            let facts = Facts { address: [198, 51, 100, last].into(), ..facts(false) };
            let mut lb = LoadBalancer::build(&spec(r#""metallbL2""#), &facts, draws(1)).unwrap();
            lb.start((0..4).map(|i| (node(i), None, true)));
            lb.choose(flows(1)[0], at(0))
        })
        .collect();
    assert_eq!(leaders.len(), 4);
}

#[test]
fn of_two_draws_with_replacement_both_are_the_busiest_once_in_n_squared() {
    for n in [2_u32, 3, 4] {
        let mut lb = with_nodes(r#"{"instanceTargets":{"algorithm":{"leastRequest":{"choices":2}}}}"#, n);
        lb.opened(node(0));
        let busiest = f64::from(shares(&mut lb, 40_000, at(1)).get(&node(0)).copied().unwrap_or(0)) / 40_000.0;
        let expected = 1.0 / f64::from(n * n);
        assert!((busiest - expected).abs() < 4.0 * (expected / 40_000.0).sqrt(), "{n}: {busiest}");
    }
}

#[test]
fn many_draws_find_the_idle_one() {
    let mut lb = with_nodes(r#"{"instanceTargets":{"algorithm":{"leastRequest":{"choices":64}}}}"#, 4);
    (0..3).for_each(|i| lb.opened(node(i)));
    assert_eq!(shares(&mut lb, 1_000, at(1)).get(&node(3)), Some(&1_000));
}
