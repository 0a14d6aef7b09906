//! What a Pod is limited to: CPU time by periods, connections at once.

use crate::world::*;
use svcsim_models::cluster::{Outcome, check};
use svcsim_models::cpu_quota::CpuQuotaSpec;
use svcsim_models::retry::RetrySpec;
use svcsim_models::workload::{ArrivalsSpec, batch};

/// One Pod of `servers` servers.
fn one_pod(service: DistSpec<SimDuration>, servers: u32, per_second: f64) -> ClusterSpec {
    let mut spec =
        spec(nodes_in(&[""]), vec![web(&["n0"], behaviour(service, servers))], traffic(Origin::Cluster, Via::ClusterIP, per_second));
    spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
    spec
}

fn half_a_core() -> Option<CpuQuotaSpec> {
    Some(CpuQuotaSpec { cores: 0.5, period: ms(100) })
}

/// A request now and then that needs `demand`, by so many at a time.
fn batches(demand: SimDuration, servers: u32, at_once: u32, discipline: Discipline) -> ClusterSpec {
    let mut spec = one_pod(constant(demand), servers, 1.0);
    let epochs = batch::Spec { gap: constant(secs(1)), size: batch::Number::Constant(at_once) };
    source(&mut spec).arrivals = ArrivalsSpec::Batch(epochs);
    spec.workloads[0].pod.discipline = discipline;
    spec.workloads[0].pod.cpu_quota = half_a_core();
    spec
}

/// Half a core serves 80 ms as 50 ms of work, 50 ms of standing still and 30 ms of work; four threads that need 25 ms each have used
/// it up after 12.5 ms, and go on 87.5 ms later.
#[test]
fn a_request_stands_still_until_the_next_period() {
    for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
        for (demand, servers, at_once, expected) in
            [(ms(80), 1, 1, 130.0), (ms(25), 4, 4, 112.5), (ms(50), 1, 1, 50.0), (ms(40), 1, 1, 40.0)]
        {
            let s = series(&batches(demand, servers, at_once, discipline), 0);
            assert_eq!(s.completed(), s.ended());
            let (least, most) = (s.latency.quantile(0.0).expect("some"), s.latency.quantile(1.0).expect("some"));
            for found in [least, most] {
                let off = (found.as_millis_f64() - expected).abs();
                assert!(off < 0.1, "{discipline:?}, {at_once} of {demand} at {servers} servers: {found}, not {expected} ms");
            }
        }
    }
}

/// However many threads there are, a quota of half a core serves half a second of work a second.
#[test]
fn no_more_is_served_than_the_quota_pays_for() {
    let mut spec = one_pod(DistSpec::Exponential { mean: ms(10) }, 16, 200.0);
    (spec.workloads[0].pod.cpu_quota, spec.workloads[0].pod.queue_limit) = (half_a_core(), Some(20));
    let served = |spec: &ClusterSpec| (0..20).map(|r| served_s(&series(spec, r)) / 200.0).collect::<Vec<_>>();
    assert_near("CPUs in use", served(&spec), 0.5, 0.01);
    source(&mut spec).arrivals = poisson(20.0);
    assert_near("CPUs in use, below the limit", served(&spec), 0.2, 0.05);
}

/// A thread that waits for another Service uses no CPU.
#[test]
fn waiting_for_others_costs_no_quota() {
    let latency = |quota| {
        let mut spec = one_pod(constant(ms(40)), 1, 2.0);
        spec.workloads.push(WorkloadSpec { cpu_request: None, ..callers(&["n0"]) });
        let labels = std::collections::BTreeMap::from([("app".to_owned(), "caller".to_owned())]);
        spec.services.push(ServiceSpec {
            name: "slow".to_owned(),
            field: "services.slow".to_owned(),
            selector: labels,
            ports: vec![ServicePortSpec::tcp("http", 80)],
            ..service(ServiceType::ClusterIP)
        });
        spec.workloads[1].pod.service_time = constant(ms(200));
        spec.workloads[0].pod.calls = vec![StepSpec(vec![CallSpec::to("slow")])];
        spec.workloads[0].pod.cpu_quota = quota;
        let s = series(&spec, 0);
        (s.completed(), s.latency.quantile(0.0), s.latency.quantile(0.1))
    };
    assert_eq!(latency(half_a_core()), latency(None), "40 ms of work in a period, and then 200 ms of waiting");
}

