//! Clients that dial names: what lookups cost, whom answers name, and how long a Pod that is gone is still dialled.

use crate::world::*;
use svcsim_models::cluster::Outcome;
use svcsim_models::dataplane::DataPlaneSpec;
use svcsim_models::dns::{DnsSpec, NameForm, Pick};
use svcsim_models::record::SeriesResult;

fn instant() -> PodBehaviour {
    behaviour(constant(SimDuration::from_nanos(1)), 10_000)
}

/// Lookups in no time.
fn dns(ttl: SimDuration, pick: Pick) -> DnsSpec {
    DnsSpec { lookup: constant(SimDuration::ZERO), ttl, pick, ..DnsSpec::default() }
}

/// A headless Service on these Nodes, called by so many clients in a Pod on `n0`.
fn headless(placed: &[&str], clients: u32, per_second: f64, dns: DnsSpec) -> ClusterSpec {
    let traffic = TrafficSpec { clients, dns: Some(dns), ..traffic(workload_origin("caller"), Via::PodIP, per_second) };
    let mut spec = spec(nodes_in(&[""; 4]), vec![web(placed, instant()), callers(&["n0"])], traffic);
    spec.services[0] = ServiceSpec { cluster_ip: None, ports: vec![ServicePortSpec::tcp("http", 80)], ..service(ServiceType::ClusterIP) };
    spec
}

fn loads(s: &SeriesResult) -> Vec<u64> {
    s.backends.iter().map(|b| s.requests_by_replica[*b]).collect()
}

/// Every request takes the same time, and completes.
#[track_caller]
fn latency(spec: &ClusterSpec) -> SimDuration {
    let s = series(spec, 0);
    assert_eq!((s.completed(), s.latency.min()), (s.arrivals, s.latency.max()));
    s.latency.min().expect("some complete")
}

/// A lookup for each suffix that is tried in vain, and one that finds: one after another, before every connection whose answer
/// has expired.
#[test]
fn names_cost_a_lookup_for_each_suffix_that_is_tried() {
    let cases = [
        (NameForm::Short, 0, 1),
        (NameForm::Short, 2, 1),
        (NameForm::WithNamespace, 0, 2),
        (NameForm::Qualified, 0, 4),
        (NameForm::Qualified, 2, 6),
        (NameForm::Absolute, 2, 1),
    ];
    for (name, host_suffixes, lookups) in cases {
        let asks = DnsSpec { name, host_suffixes, lookup: constant(ms(3)), ttl: SimDuration::ZERO, ..DnsSpec::default() };
        let mut spec = headless(&["n0"], 10, 200.0, asks.clone());
        spec.workloads[0].pod = quick();
        let what = format!("{name:?} with {host_suffixes} suffixes of the host");
        assert_eq!(latency(&spec), ms(1) + ms(3 * lookups), "{what}: headless");
        // A name that has an address of its own costs the same, and so does nothing but the name.
        spec.services[0] = service(ServiceType::ClusterIP);
        source(&mut spec).via = Via::ClusterIP;
        assert_eq!(latency(&spec), ms(1) + ms(3 * lookups), "{what}: cluster IP");
        source(&mut spec).dns = None;
        assert_eq!(latency(&spec), ms(1));
    }
}

/// Answers are used until they expire, and kept connections need none.
#[test]
fn fresh_answers_and_kept_connections_cost_nothing() {
    let asks = DnsSpec { lookup: constant(ms(3)), ttl: secs(100), ..DnsSpec::default() };
    let mut spec = headless(&["n0"], 1, 20.0, asks);
    spec.workloads[0].pod = quick();
    let slow = |spec: &ClusterSpec| {
        let s = series(spec, 0);
        // Mean above 1 ms, over 3 ms.
        (s.latency.mean_ns().expect("some complete") / 1e6 - 1.0) / 3.0 * s.arrivals as f64
    };
    // A request that comes meanwhile waits for the same answer.
    assert!((0.9..2.0).contains(&slow(&spec)), "one client asks once: {}", slow(&spec));
    source(&mut spec).clients = 10;
    assert!((9.0..14.0).contains(&slow(&spec)), "ten clients ask for themselves: {}", slow(&spec));
    source(&mut spec).dns.as_mut().expect("set above").ttl = SimDuration::ZERO;
    source(&mut spec).connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(10));
    assert!((9.0..14.0).contains(&slow(&spec)), "ten connections: {}", slow(&spec));
}

