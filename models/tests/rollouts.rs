//! New versions replace old ones, Pods start by their probes, and drains respect budgets.

use crate::world::*;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;

/// `replicas` Pods on four Nodes that start after `startup`; a new version is rolled out at 1 s.
fn rollout(replicas: u32, startup: SimDuration) -> ClusterSpec {
    let pod = PodBehaviour { startup: constant(startup), ..quick() };
    let workload = WorkloadSpec { replicas, pre_stop: secs(2), ..web(&[], pod) };
    let mut spec = spec(nodes_in(&["a", "b", "a", "b"]), vec![workload], traffic(Origin::Cluster, Via::ClusterIP, 50.0));
    spec.events.insert("release".to_owned(), EventSpec::at(secs(1), release(false)));
    spec.run.duration = secs(120);
    spec
}

fn release(fails: bool) -> Action {
    Action::Rollout(RolloutTarget { workload: "web".to_owned(), fails })
}

fn times(run: &RunResult, event: &str) -> Vec<f64> {
    run.incidents.iter().filter(|i| i.event == event).map(|i| i.time.as_nanos() as f64 / 1e9).collect()
}

/// Ready Pods that nobody deletes, and Pods that nobody deletes, at their fewest and most: by what happened to Pods.
fn extremes(run: &RunResult, replicas: i32) -> (i32, i32) {
    let (mut ready, mut least, mut started, mut most) = (replicas, replicas, replicas, replicas);
    for incident in &run.incidents {
        match incident.event.as_ref() {
            "ready" => ready += 1,
            "terminate" => (ready, started) = (ready - 1, started - 1),
            "create" => started += 1,
            _ => {}
        }
        (least, most) = (least.min(ready), most.max(started));
    }
    (least, most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// A rollout keeps at least the guaranteed number of Pods ready at every instant, has no more than the surge allows, and
    /// ends with every Pod replaced.
    #[test]
    fn a_rolling_update_keeps_its_promise(replicas in 1u32..12, surge in 0i32..5, unavailable in 0i32..5, startup in 100u64..3_000) {
        let mut spec = rollout(replicas, ms(startup));
        let whole = IntOrString::Int;
        spec.workloads[0].rollout = RolloutSpec { max_surge: whole(surge), max_unavailable: whole(unavailable), ..RolloutSpec::default() };
        let run = run_one(&spec, 0);
        // Both 0 make one unavailable.
        let unavailable = if surge + unavailable == 0 { 1 } else { unavailable.min(replicas as i32) };
        let (least, most) = extremes(&run, replicas as i32);
        prop_assert!(least >= replicas as i32 - unavailable, "{least} ready of {replicas}, {unavailable} may be away");
        prop_assert!(most <= replicas as i32 + surge, "{most} Pods of {replicas}, {surge} more allowed");
        prop_assert!(times(&run, "terminate").len() == replicas as usize, "every Pod of the old version goes");
        prop_assert!(times(&run, "ready").len() == replicas as usize, "and each has a successor");
    }
}

#[test]
fn a_bad_release_stops_where_it_may_do_no_more_harm() {
    let mut spec = rollout(10, secs(1));
    spec.events.insert("release".to_owned(), EventSpec::at(secs(1), release(true)));
    let run = run_one(&spec, 0);
    // 25 % of 10: three more, two fewer; no new Pod ever becomes ready, so no more old ones go.
    assert_eq!((times(&run, "terminate").len(), times(&run, "create").len(), times(&run, "ready").len()), (2, 5, 0));
    assert_eq!(run.series[0].completed(), run.series[0].arrivals, "eight Pods serve on");
}

#[test]
fn recreate_leaves_a_gap() {
    let mut spec = rollout(3, secs(2));
    spec.workloads[0].rollout.strategy = svcsim_models::controllers::deployment::Strategy::Recreate;
    let run = run_one(&spec, 0);
    let (gone, created) = (times(&run, "gone"), times(&run, "create"));
    assert!(gone.len() == 3 && created.iter().all(|c| *c >= gone[2]), "{gone:?} then {created:?}");
    assert!(run.series[0].timeline.iter().any(|w| w.ready_endpoints == 0));
}

#[test]
fn a_stateful_set_goes_from_the_last_place_to_the_first_one_at_a_time() {
    let mut spec = rollout(4, secs(1));
    spec.workloads[0].controller = Controller::StatefulSet;
    let run = run_one(&spec, 0);
    let told: Vec<&str> = run.incidents.iter().filter(|i| i.event == "terminate").map(|i| i.pod.as_str()).collect();
    assert_eq!(told, ["web-3", "web-2", "web-1", "web-0"]);
    let (told, ready) = (times(&run, "terminate"), times(&run, "ready"));
    assert!(told[1..].iter().zip(&ready).all(|(told, ready)| told >= ready), "the next goes when the last is ready: {told:?}, {ready:?}");
}

#[test]
fn a_partition_keeps_the_first_places_as_they_are() {
    let mut spec = rollout(4, secs(1));
    spec.workloads[0].controller = Controller::StatefulSet;
    spec.workloads[0].rollout.partition = 2;
    let run = run_one(&spec, 0);
    let told: Vec<&str> = run.incidents.iter().filter(|i| i.event == "terminate").map(|i| i.pod.as_str()).collect();
    assert_eq!((told, times(&run, "ready").len()), (vec!["web-3", "web-2"], 2));
}

#[test]
fn pods_of_a_parallel_stateful_set_do_not_wait_for_each_other() {
    let mut spec = rollout(1, secs(5));
    spec.workloads[0].controller = Controller::StatefulSet;
    let more = Action::Scale(ScaleTarget::to("web", 4));
    spec.events.insert("release".to_owned(), EventSpec::at(secs(1), more));
    let created = |spec: &ClusterSpec| times(&run_one(spec, 0), "create");
    let one_by_one = created(&spec);
    assert!(one_by_one.len() == 3 && one_by_one.windows(2).all(|w| w[1] - w[0] >= 5.0), "{one_by_one:?}");
    let fewer = Action::Scale(ScaleTarget::to("web", 1));
    spec.events.insert("fewer".to_owned(), EventSpec::at(secs(60), fewer));
    let told = |spec: &ClusterSpec| times(&run_one(spec, 0), "terminate");
    assert_eq!(told(&spec), [60.0, 62.0, 64.0], "one goes when the one before is gone, after its preStop");
    spec.workloads[0].rollout.parallel = true;
    assert_eq!((created(&spec), told(&spec)), (vec![1.0, 1.0, 1.0], vec![60.0, 60.0, 60.0]));
}

/// A bad release at 1 s makes progress while its first Pods are created, and none after.
#[test]
fn a_rollout_without_progress_is_told_after_its_deadline() {
    let mut spec = rollout(4, secs(1));
    spec.workloads[0].rollout.progress_deadline = secs(30);
    let told = |spec: &ClusterSpec| {
        let run = run_one(spec, 0);
        run.marks.iter().filter(|m| m.name == "rollout of web").map(|m| m.time.as_nanos() / 1_000_000_000).collect::<Vec<_>>()
    };
    assert_eq!(told(&spec), [0; 0]);
    spec.events.insert("release".to_owned(), EventSpec::at(secs(1), release(true)));
    assert_eq!(told(&spec), [31]);
}

/// Readiness at the first attempt after the Pod listens; liveness kills what starts too slowly, again and again.
#[test]
fn a_pod_is_ready_at_an_attempt_of_its_probe() {
    let mut spec = rollout(1, ms(3_200));
    spec.workloads[0].probes.readiness = Some(ProbeSpec { period: secs(2), initial_delay: secs(1), ..ProbeSpec::default() });
    let run = run_one(&spec, 0);
    assert_eq!(times(&run, "ready"), [5.0], "created at 1 s, it listens at 4.2 s and is asked at 3, 5, ...");
    spec.workloads[0].probes.liveness = Some(ProbeSpec { period: secs(1), ..ProbeSpec::default() });
    let run = run_one(&spec, 0);
    assert!(
        times(&run, "ready").is_empty() && times(&run, "killed").len() > 2,
        "refused at 1, 2 and 3 s it is killed: {:?}",
        run.incidents
    );
    spec.workloads[0].probes.startup = Some(ProbeSpec { period: secs(1), failure_threshold: 10, ..ProbeSpec::default() });
    assert_eq!(times(&run_one(&spec, 0), "ready"), [5.0], "a startup probe holds liveness back, and readiness follows it at once");
}

/// An image is pulled once on a Node, and Pods of one Node wait for each other's pulls.
#[test]
fn images_are_pulled_one_after_the_other_and_once_a_node() {
    let mut spec = rollout(2, secs(1));
    spec.nodes.truncate(1);
    spec.workloads[0].pod.image_pull = constant(secs(10));
    spec.workloads[0].rollout.max_surge = IntOrString::Int(2);
    let run = run_one(&spec, 0);
    assert_eq!(times(&run, "ready"), [2.0, 12.0], "the second finds the image that the first still pulls, but starts at once");
}

/// A process that hangs finishes what it had when it goes on, later by as long as it hung.
#[test]
fn a_pause_delays_what_is_in_the_pod_by_its_length() {
    let mut spec =
        spec(nodes_in(&["a"]), vec![web(&["n0"], behaviour(constant(secs(2)), 1_000))], traffic(Origin::Cluster, Via::ClusterIP, 20.0));
    spec.workloads[0].probes.readiness = None;
    let pause = EventSpec::at(secs(4), Action::PodPause(any_pod_of("web"))).lasting(constant(secs(3)));
    let sound = run_one(&spec, 0);
    for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
        spec.workloads[0].pod.discipline = discipline;
        spec.events.insert("hang".to_owned(), pause.clone());
        let run = run_one(&spec, 0);
        assert_eq!(run.series[0].completed(), run.series[0].arrivals);
        // Who is in it at 4 s, or comes before 7 s, is late by what is left of the pause; nobody by more than all of it.
        let late = run.series[0].latency.max().expect("some").saturating_sub(sound.series[0].latency.max().expect("some"));
        assert!(late <= secs(3) && late > ms(2_800), "{late} late under {discipline:?}");
    }
}

