//! Requests that call other Services: what they cost, what they fail by, and where the time goes.

use crate::world::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use svcsim_models::cluster::{Outcome, check};
use svcsim_models::record::{RunResult, SeriesResult};

/// A workload of this name behind a Service of the same name.
fn add(spec: &mut ClusterSpec, name: &str, pods: usize, pod: PodBehaviour) {
    let labels = BTreeMap::from([("app".to_owned(), name.to_owned())]);
    let field = format!("deployments.{name}");
    spec.workloads.push(WorkloadSpec { name: name.to_owned(), field, labels: labels.clone(), ..web(&vec!["n0"; pods], pod) });
    let field = format!("services.{name}");
    let cluster_ip = Some(IpAddr::from([10, 96, 1, spec.services.len() as u8]));
    spec.services.push(ServiceSpec {
        cluster_ip,
        name: name.to_owned(),
        field,
        selector: labels,
        ports: vec![ServicePortSpec::tcp("http", 80)],
        ..service(ServiceType::ClusterIP)
    });
}

/// `web` on one Node without any delay, which is called from inside and calls others in these steps.
fn calling(rate: f64, own: PodBehaviour, steps: Vec<Vec<CallSpec>>) -> ClusterSpec {
    let pod = PodBehaviour { calls: steps.into_iter().map(StepSpec).collect(), ..own };
    spec(nodes_in(&[""]), vec![web(&["n0"], pod)], traffic(Origin::Cluster, Via::ClusterIP, rate))
}

fn of<'a>(r: &'a RunResult, name: &str) -> &'a SeriesResult {
    r.series.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no series {name}"))
}

fn busy_for(service: DistSpec<SimDuration>) -> PodBehaviour {
    behaviour(service, 10_000)
}

/// 1 ms of its own; then 2 ms of `a`; then the longer of 3 ms of `b` and 5 ms of `c`, which adds 4 ms of `d`.
fn tree() -> ClusterSpec {
    let steps = vec![vec![CallSpec::to("a")], vec![CallSpec::to("b"), CallSpec::to("c")]];
    let mut spec = calling(100.0, busy_for(constant(ms(1))), steps);
    add(&mut spec, "a", 1, busy_for(constant(ms(2))));
    add(&mut spec, "b", 1, busy_for(constant(ms(3))));
    let calls = vec![StepSpec(vec![CallSpec::to("d")])];
    add(&mut spec, "c", 1, PodBehaviour { calls, ..busy_for(constant(ms(5))) });
    add(&mut spec, "d", 1, busy_for(constant(ms(4))));
    spec
}

#[test]
fn steps_follow_each_other_and_calls_of_a_step_go_together() {
    let r = run_one(&tree(), 0);
    let mean = |name: &str| of(&r, name).latency.mean_ns().expect("some") / 1e6;
    assert_eq!(of(&r, "clients").latency.max(), Some(ms(1 + 2 + 9)));
    assert_eq!([mean("web->a"), mean("web->b"), mean("web->c"), mean("c->d")].map(f64::round), [2.0, 3.0, 9.0, 4.0]);
    let (web, c) = (of(&r, "clients"), of(&r, "web->c"));
    assert_eq!((web.called.mean(), c.called.mean()), (Some(11e6), Some(4e6)), "time in which they waited for others");
    assert_eq!((web.network.mean(), web.wait.mean(), web.service.mean()), (Some(0.0), Some(0.0), Some(1e6)));
    assert_eq!(of(&r, "web->b").arrivals, web.arrivals, "each is called once a request");
}

/// Whoever ended last is on the critical path, whose parts add up to the latency; who was faster is not on it.
#[test]
fn the_critical_path_adds_up_to_the_latency() {
    let r = run_one(&tree(), 0);
    let clients = of(&r, "clients");
    let part = |name: &str| of(&r, name).critical_ns / u128::from(clients.completed());
    let ms = |n: u128| n * 1_000_000;
    assert_eq!([part("clients"), part("web->a"), part("web->b"), part("web->c"), part("c->d")], [ms(1), ms(2), 0, ms(5), ms(4)]);
    let mut noisy = tree();
    noisy.workloads.iter_mut().for_each(|w| w.pod.service_time = DistSpec::Exponential { mean: SimDuration::from_millis(3) });
    let r = run_one(&noisy, 0);
    let (all, latency): (u128, u64) = (r.series.iter().map(|s| s.critical_ns).sum(), of(&r, "clients").completed());
    let mean = of(&r, "clients").latency.mean_ns().expect("some");
    assert!((all as f64 / latency as f64 - mean).abs() < 1e-3 * mean, "histograms are within a thousandth");
    assert!(of(&r, "web->b").critical_ns > 0, "sometimes the shorter one is longer");
}

