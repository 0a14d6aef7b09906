//! Rates, variability and memory of arrival processes.

use super::batch::Number;
use super::replay::{Numbers, Records};
use super::*;
use crate::units::Rate;
use svcsim_engine::random::{DistSpec, Streams};

const fn ms(n: u64) -> SimDuration {
    SimDuration::from_millis(n)
}

/// Arrival times, s.
fn times(spec: &ArrivalsSpec, n: usize, seed: u64) -> Vec<f64> {
    let mut stream = Streams::new(seed, 0).stream(1, 0);
    let mut process = spec.build("arrivals").expect("it makes sense");
    let mut at = 0.0;
    std::iter::from_fn(|| process.gap(&mut stream))
        .take(n)
        .map(|gap| {
            at += gap.as_secs_f64();
            at
        })
        .collect()
}

/// Arrivals in windows of `width` seconds up to `end`.
fn counts(times: &[f64], width: f64, end: f64) -> Vec<f64> {
    let mut counts = vec![0.0; (end / width) as usize];
    times.iter().map(|t| (*t / width) as usize).for_each(|w| {
        if let Some(c) = counts.get_mut(w) {
            *c += 1.0
        }
    });
    counts
}

/// Variance over mean.
fn dispersion(counts: &[f64]) -> f64 {
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / (counts.len() - 1) as f64 / mean
}

fn renewal(gap: DistSpec<SimDuration>) -> ArrivalsSpec {
    ArrivalsSpec::Renewal(renewal::Spec { gap })
}

fn mmpp() -> ArrivalsSpec {
    let state = |rate, stay| mmpp::State { rate: Rate(rate), stay: ms(stay), next: Vec::new() };
    ArrivalsSpec::Mmpp(mmpp::Spec { states: vec![state(120.0, 500), state(40.0, 1_500)] })
}

#[test]
fn rates_are_what_they_say() {
    let on_off = |shape| on_off::Spec {
        senders: 40,
        rate: Rate(20.0),
        on: DistSpec::Pareto { min: ms(200), shape },
        off: DistSpec::Pareto { min: ms(600), shape },
    };
    let cases = [
        renewal(DistSpec::Constant(ms(5))),
        renewal(DistSpec::Gamma { mean: ms(5), shape: 0.5 }),
        mmpp(),
        ArrivalsSpec::OnOff(on_off(2.5)),
        ArrivalsSpec::Batch(batch::Spec { gap: DistSpec::Exponential { mean: ms(50) }, size: Number::Geometric { mean: 7.0 } }),
        ArrivalsSpec::Batch(batch::Spec { gap: DistSpec::Constant(ms(50)), size: Number::Uniform { min: 1, max: 9 } }),
    ];
    for spec in cases {
        let times = times(&spec, 200_000, 3);
        let rate = times.len() as f64 / times.last().expect("many");
        assert!((rate / spec.rate() - 1.0).abs() < 0.03, "{spec:?}: {rate} instead of {}", spec.rate());
    }
}

/// The limiting index of dispersion for counts of an MMPP of two states (Fischer and Meier-Hellstern 1993, equation 6):
/// 1 + 2 (l1 - l2)^2 s1 s2 / ((s1 + s2)^2 (l1 s2 + l2 s1)), s the rates of leaving.
#[test]
fn an_mmpp_is_as_bursty_as_theory_has_it() {
    let (s1, s2): (f64, f64) = (2.0, 1.0 / 1.5);
    let expected = 1.0 + 2.0 * 80.0 * 80.0 * s1 * s2 / ((s1 + s2) * (s1 + s2) * (120.0 * s2 + 40.0 * s1));
    let times = times(&mmpp(), 600_000, 4);
    let found = dispersion(&counts(&times, 20.0, *times.last().expect("many")));
    // Of 500 windows: a standard error of 6 %; the window is 40 times as long as a cycle.
    assert!((found / expected - 1.0).abs() < 0.2, "{found} instead of {expected}");
    assert!((dispersion(&counts(&times, 0.001, 1_000.0)) - 1.0).abs() < 0.1, "at once it is Poisson");
}

