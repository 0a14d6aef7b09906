//! Orders of service, and Pods that refuse what they cannot serve in time.

use crate::world::*;
use svcsim_models::cluster::{Outcome, check};
use svcsim_models::limiter::{Aimd, Gradient2, LimiterSpec};

/// One Pod of one server with exponential demands of 10 ms, asked for 80 a second.
fn queue(discipline: Discipline) -> ClusterSpec {
    let pod = PodBehaviour { discipline, ..behaviour(DistSpec::Exponential { mean: ms(10) }, 1) };
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, 80.0));
    spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
    spec
}

/// Last come, first served: the mean wait of M/M/1 stays, its variance does not (Kleinrock 1976, volume 2, section 3.4): the second
/// moment of the wait is that of FIFO divided by 1 - rho.
#[test]
fn last_in_first_out_has_the_same_mean_and_a_longer_tail() {
    let runs = |discipline| replicate(&queue(discipline), 40);
    let mean = |r: &svcsim_models::record::RunResult| r.series[0].latency.mean_ns().expect("some") / 1e6;
    assert_near("mean", runs(Discipline::Lifo).iter().map(mean), 50.0, 0.03);
    let p99 =
        |discipline| runs(discipline).iter().map(|r| r.series[0].latency.quantile(0.99).expect("some").as_millis_f64()).sum::<f64>() / 40.0;
    let (fifo, lifo) = (p99(Discipline::Fifo), p99(Discipline::Lifo));
    assert!(lifo > 1.5 * fifo, "{lifo} against {fifo}");
}

/// Two classes of priority without interruption (Cobham 1954): waits of W0 / (1 - s1) and W0 / ((1 - s1)(1 - s1 - s2)), where W0 is
/// the load times the mean residual demand, 8 ms, and s1 = 0.3, s2 = 0.5.
#[test]
fn priorities_are_cobhams() {
    let mut spec = queue(Discipline::Priority);
    source(&mut spec).arrivals = poisson(30.0);
    let low = TrafficSpec { priority: 1, arrivals: poisson(50.0), ..source(&mut spec).clone() };
    spec.traffic.insert("low".to_owned(), low);
    let runs = replicate(&spec, 40);
    let waits = |i: usize| runs.iter().map(move |r| r.series[i].wait.mean().expect("some") / 1e6);
    assert_near("high", waits(0), 8.0 / 0.7, 0.03);
    assert_near("low", waits(1), 8.0 / (0.7 * 0.2), 0.05);
}

/// Who has waited too long is refused when its turn comes: those served waited no longer, and nobody vanishes.
#[test]
fn what_would_come_too_late_is_refused() {
    let mut spec = queue(Discipline::Fifo);
    source(&mut spec).arrivals = poisson(150.0);
    spec.workloads[0].pod.shed_after = Some(ms(100));
    let s = series(&spec, 0);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::Shed]), 0, "{:?}", s.outcomes);
    let served = s.completed() as f64 / 200.0;
    assert!((served - 100.0).abs() < 4.0, "the server is always busy with those in time: {served}");
    assert!(s.wait.max().expect("some") <= 100_000_000, "{:?}", s.wait.max());
}

/// Under twice the load a limit by latency keeps the line short; without, it grows all the time.
#[test]
fn limits_follow_latency() {
    let p50 = |limit| {
        let mut spec = queue(Discipline::Fifo);
        source(&mut spec).arrivals = poisson(200.0);
        spec.run = RunSpec { duration: secs(60), warm_up: secs(20), window: secs(10) };
        spec.workloads[0].pod.adaptive_limit = limit;
        let s = series(&spec, 0);
        assert_eq!(others(&s, &[Outcome::Completed, Outcome::Shed]), 0);
        s.latency.quantile(0.5).expect("some").as_millis_f64()
    };
    let aimd = p50(Some(LimiterSpec::Aimd(Aimd { initial: 5, min: 1, timeout: ms(60), ..Aimd::default() })));
    let gradient = p50(Some(LimiterSpec::Gradient2(Gradient2 { initial: 5, min: 1, ..Gradient2::default() })));
    let without = p50(None);
    assert!(aimd < 100.0 && gradient < 3_000.0 && without > 10_000.0, "{aimd} {gradient} {without}");
    let mut nonsense = queue(Discipline::Fifo);
    nonsense.workloads[0].pod.adaptive_limit = Some(LimiterSpec::Aimd(Aimd { min: 30, ..Aimd::default() }));
    let problem = check(&nonsense).expect_err("no order").to_string();
    assert!(problem.starts_with("pods.web.adaptiveLimit.aimd: limits from 30 over 20"), "{problem}");
}

/// Two classes of requests over one line: each has its demands, and both wait as long (Pollaczek and Khinchine: at 40/s of 5 ms and
/// 20/s of 25 ms, W = sum of rate times E[S^2] / 2 / (1 - load) with constant demands).
#[test]
fn classes_have_demands_of_their_own() {
    let mut spec = queue(Discipline::Fifo);
    source(&mut spec).arrivals = poisson(40.0);
    source(&mut spec).service_time = Some(constant(ms(5)));
    let slow = TrafficSpec { arrivals: poisson(20.0), service_time: Some(constant(ms(25))), ..source(&mut spec).clone() };
    spec.traffic.insert("slow".to_owned(), slow);
    let runs = replicate(&spec, 20);
    let expected = (40.0 * 0.005 * 0.005 + 20.0 * 0.025 * 0.025) / 2.0 / (1.0 - 0.7) * 1e3;
    for (i, name) in ["quick", "slow"].into_iter().enumerate() {
        assert_near(name, runs.iter().map(|r| r.series[i].wait.mean().expect("some") / 1e6), expected, 0.03);
    }
    assert!(runs.iter().all(|r| r.series[1].service.mean() == Some(25e6)));
}
