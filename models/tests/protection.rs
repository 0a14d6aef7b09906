//! Circuit breakers and outlier detection, of clients and of load balancers that proxy.

use crate::world::*;
use svcsim_models::circuit_breaker::CircuitBreakerSpec;
use svcsim_models::cluster::{Outcome, check};
use svcsim_models::dns::DnsSpec;
use svcsim_models::load_balancer::{LoadBalancerSpec, Preset};
use svcsim_models::outlier_detection::OutlierDetectionSpec;
use svcsim_models::record::{Place, SeriesResult};
use svcsim_models::retry::RetrySpec;

fn breaker(max_connections: u32, max_pending_requests: u32, max_requests: u32) -> Option<CircuitBreakerSpec> {
    Some(CircuitBreakerSpec { max_connections, max_pending_requests, max_requests, ..CircuitBreakerSpec::default() })
}

/// One client of a Pod that is never full, or an Envoy between the two.
fn one_instance(behind_envoy: bool, breaker: Option<CircuitBreakerSpec>, service: DistSpec<SimDuration>, per_second: f64) -> ClusterSpec {
    let from = if behind_envoy { internet() } else { Origin::Cluster };
    let via = if behind_envoy { Via::LoadBalancer } else { Via::ClusterIP };
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], behaviour(service, 10_000))], traffic(from, via, per_second));
    spec.load_balancer = LoadBalancerSpec::of(Preset::Envoy);
    load_balancer_delay(&mut spec, SimDuration::ZERO);
    source(&mut spec).clients = 1;
    if behind_envoy {
        balancer(&mut spec).proxies.as_mut().expect("Envoy proxies").circuit_breaker = breaker;
    } else {
        source(&mut spec).circuit_breaker = breaker;
    }
    spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
    spec
}

/// Sums close, and each loss is at the one place.
#[track_caller]
fn lost_only(s: &SeriesResult, cause: Outcome, place: Place) {
    assert_eq!(others(s, &[Outcome::Completed, cause]), 0, "{:?}", s.outcomes);
    assert_eq!(s.lost.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>(), [((cause, place), count(s, cause))]);
    assert_eq!(s.arrivals_ever, s.outcomes_ever.iter().sum::<u64>() + s.in_flight);
}

/// With at most n requests under way the instance is Erlang's loss system: two of them at an offered load of 2 lose 2/5,
/// however long services take.
#[test]
fn one_more_than_max_requests_is_short_circuited_as_in_erlangs_loss_system() {
    for (behind_envoy, place) in [(false, Place::Client), (true, Place::LoadBalancer)] {
        let spec = one_instance(behind_envoy, breaker(1_024, 1_024, 2), constant(ms(40)), 50.0);
        let runs = replicate(&spec, 20);
        runs.iter().for_each(|r| lost_only(&r.series[0], Outcome::CircuitOpen, place));
        let share = runs.iter().map(|r| share(count(&r.series[0], Outcome::CircuitOpen), r.series[0].arrivals));
        assert_near(format!("short-circuited, Envoy: {behind_envoy}"), share, 0.4, 0.01);
    }
}

/// One connection and a line of three is M/M/1/4: at as many arrivals as can be served each fifth finds it full, and the mean
/// number present, (0+1+2+3+4)/5 = 2, gives 2 / (0.8 × 20/s) = 125 ms by Little's law.
#[test]
fn who_finds_no_connection_waits_in_line_as_long_as_there_is_room() {
    for (behind_envoy, place) in [(false, Place::Client), (true, Place::LoadBalancer)] {
        let spec = one_instance(behind_envoy, breaker(1, 3, 1_024), DistSpec::Exponential { mean: ms(50) }, 20.0);
        let runs = replicate(&spec, 20);
        runs.iter().for_each(|r| lost_only(&r.series[0], Outcome::CircuitOpen, place));
        let share = runs.iter().map(|r| share(count(&r.series[0], Outcome::CircuitOpen), r.series[0].arrivals));
        assert_near(format!("full, Envoy: {behind_envoy}"), share, 0.2, 0.02);
        assert_near("latency, s", runs.iter().map(|r| r.series[0].latency.mean().expect("some").as_secs_f64()), 0.125, 0.02);
    }
}

