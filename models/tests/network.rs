//! The network decides: where a Pod is and what a link can carry show in what clients see.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::network::{LinkSpec, OneSwitchSpec, ShapeSpec};
use svcsim_models::record::{LinkResult, RunResult};
use svcsim_models::units::{Bandwidth, Bytes};

#[test]
fn a_pod_in_another_zone_is_farther_by_exactly_the_links_between() {
    let latency = |pod: &str| {
        let traffic = traffic(workload_origin("caller"), Via::ClusterIP, 300.0);
        let mut spec = spec(nodes_in(&["a", "a", "b"]), vec![web(&[pod], quick()), callers(&["n0"])], traffic);
        zoned(&mut spec);
        let s = series(&spec, 0);
        assert_eq!(s.cross_zone, if pod == "n2" { s.completed() } else { 0 });
        assert_eq!(s.latency.min(), s.latency.max(), "nothing else varies");
        s.latency.min().expect("requests complete")
    };
    assert_eq!(latency("n1"), ms(1) + us(40));
    assert_eq!(latency("n2").saturating_sub(latency("n1")), ms(2), "1 ms between zones, there and back");
}

/// 1 MB/s from and to every Node: 100 responses of 10 kB each second.
fn narrow(per_second: f64, queue: Option<Bytes>) -> ClusterSpec {
    let link = LinkSpec { bandwidth: Some(Bandwidth(8_000_000)), queue, ..delay(us(20)) };
    let traffic = traffic(workload_origin("caller"), Via::ClusterIP, per_second);
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n1"], quick()), callers(&["n0"])], traffic);
    spec.network.shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: link });
    spec
}

/// The link that had most to send.
fn busiest(run: &RunResult) -> &LinkResult {
    run.links.iter().max_by(|a, b| a.bytes.cmp(&b.bytes).then(a.utilisation.total_cmp(&b.utilisation))).expect("a network has links")
}

/// The response link of the Pod's Node is an M/D/1 queue: 10 ms of service at 60 % load.
#[test]
fn a_link_queues_as_md1() {
    let mut spec = narrow(60.0, None);
    spec.run = RunSpec { warm_up: secs(5), duration: secs(205), window: secs(5) };
    // Requests are of no size, so that only responses queue.
    source(&mut spec).request_size = constant(Bytes(0));
    let runs = replicate(&spec, 24);
    // Behind it the client's link meets one response every 10 ms, and none waits again; four propagation delays.
    let sending = 2.0 * 10.0 + 4.0 * 0.02;
    let wait = 10.0 * 0.6 / (2.0 * 0.4);
    assert_near(
        "time in the network, ms",
        runs.iter().map(|r| r.series[0].network.mean().expect("requests complete") / 1e6),
        sending + wait,
        0.01,
    );
    assert_near("utilisation of the link", runs.iter().map(|r| busiest(r).utilisation), 0.6, 0.01);
}

#[test]
fn a_saturated_link_delays_more_and_more() {
    let spec = narrow(150.0, None);
    let run = run_one(&spec, 0);
    let s = &run.series[0];
    assert_eq!(s.completed(), s.arrivals, "without a limit nothing is lost");
    for (i, w) in s.timeline.iter().enumerate().skip(1) {
        assert!((99..=101).contains(&w.completed), "window {i}: {} responses; the bandwidth is 100/s", w.completed);
        assert!(w.arrivals > 110, "window {i}: only {} requests were sent", w.arrivals);
    }
    let p50 = |i: usize| s.timeline[i].latency_p50.expect("responses in every window").as_millis_f64();
    // 50 responses more each second wait 10 ms each, and those answered were sent earlier: a third of the time is spent in line.
    let slope = (p50(9) - p50(2)) / 7.0;
    assert!((250.0..420.0).contains(&slope), "latency grows by {slope} ms a second; expected a third of a second");
    assert!(busiest(&run).utilisation > 0.99, "{:?}", busiest(&run));
    let longest = s.latency.max().expect("requests complete");
    assert!(longest > ms(2_500), "the last request was sent behind ten seconds' surplus: {longest}");
}

#[test]
fn a_full_link_drops_and_what_it_carries_is_its_bandwidth() {
    let mut spec = narrow(150.0, Some(Bytes(100_000)));
    // What is sent again would load the link once more.
    source(&mut spec).tcp.retransmit = false;
    spec.run = RunSpec { warm_up: secs(10), duration: secs(60), window: secs(1) };
    let run = run_one(&spec, 0);
    let s = &run.series[0];
    assert_eq!(others(s, &[Outcome::Completed, Outcome::LinkDrop]), 0);
    let full: Vec<&LinkResult> = run.links.iter().filter(|l| l.dropped > 0).collect();
    assert_eq!(full.len(), 1, "only the link from the Pod's Node is full: {full:?}");
    let (link, lost) = (full[0], count(s, Outcome::LinkDrop));
    // The link counts what it drops from the end of warm-up to the end, the series what was sent then; a line lasts 100 ms.
    assert!(link.dropped.abs_diff(lost) < 30, "{} dropped on the link, {lost} requests ended so", link.dropped);
    // A message counts when it is taken, and the line, which hardly ever runs empty at 150 % load, holds ten.
    assert!((4_990..=5_010).contains(&link.messages), "{} responses in 50 s at 100/s", link.messages);
    assert_eq!(link.bytes, 10_000 * link.messages);
    assert!(link.utilisation > 0.997, "{}", link.utilisation);
    // At most 100 kB stand before the link: 100 ms; then both links' sending, propagation, the demand, and the request's
    // own way, where 150 kB/s rarely wait.
    let longest = s.latency.max().expect("requests complete");
    assert!((ms(100)..ms(100 + 10 + 1 + 2 + 10)).contains(&longest), "{longest}");
}

/// Where nothing is limited there is nothing to wait for, however much is sent.
#[test]
fn a_pure_delay_never_queues() {
    let mut spec = narrow(2_000.0, None);
    spec.network.shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(us(20)) });
    let run = run_one(&spec, 0);
    let s = &run.series[0];
    assert_eq!((s.latency.min(), s.latency.max()), (Some(ms(1) + us(80)), Some(ms(1) + us(80))));
    assert!(run.links.iter().all(|l| l.utilisation == 0.0 && l.dropped == 0));
    assert_eq!(s.hops.sum(), 4 * u128::from(s.completed()));
    let carried: u64 = run.links.iter().map(|l| l.messages).sum();
    // Two messages of each request on two links; the last few may be sent when the counters have been read.
    assert!(carried <= 4 * s.arrivals && carried >= 4 * s.arrivals - 40, "{carried} messages for {} requests", s.arrivals);
}