/// Services that start in a cold Pod take longer, by a factor that falls to one.
#[test]
fn a_cold_pod_is_slower_until_it_is_warm() {
    let mut spec = rollout(1, secs(1));
    spec.workloads[0].pod.warm_up = Some(WarmUp { factor: 5.0, lasts: secs(20) });
    let run = run_one(&spec, 0);
    let p50 = |from: u64| {
        let window = run.series[0].timeline.iter().find(|w| w.start.as_nanos() == from * 1_000_000_000);
        window.and_then(|w| w.latency_p50).expect("requests in every second").as_secs_f64() * 1e3
    };
    // Ready at 2 s, the old Pod serves until the Node knows: cold from 3 s on.
    assert!((p50(12) - 3.0).abs() < 0.2, "half-way: {} ms", p50(12));
    assert!((p50(30) - 1.0).abs() < 0.02 && (p50(0) - 1.0).abs() < 0.02, "warm at the end, and from the start");
}

#[test]
fn an_application_that_drains_its_connections_loses_none_of_their_requests() {
    let lost = |at_sigterm| {
        let mut spec = rollout(4, secs(1));
        spec.workloads[0].pre_stop = SimDuration::ZERO;
        spec.workloads[0].pod.at_sigterm = at_sigterm;
        spec.network.shape = svcsim_models::network::ShapeSpec::OneSwitch(svcsim_models::network::OneSwitchSpec { node: delay(ms(20)) });
        spec.propagation = PropagationSpec { publish: constant(ms(1)), to_node: constant(ms(1)), to_dns: constant(SimDuration::ZERO) };
        source(&mut spec).arrivals = poisson(1_000.0);
        source(&mut spec).connections = ConnectionsSpec::KeepAlive(KeepAliveSpec::idle(1_000));
        (0..5).map(|r| series(&spec, r)).map(|s| count(&s, Outcome::Reset) + count(&s, Outcome::Blackhole)).sum::<u64>()
    };
    assert!(lost(AtSigterm::StopAccepting) > 20, "what is on its way meets a closed connection");
    assert_eq!(lost(AtSigterm::DrainConnections), 0);
    assert!(lost(AtSigterm::Ignore) > 20, "it is killed with its connections at the end of its grace period");
}

