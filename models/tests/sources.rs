//! Sources in whole runs: closed loops, sessions, recorded requests.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::units::Rate;
use svcsim_models::workload::replay::{Numbers, Records};
use svcsim_models::workload::{ArrivalsSpec, batch, closed_loop, replay, sessions};

fn called(arrivals: ArrivalsSpec, pod: PodBehaviour) -> ClusterSpec {
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, 1.0));
    source(&mut spec).arrivals = arrivals;
    spec
}

fn users(users: u32, think: DistSpec<SimDuration>) -> ArrivalsSpec {
    ArrivalsSpec::ClosedLoop(closed_loop::Spec { users, think })
}

/// The machine-repair model: ten users who think for 100 ms, one server of 10 ms: the stationary law is a product form (Gross and
/// Harris, *Fundamentals of Queueing Theory*, section 2.7). The mean response follows from throughput by Little's law.
#[test]
fn a_closed_loop_is_the_machine_repair_model() {
    let mut p = vec![1.0f64];
    for n in 1..=10u32 {
        p.push(p[n as usize - 1] * f64::from(11 - n) * 10.0 / 100.0);
    }
    let busy = 1.0 - 1.0 / p.iter().sum::<f64>();
    let throughput = busy * 100.0;
    let response = 10.0 / throughput * 1e3 - 100.0;
    for think in [DistSpec::Exponential { mean: ms(100) }, constant(ms(100))] {
        let mut spec = called(users(10, think), behaviour(DistSpec::Exponential { mean: ms(10) }, 1));
        spec.run = RunSpec { duration: secs(120), warm_up: secs(20), window: secs(10) };
        let runs = replicate(&spec, 20);
        let means = runs.iter().map(|r| r.series[0].latency.mean_ns().expect("some") / 1e6);
        assert_near("response", means, response, 0.02);
        assert_near("throughput", runs.iter().map(|r| r.series[0].completed() as f64 / 100.0), throughput, 0.01);
    }
}

/// No more under way than there are users, whatever happens to their requests; all of them go on after failures.
#[test]
fn users_wait_for_their_answers_and_go_on_after_failures() {
    let pod = PodBehaviour { queue_limit: Some(0), ..behaviour(constant(ms(10)), 1) };
    let s = series(&called(users(3, constant(ms(1))), pod), 0);
    assert!(s.arrivals > 10 * 200, "who is refused thinks a millisecond and sends again: {}", s.arrivals);
    assert!(count(&s, Outcome::QueueFull) > 0 && s.completed() > 900);
    let mut slow = called(users(3, constant(ms(1))), behaviour(constant(secs(1)), 10));
    source(&mut slow).timeout = Some(ms(100));
    let s = series(&slow, 0);
    assert!((s.arrivals as i64 - 3 * 10_000 / 101).abs() <= 3, "each gives up after 100 ms: {}", s.arrivals);
}

/// Sessions of one request each are Poisson arrivals; of several, so many times as many requests.
#[test]
fn sessions_make_their_calls_and_go() {
    let sessions = |calls| ArrivalsSpec::Sessions(sessions::Spec { rate: Rate(50.0), calls, think: constant(ms(20)) });
    let run = |calls| {
        let mut spec = called(sessions(calls), quick());
        spec.run.duration = secs(100);
        series(&spec, 0)
    };
    let single = run(batch::Number::Constant(1));
    assert!(single.arrivals.abs_diff(5_000) < 290, "{}", single.arrivals);
    let several = run(batch::Number::Constant(4));
    assert!((several.arrivals as i64 - 4 * single.arrivals as i64).abs() < 40, "but for those that begin at the end: {}", several.arrivals);
    let geometric = run(batch::Number::Geometric { mean: 4.0 });
    assert!(geometric.arrivals.abs_diff(20_000) < 1_500, "{}", geometric.arrivals);
}

/// What was recorded of a request is what it is: its demand and its sizes; the rest is drawn.
#[test]
fn recorded_requests_are_as_they_were() {
    let numbers = |n: &[u64]| Numbers(n.into());
    let recorded = Records {
        gaps: numbers(&[1_000_000_000; 4]),
        service_times: numbers(&[5_000_000, 10_000_000, 15_000_000, 20_000_000]),
        response_sizes: numbers(&[0, 0, 125_000, 0]),
        ..Records::default()
    };
    let arrivals = ArrivalsSpec::Replay(replay::Spec { recorded, speed: 1.0, keep: 1.0, clones: 1, repeat: false });
    let mut spec = called(arrivals, quick());
    let s = series(&spec, 0);
    assert_eq!((s.arrivals, s.service.sum()), (4, 50_000_000));
    source(&mut spec).from = internet();
    source(&mut spec).via = Via::LoadBalancer;
    let site = spec.network.sites.get_mut("internet").expect("a site");
    site.link.bandwidth = Some(svcsim_models::units::Bandwidth(1_000_000));
    let s = series(&spec, 0);
    assert!(s.latency.max() > Some(secs(1)), "125 kB at 1 Mbit/s: {:?}", s.latency.max());
}
