//! Clusters that degenerate to queues with known answers: what the client sees must be the formula's.

#![allow(clippy::disallowed_methods, reason = "what is expected need not be the same to the last bit everywhere")]

use crate::world::*;
use std::collections::BTreeMap;
use svcsim_models::cluster::Outcome;
use svcsim_models::network::{LinkSpec, OneSwitchSpec, ShapeSpec};
use svcsim_models::record::RunResult;

const REPLICATIONS: u64 = 40;
const MEAN: SimDuration = ms(1);
const EXPONENTIAL: DistSpec<SimDuration> = DistSpec::Exponential { mean: MEAN };
/// Mean 1 ms, second moment 3.25 ms².
const BIMODAL: DistSpec<SimDuration> = DistSpec::Bimodal { low: us(500), high: us(5_500), high_probability: 0.1 };

/// One Pod on one Node, its clients beside it, nothing between them: `load` of what its servers can do, 25 s measured.
fn one_pod(pod: PodBehaviour, load: f64) -> ClusterSpec {
    let rate = load * f64::from(pod.concurrency) * 1e3;
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, rate));
    // Servers share the jobs of a replication, not multiply them.
    let measured = 18_000.0 / rate;
    spec.run = RunSpec { warm_up: secs(1), duration: SimDuration::from_nanos_f64((1.0 + measured) * 1e9), window: secs(5) };
    spec
}

fn latency_ms(run: &RunResult) -> f64 {
    run.series[0].latency.mean_ns().expect("requests complete") / 1e6
}

fn wait_ms(run: &RunResult) -> f64 {
    run.series[0].wait.mean().expect("requests complete") / 1e6
}

/// Busy servers over servers, by Pod.
fn utilisation(run: &RunResult, pod: usize) -> f64 {
    let pod = &run.pods[pod];
    pod.busy.as_secs_f64() / run.measured.as_secs_f64() / f64::from(pod.concurrency)
}

/// Nothing is lost, the wait and the latency are as expected (in ms), and servers are busy as Little's law says of
/// them: for `load` of the time.
fn assert_queue(what: &str, pod: PodBehaviour, load: f64, wait: f64) -> Vec<RunResult> {
    let runs = replicate(&one_pod(pod, load), REPLICATIONS);
    for run in &runs {
        assert_eq!(run.series[0].completed(), run.series[0].arrivals, "{what}: every request completes");
    }
    assert_near(format!("{what}: wait, ms"), runs.iter().map(wait_ms), wait, 0.05);
    assert_near(format!("{what}: latency, ms"), runs.iter().map(latency_ms), wait + 1.0, 0.03);
    assert_near(format!("{what}: utilisation"), runs.iter().map(|r| utilisation(r, 0)), load, 0.01);
    runs
}

/// The probability of waiting in M/M/c (Erlang 1917), by the recursion of his loss formula.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let loss = erlang_b(servers, load * f64::from(servers));
    loss / (1.0 - load * (1.0 - loss))
}

/// The probability of loss in M/G/c/c.
fn erlang_b(servers: u32, offered: f64) -> f64 {
    (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b))
}

/// Wait rho / (1 - rho) mean demands; the latency is exponential, so its 99th percentile is ln 100 means.
#[test]
fn mm1() {
    let runs = assert_queue("M/M/1", behaviour(EXPONENTIAL, 1), 0.7, 0.7 / 0.3);
    let p99 = runs.iter().map(|r| r.series[0].latency.quantile(0.99).expect("requests complete").as_millis_f64());
    assert_near("M/M/1: 99th percentile, ms", p99, 100f64.ln() / 0.3, 0.05);
}