/// A Pod that is told to stop while it stands still exits when it has served what it has.
#[test]
fn a_pod_that_stands_still_ends_in_order() {
    let mut spec = one_pod(constant(ms(60)), 4, 20.0);
    spec.workloads[0].pod.cpu_quota = Some(CpuQuotaSpec { cores: 2.0, period: ms(100) });
    deletions(&mut spec, "web", constant(secs(7)));
    source(&mut spec).timeout = Some(secs(5));
    for r in 0..5 {
        let s = series(&spec, r);
        assert_eq!(s.arrivals_ever, s.outcomes_ever.iter().sum::<u64>() + s.in_flight);
        // Who was still in the accept queue is reset with the listener.
        assert_eq!(others(&s, &[Outcome::Completed, Outcome::Refused, Outcome::Reset]), 0, "{:?}", s.outcomes);
        assert!(share(s.completed(), s.ended()) > 0.99 && count(&s, Outcome::Reset) < 5, "{:?}", s.outcomes);
    }
}

/// A Pod that accepts one connection at a time serves as one server does, if each request has its own: M/M/1.
#[test]
fn who_is_not_accepted_waits() {
    let mut spec = one_pod(DistSpec::Exponential { mean: ms(20) }, 100, 30.0);
    spec.workloads[0].pod.max_connections = Some(1);
    assert_near("mean", replicate(&spec, 40).iter().map(|r| r.series[0].latency.mean_ns().expect("some") / 1e6), 50.0, 0.03);
}

/// Two at a time and one in the accept queue of backlog 0 are M/M/2/3, where nobody sends a SYN again: at an offered load of 2
/// the states weigh 1, 2, 2, 2, and 2 in 7 find no room.
#[test]
fn a_full_accept_queue_drops_syns() {
    let mut spec = one_pod(DistSpec::Exponential { mean: ms(40) }, 100, 50.0);
    spec.workloads[0].pod.max_connections = Some(2);
    spec.workloads[0].pod.backlog = 0;
    source(&mut spec).tcp.retransmit = false;
    let runs = replicate(&spec, 20);
    assert!(runs.iter().all(|r| others(&r.series[0], &[Outcome::Completed, Outcome::BacklogFull]) == 0));
    let lost = runs.iter().map(|r| share(count(&r.series[0], Outcome::BacklogFull), r.series[0].arrivals));
    assert_near("dropped", lost, 2.0 / 7.0, 0.01);
}

/// What was dropped is sent again a second later: of four at once one is served after 300 ms and one that waited after 600; the other
/// two after 1.3 s and 1.6.
#[test]
fn dropped_syns_are_sent_again() {
    let mut spec = batches(ms(300), 100, 4, Discipline::Fifo);
    spec.workloads[0].pod.cpu_quota = None;
    (spec.workloads[0].pod.max_connections, spec.workloads[0].pod.backlog) = (Some(1), 0);
    source(&mut spec).arrivals = ArrivalsSpec::Batch(batch::Spec { gap: constant(secs(5)), size: batch::Number::Constant(4) });
    let s = series(&spec, 0);
    assert_eq!(s.completed(), s.ended());
    for (quantile, expected) in [(0.0, 300.0), (0.4, 600.0), (0.6, 1_300.0), (1.0, 1_600.0)] {
        let found = s.latency.quantile(quantile).expect("some").as_millis_f64();
        assert!((found - expected).abs() < 2.0, "{quantile}: {found}, not {expected} ms");
    }
}