/// One who waits for an answer holds the connection for a second; others wait for it in line, but not as long.
#[test]
fn a_time_out_in_the_line_is_told_of_whom_it_waited_for() {
    let mut spec = one_instance(true, breaker(1, 1_000, 1_024), constant(secs(1)), 0.5);
    let hasty = TrafficSpec { timeout: Some(ms(400)), ..traffic(internet(), Via::LoadBalancer, 5.0) };
    spec.traffic.insert("hasty".to_owned(), hasty);
    let run = run_one(&spec, 0);
    let (patient, hasty) = (&run.series[0], &run.series[1]);
    let at_balancer = hasty.lost.get(&(Outcome::TimedOut, Place::LoadBalancer)).copied().unwrap_or(0);
    assert!(at_balancer > hasty.arrivals / 10, "{:?}", hasty.lost);
    assert_eq!(count(hasty, Outcome::TimedOut), hasty.ended(), "a service takes longer than they wait");
    for s in [patient, hasty] {
        assert_eq!(s.lost.values().sum::<u64>(), s.ended() - s.completed());
        assert_eq!(s.arrivals_ever, s.outcomes_ever.iter().sum::<u64>() + s.in_flight);
    }
    assert_eq!(count(patient, Outcome::Completed), patient.ended(), "the connection is never lost");
}

#[test]
fn limits_that_nobody_reaches_change_nothing() {
    for behind_envoy in [false, true] {
        let of = |breaker| series(&one_instance(behind_envoy, breaker, DistSpec::Exponential { mean: ms(50) }, 100.0), 3);
        let (limited, free) = (of(breaker(1_024, 1_024, 1_024)), of(None));
        assert_eq!(
            (limited.latency.mean(), limited.latency.max(), limited.outcomes),
            (free.latency.mean(), free.latency.max(), free.outcomes)
        );
    }
}

/// A Pod without a line, for four times what it can serve: retries are asked for all the time.
#[test]
fn no_more_than_max_retries_are_under_way() {
    let of = |max_retries: u32| {
        let mut spec =
            one_instance(false, Some(CircuitBreakerSpec { max_retries, ..CircuitBreakerSpec::default() }), constant(ms(10)), 400.0);
        spec.workloads[0].pod = PodBehaviour { queue_limit: Some(0), ..behaviour(constant(ms(10)), 1) };
        source(&mut spec).retries = Some(RetrySpec::default());
        spec.run = RunSpec { duration: secs(40), warm_up: SimDuration::ZERO, window: secs(10) };
        series(&spec, 0)
    };
    let none = of(0);
    assert_eq!((none.retries, none.retries_refused), (0, count(&none, Outcome::QueueFull)));
    let (three, many) = (of(3), of(1_000));
    assert_eq!(many.retries_refused, 0);
    // A pause of 12.5 or 37.5 ms on average: three places make at most 240 retries a second.
    let seconds = 40;
    assert!(three.retries_refused > 0 && three.retries < many.retries && three.retries <= 240 * seconds, "{}", three.retries);
}

/// Ten Pods, and one client that chooses among them by itself, or an Envoy that does; each request may take half a second.
fn ten_pods(behind_envoy: bool, outliers: OutlierDetectionSpec) -> ClusterSpec {
    let (from, via) = if behind_envoy { (internet(), Via::LoadBalancer) } else { (workload_origin("caller"), Via::PodIP) };
    let traffic = TrafficSpec { clients: 1, timeout: Some(secs(3)), ..traffic(from, via, 200.0) };
    let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0"; 10], quick()), callers(&["n1"])], traffic);
    spec.workloads[0].probes = Probes::default();
    spec.load_balancer = LoadBalancerSpec::of(Preset::Envoy);
    if behind_envoy {
        let proxies = balancer(&mut spec).proxies.as_mut().expect("Envoy proxies");
        proxies.response_timeout = ms(500);
        proxies.outlier_detection = Some(outliers);
    } else {
        spec.services[0] =
            ServiceSpec { cluster_ip: None, ports: vec![ServicePortSpec::tcp("http", 80)], ..service(ServiceType::ClusterIP) };
        source(&mut spec).timeout = Some(ms(500));
        source(&mut spec).dns = Some(DnsSpec { lookup: constant(SimDuration::ZERO), ..DnsSpec::default() });
        source(&mut spec).outlier_detection = Some(outliers);
    }
    spec.run = RunSpec { duration: secs(200), warm_up: SimDuration::ZERO, window: secs(1) };
    spec
}

fn hangs(spec: &mut ClusterSpec, place: u32, at: u64) {
    let target = PodTarget { workload: "web".to_owned(), place: Some(place) };
    spec.events.insert(format!("hang-{place}"), EventSpec::at(secs(at), Action::PodPause(target)));
}

/// Stretches of windows with errors: first and last second.
fn spells(s: &SeriesResult) -> Vec<(u64, u64)> {
    let mut spells: Vec<(u64, u64)> = Vec::new();
    for second in s.timeline.iter().filter(|w| w.errors > 0).map(|w| w.start.as_nanos() / 1_000_000_000) {
        match spells.last_mut() {
            Some((_, last)) if second <= *last + 2 => *last = second,
            _ => spells.push((second, second)),
        }
    }
    spells
}