/// The budget keeps three of four Pods ready; two of them are on the Node that is drained.
#[test]
fn a_drain_respects_the_budget_at_every_instant() {
    let mut spec = rollout(4, secs(3));
    spec.nodes.truncate(2);
    spec.events.clear();
    spec.events.insert("drain".to_owned(), EventSpec::at(secs(1), Action::Drain(NodeTarget { node: Some("n0".to_owned()) })));
    spec.workloads[0].budget = Some(DisruptionBudgetSpec::new("web", Budget::MaxUnavailable(IntOrString::Int(1))));
    let run = run_one(&spec, 0);
    assert_eq!(times(&run, "evict"), [1.0, 6.0], "asked again after 5 s, when the first has a successor");
    assert_eq!(extremes(&run, 4).0, 3);
    let created = run.incidents.iter().filter(|i| i.event == "create");
    assert!(created.map(|i| i.node.0).all(|n| n == 1), "nothing is placed on a cordoned Node");
    spec.workloads[0].budget = Some(DisruptionBudgetSpec::new("web", Budget::MinAvailable(IntOrString::Int(4))));
    assert_eq!(times(&run_one(&spec, 0), "evict").len(), 0, "a budget that forbids every eviction blocks the drain, and the run ends");
}

#[test]
fn a_switched_selector_moves_everything_once_nodes_know() {
    let mut spec = rollout(2, secs(1));
    let labels = std::collections::BTreeMap::from([("app".to_owned(), "green".to_owned())]);
    let green = WorkloadSpec {
        name: "green".to_owned(),
        field: "deployments.green".to_owned(),
        labels: labels.clone(),
        ..spec.workloads[0].clone()
    };
    spec.workloads.push(green);
    spec.events.clear();
    let switch = SelectorTarget { service: "web".to_owned(), selector: labels };
    spec.events.insert("switch".to_owned(), EventSpec::at(secs(60), Action::SwitchSelector(switch)));
    let share = |from, until| {
        let part = ClusterSpec { run: RunSpec { warm_up: from, duration: until, window: secs(1) }, ..spec.clone() };
        let s = series(&part, 0);
        assert_eq!(s.completed(), s.arrivals, "blue Pods run on: nothing is lost");
        s.requests_by_replica[..2].iter().sum::<u64>() as f64 / s.arrivals as f64
    };
    assert_eq!((share(secs(10), secs(60)), share(ms(60_600), secs(120))), (1.0, 0.0));
}