/// Who is dropped again and again gives up as often as TCP tries.
#[test]
fn a_queue_that_stays_full_ends_the_connect() {
    let mut spec = batches(secs(100), 100, 4, Discipline::Fifo);
    spec.workloads[0].pod.cpu_quota = None;
    (spec.workloads[0].pod.max_connections, spec.workloads[0].pod.backlog) = (Some(1), 0);
    let t = source(&mut spec);
    t.arrivals = ArrivalsSpec::Batch(batch::Spec { gap: constant(secs(500)), size: batch::Number::Constant(4) });
    (t.tcp.syn_retries, t.timeout) = (2, Some(secs(50)));
    spec.run = RunSpec { duration: secs(600), warm_up: SimDuration::ZERO, window: secs(10) };
    let s = series(&spec, 0);
    assert_eq!((count(&s, Outcome::BacklogFull), count(&s, Outcome::TimedOut)), (2, 2), "{:?}", s.outcomes);
}

/// A listener that is closed resets those whom its process has not accepted.
#[test]
fn who_was_not_accepted_is_reset_with_the_listener() {
    let mut spec = one_pod(constant(ms(50)), 100, 30.0);
    spec.workloads[0].pod.max_connections = Some(1);
    deletions(&mut spec, "web", constant(secs(5)));
    let s = series(&spec, 0);
    assert_eq!(others(&s, &[Outcome::Completed, Outcome::Refused, Outcome::Reset]), 0, "{:?}", s.outcomes);
    assert!(count(&s, Outcome::Reset) > 20, "the Pod is always behind: {:?}", s.outcomes);
    assert_eq!(s.in_flight, 0);
}

/// Connections that many requests share are counted once each, from their handshake to their end: none is forgotten.
#[test]
fn shared_connections_are_counted_once() {
    let mut spec = one_pod(constant(ms(20)), 100, 200.0);
    spec.workloads[0].pod.max_connections = Some(8);
    let t = source(&mut spec);
    (t.clients, t.timeout) = (2, Some(secs(1)));
    t.connections = ConnectionsSpec::Multiplexed(MultiplexedSpec { max_requests: Some(7), ..MultiplexedSpec::default() });
    let s = series(&spec, 0);
    assert_eq!(s.completed(), s.ended(), "{:?}", s.outcomes);
    spec.workloads[0].pod.max_connections = Some(1);
    let s = series(&spec, 0);
    assert!(s.completed() > 0 && s.completed() < s.ended(), "one is not enough for two clients: {:?}", s.outcomes);
}

/// Clients that keep their connections keep others out, until they hang up.
#[test]
fn kept_connections_count() {
    let served = |idle_timeout| {
        let mut spec = one_pod(constant(ms(1)), 100, 30.0);
        spec.workloads[0].pod.max_connections = Some(2);
        let t = source(&mut spec);
        (t.clients, t.timeout) = (3, Some(secs(1)));
        t.connections = ConnectionsSpec::KeepAlive(KeepAliveSpec { max_idle: 1, idle_timeout, ..KeepAliveSpec::default() });
        let s = series(&spec, 0);
        share(s.completed(), s.ended())
    };
    let kept = served(None);
    assert!((kept - 2.0 / 3.0).abs() < 0.03, "one client of three is never let in: {kept}");
    assert!(served(Some(ms(100))) > 0.95, "it is when others are idle for a while");
}

/// The connections of a process end with it.
#[test]
fn a_new_process_has_no_connections() {
    let mut spec = one_pod(constant(ms(1)), 100, 30.0);
    spec.workloads[0].pod.max_connections = Some(4);
    crashes(&mut spec, "web", constant(secs(50)));
    let t = source(&mut spec);
    (t.clients, t.timeout) = (3, Some(secs(1)));
    t.connections = ConnectionsSpec::KeepAlive(KeepAliveSpec { max_idle: 1, ..KeepAliveSpec::default() });
    let s = series(&spec, 0);
    assert!(share(s.completed(), s.ended()) > 0.7, "{:?}", s.outcomes);
    assert_eq!(count(&s, Outcome::TimedOut), 0, "{:?}", s.outcomes);
}

