//! Whatever happens in whatever order, answers stay sound.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One thing that happens to a target, some time after the last.
type Step = (u8, u32, u64);

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::FlowHash),
        Just(Algorithm::RoundRobin),
        Just(Algorithm::LeastConnections),
        Just(Algorithm::LeastRequest { choices: std::num::NonZeroU32::MIN.saturating_add(1) }),
        Just(Algorithm::HaproxyRandom { draws: std::num::NonZeroU32::MIN }),
        any::<bool>().prop_map(|consistent| Algorithm::HaproxySource { consistent }),
        Just(Algorithm::Maglev { table_size: 251 }),
        Just(Algorithm::Leader { failover: svcsim_engine::random::DistSpec::Constant(secs(2)) }),
        any::<bool>().prop_map(|resilient| Algorithm::Ecmp { resilient }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A connection goes to a target that is registered and healthy, unless none is or the leader has just changed; and
    /// with least connections to one of those that have the fewest.
    #[test]
    fn what_is_chosen_may_be_chosen(
        preset in prop::sample::select(Preset::ALL),
        algorithm in algorithms(),
        apart in any::<bool>(),
        steps in prop::collection::vec((0..9u8, 0..6u32, 0..40u64), 0..80),
    ) {
        let leads = matches!(algorithm, Algorithm::Leader { .. });
        let mut spec = LoadBalancerSpec::of(preset);
        spec.parameters.connection_tracking |= !algorithm.is_stateless();
        spec.parameters.cross_zone = leads || !apart;
        spec.parameters.algorithm = algorithm.clone();
        let mut lb = LoadBalancer::build(&spec, &facts(apart), draws(3)).expect("sound");
        let zone = |i: u32| Some(ZoneId(i % 2));
        lb.start((0..3).map(|i| (node(i), zone(i), i > 0)));
        let (mut now, mut gone, mut open) = (at(0), BTreeSet::from([3, 4, 5]), [0u32; 6]);
        for (what, i, later) in steps as Vec<Step> {
            now += secs(later);
            match what {
                0 => {
                    let done = lb.register(node(i), zone(i), now);
                    prop_assert!(done >= now);
                    now = done;
                    lb.registered(node(i), done);
                    gone.remove(&i);
                }
                1 => _ = lb.deregister(node(i), now),
                2 => _ = lb.failed(node(i), now),
                3 => {
                    let end = lb.deregister(node(i), now);
                    prop_assert!(end.cut_at.is_none_or(|cut| cut >= end.no_new_after));
                    now = now.max(end.no_new_after);
                    lb.deregistered(node(i), now);
                    gone.insert(i);
                }
                4 => _ = lb.checked(node(i), Probe::Passed, now),
                5 => _ = lb.checked(node(i), Probe::Failed, now),
                6 => _ = lb.checked(node(i), Probe::TimedOut, now),
                7 => _ = lb.first_check(node(i), now),
                _ => {
                    lb.closed(node(i));
                    if !gone.contains(&i) {
                        open[i as usize] = open[i as usize].saturating_sub(1);
                    }
                }
            }
            gone.iter().for_each(|i| open[*i as usize] = 0);
            for flow in flows(3) {
                let chosen = lb.choose(flow, now);
                let Some(Target::Node(NodeId(n))) = chosen else {
                    prop_assert!(chosen.is_none(), "only Nodes were registered");
                    continue;
                };
                let healthy: Vec<_> = (0..6).filter(|i| lb.is_healthy(node(*i))).collect();
                prop_assert!(leads || !gone.contains(&n), "{n} is gone at {now:?}");
                prop_assert!(leads || healthy.is_empty() || healthy.contains(&n), "{n} is not healthy");
                if matches!(algorithm, Algorithm::LeastConnections) && !apart && !healthy.is_empty() {
                    prop_assert_eq!(Some(open[n as usize]), healthy.iter().map(|i| open[*i as usize]).min());
                }
                lb.opened(node(n));
                open[n as usize] += 1;
                prop_assert!(!spec.parameters.connection_tracking || lb.route(flow, node(n), now) == node(n));
            }
        }
    }
}