/// The sojourn time of M/M/1 is exponential, so this is the share of clients that give up. Their Pod works on for them, so
/// nothing changes for the others.
#[test]
fn mm1_with_impatient_clients() {
    let mut spec = one_pod(behaviour(EXPONENTIAL, 1), 0.7);
    source(&mut spec).timeout = Some(ms(5));
    let runs = replicate(&spec, REPLICATIONS);
    let gave_up = |run: &RunResult| share(count(&run.series[0], Outcome::TimedOut), run.series[0].arrivals);
    assert_near("M/M/1: share of sojourns above 5 ms", runs.iter().map(gave_up), (-0.3f64 * 5.0).exp(), 0.05);
    assert_near("M/M/1: utilisation", runs.iter().map(|r| utilisation(r, 0)), 0.7, 0.01);
    assert!(
        runs.iter()
            .all(|r| r.series[0].latency.max() <= Some(ms(5)) && others(&r.series[0], &[Outcome::Completed, Outcome::TimedOut]) == 0)
    );
}

/// Wait C(c, rho) / (c (1 - rho)) mean demands.
#[test]
fn mm4() {
    assert_queue("M/M/4", behaviour(EXPONENTIAL, 4), 0.8, erlang_c(4, 0.8) / (4.0 * 0.2));
}

/// Pollaczek and Khinchine: wait lambda E[S²] / (2 (1 - rho)).
#[test]
fn mg1() {
    let load = 0.6;
    let wait = |second_moment: f64| load * second_moment / (2.0 * (1.0 - load));
    assert_queue("M/D/1", behaviour(constant(MEAN), 1), load, wait(1.0));
    assert_queue("M/G/1, lognormal", behaviour(DistSpec::Lognormal { mean: MEAN, cv: 1.5 }, 1), load, wait(1.0 + 1.5 * 1.5));
    assert_queue("M/G/1, bimodal", behaviour(BIMODAL, 1), load, wait(3.25));
}

/// Sharing one processor, the mean latency is 1 / (1 - rho) mean demands whatever the distribution of demands
/// (Kleinrock 1967; Sakata et al. 1969); four, it is that of M/M/4.
#[test]
fn mg1_ps_is_insensitive() {
    let sharing = |demand, servers| PodBehaviour { discipline: Discipline::ProcessorSharing, ..behaviour(demand, servers) };
    for (name, demand) in [("exponential", EXPONENTIAL), ("constant", constant(MEAN)), ("bimodal", BIMODAL)] {
        assert_queue(&format!("M/G/1-PS, {name}"), sharing(demand, 1), 0.6, 0.6 / 0.4);
    }
    assert_queue("M/G/4-PS, bimodal", sharing(BIMODAL, 4), 0.8, erlang_c(4, 0.8) / (4.0 * 0.2));
}

/// With room for K the loss is (1 - rho) rho^K / (1 - rho^(K+1)), and those let in meet a line that is cut off there.
/// Sharing its processor, a Pod loses as many whatever the distribution of demands.
#[test]
fn mm1k_loses_what_does_not_fit() {
    let (load, room) = (0.9f64, 5);
    let loss = (1.0 - load) * load.powi(room) / (1.0 - load.powi(room + 1));
    let in_system = load / (1.0 - load) - f64::from(room + 1) * load.powi(room + 1) / (1.0 - load.powi(room + 1));
    let limited = |demand, discipline| PodBehaviour { queue_limit: Some(4), discipline, ..behaviour(demand, 1) };
    for (name, pod) in
        [("M/M/1/5", limited(EXPONENTIAL, Discipline::Fifo)), ("M/G/1/5-PS, bimodal", limited(BIMODAL, Discipline::ProcessorSharing))]
    {
        let runs = replicate(&one_pod(pod, load), REPLICATIONS);
        for run in &runs {
            assert_eq!(others(&run.series[0], &[Outcome::Completed, Outcome::QueueFull]), 0, "{name}: lost in one way only");
        }
        let lost = |run: &RunResult| share(count(&run.series[0], Outcome::QueueFull), run.series[0].arrivals);
        assert_near(format!("{name}: loss"), runs.iter().map(lost), loss, 0.02);
        assert_near(format!("{name}: latency, ms"), runs.iter().map(latency_ms), in_system / (load * (1.0 - loss)), 0.02);
        assert_near(format!("{name}: utilisation"), runs.iter().map(|r| utilisation(r, 0)), load * (1.0 - loss), 0.01);
    }
}