/// Answers name Pods for a time to live after they are gone: with answers of 2 s, asked again as soon as they expire, the fourth
/// is the first after 5 s. Until then a quarter of the requests go to nobody.
#[test]
fn a_pod_that_is_gone_is_dialled_until_answers_expire() {
    const EACH: f64 = 50.0;
    for (ttl, until) in [(secs(2), 6.0 + 4.0 / EACH), (SimDuration::ZERO, 5.05)] {
        let mut spec = headless(&["n0", "n1", "n2", "n3"], 10, 10.0 * EACH, dns(ttl, Pick::Random));
        spec.workloads[0].pod.startup = constant(secs(1_000));
        // Kube-proxies learn never; nobody asks them.
        spec.propagation =
            PropagationSpec { publish: constant(ms(50)), to_node: constant(secs(1_000)), to_dns: constant(SimDuration::ZERO) };
        deletions(&mut spec, "web", constant(secs(5)));
        spec.run.duration = ms(9_999);
        let runs: Vec<SeriesResult> = (0..60).map(|r| series(&spec, r)).collect();
        for s in &runs {
            assert_eq!(others(s, &[Outcome::Completed, Outcome::Blackhole]), 0, "{:?}", s.outcomes);
            assert_eq!(s.timeline[8].errors, 0, "a time to live after the change was published nobody dials it");
        }
        let lost = runs.iter().map(|s| count(s, Outcome::Blackhole) as f64);
        assert_near(format!("lost with a time to live of {ttl}"), lost, 10.0 * EACH / 4.0 * (until - 5.0), 0.07);
    }
}

/// DNS hears of a change after its own delay, and while the control plane is out it hears of nothing.
#[test]
fn dns_answers_by_what_it_has_heard_of() {
    let mut spec = headless(&["n0", "n1", "n2", "n3"], 10, 400.0, dns(SimDuration::ZERO, Pick::Random));
    spec.propagation.to_dns = constant(secs(2));
    spec.run.duration = secs(20);
    spec.workloads[0].pod.startup = constant(secs(100));
    let first = PodTarget { place: Some(0), ..any_pod_of("web") };
    spec.events.insert("gone".to_owned(), EventSpec::at(secs(5), Action::PodDelete(first.clone())));
    let run = |spec: &ClusterSpec, r| series(spec, r);
    let lost = |s: &SeriesResult| (s.arrivals - s.completed()) as f64;
    assert_near("published after 50 ms, heard of 2 s later", (0..20).map(|r| lost(&run(&spec, r))), 100.0 * 2.05, 0.05);
    let oldest = run(&spec, 0).staleness.max();
    assert!(oldest > Some(ms(2_000)) && oldest < Some(ms(2_060)), "{oldest:?}");
    spec.events.insert("gone".to_owned(), EventSpec::at(secs(5), Action::PodCrash(first)));
    let outage = EventSpec::at(ms(6_500), Action::ControlPlaneOutage(Everything {})).lasting(constant(ms(9_500)));
    spec.events.insert("outage".to_owned(), outage);
    assert_near("heard of when that is over", (0..20).map(|r| lost(&run(&spec, r))), 100.0 * 11.0, 0.05);
}