/// Twenty requests a second to the Pod that hangs: five have failed after 0.5 s + 5/20 s. It is away for 30 s until the next
/// sweep, fails again at once, and is away for 60 s, then 90 s.
#[test]
fn a_pod_that_hangs_is_ejected_after_five_failures_for_30_then_60_then_90_s() {
    for behind_envoy in [false, true] {
        let mut spec = ten_pods(behind_envoy, OutlierDetectionSpec::default());
        hangs(&mut spec, 4, 5);
        spec.run.duration = secs(260);
        let s = series(&spec, 0);
        let spells = spells(&s);
        assert_eq!(spells.len(), 4, "{spells:?}, Envoy: {behind_envoy}");
        assert!(spells.iter().all(|(first, last)| last - first <= 2), "{spells:?}");
        for (gap, least) in spells.windows(2).map(|w| w[1].0 - w[0].1).zip([30, 60, 90]) {
            assert!((least - 1..=least + 12).contains(&gap), "{gap} s after {least} s: {spells:?}");
        }
        let lost = s.ended() - s.completed();
        assert!((4 * 5..=4 * 30).contains(&lost), "{lost} lost");
        assert_eq!(s.arrivals_ever, s.outcomes_ever.iter().sum::<u64>() + s.in_flight);
    }
}

/// One that goes on after 20 s serves again, as much as the others, from the sweep after its 30 s on.
#[test]
fn a_pod_that_recovers_is_used_again() {
    for behind_envoy in [false, true] {
        let mut spec = ten_pods(behind_envoy, OutlierDetectionSpec::default());
        hangs(&mut spec, 4, 5);
        spec.events.get_mut("hang-4").expect("set above").lasts = Some(constant(secs(20)));
        let s = series(&spec, 0);
        assert_eq!(spells(&s).len(), 1, "{:?}", spells(&s));
        let (hit, all) = (s.requests_by_replica[4], s.requests_by_replica.iter().sum::<u64>());
        let away = share(hit, all) / 0.1;
        assert!((0.78..0.86).contains(&away), "it is away for 30 s to 41 s of 200 s: {away}");
    }
}

/// Four of ten hang: one may be ejected, or three, or all of them; the others that hang keep their part of the rest.
#[test]
fn no_more_than_the_given_part_is_ejected() {
    for behind_envoy in [false, true] {
        for (max_ejection_percent, stay) in [(0, 3), (10, 3), (30, 1), (40, 0), (100, 0)] {
            let outliers = OutlierDetectionSpec { max_ejection_percent, base_ejection_time: secs(300), ..OutlierDetectionSpec::default() };
            let mut spec = ten_pods(behind_envoy, outliers);
            (0..4).for_each(|place| hangs(&mut spec, place, 5));
            spec.run.warm_up = secs(20);
            let s = series(&spec, 0);
            let part = f64::from(stay) / f64::from(6 + stay);
            let lost = s.ended() - s.completed();
            assert_chance(format!("{max_ejection_percent} %, Envoy: {behind_envoy}"), lost, s.ended(), part);
        }
    }
}

/// Six of ten hang and may be ejected: four are left, less than half, so that all are used.
#[test]
fn with_less_than_half_left_all_are_used() {
    for behind_envoy in [false, true] {
        for (panic_threshold, lost) in [(50, 0.6), (40, 0.0)] {
            let outliers = OutlierDetectionSpec {
                max_ejection_percent: 100,
                base_ejection_time: secs(300),
                panic_threshold,
                ..OutlierDetectionSpec::default()
            };
            let mut spec = ten_pods(behind_envoy, outliers);
            (0..6).for_each(|place| hangs(&mut spec, place, 5));
            spec.run.warm_up = secs(20);
            let s = series(&spec, 0);
            assert_chance(format!("Envoy: {behind_envoy}"), s.ended() - s.completed(), s.ended(), lost);
        }
    }
}

