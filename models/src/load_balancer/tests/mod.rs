//! The balancer from outside, with a small cluster around it.

mod algorithms;
mod files;
mod life;
mod presets;
mod properties;
mod zones;

use super::*;
use crate::ids::{NodeId, ZoneId};
use std::collections::BTreeMap;
use svcsim_engine::random::Streams;
use svcsim_engine::{SimDuration, SimTime};

fn spec(json: &str) -> LoadBalancerSpec {
    serde_json::from_str(json).expect(json)
}

fn draws(seed: u64) -> Stream {
    Streams::new(seed, 0).stream(0, 0)
}

fn facts(local_policy: bool) -> Facts {
    let nodes = (0..300).map(|i| NodeFact { id: NodeId(i), name: format!("node-{i}") }).collect();
    Facts { address: [198, 51, 100, 7].into(), local_policy, nodes }
}

/// A balancer of that spec, of a Service with policy Cluster, without targets.
fn empty(json: &str) -> LoadBalancer {
    LoadBalancer::build(&spec(json), &facts(false), draws(1)).expect(json)
}

fn node(i: u32) -> Target {
    Target::Node(NodeId(i))
}

/// The same with `n` healthy Nodes in one zone.
fn with_nodes(json: &str, n: u32) -> LoadBalancer {
    let mut lb = empty(json);
    lb.start((0..n).map(|i| (node(i), Some(ZoneId(0)), true)));
    lb
}

/// The same with healthy Nodes in zones: as many in each zone as `zones` says.
fn zoned(json: &str, zones: &[u32]) -> LoadBalancer {
    let mut lb = empty(json);
    let zone_of = zones.iter().enumerate().flat_map(|(z, n)| std::iter::repeat_n(z as u32, *n as usize));
    lb.start(zone_of.enumerate().map(|(i, z)| (node(i as u32), Some(ZoneId(z)), true)));
    lb
}

/// `n` flows of a few clients.
fn flows(n: u32) -> Vec<FlowKey> {
    let mut s = draws(7);
    (0..n).map(|i| FlowKey { client: [203, 0, 113, (i % 5) as u8].into(), client_port: 0, hash: s.next_u32() }).collect()
}

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + secs(seconds)
}

fn secs(n: u64) -> SimDuration {
    SimDuration::from_secs(n)
}

/// How many of `n` new flows each target gets.
fn shares(lb: &mut LoadBalancer, n: u32, now: SimTime) -> BTreeMap<Target, u32> {
    let mut shares = BTreeMap::new();
    flows(n).into_iter().filter_map(|f| lb.choose(f, now)).for_each(|t| *shares.entry(t).or_default() += 1);
    shares
}

fn used(lb: &mut LoadBalancer, now: SimTime) -> Vec<Target> {
    shares(lb, 2_000, now).into_keys().collect()
}

fn leaves_at_once(lb: &mut LoadBalancer, target: Target, now: SimTime) {
    let end = lb.deregister(target, now).no_new_after;
    lb.deregistered(target, end);
}

/// `n` checks of `target` in their rhythm, all with that end, from `now` on; returns when the next is due.
fn checks(lb: &mut LoadBalancer, target: Target, probe: Probe, n: u32, mut now: SimTime) -> SimTime {
    (0..n).for_each(|_| now += lb.checked(target, probe, now).expect("a target").next);
    now
}