/// States that lead anywhere: the part of the time in each follows from the jump chain.
#[test]
fn states_may_lead_anywhere() {
    let state = |rate, next: &[f64]| mmpp::State { rate: Rate(rate), stay: ms(100), next: next.to_vec() };
    // The first comes back to itself half of the times: visits 2/4, 1/4, 1/4.
    let states = vec![state(100.0, &[1.0, 1.0, 0.0]), state(10.0, &[0.0, 0.0, 1.0]), state(1.0, &[1.0, 0.0, 0.0])];
    let spec = ArrivalsSpec::Mmpp(mmpp::Spec { states });
    assert!((spec.rate() - (0.5 * 100.0 + 0.25 * 10.0 + 0.25)).abs() < 1e-9, "{}", spec.rate());
}

#[test]
fn a_curve_is_followed() {
    let point = |at, rate| curve::Point { at: SimDuration::from_secs(at), rate: Rate(rate) };
    let spec = |points: Vec<curve::Point>, repeat| ArrivalsSpec::Curve(curve::Spec { points, repeat });
    // A ramp from 0 to 1000/s in 100 s, then a step down to 100/s.
    let ramp = times(&spec(vec![point(0, 0.0), point(100, 1_000.0), point(100, 100.0)], false), 60_000, 5);
    let by_ten = counts(&ramp, 10.0, 150.0);
    for (i, n) in by_ten.iter().enumerate() {
        let expected = if i < 10 { 500.0 + 1_000.0 * i as f64 } else { 1_000.0 };
        assert!((n - expected).abs() < 5.0 * expected.sqrt(), "{i}: {n} instead of {expected}");
    }
    // A day of 20 s, again and again.
    let days = spec(vec![point(0, 100.0), point(10, 300.0), point(20, 100.0)], true);
    assert!((days.rate() - 200.0).abs() < 1e-9);
    let by_five = counts(&times(&days, 40_000, 6), 5.0, 160.0);
    for (i, n) in by_five.iter().enumerate() {
        let expected = 5.0 * if [0, 3].contains(&(i % 4)) { 150.0 } else { 250.0 };
        assert!((n - expected).abs() < 5.0 * expected.sqrt(), "{i}: {n} instead of {expected}");
    }
    let ends = times(&spec(vec![point(0, 100.0), point(10, 0.0)], false), 10_000, 7);
    assert!(ends.len().abs_diff(500) < 110 && ends.last() < Some(&10.0), "silence after the last point: {}", ends.len());
}

/// The variance of the mean of windows falls as their length to the power of 2H - 2: with tails of index 1.4 H is 0.8, Poisson has 0.5.
#[test]
fn on_and_off_is_bursty_at_every_scale() {
    let on_off = on_off::Spec {
        senders: 50,
        rate: Rate(40.0),
        on: DistSpec::Pareto { min: ms(100), shape: 1.4 },
        off: DistSpec::Pareto { min: ms(100), shape: 1.4 },
    };
    let hurst = |spec: &ArrivalsSpec| {
        let times = times(spec, 4_000_000, 8);
        let variance = |width: f64| {
            let c = counts(&times, width, times.last().expect("many") - width);
            let mean = c.iter().sum::<f64>() / c.len() as f64;
            c.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / c.len() as f64 / width / width
        };
        let slope = libm::log(variance(20.0) / variance(1.0)) / libm::log(20.0);
        1.0 + slope / 2.0
    };
    let (bursty, poisson) = (hurst(&ArrivalsSpec::OnOff(on_off)), hurst(&ArrivalsSpec::Poisson(poisson::Spec { rate: Rate(1_000.0) })));
    assert!((bursty - 0.8).abs() < 0.08 && (poisson - 0.5).abs() < 0.06, "{bursty} {poisson}");
}

fn numbers(n: &[u64]) -> Numbers {
    Numbers(n.into())
}

fn replay(recorded: Records) -> replay::Spec {
    replay::Spec { recorded, speed: 1.0, keep: 1.0, clones: 1, repeat: false }
}