/// Envoy takes the word of its health checks, which here find that a Pod accepts connections.
#[test]
fn a_health_check_that_succeeds_ends_an_ejection() {
    let mut spec = ten_pods(true, OutlierDetectionSpec::default());
    let check = svcsim_models::load_balancer::HealthCheck {
        interval: secs(5),
        from_end: false,
        timeout: secs(1),
        healthy_threshold: 1,
        unhealthy_threshold: 1,
    };
    balancer(&mut spec).health_check = Some(check);
    spec.workloads[0].pod.queue_limit = Some(0);
    spec.workloads[0].pod.concurrency = 1;
    spec.workloads[0].pod.service_time = constant(ms(1));
    let target = SlowTarget { workload: "web".to_owned(), place: Some(4), factor: 1_000.0 };
    spec.events.insert("slow".to_owned(), EventSpec::at(secs(5), Action::PodSlow(target)));
    let s = series(&spec, 0);
    assert!(spells(&s).len() > 30, "a spell every 5 s: {:?}", spells(&s));
}

#[test]
fn who_does_not_choose_the_pod_can_eject_none() {
    let mut spec = one_instance(false, None, constant(ms(1)), 10.0);
    source(&mut spec).outlier_detection = Some(OutlierDetectionSpec::default());
    let error = check(&spec).expect_err("a cluster IP");
    assert_eq!(error.field, "traffic.clients.outlierDetection");
    assert!(error.problem.contains("does not choose the Pod"), "{error}");
    let nothing = [
        ("circuitBreaker.maxConnections", breaker(0, 1, 1), None),
        ("circuitBreaker.maxRequests", breaker(1, 1, 0), None),
        ("outlierDetection.consecutive5xx", None, Some(OutlierDetectionSpec { consecutive_5xx: 0, ..OutlierDetectionSpec::default() })),
        ("outlierDetection.interval", None, Some(OutlierDetectionSpec { interval: us(1), ..OutlierDetectionSpec::default() })),
        (
            "outlierDetection.baseEjectionTime",
            None,
            Some(OutlierDetectionSpec { base_ejection_time: secs(301), ..OutlierDetectionSpec::default() }),
        ),
        (
            "outlierDetection.maxEjectionPercent",
            None,
            Some(OutlierDetectionSpec { max_ejection_percent: 101, ..OutlierDetectionSpec::default() }),
        ),
    ];
    for (field, circuit_breaker, outlier_detection) in nothing {
        let mut at_client = ten_pods(false, OutlierDetectionSpec::default());
        (source(&mut at_client).circuit_breaker, source(&mut at_client).outlier_detection) = (circuit_breaker, outlier_detection);
        assert_eq!(check(&at_client).expect_err(field).field, format!("traffic.clients.{field}"));
        let mut at_envoy = ten_pods(true, OutlierDetectionSpec::default());
        let proxies = balancer(&mut at_envoy).proxies.as_mut().expect("Envoy proxies");
        (proxies.circuit_breaker, proxies.outlier_detection) = (circuit_breaker, outlier_detection);
        assert_eq!(check(&at_envoy).expect_err(field).field, format!("loadBalancer.envoy.proxies.{field}"));
    }
}

/// A Pod that hangs: an ALB asks by HTTP, finds out after two checks of 5 s each, 15 s apart, and sends no more there; who only connects
/// finds nothing wrong. The ALB answers 504 for what it has sent there.
#[test]
fn an_alb_notices_a_pod_that_hangs_and_one_that_only_connects_does_not() {
    let of = |preset| {
        let traffic = TrafficSpec { clients: 20, timeout: Some(secs(70)), ..traffic(internet(), Via::LoadBalancer, 100.0) };
        let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0"; 4], quick())], traffic);
        spec.workloads[0].probes = Probes::default();
        spec.load_balancer = LoadBalancerSpec::of(preset);
        hangs(&mut spec, 2, 20);
        spec.run = RunSpec { duration: secs(120), warm_up: SimDuration::ZERO, window: secs(1) };
        series(&spec, 0)
    };
    let alb = of(Preset::AwsAlbIp);
    assert_eq!(others(&alb, &[Outcome::Completed, Outcome::LbTimeout]), 0, "{:?}", alb.outcomes);
    assert!(alb.lost.keys().all(|(_, place)| *place == Place::LoadBalancer));
    // Each fourth request, for the rest of an interval, an interval and a time-out: 20 to 35 s.
    let sent_there = count(&alb, Outcome::LbTimeout) as f64 / 25.0;
    assert!((19.0..37.0).contains(&sent_there), "it was used for {sent_there} s");
    let connects = of(Preset::IpTargets);
    assert_chance("of 100 s of 120", count(&connects, Outcome::TimedOut), connects.arrivals, 0.25 * 100.0 / 120.0);
}