/// `first`: all that a client sends until its answer expires goes to one Pod. So its shares are those of independent draws, one
/// an answer.
#[test]
fn taking_the_first_address_concentrates_a_client_until_its_answer_expires() {
    let mut spec = headless(&["n0", "n0", "n1", "n1", "n2", "n2", "n3", "n3"], 1, 1_000.0, dns(secs(100), Pick::First));
    spec.run.duration = ms(3_204);
    for replication in 0..5 {
        let got = loads(&series(&spec, replication));
        assert_eq!(got.iter().filter(|n| **n > 0).count(), 1, "{got:?}");
    }
    // An answer lasts 400 ms, and 1 ms on average until the next request: eight of them.
    source(&mut spec).dns = Some(dns(ms(400), Pick::First));
    let concentration = |s: SeriesResult| {
        let n = s.arrivals as f64;
        let squares: f64 = loads(&s).iter().map(|l| (*l as f64 / n) * (*l as f64 / n)).sum();
        (squares - 1.0 / 8.0) / (1.0 - 1.0 / 8.0)
    };
    assert_near("concentration of eight answers", (0..200).map(|r| concentration(series(&spec, r))), 1.0 / 8.0, 0.1);
    // The others do not care how long answers last.
    source(&mut spec).dns = Some(dns(secs(100), Pick::Random));
    let random = (0..100).map(|r| series(&spec, r)).map(|s| concentration(s.clone()) * s.arrivals as f64);
    assert_near("concentration of random picks, over that of dice", random, 1.0, 0.1);
    source(&mut spec).dns = Some(dns(secs(100), Pick::RoundRobin));
    let got = loads(&series(&spec, 0));
    assert!(got.iter().max().unwrap_or(&0) - got.iter().min().unwrap_or(&0) <= 1, "turns are exact: {got:?}");
}

/// No ready Pod, no such name. A cluster IP has its name all the same.
#[test]
fn a_headless_service_without_endpoints_has_no_name() {
    let mut spec = headless(&[], 10, 200.0, dns(secs(1), Pick::Random));
    let s = series(&spec, 0);
    assert_eq!(count(&s, Outcome::NameError), s.arrivals);
    spec.services[0] = service(ServiceType::ClusterIP);
    source(&mut spec).via = Via::ClusterIP;
    let s = series(&spec, 0);
    assert_eq!(count(&s, Outcome::Rejected), s.arrivals);
}

/// An alias costs one more lookup each, and leads to the address of the Service that it names, or to its Pods.
#[test]
fn an_external_name_is_one_more_lookup() {
    let asks = DnsSpec { lookup: constant(ms(3)), ttl: SimDuration::ZERO, ..DnsSpec::default() };
    let alias = |name: &str, of: &str| ServiceSpec {
        name: name.to_owned(),
        external_name: format!("{of}.default.svc.cluster.local"),
        cluster_ip: None,
        ports: Vec::new(),
        selector: std::collections::BTreeMap::new(),
        ..service(ServiceType::ExternalName)
    };
    for is_headless in [false, true] {
        let mut spec = headless(&["n0", "n0"], 10, 500.0, asks.clone());
        spec.workloads[0].pod = quick();
        if !is_headless {
            spec.services[0] = service(ServiceType::ClusterIP);
        }
        spec.services.extend([alias("alias", "web"), alias("alias-of-alias", "alias")]);
        for (to, lookups) in [("alias", 2), ("alias-of-alias", 3)] {
            (source(&mut spec).to, source(&mut spec).via) = (to.to_owned(), Via::ExternalName);
            assert_eq!(latency(&spec), ms(1) + ms(3 * lookups), "{to}, headless: {is_headless}");
            let s = series(&spec, 0);
            assert_chance(format!("{to}: first Pod"), loads(&s)[0], s.arrivals, 0.5);
        }
    }
}

/// Without a data plane nothing answers at virtual addresses; Pods' own need none.
#[test]
fn without_a_data_plane_only_pods_addresses_work() {
    let mut spec = headless(&["n0", "n1"], 10, 500.0, dns(secs(1), Pick::Random));
    spec.data_plane = DataPlaneSpec::by_name("none").expect("a data plane");
    let s = series(&spec, 0);
    assert_eq!((s.completed(), s.snat, s.extra_hop), (s.arrivals, 0, 0));
    assert_chance("first Pod", loads(&s)[0], s.arrivals, 0.5);
    spec.services[0] = service(ServiceType::ClusterIP);
    source(&mut spec).via = Via::ClusterIP;
    let s = series(&spec, 0);
    assert_eq!(count(&s, Outcome::NoRoute), s.arrivals);
}