/// Two M/M/1 queues that get the same arrivals: the mean of the longer is (12 - rho)/8 of the mean of each (Flatto and Hahn 1984;
/// Nelson and Tantawi 1988).
#[test]
fn fork_and_join_of_two_queues() {
    let mut spec = calling(80.0, busy_for(constant(SimDuration::ZERO)), vec![vec![CallSpec::to("a"), CallSpec::to("b")]]);
    add(&mut spec, "a", 1, behaviour(DistSpec::Exponential { mean: ms(10) }, 1));
    add(&mut spec, "b", 1, behaviour(DistSpec::Exponential { mean: ms(10) }, 1));
    spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
    let runs = replicate(&spec, 40);
    let means = |name: &'static str| runs.iter().map(move |r| of(r, name).latency.mean_ns().expect("some") / 1e6);
    assert_near("both", means("clients"), 70.0, 0.03);
    assert_near("one of them", means("web->a"), 50.0, 0.03);
}

/// One call in a hundred is slow: with a hundred calls 63 % of requests are (Dean and Barroso 2013, *The Tail at Scale*).
#[test]
fn fan_out_amplifies_the_tail() {
    let slow = DistSpec::Bimodal { low: ms(1), high: secs(1), high_probability: 0.01 };
    for (copies, expected) in [(1, 0.01), (10, 0.095_617_924_99), (100, 0.633_967_658_7)] {
        let mut spec = calling(200.0, busy_for(constant(SimDuration::ZERO)), vec![vec![CallSpec { copies, ..CallSpec::to("a") }]]);
        add(&mut spec, "a", 1, PodBehaviour { concurrency: 1_000_000, ..busy_for(slow.clone()) });
        spec.run.duration = secs(if copies == 1 { 200 } else { 40 });
        let s = run_one(&spec, 0).series.remove(0);
        let above = s.latency.ccdf().take_while(|(latency, _)| *latency < ms(500)).last().map_or(1.0, |(_, above)| above);
        let slow = (above * s.completed() as f64).round() as u64;
        assert_chance(format!("slow with {copies} calls"), slow, s.completed(), expected);
    }
}

/// A thread that waits is busy: one of them is M/D/1 with 10 ms, however little of that is its own; an event loop is not.
#[test]
fn threads_wait_with_their_requests_and_event_loops_do_not() {
    let own = |asynchronous| PodBehaviour { asynchronous, ..behaviour(constant(ms(2)), 1) };
    for (asynchronous, expected) in [(false, 10.0 + 70.0 / 6.0), (true, 2.0 + 0.14 * 2.0 / 2.0 / 0.86 + 8.0)] {
        let mut spec = calling(70.0, own(asynchronous), vec![vec![CallSpec::to("a")]]);
        add(&mut spec, "a", 1, busy_for(constant(ms(8))));
        spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
        let means = replicate(&spec, 20).into_iter().map(|r| r.series[0].latency.mean_ns().expect("some") / 1e6);
        assert_near(format!("asynchronous: {asynchronous}"), means, expected, 0.01);
    }
}

#[test]
fn calls_may_be_left_out_or_awaited_by_nobody() {
    let sometimes = CallSpec { probability: 0.25, ..CallSpec::to("a") };
    let never_awaited = CallSpec { asynchronous: true, ..CallSpec::to("b") };
    let mut spec = calling(500.0, busy_for(constant(ms(1))), vec![vec![sometimes], vec![never_awaited]]);
    add(&mut spec, "a", 1, busy_for(constant(ms(1))));
    add(&mut spec, "b", 1, busy_for(constant(ms(100))));
    let r = run_one(&spec, 0);
    let (web, a, b) = (of(&r, "clients"), of(&r, "web->a"), of(&r, "web->b"));
    assert_chance("a quarter calls", a.arrivals, web.arrivals, 0.25);
    assert_eq!((b.arrivals, b.completed()), (web.arrivals, web.arrivals), "each is made and served");
    assert!(web.latency.max() < Some(ms(3)), "nobody waits for 100 ms");
    assert_eq!(b.critical_ns, 0);
}

/// A request fails with what it cannot do without; what was begun beside it is done for nothing.
#[test]
fn who_needs_a_call_that_fails_fails() {
    let with = |optional| {
        let steps = vec![vec![CallSpec { optional, ..CallSpec::to("a") }, CallSpec::to("b")], vec![CallSpec::to("c")]];
        let mut spec = calling(100.0, busy_for(constant(ms(1))), steps);
        add(&mut spec, "a", 1, PodBehaviour { queue_limit: Some(0), ..behaviour(constant(ms(20)), 1) });
        add(&mut spec, "b", 1, busy_for(constant(ms(1))));
        add(&mut spec, "c", 1, busy_for(constant(ms(1))));
        run_one(&spec, 0)
    };
    let r = with(false);
    let (web, a) = (of(&r, "clients"), of(&r, "web->a"));
    let failed = count(a, Outcome::QueueFull);
    assert!(failed > 100, "{:?}", a.outcomes);
    assert_eq!((count(web, Outcome::DependencyFailed), others(web, &[Outcome::Completed, Outcome::DependencyFailed])), (failed, 0));
    assert_eq!((of(&r, "web->b").completed(), of(&r, "web->c").arrivals), (web.arrivals, web.arrivals - failed));
    let r = with(true);
    assert_eq!(others(of(&r, "clients"), &[Outcome::Completed]), 0, "it can do without");
    // A failure of a Service two calls away comes up step by step; a retry on the way mends it.
    let mut deep = tree();
    deep.workloads[4].pod = PodBehaviour { queue_limit: Some(0), ..behaviour(constant(ms(4)), 1) };
    let r = run_one(&deep, 0);
    let lost = count(of(&r, "c->d"), Outcome::QueueFull);
    assert_eq!((count(of(&r, "web->c"), Outcome::DependencyFailed), count(of(&r, "clients"), Outcome::DependencyFailed)), (lost, lost));
    deep.workloads[3].pod.calls[0].0[0].retries = Some(svcsim_models::retry::RetrySpec { attempts: 5, ..Default::default() });
    let r = run_one(&deep, 0);
    assert!(count(of(&r, "clients"), Outcome::DependencyFailed) * 20 < lost, "of {lost}");
}