/// Whatever befell requests, what they took of a limit is given back: when all is well again as many pass as if nothing had happened.
#[test]
fn what_is_lost_on_the_way_gives_its_place_back() {
    for behind_envoy in [false, true] {
        for connections in [ConnectionsSpec::PerRequest, ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(2))] {
            let mut spec = one_instance(behind_envoy, breaker(2, 2, 2), constant(ms(40)), 50.0);
            spec.nodes = nodes_in(&["", ""]);
            source(&mut spec).connections = connections.clone();
            source(&mut spec).timeout = Some(secs(2));
            source(&mut spec).retries = Some(RetrySpec::default());
            let calm = series(&spec, 0);
            let pod = || PodTarget { workload: "web".to_owned(), place: Some(0) };
            let n0 = || NodeTarget { node: Some("n0".to_owned()) };
            let deeds = [
                (20, "crash", Action::PodCrash(pod())),
                (30, "pause", Action::PodPause(pod())),
                (50, "cut", Action::NodeCut(n0())),
                (70, "power", Action::NodeCrash(n0())),
                (90, "balancer", Action::LoadBalancerFailure(BalancerTarget { service: "web".to_owned() })),
            ];
            for (at, name, action) in deeds {
                let event = EventSpec::at(secs(at), action);
                spec.events.insert(name.to_owned(), if name == "crash" { event } else { event.lasting(constant(secs(10))) });
            }
            let rough = series(&spec, 0);
            let since = |s: &SeriesResult, from: usize| s.timeline[from / 10..].iter().map(|w| w.completed).sum::<u64>();
            let what = format!("Envoy: {behind_envoy}, {connections:?}, {:?}", rough.outcomes);
            assert!(since(&rough, 20) + 200 < since(&calm, 20), "{what}: hardly anything was lost");
            assert_eq!(since(&rough, 140), since(&calm, 140), "{what}");
        }
    }
}

/// A copy helps where a Pod is slow, and not where a request needs long: it needs as long elsewhere.
#[test]
fn a_second_copy_helps_where_a_pod_is_slow() {
    let slow = DistSpec::Bimodal { low: ms(10), high: secs(1), high_probability: 0.05 };
    let mut spec = spec(nodes_in(&[""]), vec![web(&["n0"], behaviour(slow, 100_000))], traffic(Origin::Cluster, Via::ClusterIP, 200.0));
    spec.run = RunSpec { duration: secs(220), warm_up: secs(20), window: secs(10) };
    source(&mut spec).hedging = Some(HedgingSpec { after: ms(50) });
    let s = series(&spec, 0);
    assert_eq!(others(&s, &[Outcome::Completed]), 0);
    assert_chance("sent twice", s.hedges, s.arrivals, 0.05);
    // A copy has the demand of the request: what is slow is slow again.
    assert_eq!(s.latency.max().map(|d| d >= secs(1)), Some(true));
    spec.workloads[0] = web(&["n0", "n0"], behaviour(constant(ms(10)), 100_000));
    spec.propagation.publish = constant(secs(1_000));
    spec.workloads[0].pod.backlog = 1_000_000;
    spec.events.insert(
        "slow".to_owned(),
        EventSpec::at(SimDuration::ZERO, Action::PodPause(PodTarget { place: Some(0), ..any_pod_of("web") }))
            .lasting(constant(secs(1_000))),
    );
    let s = series(&spec, 0);
    // Half of the requests meet the Pod that hangs, and half of their copies do.
    let (hung, ended) = (s.in_flight, s.arrivals_ever);
    assert_chance("both copies hang", hung, ended, 0.25);
    assert_eq!(s.latency.max().map(|d| (d.as_millis_f64() / 10.0).round()), Some(6.0), "50 ms and a service");
}

/// Copies end once, whatever becomes of them: time-outs, retries, breakers, policies that count.
#[test]
fn hedging_goes_with_everything_else() {
    for via in [Via::ClusterIP, Via::Endpoints] {
        let pod = PodBehaviour { queue_limit: Some(3), ..behaviour(DistSpec::Exponential { mean: ms(20) }, 1) };
        let mut spec = spec(nodes_in(&["", ""]), vec![web(&["n0", "n1"], pod)], traffic(Origin::Cluster, via, 90.0));
        let t = source(&mut spec);
        t.hedging = Some(HedgingSpec { after: ms(15) });
        t.timeout = Some(ms(80));
        t.retries = Some(RetrySpec { per_try_timeout: Some(ms(40)), ..RetrySpec::default() });
        t.circuit_breaker = breaker(5, 5, 5);
        t.connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::default());
        crashes(&mut spec, "web", constant(ms(1_700)));
        let s = series(&spec, 0);
        assert!(s.hedges > 100 && s.retries > 10 && s.completed() > 20, "{} {} {:?}", s.hedges, s.retries, s.outcomes);
        assert_eq!(s.ended() + s.in_flight, s.arrivals);
    }
}
