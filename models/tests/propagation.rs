//! A change of a Pod becomes slices, news and rules: how long that takes, and how old the views are that decide meanwhile.

use crate::world::*;
use svcsim_models::dataplane::{DataPlaneSpec, SyncSpec, iptables};
use svcsim_models::record::RunResult;
use svcsim_models::units::Rate;

/// Pods on `pods` Nodes of eight, called by ClusterIP. One is deleted at 4 s and stays for 30 s, ready and serving; none
/// takes its place before the run is over.
fn one_deletion(pods: usize) -> ClusterSpec {
    let sites = ["n0", "n1", "n2", "n3", "n4"];
    let pod = PodBehaviour { startup: constant(secs(1_000)), ..quick() };
    let traffic = TrafficSpec { clients: 30, ..traffic(workload_origin("caller"), Via::ClusterIP, 500.0) };
    let web = WorkloadSpec { pre_stop: secs(30), termination_grace: secs(60), ..web(&sites[..pods], pod) };
    let mut spec = spec(nodes_in(&[""; 8]), vec![web, callers(&["n5", "n6", "n7"])], traffic);
    spec.propagation = PropagationSpec { publish: constant(ms(100)), to_node: constant(ms(400)), to_dns: constant(SimDuration::ZERO) };
    deletions(&mut spec, "web", constant(secs(4)));
    spec.run.duration = secs(7);
    spec
}

/// Every sync takes `base`, and the next starts `min` after its end.
fn syncs(spec: &mut ClusterSpec, min: SimDuration, base: SimDuration) {
    let sync = SyncSpec { min_sync_period: min, base, ..SyncSpec::INSTANT };
    spec.data_plane = DataPlaneSpec::Iptables(iptables::Spec { per_rule: SimDuration::ZERO, sync });
}

/// Within the precision of the recorder's histograms.
fn about(found: Option<SimDuration>, expected: SimDuration) -> bool {
    found.is_some_and(|f| f.as_secs_f64() >= 0.998 * expected.as_secs_f64() && f.as_secs_f64() <= 1.002 * expected.as_secs_f64())
}

fn convergence(run: &RunResult) -> Option<SimDuration> {
    run.convergence.max()
}

/// 100 ms until the slice is written, 400 ms until Nodes hear of it, 30 ms for the sync.
#[test]
fn constants_add_up_to_convergence_and_programming_latency() {
    let mut spec = one_deletion(5);
    syncs(&mut spec, secs(1), ms(30));
    let run = run_one(&spec, 0);
    assert_eq!((run.programming.count(), run.convergence.count()), (8, 1), "each Node once");
    for found in [run.programming.min(), run.programming.max(), convergence(&run)] {
        assert!(about(found, ms(530)), "{found:?}");
    }
    // Decisions of the 530 ms are made by a view that is old, by 0 to 530 ms; all others by the newest.
    let s = &run.series[0].staleness;
    assert_eq!(s.count(), run.series[0].arrivals);
    assert!(s.max().is_some_and(|max| (ms(500)..=ms(531)).contains(&max)), "{:?}", s.max());
    let expected = 0.53 / 7.0 * 0.53 / 2.0;
    let mean = s.mean_ns().unwrap_or_default() / 1e9;
    assert!((mean - expected).abs() < 0.1 * expected, "{mean} s, expected {expected} s (seed {SEED})");
}

/// Where each Node hears at a time of its own, the last one decides.
#[test]
fn convergence_is_the_slowest_nodes_programming_latency() {
    let mut spec = one_deletion(5);
    spec.propagation.to_node = DistSpec::Uniform { min: SimDuration::ZERO, max: secs(1) };
    for replication in 0..8 {
        let run = run_one(&spec, replication);
        assert_eq!(convergence(&run), run.programming.max(), "replication {replication}");
        assert!(run.programming.min() < run.programming.max(), "Nodes differ in age");
        let last = run.series[0].timeline.last().map(|w| w.stale_nodes);
        assert_eq!(last, Some(0), "and agree at last");
    }
}

/// The deleted Pod's condition is one write, its replacement, which is not ready, another; both are in one slice of 100, and in
/// slices of their own if a slice takes one endpoint.
#[test]
fn slices_that_changed_are_written_and_no_others() {
    for (max_per_slice, writes) in [(100, 1), (5, 2), (1, 2)] {
        let mut spec = one_deletion(5);
        spec.endpoint_slices.max_per_slice = max_per_slice;
        assert_eq!(run_one(&spec, 0).slice_writes, writes, "slices of {max_per_slice}");
    }
}