/// Who gives up does not stop those that it called.
#[test]
fn the_work_outlives_the_request() {
    let mut spec = tree();
    source(&mut spec).timeout = Some(ms(5));
    let r = run_one(&spec, 0);
    assert_eq!(others(of(&r, "clients"), &[Outcome::TimedOut]), 0);
    assert_eq!(of(&r, "c->d").completed(), of(&r, "clients").arrivals);
}

/// Callers are Pods: they come and go, and so do those they call, and no request is forgotten.
#[test]
fn callers_and_called_may_die_at_any_time() {
    for balancing in [None, Some(svcsim_models::balance::BalancingSpec::default())] {
        let mut spec = tree();
        spec.workloads.iter_mut().for_each(|w| {
            w.replicas = 3;
            w.placed_on = vec!["n0".to_owned(); 3];
            w.pod.service_time = DistSpec::Exponential { mean: ms(20) };
            w.pod.concurrency = 4;
            w.pod.calls.iter_mut().flat_map(|s| &mut s.0).for_each(|c| c.balancing = balancing.clone());
            w.pod.calls.iter_mut().flat_map(|s| &mut s.0).for_each(|c| c.timeout = Some(secs(1)));
        });
        source(&mut spec).timeout = Some(secs(2));
        for (i, workload) in ["web", "a", "c", "d"].into_iter().enumerate() {
            deletions(&mut spec, workload, DistSpec::Exponential { mean: ms(700 + 100 * i as u64) });
            crashes(&mut spec, workload, DistSpec::Exponential { mean: ms(900 + 100 * i as u64) });
        }
        spec.run.duration = secs(30);
        let r = run_one(&spec, 1);
        for s in &r.series {
            assert_eq!(s.arrivals_ever, s.outcomes_ever.iter().sum::<u64>() + s.in_flight, "{}", s.name);
        }
        let web = of(&r, "clients");
        assert!((1..web.arrivals).contains(&web.completed()), "{:?}", web.outcomes);
    }
}

/// Designs under comparison meet the same calls and the same demands, however differently time goes.
#[test]
fn what_is_called_does_not_depend_on_the_design() {
    let service = |r: &RunResult, name: &str| (of(r, name).service.sum(), of(r, name).arrivals);
    let mut spec = tree();
    spec.workloads.iter_mut().for_each(|w| w.pod.service_time = DistSpec::Exponential { mean: ms(3) });
    spec.workloads[0].pod.calls[1].0[1].probability = 0.5;
    let roomy = run_one(&spec, 0);
    spec.workloads.iter_mut().for_each(|w| w.pod.concurrency = 2);
    let tight = run_one(&spec, 0);
    for name in ["clients", "web->a", "web->b", "web->c", "c->d"] {
        assert_eq!(service(&roomy, name), service(&tight, name), "{name}");
    }
    assert_ne!(of(&roomy, "clients").latency.mean_ns(), of(&tight, "clients").latency.mean_ns());
}

#[test]
fn what_makes_no_sense_of_calls_is_told() {
    let problem = |change: &dyn Fn(&mut ClusterSpec)| {
        let mut spec = tree();
        change(&mut spec);
        check(&spec).expect_err("it makes no sense").to_string()
    };
    let call = |to: &str| StepSpec(vec![CallSpec::to(to)]);
    let circle = problem(&|s| s.workloads[4].pod.calls.push(call("web")));
    assert!(circle.contains("pods.web.calls: web -> c -> d -> web call each other in a circle"), "{circle}");
    let itself = problem(&|s| s.workloads[1].pod.calls.push(call("a")));
    assert!(itself.contains("a -> a call each other"), "{itself}");
    let nobody = problem(&|s| s.workloads[0].pod.calls.push(call("nowhere")));
    assert!(nobody.starts_with("pods.web.calls[2].to: there is no Service `nowhere`"), "{nobody}");
    let chance = problem(&|s| s.workloads[0].pod.calls[1].0[1].probability = 1.5);
    assert!(chance.starts_with("pods.web.calls[1][1].probability: a probability of 1.5"), "{chance}");
    let copies = problem(&|s| s.workloads[0].pod.calls[0].0[0].copies = 0);
    assert!(copies.starts_with("pods.web.calls[0].copies: 0 copies"), "{copies}");
}