/// Without a line, servers lose by Erlang's formula, whatever the distribution of demands (Sevastyanov 1957).
#[test]
fn mg4_without_a_line_is_erlang_b() {
    let pod = PodBehaviour { queue_limit: Some(0), ..behaviour(DistSpec::Lognormal { mean: MEAN, cv: 1.5 }, 4) };
    let runs = replicate(&one_pod(pod, 0.75), REPLICATIONS);
    let lost = |run: &RunResult| share(count(&run.series[0], Outcome::QueueFull), run.series[0].arrivals);
    assert_near("M/G/4/4: loss", runs.iter().map(lost), erlang_b(4, 3.0), 0.02);
    assert!(runs.iter().all(|r| r.series[0].wait.max() == Some(0)), "nobody waits where there is no line");
}

/// A random split of Poisson arrivals is Poisson: behind a cluster IP each Pod is an M/M/4 of its own, at 0.7. A hop
/// takes 20 µs and an exponential time of mean 30 µs, and there are two each way.
#[test]
fn a_cluster_ip_splits_at_random_into_mm4_queues() {
    const PODS: usize = 10;
    let names: Vec<String> = (0..PODS + 4).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (servers, clients) = names.split_at(PODS);
    let pod = behaviour(DistSpec::Exponential { mean: ms(5) }, 4);
    let traffic = traffic(workload_origin("caller"), Via::ClusterIP, 560.0 * PODS as f64);
    let mut spec = spec(nodes_in(&["z"; PODS + 4]), vec![web(servers, pod), callers(clients)], traffic);
    let hop = DistSpec::Shifted { by: us(20), dist: Box::new(DistSpec::Exponential { mean: us(30) }) };
    spec.network.shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: LinkSpec { delay: hop, bandwidth: None, queue: None } });
    spec.run = RunSpec { warm_up: secs(1), duration: secs(8), window: secs(1) };
    let runs = replicate(&spec, REPLICATIONS);

    let waiting = erlang_c(4, 0.7);
    let mean = 5.0 + waiting * 5.0 / (4.0 * 0.3) + 4.0 * 0.05;
    assert!((mean - 6.98606).abs() < 5e-6, "the formula's own value, known from elsewhere: {mean}");
    assert_near("latency, ms", runs.iter().map(latency_ms), mean, 0.005);
    assert_near("network, ms", runs.iter().map(|r| r.series[0].network.mean().expect("requests complete") / 1e6), 0.2, 0.001);
    let p99 = latency_quantile(waiting, 0.01);
    assert!((p99 - 27.66).abs() < 0.005, "the formula's own value, known from elsewhere: {p99}");
    assert_near(
        "99th percentile, ms",
        runs.iter().map(|r| r.series[0].latency.quantile(0.99).expect("requests complete").as_millis_f64()),
        p99,
        0.01,
    );
    for pod in 0..PODS {
        assert_near(format!("utilisation of Pod {pod}"), runs.iter().map(|r| utilisation(r, pod)), 0.7, 0.01);
    }
    let hops: BTreeMap<_, _> = runs.iter().map(|r| (r.series[0].hops.min(), r.series[0].hops.max())).collect();
    assert_eq!(hops, BTreeMap::from([(Some(4), Some(4))]), "two links each way, always");
}

/// The latency, in ms, that a share of `tail` exceeds: demand, exponential of rate 0.2; with probability `waiting` a
/// wait, exponential of rate 0.24; 0.08 and four exponentials of mean 0.03 in the network, whose moment-generating
/// function is exact here, since the tail begins far beyond them.
fn latency_quantile(waiting: f64, tail: f64) -> f64 {
    let (demand, wait) = (0.2f64, 0.24f64);
    let network = |rate: f64| (rate * 0.08).exp() / (1.0 - rate * 0.03).powi(4);
    let beyond = |rate: f64, t: f64| network(rate) * (-rate * t).exp();
    let ccdf = |t: f64| {
        let both = (wait * beyond(demand, t) - demand * beyond(wait, t)) / (wait - demand);
        (1.0 - waiting) * beyond(demand, t) + waiting * both
    };
    let (mut low, mut high) = (1.0, 1_000.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if ccdf(middle) > tail { low = middle } else { high = middle }
    }
    high
}