#[test]
fn records_are_replayed_to_the_nanosecond() {
    let gaps: Vec<u64> = (0..1_000u64).map(|i| 1_000_000_007 * (i % 7) / 3).collect();
    let spec = replay(Records { gaps: numbers(&gaps), service_times: numbers(&(0..1_000).collect::<Vec<_>>()), ..Records::default() });
    let mut stream = Streams::new(1, 0).stream(1, 0);
    let mut process = ArrivalsSpec::Replay(spec.clone()).build("").expect("sound");
    for (i, gap) in gaps.iter().enumerate() {
        assert_eq!(process.gap(&mut stream), Some(SimDuration::from_nanos(*gap)));
        assert_eq!(process.recorded().service_time, Some(SimDuration::from_nanos(i as u64)));
    }
    assert_eq!(process.gap(&mut stream), None, "nothing more was recorded");
    let last = |spec: replay::Spec, n| *times(&ArrivalsSpec::Replay(spec), n, 2).last().expect("some");
    let length = gaps.iter().sum::<u64>() as f64 / 1e9;
    assert!((last(spec.clone(), 2_000) - length).abs() < 1e-6);
    assert!((last(replay::Spec { speed: 3.0, ..spec.clone() }, 2_000) - length / 3.0).abs() < 1e-6, "rounding does not add up");
    assert!((last(replay::Spec { repeat: true, ..spec.clone() }, 2_000) - 2.0 * length).abs() < 1e-6);
    assert_eq!(times(&ArrivalsSpec::Replay(replay::Spec { clones: 3, ..spec.clone() }), 9_999, 2).len(), 3_000);
    let kept = times(&ArrivalsSpec::Replay(replay::Spec { keep: 0.3, ..spec }), 9_999, 2).len();
    assert!(kept.abs_diff(300) < 60, "{kept}");
}

/// 600 in the first minute, none in the second, 1200 in the third, all times of a minute alike.
#[test]
fn counts_are_spread_over_their_periods() {
    let minute = 60_000_000_000;
    let recorded = Records { gaps: numbers(&[0, minute, minute]), counts: numbers(&[600, 0, 1_200]), ..Records::default() };
    let times = times(&ArrivalsSpec::Replay(replay(recorded)), 9_999, 9);
    assert_eq!(counts(&times, 60.0, 180.0), [600.0, 0.0, 1_200.0]);
    assert!(counts(&times, 10.0, 60.0).iter().all(|n| (n - 100.0).abs() < 45.0));
    assert!(times.is_sorted());
}

#[test]
fn what_makes_no_sense_names_its_field() {
    let problem = |spec: ArrivalsSpec| spec.build("arrivals").expect_err("it makes no sense").to_string();
    let cases = [
        (renewal(DistSpec::Constant(SimDuration::ZERO)), "arrivals.renewal.gap: a mean gap of less than a nanosecond"),
        (ArrivalsSpec::Mmpp(mmpp::Spec { states: Vec::new() }), "arrivals.mmpp.states: 0 states"),
        (ArrivalsSpec::Curve(curve::Spec { points: Vec::new(), repeat: false }), "arrivals.curve.points: no points"),
        (
            ArrivalsSpec::Batch(batch::Spec { gap: DistSpec::Constant(ms(5)), size: Number::Geometric { mean: 0.5 } }),
            "arrivals.batch.size: ",
        ),
        (ArrivalsSpec::Replay(replay(Records::default())), "arrivals.replay.recorded: nothing was recorded"),
        (
            ArrivalsSpec::Replay(replay(Records { gaps: numbers(&[1, 2]), counts: numbers(&[1]), ..Records::default() })),
            "arrivals.replay.recorded.counts: 1 values for 2 times",
        ),
        (ArrivalsSpec::ClosedLoop(closed_loop::Spec { users: 0, think: DistSpec::Constant(ms(1)) }), "arrivals.closedLoop.users: 0 users"),
    ];
    for (spec, expected) in cases {
        let found = problem(spec);
        assert!(found.starts_with(expected), "{found}");
    }
}
