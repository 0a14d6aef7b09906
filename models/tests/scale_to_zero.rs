//! Pods that sleep while nobody needs them.

use crate::world::*;
use svcsim_models::record::RunResult;
use svcsim_models::scale_to_zero::ScaleToZeroSpec;
use svcsim_models::workload::{ArrivalsSpec, batch};

/// One Pod that needs 10 ms for a request and 200 ms to wake up; so many requests at once every `gap`.
fn sleeper(after: SimDuration, gap: SimDuration, at_once: u32) -> ClusterSpec {
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], behaviour(constant(ms(10)), 1))], traffic(Origin::Cluster, Via::ClusterIP, 1.0));
    spec.run = RunSpec { duration: secs(100), warm_up: secs(0), window: secs(10) };
    source(&mut spec).arrivals = ArrivalsSpec::Batch(batch::Spec { gap: constant(gap), size: batch::Number::Constant(at_once) });
    spec.workloads[0].pod.scale_to_zero = Some(ScaleToZeroSpec { after, cold_start: constant(ms(200)) });
    spec
}

fn cold_starts(run: &RunResult) -> usize {
    run.incidents.iter().filter(|i| i.event == "cold start").count()
}

#[test]
fn all_who_come_to_a_sleeping_pod_wait_until_it_is_awake() {
    let run = run_one(&sleeper(secs(1), secs(5), 3), 0);
    let s = &run.series[0];
    assert_eq!((s.completed(), s.arrivals, cold_starts(&run)), (s.arrivals, s.arrivals, s.arrivals as usize / 3));
    let quantile = |q| s.latency.quantile(q).expect("some").as_millis_f64();
    for (q, expected) in [(0.0, 210.0), (0.5, 220.0), (1.0, 230.0)] {
        assert!((quantile(q) - expected).abs() < 1.0, "{q}: {} ms, not {expected}", quantile(q));
    }
}

#[test]
fn a_pod_sleeps_only_after_it_was_idle_for_so_long() {
    let run = run_one(&sleeper(secs(6), secs(5), 1), 0);
    assert_eq!(cold_starts(&run), 0, "nobody is away for 6 s");
    let worst = run.series[0].latency.quantile(1.0).expect("some");
    assert!(worst < ms(15), "{worst}");
}

/// Pods that come for a while go again themselves, whichever the controller would choose.
#[test]
fn what_was_scaled_by_goes_again() {
    let mut spec = sleeper(secs(1), secs(5), 1);
    spec.workloads[0].pod.startup = constant(SimDuration::ZERO);
    let by = |by| Action::Scale(ScaleTarget { workload: "web".to_owned(), replicas: None, by: Some(by) });
    spec.events.insert("two".to_owned(), EventSpec::at(secs(10), by(2)).lasting(constant(secs(30))));
    spec.events.insert("one".to_owned(), EventSpec::at(secs(20), by(1)));
    let run = run_one(&spec, 0);
    let told = |event: &str| -> Vec<(u64, &str)> {
        run.incidents.iter().filter(|i| i.event == event).map(|i| (i.time.as_nanos() / 1_000_000_000, i.pod.as_str())).collect()
    };
    assert_eq!(told("create"), [(10, "web-1"), (10, "web-2"), (20, "web-3")]);
    assert_eq!(told("terminate"), [(40, "web-1"), (40, "web-2")], "not the youngest");
}