/// Whoever meets a Pod that is gone hears nothing; while its sandbox is there, its kernel refuses.
#[test]
fn a_sandbox_that_is_still_there_refuses() {
    let lost = |teardown| {
        let mut spec = one_pod(constant(ms(1)), 10, 100.0);
        spec.workloads[0].pod.sandbox_teardown = teardown;
        spec.workloads[0].pod.startup = constant(secs(300));
        spec.propagation.to_node = constant(secs(10));
        spec.events.insert("delete".to_owned(), EventSpec::at(secs(50), Action::PodDelete(any_pod_of("web"))));
        source(&mut spec).timeout = Some(secs(1));
        let s = series(&spec, 0);
        (count(&s, Outcome::Refused), count(&s, Outcome::Blackhole))
    };
    let (gone, there) = (lost(SimDuration::ZERO), lost(secs(4)));
    assert!(gone.0 == 0 && gone.1 > 850, "{gone:?}");
    assert!(
        there.0.abs_diff(400) < 80 && there.1.abs_diff(600) < 100,
        "nobody serves any more, so that it is no endpoint either: {there:?}"
    );
}

/// What surroundings take adds to the demand under every discipline, and is another for each try: of two tries, one is spared.
#[test]
fn interference_is_the_pods_and_not_the_requests() {
    for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
        let mut spec = one_pod(constant(ms(5)), 1_000, 50.0);
        spec.workloads[0].pod.discipline = discipline;
        spec.workloads[0].pod.concurrency = if discipline == Discipline::ProcessorSharing { 1 } else { 1_000 };
        spec.workloads[0].pod.interference = Some(constant(ms(2)));
        let s = series(&spec, 0);
        assert_eq!(s.latency.min(), Some(ms(7)), "{discipline:?}");
    }
    let longest = |pod: &dyn Fn(&mut PodBehaviour)| {
        let mut spec = one_pod(constant(ms(5)), 100_000, 200.0);
        pod(&mut spec.workloads[0].pod);
        source(&mut spec).hedging = Some(HedgingSpec { after: ms(10) });
        series(&spec, 0).latency.quantile(0.99).map_or(0.0, |d| d.as_millis_f64())
    };
    let slow = || DistSpec::Bimodal { low: ms(1), high: secs(1), high_probability: 0.02 };
    let (own, others) = (longest(&|p| p.service_time = slow()), longest(&|p| p.interference = Some(slow())));
    assert!(own > 990.0 && others < 20.0, "a slow demand is slow again, a slow moment is not: {own} and {others} ms");
}

/// What fails fails each time by itself: three tries fail one request in 64, and every failure was work.
#[test]
fn applications_fail_by_the_try() {
    let mut spec = one_pod(constant(ms(1)), 1_000, 200.0);
    spec.workloads[0].pod.error_probability = 0.25;
    let s = series(&spec, 0);
    assert_chance("fail", count(&s, Outcome::InternalError), s.arrivals, 0.25);
    source(&mut spec).retries = Some(RetrySpec { attempts: 2, ..RetrySpec::default() });
    let s = series(&spec, 0);
    assert_chance("fail three times", count(&s, Outcome::InternalError), s.arrivals, 1.0 / 64.0);
    spec.workloads[0].pod.error_probability = 1.5;
    assert_eq!(check(&spec).expect_err("no probability").field, "pods.web.errorProbability");
}

#[test]
fn limits_that_are_none_are_refused() {
    let mut spec = one_pod(constant(ms(1)), 1, 1.0);
    spec.workloads[0].pod.max_connections = Some(0);
    assert_eq!(check(&spec).expect_err("nobody could connect").field, "pods.web.maxConnections");
    spec.workloads[0].pod.max_connections = None;
    spec.workloads[0].pod.cpu_quota = Some(CpuQuotaSpec { cores: -1.0, period: ms(100) });
    assert_eq!(check(&spec).expect_err("no CPU").field, "pods.web.cpuQuota.cores");
}