/// Two writes at one a second: the second is made a second after the first, and only then is the change known.
#[test]
fn writes_wait_for_their_turn() {
    let mut spec = one_deletion(5);
    spec.endpoint_slices = EndpointSlicesSpec { max_per_slice: 1, qps: Rate(1.0), burst: 1, ..EndpointSlicesSpec::default() };
    let found = convergence(&run_one(&spec, 0));
    assert!(about(found, ms(1_500)), "{found:?}");
}

/// A batch period is waited for once, and what changes meanwhile is one update.
#[test]
fn batches_collect_changes() {
    let mut spec = one_deletion(5);
    deletions(&mut spec, "web", constant(ms(1_300)));
    let writes = |batch_period| {
        let mut spec = spec.clone();
        spec.endpoint_slices.batch_period = batch_period;
        let run = run_one(&spec, 0);
        (run.slice_writes, run.convergence.max())
    };
    // Deletions at 1.3, 2.6, 3.9, 5.2 and 6.5 s; the last is not known before the run ends.
    assert_eq!(writes(SimDuration::ZERO).0, 5);
    let (batched, took) = writes(secs(3));
    assert_eq!(batched, 1, "one at 4.4 s with three changes; the next is due after the run");
    assert!(about(took, ms(3_500)), "from the first of them until Nodes know: {took:?}");
}

#[test]
fn impossible_limits_are_refused() {
    let problem = |change: fn(&mut EndpointSlicesSpec)| {
        let mut spec = one_deletion(1);
        change(&mut spec.endpoint_slices);
        svcsim_models::cluster::check(&spec).map_err(|e| e.field)
    };
    assert_eq!(problem(|s| s.max_per_slice = 0), Err("endpointSlices.maxPerSlice".to_owned()));
    assert_eq!(problem(|s| s.max_per_slice = 1_001), Err("endpointSlices.maxPerSlice".to_owned()));
    assert_eq!(problem(|s| s.qps = Rate(0.0)), Err("endpointSlices.qps".to_owned()));
    assert_eq!(problem(|s| s.burst = 0), Err("endpointSlices.burst".to_owned()));
    assert_eq!(problem(|_| ()), Ok(()));
}

/// The last full sync was long ago: this one writes the four endpoints that are left too, 50 ms each. Else only what changed.
#[test]
fn a_full_sync_writes_what_did_not_change_too() {
    let mut spec = one_deletion(5);
    for (period, expected) in [(SimDuration::from_nanos(1), ms(730)), (secs(1_000_000_000), ms(530))] {
        let sync = SyncSpec { base: ms(30), full_sync_period: period, full_per_endpoint: ms(50), ..SyncSpec::INSTANT };
        spec.data_plane = DataPlaneSpec::Iptables(iptables::Spec { per_rule: SimDuration::ZERO, sync });
        let run = run_one(&spec, 0);
        assert!(about(run.programming.min(), expected) && about(run.programming.max(), expected), "{:?}", run.programming.max());
    }
}

/// A balancer that takes 5 s to take a target out decides by an old view for so long, and 100 ms more.
#[test]
fn what_a_balancer_has_not_carried_out_yet_makes_its_view_old() {
    let mut spec = one_deletion(5);
    spec.run.duration = secs(12);
    spec.workloads.truncate(1);
    source(&mut spec).from = internet();
    source(&mut spec).via = Via::LoadBalancer;
    spec.load_balancer = svcsim_models::load_balancer::LoadBalancerSpec::by_name("ipTargets").expect("a preset");
    let b = balancer(&mut spec);
    (b.registration_delay, b.deregistration_delay) = (constant(SimDuration::ZERO), constant(secs(5)));
    let s = series(&spec, 0);
    assert_eq!(s.staleness.count(), s.arrivals, "the balancer alone decides");
    assert!(s.staleness.max().is_some_and(|max| (ms(5_050)..=ms(5_110)).contains(&max)), "{:?}", s.staleness.max());
    let old = s.staleness.mean_ns().unwrap_or_default() / 1e9;
    // The second deletion, at 8 s, is 1.1 s old when the first has been carried out.
    let expected = (5.1 * 5.1 / 2.0 + (4.0 * 4.0 - 1.1 * 1.1) / 2.0) / 12.0;
    assert!((old - expected).abs() < 0.1 * expected, "{old} s, expected {expected}");
}
