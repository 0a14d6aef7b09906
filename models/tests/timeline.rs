//! The timeline adds up to the totals, and what is measured begins where warm-up ends.

use crate::world::*;
use svcsim_models::record::SeriesResult;

/// A busy Service with churn, drops and impatient clients, over windows that do not divide the run.
fn eventful() -> ClusterSpec {
    let pod = behaviour(DistSpec::Exponential { mean: ms(10) }, 2);
    let traffic = TrafficSpec { timeout: Some(ms(500)), ..traffic(internet(), Via::NodePort, 300.0) };
    let mut spec = spec(nodes_in(&["a", "b", "b"]), vec![web(&["n0", "n1", "n1"], pod)], traffic);
    zoned(&mut spec);
    spec.services[0].external_traffic_policy = TrafficPolicy::Local;
    crashes(&mut spec, "web", constant(secs(3)));
    deletions(&mut spec, "web", constant(secs(4)));
    spec.run = RunSpec { warm_up: ms(2_500), duration: secs(20), window: ms(700) };
    spec
}

fn sum(s: &SeriesResult, of: fn(&svcsim_models::record::Window) -> u64) -> u64 {
    s.timeline.iter().map(of).sum()
}

#[test]
fn windows_cover_the_run_without_gaps() {
    let s = series(&eventful(), 0);
    assert_eq!(s.timeline.len(), 29, "20 s in windows of 0.7 s");
    let mut expected = 0;
    for w in &s.timeline {
        assert_eq!(w.start.as_nanos(), expected);
        expected += w.width.as_nanos();
    }
    assert_eq!(expected, secs(20).as_nanos());
    assert_eq!(s.timeline[28].width, ms(400), "the last is what is left");
}

/// Arrivals count where they are sent, ends where they end: what is sent in the last moments ends after the last window.
#[test]
fn windows_sum_to_the_totals() {
    for replication in 0..10 {
        let s = series(&eventful(), replication);
        let ended: u64 = s.outcomes_ever.iter().sum();
        assert_eq!((sum(&s, |w| w.arrivals), s.in_flight), (s.arrivals_ever, 0), "replication {replication}");
        assert_eq!(ended, s.arrivals_ever, "all are followed to their end");
        let late = ended - sum(&s, |w| w.completed + w.errors);
        // Clients wait half a second at most, so what is late was sent in the last half second: 150 on average.
        assert!(late < 150 + 4 * 13, "{late} ended after the last window, replication {replication}");
        let late = s.outcomes_ever[0] - sum(&s, |w| w.completed);
        assert!(late < 150, "{late} responses after the last window, replication {replication}");
        assert!(sum(&s, |w| w.errors) > 100, "a run in which nothing fails shows nothing");
    }
}

#[test]
fn what_was_sent_in_warm_up_is_simulated_but_not_measured() {
    let (measured, all) = (eventful(), ClusterSpec { run: RunSpec { warm_up: SimDuration::ZERO, ..eventful().run }, ..eventful() });
    let (measured, all) = (run_one(&measured, 0), run_one(&all, 0));
    let (m, a) = (&measured.series[0], &all.series[0]);
    assert_eq!((m.arrivals_ever, &m.outcomes_ever), (a.arrivals_ever, &a.outcomes_ever), "measuring changes nothing");
    assert_eq!((a.arrivals, &a.outcomes), (a.arrivals_ever, &a.outcomes_ever));
    assert_eq!(m.ended(), m.arrivals);
    assert_eq!((m.latency.count(), m.wait.count(), m.hops.count()), (m.completed(), m.completed(), m.completed()));
    assert_eq!((measured.measured, all.measured), (ms(17_500), secs(20)));
    let before: u64 = a.timeline.iter().filter(|w| w.start.as_nanos() < ms(2_100).as_nanos()).map(|w| w.arrivals).sum();
    let through: u64 = a.timeline.iter().filter(|w| w.start.as_nanos() < ms(2_800).as_nanos()).map(|w| w.arrivals).sum();
    let unmeasured = m.arrivals_ever - m.arrivals;
    assert!((before..=through).contains(&unmeasured), "{unmeasured} sent in the first 2.5 s; {before} in 2.1 s, {through} in 2.8 s");
}

/// `busy` covers the measured part and no more, however many Pods filled a place one after another. (A Pod that is deleted
/// may work beside its replacement for a while; one that crashed does not.)
#[test]
fn servers_are_not_busier_than_the_run_is_long() {
    let mut spec = eventful();
    source(&mut spec).arrivals = poisson(2_000.0);
    spec.events.remove("delete-web");
    let run = run_one(&spec, 0);
    for pod in &run.pods {
        let limit = run.measured * u64::from(pod.concurrency);
        assert!(pod.busy <= limit, "{}: busy for {} of {limit}", pod.name, pod.busy);
        assert!(pod.busy > SimDuration::ZERO, "{pod:?}");
    }
    assert!(run.incidents.iter().any(|i| i.event == "restart") && run.pods.iter().any(|p| p.busy > run.measured), "{:?}", run.pods);
}

/// What was sent is followed for as long again, and what has not ended then is said to be in flight.
#[test]
fn a_line_without_end_is_reported_as_in_flight() {
    let pod = behaviour(constant(ms(10)), 1);
    let spec = spec(nodes_in(&[""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, 400.0));
    let s = series(&spec, 0);
    assert!((3_700..4_300).contains(&s.arrivals), "{} sent in 10 s at 400/s", s.arrivals);
    // 100 a second, in twice ten seconds, but for the time to the first arrival.
    assert!((1_998..=2_000).contains(&s.completed()), "{} served in 20 s at 100/s", s.completed());
    assert_eq!(s.in_flight, s.arrivals - s.completed());
}

/// Whoever runs may stop it after any window.
#[test]
fn a_run_can_be_stopped() {
    let asked = std::cell::Cell::new(0);
    let keep_going = || {
        asked.set(asked.get() + 1);
        asked.get() < 5
    };
    let stopped = svcsim_models::cluster::run(&eventful(), &svcsim_engine::Streams::new(SEED, 0), &keep_going);
    assert!(matches!(stopped, Ok(None)), "nobody wants half a result");
    assert_eq!(asked.get(), 5);
}
