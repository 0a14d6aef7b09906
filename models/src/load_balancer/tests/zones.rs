use super::*;

fn of_zones(lb: &mut LoadBalancer, zones: &[u32], n: u32) -> Vec<u32> {
    let shares = shares(lb, n, at(1));
    let mut first = 0;
    zones
        .iter()
        .map(|size| {
            let sum = (first..first + size).filter_map(|i| shares.get(&node(i))).sum();
            first += size;
            sum
        })
        .collect()
}

#[test]
fn zones_kept_apart_share_by_zone_and_not_by_target() {
    let zones = [1, 3, 6];
    let apart = of_zones(&mut zoned(r#""awsNlbInstance""#, &zones), &zones, 30_000);
    assert!(apart.iter().all(|n| n.abs_diff(10_000) < 400), "{apart:?}");
    let across = of_zones(&mut zoned(r#"{"awsNlbInstance":{"crossZone":true}}"#, &zones), &zones, 30_000);
    assert!(across.iter().zip([3_000, 9_000, 18_000]).all(|(n, e)| n.abs_diff(e) < 400), "{across:?}");
}

#[test]
fn a_zone_without_healthy_targets_leaves_dns_unless_all_are_so() {
    let zones = [2, 2];
    let mut lb = zoned(r#""awsNlbInstance""#, &zones);
    let fail = |lb: &mut LoadBalancer, i| _ = checks(lb, node(i), Probe::Failed, 3, at(1));
    fail(&mut lb, 0);
    assert!(of_zones(&mut lb, &zones, 10_000)[0].abs_diff(5_000) < 250, "node 1 bears its zone alone");
    fail(&mut lb, 1);
    assert_eq!(of_zones(&mut lb, &zones, 1_000), [0, 1_000]);
    fail(&mut lb, 2);
    fail(&mut lb, 3);
    assert_eq!(used(&mut lb, at(1)).len(), 4, "fail open");
}

#[test]
fn least_connections_and_turns_are_each_zones_own() {
    for algorithm in ["leastConnections", "roundRobin"] {
        let mut lb = zoned(&format!(r#"{{"awsNlbInstance":{{"algorithm":"{algorithm}"}}}}"#), &[2, 2]);
        let mut got = [0u32; 4];
        for flow in flows(4_001) {
            let Some(Target::Node(NodeId(i))) = lb.choose(flow, at(0)) else { panic!("Nodes are targets") };
            lb.opened(node(i));
            got[i as usize] += 1;
        }
        assert!(got[0].abs_diff(got[1]) <= 1 && got[2].abs_diff(got[3]) <= 1, "{algorithm}: {got:?}");
    }
}

#[test]
fn targets_see_the_address_of_the_zones_balancer_node() {
    let mut lb = zoned(r#""awsNlbIp""#, &[2, 2]);
    let mut seen = BTreeMap::new();
    for flow in flows(200) {
        let zone = if lb.choose(flow, at(0)) < Some(node(2)) { 0 } else { 1 };
        let address = lb.source_address(flow).expect("the client's address is lost");
        assert!(address.to_string().starts_with("100.100."));
        assert_eq!(*seen.entry(zone).or_insert(address), address, "one a zone");
    }
    assert!(seen.len() == 2 && seen[&0] != seen[&1]);
    assert_eq!(zoned(r#""awsNlbInstance""#, &[2, 2]).source_address(flows(1)[0]), None);
    // Zones have nodes of their own across zones, too.
    let lb = zoned(r#"{"awsNlbIp":{"crossZone":true}}"#, &[1, 1, 1]);
    let addresses: std::collections::BTreeSet<_> = flows(200).into_iter().filter_map(|f| lb.source_address(f)).collect();
    assert_eq!(addresses.len(), 3);
    assert!(empty(r#""awsNlbIp""#).source_address(flows(1)[0]).is_some());
}

#[test]
fn a_subset_is_spread_over_zones() {
    let zones = [2, 100, 150];
    let lb = |n| zoned(&format!(r#"{{"googlePassthrough":{{"subset":{n}}}}}"#), &zones);
    let used_in = |lb: &mut LoadBalancer| {
        let used = used(lb, at(0));
        [0..2, 2..102, 102..252].map(|r| used.iter().filter(|t| matches!(t, Target::Node(n) if r.contains(&n.0))).count())
    };
    assert_eq!(used_in(&mut lb(26)), [2, 12, 12]);
    assert_eq!(used_in(&mut lb(1)).iter().sum::<usize>(), 1);
    assert_eq!(used_in(&mut lb(1_000)).iter().sum::<usize>(), 252);
    // One that goes is replaced.
    let mut lb = lb(26);
    let gone = used(&mut lb, at(0))[5];
    leaves_at_once(&mut lb, gone, at(1));
    let now = used(&mut lb, at(20));
    assert!(now.len() == 26 && !now.contains(&gone));
}
